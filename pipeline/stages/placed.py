"""Where passages stand in a segment's texts, put together from what was cut now and what held before.

A passage shows how it begins in its first place in the corpus; other places may be written otherwise.
An earlier run tells how it begins in what was its first place in the segment. If the text there does
not count any more, because a copy stands before it, then the first place in the corpus is in that copy
or before it, and nobody asks how the passage begins here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.artifacts import read_work, table_of, uint64
from pipeline.kernels import unitigs as kernel
from pipeline.kernels.buffers import binary_slices, text_buffers
from pipeline.kernels.windows import copy_ranges
from pipeline.stages.chosen import Chosen
from pipeline.stages.runs import run_starts, starts_of_runs
from pipeline.stages.unitigs import binary

TEXT_CHARACTERS = 500  # of a passage that its row shows
BEGINNINGS = pa.schema(
    [
        ("passage_id", pa.uint64()),
        ("chosen", pa.int64()),
        ("predictable", pa.bool_()),
        ("text", pa.large_string()),
    ]
)
_KEPT = ("passage_id", "number", "token_start", "tokens", "byte_start", "byte_end")


class Placed(NamedTuple):
    """Places of passages, by passage, those of one in the order of the texts.

    Attributes:
        passage: uint64. chosen: int64, the text's number among those chosen.
        token, tokens, begin, end: int64, see `kernels.unitigs.Spans`.
    """

    passage: NDArray[np.uint64]
    chosen: NDArray[np.int64]
    token: NDArray[np.int64]
    tokens: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]


class Part(NamedTuple):
    """All places in some of the texts; and how passages begin in some of them, `BEGINNINGS` by passage."""

    placed: Placed
    beginnings: pa.Table


def part_of(table: pa.Table, spans: kernel.Spans) -> Part:
    """What was cut out of a table of stretches, each passage with the beginning of its first place."""
    # Stable: the places of a passage stay in the order of the texts.
    order = np.argsort(spans.passage, kind="stable")
    first = order[run_starts(spans.passage[order])]
    chosen = table.column("chosen").to_numpy()[spans.stretch]
    columns = (spans.passage, chosen, spans.token, spans.tokens, spans.begin, spans.end)
    beginnings = table_of(
        BEGINNINGS,
        spans.passage[first],
        chosen[first],
        spans.predictable[first],
        _beginnings(table, spans, first),
    )
    return Part(Placed._make(column[order] for column in columns), beginnings)


def _beginnings(table: pa.Table, spans: kernel.Spans, chosen: NDArray[np.int64]) -> pa.Array:
    # How passages begin, as they stand in their documents.
    data, offsets = text_buffers(binary(table.column("text")))
    stretch = spans.stretch[chosen]
    start = offsets[stretch] - table.column("begin").to_numpy()[stretch]
    first, stop = start + spans.begin[chosen], start + spans.end[chosen]
    cut = np.minimum(stop, first + 4 * TEXT_CHARACTERS)
    for _ in range(3):  # back to where a character begins
        cut = np.where((cut < stop) & ((data[np.minimum(cut, len(data) - 1)] & 0xC0) == 0x80), cut - 1, cut)
    out = np.empty(int((cut - first).sum()), np.uint8)
    copy_ranges(data, first, cut, out)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(cut - first)])
    texts = binary_slices(out, ends).cast(pa.large_string())
    return pc.utf8_slice_codeunits(texts, 0, TEXT_CHARACTERS)


def part_before(places: str, examples: str, chosen: Chosen, reused: NDArray[np.bool_]) -> Part:
    """What an earlier run found in those of the chosen texts that are cut as they were.

    Args:
        places, examples: its tables, see `cutting`. reused: bool[chosen].
    """
    table, shown = read_work(places, _KEPT), read_work(examples)
    numbers = [held.column("number").to_numpy() for held in (table, shown)]
    now = np.full(max(int(held.max(initial=-1)) for held in (*numbers, chosen.number)) + 1, -1, np.int64)
    now[chosen.number[reused]] = np.flatnonzero(reused)
    text, of_example = (now[held] for held in numbers)
    here, serves = np.flatnonzero(text >= 0), np.flatnonzero(of_example >= 0)
    passage, _, *rest = (table.column(name).to_numpy()[here] for name in _KEPT)
    shown = shown.take(pa.array(serves))
    ids, dull, texts = (shown.column(name) for name in ("passage_id", "predictable", "text"))
    beginnings = pa.Table.from_arrays([ids, pa.array(of_example[serves]), dull, texts], schema=BEGINNINGS)
    return Part(Placed(passage, text[here], *rest), beginnings)


def joined(parts: Sequence[Part]) -> Part:
    """All places; and how passages begin in the first of their places, where a part says so.

    Args:
        parts: at least one; no text is in two.
    """
    placed = Placed._make(np.concatenate(columns) for columns in zip(*(p.placed for p in parts), strict=True))
    if len(parts) > 1:
        order = _order(placed.passage, placed.chosen)
        placed = Placed._make(column[order] for column in placed)
    beginnings = pa.concat_tables([part.beginnings for part in parts])
    passage, chosen = uint64(beginnings, "passage_id"), beginnings.column("chosen").to_numpy()
    by_passage = _order(passage, chosen)
    by_passage = by_passage[run_starts(passage[by_passage])]
    firsts = starts_of_runs(placed.passage)
    # Every passage with a beginning has a place, so all are found.
    at = np.searchsorted(placed.passage[firsts], passage[by_passage])
    row = by_passage[chosen[by_passage] == placed.chosen[firsts[at]]]
    if not np.array_equal(row, np.arange(len(beginnings))):
        beginnings = beginnings.take(pa.array(row))
    return Part(placed, beginnings)


def _order(passage: NDArray[np.uint64], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    # By passage, then by text. Of sorted parts a stable sort only has to merge; texts stand in order
    # then but where a part with later ones came first.
    order = np.argsort(passage, kind="stable")
    new = run_starts(passage[order])
    text = chosen[order]
    early = np.flatnonzero(~new[1:] & (text[1:] < text[:-1])) + 1
    if len(early):
        run = np.cumsum(new) - 1
        mixed = np.zeros(int(run[-1]) + 1, np.bool_)
        mixed[run[early]] = True
        rows = np.flatnonzero(mixed[run])
        order[rows] = order[rows][np.lexsort((text[rows], run[rows]))]
    return order
