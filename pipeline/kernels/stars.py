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
    fresh: NDArray[np.bool_],
    left: NDArray[np.uint64],
    right: NDArray[np.uint64],
    times: NDArray[np.int64],
) -> int:
    """Edges between each group's hub and its other members, less those without the fresh members.

    Args:
        keys: uint64[n], band keys, sorted. texts: uint64[n], the texts that have them, unique
            within a key. fresh: bool[n], which of them are new to their groups; all of them in a group
            that there was not.
        left, right: uint64[2n], out, the edges with left < right; uint64[n] is enough if all are fresh.
        times: int64[2n], out, 1 for an edge that the group has now, -1 for one that it had. An edge that
            it had and has is left out.

    Returns:
        The number of edges, at most 2n, or n if all are fresh.

    The hub is the member whose hash with the key is smallest, so that a text is a hub in some
    bands and a leaf in others, and which one depends on nothing but the texts. Linear in n:
    a group of a million members costs a million edges, and none is left out.
    """
    edges, first = 0, 0
    while first < len(keys):
        key, stop = keys[first], first + 1
        while stop < len(keys) and keys[stop] == key:
            stop += 1
        hub, hub_before = -1, -1
        least = least_before = np.uint64(0)
        for i in range(first, stop):
            value = mix64(np.uint64(texts[i] ^ key))
            if hub < 0 or value < least:
                hub, least = i, value
            if not fresh[i] and (hub_before < 0 or value < least_before):
                hub_before, least_before = i, value
        for i in range(first, stop):
            if i != hub and (fresh[i] or hub != hub_before):
                left[edges], right[edges] = min(texts[i], texts[hub]), max(texts[i], texts[hub])
                times[edges] = 1
                edges += 1
            if not fresh[i] and hub_before not in (i, hub):
                left[edges] = min(texts[i], texts[hub_before])
                right[edges] = max(texts[i], texts[hub_before])
                times[edges] = -1
                edges += 1
        first = stop
    return edges
