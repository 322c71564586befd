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

from pipeline.artifacts import read_ranges, read_work, table_of, uint64
from pipeline.kernels.buffers import binary_slices, flat_values
from pipeline.kernels.windows import Runs
from pipeline.stages.places import Places
from pipeline.stages.scan import Segment
from pipeline.stages.survivors import NONE, SEVERAL, SURVIVORS, rows_and_kinds, survivors_of
from pipeline.stages.texts import REPEATS

CHOSEN = pa.schema(
    [
        ("number", pa.int64()),
        ("doc_id", pa.uint64()),
        ("text_id", pa.uint64()),
        ("copies", pa.int64()),
        ("source", pa.uint64()),
        ("licence", pa.uint64()),
        ("held", pa.bool_()),
        ("kinds", pa.large_binary()),
        ("windows", pa.large_binary()),
        ("slots", pa.large_binary()),
    ]
)


@dataclass(frozen=True)
class Chosen:
    """Some texts of a segment, in order.

    Attributes:
        number: of the text among the segment's anchored ones.
        doc_id, text_id, copies, source, licence: as in the tables of the run.
        ends: int64[texts + 1], boundaries of the texts' anchors in `runs`.
        runs: `emits` is set at the first anchor of each row that has slots.
    """

    number: NDArray[np.int64]
    doc_id: NDArray[np.uint64]
    text_id: NDArray[np.uint64]
    copies: NDArray[np.int64]
    source: NDArray[np.uint64]
    licence: NDArray[np.uint64]
    ends: NDArray[np.int64]
    runs: Runs

    def __len__(self) -> int:
        return len(self.doc_id)


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
    def known_slots(self) -> int:
        """How many those had that had slots before."""
        return int(self.windows[: self.known].sum(dtype=np.int64))

    @property
    def live_slots(self) -> int:
        """How many windows are looked at."""
        return int(self.windows[self.kind != NONE].sum(dtype=np.int64))

    def kind_of_slot(self) -> NDArray[np.uint8]:
        """What is known of the row of each slot."""
        return np.repeat(self.kind, self.windows)

    def live(self) -> Looked:
        """Those that are looked at."""
        live = self.kind != NONE
        return Looked(self.row[live], self.kind[live], self.windows[live], int(live[: self.known].sum()))


def choose(
    number: int,
    segment: Segment,
    places: Places,
    survivors: Sequence[str],
    repeats: Sequence[str],
    known: Looked,
) -> tuple[Chosen, Looked]:
    """The first documents of texts with a survivor, and the rows to be looked at, behind those known.

    Args:
        number: of the segment. survivors: see `survivors.find_survivors`. repeats: see `texts`.
        known: rows that have slots, whatever their kinds were.
    """
    table = read_work(f"{segment.path}/anchored.parquet")
    row, ends = flat_values(table.column("anchors"), np.uint32)
    windows, _ = flat_values(table.column("windows"), np.uint16)
    found = uint64(read_ranges(survivors, "survivor", survivors_of(number), SURVIVORS), "survivor")
    n_rows = int(row.max()) + 1 if len(row) else 0
    kind_of_row = np.zeros(n_rows, np.uint8)
    rows, kinds = rows_and_kinds(found)
    kind_of_row[rows] = kinds
    kind = kind_of_row[row]
    doc_id = places.doc_ids(segment.shard, table.column("piece").to_numpy(), table.column("row").to_numpy())
    copies = _copies(doc_id, repeats)
    survives = np.logical_or.reduceat(kind, ends[:-1]) if len(row) else np.zeros(0, np.bool_)
    chosen = np.flatnonzero(survives & (copies > 0))
    counts = np.diff(ends)
    kept = np.zeros(len(doc_id), np.bool_)
    kept[chosen] = True
    of_kept = np.repeat(kept, counts)
    runs, looked = _runs(kind[of_kept], windows[of_kept], row[of_kept], n_rows, known)
    texts = Chosen(
        chosen,
        doc_id[chosen],
        uint64(table, "text_id")[chosen],
        copies[chosen],
        uint64(table, "source")[chosen],
        uint64(table, "licence")[chosen],
        np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[chosen])]),
        runs,
    )
    return texts, looked


def _copies(doc_id: NDArray[np.uint64], repeats: Sequence[str]) -> NDArray[np.int64]:
    # How many documents have the text of each; 0 for those that are not the first of them.
    copies = np.ones(len(doc_id), np.int64)
    if len(doc_id):
        table = read_ranges(repeats, "doc_id", (int(doc_id[0]), int(doc_id[-1]) + 1), REPEATS)
        at = np.searchsorted(doc_id, uint64(table, "doc_id"))
        here = doc_id[at] == uint64(table, "doc_id")
        copies[at[here]] = table.column("copies").to_numpy()[here]
    return copies


def _runs(
    kind: NDArray[np.uint8], windows: NDArray[np.uint16], row: NDArray[np.uint32], n_rows: int, known: Looked
) -> tuple[Runs, Looked]:
    # New slots in the order in which their rows are met, so that those of a text are near each other.
    unsettled = np.flatnonzero(kind >= SEVERAL)
    kind_of_row = np.zeros(n_rows, np.uint8)
    kind_of_row[row[unsettled]] = kind[unsettled]
    slot_of_row = np.full(n_rows, -1, np.int64)
    slot_of_row[known.row] = _begins(known.windows, 0)
    first_of_row = np.full(n_rows, -1, np.int64)
    first_of_row[row[unsettled][::-1]] = unsettled[::-1]
    emits = np.zeros(len(kind), np.bool_)
    emits[first_of_row[(first_of_row >= 0) & (slot_of_row < 0)]] = True
    new = row[emits]
    slot_of_row[new] = _begins(windows[emits], known.slots)
    slot = np.where(kind >= SEVERAL, slot_of_row[row], -1)
    rows, counts = np.concatenate([known.row, new]), np.concatenate([known.windows, windows[emits]])
    return Runs(kind, windows, slot, emits), Looked(rows, kind_of_row[rows], counts, len(known.row))


def _begins(windows: NDArray[np.uint16], first: int) -> NDArray[np.int64]:
    # The first slot of each of some rows.
    counts = windows.astype(np.int64)
    return first + np.cumsum(counts) - counts


def chosen_table(chosen: Chosen, held: NDArray[np.bool_]) -> pa.Table:
    """Chosen texts, and whether stretches of each are held, as a table of `CHOSEN`."""
    runs, ends = chosen.runs, chosen.ends
    return table_of(
        CHOSEN,
        *(chosen.number, chosen.doc_id, chosen.text_id, chosen.copies, chosen.source, chosen.licence, held),
        *(binary_slices(values, ends) for values in (runs.kind, runs.windows, runs.slot)),
    )


def chosen_of(table: pa.Table) -> tuple[Chosen, NDArray[np.bool_]]:
    """The inverse of `chosen_table`, but that no anchor emits."""
    kinds, ends = flat_values(table.column("kinds"), np.uint8)
    windows, _ = flat_values(table.column("windows"), np.uint16)
    slots, _ = flat_values(table.column("slots"), np.int64)
    runs = Runs(kinds, windows, slots, np.zeros(len(kinds), np.bool_))
    names = ("number", "doc_id", "text_id", "copies", "source", "licence", "held")
    number, doc_id, text_id, copies, source, licence, held = (table.column(n).to_numpy() for n in names)
    return Chosen(number, doc_id, text_id, copies, source, licence, ends, runs), held
