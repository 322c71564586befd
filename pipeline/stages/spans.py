"""The spans table: where passages stand, in the order of the documents; and what that makes of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, read_ranges, table_of, uint64, write_output, write_work
from pipeline.kernels.cover import covers
from pipeline.schemas import BINS, SPANS
from pipeline.stages.passages import COUNTED
from pipeline.stages.runs import starts_of_runs

# A text that holds repeated passages, named by its first document, by text_id.
REPEATING = pa.schema(
    [
        ("text_id", pa.uint64()),
        ("doc_id", pa.uint64()),
        ("repeated_tokens", pa.int64()),
        ("passage_max_occurrences", pa.int64()),
    ]
)
_EDGES = np.array([low for low, _ in BINS[1:]])


@dataclass(frozen=True)
class SpansResult:
    """One part of the spans table: its texts; tokens and bytes of the corpus inside passages, copies
    of texts counted, by the repeat bin (from the second) of the most frequent passage there."""

    texts: str
    tokens: tuple[int, ...]
    bytes: tuple[int, ...]
    rows: int


def write_spans(span: KeyRange, output: str, path: str, *, counted: Sequence[str]) -> SpansResult:
    """Write the spans of the documents of one range, if there are any.

    Args:
        span: range of doc_id. output: the part's file. path: of the table of texts.
        counted: see `passages.write_passages`.
    """
    rows = _in_order(read_ranges(counted, "doc_id", span, COUNTED).combine_chunks())
    if not len(rows):
        nothing = (0,) * len(_EDGES)
        return SpansResult(write_work(REPEATING.empty_table(), path, "text_id"), nothing, nothing, 0)
    write_output(SPANS, rows.select(SPANS.arrow_schema().names), output)
    doc_id = uint64(rows, "doc_id")
    starts = starts_of_runs(doc_id)
    offsets = np.append(starts, len(doc_id))
    occurrences, token, tokens = (
        rows.column(name).to_numpy() for name in ("occurrences", "token_start", "tokens")
    )
    copies = rows.column("copies").to_numpy()[starts]
    in_tokens, covered = _covered(offsets, token, token + tokens, occurrences)
    byte_start, byte_end = (rows.column(name).to_numpy() for name in ("byte_start", "byte_end"))
    in_bytes, _ = _covered(offsets, byte_start, byte_end, occurrences)
    text_id = uint64(rows, "text_id")[starts]
    order = np.argsort(text_id)
    most = np.maximum.reduceat(occurrences, starts)
    table = table_of(REPEATING, *(c[order] for c in (text_id, doc_id[starts], covered, most)))
    return SpansResult(
        write_work(table, path, "text_id"),
        tuple((copies @ in_tokens).tolist()),
        tuple((copies @ in_bytes).tolist()),
        len(rows),
    )


def _in_order(rows: pa.Table) -> pa.Table:
    # By document and token, both in one number: sorting by two takes several times as long.
    doc_id, token = uint64(rows, "doc_id"), rows.column("token_start").to_numpy()
    bits = int(token.max(initial=0)).bit_length()
    rank = np.searchsorted(np.unique(doc_id), doc_id) << bits
    return rows.take(pa.array(np.argsort(rank | token)))


def _covered(
    offsets: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    occurrences: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # Of each document, by repeat bin and in all.
    sums = np.zeros((len(offsets) - 1, len(_EDGES)), np.int64)
    covered = np.zeros(len(offsets) - 1, np.int64)
    covers(offsets, starts, stops, occurrences, _EDGES, sums, covered)
    return sums, covered
