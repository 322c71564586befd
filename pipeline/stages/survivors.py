"""Which anchors repeat in the corpus, and how much that says about their windows.

A row of a segment's anchors is a survivor if its gram is the minimizer of another window of
the corpus as well. Three cases:

- SETTLED: all anchors of the gram have one context. Their windows occur equally often, twice or
  more, and each continues alike wherever it stands.
- SEVERAL: there are other contexts, but this one occurs twice or more: so does each of its windows;
  where they branch is not known yet.
- SINGLE: there are other contexts and this one occurs once: its windows may occur elsewhere.

What a row is follows from the rows with its gram. Where an earlier run told what the rows of most
segments are, only grams that stand in the others, or in segments that are gone, are looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, table_of, uint64
from pipeline.kernels.sorted_keys import members
from pipeline.mapped import mapped_range, write_mapped
from pipeline.stages.anchors import pair_order
from pipeline.stages.runs import alike, alone, run_starts
from pipeline.stages.scan import Segment

# A survivor's number: that of its segment, of its row there, and which of the three it is.
SURVIVORS = pa.schema([("survivor", pa.uint64())])
NONE, SETTLED, SEVERAL, SINGLE = 0, 1, 2, 3
_SEGMENT_BITS, _KIND_BITS = 40, 2
_MANY = np.uint64(1)
_CONTEXT = ~_MANY


@dataclass(frozen=True)
class Survivors:
    """One key range: its survivors, sorted; how many anchors were looked at, how many rows are told.

    Of a segment whose rows were known, the rows that were looked at again are told, NONE or not.
    """

    path: str
    anchors: int
    survivors: int


class _Rows(NamedTuple):
    # Rows of a segment by gram: what they hold, and their numbers.
    gram: NDArray[np.uint64]
    context: NDArray[np.uint64]
    row: NDArray[np.uint64]

    def at(self, rows: NDArray[np.int64]) -> _Rows:
        return _Rows._make(column[rows] for column in self)


def survivors_of(segment: int) -> KeyRange:
    """The survivors of a segment."""
    return segment << _SEGMENT_BITS, (segment + 1) << _SEGMENT_BITS


def rows_and_kinds(survivors: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The rows and kinds that survivors of one segment stand for."""
    inside = survivors & np.uint64((1 << _SEGMENT_BITS) - 1)
    kinds = inside & np.uint64((1 << _KIND_BITS) - 1)
    return (inside >> np.uint64(_KIND_BITS)).astype(np.int64), kinds.astype(np.uint8)


def find_survivors(
    keys: KeyRange,
    path: str,
    *,
    segments: Sequence[Segment],
    known: Sequence[bool] = (),
    gone: Sequence[str] = (),
) -> Survivors:
    """Find the survivors among the anchors of all segments whose gram lies in a key range.

    Args:
        known: of each segment, whether an earlier run told what its rows are; empty: of none.
        gone: tables of anchors of the segments that run had and this one has not.
    """
    parts = [_rows(segment, keys) for segment in segments]
    if any(known):
        others = [part.gram for part, told in zip(parts, known, strict=True) if not told]
        lost = [uint64(mapped_range(path, "gram", keys)[1], "gram") for path in gone]
        touched = np.unique(np.concatenate([np.zeros(0, np.uint64), *others, *lost]))
        parts = [
            part.at(members(part.gram, touched)) if told else part
            for part, told in zip(parts, known, strict=True)
        ]
    nothing = _Rows(*(np.zeros(0, np.uint64),) * 3)
    gram, context, row = (np.concatenate(columns) for columns in zip(nothing, *parts, strict=True))
    lengths = [len(part.gram) for part in parts]
    segment = np.repeat(np.arange(len(parts), dtype=np.uint64), lengths)
    kinds = _kinds(gram, context)
    told = kinds != NONE
    if any(known):
        told |= np.repeat(np.array(known), lengths)
    place = segment[told] << np.uint64(_SEGMENT_BITS) | row[told] << np.uint64(_KIND_BITS)
    found = np.sort(place | kinds[told].astype(np.uint64))
    return Survivors(write_mapped(table_of(SURVIVORS, found), path), len(gram), len(found))


def _rows(segment: Segment, keys: KeyRange) -> _Rows:
    first, table = mapped_range(f"{segment.path}/anchors.arrow", "gram", keys)
    row = np.arange(first, first + len(table), dtype=np.uint64)
    return _Rows(uint64(table, "gram"), uint64(table, "context"), row)


def _kinds(gram: NDArray[np.uint64], context: NDArray[np.uint64]) -> NDArray[np.uint8]:
    kinds = np.zeros(len(gram), np.uint8)
    order = np.argsort(gram)
    new = run_starts(gram[order])
    # A gram with one row, which stands for one anchor, does not survive.
    kept = ~alone(new) | (context[order] & _MANY).astype(np.bool_)
    order, new = order[kept], new[kept]
    bare = context[order] & _CONTEXT
    run = np.cumsum(new) - 1
    mixed = ~alike(bare, new, run)[run]
    kinds[order] = np.where(mixed, SINGLE, SETTLED)
    among = order[mixed]
    by_pair = among[pair_order(gram[among], bare[mixed])]
    first_of_pair = run_starts(gram[by_pair], context[by_pair] & _CONTEXT)
    twice = ~alone(first_of_pair) | (context[by_pair] & _MANY).astype(np.bool_)
    kinds[by_pair[twice]] = SEVERAL
    return kinds
