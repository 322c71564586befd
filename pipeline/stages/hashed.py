"""The windows of a segment by hash, in one file a night that hashed some, and what is known of them.

A row of the segment's anchors has its slots from the first night on that looks at its windows, so files
stay as they are: a night writes what it hashed, the list of rows with what it knows of each, and a byte
a slot. A row that is not looked at any more is marked there, and its windows are passed over. When
there are many files, or most of what they hold is passed over, one is made of them, and slots are given
anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import table_of, uint64
from pipeline.kernels.buffers import read_only
from pipeline.kernels.slots import mark_slots
from pipeline.mapped import read_mapped, write_mapped
from pipeline.stages.chosen import Looked
from pipeline.stages.survivors import SEVERAL

WINDOWS = pa.schema([("window", pa.uint64()), ("beside", pa.uint64()), ("slot", pa.uint32())])
# The rows of the segment's anchors that have slots, in their order; kind NONE: not looked at.
ROWS = pa.schema([("row", pa.uint32()), ("windows", pa.uint16()), ("kind", pa.uint8())])
# What is known of the window of each slot, as bits: in an earlier run, see `kernels.unitigs.cut`; and
# whether it is looked at, known to occur twice, and either otherwise than in that run.
STATES = pa.schema([("state", pa.uint8())])
FLAGS, LIVE, MANY, CHANGED = 7, 8, 16, 32
HASHES = pa.schema([("window", pa.uint64())])
MOST_FILES = 8  # of one segment: each is opened for every range of keys
_TWICE = np.uint64(1)


@dataclass(frozen=True)
class Hashed:
    """The windows of a segment.

    rows: a table of `ROWS`. windows: tables of `WINDOWS`, each sorted; no slot is in two.
    """

    rows: str
    windows: tuple[str, ...]


@dataclass(frozen=True)
class Held:
    """The windows of a segment tonight.

    Attributes:
        hashed: by hash. slots: how many slots there are.
        states: a table of `STATES`. left: a table of `HASHES`, sorted: windows that were looked at and
            have no slot any more; or empty.
    """

    hashed: Hashed
    slots: int
    states: str
    left: str


def known_rows(hashed: Hashed | None) -> Looked:
    """The rows that have slots."""
    table = ROWS.empty_table() if hashed is None else read_mapped(hashed.rows)
    row, windows, kind = (table.column(name).to_numpy() for name in ROWS.names)
    return Looked(row, kind, windows, len(row))


def write_hashed(
    earlier: Hashed | None,
    looked: Looked,
    before: Looked,
    flags: NDArray[np.uint8],
    fresh: tuple[NDArray[np.uint64], NDArray[np.uint64]],
    path: str,
) -> tuple[Held, Looked]:
    """Write what was hashed beside what there is.

    Args:
        looked: all rows with slots. before: those there were, with what was known of them.
        flags: uint8[slots before], of the earlier run. fresh: hashes and neighbours of the slots that
            are new, in order.
        path: what the written files' names begin with.

    Returns:
        The windows; and the rows with slots, which may have been given anew.
    """
    hashes, beside = fresh
    first = looked.slots - len(hashes)
    state, bits = np.empty(looked.slots, np.uint8), (LIVE, MANY, CHANGED)
    kinds = looked.kind, read_only(before.kind)
    mark_slots(*kinds, looked.windows, read_only(flags), SEVERAL, bits, state)
    order = np.argsort(hashes)
    slots = (order + first).astype(np.uint32)
    table = table_of(WINDOWS, hashes[order], beside[order] & ~_TWICE, slots)
    files = () if earlier is None else earlier.windows
    left = ""
    if len(files) + bool(len(table)) > MOST_FILES or 2 * looked.live_slots < looked.slots:
        live, was_live = looked.live_of_slot(), np.zeros(looked.slots, np.bool_)
        was_live[:first] = before.live_of_slot()
        files, left = _merged(files, table, live, was_live, path)
        state, looked = state[live], looked.live()
    elif len(table):
        files = *files, write_mapped(table, f"{path}-windows.arrow")
    rows = table_of(ROWS, looked.row, looked.windows, looked.kind)
    hashed = Hashed(write_mapped(rows, f"{path}-rows.arrow"), files)
    states = write_mapped(table_of(STATES, state), f"{path}-states.arrow")
    return Held(hashed, len(state), states, left), looked


def _merged(
    files: Sequence[str], table: pa.Table, live: NDArray[np.bool_], was_live: NDArray[np.bool_], path: str
) -> tuple[tuple[str, ...], str]:
    moved = np.where(live, np.cumsum(live) - 1, -1)
    every = pa.concat_tables([*(read_mapped(file) for file in files), table])
    before = every.column("slot").to_numpy()
    window, beside, slot = uint64(every, "window"), uint64(every, "beside"), moved[before]
    # Sorted runs, which a stable sort only merges.
    order = np.argsort(window, kind="stable")
    gone = order[(slot[order] < 0) & was_live[before[order]]]
    order = order[slot[order] >= 0]
    merged = table_of(WINDOWS, window[order], beside[order], slot[order].astype(np.uint32))
    left = table_of(HASHES, window[gone])
    return (
        (write_mapped(merged, f"{path}-windows.arrow"),),
        write_mapped(left, f"{path}-left.arrow") if len(gone) else "",
    )
