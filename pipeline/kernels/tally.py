"""How often the passages of some texts stand in them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.buffers import read_only
from pipeline.kernels.jit import kernel


class Tally(NamedTuple):
    """Of each passage: int64 each.

    Attributes:
        occurrences: places, copies of texts counted. documents: that hold it, copies counted.
        texts: that hold it. first: the number of its first place; -1 if it has none.
    """

    occurrences: NDArray[np.int64]
    documents: NDArray[np.int64]
    texts: NDArray[np.int64]
    first: NDArray[np.int64]


def empty_tally(passages: int) -> Tally:
    """Nothing counted yet."""
    occurrences, documents, texts = (np.zeros(passages, np.int64) for _ in range(3))
    return Tally(occurrences, documents, texts, np.full(passages, -1, np.int64))


def tally(
    passage: NDArray[np.uint32], text: NDArray[np.uint32], copies: NDArray[np.int64], out: Tally
) -> None:
    """Count places.

    Args:
        passage: uint32[places], number of the passage. text: uint32[places], number of the text, not
            descending. copies: int64[texts], documents with each text. out: empty, out.

    Cost: linear.
    """
    _tally(read_only(passage), read_only(text), copies, out)


@kernel
def _tally(
    passage: NDArray[np.uint32], text: NDArray[np.uint32], copies: NDArray[np.int64], out: Tally
) -> None:
    last = np.full(len(out.first), -1, np.int64)
    for i in range(len(passage)):
        p, t = passage[i], text[i]
        out.occurrences[p] += copies[t]
        if last[p] != t:
            if last[p] < 0:
                out.first[p] = i
            out.documents[p] += copies[t]
            out.texts[p] += 1
            last[p] = t
