"""Texts by what is known of their anchors' rows, against the same in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernels.anchored import Fates, hold, pick, survive
from pipeline.kernels.buffers import read_only
from pipeline.kernels.windows import Runs

ROWS = 5
TEXTS = st.lists(st.tuples(st.lists(st.integers(0, ROWS - 1), max_size=6), st.booleans()), max_size=6)
KINDS = st.lists(st.integers(0, 3), min_size=ROWS, max_size=ROWS)
Texts = list[tuple[list[int], bool]]
SLOTS = st.lists(st.sampled_from([0, 1, 9, 2**32 - 1]), min_size=ROWS, max_size=ROWS)
COMPILED_OR_NOT = [(survive, pick, hold), (survive.py_func, pick.py_func, hold.py_func)]


def _arrays(texts: Texts) -> tuple[Any, Any]:
    row = pa.array(np.array([row for rows, _ in texts for row in rows], np.uint32)).to_numpy()
    return row, np.cumsum([0, *(len(rows) for rows, _ in texts)])


@pytest.mark.parametrize("kernels", COMPILED_OR_NOT)
@given(TEXTS, KINDS, KINDS, SLOTS)
def test_texts_that_count_survive_by_any_row_and_have_the_unsettled_ones_looked_at(
    kernels: tuple[Any, Any, Any], texts: Texts, kinds: list[int], before: list[int], slots: list[int]
) -> None:
    row, ends = _arrays(texts)
    fates, live = Fates(*(np.ones(len(texts), np.bool_) for _ in range(3))), np.full(ROWS, 9, np.uint8)
    counts = np.array([count for _, count in texts], np.bool_)
    kind, was = np.array(kinds, np.uint8), read_only(np.array(before, np.uint8))
    kernels[0](row, ends, kind, was, np.array(slots, np.uint32), 2, counts, fates, live)
    for i, (rows, count) in enumerate(texts):
        assert fates.survives[i] == (count and any(kinds[r] for r in rows))
        assert fates.changed[i] == (count and any(kinds[r] != before[r] for r in rows))
        assert fates.fresh[i] == (count and any(kinds[r] >= 2 and not slots[r] for r in rows))
    there = {r for rows, count in texts if count for r in rows if kinds[r] >= 2}
    assert live.tolist() == [kinds[r] if r in there else 9 for r in range(ROWS)]


@pytest.mark.parametrize("kernels", COMPILED_OR_NOT)
@given(TEXTS, KINDS, SLOTS)
def test_anchors_of_texts_are_picked_with_the_slots_of_unsettled_rows(
    kernels: tuple[Any, Any, Any], texts: Texts, kinds: list[int], slots: list[int]
) -> None:
    row, ends = _arrays(texts)
    wanted = [i for i, (_, chosen) in enumerate(texts) if chosen]
    rows = [r for i in wanted for r in texts[i][0]]
    n, picked = len(rows), np.empty(len(rows), np.uint32)
    runs = Runs(np.empty(n, np.uint8), np.empty(n, np.uint16), np.empty(n, np.int64), np.ones(n, np.bool_))
    windows = read_only((row * 7 + 1).astype(np.uint16))
    kind = read_only(np.array(kinds, np.uint8))
    numbers = np.array(wanted, np.int64)
    kernels[1](row, windows, ends, numbers, kind, np.array(slots, np.uint32), 2, picked, runs)
    assert picked.tolist() == rows
    assert runs.kind.tolist() == [kinds[r] for r in rows]
    assert runs.windows.tolist() == [7 * r + 1 for r in rows]
    assert runs.slot.tolist() == [slots[r] - 1 if kinds[r] >= 2 else -1 for r in rows]
    assert not runs.emits.any()


@pytest.mark.parametrize("kernels", COMPILED_OR_NOT)
@given(TEXTS, st.lists(st.booleans(), min_size=ROWS, max_size=ROWS))
def test_texts_hold_a_marked_row_or_not(
    kernels: tuple[Any, Any, Any], texts: Texts, marked: list[bool]
) -> None:
    row, ends = _arrays(texts)
    out = np.ones(len(texts), np.bool_)
    kernels[2](row, ends, np.array(marked), out)
    assert out.tolist() == [any(marked[r] for r in rows) for rows, _ in texts]
