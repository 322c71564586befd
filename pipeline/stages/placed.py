"""Where passages stand in a segment's texts, put together from what was cut now and what held before.

A passage shows how it begins in its first place in the corpus; other places may be written otherwise.
An earlier run tells how it begins in what was its first place in the segment. If the text there does
not count any more, because a copy stands before it, then the first place in the corpus is in that copy
or before it, and nobody asks how the passage begins here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.artifacts import table_of
from pipeline.kernels import unitigs as kernel
from pipeline.kernels.buffers import binary_slices, text_buffers
from pipeline.kernels.windows import copy_ranges
from pipeline.mapped import read_mapped
from pipeline.stages.runs import run_starts
from pipeline.stages.standing import BEGINNINGS, Standing
from pipeline.stages.unitigs import binary

TEXT_CHARACTERS = 500  # of a passage that its row shows


class Spans(NamedTuple):
    """Places of passages, in the order of the texts.

    Attributes:
        number: uint64, of the text among the segment's anchored ones.
        token, tokens, begin, end: int64, see `kernels.unitigs.Spans`.
    """

    number: NDArray[np.uint64]
    token: NDArray[np.int64]
    tokens: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]


class Part(NamedTuple):
    """All places in some of the texts: where, of which passages, whether predictable; and how those
    passages begin in the first of these places, `BEGINNINGS` by passage."""

    spans: Spans
    passage: NDArray[np.uint64]
    predictable: NDArray[np.bool_]
    beginnings: pa.Table


@dataclass(frozen=True)
class Placed:
    """All places in a segment.

    Attributes:
        spans: in order. passage: uint32, the row of each among the passages.
        passage_id: uint64, the passages, sorted. predictable: bool, of each.
        told: int64, the text in which it is known from before how each begins; -1: in none.
        same: whether all places are those of before.
    """

    spans: Spans
    passage: NDArray[np.uint32]
    passage_id: NDArray[np.uint64]
    predictable: NDArray[np.bool_]
    told: NDArray[np.int64]
    same: bool


def part_of(table: pa.Table, spans: kernel.Spans, numbers: NDArray[np.int64]) -> Part:
    """What was cut out of a table of stretches; `numbers`: of the texts they are of."""
    number = numbers[table.column("chosen").to_numpy()[spans.stretch]]
    # Stable: the places of a passage stay in the order of the texts.
    order = np.argsort(spans.passage, kind="stable")
    first = order[run_starts(spans.passage[order])]
    begins = _beginnings(table, spans, first)
    beginnings = table_of(BEGINNINGS, spans.passage[first], number[first], begins)
    where = Spans(number.astype(np.uint64), spans.token, spans.tokens, spans.begin, spans.end)
    return Part(where, spans.passage, spans.predictable, beginnings)


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


class _Before(NamedTuple):
    # Places that hold, and the passages of all places there were: passage is a row of the latter.
    spans: Spans
    passage: NDArray[np.uint32]
    passage_id: NDArray[np.uint64]
    predictable: NDArray[np.bool_]
    told: NDArray[np.int64]
    all_hold: bool


def _before(standing: Standing | None, holds: NDArray[np.bool_]) -> _Before:
    no_ids, no_numbers = np.zeros(0, np.uint64), np.zeros(0, np.int64)
    if standing is None:
        nowhere = Spans(no_ids, *(no_numbers,) * 4)
        return _Before(nowhere, np.zeros(0, np.uint32), no_ids, np.zeros(0, np.bool_), no_numbers, False)
    table = read_mapped(standing.places)
    *where, passage = (table.column(name).to_numpy() for name in table.column_names)
    listed = read_mapped(standing.passages, ["passage_id", "predictable", "number"])
    passage_id, predictable, told = (listed.column(name).to_numpy() for name in listed.column_names)
    here = holds[where[0].astype(np.int64)]
    if not here.all():
        where, passage = [column[here] for column in where], passage[here]
    return _Before(Spans(*where), passage, passage_id, predictable, told, bool(here.all()))


def joined(parts: Sequence[Part], standing: Standing | None, holds: NDArray[np.bool_]) -> Placed:
    """All places of a segment.

    Args:
        parts: that were cut now; no text is in two. standing: what there was before, if anything;
            holds: bool[anchored texts], those whose places of before are theirs now.
    """
    before = _before(standing, holds)
    if before.all_hold and not parts:
        return Placed(*before[:5], True)
    spans = Spans._make(
        np.concatenate(columns) for columns in zip(before.spans, *(part.spans for part in parts), strict=True)
    )
    passage = np.concatenate([np.zeros(0, np.uint64), *(part.passage for part in parts)])
    new, first, inverse = _distinct(passage)
    used = np.zeros(len(before.passage_id), np.bool_)
    used[before.passage] = True
    passage_id = np.union1d(before.passage_id[used], new)
    of_old, of_new = (np.searchsorted(passage_id, ids) for ids in (before.passage_id[used], new))
    row = np.zeros(len(before.passage_id), np.int64)
    row[used] = of_old
    predictable, told = np.zeros(len(passage_id), np.bool_), np.full(len(passage_id), -1, np.int64)
    predictable[of_old], told[of_old] = before.predictable[used], before.told[used]
    if len(new):
        predictable[of_new] = np.concatenate([part.predictable for part in parts])[first]
    rows = np.concatenate([row[before.passage], of_new[inverse]]).astype(np.uint32)
    if len(before.passage) or len(parts) > 1:
        # Of sorted parts a stable sort only has to merge.
        order = np.argsort(spans.number, kind="stable")
        spans, rows = Spans._make(column[order] for column in spans), rows[order]
    return Placed(spans, rows, passage_id, predictable, told, False)


def _distinct(
    passage: NDArray[np.uint64],
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    # Distinct values, sorted; where each first stands; the number of each value among them.
    order = np.argsort(passage, kind="stable")
    new = run_starts(passage[order])
    inverse = np.empty(len(passage), np.int64)
    inverse[order] = np.cumsum(new) - 1
    first = order[new]
    return passage[first], first, inverse
