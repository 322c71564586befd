"""Where passages stand in a segment's texts, put together from what was cut now and what held before.

A passage shows how it begins in its first place in the corpus; other places may be written otherwise.
An earlier run tells how it begins in what was its first place in the segment. If the text there does
not count any more, because a copy stands before it, then the first place in the corpus is in that copy
or before it, and nobody asks how the passage begins here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

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
Numbers = NDArray[np.uint32] | NDArray[np.int64]
_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")
_NARROW = np.iinfo(np.uint32).max  # no byte of a text that is not over 4 GB is beyond


class Spans(NamedTuple):
    """Places of passages, in the order of the texts.

    Attributes:
        number: uint32, of the text among the segment's anchored ones.
        token, tokens, begin, end: see `kernels.unitigs.Spans`; all uint32 or all int64.
    """

    number: NDArray[np.uint32]
    token: Numbers
    tokens: Numbers
    begin: Numbers
    end: Numbers


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


class Told(NamedTuple):
    """What is known from before of how passages begin in a segment.

    Attributes:
        passage_id: uint64, sorted. number: int64, the text in which it is known of each.
        holds: bool[anchored texts], those that are cut as they were.
    """

    passage_id: NDArray[np.uint64]
    number: NDArray[np.int64]
    holds: NDArray[np.bool_]

    def wanted(self, passage: NDArray[np.uint64], number: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Of passages (sorted) that stand in these texts, those of which more may have to be known.

        Not where that very text is known, nor where one before it is that still holds the passage.
        """
        if not len(self.passage_id):
            return np.ones(len(passage), np.bool_)
        at = np.minimum(np.searchsorted(self.passage_id, passage), len(self.passage_id) - 1)
        known = self.number[at]
        spared = (known == number) | ((known < number) & self.holds[known])
        return np.asarray((self.passage_id[at] != passage) | ~spared)


def told_of(standing: Standing | None, holds: NDArray[np.bool_]) -> Told:
    """What is known from what there was before, if anything was; `holds`: see `Told`."""
    if standing is None:
        return Told(np.zeros(0, np.uint64), np.zeros(0, np.int64), holds)
    listed = read_mapped(standing.passages, ["passage_id", "number"])
    passage_id, number = (column.to_numpy() for column in listed.columns)
    return Told(passage_id, number, holds)


def part_of(table: pa.Table, spans: kernel.Spans, numbers: NDArray[np.int64], told: Told) -> Part:
    """What was cut out of a table of stretches; `numbers`: of the texts they are of."""
    number = numbers[table.column("chosen").to_numpy()[spans.stretch]]
    # Stable: the places of a passage stay in the order of the texts.
    order = np.argsort(spans.passage, kind="stable")
    first = order[run_starts(spans.passage[order])]
    first = first[told.wanted(spans.passage[first], number[first])]
    begins = _beginnings(table, spans, first)
    beginnings = table_of(BEGINNINGS, spans.passage[first], number[first], begins)
    where = Spans(number.astype(np.uint32), *_narrow(spans.token, spans.tokens, spans.begin, spans.end))
    return Part(where, spans.passage, spans.predictable, beginnings)


def _narrow(*columns: NDArray[np.int64]) -> list[Numbers]:
    # Half as much is written each night where texts are not larger than any.
    if all(int(column.max(initial=0)) <= _NARROW for column in columns):
        return [column.astype(np.uint32) for column in columns]
    return list(columns)


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
    # The places there were, and their passages: passage is a row of the latter.
    spans: Spans
    passage: NDArray[np.uint32]
    passage_id: NDArray[np.uint64]
    predictable: NDArray[np.bool_]
    told: NDArray[np.int64]


def _before(standing: Standing | None) -> _Before:
    if standing is None:
        nothing = np.zeros(0, np.uint32)
        return _Before(
            Spans(*(nothing,) * 5), nothing, nothing.astype(np.uint64), nothing > 0, nothing.astype(np.int64)
        )
    *where, passage = (column.to_numpy() for column in read_mapped(standing.places).columns)
    listed = read_mapped(standing.passages, ["passage_id", "predictable", "number"])
    return _Before(Spans(*where), passage, *(column.to_numpy() for column in listed.columns))


