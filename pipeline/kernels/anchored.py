"""Texts by what is known of the rows of their anchors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.jit import kernel
from pipeline.kernels.windows import Runs


class Fates(NamedTuple):
    """What is found of texts, bool[texts] each.

    Attributes:
        survives: it counts, and holds an anchor that repeats. changed: it counts, and holds one of a row
            of which something else is known than was. fresh: it counts, and holds one that is to be
            looked at and has no slots.
    """

    survives: NDArray[np.bool_]
    changed: NDArray[np.bool_]
    fresh: NDArray[np.bool_]


@kernel
def survive(
    row: NDArray[np.uint32],
    ends: NDArray[np.int64],
    kind: NDArray[np.uint8],
    before: NDArray[np.uint8],
    slot_of_row: NDArray[np.uint32],
    several: int,
    counts: NDArray[np.bool_],
    out: Fates,
    live: NDArray[np.uint8],
) -> None:
    """Which texts hold an anchor that repeats, and which rows they have looked at.

    Args:
        row: uint32[anchors], that cannot be written to: the row of each. ends: int64[texts + 1],
            boundaries of the texts' anchors. kind: uint8[rows], see `stages.survivors`.
        before: uint8[rows], that cannot be written to: their kinds in an earlier run.
        slot_of_row: uint32[rows], 0 for a row without slots.
        several: kinds from here on have their windows looked at one by one.
        counts: bool[texts], those to go by. out: out.
        live: uint8[rows], out: the kind of a row that is looked at; others are left as they are.

    Cost: linear.
    """
    for text in range(len(ends) - 1):
        found, changed, fresh = False, False, False
        if counts[text]:
            for a in range(ends[text], ends[text + 1]):
                r = row[a]
                known = kind[r]
                found = found or known != 0
                changed = changed or known != before[r]
                if known >= several:
                    live[r] = known
                    fresh = fresh or slot_of_row[r] == 0
        out.survives[text], out.changed[text], out.fresh[text] = found, changed, fresh


@kernel
def pick(
    row: NDArray[np.uint32],
    windows: NDArray[np.uint16],
    ends: NDArray[np.int64],
    numbers: NDArray[np.int64],
    kind: NDArray[np.uint8],
    slot_of_row: NDArray[np.uint32],
    several: int,
    picked: NDArray[np.uint32],
    out: Runs,
) -> None:
    """The anchors of some texts, with what is known of their rows; arguments as in `survive`.

    Args:
        windows: uint16[anchors], how many windows each has; neither it nor `kind` can be written to.
        numbers: int64[n], of the texts. slot_of_row: uint32[rows], 1 + the first slot of each.
        picked, out: the rows of the texts' anchors and what is known of them, out; none emits.

    Cost: linear in the anchors of these texts.
    """
    at = 0
    for text in numbers:
        for a in range(ends[text], ends[text + 1]):
            r = row[a]
            picked[at], out.kind[at], out.windows[at] = r, kind[r], windows[a]
            out.slot[at] = np.int64(slot_of_row[r]) - 1 if kind[r] >= several else -1
            out.emits[at] = False
            at += 1


@kernel
def hold(
    row: NDArray[np.uint32], ends: NDArray[np.int64], marked: NDArray[np.bool_], out: NDArray[np.bool_]
) -> None:
    """Which texts hold an anchor of a marked row; arrays as in `survive`. Cost: linear."""
    for text in range(len(ends) - 1):
        found = False
        for a in range(ends[text], ends[text + 1]):
            if marked[row[a]]:
                found = True
                break
        out[text] = found
