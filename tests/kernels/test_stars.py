"""Candidate edges: what a star around a hub promises about each band group."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kernels.stars import stars
from tests import oracles
from tests.kernels.plain import plain_python

UINT64 = st.integers(0, 2**64 - 1)
Groups = dict[int, list[int]]
GROUPS = st.dictionaries(
    UINT64 | st.integers(0, 3),
    st.lists(UINT64 | st.integers(0, 5), unique=True, min_size=1, max_size=8),
    max_size=6,
)


def _edges(groups: Mapping[int, Iterable[int]]) -> list[tuple[int, int]]:
    rows = [(key, text) for key in sorted(groups) for text in groups[key]]
    keys, texts = (np.array([row[side] for row in rows], np.uint64) for side in (0, 1))
    left, right = np.full(len(rows), 99, np.uint64), np.full(len(rows), 99, np.uint64)
    n = stars(keys, texts, left, right)
    assert (left[n:] == 99).all()
    assert (right[n:] == 99).all()
    return [(int(a), int(b)) for a, b in zip(left[:n], right[:n], strict=True)]


def _edges_by_group(groups: Groups) -> dict[int, list[tuple[int, int]]]:
    # Groups follow each other, and each has one edge less than members.
    edges = _edges(groups)
    found, at = {}, 0
    for key in sorted(groups):
        found[key] = edges[at : at + len(groups[key]) - 1]
        at += len(groups[key]) - 1
    assert at == len(edges)
    return found


def _star(key: int, members: Iterable[int]) -> set[tuple[int, int]]:
    hub = min(members, key=lambda text: oracles.mix64(text ^ key))
    return {(min(text, hub), max(text, hub)) for text in members if text != hub}


@given(GROUPS)
@example({0: [0, 2**64 - 1], 2**64 - 1: [0, 2**64 - 1]})
@example({5: [1]})
@example({})
def test_edges_connect_each_group_and_nothing_else(groups: Groups) -> None:
    for key, edges in _edges_by_group(groups).items():
        members = set(groups[key])
        assert all(a < b for a, b in edges)
        assert {text for edge in edges for text in edge} <= members
        assert oracles.components(edges, members) == [members]


@given(GROUPS)
def test_edges_are_a_star_around_the_member_with_the_smallest_hash(groups: Groups) -> None:
    for key, edges in _edges_by_group(groups).items():
        assert set(edges) == _star(key, groups[key])
        assert len(set(edges)) == len(edges)


@given(GROUPS)
def test_edges_of_a_group_do_not_depend_on_other_groups(groups: Groups) -> None:
    together = _edges_by_group(groups)
    assert together == {key: _edges({key: members}) for key, members in groups.items()}


@given(GROUPS, st.randoms(use_true_random=False))
def test_edges_of_a_group_do_not_depend_on_the_order_of_its_members(
    groups: Groups, shuffle: random.Random
) -> None:
    shuffled = {key: shuffle.sample(members, len(members)) for key, members in groups.items()}
    before, after = _edges_by_group(groups), _edges_by_group(shuffled)
    assert {key: sorted(edges) for key, edges in before.items()} == {
        key: sorted(e) for key, e in after.items()
    }


def test_group_of_one_has_no_edge() -> None:
    assert _edges({1: [10], 2: [11], 3: [10]}) == []


def test_no_groups_have_no_edges() -> None:
    assert _edges({}) == []


def test_group_of_a_hundred_thousand_is_left_out_nowhere() -> None:
    members = range(7, 700_007, 7)
    edges = _edges({42: members})
    assert len(edges) == len(members) - 1
    hub, degree = Counter(text for edge in edges for text in edge).most_common(1)[0]
    assert degree == len(members) - 1
    assert {text for edge in edges for text in edge} == set(members)
    assert hub == min(members, key=lambda text: oracles.mix64(text ^ 42))


def test_every_member_is_the_hub_of_some_band() -> None:
    generator = random.Random(6)
    members = [generator.getrandbits(64) for _ in range(4)]
    hubs: Counter[int] = Counter()
    for _ in range(400):
        edges = _edges({generator.getrandbits(64): members})
        hubs[Counter(text for edge in edges for text in edge).most_common(1)[0][0]] += 1
    assert set(hubs) == set(members)
    assert min(hubs.values()) > 60  # 100 are expected, standard deviation 9


@given(GROUPS)
def test_plain_python_gives_the_same_edges(groups: Groups) -> None:
    compiled = _edges(groups)
    rows = [(key, text) for key in sorted(groups) for text in groups[key]]
    keys, texts = (np.array([row[side] for row in rows], np.uint64) for side in (0, 1))
    left, right = np.zeros(len(rows), np.uint64), np.zeros(len(rows), np.uint64)
    with plain_python():
        n = stars.py_func(keys, texts, left, right)
    assert [(int(a), int(b)) for a, b in zip(left[:n], right[:n], strict=True)] == compiled
