"""Which of some sorted keys stand among others that are sorted, too."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.buffers import read_only
from pipeline.kernels.jit import kernel


@kernel
def _members(keys: NDArray[np.uint64], wanted: NDArray[np.uint64], out: NDArray[np.int64]) -> int:
    count, at = 0, 0
    for i in range(len(keys)):
        while at < len(wanted) and wanted[at] < keys[i]:
            at += 1
        if at == len(wanted):
            break
        if wanted[at] == keys[i]:
            out[count] = i
            count += 1
    return count


def members(keys: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The places of those keys that are wanted, ascending.

    Args:
        keys: uint64, sorted; equal ones may stand several times. wanted: uint64, sorted.

    Cost: linear in both, a tenth of a binary search for each key.
    """
    out = np.empty(len(keys), np.int64)
    return out[: _members(read_only(keys), read_only(wanted), out)]
