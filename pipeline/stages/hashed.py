"""The windows of a segment by hash, in one file a night that hashed some.

A row of the segment's anchors has its slots from the first night on that looks at its windows, so files
stay as they are: a night writes what it hashed, and the list of rows with what it knows of each. A row
that is not looked at any more is marked there, and its windows are passed over. When there are many
files, or most of what they hold is passed over, one is made of them, and slots are given anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, read_range, read_work, table_of, uint64, write_work
from pipeline.stages.chosen import Looked
from pipeline.stages.survivors import NONE, SEVERAL

WINDOWS = pa.schema([("window", pa.uint64()), ("beside", pa.uint64()), ("slot", pa.uint32())])
# The rows of the segment's anchors that have slots, in their order; kind NONE: not looked at.
ROWS = pa.schema([("row", pa.uint32()), ("windows", pa.uint16()), ("kind", pa.uint8())])
MOST_FILES = 8  # of one segment: each is opened for every range of keys
_MANY = np.uint64(1)


@dataclass(frozen=True)
class Hashed:
    """The windows of a segment.

    rows: a table of `ROWS`. windows: tables of `WINDOWS`, each sorted; no slot is in two.
    """

    rows: str
    windows: tuple[str, ...]


def known_rows(hashed: Hashed | None) -> Looked:
    """The rows that have slots."""
    table = ROWS.empty_table() if hashed is None else read_work(hashed.rows)
    row, windows, kind = (table.column(name).to_numpy() for name in ROWS.names)
    return Looked(row, kind, windows, len(row))


def live_windows(hashed: Hashed, keys: KeyRange) -> tuple[NDArray[np.uint64], ...]:
    """Hashes, neighbours and slots of the windows in a key range that are looked at.

    The lowest bit of the neighbours tells whether a window is known to occur twice.
    """
    kind = known_rows(hashed).kind_of_slot()
    parts = [(np.zeros(0, np.uint64),) * 3]
    for path in hashed.windows:
        table = read_range(path, "window", keys)
        window, beside, slot = (table.column(name).to_numpy() for name in WINDOWS.names)
        of_slot = kind[slot]
        if not of_slot.all():
            live = np.flatnonzero(of_slot)
            window, beside, slot, of_slot = window[live], beside[live], slot[live], of_slot[live]
        parts.append((window, beside | (of_slot == SEVERAL).astype(np.uint64), slot.astype(np.uint64)))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def write_hashed(
    earlier: Hashed | None,
    looked: Looked,
    hashes: NDArray[np.uint64],
    beside: NDArray[np.uint64],
    path: str,
) -> tuple[Hashed, NDArray[np.int64] | None]:
    """Write what was hashed beside what there is.

    Args:
        looked: all rows with slots. hashes, beside: of the slots that are new, in order.
        path: what the written files' names begin with.

    Returns:
        The windows; and the new number of each slot (-1: none) if they were given anew.
    """
    order = np.argsort(hashes)
    first = looked.slots - len(hashes)
    slots = (order + first).astype(np.uint32)
    table = table_of(WINDOWS, hashes[order], beside[order] & ~_MANY, slots)
    files = () if earlier is None else earlier.windows
    if len(files) + bool(len(table)) > MOST_FILES or 2 * looked.live_slots < looked.slots:
        return _merged(files, table, looked, path)
    if len(table):
        files = *files, write_work(table, f"{path}-windows.parquet", "window")
    return Hashed(_rows(looked, path), files), None


def _rows(looked: Looked, path: str) -> str:
    return write_work(table_of(ROWS, looked.row, looked.windows, looked.kind), f"{path}-rows.parquet")


def _merged(
    files: Sequence[str], table: pa.Table, looked: Looked, path: str
) -> tuple[Hashed, NDArray[np.int64]]:
    live = looked.kind_of_slot() != NONE
    moved = np.where(live, np.cumsum(live) - 1, -1)
    every = pa.concat_tables([*(read_work(file) for file in files), table])
    slot = moved[every.column("slot").to_numpy()]
    window, beside = uint64(every, "window"), uint64(every, "beside")
    # Sorted runs, which a stable sort only merges.
    order = np.argsort(window, kind="stable")
    order = order[slot[order] >= 0]
    merged = table_of(WINDOWS, window[order], beside[order], slot[order].astype(np.uint32))
    written = write_work(merged, f"{path}-windows.parquet", "window")
    return Hashed(_rows(looked.live(), path), (written,)), moved
