"""Fingerprints of components, by which a run knows those that an earlier run compared.

What comparing gives for a component is a function of its texts and its edges, see `pairs`. So two
runs give the same where they have the same component, and a component is the same where its smallest
text_id and the sum of hashes of its texts and edges are: two that differ have equal sums once in
2**64. A sum, because edges are found in ranges of keys, and those can be added in any order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import table_of, uint64
from pipeline.mapped import read_mapped, write_mapped
from pipeline.stages.runs import starts_of_runs

UNITS = pa.schema([("root", pa.uint64()), ("fingerprint", pa.uint64())])
# Sums of the hashes of edges, by their right end.
EDGE_SUMS = pa.schema([("right", pa.uint64()), ("sum", pa.uint64())])
_STEP = np.uint64(0x9E3779B97F4A7C15)


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # SplitMix64 (Steele, Lea and Flood, 2014).
    mixed = values + _STEP
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def write_edge_sums(left: NDArray[np.uint64], right: NDArray[np.uint64], path: str) -> str:
    """Write the sums of some edges, which must be sorted by `right`."""
    starts = starts_of_runs(right)
    hashes = _mixed(_mixed(left) + right)
    sums = np.add.reduceat(hashes, starts) if len(starts) else hashes
    return write_mapped(table_of(EDGE_SUMS, right[starts], sums), path)


def fingerprints(
    nodes: NDArray[np.uint64],
    tokens: NDArray[np.int64],
    component: NDArray[np.int64],
    components: int,
    sums: Sequence[str],
) -> NDArray[np.uint64]:
    """The fingerprint of each component.

    Args:
        nodes: text_ids, sorted; tokens: of each; component: the number of each one's component.
        sums: tables of `EDGE_SUMS` that hold every edge in one row.
    """
    # Inverted, so that a text and an edge are never hashed alike.
    hashes = _mixed(_mixed(~nodes) + tokens.astype(np.uint64))
    for path in sums:
        table = read_mapped(path)
        hashes[np.searchsorted(nodes, uint64(table, "right"))] += uint64(table, "sum")
    found = np.zeros(components, np.uint64)
    np.add.at(found, component, hashes)
    return found


def known_units(
    roots: NDArray[np.uint64], found: NDArray[np.uint64], earlier: Sequence[str]
) -> NDArray[np.bool_]:
    """Which components (the roots sorted, and their fingerprints) stand in tables of an earlier run."""
    table = pa.concat_tables([UNITS.empty_table(), *(read_mapped(path) for path in earlier)])
    at = np.searchsorted(roots, uint64(table, "root"))
    inside = np.flatnonzero(at < len(roots))
    at, table = at[inside], table.take(pa.array(inside))
    known = np.zeros(len(roots), np.bool_)
    known[at[(roots[at] == uint64(table, "root")) & (found[at] == uint64(table, "fingerprint"))]] = True
    return known
