"""Runs of equal rows in columns that are sorted together."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.stages.runs import alike, alone, run_starts, starts_of_runs

SMALL = st.integers(0, 3)
ROWS = st.lists(st.tuples(SMALL, SMALL), max_size=12).map(sorted)


@given(ROWS, st.lists(SMALL, min_size=12, max_size=12))
@example([], [0] * 12)
@example([(0, 0)], [0] * 12)
@example([(0, 0), (0, 0), (1, 0)], [1, 2, 2] + [0] * 9)
def test_runs_are_what_their_definition_says(rows: list[tuple[int, int]], values: list[int]) -> None:
    columns = [np.array([row[i] for row in rows], np.int64) for i in range(2)]
    value = np.array(values[: len(rows)], np.int64)
    runs = [[i for i, _ in group] for _, group in groupby(enumerate(rows), lambda item: item[1])]
    new = run_starts(*columns)
    assert starts_of_runs(*columns).tolist() == np.flatnonzero(new).tolist() == [run[0] for run in runs]
    assert alone(new).tolist() == [len(run) == 1 for run in runs for _ in run]
    number = np.array([i for i, run in enumerate(runs) for _ in run], np.int64)
    assert alike(value, new, number).tolist() == [len({values[i] for i in run}) == 1 for run in runs]
