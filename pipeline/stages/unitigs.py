"""Cut the stretches of a corpus into passages, once it is known where its windows branch.

Windows are judged by key range: a window repeats if it has two rows, or one that stands for two
places; it continues alike if all of its rows have the same neighbour. Then every chunk is cut by
itself: a passage ends where its last window, or the next one, does not continue alike.

A window is known by a 61-bit hash. Among n windows that are looked at one by one, about
n**2 / 2**62 unequal pairs are expected to look equal: one in five audits of 10 billion tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import (
    KeyRange,
    read_ranges,
    table_of,
    uint64,
    write_work,
)
from pipeline.composing import composed
from pipeline.kernels import unitigs as kernel
from pipeline.kernels.buffers import text_buffers
from pipeline.kernels.predictable import most_period
from pipeline.kernels.scan import roomier, tokeniser
from pipeline.kernels.windows import Runs, Stretches, places
from pipeline.stages.hashed import live_windows
from pipeline.stages.runs import alike, alone, run_starts
from pipeline.stages.windows import Chunk

# A repeated window's number: of its chunk, of its slot there, and how it continues.
JUDGED = pa.schema([("window", pa.uint64())])
_CHUNK_BITS, _FLAG_BITS = 40, 2
_FLAGS = np.uint64((1 << _FLAG_BITS) - 1)
_MANY = np.uint64(1)
_OF_STRETCH = ("first", "stop", "window", "token")


def judge_windows(keys: KeyRange, path: str, *, chunks: Sequence[Chunk]) -> tuple[str, int, int]:
    """Find the repeated windows of a key range, and how they continue.

    Returns:
        The path of a table of `JUDGED`, sorted; how many windows were judged; how many repeat.
    """
    columns: list[tuple[NDArray[np.uint64], ...]] = [(np.zeros(0, np.uint64),) * 3]
    for number, chunk in enumerate(chunks):
        window, beside, slot = live_windows(chunk.hashed, keys)
        place = slot << np.uint64(_FLAG_BITS) | np.uint64(number << _CHUNK_BITS)
        columns.append((window, beside, place))
    window, beside, place = (np.concatenate(column) for column in zip(*columns, strict=True))
    order = np.argsort(window)
    new = run_starts(window[order])
    # A window that has one row, which stands for one place, does not repeat: most are such.
    kept = ~alone(new) | (beside[order] & _MANY).astype(np.bool_)
    order, new = order[kept], new[kept]
    beside = beside[order]
    run = np.cumsum(new) - 1
    left, right = beside >> np.uint64(32), beside & np.uint64(0xFFFFFFFE)
    known = np.where(alike(left, new, run), kernel.LEFT_ALIKE, 0) | np.where(
        alike(right, new, run), kernel.RIGHT_ALIKE, 0
    )
    judged = np.sort(place[order] | known.astype(np.uint64)[run])
    return write_work(table_of(JUDGED, judged), path, "window"), len(window), len(judged)


def flags_of(number: int, chunk: Chunk, judged: Sequence[str]) -> NDArray[np.uint8]:
    """uint8[slots of a chunk], what is known of each of its windows, as bits."""
    flags = np.zeros(chunk.slots, np.uint8)
    span = number << _CHUNK_BITS, (number + 1) << _CHUNK_BITS
    found = uint64(read_ranges(judged, "window", span, JUDGED), "window") & np.uint64((1 << _CHUNK_BITS) - 1)
    slots = (found >> np.uint64(_FLAG_BITS)).astype(np.int64)
    flags[slots] = (found & _FLAGS).astype(np.uint8) | np.uint8(kernel.REPEATED)
    return flags


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
