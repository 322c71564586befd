"""Where hashes stand among others that are sorted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.buffers import read_only
from pipeline.kernels.jit import kernel

_MOST_BITS = 24  # of the table of beginnings: 128 MiB


@kernel
def _places(
    keys: NDArray[np.uint64], wanted: NDArray[np.uint64], starts: NDArray[np.int64], out: NDArray[np.int64]
) -> None:
    # starts: int64[2 ** bits + 1], scratch: where the keys begin whose uppermost bits are 0, 1, ...
    # Keys of any kind are found, but those that share these bits by halving.
    bits = np.int64(0)
    while np.int64(1) << bits < len(starts) - 1:
        bits += 1
    shift = np.uint64(64 - bits)
    at = np.int64(0)
    for top in range(len(starts) - 1):
        starts[top] = at
        while at < len(keys) and keys[at] >> shift == np.uint64(top):
            at += 1
    starts[len(starts) - 1] = at
    for i in range(len(wanted)):
        top = np.int64(wanted[i] >> shift)
        low, high = starts[top], starts[top + 1]
        while low < high:
            middle = (low + high) >> 1
            if keys[middle] < wanted[i]:
                low = middle + 1
            else:
                high = middle
        out[i] = low


def places(keys: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """What np.searchsorted gives: the first place of a key that is not smaller, for each wanted one.

    Args:
        keys: uint64, sorted, hashes. wanted: uint64, in any order.

    Cost: linear in both, as hashes are spread evenly; a seventh of a binary search for each of 300,000
    among 14,000. Among many more it is left to such a search.
    """
    if len(wanted) < len(keys) // 4:
        return np.searchsorted(keys, wanted)
    # One bit at the least: nothing is shifted by all 64.
    bits = min(max(len(keys).bit_length(), 1), _MOST_BITS)
    starts, out = np.empty((1 << bits) + 1, np.int64), np.empty(len(wanted), np.int64)
    _places(read_only(keys), read_only(wanted), starts, out)
    return out
