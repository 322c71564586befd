"""Documents of new files, with the earlier documents of the same text and of the same near cluster.

A document is new if its file is: all of a run's other documents were there when the index was last
used. Only groups (a text, a near cluster, a passage) that hold a new document matter, and these are
few, so their keys go into a sieve first: a bit for some of the hashes, and what falls through is looked
at no further. The sieve lets a few others pass, 6 in 100; that costs time and changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, frame, open_parquet, read_output, table_of
from pipeline.mapped import mapped_ranges, read_mapped, write_mapped

KEYS = pa.schema([("key", pa.uint64())])
# Of a group its new documents, and of its earlier ones the first with how many there are.
MEMBERS = pa.schema(
    [
        ("key", pa.uint64()),
        ("n_tokens", pa.int64()),
        ("doc_id", pa.uint64()),
        ("is_new", pa.bool_()),
        ("documents", pa.int64()),
    ]
)
# A new document, the first one of its text, and the first of the earlier ones with how many there are.
NEW = pa.schema(
    [
        ("first_doc", pa.uint64()),
        ("doc_id", pa.uint64()),
        ("n_tokens", pa.int64()),
        ("first_earlier", pa.uint64()),
        ("earlier", pa.int64()),
    ]
)
# A new document, and the first earlier one of its near cluster.
CLUSTERED = pa.schema([("doc_id", pa.uint64()), ("first_earlier", pa.uint64())])
BITS_A_KEY = 16
FEWEST_BITS, MOST_BITS = 13, 28  # as powers of two: 1 kB to 32 MB
_READ = ("doc_id", "text_id", "n_tokens", "status", "copies", "cluster_id")


@dataclass(frozen=True)
class Written:
    """An intermediate table."""

    path: str
    rows: int


@dataclass(frozen=True)
class NewKeys:
    """The keys of groups that the new documents of one part are in; how many of its documents are new,
    and its first doc_id."""

    keys: Written
    documents: int
    first_doc: int


@dataclass(frozen=True)
class Grouped:
    """One part of the documents: `MEMBERS` by text and by cluster, `NEW` of documents without a copy."""

    texts: Written
    clusters: Written
    alone: Written


def is_new(doc_id: NDArray[np.uint64], new_files: Sequence[int]) -> NDArray[np.bool_]:
    """Whether documents are of new files."""
    return np.isin(doc_id >> np.uint64(32), np.array(new_files, np.uint64))


def _new_rows(part: str, columns: Sequence[str], new_files: Sequence[int]) -> tuple[int, pl.DataFrame]:
    # Most parts hold no new file, and say so in their statistics.
    files = np.unique(np.array(new_files, np.uint64))
    with open_parquet(part) as file:
        place = file.schema_arrow.get_field_index("doc_id")
        groups = range(file.metadata.num_row_groups if file.metadata.num_rows else 0)
        spans = [file.metadata.row_group(group).column(place).statistics for group in groups]
        ends = [np.searchsorted(files, [span.min >> 32, (span.max >> 32) + 1]) for span in spans]
        chosen = [group for group, (low, high) in zip(groups, ends, strict=True) if low < high]
        rows = frame(file.read_row_groups(chosen, list(columns), use_threads=False))
    return spans[0].min if spans else 0, rows.filter(is_new(rows["doc_id"].to_numpy(), new_files))


def _write_keys(keys: pl.Series, path: str) -> Written:
    values = np.unique(keys.drop_nulls().to_numpy())
    return Written(write_mapped(table_of(KEYS, values), path), len(values))


def list_texts(part: str, path: str, *, new_files: Sequence[int]) -> NewKeys:
    """The text_ids and cluster_ids of the new documents in one part of the documents table."""
    first_doc, rows = _new_rows(part, _READ, new_files)
    texts = rows.filter((pl.col("copies") > 1) & (pl.col("status") != "empty"))["text_id"]
    return NewKeys(_write_keys(pl.concat([texts, rows["cluster_id"]]), path), len(rows), first_doc)


def list_passages(part: str, path: str, *, new_files: Sequence[int]) -> Written:
    """The passage_ids that documents of new files hold in one part of the spans table."""
    return _write_keys(_new_rows(part, ("doc_id", "passage_id"), new_files)[1]["passage_id"], path)


def write_sieve(keys: Sequence[Written], path: str) -> str:
    """Make a sieve of keys; a column of bytes."""
    wanted = sum(part.rows for part in keys) * BITS_A_KEY
    bits = min(max(wanted.bit_length(), FEWEST_BITS), MOST_BITS)
    sieve = np.zeros(1 << bits >> 3, np.uint8)
    for part in keys:
        at = read_mapped(part.path).column("key").to_numpy() >> np.uint64(64 - bits)
        np.bitwise_or.at(sieve, at >> np.uint64(3), _bit(at))
    return write_mapped(pa.table({"sieve": sieve}), path)


def _bit(at: NDArray[np.uint64]) -> NDArray[np.uint8]:
    return np.left_shift(np.uint8(1), (at & np.uint64(7)).astype(np.uint8))


class Sieve:
    """What `write_sieve` wrote."""

    def __init__(self, path: str) -> None:
        self._bytes = read_mapped(path).column("sieve").to_numpy()
        self._bits = len(self._bytes).bit_length() + 2

    def holds(self, keys: pl.Series) -> pl.Series:
        """Whether keys may be among those it was made of; false for null."""
        at = keys.fill_null(0).to_numpy() >> np.uint64(64 - self._bits)
        return pl.Series(self._bytes[at >> np.uint64(3)] & _bit(at) != 0) & keys.is_not_null()


def group_documents(part: str, path: str, *, new_files: Sequence[int], sieve: str) -> Grouped:
    """Of one part of the documents, those in groups that may hold a new one, and the new ones."""
    rows = frame(read_output(part, _READ)).filter(pl.col("status") != "empty")
    rows = rows.with_columns(is_new=is_new(rows["doc_id"].to_numpy(), new_files))
    known, repeated = Sieve(sieve), pl.col("copies") > 1
    texts = rows.filter(repeated & known.holds(rows["text_id"])).with_columns(key="text_id")
    clusters = rows.filter(known.holds(rows["cluster_id"])).with_columns(
        key="cluster_id", n_tokens=pl.lit(0, pl.Int64)
    )
    alone = rows.filter(pl.col("is_new") & ~repeated).with_columns(
        first_doc="doc_id", first_earlier=pl.lit(None, pl.UInt64), earlier=pl.lit(0, pl.Int64)
    )
    return Grouped(
        _write_members(texts, f"{path}-texts.arrow"),
        _write_members(clusters, f"{path}-clusters.arrow"),
        written(alone, NEW, f"{path}-alone.arrow"),
    )


def written(rows: pl.DataFrame, schema: pa.Schema, path: str) -> Written:
    """Write an intermediate table in the order of its columns, the first of which is its key."""
    table = rows.select(schema.names).sort(schema.names).to_arrow().cast(schema)
    return Written(write_mapped(table, path), len(table))


def _write_members(rows: pl.DataFrame, path: str) -> Written:
    # Two texts may share a text_id, once in six billion; then their lengths tell them apart.
    new = rows.filter("is_new").with_columns(documents=pl.lit(1, pl.Int64))
    earlier = (
        rows.filter(~pl.col("is_new"))
        .group_by("key", "n_tokens", "is_new")
        .agg(pl.min("doc_id"), pl.len().cast(pl.Int64).alias("documents"))
    )
    return written(pl.concat([part.select(MEMBERS.names) for part in (new, earlier)]), MEMBERS, path)


def find_copies(keys: KeyRange, path: str, *, members: Sequence[str]) -> Written:
    """The new documents among texts of a key range, by the first document of their text."""
    return written(_new_members(keys, members), NEW, path)


def find_clustered(keys: KeyRange, path: str, *, members: Sequence[str]) -> Written:
    """The new documents of clusters of a key range that hold an earlier one, too."""
    return written(_new_members(keys, members).drop_nulls("first_earlier"), CLUSTERED, path)


def _new_members(keys: KeyRange, members: Sequence[str]) -> pl.DataFrame:
    rows, group = frame(mapped_ranges(members, "key", keys, MEMBERS)), ("key", "n_tokens")
    earlier = ~pl.col("is_new")
    return rows.with_columns(
        pl.col("doc_id").min().over(group).alias("first_doc"),
        pl.col("doc_id").filter(earlier).min().over(group).alias("first_earlier"),
        pl.col("documents").filter(earlier).sum().over(group).alias("earlier"),
    ).filter("is_new")
