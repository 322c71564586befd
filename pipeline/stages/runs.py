"""Where runs of equal rows begin in columns that are sorted together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def run_starts(*columns: NDArray[np.generic]) -> NDArray[np.bool_]:
    """For each row, whether it differs from the one before it in any column."""
    new = np.ones(len(columns[0]), np.bool_)
    if len(new):
        new[1:] = columns[0][1:] != columns[0][:-1]
        for column in columns[1:]:
            new[1:] |= column[1:] != column[:-1]
    return new


def starts_of_runs(*columns: NDArray[np.generic]) -> NDArray[np.int64]:
    """The rows that do."""
    return np.flatnonzero(run_starts(*columns))


def alone(new: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of each row, whether its run has no other; `new` as `run_starts` gives it."""
    return np.asarray(new & np.append(new[1:], True))


def alike(values: NDArray[np.generic], new: NDArray[np.bool_], run: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of each run, whether its rows have one value; `run` is the number of each row's run, from 0."""
    found = np.ones(int(run[-1]) + 1 if len(run) else 0, np.bool_)
    found[run[np.flatnonzero((values[1:] != values[:-1]) & ~new[1:]) + 1]] = False
    return found
