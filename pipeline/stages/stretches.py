"""The parts of texts that hold survivors, read from their files another time.

A text's stretch is kept as it stands in the file, so that no further read is needed to say where a
passage is. The windows of anchors that emit are hashed on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import table_of
from pipeline.composing import nfkc
from pipeline.kernels import windows as kernel
from pipeline.kernels.buffers import binary_slices, text_buffers
from pipeline.kernels.minimizers import Sampler
from pipeline.kernels.scan import Tokeniser, roomier, tokeniser
from pipeline.kernels.tokens import NEEDS_NFKC, TOKENISED
from pipeline.readers.rows import Columns
from pipeline.stages.bodies import other_texts, read_bodies
from pipeline.stages.chosen import Chosen
from pipeline.stages.inputs import Shard
from pipeline.stages.places import Places
from pipeline.stages.scan import ScanParameters
from pipeline.stages.sets import changed_texts, read_again
from pipeline.stages.survivors import SEVERAL

FLUSH_BYTES = 64 << 20  # text of stretches held before it is written, or cut

# `chosen`: number of the text among those to be read; its anchors there are [first, stop).
STRETCHES = pa.schema(
    [
        *((name, pa.int64()) for name in ("chosen", "first", "stop", "window", "token", "begin")),
        ("composes", pa.bool_()),
        ("text", pa.large_binary()),
    ]
)


@dataclass
class TextScratch:
    """The tokeniser's and the sampler's memory."""

    sampling: Sampler
    tok: Tokeniser = field(default_factory=tokeniser)

    def __post_init__(self) -> None:
        self.place = kernel.places(self.tok)

    def grow(self, n_bytes: int) -> None:
        """Make room for a text of so many bytes that found none."""
        self.tok = roomier(self.tok, n_bytes)
        self.place = kernel.places(self.tok)


class Texts(NamedTuple):
    """Some texts of a batch: uint8, the bytes of all; int64[n], int64[n], their byte ranges."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


@dataclass
class Wanted:
    """Texts of a segment to be read again, in order, with their anchors, stretches and windows."""

    doc_id: NDArray[np.uint64]
    text_id: NDArray[np.uint64]
    ends: NDArray[np.int64]  # boundaries of the texts' anchors
    runs: kernel.Runs
    stretches: kernel.Stretches
    cuts: NDArray[np.int64]  # boundaries of the texts' stretches
    hashes: NDArray[np.uint64]  # by slot
    beside: NDArray[np.uint64]
    bodies: str  # the file that holds them, see `bodies`; empty: they are read from the inputs
    done: int = 0  # texts read so far


def wanted_of(chosen: Chosen, window: int, slots: int, bodies: str) -> Wanted:
    """All of some chosen texts; `slots`: room for the hashes of so many windows."""
    room = kernel.stretches(len(chosen.runs.kind))
    n = kernel.plan_stretches(chosen.ends, chosen.runs, window, room)
    stretches = kernel.Stretches._make(column[:n] for column in room)
    return Wanted(
        chosen.doc_id,
        chosen.text_id,
        chosen.ends,
        chosen.runs,
        stretches,
        np.searchsorted(stretches.text, np.arange(len(chosen) + 1)),
        np.empty(slots, np.uint64),
        np.empty(slots, np.uint64),
        bodies,
    )


def _read(texts: Texts, is_nfkc: bool, wanted: Wanted, first: int, scratch: TextScratch) -> NDArray[np.int64]:
    # Texts first, first + 1, ... of those wanted; returns the tokeniser's outcomes.
    n = len(texts.starts)
    outcomes = np.zeros(n, np.int64)
    stop, at = first + n, 0
    while True:
        at = kernel.read_windows(
            texts.data,
            texts.starts,
            texts.ends,
            at,
            is_nfkc,
            wanted.text_id[first:stop],
            wanted.ends[first : stop + 1],
            SEVERAL,
            wanted.runs,
            wanted.cuts[first : stop + 1],
            wanted.stretches,
            scratch.sampling,
            scratch.tok,
            scratch.place,
            wanted.hashes,
            wanted.beside,
            outcomes,
        )
        if at == n:
            return outcomes
        scratch.grow(int(texts.ends[at] - texts.starts[at]))


