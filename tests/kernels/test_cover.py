"""Covered positions, against a dictionary that has an entry for each of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.kernels.cover import covers
from tests.kernels.plain import plain_python

EDGES = np.array([2, 6, 21, 101, 1001])
Interval = tuple[int, int, int]  # start, stop, occurrences


@st.composite
def _intervals(draw: st.DrawFn) -> list[Interval]:
    """Intervals whose starts and stops never fall."""
    found, start, stop = list[Interval](), draw(st.integers(0, 5)), 0
    occurrences = st.sampled_from([2, 2, 3, 5, 6, 20, 21, 100, 101, 1000, 1001, 5000])
    for _ in range(draw(st.integers(0, 9))):
        start += draw(st.integers(0, 7))
        stop = max(stop, start + draw(st.integers(0, 12)))
        found.append((start, stop, draw(occurrences)))
    return found


def _columns(intervals: list[Interval]) -> tuple[NDArray[np.int64], ...]:
    return tuple(np.array([row[k] for row in intervals], np.int64) for k in range(3))


def _expected(intervals: list[Interval], edges: list[int]) -> tuple[list[int], int]:
    highest: dict[int, int] = {}
    for start, stop, occurrences in intervals:
        for position in range(start, stop):
            highest[position] = max(occurrences, highest.get(position, 0))
    sums = [0] * len(edges)
    for occurrences in highest.values():
        reached = [i for i, edge in enumerate(edges) if edge <= occurrences]
        if reached:
            sums[reached[-1]] += 1
    return sums, len(highest)


def cover(columns: tuple[NDArray[np.int64], ...], edges: NDArray[np.int64], sums: NDArray[np.int64]) -> int:
    """The number of covered positions of one document."""
    covered = np.zeros(1, np.int64)
    covers(np.array([0, len(columns[0])]), *columns, edges, sums[None, :], covered)
    return int(covered[0])


@given(_intervals())
@example([(0, 10, 2), (2, 12, 100), (4, 14, 7)])
@example([(0, 9, 5000), (1, 9, 30), (1, 9, 7), (20, 22, 3)])
@example([(3, 3, 9)])
def test_each_covered_position_is_in_the_bin_of_its_most_frequent_passage(intervals: list[Interval]) -> None:
    sums = np.zeros(len(EDGES), np.int64)
    covered = cover(_columns(intervals), EDGES, sums)
    assert (sums.tolist(), covered) == _expected(intervals, EDGES.tolist())


@given(_intervals(), st.lists(st.integers(1, 5001), min_size=1, max_size=6, unique=True).map(sorted))
def test_bins_may_be_any_and_need_not_hold_all(intervals: list[Interval], edges: list[int]) -> None:
    sums = np.zeros(len(edges), np.int64)
    covered = cover(_columns(intervals), np.array(edges), sums)
    assert (sums.tolist(), covered) == _expected(intervals, edges)


@given(st.lists(_intervals(), max_size=5))
def test_many_documents_are_each_as_alone(documents: list[list[Interval]]) -> None:
    offsets = np.cumsum([0, *map(len, documents)])
    rows = [row for document in documents for row in document]
    sums, covered = np.zeros((len(documents), 5), np.int64), np.full(len(documents), -1)
    covers(offsets, *_columns(rows), EDGES, sums, covered)
    alone = [_expected(document, EDGES.tolist()) for document in documents]
    assert list(zip(sums.tolist(), covered.tolist(), strict=True)) == alone


@given(st.lists(_intervals(), max_size=4))
def test_plain_python_counts_the_same(documents: list[list[Interval]]) -> None:
    offsets = np.cumsum([0, *map(len, documents)])
    columns = _columns([row for document in documents for row in document])
    sums, covered = (np.zeros((2, len(documents), 5), np.int64) for _ in range(2))
    covered = covered[:, :, 0]
    covers(offsets, *columns, EDGES, sums[0], covered[0])
    with plain_python():
        covers.py_func(offsets, *columns, EDGES, sums[1], covered[1])
    assert sums[0].tolist() == sums[1].tolist()
    assert covered[0].tolist() == covered[1].tolist()


def test_sums_are_added_to() -> None:
    sums = np.array([1, 10, 100, 1000, 10000])
    assert cover(_columns([(0, 25, 6), (10, 40, 3)]), EDGES, sums) == 40
    assert sums.tolist() == [16, 35, 100, 1000, 10000]


def test_documents_without_intervals_are_covered_nowhere() -> None:
    none, sums, covered = np.zeros(0, np.int64), np.ones((2, 5), np.int64), np.full(2, 7)
    covers(np.zeros(3, np.int64), none, none, none, EDGES, sums, covered)
    assert covered.tolist() == [0, 0]
    assert (sums == 1).all()


@pytest.mark.parametrize("rising", [True, False])
def test_a_million_passages_that_all_overlap_take_no_longer_than_linear(rising: bool) -> None:
    n = 1_000_000
    starts = np.arange(n)
    occurrences = np.arange(2, n + 2) if rising else np.arange(n + 2, 2, -1)
    sums = np.zeros(5, np.int64)
    assert cover((starts, starts + n, occurrences), EDGES, sums) == 2 * n - 1
    assert sums.sum() == 2 * n - 1
