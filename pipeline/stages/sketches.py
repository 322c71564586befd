"""Drop the candidate pairs whose sketches say they are clearly not near.

A pair goes when the similarity its two sketches estimate lies three standard errors or more
under the floor; a pair at the floor is lost with a probability of about 0.001, one at the
threshold practically never. The two sketches are brought together by two joins on sorted keys,
first on one end of the edges, then on the other, so no task holds the sketches of more than one
key range.

What two sketches say depends on nothing else: pairs of an earlier run are taken over with the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, table_of, uint64
from pipeline.kernels.buffers import binary_rows, rows_of_binary
from pipeline.mapped import mapped_ranges, write_mapped
from pipeline.sketching import estimated, least_estimate
from pipeline.stages.candidates import EDGES, among, distinct_edges
from pipeline.stages.components import EDGE_ENDS, write_forest
from pipeline.stages.scan import Segment, sketches_of
from pipeline.stages.units import write_edge_sums

_COMPARED_AT_ONCE = 1 << 16
# Candidates sorted by (right, left): how many band groups propose them, and whether sketches let them pass.
PROPOSED = pa.schema(
    [("right", pa.uint64()), ("left", pa.uint64()), ("times", pa.int64()), ("near", pa.bool_())]
)


@dataclass(frozen=True)
class Survivors:
    """One key range of edges after the sketches were compared: sorted by right, its forest, and what
    it adds to the fingerprints of components; all that were proposed as `PROPOSED`, for the next run,
    how often they were and how many they are, how many of them were in the earlier run, too."""

    edges: str
    forest: str
    sums: str
    proposed: str
    star_edges: int
    compared: int
    kept: int
    known: int


def half_joined_schema(permutations: int) -> pa.Schema:
    """Edges with the sketch of their left end, sorted by right."""
    numbers = [("right", pa.uint64()), ("left", pa.uint64()), ("times", pa.int64())]
    return pa.schema([*numbers, ("sketch", pa.binary(permutations))])


def attach_left(
    keys: KeyRange, path: str, *, segments: Sequence[Segment], candidates: Sequence[str], permutations: int
) -> str:
    """Merge equal edges whose left end lies in a key range and attach that end's sketch."""
    edges = mapped_ranges(candidates, "left", keys, EDGES)
    left, right, times = distinct_edges(
        uint64(edges, "left"), uint64(edges, "right"), edges.column("times").to_numpy()
    )
    sketches = sketches_of(segments, keys, permutations, left)
    order = np.argsort(right, kind="stable")
    columns = right[order], left[order], times[order], binary_rows(sketches[order])
    return write_mapped(table_of(half_joined_schema(permutations), *columns), path)


def estimates(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The Jaccard that pairs of sketches (uint8[n, p] each) estimate, corrected for chance."""
    agreeing = np.empty(len(one), np.int64)
    for i in range(0, len(one), _COMPARED_AT_ONCE):
        stop = i + _COMPARED_AT_ONCE
        agreeing[i:stop] = np.count_nonzero(one[i:stop] == two[i:stop], axis=1)
    return estimated(agreeing, one.shape[1])


def filter_right(
    keys: KeyRange,
    path: str,
    *,
    segments: Sequence[Segment],
    half_joined: Sequence[str],
    floor: float,
    permutations: int,
    earlier: Sequence[str] = (),
) -> Survivors:
    """Compare the sketches of the edges whose right end lies in a key range and keep the near ones.

    Args:
        half_joined: edges, or how they differ from an earlier run's. earlier: what that proposed.
    """
    table = mapped_ranges(half_joined, "right", keys, half_joined_schema(permutations))
    before = mapped_ranges(earlier, "right", keys, PROPOSED)
    order = np.lexsort((uint64(table, "left"), uint64(table, "right")))
    table = table.take(pa.array(order))
    known, place = _matched(before, table)
    times = before.column("times").to_numpy().copy()
    times[place[known]] += table.column("times").to_numpy()[known]
    fresh = table.filter(pa.array(~known))
    right = uint64(fresh, "right")
    mine = sketches_of(segments, keys, permutations, right)
    near = estimates(rows_of_binary(fresh.column("sketch"), permutations), mine) >= least_estimate(
        floor, permutations
    )
    stay = times != 0
    at = np.append(0, np.cumsum(stay))[place[~known]]
    columns = [uint64(before, "right"), uint64(before, "left"), times, before.column("near").to_numpy()]
    added = [right, uint64(fresh, "left"), fresh.column("times").to_numpy(), near]
    proposed = [np.insert(old[stay], at, new) for old, new in zip(columns, added, strict=True)]
    right, left, times, near = proposed
    left, right = left[near], right[near]
    return Survivors(
        write_mapped(table_of(EDGE_ENDS, left, right), f"{path}-edges.arrow"),
        write_forest(left, right, f"{path}-forest.arrow"),
        write_edge_sums(left, right, f"{path}-sums.arrow"),
        write_mapped(table_of(PROPOSED, *proposed), f"{path}-proposed.arrow"),
        int(times.sum()),
        len(times),
        len(left),
        int(np.count_nonzero(stay)),
    )


def _matched(before: pa.Table, table: pa.Table) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    # Both in order of (right, left). Of each edge of a table whether it is in the one before, and its
    # place there, or that of the first behind it.
    right, left, wanted = uint64(before, "right"), uint64(before, "left"), uint64(table, "right")
    # Few rights of the one before are wanted; their edges stand together.
    some = np.flatnonzero(among(right, np.unique(wanted)))
    ends = [np.concatenate(pair) for pair in ((right[some], wanted), (left[some], uint64(table, "left")))]
    names = _numbered(ends[0]) * (len(ends[0]) + 1) + _numbered(ends[1])
    mine, n = names[len(some) :], len(some)
    at = np.searchsorted(names[:n], mine)
    known = names[:n][np.minimum(at, n - 1)] == mine if n else np.zeros(len(mine), np.bool_)
    behind = np.searchsorted(right, wanted, side="right")
    return known, np.minimum(np.append(some, len(right))[at], behind)


def _numbered(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    # Their ranks among the distinct ones.
    return np.searchsorted(np.unique(values), values)
