"""The second read: of just those texts that hold a surviving anchor, the parts with survivors.

The windows of unsettled anchors are hashed one by one, those of equal contexts once in a chunk, and
exchanged by their hash. A chunk is what comes of a segment.

What an earlier run found in the same segment is not looked for again. The windows of a row of its
anchors follow from the row, so their hashes and neighbours hold in any corpus. A text is read here if
it holds rows that have to be hashed, or if it was not cut before.

Measured on 445 MB of Python source: 0.12 window rows of 16 bytes a token of text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import table_of, uint64
from pipeline.kernels.anchored import survive
from pipeline.kernels.minimizers import sampler
from pipeline.mapped import mapped_ranges, read_mapped, write_mapped
from pipeline.stages.bodies import bodies_of
from pipeline.stages.chosen import (
    CHOSEN,
    anchored_of,
    chosen_of,
    copies_of,
    with_new_slots,
)
from pipeline.stages.hashed import Hashed, Held, known_rows, write_hashed
from pipeline.stages.inputs import Shard
from pipeline.stages.places import Places
from pipeline.stages.scan import ScanParameters, Segment
from pipeline.stages.standing import Standing
from pipeline.stages.stretches import FLUSH_BYTES, TextScratch, Wanted, read_wanted, wanted_of
from pipeline.stages.survivors import SEVERAL, SURVIVORS, rows_and_kinds, survivors_of

KINDS = pa.schema([("kind", pa.uint8())])  # of each row of a segment's anchors, see `survivors`


@dataclass(frozen=True)
class Known:
    """What an earlier run left of a segment.

    Attributes:
        kinds: a table of `KINDS`. flags: a table of `hashed.STATES`, without the bits of that night.
        hashed: its windows. standing: its passages.
    """

    kinds: str
    flags: str
    hashed: Hashed
    standing: Standing


@dataclass(frozen=True)
class Chunk:
    """What came of a segment.

    Attributes:
        shard, name, segment: of the segment, and its folder. known: of an earlier run, if anything is.
        texts: a table of `CHOSEN`. kinds: a table of `KINDS`. stretches: files of those texts' that were
            read.
        held: its windows.
        n_windows, n_texts: how many are looked at. new_windows, read: how many were hashed, read.
    """

    shard: int
    name: str
    segment: str
    known: Known | None
    texts: str
    kinds: str
    stretches: tuple[str, ...]
    held: Held
    n_windows: int
    n_texts: int
    new_windows: int
    read: int


class _Segment:
    """A segment while its texts are chosen and read."""

    def __init__(self, segment: Segment, known: Known | None, places: Places, path: str) -> None:
        self.segment, self.known, self.path = segment, known, path
        self.anchored = anchored_of(segment.path)
        self.doc_id = self.anchored.doc_ids(segment.shard, places)
        self.written = list[str]()
        self.held: list[pa.Table] = []
        self.held_bytes = 0

    def choose(self, told: NDArray[np.uint64], whole: bool, repeats: Sequence[str]) -> bool:
        """Choose the first documents of texts with a survivor, and what of them is to be read.

        Args:
            told: survivors of the segment; `whole`: all of them, or those that may have changed.
            repeats: see `texts`.

        Returns:
            Whether there is anything to write: chosen texts, or what is to be kept of the segment.
        """
        anchored, n_rows = self.anchored, self.anchored.rows
        before = np.zeros(n_rows, np.uint8)
        if self.known is not None:
            before = read_mapped(self.known.kinds).column("kind").to_numpy()
        self.kind = np.zeros(n_rows, np.uint8) if whole else before.copy()
        rows, kinds = rows_and_kinds(told)
        self.kind[rows] = kinds
        self.copies = copies_of(self.doc_id, repeats)
        survives, live = np.zeros(len(self.doc_id), np.bool_), np.zeros(n_rows, np.uint8)
        survive(anchored.row, anchored.ends, self.kind, SEVERAL, self.copies > 0, survives, live)
        self.before = known_rows(None if self.known is None else self.known.hashed)
        new = live > 0
        new[self.before.row] = False
        was_cut = np.zeros(len(self.doc_id), np.bool_)
        if self.known is not None:
            was_cut[self.known.standing.numbers()] = True
        self.chosen = np.flatnonzero(survives)
        changed = ~was_cut | anchored.holding(self.kind != before)
        self.changed = changed[self.chosen]
        slots = self.before.slot_of_row(n_rows)
        at = self.chosen[(~was_cut | anchored.holding(new))[self.chosen]]
        asked, self.looked = with_new_slots(
            chosen_of(anchored, at, self.doc_id[at], self.kind, slots), self.before, live
        )
        wanted = ~was_cut[at] | asked.emitting()
        self.reading, self.read = asked.only(wanted), np.isin(self.chosen, at[wanted], assume_unique=True)
        return len(self.chosen) > 0 or self.segment.name != ""

    def wanted(self, window: int) -> Wanted | None:
        """What is to be read, if anything."""
        self.asked = None
        if len(self.reading):
            bodies = bodies_of(self.segment.path)
            self.asked = wanted_of(self.reading, window, self.looked.slots, bodies)
        return self.asked

    def add(self, table: pa.Table) -> None:
        """Hold stretches, and write those held whenever there are enough."""
        self.held.append(table)
        self.held_bytes += table.nbytes
        if self.held_bytes >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held, if anything."""
        if self.held:
            path = f"{self.path}-{len(self.written):04d}-stretches.arrow"
            self.written.append(write_mapped(pa.concat_tables(self.held), path, packed=True))
        self.held, self.held_bytes = [], 0

    def chunk(self) -> Chunk:
        """Write what is left, and the windows."""
        self.flush()
        known = self.before.slots
        fresh = (np.zeros(0, np.uint64),) * 2
        if self.asked is not None:
            fresh = self.asked.hashes[known:], self.asked.beside[known:]
        flags = np.zeros(0, np.uint8)
        if self.known is not None:
            flags = read_mapped(self.known.flags).column("state").to_numpy()
        earlier = None if self.known is None else self.known.hashed
        held, looked = write_hashed(earlier, self.looked, self.before, flags, fresh, self.path)
        return Chunk(
            self.segment.shard,
            self.segment.name,
            self.segment.path,
            self.known,
            write_mapped(self._texts(), f"{self.path}-chosen.arrow"),
            write_mapped(table_of(KINDS, self.kind), f"{self.path}-kinds.arrow"),
            tuple(self.written),
            held,
            looked.live_slots,
            len(self.chosen),
            len(fresh[0]),
            int(self.read.sum()),
        )

    def _texts(self) -> pa.Table:
        text_id, source, licence = (
            uint64(self.anchored.texts, name)[self.chosen] for name in ("text_id", "source", "licence")
        )
        doc_id, copies = self.doc_id[self.chosen], self.copies[self.chosen]
        return table_of(
            CHOSEN, self.chosen, doc_id, text_id, copies, source, licence, self.read, self.changed
        )


