"""Connected components against SciPy and against a search of the graph."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.kernels.union_find import spanning_forest, unite
from tests import oracles
from tests.kernels.plain import plain_python

Edges = Sequence[tuple[int, int]]


@st.composite
def _graphs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    nodes = draw(st.integers(1, 30))
    node = st.integers(0, nodes - 1)
    return nodes, draw(st.lists(st.tuples(node, node), max_size=40))


def _unite(nodes: int, edges: Edges) -> tuple[list[int], list[bool]]:
    left, right = np.array([a for a, _ in edges], np.int64), np.array([b for _, b in edges], np.int64)
    parent, joins = np.full(nodes, -5, np.int64), np.ones(len(edges), np.bool_)
    unite(left, right, parent, joins)
    return parent.tolist(), joins.tolist()


def _smallest(nodes: int, edges: Edges) -> list[int]:
    label = {node: min(group) for group in oracles.components(edges, range(nodes)) for node in group}
    return [label[node] for node in range(nodes)]


@given(_graphs())
@example((1, []))
@example((1, [(0, 0)]))
@example((3, [(2, 1), (1, 2), (2, 1)]))
def test_label_is_the_smallest_node_of_the_component(graph: tuple[int, list[tuple[int, int]]]) -> None:
    nodes, edges = graph
    assert _unite(nodes, edges)[0] == _smallest(nodes, edges)


@given(_graphs())
def test_joining_edges_are_a_spanning_forest(graph: tuple[int, list[tuple[int, int]]]) -> None:
    nodes, edges = graph
    labels, joins = _unite(nodes, edges)
    forest = [edge for edge, joined in zip(edges, joins, strict=True) if joined]
    assert len(forest) == nodes - len(set(labels))
    assert _unite(nodes, forest)[0] == labels
    assert _smallest(nodes, forest) == labels


@given(_graphs(), st.randoms(use_true_random=False))
def test_order_and_direction_of_edges_change_no_label(
    graph: tuple[int, list[tuple[int, int]]], shuffle: random.Random
) -> None:
    nodes, edges = graph
    other = [(b, a) if shuffle.random() < 0.5 else (a, b) for a, b in edges]
    shuffle.shuffle(other)
    assert _unite(nodes, other)[0] == _unite(nodes, edges)[0]


def _forest(edges: Edges, names: Sequence[int], compiled: bool = True) -> list[bool]:
    left, right = (np.array([names[edge[end]] for edge in edges], np.uint64) for end in (0, 1))
    for ends in (left, right):
        ends.flags.writeable = False
    # No more room than is asked for.
    slots, joins = np.full(1 << (3 * len(edges)).bit_length(), 7, np.int32), np.ones(len(edges), np.bool_)
    numbers = np.full(2 * len(edges), 7, np.uint64), np.full(2 * len(edges), -5, np.int64)
    (spanning_forest if compiled else spanning_forest.py_func)(left, right, slots, *numbers, joins)
    return joins.tolist()


# Names that begin alike, as hashes of texts do where they are sorted; and any.
NAMES = st.lists(st.integers(0, 40) | st.integers(0, 2**64 - 1), min_size=30, max_size=30, unique=True)


@given(_graphs(), NAMES, st.booleans())
def test_forest_of_named_nodes_is_that_of_numbered_ones(
    graph: tuple[int, list[tuple[int, int]]], names: list[int], in_order: bool
) -> None:
    nodes, edges = graph
    if in_order:
        edges = sorted(edges, key=lambda edge: names[edge[1]])
    assert _forest(edges, names) == _unite(nodes, edges)[1]


@given(_graphs(), NAMES)
def test_plain_python_gives_the_same_forest(
    graph: tuple[int, list[tuple[int, int]]], names: list[int]
) -> None:
    compiled = _forest(graph[1], names)
    with plain_python():
        assert _forest(graph[1], names, compiled=False) == compiled


def test_forest_of_a_large_graph_is_that_of_numbered_nodes() -> None:
    rng = np.random.default_rng(3)
    for edges in (60_000, 10_922, 10_923):  # the latter leave as little room as there can be
        nodes = rng.permutation(2 * edges) if edges < 60_000 else rng.integers(0, 30_000, 2 * edges)
        left, right = nodes[:edges], np.sort(nodes[edges:])
        names = rng.integers(0, 2**64, 2 * edges, np.uint64, endpoint=False)
        found = np.array(_forest(list(zip(left.tolist(), right.tolist(), strict=True)), names.tolist()))
        parent, joins = np.empty(2 * edges, np.int64), np.empty(edges, np.bool_)
        unite(left, right, parent, joins)
        assert (found == joins).all()


@pytest.mark.parametrize("density", [0.3, 0.5, 1.0, 2.0])
def test_components_of_a_large_graph_are_those_of_scipy(density: float) -> None:
    nodes, edges = 20_000, int(20_000 * density)
    left, right = np.random.default_rng(int(density * 10)).integers(0, nodes, (2, edges))
    parent, joins = np.zeros(nodes, np.int64), np.zeros(edges, np.bool_)
    unite(left, right, parent, joins)
    graph = coo_array((np.ones(edges), (left, right)), shape=(nodes, nodes))
    count, theirs = connected_components(graph, directed=False)
    _, first = np.unique(theirs, return_index=True)  # a component's first node is its smallest
    assert (parent == first[theirs]).all()
    assert joins.sum() == nodes - count


@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("turned", [False, True])
def test_long_chain_is_one_component_in_linear_time(step: int, turned: bool) -> None:
    # Built from its far end, the chain is a path of 100,000 parents; asking for that end again and
    # again takes 10 ms where each search halves the path and about 20 s where none does.
    nodes = 100_000
    one = np.concatenate([np.arange(nodes - 1)[::step], np.full(nodes, nodes - 1)])
    two = np.concatenate([np.arange(1, nodes)[::step], np.zeros(nodes, np.int64)])
    parent, joins = np.zeros(nodes, np.int64), np.zeros(len(one), np.bool_)
    started = time.perf_counter()
    unite(*((two, one) if turned else (one, two)), parent, joins)
    assert time.perf_counter() - started < 5
    assert not parent.any()
    assert joins[: nodes - 1].all()
    assert not joins[nodes - 1 :].any()


def test_nodes_without_edges_are_their_own_components() -> None:
    assert _unite(4, []) == ([0, 1, 2, 3], [])
    assert _unite(0, []) == ([], [])


def test_failed_link_between_two_groups_keeps_them_apart() -> None:
    # 0-1 and 2-3 were verified, 1-2 was not: it is no edge, whatever proposed it.
    assert _unite(4, [(0, 1), (2, 3)])[0] == [0, 0, 2, 2]


@given(_graphs())
def test_plain_python_gives_the_same_labels(graph: tuple[int, list[tuple[int, int]]]) -> None:
    nodes, edges = graph
    with plain_python():
        left, right = np.array([a for a, _ in edges], np.int64), np.array([b for _, b in edges], np.int64)
        parent, joins = np.zeros(nodes, np.int64), np.zeros(len(edges), np.bool_)
        unite.py_func(left, right, parent, joins)
    assert (parent.tolist(), joins.tolist()) == _unite(nodes, edges)
