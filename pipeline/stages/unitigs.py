"""Cut the stretches of a corpus into passages, once it is known where its windows branch.

Windows are judged by key range: a window repeats if it has two rows, or one that stands for two
places; it continues alike if all of its rows have the same neighbour. Then every chunk is cut by
itself: a passage ends where its last window, or the next one, does not continue alike.

What is known of a window follows from its rows. Where an earlier run judged most of them, only those
are judged again that have a row which is new, is looked at otherwise, or is gone; and what is told is
what changed.

A window is known by a 61-bit hash. Among n windows that are looked at one by one, about
n**2 / 2**62 unequal pairs are expected to look equal: one in five audits of 10 billion tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, table_of, uint64
from pipeline.composing import composed
from pipeline.kernels import unitigs as kernel
from pipeline.kernels.buffers import text_buffers
from pipeline.kernels.predictable import most_period
from pipeline.kernels.scan import roomier, tokeniser
from pipeline.kernels.sorted_keys import members
from pipeline.kernels.windows import Runs, Stretches, places
from pipeline.mapped import mapped_range, mapped_ranges, read_mapped, write_mapped
from pipeline.stages.hashed import CHANGED, FLAGS, LIVE, MANY
from pipeline.stages.runs import alike, alone, run_starts
from pipeline.stages.windows import Chunk

# A window's number: of its chunk, of its slot there, and what is known of it now.
JUDGED = pa.schema([("window", pa.uint64())])
_CHUNK_BITS, _FLAG_BITS = 40, 3
_OF_STRETCH = ("first", "stop", "window", "token")


class _Rows(NamedTuple):
    # Windows of a chunk by hash, their neighbours, their slots, and the state of each.
    window: NDArray[np.uint64]
    beside: NDArray[np.uint64]
    slot: NDArray[np.uint32]
    state: NDArray[np.uint8]

    def at(self, rows: NDArray[np.int64]) -> _Rows:
        return _Rows._make(column[rows] for column in self)


def judge_windows(
    keys: KeyRange, path: str, *, chunks: Sequence[Chunk], gone: Sequence[str] = ()
) -> tuple[str, int]:
    """Find what is known of the windows of a key range, where that is not what was known.

    Args:
        gone: tables of windows of the segments that an earlier run had and this one has not.

    Returns:
        The path of a table of `JUDGED`, sorted; how many windows were judged.
    """
    parts = [(number, rows) for number, chunk in enumerate(chunks) for rows in _rows(chunk, keys)]
    numbers, every = [number for number, _ in parts], [rows for _, rows in parts]
    if any(chunk.known is not None for chunk in chunks):
        every = _touched(every, [*gone, *(chunk.held.left for chunk in chunks if chunk.held.left)], keys)
    # One that is not looked at any more has told what it touched, and has no say.
    every = [part.at(np.flatnonzero(part.state & LIVE)) for part in every]
    nothing = _Rows(*(np.zeros(0, np.uint64),) * 2, np.zeros(0, np.uint32), np.zeros(0, np.uint8))
    rows = _Rows._make(np.concatenate(columns) for columns in zip(nothing, *every, strict=True))
    number = np.repeat(np.array(numbers, np.uint64), [len(part.window) for part in every])
    known = _known(rows)
    new = np.flatnonzero(known != rows.state & FLAGS)
    place = number[new] << np.uint64(_CHUNK_BITS) | rows.slot[new].astype(np.uint64) << np.uint64(_FLAG_BITS)
    judged = np.sort(place | known[new].astype(np.uint64))
    return write_mapped(table_of(JUDGED, judged), path), len(known)


def _rows(chunk: Chunk, keys: KeyRange) -> Iterator[_Rows]:
    states = read_mapped(chunk.held.states).column("state").to_numpy()
    for file in chunk.held.hashed.windows:
        table = mapped_range(file, "window", keys)[1]
        slot = table.column("slot").to_numpy()
        yield _Rows(uint64(table, "window"), uint64(table, "beside"), slot, states[slot])


def _touched(parts: Sequence[_Rows], gone: Sequence[str], keys: KeyRange) -> list[_Rows]:
    # The rows of windows of which some row is otherwise than it was.
    changed = [part.window[np.flatnonzero(part.state & CHANGED)] for part in parts]
    lost = [uint64(mapped_range(path, "window", keys)[1], "window") for path in gone]
    touched = np.unique(np.concatenate([np.zeros(0, np.uint64), *changed, *lost]))
    return [part.at(members(part.window, touched)) for part in parts]


def _known(rows: _Rows) -> NDArray[np.uint8]:
    # What is known of each window, as bits.
    known = np.zeros(len(rows.window), np.uint8)
    order = np.argsort(rows.window)
    new = run_starts(rows.window[order])
    # A window that has one row, which stands for one place, does not repeat: most are such.
    kept = ~alone(new) | (rows.state[order] & MANY).astype(np.bool_)
    order, new = order[kept], new[kept]
    beside = rows.beside[order]
    run = np.cumsum(new) - 1
    left, right = beside >> np.uint64(32), beside & np.uint64(0xFFFFFFFE)
    found = np.full(int(run[-1]) + 1 if len(run) else 0, kernel.REPEATED, np.uint8)
    found[alike(left, new, run)] |= kernel.LEFT_ALIKE
    found[alike(right, new, run)] |= kernel.RIGHT_ALIKE
    known[order] = found[run]
    return known


def judged_of(number: int, judged: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Of a chunk, the slots about whose windows something else is known than was, and what."""
    span = number << _CHUNK_BITS, (number + 1) << _CHUNK_BITS
    found = uint64(mapped_ranges(judged, "window", span, JUDGED), "window") & np.uint64(
        (1 << _CHUNK_BITS) - 1
    )
    slots = (found >> np.uint64(_FLAG_BITS)).astype(np.int64)
    return slots, (found & np.uint64(FLAGS)).astype(np.uint8)


