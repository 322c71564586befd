"""Slots of rows, against the same in plain Python."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kernels.buffers import read_only
from pipeline.kernels.slots import give_slots, mark_slots, place_slots
from pipeline.kernels.windows import Runs

ROWS = 6
WINDOWS = [3, 1, 0, 65_535, 2, 7]
KINDS = st.lists(st.integers(0, 3), min_size=ROWS, max_size=ROWS)


@pytest.mark.parametrize("kernel", [place_slots, place_slots.py_func])
@given(st.permutations(range(ROWS)), st.integers(0, ROWS))
def test_slots_follow_each_other_in_the_order_of_the_rows(kernel: Any, rows: list[int], n: int) -> None:
    rows = rows[:n]
    out = np.zeros(ROWS, np.uint32)
    windows = np.array([WINDOWS[row] for row in rows], np.uint16)
    kernel(read_only(np.array(rows, np.uint32)), read_only(windows), out)
    begins = accumulate([1, *windows.tolist()])
    expected = dict(zip(rows, begins, strict=False))
    assert out.tolist() == [expected.get(row, 0) for row in range(ROWS)]


@pytest.mark.parametrize("kernel", [give_slots, give_slots.py_func])
@given(st.lists(st.integers(0, ROWS - 1), max_size=12), KINDS, st.sets(st.integers(0, ROWS - 1)))
@example([3, 3, 1, 3], [2] * ROWS, set())
def test_rows_without_slots_are_given_some_where_they_are_met_first(
    kernel: Any, rows: list[int], kinds: list[int], had: set[int]
) -> None:
    n, slots = len(rows), {row: 100 + row for row in had}
    of_row = np.array([slots.get(row, -1) + 1 for row in range(ROWS)], np.uint32)
    kind = np.array([kinds[row] for row in rows], np.uint8)
    windows = np.array([WINDOWS[row] for row in rows], np.uint16)
    runs = Runs(kind, windows, np.full(n, -1, np.int64), np.zeros(n, np.bool_))
    first = np.empty(n, np.int64)
    count = kernel(np.array(rows, np.uint32), runs, 2, 1000, of_row, first)
    free, firsts = 1000, []
    for i, row in enumerate(rows):
        if kinds[row] >= 2 and row not in slots:
            slots[row], free = free, free + WINDOWS[row]
            firsts.append(i)
    assert first[:count].tolist() == firsts
    assert np.flatnonzero(runs.emits).tolist() == firsts
    assert runs.slot.tolist() == [slots[row] if kinds[row] >= 2 else -1 for row in rows]
    assert of_row.tolist() == [slots.get(row, -1) + 1 for row in range(ROWS)]


@pytest.mark.parametrize("kernel", [mark_slots, mark_slots.py_func])
@given(KINDS, KINDS, st.integers(0, ROWS), st.data())
def test_slots_are_marked_by_what_their_rows_are_and_were(
    kernel: Any, kinds: list[int], before: list[int], n: int, data: st.DataObject
) -> None:
    before, windows = before[:n], [3, 1, 0, 2, 2, 7]
    known = data.draw(st.lists(st.integers(0, 7), min_size=sum(windows[:n]), max_size=sum(windows[:n])))
    out = np.full(sum(windows), 255, np.uint8)
    arrays = (np.array(values, np.uint8) for values in (before, known))
    was, flags = (read_only(values) for values in arrays)
    kernel(np.array(kinds, np.uint8), was, np.array(windows, np.uint16), flags, 2, (8, 16, 32), out)
    expected: list[int] = []
    for row, count in enumerate(windows):
        for _ in range(count):
            flag = known[len(expected)] if row < n else 0
            state = 32 if kinds[row] != (before[row] if row < n else 0) else 0
            if kinds[row]:
                state |= 8 | flag | (16 if kinds[row] == 2 else 0)
            expected.append(state)
    assert out.tolist() == expected
