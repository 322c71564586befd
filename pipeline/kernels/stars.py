"""Candidate pairs from band groups: a star around a hub instead of all pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.hashing import mix64
from pipeline.kernels.jit import kernel


@kernel
def stars(
    keys: NDArray[np.uint64],
    texts: NDArray[np.uint64],
    left: NDArray[np.uint64],
    right: NDArray[np.uint64],
) -> int:
    """Edges between each group's hub and its other members.

    Args:
        keys: uint64[n], band keys, sorted. texts: uint64[n], the texts that have them, unique
            within a key.
        left, right: uint64[n], out, the edges with left < right.

    Returns:
        The number of edges, at most n.

    The hub is the member whose hash with the key is smallest, so that a text is a hub in some
    bands and a leaf in others, and which one depends on nothing but the texts. Linear in n:
    a group of a million members costs a million edges, and none is left out.
    """
    edges, first = 0, 0
    while first < len(keys):
        key, stop = keys[first], first + 1
        while stop < len(keys) and keys[stop] == key:
            stop += 1
        hub, least = first, mix64(np.uint64(texts[first] ^ key))
        for i in range(first + 1, stop):
            value = mix64(np.uint64(texts[i] ^ key))
            if value < least:
                hub, least = i, value
        for i in range(first, stop):
            if i != hub:
                left[edges] = min(texts[i], texts[hub])
                right[edges] = max(texts[i], texts[hub])
                edges += 1
        first = stop
    return edges
