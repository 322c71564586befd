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