def joined(parts: Sequence[Part], standing: Standing | None, holds: NDArray[np.bool_]) -> Placed:
    """All places of a segment.

    Args:
        parts: that were cut now; no text is in two. standing: what there was before, if anything;
            holds: bool[anchored texts], those whose places of before are theirs now.
    """
    before = _before(standing)
    now, passage, predictable_now = _together(parts)
    blocks = _blocks(before.spans.number, now.number, _lost(standing, holds))
    if not parts and blocks.all_hold:
        return Placed(*before, True)
    new, first, inverse = _distinct(passage)
    kept = np.zeros(len(before.passage_id), np.bool_)
    for begin, stop in blocks.before:
        kept[before.passage[begin:stop]] = True
    passage_id, of_old, of_new = _union(before.passage_id[kept], new)
    row = np.zeros(len(before.passage_id), np.uint32)
    row[kept] = of_old
    predictable, told = np.zeros(len(passage_id), np.bool_), np.full(len(passage_id), -1, np.int64)
    predictable[of_old], told[of_old] = before.predictable[kept], before.told[kept]
    predictable[of_new] = predictable_now[first]
    spans = Spans._make(blocks.joined(*columns) for columns in zip(before.spans, now, strict=True))
    rows = blocks.joined(row[before.passage], of_new.astype(np.uint32)[inverse])
    return Placed(spans, rows, passage_id, predictable, told, False)


def _together(parts: Sequence[Part]) -> tuple[Spans, NDArray[np.uint64], NDArray[np.bool_]]:
    # All parts as one, in the order of the texts.
    nothing = np.zeros(0, np.uint32)
    every = [Spans(*(nothing,) * 5), *(part.spans for part in parts)]
    spans = Spans._make(np.concatenate(columns) for columns in zip(*every, strict=True))
    passage = np.concatenate([np.zeros(0, np.uint64), *(part.passage for part in parts)])
    predictable = np.concatenate([nothing > 0, *(part.predictable for part in parts)])
    if len(parts) > 1:
        # Of sorted parts a stable sort only has to merge.
        order = np.argsort(spans.number, kind="stable")
        return Spans._make(column[order] for column in spans), passage[order], predictable[order]
    return spans, passage, predictable


class _Blocks(NamedTuple):
    # What is taken, by turns, from the places of before and from those of now: begin and stop of each.
    before: list[tuple[int, int]]
    now: list[tuple[int, int]]
    all_hold: bool

    def joined(self, before: NDArray[Any], now: NDArray[Any]) -> NDArray[Any]:
        # A column of both.
        if not len(before):
            return now
        pieces = zip(self.before, self.now, strict=True)
        return np.concatenate([part for (a, b), (c, d) in pieces for part in (before[a:b], now[c:d])])


def _lost(standing: Standing | None, holds: NDArray[np.bool_]) -> NDArray[np.uint32]:
    # The texts that were cut and do not hold.
    cut = np.zeros(0, np.int64) if standing is None else standing.numbers()
    return cut[~holds[cut]].astype(np.uint32)


def _blocks(before: NDArray[np.uint32], now: NDArray[np.uint32], lost: NDArray[np.uint32]) -> _Blocks:
    # Places come in the order of the texts, and few of these are cut anew: what lies between two of
    # them is one block. Texts that are lost and had no places make no block.
    numbers = np.union1d(lost, now[run_starts(now)])
    edges = [np.searchsorted(column, numbers, side) for column in (before, now) for side in _SIDES]
    some = np.flatnonzero((edges[0] < edges[1]) | (edges[2] < edges[3]))
    begin, stop, first, last = (edge[some].tolist() for edge in edges)
    return _Blocks(
        list(zip([0, *stop], [*begin, len(before)], strict=True)),
        [*zip(first, last, strict=True), (len(now), len(now))],
        begin == stop,
    )


def _union(
    old: NDArray[np.uint64], new: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    # The union of sorted distinct values, sorted, and where in it those of either are.
    at = np.searchsorted(old, new)
    there = at < len(old)
    there[there] = old[at[there]] == new[there]
    added = np.flatnonzero(~there)
    passage_id = np.insert(old, at[added], new[added])
    before_new: NDArray[np.int64] = np.cumsum(~there) - ~there
    before_old = np.cumsum(np.bincount(at[added], minlength=len(old) + 1))[:-1]
    return passage_id, np.arange(len(old)) + before_old, np.asarray(at + before_new)


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
