"""Drop the candidate pairs whose sketches say they are clearly not near.

A pair goes when the similarity its two sketches estimate lies three standard errors or more
under the floor; a pair at the floor is lost with a probability of about 0.001, one at the
threshold practically never. The two sketches are brought together by two joins on sorted keys,
first on one end of the edges, then on the other, so no task holds the sketches of more than one
key range.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, read_ranges, table_of, uint64, write_work
from pipeline.kernels.buffers import binary_rows, rows_of_binary
from pipeline.sketching import estimated, least_estimate
from pipeline.stages.candidates import EDGES, distinct_edges
from pipeline.stages.components import write_forest
from pipeline.stages.scan import Segment, sketches_of
from pipeline.stages.units import write_edge_sums

_COMPARED_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Survivors:
    """One key range of edges after the sketches were compared: sorted by right, its forest, and what
    it adds to the fingerprints of components."""

    edges: str
    forest: str
    sums: str
    compared: int
    kept: int


def half_joined_schema(permutations: int) -> pa.Schema:
    """Edges with the sketch of their left end, sorted by right."""
    return pa.schema([("right", pa.uint64()), ("left", pa.uint64()), ("sketch", pa.binary(permutations))])


def attach_left(
    keys: KeyRange, path: str, *, segments: Sequence[Segment], candidates: Sequence[str], permutations: int
) -> str:
    """Merge equal edges whose left end lies in a key range and attach that end's sketch."""
    edges = read_ranges(candidates, "left", keys, EDGES)
    left, right = distinct_edges(uint64(edges, "left"), uint64(edges, "right"))
    sketches = sketches_of(segments, keys, permutations, left)
    order = np.argsort(right, kind="stable")
    table = table_of(
        half_joined_schema(permutations), right[order], left[order], binary_rows(sketches[order])
    )
    return write_work(table, path, "right")


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
) -> Survivors:
    """Compare the sketches of the edges whose right end lies in a key range and keep the near ones."""
    table = read_ranges(half_joined, "right", keys, half_joined_schema(permutations))
    left, right = uint64(table, "left"), uint64(table, "right")
    mine = sketches_of(segments, keys, permutations, right)
    near = estimates(rows_of_binary(table.column("sketch"), permutations), mine) >= least_estimate(
        floor, permutations
    )
    left, right = left[near], right[near]
    order = np.lexsort((left, right))
    left, right = left[order], right[order]
    return Survivors(
        write_work(table_of(EDGES, left, right), f"{path}-edges.parquet", "right"),
        write_forest(left, right, f"{path}-forest.parquet"),
        write_edge_sums(left, right, f"{path}-sums.parquet"),
        len(table),
        len(left),
    )
