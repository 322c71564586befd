"""Texts by what is known of their anchors' rows, against the same in plain Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernels.anchored import hold, survive

ROWS = 5
TEXTS = st.lists(st.tuples(st.lists(st.integers(0, ROWS - 1), max_size=6), st.booleans()), max_size=6)
KINDS = st.lists(st.integers(0, 3), min_size=ROWS, max_size=ROWS)
Texts = list[tuple[list[int], bool]]
COMPILED_OR_NOT = [(survive, hold), (survive.py_func, hold.py_func)]


def _arrays(texts: Texts) -> tuple[Any, Any]:
    row = pa.array(np.array([row for rows, _ in texts for row in rows], np.uint32)).to_numpy()
    return row, np.cumsum([0, *(len(rows) for rows, _ in texts)])


@pytest.mark.parametrize("kernels", COMPILED_OR_NOT)
@given(TEXTS, KINDS)
def test_texts_that_count_survive_by_any_row_and_have_the_unsettled_ones_looked_at(
    kernels: tuple[Any, Any], texts: Texts, kinds: list[int]
) -> None:
    row, ends = _arrays(texts)
    survives, live = np.ones(len(texts), np.bool_), np.full(ROWS, 9, np.uint8)
    counts = np.array([count for _, count in texts], np.bool_)
    kernels[0](row, ends, np.array(kinds, np.uint8), 2, counts, survives, live)
    assert survives.tolist() == [count and any(kinds[r] for r in rows) for rows, count in texts]
    there = {r for rows, count in texts if count for r in rows if kinds[r] >= 2}
    assert live.tolist() == [kinds[r] if r in there else 9 for r in range(ROWS)]


@pytest.mark.parametrize("kernels", COMPILED_OR_NOT)
@given(TEXTS, st.lists(st.booleans(), min_size=ROWS, max_size=ROWS))
def test_texts_hold_a_marked_row_or_not(kernels: tuple[Any, Any], texts: Texts, marked: list[bool]) -> None:
    row, ends = _arrays(texts)
    out = np.ones(len(texts), np.bool_)
    kernels[1](row, ends, np.array(marked), out)
    assert out.tolist() == [any(marked[r] for r in rows) for rows, _ in texts]
