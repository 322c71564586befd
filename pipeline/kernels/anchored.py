"""Texts by what is known of the rows of their anchors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.jit import kernel


@kernel
def survive(
    row: NDArray[np.uint32],
    ends: NDArray[np.int64],
    kind: NDArray[np.uint8],
    several: int,
    counts: NDArray[np.bool_],
    survives: NDArray[np.bool_],
    live: NDArray[np.uint8],
) -> None:
    """Which texts hold an anchor that repeats, and which rows they have looked at.

    Args:
        row: uint32[anchors], that cannot be written to: the row of each. ends: int64[texts + 1],
            boundaries of the texts' anchors. kind: uint8[rows], see `stages.survivors`.
        several: kinds from here on have their windows looked at one by one.
        counts: bool[texts], those to go by. survives: bool[texts], out.
        live: uint8[rows], out: the kind of a row that is looked at; others are left as they are.

    Cost: linear.
    """
    for text in range(len(ends) - 1):
        found = False
        if counts[text]:
            for a in range(ends[text], ends[text + 1]):
                known = kind[row[a]]
                found = found or known != 0
                if known >= several:
                    live[row[a]] = known
        survives[text] = found


@kernel
def hold(
    row: NDArray[np.uint32], ends: NDArray[np.int64], marked: NDArray[np.bool_], out: NDArray[np.bool_]
) -> None:
    """Which texts hold an anchor of a marked row; arrays as in `survive`. Cost: linear."""
    for text in range(len(ends) - 1):
        found = False
        for a in range(ends[text], ends[text + 1]):
            if marked[row[a]]:
                found = True
                break
        out[text] = found
