"""How many shingles a text shares with each of a sample, from an inverted index of the sample."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.jit import kernel


class Postings(NamedTuple):
    """Which sampled sets hold a value.

    Attributes:
        values: uint64, the distinct values, sorted.
        starts: int64[len(values) + 1], where each value's sets begin in `members`.
        members: int64, numbers of sampled sets.
        sizes: int64[sample], sizes of the sampled sets.
    """

    values: NDArray[np.uint64]
    starts: NDArray[np.int64]
    members: NDArray[np.int64]
    sizes: NDArray[np.int64]


def postings(values: NDArray[np.uint64], sizes: NDArray[np.int64]) -> Postings:
    """Index sampled sets given back to back."""
    owners = np.repeat(np.arange(len(sizes)), sizes)
    order = np.argsort(values, kind="stable")
    distinct, starts = np.unique(values[order], return_index=True)
    return Postings(distinct, np.append(starts, len(values)).astype(np.int64), owners[order], sizes)


@kernel
def _find(values: NDArray[np.uint64], wanted: np.uint64) -> int:
    low, high = 0, len(values)
    while low < high:
        middle = (low + high) >> 1
        if values[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(values) and values[low] == wanted else -1


@kernel
def near_members(
    values: NDArray[np.uint64],
    sizes: NDArray[np.int64],
    index: Postings,
    threshold: float,
    counts: NDArray[np.int64],
    texts: NDArray[np.int64],
    members: NDArray[np.int64],
    jaccards: NDArray[np.float64],
) -> int:
    """Which sampled sets each of some sets is near to.

    Args:
        values, sizes: sets back to back, and their sizes.
        index: of the sample. threshold: the least Jaccard that is reported.
        counts: int64[sample], scratch, zero; zero again on return.
        texts, members, jaccards: out, one entry a near pair; longer than there are pairs.

    Returns:
        The number of pairs, or -1 if the output is too short.
    """
    found, begin = 0, 0
    for text in range(len(sizes)):
        for i in range(begin, begin + sizes[text]):
            place = _find(index.values, values[i])
            if place >= 0:
                for k in range(index.starts[place], index.starts[place + 1]):
                    counts[index.members[k]] += 1
        begin += sizes[text]
        for member in range(len(counts)):
            if counts[member]:
                jaccard = counts[member] / (sizes[text] + index.sizes[member] - counts[member])
                counts[member] = 0
                if jaccard >= threshold:
                    if found < len(texts):
                        texts[found], members[found], jaccards[found] = text, member, jaccard
                    found += 1
    return found if found <= len(texts) else -1
