"""What drop-passages cuts: all places of a repeated passage but the first of the corpus.

Predictable passages (one token or a short cycle over and over, counters) are not cut: their repeats
do no harm, and a table of numbers with holes does. Where places overlap, a first place wins: bytes
that belong to one stay, so every passage still stands once, as a whole. Passages that only copies
of one document hold have no say: the copies go as a whole, and what is left occurs once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, frame, output_ranges, read_output
from pipeline.errors import ArtifactError
from pipeline.mapped import mapped_ranges, write_mapped

PLACED = pa.schema(
    [
        ("passage_id", pa.uint64()),
        ("doc_id", pa.uint64()),
        *((name, pa.int64()) for name in ("byte_start", "byte_end", "token_start", "tokens")),
    ]
)
_PASSAGES = pa.schema(
    [
        ("passage_id", pa.uint64()),
        ("predictable", pa.bool_()),
        ("doc_id", pa.uint64()),
        ("byte_start", pa.int64()),
    ]
)
PLACES = pa.schema(
    [
        ("doc_id", pa.uint64()),
        *((name, pa.int64()) for name in ("byte_start", "byte_end", "token_start", "tokens")),
        ("first", pa.bool_()),
    ]
)


def sort_places(part: str, path: str) -> str:
    """One part of the spans, by passage."""
    rows = frame(read_output(part, PLACED.names)).select(PLACED.names).sort("passage_id")
    return write_mapped(rows.to_arrow().cast(PLACED), path)


def mark_places(keys: KeyRange, path: str, *, placed: Sequence[str], passages: Sequence[str]) -> str:
    """The places of the passages of a key range that have several of them (copies of a text counted
    once) and are not predictable, by document, and whether each is its passage's first.

    Args:
        placed: see `sort_places`. passages: the parts of the passages table.
    """
    rows = frame(mapped_ranges(placed, "passage_id", keys, PLACED))
    known = frame(output_ranges(passages, "passage_id", keys, _PASSAGES))
    joined = rows.join(known, "passage_id", "inner", suffix="_first")
    if len(joined) != len(rows):
        raise ArtifactError(
            "the spans of a run do not fit its passages",
            got=f"{len(rows)} places, {len(joined)} of them of one known passage",
            expected="the tables as the run wrote them",
            fix="restore them, or audit again",
        )
    place = [pl.col(name) == pl.col(f"{name}_first") for name in ("doc_id", "byte_start")]
    first = pl.all_horizontal(place)
    several = pl.len().over("passage_id") > 1
    marked = joined.filter(several & ~pl.col("predictable")).with_columns(first.alias("first"))
    marked = marked.select(PLACES.names).sort("doc_id", "token_start", "tokens")
    return write_mapped(marked.to_arrow().cast(PLACES), path)


def cut_documents(documents: pl.DataFrame, places: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What is cut out of some documents.

    Args:
        documents: by doc_id. places: all of theirs, as `mark_places` gives them.

    Returns:
        The documents with `cut_tokens` and `cut_bytes`, and the stretches of bytes that go: doc_id,
        byte_start, byte_end.
    """
    doc_id, first = places["doc_id"].to_numpy(), places["first"].to_numpy()
    ends = places["byte_end"].to_numpy()
    of_bytes = stretches(doc_id, places["byte_start"].to_numpy(), ends, first)
    starts = places["token_start"].to_numpy()
    of_tokens = stretches(doc_id, starts, starts + places["tokens"].to_numpy(), first)
    lost = [
        ranges.group_by("doc_id").agg((pl.col("end") - pl.col("start")).sum().alias(f"cut_{unit}"))
        for ranges, unit in ((of_bytes, "bytes"), (of_tokens, "tokens"))
    ]
    for table in lost:
        documents = documents.join(table, "doc_id", "left", maintain_order="left")
    counted = documents.with_columns(pl.col("cut_bytes", "cut_tokens").fill_null(0))
    return counted, of_bytes.rename({"start": "byte_start", "end": "byte_end"})


def stretches(
    doc_id: NDArray[np.uint64], start: NDArray[np.int64], end: NDArray[np.int64], first: NDArray[np.bool_]
) -> pl.DataFrame:
    """Where documents are covered by places that are not first, less what first places cover.

    Returns:
        doc_id, start, end, in that order; stretches of one document do not touch.
    """
    doc = np.concatenate((doc_id, doc_id))
    at = np.concatenate((start, end))
    step = np.concatenate((np.ones(len(start), np.int64), np.full(len(end), -1)))
    of_first = np.concatenate((first, first))
    order = np.lexsort((at, doc))
    doc, at, step, of_first = doc[order], at[order], step[order], of_first[order]
    # All that a document opens it closes, so both counts are 0 from one document to the next.
    later, kept = np.cumsum(np.where(of_first, 0, step)), np.cumsum(np.where(of_first, step, 0))
    cut = np.flatnonzero((later[:-1] > 0) & (kept[:-1] == 0) & (at[:-1] < at[1:]))
    begins, stops = at[cut], at[cut + 1]
    joins = (begins[1:] == stops[:-1]) & (doc[cut][1:] == doc[cut][:-1])
    opens, closes = np.append(True, ~joins), np.append(~joins, True)
    if not len(cut):
        opens = closes = np.zeros(0, bool)
    return pl.DataFrame(
        {"doc_id": doc[cut][opens], "start": begins[opens], "end": stops[closes]},
        schema={"doc_id": pl.UInt64, "start": pl.Int64, "end": pl.Int64},
    )
