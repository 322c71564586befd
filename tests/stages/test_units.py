"""A component is known if its texts, their tokens and its edges are those of an earlier run."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.artifacts import END_OF_KEYS, key_ranges, table_of
from pipeline.mapped import read_mapped, write_mapped
from pipeline.stages.components import components
from pipeline.stages.units import UNITS, fingerprints, known_units, write_edge_sums
from tests import oracles

Edge = tuple[int, int]
Tokens = dict[int, int]
LAST = END_OF_KEYS - 1
IDS = st.sampled_from([0, 1, 2, 3, 5, 8, 2**32, 2**63 - 1, 2**63, LAST - 1, LAST])
EDGES = st.sets(st.tuples(IDS, IDS).filter(lambda edge: edge[0] < edge[1]), min_size=1, max_size=10)


def _units(folder: Path, edges: list[Edge], tokens: Tokens, parts: int = 1) -> dict[int, int]:
    """The fingerprints of the components of a graph by root, the edges found in ranges of keys."""
    sums = []
    for i, (low, high) in enumerate(key_ranges(parts)):
        here = sorted((edge for edge in edges if low <= edge[1] < high), key=lambda edge: edge[::-1])
        left, right = (np.array([edge[end] for edge in here], np.uint64) for end in (0, 1))
        sums.append(write_edge_sums(left, right, str(folder / f"sums-{i}")))
    left, right = (np.array([edge[end] for edge in edges], np.uint64) for end in (0, 1))
    nodes, roots, _ = components(left, right)
    distinct, place = np.unique(roots, return_inverse=True)
    counts = np.array([tokens[node] for node in nodes.tolist()], np.int64)
    found = fingerprints(nodes, counts, place, len(distinct), sums)
    return dict(zip(distinct.tolist(), found.tolist(), strict=True))


def _definition(edges: list[Edge], tokens: Tokens) -> dict[int, object]:
    """What makes a component, by root."""
    return {
        min(nodes): (
            frozenset((node, tokens[node]) for node in nodes),
            frozenset(edge for edge in edges if edge[0] in nodes),
        )
        for nodes in oracles.components(edges)
    }


@given(EDGES, EDGES, st.sets(IDS, max_size=2), st.integers(1, 9))
@example({(0, 1), (1, 2)}, {(0, 1), (0, 2)}, set(), 3)
@example({(1, 2), (3, 5)}, {(1, 3), (2, 5)}, set(), 1)
@example({(1, 2), (3, 5)}, {(1, 2), (3, 5)}, {5}, 1)
def test_components_are_known_if_they_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, one: set[Edge], two: set[Edge], longer: set[int], parts: int
) -> None:
    folder = tmp_path_factory.mktemp("units")
    nodes = {end for edge in one | two for end in edge}
    before: Tokens = {node: 1 + node % 3 for node in nodes}
    now = {node: n + (node in longer) for node, n in before.items()}
    earlier = _units(folder, sorted(one), before)
    found = _units(folder, sorted(two, reverse=True), now, parts)
    table = write_mapped(table_of(UNITS, *_columns(earlier)), folder / "earlier")
    roots, prints = _columns(found)
    known = known_units(roots, prints, [table])
    was, is_now = _definition(sorted(one), before), _definition(sorted(two), now)
    assert dict(zip(sorted(found), known.tolist(), strict=True)) == {
        root: was.get(root) == unit for root, unit in is_now.items()
    }


def _columns(units: dict[int, int]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    roots = sorted(units)
    return np.array(roots, np.uint64), np.array([units[root] for root in roots], np.uint64)


def test_nothing_is_known_where_nothing_was_left(tmp_path: Path) -> None:
    roots, found = _columns({1: 2, 3: 4})
    empty = write_mapped(UNITS.empty_table(), tmp_path / "none")
    assert known_units(roots, found, []).tolist() == [False, False]
    assert known_units(roots, found, [empty, empty]).tolist() == [False, False]
    assert known_units(roots[:0], found[:0], [empty]).tolist() == []


def test_sums_are_by_the_right_end(tmp_path: Path) -> None:
    rng = random.Random(1)
    edges = sorted(((rng.randrange(50), 50 + rng.randrange(9)) for _ in range(200)), key=lambda e: e[::-1])
    left, right = (np.array([edge[end] for edge in edges], np.uint64) for end in (0, 1))
    rows = read_mapped(write_edge_sums(left, right, str(tmp_path / "sums")))
    assert rows.column("right").to_pylist() == sorted({edge[1] for edge in edges})
    single = [
        read_mapped(write_edge_sums(left[i : i + 1], right[i : i + 1], str(tmp_path / "1")))
        for i in range(200)
    ]
    expected = {end: 0 for _, end in edges}
    for one in single:
        (row,) = one.to_pylist()
        expected[row["right"]] = (expected[row["right"]] + row["sum"]) % END_OF_KEYS
    assert dict(zip(*(rows.column(name).to_pylist() for name in ("right", "sum")), strict=True)) == expected
