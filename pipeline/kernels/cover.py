"""How much of a document its passages cover, by how often the most frequent one occurs.

Neighbouring passages of a document overlap, so their lengths cannot be added up: a position is
counted once, in the bin of the most frequent passage over it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.jit import kernel


@kernel
def _add(occurrences: int, positions: int, edges: NDArray[np.int64], sums: NDArray[np.int64]) -> None:
    place = len(edges) - 1
    while place >= 0 and occurrences < edges[place]:
        place -= 1
    if place >= 0:
        sums[place] += positions


@kernel
def _count(
    at: int,
    until: int,
    queue: NDArray[np.int64],
    head: int,
    tail: int,
    stops: NDArray[np.int64],
    occurrences: NDArray[np.int64],
    edges: NDArray[np.int64],
    sums: NDArray[np.int64],
) -> tuple[int, int]:
    # Positions [at, until) under the open intervals; (the new head, how many they are).
    covered = np.int64(0)
    while head < tail:
        top = queue[head]
        stop = min(stops[top], until)
        _add(occurrences[top], stop - at, edges, sums)
        covered += stop - at
        at = stop
        if stops[top] > until:
            break
        head += 1
    return head, covered


@kernel
def _cover(
    first: int,
    last: int,
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    occurrences: NDArray[np.int64],
    edges: NDArray[np.int64],
    sums: NDArray[np.int64],
    queue: NDArray[np.int64],
) -> int:
    # Intervals first, ..., last - 1. The queue holds the open ones that may still count, the most
    # frequent first: what a later one outdoes never will again, since that one ends no earlier.
    covered, head, tail = np.int64(0), 0, 0
    for i in range(first, last):
        if i > first:
            head, more = _count(starts[i - 1], starts[i], queue, head, tail, stops, occurrences, edges, sums)
            covered += more
        while tail > head and occurrences[queue[tail - 1]] <= occurrences[i]:
            tail -= 1
        queue[tail] = i
        tail += 1
    if last > first:
        _, more = _count(
            starts[last - 1], stops[last - 1], queue, head, tail, stops, occurrences, edges, sums
        )
        covered += more
    return covered


@kernel
def covers(
    offsets: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    occurrences: NDArray[np.int64],
    edges: NDArray[np.int64],
    sums: NDArray[np.int64],
    covered: NDArray[np.int64],
) -> None:
    """The positions of documents that at least one of their intervals covers, each in one bin.

    Args:
        offsets: int64[documents + 1], document d has the intervals offsets[d] up to
            offsets[d + 1], which need only be in order within it; it may have none.
        starts, stops: int64[n], the intervals [start, stop), in tokens or bytes. Within a
            document both never fall, so that no interval lies strictly within another; they may
            overlap, touch, be equal, and be empty.
        occurrences: int64[n], of the passages that lie there.
        edges: int64[bins], ascending, the least occurrences of each bin; the last has no upper
            end.
        sums: int64[documents, bins], in and out: for each position, 1 is added in the bin of the
            highest occurrences over it. Below edges[0] there is no bin, and nothing is added.
        covered: int64[documents], out, the number of covered positions, those without a bin
            included.

    Cost: linear. Memory: 8 bytes an interval of the document that has most.
    """
    most = 0
    for d in range(len(offsets) - 1):
        most = max(most, offsets[d + 1] - offsets[d])
    queue = np.empty(most, np.int64)
    for d in range(len(offsets) - 1):
        covered[d] = _cover(offsets[d], offsets[d + 1], starts, stops, occurrences, edges, sums[d], queue)
