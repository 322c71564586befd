"""Candidate pairs: texts that share a band key.

A group of n texts gives n - 1 edges to a hub, not n(n - 1)/2 pairs, so the cost is linear in
the group and the most repeated text needs no cap. The hub differs from band to band.

Edges are counted: how many groups propose each. So a run that has all texts of an earlier one, and
others, looks at the groups of the others only, at what those groups propose now and did not without
them, and the other way about. What comes to no group at all is no candidate any longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, table_of, uint64
from pipeline.kernels.sorted_keys import members
from pipeline.kernels.stars import stars
from pipeline.mapped import mapped_range, mapped_ranges, read_mapped, write_mapped
from pipeline.stages.runs import alone, run_starts, starts_of_runs
from pipeline.stages.scan import BANDS, Segment

# How many more groups propose an edge than in the earlier run.
EDGES = pa.schema([("left", pa.uint64()), ("right", pa.uint64()), ("times", pa.int64())])
Edges = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]
_MOST_BITS = 20  # of a table of flags: 1 MiB, which fits into the caches
_GROUP_BITS = 24


def distinct_edges(left: NDArray[np.uint64], right: NDArray[np.uint64], times: NDArray[np.int64]) -> Edges:
    """Each edge once, in order of (left, right), with the sum of its times; none whose sum is 0."""
    order = np.lexsort((right, left))
    left, right, times = left[order], right[order], times[order]
    once = starts_of_runs(left, right)
    if len(once):
        left, right, times = left[once], right[once], np.add.reduceat(times, once)
    some = times != 0
    return left[some], right[some], times[some]


class Few:
    """A few numbers, of which it is quickly told whether others are among them.

    By a table of their highest bits first: of hashes that leaves few to be looked up.
    """

    def __init__(self, few: NDArray[np.uint64]) -> None:
        self._few = np.unique(few)
        # 64 places or more for each of them.
        self._shift = np.uint64(64 - min(len(self._few).bit_length() + 6, _MOST_BITS))
        self._flags = np.zeros(1 << 64 - int(self._shift), np.bool_)
        self._flags[self._few >> self._shift] = True

    def among(self, values: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The places of those values that are among them, ascending."""
        at = np.flatnonzero(self._flags[values >> self._shift])
        wanted = values[at]
        place = np.searchsorted(self._few, wanted)
        found: NDArray[np.int64] = at[self._few[np.minimum(place, len(self._few) - 1)] == wanted]
        return found


def propose(
    keys: KeyRange, path: str, *, segments: Sequence[Segment], new: Sequence[str] | None = None
) -> tuple[str, int]:
    """The star edges of all band groups in a range of band keys, or how they differ from an earlier run's.

    Args:
        new: see `newcomers.Newcomers.new`: tables of the texts that the earlier run had not, if there is
            one whose texts are all here.

    Returns:
        The path of a table of distinct edges (two text_ids, left < right) sorted by left, and
        how many there are.
    """
    files = [f"{segment.path}/bands.arrow" for segment in segments]
    if new is None:
        bands = mapped_ranges(files, "key", keys, BANDS)
        key, text = _groups(uint64(bands, "key"), uint64(bands, "text_id"))
        fresh = np.ones(len(key), np.bool_)
    else:
        newcomers = Few(_joined(uint64(read_mapped(part), "text_id") for part in new))
        key, text = _groups(*_touched([mapped_range(file, "key", keys)[1] for file in files], newcomers))
        fresh = np.zeros(len(key), np.bool_)
        fresh[newcomers.among(text)] = True
    edges = distinct_edges(*_stars(key, text, fresh))
    return write_mapped(table_of(EDGES, *edges), path), len(edges[0])


def _touched(bands: Sequence[pa.Table], newcomers: Few) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    # Those groups alone that a newcomer is in, from tables sorted by key.
    columns = [(uint64(table, "key"), uint64(table, "text_id")) for table in bands]
    touched = np.unique(_joined(key[newcomers.among(text)] for key, text in columns))
    rows = [members(key, touched) for key, _ in columns]
    key, text = (_joined(c[i][at] for c, at in zip(columns, rows, strict=True)) for i in (0, 1))
    return key, text


def _joined(parts: Iterable[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    return np.concatenate([np.zeros(0, np.uint64), *parts])


def _groups(
    key: NDArray[np.uint64], text: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    # In order, each text once in a group, groups of one text left out.
    order = np.argsort(key)
    key, text = key[order], text[order]
    shared = ~alone(run_starts(key))
    key, text = key[shared], text[shared]
    order = _in_groups(key, text)
    key, text = key[order], text[order]
    once = starts_of_runs(key, text)
    return key[once], text[once]


def _in_groups(key: NDArray[np.uint64], text: NDArray[np.uint64]) -> NDArray[np.int64]:
    # An order by (key, text), of keys that ascend. One sort of numbers of groups beside the beginnings of
    # texts takes a third of the time of a sort by both, and will do unless two of a group begin alike.
    group = np.cumsum(run_starts(key))
    if len(group) and int(group[-1]) < 1 << _GROUP_BITS:
        name = group.astype(np.uint64) << np.uint64(64 - _GROUP_BITS) | text >> np.uint64(_GROUP_BITS)
        order = np.argsort(name)
        named, ordered = name[order], text[order]
        if not np.any((named[1:] == named[:-1]) & (ordered[1:] != ordered[:-1])):
            return order
    return np.lexsort((text, key))


def _stars(key: NDArray[np.uint64], text: NDArray[np.uint64], fresh: NDArray[np.bool_]) -> Edges:
    room = len(key) if fresh.all() else 2 * len(key)
    left, right, times = np.empty(room, np.uint64), np.empty(room, np.uint64), np.empty(room, np.int64)
    n = stars(key, text, fresh, left, right, times)
    return left[:n], right[:n], times[:n]
