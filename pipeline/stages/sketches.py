"""Drop the candidate pairs whose sketches say they are clearly not near.

A pair goes when the similarity its two sketches estimate lies three standard errors or more
under the floor; a pair at the floor is lost with a probability of about 0.001, one at the
threshold practically never. The two sketches are brought together by two joins on sorted keys,
first on one end of the edges, then on the other, so no task holds the sketches of more than one
key range.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, read_range, read_ranges, table_of, uint64, write_work
from pipeline.kernels.buffers import binary_rows, rows_of_binary
from pipeline.stages.candidates import EDGES, distinct_edges
from pipeline.stages.components import write_forest
from pipeline.stages.scan import Segment

STANDARD_ERRORS = 3.0
CHANCE = 1 / 256  # two unequal signature values agree in their one kept byte
_COMPARED_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Survivors:
    """One key range of edges after the sketches were compared: sorted by right, and its forest."""

    edges: str
    forest: str
    compared: int
    kept: int


def half_joined_schema(permutations: int) -> pa.Schema:
    """Edges with the sketch of their left end, sorted by right."""
    return pa.schema([("right", pa.uint64()), ("left", pa.uint64()), ("sketch", pa.binary(permutations))])


def _sketches(
    segments: Sequence[Segment], keys: KeyRange, permutations: int, wanted: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    # uint8[len(wanted), permutations]: the sketch of each wanted text_id.
    found = np.zeros((len(wanted), permutations), np.uint8)
    distinct, place = np.unique(wanted, return_inverse=True)
    rows = np.zeros((len(distinct), permutations), np.uint8)
    for segment in segments:
        table = read_range(f"{segment.path}/texts.parquet", "text_id", keys, ("sketch",))
        text_id = uint64(table, "text_id")
        at = np.searchsorted(text_id, distinct)
        here = np.flatnonzero(at < len(text_id))
        here = here[text_id[at[here]] == distinct[here]]
        if len(here):
            rows[here] = rows_of_binary(table.column("sketch"), permutations)[at[here]]
    found[:] = rows[place]
    return found


def attach_left(
    keys: KeyRange, path: str, *, segments: Sequence[Segment], candidates: Sequence[str], permutations: int
) -> str:
    """Merge equal edges whose left end lies in a key range and attach that end's sketch."""
    edges = read_ranges(candidates, "left", keys, EDGES)
    left, right = distinct_edges(uint64(edges, "left"), uint64(edges, "right"))
    sketches = _sketches(segments, keys, permutations, left)
    order = np.argsort(right, kind="stable")
    table = table_of(half_joined_schema(permutations), right[order], left[order], binary_rows(sketches[order]))
    return write_work(table, path, "right")


def least_estimate(floor: float, permutations: int) -> float:
    """The smallest estimated similarity that a pair may have and still be compared exactly."""
    return floor - STANDARD_ERRORS * math.sqrt(floor * (1 - floor) / permutations)


def estimates(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The Jaccard that pairs of sketches (uint8[n, p] each) estimate, corrected for chance."""
    agreeing = np.empty(len(one), np.int64)
    for i in range(0, len(one), _COMPARED_AT_ONCE):
        stop = i + _COMPARED_AT_ONCE
        agreeing[i:stop] = np.count_nonzero(one[i:stop] == two[i:stop], axis=1)
    return (agreeing / one.shape[1] - CHANCE) / (1 - CHANCE)


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
    mine = _sketches(segments, keys, permutations, right)
    near = estimates(rows_of_binary(table.column("sketch"), permutations), mine) >= least_estimate(floor, permutations)
    left, right = left[near], right[near]
    order = np.lexsort((left, right))
    edges = table_of(EDGES, left[order], right[order])
    return Survivors(
        write_work(edges, f"{path}-edges.parquet", "right"),
        write_forest(left, right, f"{path}-forest.parquet"),
        len(table),
        len(left),
    )