def read_part(
    texts: pa.LargeBinaryArray, at: NDArray[np.int64], wanted: Wanted, scratch: TextScratch
) -> pa.Table | None:
    """The stretches of the next texts of those wanted, which are `texts[at]`; None if they are not
    the texts they were."""
    data, offsets = text_buffers(texts)
    chosen = Texts(data, offsets[at], offsets[at + 1])
    first = wanted.done
    outcomes = _read(chosen, False, wanted, first, scratch)
    composing = np.flatnonzero(outcomes == NEEDS_NFKC)
    for place in composing.tolist():
        try:
            text = nfkc(texts[int(at[place])].as_py().decode()).encode()
        except UnicodeDecodeError:
            return None
        whole = text_buffers(pa.array([text], pa.large_binary()))
        one = Texts(whole[0], whole[1][:1].copy(), whole[1][1:].copy())
        outcomes[place] = _read(one, True, wanted, first + place, scratch)[0]
    if (outcomes != TOKENISED).any():
        return None
    wanted.done += len(at)
    return _stretches(chosen, wanted, first, composing)


def _stretches(texts: Texts, wanted: Wanted, first: int, composing: NDArray[np.int64]) -> pa.Table:
    low, high = wanted.cuts[first], wanted.cuts[first + len(texts.starts)]
    part = kernel.Stretches._make(column[low:high].copy() for column in wanted.stretches)
    keep = ~np.isin(part.text - first, composing)
    # What has to be composed cannot be cut: it is kept whole, as one stretch.
    whole = kernel.stretches(len(composing))
    whole.text[:] = composing + first
    whole.first[:], whole.stop[:] = wanted.ends[whole.text], wanted.ends[whole.text + 1]
    whole.end[:] = (texts.ends - texts.starts)[composing]
    part = kernel.Stretches._make(
        np.concatenate([column[keep], more]) for column, more in zip(part, whole, strict=True)
    )
    order = np.argsort(part.text, kind="stable")
    part = kernel.Stretches._make(column[order] for column in part)
    lengths = part.end - part.begin
    out = np.empty(int(lengths.sum()), np.uint8)
    start = texts.starts[part.text - first]
    kernel.copy_ranges(texts.data, start + part.begin, start + part.end, out)
    return table_of(
        STRETCHES,
        part.text,
        part.first,
        part.stop,
        part.window,
        part.token,
        part.begin,
        np.isin(part.text - first, composing),
        binary_slices(out, np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])),
    )


def read_wanted(
    shard: Shard, located: Places, waiting: Iterator[Wanted], parameters: ScanParameters, scratch: TextScratch
) -> Iterator[pa.Table]:
    """Tables of the stretches of wanted texts of a shard.

    Args:
        waiting: in the order of their documents, each with at least one text; the next is asked for
            when all tables of those before it were given.

    Raises:
        InputChangedError: a file is not what the scan read.
    """
    wanted = next(waiting, None)
    while wanted is not None and wanted.bodies:
        yield from _read_kept(shard, located, wanted, scratch)
        wanted = next(waiting, None)
    only_text = replace(parameters, columns=Columns(parameters.columns.text))
    for item, first_doc, n_rows in zip(
        shard.pieces, located.first_docs(shard.number), located.rows(shard.number), strict=True
    ):
        stop_doc = first_doc + np.uint64(n_rows)
        if wanted is None or wanted.doc_id[wanted.done] >= stop_doc:
            continue
        for rows in read_again(item, only_text):
            here = first_doc + rows.rows.to_numpy().astype(np.uint64)
            while len(here) and wanted is not None:
                stop = int(np.searchsorted(wanted.doc_id, here[-1], side="right"))
                if stop == wanted.done:
                    break
                at = np.searchsorted(here, wanted.doc_id[wanted.done : stop])
                if not np.array_equal(here[at], wanted.doc_id[wanted.done : stop]):
                    raise changed_texts(item)
                table = read_part(rows.texts, at, wanted, scratch)
                if table is None:
                    raise changed_texts(item)
                yield table
                if wanted.done == len(wanted.doc_id):
                    wanted = next(waiting, None)
        if wanted is not None and wanted.doc_id[wanted.done] < stop_doc:
            raise changed_texts(item)


def _read_kept(shard: Shard, located: Places, wanted: Wanted, scratch: TextScratch) -> Iterator[pa.Table]:
    for at, table in read_bodies(wanted.bodies, shard.number, located, wanted.doc_id):
        stretches = read_part(table.column("text").chunk(0), at - at[0], wanted, scratch)
        if stretches is None:
            raise other_texts(wanted.bodies)
        yield stretches


def gathered(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same in tables of a size that is worth the work."""
    held: list[pa.Table] = []
    size = 0
    for table in tables:
        held.append(table)
        size += table.nbytes
        if size >= FLUSH_BYTES:
            yield pa.concat_tables(held).combine_chunks()
            held, size = [], 0
    if held:
        yield pa.concat_tables(held).combine_chunks()
