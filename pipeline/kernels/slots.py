"""The slots of rows of anchors: a number for each window that is looked at by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.jit import kernel
from pipeline.kernels.windows import Runs


@kernel
def place_slots(row: NDArray[np.uint32], windows: NDArray[np.uint16], out: NDArray[np.uint32]) -> None:
    """Where the slots of rows begin.

    Args:
        row: uint32[n], rows in the order of their slots. windows: uint16[n], how many each has. Neither
            can be written to.
        out: uint32[rows], out: 1 + the first slot of each of these; others are left as they are.

    Cost: linear.
    """
    slot = np.int64(0)
    for i in range(len(row)):
        out[row[i]] = slot + 1
        slot += np.int64(windows[i])


@kernel
def give_slots(
    row: NDArray[np.uint32],
    runs: Runs,
    several: int,
    slot: int,
    slot_of_row: NDArray[np.uint32],
    first: NDArray[np.int64],
) -> int:
    """Give slots to rows that have none, in the order in which they are met.

    Args:
        row: uint32[anchors], the row of each. runs: `kind` and `windows` of each; `slot`, `emits`, out.
        several: kinds from here on have slots. slot: the first that is free.
        slot_of_row: uint32[rows], 1 + the first slot of each, 0 without, in and out.
        first: int64[anchors], out: the first anchor of each row that was given slots.

    Returns:
        How many were. Cost: linear.
    """
    count = 0
    for a in range(len(row)):
        if runs.kind[a] >= several:
            if slot_of_row[row[a]] == 0:
                slot_of_row[row[a]] = slot + 1
                slot += np.int64(runs.windows[a])
                runs.emits[a] = True
                first[count] = a
                count += 1
            runs.slot[a] = np.int64(slot_of_row[row[a]]) - 1
    return count


@kernel
def mark_slots(
    kind: NDArray[np.uint8],
    before: NDArray[np.uint8],
    windows: NDArray[np.uint16],
    flags: NDArray[np.uint8],
    several: int,
    bits: tuple[int, int, int],
    out: NDArray[np.uint8],
) -> None:
    """What is known of each slot from its row, as bits.

    Args:
        kind: uint8[n], of rows in the order of their slots; 0: not looked at.
        before: uint8[at most n], the same of an earlier run, in which the others had no slots.
        windows: uint16[n], how many slots each has.
        flags: uint8[at most slots], what that run knew of them; none of `bits`.
        several: of this kind are windows that occur twice.
        bits: set where a slot is looked at, where it occurs twice, where either is otherwise than it was.
        out: uint8[slots], out. Neither `before` nor `flags` can be written to.

    Cost: linear.
    """
    live, many, changed = bits
    slot = np.int64(0)
    for i in range(len(kind)):
        was = before[i] if i < len(before) else np.uint8(0)
        state = changed if kind[i] != was else 0
        if kind[i]:
            state |= live | (many if kind[i] == several else 0)
        for at in range(slot, slot + windows[i]):
            out[at] = state | (np.int64(flags[at]) if kind[i] and at < len(flags) else 0)
        slot += np.int64(windows[i])
