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
    times = np.full(len(rows), 99, np.int64)
    n = stars(keys, texts, np.ones(len(rows), np.bool_), left, right, times)
    assert (times[:n] == 1).all()
    for column in (left, right, times):
        assert (column[n:] == 99).all()
    return [(int(a), int(b)) for a, b in zip(left[:n], right[:n], strict=True)]


def _changes(groups: Groups, fresh: set[int]) -> list[tuple[int, int, int]]:
    rows = [(key, text) for key in sorted(groups) for text in groups[key]]
    keys, texts = (np.array([row[side] for row in rows], np.uint64) for side in (0, 1))
    new = np.array([text in fresh for _, text in rows], np.bool_)
    left, right, times = (np.full(2 * len(rows), 99, kind) for kind in (np.uint64, np.uint64, np.int64))
    n = stars(keys, texts, new, left, right, times)
    return list(zip(left[:n].tolist(), right[:n].tolist(), times[:n].tolist(), strict=True))


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


@given(GROUPS, st.sets(UINT64 | st.integers(0, 5)), st.randoms(use_true_random=False))
@example({0: [1, 2, 3, 4]}, {4}, random.Random(1))
@example({0: [1, 2, 3, 4]}, {1, 2, 3}, random.Random(1))
def test_edges_with_fresh_members_differ_by_those_told_from_those_without(
    groups: Groups, fresh: set[int], draw: random.Random
) -> None:
    fresh |= {text for members in groups.values() for text in members if draw.random() < 0.3}
    for key, members in groups.items():
        now = _star(key, members)
        old = [text for text in members if text not in fresh]
        before = _star(key, old) if old else set()
        told = _changes({key: members}, fresh)
        assert sorted(told) == sorted(
            [*((*edge, 1) for edge in now - before), *((*edge, -1) for edge in before - now)]
        )
    together = [_changes({key: groups[key]}, fresh) for key in sorted(groups)]
    assert _changes(groups, fresh) == [edge for edges in together for edge in edges]


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
    times = np.zeros(len(rows), np.int64)
    with plain_python():
        n = stars.py_func(keys, texts, np.ones(len(rows), np.bool_), left, right, times)
    assert [(int(a), int(b)) for a, b in zip(left[:n], right[:n], strict=True)] == compiled
