"""What labels (sources, or licences) share: groups that stand in two of them, or twice in one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.jit import kernel


@kernel
def shared(
    starts: NDArray[np.int64],
    label: NDArray[np.int64],
    documents: NDArray[np.int64],
    tokens: NDArray[np.int64],
    sums: NDArray[np.int64],
) -> None:
    """Add up, for each label and each pair of labels, the groups they have in common.

    Args:
        starts: int64[groups + 1], where groups begin among n rows, each a label that a group has.
        label: int64[n], below k, ascending and unique within a group.
        documents, tokens: int64[n], of the label in the group.
        sums: int64[3, k, k], in and out: groups, documents of the first label, tokens of the first
            label. On the diagonal: of groups with two or more documents of the label.

    Cost: the square of a group's labels.
    """
    for g in range(len(starts) - 1):
        for i in range(starts[g], starts[g + 1]):
            for j in range(starts[g], starts[g + 1]):
                if i != j or documents[i] >= 2:
                    sums[0, label[i], label[j]] += 1
                    sums[1, label[i], label[j]] += documents[i]
                    sums[2, label[i], label[j]] += tokens[i]
