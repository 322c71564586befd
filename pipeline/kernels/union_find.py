"""Connected components by union-find, and the edges that suffice to say them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.jit import kernel


@kernel
def _root(parent: NDArray[np.int64], node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@kernel
def unite(
    left: NDArray[np.int64], right: NDArray[np.int64], parent: NDArray[np.int64], joins: NDArray[np.bool_]
) -> None:
    """Label every node with the smallest node of its component.

    Args:
        left, right: int64[edges], node numbers below len(parent).
        parent: int64[nodes], out, the labels; need not be initialised.
        joins: bool[edges], out, True where the edge joined two components: those edges are a
            spanning forest, which has the same components as all of them.

    Cost: nearly linear. Reference: `scipy.sparse.csgraph.connected_components`.
    """
    for node in range(len(parent)):
        parent[node] = node
    for e in range(len(left)):
        a, b = _root(parent, left[e]), _root(parent, right[e])
        joins[e] = a != b
        if a < b:
            parent[b] = a
        else:
            parent[a] = b
    for node in range(len(parent)):
        parent[node] = _root(parent, node)
