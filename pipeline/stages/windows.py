"""The second read: of just those texts that hold a surviving anchor, the parts with survivors.

The windows of unsettled anchors are hashed one by one, those of equal contexts once in a chunk, and
exchanged by their hash. A chunk is what comes of a segment.

What an earlier run found in the same segment is not looked for again. The windows of a row of its
anchors follow from the row, so their hashes and neighbours hold in any corpus; whether they stand for
several places does not, and is told anew. A text is read here if it holds rows that have to be hashed,
or if nothing is known of how it was cut.

Measured on 445 MB of Python source: 0.12 window rows of 16 bytes a token of text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import read_work, write_work
from pipeline.kernels.minimizers import sampler
from pipeline.stages.chosen import Chosen, Looked, choose, chosen_table
from pipeline.stages.hashed import Hashed, known_rows, write_hashed
from pipeline.stages.inputs import Shard
from pipeline.stages.places import Places
from pipeline.stages.scan import ScanParameters, Segment
from pipeline.stages.stretches import FLUSH_BYTES, TextScratch, Wanted, read_wanted, wanted_of


@dataclass(frozen=True)
class Known:
    """What an earlier run left of a segment: windows, and tables of cuts, or nothing.

    cut: as `cutting.Cut.kept`.
    """

    hashed: Hashed | None = None
    cut: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chunk:
    """What came of a segment.

    Attributes:
        shard, name: of the segment. known: of an earlier run.
        chosen: its texts with survivors. stretches: files of those that were read.
        hashed: its windows by hash. slots: how many there are of them.
        n_windows, texts: how many are looked at. new_windows, read: how many were hashed, read.
    """

    shard: int
    name: str
    known: Known
    chosen: str
    stretches: tuple[str, ...]
    hashed: Hashed
    slots: int
    n_windows: int
    texts: int
    new_windows: int
    read: int


class _Output:
    """Collects the stretches of a chunk and writes them whenever enough are held."""

    def __init__(self, segment: Segment, known: Known, chosen: Chosen, looked: Looked, path: str) -> None:
        self.segment, self.known, self.path = segment, known, path
        self.chosen, self.looked = chosen, looked
        self.read = self._unknown()
        self.written = list[str]()
        self.held: list[pa.Table] = []
        self.held_bytes = 0

    def _unknown(self) -> NDArray[np.bool_]:
        # The texts that have to be read before windows are judged.
        if not self.known.cut:
            return np.ones(len(self.chosen), np.bool_)
        cut = read_work(self.known.cut[0], ["number"]).column("number").to_numpy()
        hashing = np.logical_or.reduceat(self.chosen.runs.emits, self.chosen.ends[:-1])
        return np.asarray(hashing | ~np.isin(self.chosen.number, cut, assume_unique=True))

    def wanted(self, window: int) -> Wanted | None:
        """What is to be read, if anything."""
        at = np.flatnonzero(self.read)
        self.reading = wanted_of(self.chosen, at, window, self.looked.slots) if len(at) else None
        return self.reading

    def add(self, table: pa.Table) -> None:
        self.held.append(table)
        self.held_bytes += table.nbytes
        if self.held_bytes >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held, if anything."""
        if self.held:
            path = f"{self.path}-{len(self.written):04d}-stretches.parquet"
            self.written.append(write_work(pa.concat_tables(self.held), path))
        self.held, self.held_bytes = [], 0

    def chunk(self) -> Chunk:
        """Write what is left, and the windows."""
        self.flush()
        known, slots = self.looked.known_slots, self.looked.slots
        found = (np.zeros(0, np.uint64),) * 2
        if self.reading is not None:
            found = self.reading.hashes[known:], self.reading.beside[known:]
        hashed, moved = write_hashed(self.known.hashed, self.looked, *found, self.path)
        if moved is not None:
            of_anchor = self.chosen.runs.slot
            of_anchor[of_anchor >= 0] = moved[of_anchor[of_anchor >= 0]]
        return Chunk(
            self.segment.shard,
            self.segment.name,
            self.known,
            write_work(chosen_table(self.chosen, self.read), f"{self.path}-chosen.parquet"),
            tuple(self.written),
            hashed,
            slots if moved is None else self.looked.live_slots,
            self.looked.live_slots,
            len(self.chosen),
            slots - known,
            int(self.read.sum()),
        )


def read_stretches(
    shard: Shard,
    segments: Sequence[tuple[int, Segment, Known]],
    path: str,
    *,
    places: str,
    survivors: Sequence[str],
    repeats: Sequence[str],
    parameters: ScanParameters,
) -> list[Chunk]:
    """Read the texts of a shard that hold a survivor, and write their stretches and windows.

    Args:
        segments: those of the shard, with their numbers among all and what is known of each.
        path: what the written files' names begin with.
        survivors: see `survivors.find_survivors`. repeats: see `texts`.

    Raises:
        InputChangedError: a file is not what the scan read.
    """
    located, scratch = Places(places), TextScratch(sampler(parameters.passage_tokens))
    chunks: list[Chunk] = []
    outputs: list[_Output] = []  # the one that is being filled

    def waiting() -> Iterator[Wanted]:
        for number, segment, known in segments:
            chosen, looked = choose(number, segment, located, survivors, repeats, known_rows(known.hashed))
            if len(chosen):
                outputs[:] = [_Output(segment, known, chosen, looked, f"{path}-{len(chunks):04d}")]
                wanted = outputs[0].wanted(parameters.passage_tokens)
                if wanted is not None:
                    yield wanted
                chunks.append(outputs[0].chunk())

    for table in read_wanted(shard, located, waiting(), parameters, scratch):
        outputs[0].add(table)
    return chunks