def read_stretches(
    shard: Shard,
    segments: Sequence[tuple[int, Segment, Known | None]],
    path: str,
    *,
    places: str,
    survivors: Sequence[str],
    whole: bool,
    repeats: Sequence[str],
    parameters: ScanParameters,
) -> list[Chunk]:
    """Read the texts of a shard that hold a survivor, and write their stretches and windows.

    Args:
        segments: those of the shard, with their numbers among all and what is known of each.
        path: what the written files' names begin with.
        survivors: see `survivors.find_survivors`; `whole`: of known segments, too, all of them.
        repeats: see `texts`.

    Raises:
        InputChangedError: a file is not what the scan read.
    """
    located, scratch = Places(places), TextScratch(sampler(parameters.passage_tokens))
    chunks: list[Chunk] = []
    reading: list[_Segment] = []  # the one whose stretches are read

    def waiting() -> Iterator[Wanted]:
        for number, segment, known in segments:
            found = _Segment(segment, known, located, f"{path}-{len(chunks):04d}")
            told = uint64(mapped_ranges(survivors, "survivor", survivors_of(number), SURVIVORS), "survivor")
            if found.choose(told, whole, repeats):
                wanted = found.wanted(parameters.passage_tokens)
                if wanted is not None:
                    reading[:] = [found]
                    yield wanted
                chunks.append(found.chunk())

    for table in read_wanted(shard, located, waiting(), parameters, scratch):
        reading[0].add(table)
    return chunks
