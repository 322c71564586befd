"""Candidate pairs: texts that share a band key.

A group of n texts gives n - 1 edges to a hub, not n(n - 1)/2 pairs, so the cost is linear in
the group and the most repeated text needs no cap. The hub differs from band to band.

Edges are counted: how many groups propose each. So a run that has all texts of an earlier one, and
others, looks at the groups of the others only: it takes back what those groups proposed without them
and adds what they propose now. What comes to no group at all is no candidate any longer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, table_of, uint64
from pipeline.kernels.stars import stars
from pipeline.mapped import mapped_ranges, read_mapped, write_mapped
from pipeline.stages.runs import starts_of_runs
from pipeline.stages.scan import BANDS, Segment

# How many more groups propose an edge than in the earlier run.
EDGES = pa.schema([("left", pa.uint64()), ("right", pa.uint64()), ("times", pa.int64())])
Edges = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.int64]]
_TOP_BITS = 20


def distinct_edges(left: NDArray[np.uint64], right: NDArray[np.uint64], times: NDArray[np.int64]) -> Edges:
    """Each edge once, in order of (left, right), with the sum of its times; none whose sum is 0."""
    order = np.lexsort((right, left))
    left, right, times = left[order], right[order], times[order]
    once = starts_of_runs(left, right)
    if len(once):
        left, right, times = left[once], right[once], np.add.reduceat(times, once)
    some = times != 0
    return left[some], right[some], times[some]


def among(values: NDArray[np.uint64], few: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which values are among a few others, which ascend.

    By a table of their highest bits first: of hashes that leaves few to be looked up.
    """
    top = np.uint64(64 - _TOP_BITS)
    flags = np.zeros(1 << _TOP_BITS, np.bool_)
    flags[few >> top] = True
    found: NDArray[np.bool_] = flags[values >> top]
    at = np.flatnonzero(found)
    if len(at):
        place = np.minimum(np.searchsorted(few, values[at]), len(few) - 1)
        found[at] = few[place] == values[at]
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
    bands = mapped_ranges((f"{s.path}/bands.arrow" for s in segments), "key", keys, BANDS)
    key, text = uint64(bands, "key"), uint64(bands, "text_id")
    if new is None:
        edges = _stars(*_groups(key, text))
    else:
        fresh = np.concatenate(
            [np.zeros(0, np.uint64), *(uint64(read_mapped(part), "text_id") for part in new)]
        )
        touched = among(key, np.unique(key[among(text, fresh)]))
        key, text = _groups(key[touched], text[touched])
        old = ~among(text, fresh)
        edges = _joined(_stars(key, text), _stars(key[old], text[old], -1))
    edges = distinct_edges(*edges)
    return write_mapped(table_of(EDGES, *edges), path), len(edges[0])


def _groups(
    key: NDArray[np.uint64], text: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    # In order, each text once in a group, groups of one text left out.
    order = np.argsort(key)
    key, text = key[order], text[order]
    shared = np.zeros(len(key), np.bool_)
    same = key[1:] == key[:-1]
    shared[1:] |= same
    shared[:-1] |= same
    key, text = key[shared], text[shared]
    order = np.lexsort((text, key))
    key, text = key[order], text[order]
    once = starts_of_runs(key, text)
    return key[once], text[once]


def _stars(key: NDArray[np.uint64], text: NDArray[np.uint64], times: int = 1) -> Edges:
    left, right = np.empty(len(key), np.uint64), np.empty(len(key), np.uint64)
    n = stars(key, text, left, right)
    return left[:n], right[:n], np.full(n, times)


def _joined(one: Edges, two: Edges) -> Edges:
    left, right, times = (np.concatenate(pair) for pair in zip(one, two, strict=True))
    return left, right, times
