"""Cut the stretches of a corpus into passages, once it is known where its windows branch.

Windows are judged by key range: a window repeats if it has two rows, or one that stands for two
places; it continues alike if all of its rows have the same neighbour. Then every chunk is cut by
itself: a passage ends where its last window, or the next one, does not continue alike.

A window is known by a 61-bit hash. Among n windows that are looked at one by one, about
n**2 / 2**62 unequal pairs are expected to look equal: one in five audits of 10 billion tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.artifacts import (
    KeyRange,
    frame,
    read_numbered_range,
    read_ranges,
    read_work,
    table_of,
    uint64,
    write_work,
)
from pipeline.composing import composed
from pipeline.kernels import unitigs as kernel
from pipeline.kernels.buffers import binary_slices, flat_values, text_buffers
from pipeline.kernels.predictable import most_period
from pipeline.kernels.scan import roomier, tokeniser
from pipeline.kernels.windows import Runs, Stretches, copy_ranges, places
from pipeline.stages.runs import run_starts
from pipeline.stages.texts import TEXT_LABELS
from pipeline.stages.windows import Chunk

TEXT_CHARACTERS = 500  # of a passage that its row shows
# A repeated window's number: of its chunk, of its row there, and how it continues.
JUDGED = pa.schema([("window", pa.uint64())])
PLACES = pa.schema(
    [
        ("passage_id", pa.uint64()),
        ("doc_id", pa.uint64()),
        ("text_id", pa.uint64()),
        ("copies", pa.int64()),
        ("token_start", pa.int64()),
        ("tokens", pa.int64()),
        ("byte_start", pa.int64()),
        ("byte_end", pa.int64()),
    ]
)
EXAMPLES = pa.schema(
    [
        ("passage_id", pa.uint64()),
        ("predictable", pa.bool_()),
        ("text", pa.large_string()),
    ]
)
# How many places of a passage are in documents with which source and licence (hashes, 0: none).
PASSAGE_LABELS = pa.schema(
    [
        ("passage_id", pa.uint64()),
        ("source", pa.uint64()),
        ("licence", pa.uint64()),
        ("tokens", pa.int64()),
        ("places", pa.int64()),
    ]
)
_CHUNK_BITS, _FLAG_BITS = 40, 2
_FLAGS = np.uint64((1 << _FLAG_BITS) - 1)


@dataclass(frozen=True)
class Cut:
    """What a file of stretches was cut into: places of passages; each passage once, with its text;
    sources and licences of passages. All sorted by passage_id."""

    places: str
    examples: str
    labels: str
    count: int


def judge_windows(keys: KeyRange, path: str, *, chunks: Sequence[Chunk]) -> tuple[str, int, int]:
    """Find the repeated windows of a key range, and how they continue.

    Returns:
        The path of a table of `JUDGED`, sorted; how many windows were judged; how many repeat.
    """
    columns: list[tuple[NDArray[np.uint64], ...]] = [(np.zeros(0, np.uint64),) * 3]
    for number, chunk in enumerate(chunks):
        first, table = read_numbered_range(chunk.windows, "window", keys)
        place = np.arange(first, first + len(table), dtype=np.uint64) << np.uint64(_FLAG_BITS)
        place |= np.uint64(number << _CHUNK_BITS)
        columns.append((uint64(table, "window"), uint64(table, "beside"), place))
    window, beside, place = (np.concatenate(column) for column in zip(*columns, strict=True))
    order = np.argsort(window)
    new = run_starts(window[order])
    starts = np.flatnonzero(new)
    if not len(starts):
        return write_work(JUDGED.empty_table(), path, "window"), 0, 0
    beside = beside[order]
    many = (beside & np.uint64(1)).astype(np.bool_)
    left, right = beside >> np.uint64(32), beside & np.uint64(0xFFFFFFFE)
    repeated = (np.diff(np.append(starts, len(order))) > 1) | np.logical_or.reduceat(many, starts)
    known = np.where(_alike(left, starts), kernel.LEFT_ALIKE, 0) | np.where(
        _alike(right, starts), kernel.RIGHT_ALIKE, 0
    )
    sizes = np.diff(np.append(starts, len(order)))
    chosen = np.repeat(repeated, sizes)
    known = np.repeat(known[repeated].astype(np.uint64), sizes[repeated])
    judged = np.sort(place[order[chosen]] | known)
    return write_work(table_of(JUDGED, judged), path, "window"), len(order), len(judged)


def _alike(values: NDArray[np.uint64], starts: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray(np.minimum.reduceat(values, starts) == np.maximum.reduceat(values, starts))


def _flags(number: int, chunk: Chunk, judged: Sequence[str]) -> NDArray[np.uint8]:
    # By slot: what is known of each window that was looked at.
    flags = np.zeros(chunk.n_windows, np.uint8)
    span = number << _CHUNK_BITS, (number + 1) << _CHUNK_BITS
    found = uint64(read_ranges(judged, "window", span, JUDGED), "window") & np.uint64((1 << _CHUNK_BITS) - 1)
    slots = read_work(chunk.slots).column("slot").to_numpy()
    rows = (found >> np.uint64(_FLAG_BITS)).astype(np.int64)
    flags[slots[rows]] = (found & _FLAGS).astype(np.uint8) | np.uint8(kernel.REPEATED)
    return flags


class Cutter:
    """The tables and scratch that cut stretches, and room for what comes of them."""

    def __init__(self, window: int, flags: NDArray[np.uint8]) -> None:
        self.window, self.flags = window, flags
        self.tok = tokeniser()
        self.place = places(self.tok)
        self.known = kernel.memory(len(flags))
        self.spans = kernel.spans(1 << 16)

    def cut(self, texts: pa.LargeBinaryArray, runs: Runs, stretches: Stretches) -> kernel.Spans:
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
                runs,
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


def _anchors(table: pa.Table) -> tuple[Runs, Stretches]:
    kinds, ends = flat_values(table.column("kinds"), np.uint8)
    windows, _ = flat_values(table.column("windows"), np.uint16)
    slots, _ = flat_values(table.column("slots"), np.int64)
    runs = Runs(kinds, windows, slots, np.zeros(0, np.bool_))
    unused = np.zeros(0, np.int64)
    window, token = (table.column(name).to_numpy() for name in ("window", "token"))
    return runs, Stretches(unused, ends[:-1], ends[1:], window, token, unused, unused)


def cut_table(table: pa.Table, cutter: Cutter) -> kernel.Spans:
    """The spans of all stretches of a table, with byte ranges in the documents."""
    runs, stretches = _anchors(table)
    composes = table.column("composes").to_numpy()
    begin = table.column("begin").to_numpy()
    parts = []
    plain = np.flatnonzero(~composes)
    texts = table.column("text")
    if len(plain):
        chosen = texts if len(plain) == len(texts) else texts.take(pa.array(plain))
        part = cutter.cut(_binary(chosen), runs, _chosen(stretches, plain))
        stretch = plain[part.stretch]
        parts.append(
            part._replace(stretch=stretch, begin=part.begin + begin[stretch], end=part.end + begin[stretch])
        )
    for i in np.flatnonzero(composes):
        whole = composed(texts[int(i)].as_py())
        one = pa.array([whole.text], pa.large_binary())
        part = cutter.cut(one, runs, _chosen(stretches, np.array([i])))
        parts.append(
            part._replace(
                stretch=part.stretch + i, begin=whole.first[part.begin], end=whole.last[part.end - 1]
            )
        )
    joined = kernel.Spans._make(np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(joined.stretch, kind="stable")
    return kernel.Spans._make(column[order] for column in joined)


def _binary(column: pa.ChunkedArray) -> pa.LargeBinaryArray:
    return (
        column.chunk(0)
        if column.num_chunks == 1
        else pa.concat_arrays([pa.array([], pa.large_binary()), *column.chunks])
    )


def _chosen(stretches: Stretches, chosen: NDArray[np.int64]) -> Stretches:
    unused = stretches.text
    wanted = {name: getattr(stretches, name)[chosen] for name in ("first", "stop", "window", "token")}
    return Stretches(text=unused, begin=unused, end=unused, **wanted)


def _beginnings(table: pa.Table, spans: kernel.Spans, chosen: NDArray[np.int64]) -> pa.Array:
    # How passages begin, as they stand in their documents.
    data, offsets = text_buffers(_binary(table.column("text")))
    stretch = spans.stretch[chosen]
    start = offsets[stretch] - table.column("begin").to_numpy()[stretch]
    first, stop = start + spans.begin[chosen], start + spans.end[chosen]
    cut = np.minimum(stop, first + 4 * TEXT_CHARACTERS)
    for _ in range(3):  # back to where a character begins
        cut = np.where((cut < stop) & ((data[np.minimum(cut, len(data) - 1)] & 0xC0) == 0x80), cut - 1, cut)
    out = np.empty(int((cut - first).sum()), np.uint8)
    copy_ranges(data, first, cut, out)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(cut - first)])
    texts = binary_slices(out, ends).cast(pa.large_string())
    return pc.utf8_slice_codeunits(texts, 0, TEXT_CHARACTERS)


def cut_stretches(
    number: int,
    chunk: Chunk,
    path: str,
    *,
    judged: Sequence[str],
    text_labels: Sequence[str],
    window: int,
    labelled: bool,
) -> list[Cut]:
    """Cut the stretches of a chunk into passages.

    Args:
        number: of the chunk. path: what the written files' names begin with.
        judged: see `judge_windows`. text_labels: see `texts`.
        labelled: whether documents have sources or licences.
    """
    cutter = Cutter(window, _flags(number, chunk, judged))
    written = []
    for i, stretches in enumerate(chunk.stretches):
        table = read_work(stretches).combine_chunks()
        spans = cut_table(table, cutter)
        if len(spans.stretch):
            labels = _labels(table, spans, text_labels) if labelled else PASSAGE_LABELS.empty_table()
            written.append(_write(table, spans, labels, f"{path}-{i:04d}"))
    return written


def _write(table: pa.Table, spans: kernel.Spans, labels: pa.Table, path: str) -> Cut:
    doc_id, text_id = (uint64(table, name)[spans.stretch] for name in ("doc_id", "text_id"))
    copies = table.column("copies").to_numpy()[spans.stretch]
    # Stable: the places of a passage stay in the order of the documents, the first is its example.
    order = np.argsort(spans.passage, kind="stable")
    first = order[run_starts(spans.passage[order])]
    columns = (spans.passage, doc_id, text_id, copies, spans.token, spans.tokens, spans.begin, spans.end)
    found = table_of(PLACES, *(column[order] for column in columns))
    examples = table_of(
        EXAMPLES,
        spans.passage[first],
        spans.predictable[first],
        _beginnings(table, spans, first),
    )
    return Cut(
        write_work(found, f"{path}-places.parquet", "passage_id"),
        write_work(examples, f"{path}-examples.parquet", "passage_id"),
        write_work(labels, f"{path}-labels.parquet", "passage_id"),
        len(order),
    )


def _labels(table: pa.Table, spans: kernel.Spans, text_labels: Sequence[str]) -> pa.Table:
    names = ("doc_id", "source", "licence", "copies")
    columns = {name: table.column(name).to_numpy()[spans.stretch] for name in names}
    places = pl.DataFrame({"passage_id": spans.passage, "tokens": spans.tokens, **columns})
    of_single = places.filter(pl.col("copies") == 1).with_columns(places=pl.col("copies"))
    span = int(columns["doc_id"].min()), int(columns["doc_id"].max()) + 1
    others = frame(read_ranges(text_labels, "doc_id", span, TEXT_LABELS)).select(
        "doc_id", "source", "licence", places="documents"
    )
    of_several = places.filter(pl.col("copies") > 1).select("passage_id", "tokens", "doc_id")
    keys = ["passage_id", "source", "licence"]
    every = pl.concat(
        part.select(PASSAGE_LABELS.names) for part in (of_single, of_several.join(others, "doc_id"))
    )
    counted = every.group_by(keys).agg(pl.col("tokens").first(), pl.col("places").sum())
    return counted.sort(keys).select(PASSAGE_LABELS.names).to_arrow().cast(PASSAGE_LABELS)
