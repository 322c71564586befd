"""What the members of near clusters add to each other's exposures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.buffers import read_only
from pipeline.kernels.jit import kernel
from pipeline.kernels.resemblance import agreeing


class Numbered(NamedTuple):
    """Links by the numbers of their ends.

    Attributes:
        starts: int64[clusters + 1], where each cluster's begin among the m that are left.
        rows: int64[m], ascending, which of all links they are.
        one, two: int64[m], numbers of the two texts within the cluster.
    """

    starts: NDArray[np.int64]
    rows: NDArray[np.int64]
    one: NDArray[np.int64]
    two: NDArray[np.int64]


@kernel
def _place(text_id: NDArray[np.uint64], first: int, stop: int, wanted: np.uint64, near: int) -> int:
    # The first of [first, stop), which ascend, that is not below what is wanted. Links mostly come in
    # order: from the place of the one before it is a step or two, where halving takes ten.
    low = near if near < stop and text_id[near] <= wanted else first
    high, step = low, 1
    while high < stop and text_id[high] < wanted:
        low = high + 1
        high += step
        step *= 2
    high = min(high, stop)
    while low < high:
        middle = (low + high) // 2
        if text_id[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _number_links(
    starts: NDArray[np.int64],
    key: NDArray[np.uint64],
    text_id: NDArray[np.uint64],
    link_key: NDArray[np.uint64],
    left: NDArray[np.uint64],
    right: NDArray[np.uint64],
    out: Numbered,
) -> int:
    count, k = 0, 0
    for c in range(len(starts) - 1):
        first, stop = starts[c], starts[c + 1]
        out.starts[c] = count
        one, two = first, first
        while k < len(link_key) and link_key[k] < key[first]:
            k += 1
        while k < len(link_key) and link_key[k] == key[first]:
            one = _place(text_id, first, stop, left[k], one)
            two = _place(text_id, first, stop, right[k], two)
            if one < stop and two < stop and text_id[one] == left[k] and text_id[two] == right[k]:
                out.rows[count], out.one[count], out.two[count] = k, one - first, two - first
                count += 1
            k += 1
    out.starts[len(starts) - 1] = count
    return count


def number_links(
    starts: NDArray[np.int64],
    key: NDArray[np.uint64],
    text_id: NDArray[np.uint64],
    link_key: NDArray[np.uint64],
    left: NDArray[np.uint64],
    right: NDArray[np.uint64],
) -> Numbered:
    """Of links between texts, those that join two texts of one cluster.

    Args:
        starts: int64[clusters + 1], where clusters begin among the n texts.
        key, text_id: uint64[n], sorted by both; a cluster has one key.
        link_key: uint64[l], ascending, the key of a cluster. left, right: uint64[l], the two texts.

    Cost: linear, times the logarithm of a cluster's texts.
    """
    rows, one, two = (np.empty(len(link_key), np.int64) for _ in range(3))
    out = Numbered(np.empty(len(starts), np.int64), rows, one, two)
    columns = (read_only(values) for values in (key, text_id, link_key, left, right))
    count = _number_links(starts, *columns, out)
    return Numbered(out.starts, *(column[:count] for column in out[1:]))


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
        total[:, first : first + size] = 0.0
        for i in range(size):
            # Before text i have added to it, in order, those before it; behind it those behind will.
            for r in range(3):
                total[r, first + i] += weight[first + i]
            for j in range(i + 1, size):
                known = code[i, j]
                if known < 0:
                    known = -1 - np.int32(agreeing(sketches, first + i, first + j) - padding)
                for r in range(3):
                    if known >= 0:
                        worth = worth_of_link[r, link_starts[c] + known]
                    else:
                        worth = worth_of_agreement[r, -1 - known]
                    total[r, first + i] += weight[first + j] * worth
                    total[r, first + j] += weight[first + i] * worth
