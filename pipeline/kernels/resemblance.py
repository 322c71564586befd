"""A second look, by sketches, at texts that their hubs did not lead to a near partner."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.jit import kernel


@kernel
def agreeing(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> int:
    """In how many places two sketches (uint8[p]) agree."""
    count = 0
    for k in range(len(one)):
        count += np.int64(one[k] == two[k])
    return count


@kernel
def _largest(labels: NDArray[np.int64], first: int, stop: int, tally: NDArray[np.int64]) -> int:
    # The label most texts of [first, stop) have; of equally frequent ones the smallest.
    for i in range(first, stop):
        tally[labels[i]] = 0
    for i in range(first, stop):
        tally[labels[i]] += 1
    best = labels[first]
    for i in range(first, stop):
        more = tally[labels[i]] - tally[best]
        if more > 0 or (more == 0 and labels[i] < best):
            best = labels[i]
    return best


@kernel
def look_again(
    sketches: NDArray[np.uint8],
    starts: NDArray[np.int64],
    labels: NDArray[np.int64],
    least: int,
    tries: int,
    tries_in_cluster: int,
    budget: int,
    tally: NDArray[np.int64],
    agreement: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
) -> tuple[int, int]:
    """Propose, for texts outside their component's largest cluster, the best others by sketch.

    Args:
        sketches: uint8[n, p], the texts in order of their components.
        starts: int64[components + 1], where components begin.
        labels: int64[n], each text's cluster so far, a number below n.
        least: places two sketches must agree in. tries: the most partners proposed for a text that is
            alone so far; tries_in_cluster: for one that is in a cluster.
        budget: sketches compared in a component at the most, spent in the order of the texts.
        tally, agreement: int64[n], scratch.
        left, right: int64[n * tries], out, the proposed pairs (numbers of texts).

    Returns:
        (pairs, texts left out because the budget was spent).

    Cost: texts outside the largest cluster times texts of the component, up to the budget.
    """
    pairs, left_out = 0, 0
    levels = np.zeros(sketches.shape[1] + 1, np.int64)
    for c in range(len(starts) - 1):
        first, stop = starts[c], starts[c + 1]
        main, spent = _largest(labels, first, stop, tally), 0
        for x in range(first, stop):
            if labels[x] == main:
                continue
            if spent + stop - first > budget:
                left_out += 1
                continue
            spent += stop - first
            levels[:] = 0
            for y in range(first, stop):
                agreement[y] = agreeing(sketches[x], sketches[y]) if labels[y] != labels[x] else -1
                if agreement[y] >= least:
                    levels[agreement[y]] += 1
            cut, room = len(levels), tries if tally[labels[x]] == 1 else tries_in_cluster
            while cut > least and levels[cut - 1] <= room:
                cut -= 1
                room -= levels[cut]
            for y in range(first, stop):
                # Of those that agree in just one place less than the cut, the first ones.
                if agreement[y] >= cut or (agreement[y] == cut - 1 and agreement[y] >= least and room > 0):
                    room -= np.int64(agreement[y] < cut)
                    left[pairs], right[pairs] = x, y
                    pairs += 1
    return pairs, left_out
