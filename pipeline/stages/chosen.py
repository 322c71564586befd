"""The texts of a segment that hold a surviving anchor, with what is known of their anchors.

Texts are named by their number among the segment's anchored texts, and windows that are to be looked
at one by one by a slot: anchors of one row have the same windows, so a row has its slots once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import uint64
from pipeline.kernels.anchored import hold
from pipeline.kernels.buffers import flat_values
from pipeline.kernels.windows import Runs
from pipeline.mapped import mapped_ranges, read_mapped
from pipeline.stages.places import Places
from pipeline.stages.survivors import NONE, SEVERAL
from pipeline.stages.texts import REPEATS

# Chosen texts in order. `held`: its stretches were read already; `changed`: something that decides how
# it is cut may be otherwise than in the earlier run.
CHOSEN = pa.schema(
    [
        ("number", pa.int64()),
        ("doc_id", pa.uint64()),
        ("text_id", pa.uint64()),
        ("copies", pa.int64()),
        ("source", pa.uint64()),
        ("licence", pa.uint64()),
        ("held", pa.bool_()),
        ("changed", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class Anchored:
    """The anchors of a segment's texts, back to back.

    Attributes:
        row: uint32, which of the segment's rows each is. windows: uint16, how many it has.
        ends: int64[texts + 1], boundaries of the texts' anchors.
        texts: the other columns of `anchors.ANCHORED`, a row a text.
    """

    row: NDArray[np.uint32]
    windows: NDArray[np.uint16]
    ends: NDArray[np.int64]
    texts: pa.Table

    @property
    def rows(self) -> int:
        """How many rows there are: each has an anchor."""
        return int(self.row.max()) + 1 if len(self.row) else 0

    def holding(self, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """bool[texts], those that hold an anchor of a marked row."""
        out = np.zeros(len(self.ends) - 1, np.bool_)
        if marked.any():
            hold(self.row, self.ends, marked, out)
        return out

    def doc_ids(self, shard: int, places: Places) -> NDArray[np.uint64]:
        """uint64[texts], the first document of each in the segment."""
        piece, row = (self.texts.column(name).to_numpy() for name in ("piece", "row"))
        return places.doc_ids(shard, piece, row)


def anchored_of(segment: str) -> Anchored:
    """The anchors of a segment, named by its folder."""
    table = read_mapped(f"{segment}/anchored.arrow")
    row, ends = flat_values(table.column("anchors"), np.uint32)
    windows, _ = flat_values(table.column("windows"), np.uint16)
    return Anchored(row, windows, ends, table.drop_columns(["anchors", "windows"]))


@dataclass(frozen=True)
class Chosen:
    """Some texts of a segment, in order.

    Attributes:
        doc_id, text_id: as in the tables of the run.
        ends: int64[texts + 1], boundaries of the texts' anchors in `runs`.
        runs: `emits` is set at the first anchor of each row whose windows are to be hashed.
        row: uint32[anchors], the row of each.
    """

    doc_id: NDArray[np.uint64]
    text_id: NDArray[np.uint64]
    ends: NDArray[np.int64]
    runs: Runs
    row: NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.doc_id)

    def emitting(self) -> NDArray[np.bool_]:
        """bool[texts], those with windows to be hashed."""
        if not len(self.row):
            return np.zeros(len(self), np.bool_)
        return np.asarray(np.logical_or.reduceat(self.runs.emits, self.ends[:-1]))

    def only(self, kept: NDArray[np.bool_]) -> Chosen:
        """Some of them."""
        counts = np.diff(self.ends)
        of_kept = np.repeat(kept, counts)
        runs = Runs._make(column[of_kept] for column in self.runs)
        ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[kept])])
        return Chosen(self.doc_id[kept], self.text_id[kept], ends, runs, self.row[of_kept])


@dataclass(frozen=True)
class Looked:
    """The rows of a segment that have slots, in the order of these.

    Attributes:
        row: uint32. windows: uint16, how many slots it has.
        kind: uint8, see `survivors`; NONE if its windows are not looked at.
        known: how many of the rows, the first ones, had slots before.
    """

    row: NDArray[np.uint32]
    kind: NDArray[np.uint8]
    windows: NDArray[np.uint16]
    known: int

    @property
    def slots(self) -> int:
        """How many windows they have together."""
        return int(self.windows.sum(dtype=np.int64))

    @property
    def live_slots(self) -> int:
        """How many windows are looked at."""
        return int(self.windows[self.kind != NONE].sum(dtype=np.int64))

    @property
    def begins(self) -> NDArray[np.int64]:
        """int64[rows], the first slot of each."""
        counts = self.windows.astype(np.int64)
        return np.cumsum(counts) - counts

    def kind_of_slot(self) -> NDArray[np.uint8]:
        """What is known of the row of each slot."""
        return np.repeat(self.kind, self.windows)

    def slot_of_row(self, rows: int) -> NDArray[np.int64]:
        """int64[rows of the segment], the first slot of each; -1 if it has none."""
        slots = np.full(rows, -1, np.int64)
        slots[self.row] = self.begins
        return slots

    def live(self) -> Looked:
        """Those that are looked at."""
        live = self.kind != NONE
        return Looked(self.row[live], self.kind[live], self.windows[live], int(live[: self.known].sum()))


def copies_of(doc_id: NDArray[np.uint64], repeats: Sequence[str]) -> NDArray[np.int64]:
    """How many documents have the text of each (ascending); 0 for those that are not the first of them.

    Args:
        repeats: see `texts`.
    """
    copies = np.ones(len(doc_id), np.int64)
    if len(doc_id):
        table = mapped_ranges(repeats, "doc_id", (int(doc_id[0]), int(doc_id[-1]) + 1), REPEATS)
        at = np.searchsorted(doc_id, uint64(table, "doc_id"))
        here = doc_id[at] == uint64(table, "doc_id")
        copies[at[here]] = table.column("copies").to_numpy()[here]
    return copies


def chosen_of(
    anchored: Anchored,
    numbers: NDArray[np.int64],
    doc_id: NDArray[np.uint64],
    kind: NDArray[np.uint8],
    slot_of_row: NDArray[np.int64],
) -> Chosen:
    """Some texts of a segment, by their numbers, ascending; no anchor emits.

    Args:
        doc_id: of each of them. kind: uint8[rows], of the segment's rows, see `survivors`.
        slot_of_row: int64[rows]; -1 for those that have no slots.
    """
    kept = np.zeros(len(anchored.ends) - 1, np.bool_)
    kept[numbers] = True
    counts = np.diff(anchored.ends)
    of_kept = np.repeat(kept, counts)
    row, windows = anchored.row[of_kept], anchored.windows[of_kept]
    kinds = kind[row]
    slot = np.where(kinds >= SEVERAL, slot_of_row[row], -1)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[numbers])])
    runs = Runs(kinds, windows, slot, np.zeros(len(row), np.bool_))
    return Chosen(doc_id, uint64(anchored.texts, "text_id")[numbers], ends, runs, row)


def with_new_slots(chosen: Chosen, known: Looked, live: NDArray[np.uint8]) -> tuple[Chosen, Looked]:
    """The same, with slots for all rows that are looked at.

    Args:
        chosen: of the texts that hold rows without slots, all. known: the rows that have slots.
        live: uint8[rows of the segment], their kinds; NONE if they are not looked at.
    """
    kind, windows, slot, _ = chosen.runs
    slot_of_row = known.slot_of_row(len(live))
    # New slots in the order in which their rows are met, so that those of a text are near each other.
    without = np.flatnonzero((kind >= SEVERAL) & (slot < 0))
    first_of_row = np.full(len(live), -1, np.int64)
    first_of_row[chosen.row[without][::-1]] = without[::-1]
    first = np.sort(first_of_row[first_of_row >= 0])
    emits = np.zeros(len(kind), np.bool_)
    emits[first] = True
    new = chosen.row[first]
    rows = np.concatenate([known.row, new])
    looked = Looked(rows, live[rows], np.concatenate([known.windows, windows[first]]), len(known.row))
    slot_of_row[new] = looked.begins[len(known.row) :]
    slot = np.where(kind >= SEVERAL, slot_of_row[chosen.row], -1)
    return Chosen(
        chosen.doc_id, chosen.text_id, chosen.ends, Runs(kind, windows, slot, emits), chosen.row
    ), looked
