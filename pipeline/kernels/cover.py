"""How much of a document its passages cover, by how often the most frequent one occurs.

Neighbouring passages of a document overlap, so their lengths cannot be added up: a position is
counted once, in the bin of the most frequent passage over it. Those in a bin or a higher one are the
positions that passages so frequent cover, and as passages come in order these are added up on the way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.jit import kernel


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

    Cost: linear, times the bins at most.
    """
    # Level 0: of any occurrences; level 1 and up: of those that reach the bins.
    levels = len(edges) + 1
    reached, added = np.zeros(levels, np.int64), np.zeros(levels + 1, np.int64)
    for d in range(len(offsets) - 1):
        added[:] = 0
        for i in range(offsets[d], offsets[d + 1]):
            if i == offsets[d]:
                reached[:] = starts[i]
            level = 0
            while level < levels and (level == 0 or occurrences[i] >= edges[level - 1]):
                start = max(starts[i], reached[level])
                if stops[i] > start:
                    added[level] += stops[i] - start
                    reached[level] = stops[i]
                level += 1
        covered[d] = added[0]
        for b in range(levels - 1):
            sums[d, b] += added[b + 1] - added[b + 2]
