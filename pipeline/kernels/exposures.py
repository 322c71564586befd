"""What the members of near clusters add to each other's exposures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.jit import kernel
from pipeline.kernels.resemblance import agreeing


@kernel
def add_worth(
    starts: NDArray[np.int64],
    sketches: NDArray[np.uint64],
    padding: int,
    weight: NDArray[np.int64],
    link_starts: NDArray[np.int64],
    one: NDArray[np.int64],
    two: NDArray[np.int64],
    worth_of_link: NDArray[np.float64],
    worth_of_agreement: NDArray[np.float64],
    code: NDArray[np.int32],
    total: NDArray[np.float64],
) -> None:
    """For every text, the weights of its cluster's texts times what each is worth to it.

    Args:
        starts: int64[clusters + 1], where clusters begin among the n texts.
        sketches: uint64[n, w], see `resemblance.words`; padding: bytes of them that always agree.
        weight: int64[n], of each text; a text is worth 1 to itself.
        link_starts: int64[clusters + 1], where their links begin among m: pairs of texts whose
            similarity is known. one, two: int64[m], numbers of the two texts within the cluster.
        worth_of_link: float64[3, m], of those pairs. worth_of_agreement: float64[3, p + 1], of a pair
            whose sketches agree in 0 to p places, for all other pairs.
        code: int32[k, k], scratch, k the texts of the largest cluster.
        total: float64[3, n], out.

    Sums go in the order of the texts, so they are the same in every run. Cost: the square of a
    cluster's texts.
    """
    for c in range(len(starts) - 1):
        first, size = starts[c], starts[c + 1] - starts[c]
        for i in range(size):
            for j in range(i + 1, size):
                code[i, j] = -1
        for k in range(link_starts[c], link_starts[c + 1]):
            code[min(one[k], two[k]), max(one[k], two[k])] = k - link_starts[c]
        for i in range(size):
            for j in range(i + 1, size):
                if code[i, j] < 0:
                    code[i, j] = -1 - np.int32(agreeing(sketches, first + i, first + j) - padding)
        for i in range(size):
            for r in range(3):
                total[r, first + i] = 0.0
            for j in range(size):
                for r in range(3):
                    worth = 1.0
                    if i != j:
                        known = code[min(i, j), max(i, j)]
                        if known >= 0:
                            worth = worth_of_link[r, link_starts[c] + known]
                        else:
                            worth = worth_of_agreement[r, -1 - known]
                    total[r, first + i] += weight[first + j] * worth
