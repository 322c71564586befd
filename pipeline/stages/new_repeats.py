"""The table of new documents that repeat earlier ones: each with the earlier document it is most like.

Pairs and spans name a text by its first document, so what holds of that document holds of all its
copies. A text is new if only new documents have it. A new document of another text is an exact copy;
one of a new text is looked for in the near grain and in passages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl
import pyarrow as pa

from pipeline.artifacts import PART_ROWS, KeyRange, frame, read_output, write_output_pieces
from pipeline.mapped import mapped_ranges
from pipeline.schemas import NEW_REPEATS
from pipeline.stages.new_documents import CLUSTERED, NEW, Written, is_new, written
from pipeline.stages.new_passages import SHARED, described, with_earlier

STAGE = "new repeats"
KINDS = ("exact", "near", "cluster", "passage")
# A pair at or above the threshold, seen from the end that is of a new file.
PAIRED = pa.schema([("other", pa.uint64()), ("doc_id", pa.uint64()), ("jaccard", pa.float64())])
NEAREST = pa.schema([("doc_id", pa.uint64()), ("earlier", pa.uint64()), ("jaccard", pa.float64())])
REPEATING = pa.schema(
    [
        ("doc_id", pa.uint64()),
        ("n_tokens", pa.int64()),
        ("kind", pa.large_string()),
        ("earlier_doc_id", pa.uint64()),
        ("jaccard", pa.float64()),
        ("earlier_copies", pa.int64()),
        ("repeated_tokens", pa.int64()),
        ("passage_tokens", pa.int64()),
        ("passage_id", pa.uint64()),
    ]
)


def list_pairs(part: str, path: str, *, new_files: Sequence[int], threshold: float) -> Written:
    """The pairs of one part of the table that have an end in a new file, by their other end."""
    rows = frame(read_output(part, ["doc_a", "doc_b", "jaccard"])).filter(pl.col("jaccard") >= threshold)
    ends = [
        rows.select(pl.col(other).alias("other"), pl.col(end).alias("doc_id"), "jaccard")
        for end, other in (("doc_a", "doc_b"), ("doc_b", "doc_a"))
    ]
    directed = pl.concat(ends)
    return written(directed.filter(is_new(directed["doc_id"].to_numpy(), new_files)), PAIRED, path)


def find_nearest(
    docs: KeyRange, path: str, *, paired: Sequence[str], new: Sequence[str], new_files: Sequence[int]
) -> Written:
    """The nearest earlier documents among the texts whose first documents lie in a range.

    Args:
        paired: see `list_pairs`. new: tables of `NEW` by text.
    """
    rows = frame(mapped_ranges(paired, "other", docs, PAIRED))
    known = with_earlier(rows, "other", docs, new, new_files).drop_nulls("earlier")
    return written(_nearest(known), NEAREST, path)


def _nearest(rows: pl.DataFrame) -> pl.DataFrame:
    ranked = rows.sort("doc_id", "jaccard", "earlier", descending=[False, True, False])
    return ranked.unique("doc_id", keep="first", maintain_order=True)


def describe_new(
    docs: KeyRange,
    path: str,
    *,
    texts: Sequence[str],
    clusters: Sequence[str],
    nearest: Sequence[str],
    shared: Sequence[str] | None,
) -> Written:
    """The new documents that repeat earlier ones, of texts whose first documents lie in a range.

    Args:
        texts: tables of `NEW`. clusters: of `CLUSTERED`. nearest: see `find_nearest`.
        shared: see `new_passages.share_passages`; None if passages were not looked for.
    """
    rows = frame(mapped_ranges(texts, "first_doc", docs, NEW))
    near = _nearest(frame(mapped_ranges(nearest, "doc_id", docs, NEAREST)))
    near = near.rename({"doc_id": "first_doc", "earlier": "near_earlier"})
    passages = described(frame(mapped_ranges(shared or [], "doc_id", docs, SHARED)))
    rows = (
        rows.join(near, "first_doc", "left")
        .join(_by_cluster(docs, clusters), "first_doc", "left")
        .join(passages.rename({"doc_id": "first_doc"}), "first_doc", "left")
    )
    found = _judged(rows, shared is not None).drop_nulls("earlier_doc_id")
    return written(found, REPEATING, path)


def _by_cluster(docs: KeyRange, clusters: Sequence[str]) -> pl.DataFrame:
    # The first document of a new text is itself new, and in the cluster.
    rows = frame(mapped_ranges(clusters, "doc_id", docs, CLUSTERED))
    return rows.rename({"doc_id": "first_doc", "first_earlier": "cluster_earlier"})


def _judged(rows: pl.DataFrame, looked_for_passages: bool) -> pl.DataFrame:
    partners = ("first_earlier", "near_earlier", "cluster_earlier", "passage_earlier")
    is_exact = pl.col("first_earlier").is_not_null()
    kind = pl.coalesce(
        pl.when(pl.col(name).is_not_null()).then(pl.lit(kind))
        for name, kind in zip(partners, KINDS, strict=True)
    )
    in_passages = pl.col("passage_repeated").fill_null(0) if looked_for_passages else pl.lit(None, pl.Int64)
    return rows.with_columns(
        kind=kind,
        earlier_doc_id=pl.coalesce(partners),
        jaccard=pl.when(is_exact).then(1.0).otherwise("jaccard"),
        earlier_copies="earlier",
        repeated_tokens=pl.when(is_exact).then("n_tokens").otherwise(in_passages),
    )


def write_new_repeats(
    ranges: Sequence[KeyRange], path: str, *, repeating: Sequence[str], inputs: str
) -> dict[str, int]:
    """Write the table; returns how many documents there are of each kind.

    Args:
        ranges: of doc_id, in order, that hold all documents of the table.
        repeating: see `describe_new`. inputs: the inputs table.
    """
    uris = pl.Series("uri", read_output(inputs, ["uri"]).column("uri").to_pylist(), pl.String)
    counts = dict.fromkeys(KINDS, 0)

    def pieces() -> Iterator[pa.Table]:
        for rows in _gathered(ranges, repeating):
            for kind, number in rows["kind"].value_counts().iter_rows():
                counts[kind] += number
            yield _placed(rows, uris).select(NEW_REPEATS.arrow_schema().names).to_arrow()

    write_output_pieces(NEW_REPEATS, pieces(), path)
    return counts


def _gathered(ranges: Sequence[KeyRange], repeating: Sequence[str]) -> Iterator[pl.DataFrame]:
    # Row groups of a good size, however few rows a range has.
    held: list[pl.DataFrame] = []
    for docs in ranges:
        held.append(frame(mapped_ranges(repeating, "doc_id", docs, REPEATING)).sort("doc_id"))
        if sum(map(len, held)) >= PART_ROWS:
            yield pl.concat(held)
            held = []
    if held:
        yield pl.concat(held)


def _placed(rows: pl.DataFrame, uris: pl.Series) -> pl.DataFrame:
    return rows.with_columns(
        *(
            column
            for prefix, doc_id in (("", rows["doc_id"]), ("earlier_", rows["earlier_doc_id"]))
            for column in (
                uris.gather(doc_id // 2**32).alias(f"{prefix}uri"),
                (doc_id % 2**32).cast(pl.Int64).alias(f"{prefix}row"),
            )
        )
    )