class Cutter:
    """The tables and scratch that cut stretches, and room for what comes of them."""

    def __init__(self, window: int, runs: Runs, flags: NDArray[np.uint8]) -> None:
        self.window, self.runs, self.flags = window, runs, flags
        self.tok = tokeniser()
        self.place = places(self.tok)
        self.known = kernel.memory(len(flags))
        self.spans = kernel.spans(1 << 16)

    def cut(self, texts: pa.LargeBinaryArray, stretches: Stretches) -> kernel.Spans:
        """The spans of stretches with these bytes."""
        data, offsets = text_buffers(texts)
        at, filled = 0, 0
        while True:
            at, filled, needs = kernel.cut(
                data,
                offsets,
                at,
                self.window,
                most_period(self.window),
                self.runs,
                stretches,
                self.flags,
                self.tok,
                self.place,
                self.known,
                self.spans,
                filled,
            )
            if needs == kernel.ENOUGH:
                return kernel.Spans._make(column[:filled].copy() for column in self.spans)
            if needs == kernel.MORE_TOKENS:
                self.tok = roomier(self.tok, int(offsets[at + 1] - offsets[at]))
                self.place = places(self.tok)
            else:
                self.spans = kernel.roomier(self.spans, filled)


def cut_table(table: pa.Table, cutter: Cutter) -> kernel.Spans:
    """The spans of all stretches of a table, with byte ranges in the documents."""
    first, stop, window, token = (table.column(name).to_numpy() for name in _OF_STRETCH)
    unused = np.zeros(0, np.int64)
    stretches = Stretches(unused, first, stop, window, token, unused, unused)
    composes = table.column("composes").to_numpy()
    begin = table.column("begin").to_numpy()
    parts = []
    plain = np.flatnonzero(~composes)
    texts = table.column("text")
    if len(plain):
        chosen = texts if len(plain) == len(texts) else texts.take(pa.array(plain))
        part = cutter.cut(binary(chosen), _chosen(stretches, plain))
        stretch = plain[part.stretch]
        parts.append(
            part._replace(stretch=stretch, begin=part.begin + begin[stretch], end=part.end + begin[stretch])
        )
    for i in np.flatnonzero(composes):
        whole = composed(texts[int(i)].as_py())
        one = pa.array([whole.text], pa.large_binary())
        part = cutter.cut(one, _chosen(stretches, np.array([i])))
        parts.append(
            part._replace(
                stretch=part.stretch + i, begin=whole.first[part.begin], end=whole.last[part.end - 1]
            )
        )
    joined = kernel.Spans._make(np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(joined.stretch, kind="stable")
    return kernel.Spans._make(column[order] for column in joined)


def binary(column: pa.ChunkedArray) -> pa.LargeBinaryArray:
    """A column as one array, copied only if it is several."""
    return (
        column.chunk(0)
        if column.num_chunks == 1
        else pa.concat_arrays([pa.array([], pa.large_binary()), *column.chunks])
    )


def _chosen(stretches: Stretches, chosen: NDArray[np.int64]) -> Stretches:
    unused = stretches.text
    wanted = {name: getattr(stretches, name)[chosen] for name in _OF_STRETCH}
    return Stretches(text=unused, begin=unused, end=unused, **wanted)
