"""Texts to look at: of the largest and the loosest clusters, the representative and the text least like it.

They are read when the rest is known, from just the pieces they are in, so that whoever looks at a
run later needs no audited data. Those that an earlier run read are not read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from pipeline.artifacts import frame, write_output
from pipeline.errors import InputChangedError
from pipeline.mapped import read_mapped, write_mapped
from pipeline.schemas import EXAMPLES
from pipeline.stages.inputs import Shard, ShardPiece, check_unchanged
from pipeline.stages.places import Places
from pipeline.stages.scan import ScanParameters
from pipeline.stages.sets import read_again

LARGEST, LOOSEST = 12, 6  # clusters
CHARACTERS = 2000

CHOSEN = pa.schema([("cluster_id", pa.uint64()), ("doc_id", pa.uint64()), ("jaccard", pa.float64())])
TEXTS = pa.schema(
    [
        ("doc_id", pa.uint64()),
        *((name, pa.large_string()) for name in ("uri", "id", "source")),
        ("n_bytes", pa.int64()),
        ("text", pa.large_string()),
        ("content", pa.large_string()),  # of its file, see `inputs.Inspected`
    ]
)


def choose_examples(clusters: str, path: str) -> tuple[str, tuple[int, ...]]:
    """Choose clusters, by the files of the clusters table in a folder.

    Returns:
        The path of a table of `CHOSEN`, and the doc_ids in it.
    """
    every = pl.scan_parquet(f"{clusters}/*.parquet").drop("sample")
    size = {"documents": True, "tokens": True, "cluster_id": False}
    largest = every.sort(list(size), descending=list(size.values())).head(LARGEST)
    looseness = {"chained": True, **size}
    loose = every.filter(pl.col("chained") > 0).sort(list(looseness), descending=list(looseness.values()))
    rows = pl.concat(pl.collect_all([largest, loose.head(LOOSEST)])).unique("cluster_id")
    heads = rows.select("cluster_id", doc_id="representative", jaccard=pl.lit(1.0))
    others = rows.select("cluster_id", doc_id="least_similar", jaccard="min_jaccard")
    chosen = pl.concat([heads, others.drop_nulls()]).sort("cluster_id", "doc_id")
    table = chosen.to_arrow().cast(CHOSEN)
    return write_mapped(table, path), tuple(sorted(chosen["doc_id"].to_list()))


def shards_of(doc_ids: Sequence[int], shards: Sequence[Shard], places: str) -> list[Shard]:
    """The shards that some documents are in."""
    located = Places(places)
    return [
        shard
        for shard in shards
        if any(
            int(first) <= doc_id < int(first) + int(rows)
            for first, rows in zip(located.first_docs(shard.number), located.rows(shard.number), strict=True)
            for doc_id in doc_ids
        )
    ]


def read_examples(
    shard: Shard,
    path: str,
    *,
    doc_ids: Sequence[int],
    places: str,
    parameters: ScanParameters,
    earlier: Sequence[str] = (),
) -> str:
    """Read the beginnings of those of some documents that are in a shard; returns the path of `TEXTS`.

    Args:
        earlier: what this function wrote in an earlier run, if anything.
    """
    located, known = Places(places), _known(earlier)
    found: list[tuple[Any, ...]] = []
    firsts, counts = located.first_docs(shard.number).tolist(), located.rows(shard.number).tolist()
    for item, first, count in zip(shard.pieces, firsts, counts, strict=True):
        waiting = {doc_id - first for doc_id in doc_ids if first <= doc_id < first + count}
        for row in sorted(waiting):
            again = known.get((item.content, (first + row) & 0xFFFFFFFF))
            if again is not None:
                id_, source, *text = again
                source = item.source if parameters.columns.source is None else source
                found.append((first + row, item.file.shown_uri, id_, source, *text, item.content))
                waiting.discard(row)
        if waiting:
            found += _read(item, first, waiting, parameters)
    table = pa.Table.from_pylist([dict(zip(TEXTS.names, row, strict=True)) for row in found], TEXTS)
    return write_mapped(table, path)


def _known(earlier: Sequence[str]) -> dict[tuple[str, int], tuple[Any, ...]]:
    # By file and row. There are at most two a chosen cluster.
    rows = [row for path in earlier for row in read_mapped(path).to_pylist()]
    names = ("id", "source", "n_bytes", "text")
    return {(row["content"], row["doc_id"] & 0xFFFFFFFF): tuple(row[n] for n in names) for row in rows}


def _read(
    item: ShardPiece, first: int, waiting: set[int], parameters: ScanParameters
) -> Iterator[tuple[Any, ...]]:
    # Rows of `TEXTS`, of the waiting rows of a piece.
    for rows in read_again(item, parameters):
        at = {row: i for i, row in enumerate(rows.rows.to_pylist()) if row in waiting}
        for row, i in at.items():
            text = rows.texts[i].as_py()
            source = item.source if rows.sources is None else rows.sources[i].as_py()
            labels = (None if rows.ids is None else rows.ids[i].as_py(), source)
            shown = text[: 4 * CHARACTERS].decode("utf-8", "replace")[:CHARACTERS]
            yield first + row, item.file.shown_uri, *labels, len(text), shown, item.content
        waiting -= at.keys()
        if not waiting:
            break
    check_unchanged(item.file)


def write_examples(chosen: str, texts: Sequence[str], path: str) -> int:
    """Write the chosen documents with their texts; returns how many there are."""
    found = frame(pa.concat_tables([TEXTS.empty_table(), *(read_mapped(part) for part in texts)]))
    wanted = frame(read_mapped(chosen))
    table = wanted.join(found, "doc_id").sort("cluster_id", "doc_id")
    if len(table) != len(wanted):
        raise InputChangedError(
            "input files hold other rows than when they were scanned",
            where="examples of clusters",
            got=f"{len(table)} of {len(wanted)} texts",
            expected="the rows of the first read",
            fix="run again when nothing writes to them",
        )
    table = table.with_columns((pl.col("doc_id") & 0xFFFFFFFF).cast(pl.Int64).alias("row"))
    write_output(EXAMPLES, table.select(EXAMPLES.arrow_schema().names).to_arrow(), path)
    return len(table)
