"""The scan: read each text once, keep its hashes, band keys, sketch, anchors and a sample.

A shard is streamed in batches and written in segments of bounded size, so a file of any size
is scanned in the same memory. A segment is three files: `documents` in row order, `texts`
sorted by text_id, `bands` sorted by band key; two of its anchors, see `anchors`; and, in an
index, the texts themselves, see `bodies`. They name a row by its piece of the shard and its row
in that piece: what precedes it in other shards is not known yet, and the files do not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, table_of, uint64
from pipeline.composing import nfkc
from pipeline.errors import InputChangedError, InputError
from pipeline.kernels import scan as kernel
from pipeline.kernels.buffers import binary_rows, rows_of_binary, text_buffers
from pipeline.kernels.minimizers import Anchors, room, roomier, sampler
from pipeline.label_hashes import label_hashes
from pipeline.mapped import mapped_range, write_mapped
from pipeline.readers.formats import read
from pipeline.readers.rows import Columns, Rows
from pipeline.stages.anchors import MOST_ANCHORS, joined_anchors, write_anchors
from pipeline.stages.bodies import Bodies
from pipeline.stages.inputs import Shard, check_unchanged

SEGMENT_ROWS = 1 << 16  # documents a segment holds: 45 MB in memory with 32 bands
BATCH_BYTES = 8 << 20  # text a kernel call is given at least, where there is that much
SAMPLE_CHARACTERS = 200
STATUS = ("ok", "short", "empty")

REJECTED = pa.schema(
    [("piece", pa.int64()), ("row", pa.int64()), ("reason", pa.large_string()), ("detail", pa.large_string())]
)
BANDS = pa.schema([("key", pa.uint64()), ("text_id", pa.uint64())])


@dataclass(frozen=True)
class ScanParameters:
    """What decides the content of scan files."""

    columns: Columns
    shingle_tokens: int
    permutations: int
    seed: int
    bands: int
    rows: int
    passage_tokens: int = 0  # in the shortest passage; 0: passages are not looked for
    keep_texts: bool = False


@dataclass(frozen=True)
class Segment:
    """A written part of a scanned shard.

    `anchors` counts distinct ones. `name` is the same in two runs where the files on disk are.
    """

    shard: int
    path: str
    documents: int
    anchors: int = 0
    name: str = ""


@dataclass(frozen=True)
class ScanResult:
    """What became of a shard: its segments, the rows of each piece, its rejects, its bad files.

    `problems` holds (position of the piece in the shard, what is wrong with its file); a shard
    with problems has no segments.
    """

    shard: int
    segments: tuple[Segment, ...]
    piece_rows: tuple[int, ...]
    rejects: str
    rejected: int
    problems: tuple[tuple[int, InputError], ...] = ()


def texts_schema(permutations: int) -> pa.Schema:
    """Columns of a segment's `texts` file, sorted by text_id."""
    hashes = [
        (name, pa.uint64()) for name in ("text_id", "text_high", "raw_low", "raw_high", "source", "licence")
    ]
    rest = [("piece", pa.int64()), ("row", pa.int64()), ("n_tokens", pa.int64())]
    return pa.schema([*hashes, *rest, ("sketch", pa.binary(permutations))])


DOCUMENTS = pa.schema(
    [
        ("piece", pa.int64()),
        ("row", pa.int64()),
        ("text_id", pa.uint64()),
        ("n_bytes", pa.int64()),
        ("n_tokens", pa.int64()),
        ("status", pa.uint8()),
        ("id", pa.large_string()),
        ("source", pa.large_string()),
        ("licence", pa.large_string()),
        ("sample", pa.large_string()),
    ]
)


class Scratch:
    """The tokeniser's and signer's memory, reused from text to text."""

    def __init__(self, parameters: ScanParameters) -> None:
        self.parameters = parameters
        self.tokeniser = kernel.tokeniser()
        self.signer = kernel.signer(parameters.permutations, parameters.seed)
        self.sampler = sampler(parameters.passage_tokens)
        self.anchors = room(1 << 16 if parameters.passage_tokens else 0)

    def scan(self, texts: pa.LargeBinaryArray, is_nfkc: bool) -> tuple[kernel.Scanned, Anchors]:
        data, offsets = text_buffers(texts)
        p = self.parameters
        out = kernel.scanned(len(texts), p.bands, p.permutations)
        at = 0
        while True:
            at = kernel.scan(
                data,
                offsets,
                at,
                is_nfkc,
                p.shingle_tokens,
                p.rows,
                self.tokeniser,
                self.signer,
                out,
                self.sampler,
                self.anchors,
                int(out.n_anchors[:at].sum()),
            )
            filled = int(out.n_anchors[: max(at, -1 - at)].sum())
            if at == len(texts):
                return out, Anchors._make(column[:filled].copy() for column in self.anchors)
            if at >= 0:
                self.tokeniser = kernel.roomier(self.tokeniser, int(offsets[at + 1] - offsets[at]))
            else:
                at = -1 - at
                self.anchors = roomier(self.anchors, filled)


def scan_texts(texts: pa.LargeBinaryArray, scratch: Scratch) -> tuple[kernel.Scanned, Anchors]:
    """Scan a batch; texts that have to be composed first (NFKC) are, and are scanned again."""
    found, anchors = scratch.scan(texts, False)
    composed_anchors: list[tuple[int, Anchors]] = []
    for place in np.flatnonzero(found.status == kernel.DECOMPOSED):
        text = texts[int(place)].as_py()
        try:
            composed = nfkc(text.decode()).encode()
        except UnicodeDecodeError as error:
            found.status[place], found.n_tokens[place] = kernel.BAD_UTF8, error.start
            continue
        again, its_anchors = scratch.scan(pa.array([composed], pa.large_binary()), True)
        composed_anchors.append((int(found.n_anchors[:place].sum()), its_anchors))
        for name in ("status", "n_tokens", "normalised", "keys", "sketches", "n_anchors"):
            getattr(found, name)[place] = getattr(again, name)[0]
    return found, _with(anchors, composed_anchors)


def _with(anchors: Anchors, others: Sequence[tuple[int, Anchors]]) -> Anchors:
    # Anchors of further texts put in before the given places, counted as if they were in already.
    if not others:
        return anchors
    parts, taken, added = [], 0, 0
    for place, more in others:
        parts += [Anchors._make(column[taken : place - added] for column in anchors), more]
        taken, added = place - added, added + len(more.gram)
    parts.append(Anchors._make(column[taken:] for column in anchors))
    return joined_anchors(parts)


def _gathered(pieces: Iterator[tuple[int, Rows]]) -> Iterator[tuple[NDArray[np.int64], Rows]]:
    # Small batches (many small files) are put together so that a kernel call has work to do;
    # yields the piece number of each text and one Rows.
    held: list[tuple[int, Rows]] = []
    size = 0
    for number, rows in pieces:
        held.append((number, rows))
        size += rows.texts.nbytes + 64 * len(rows.rejects)
        if size >= BATCH_BYTES:
            yield _joined(held)
            held, size = [], 0
    if held:
        yield _joined(held)


def _joined(held: Sequence[tuple[int, Rows]]) -> tuple[NDArray[np.int64], Rows]:
    numbers = np.repeat([number for number, _ in held], [len(rows.texts) for _, rows in held]).astype(
        np.int64
    )
    if len(held) == 1:
        return numbers, held[0][1]

    def column(name: str) -> pa.Array | None:
        parts = [getattr(rows, name) for _, rows in held]
        return None if parts[0] is None else pa.concat_arrays(parts)

    names = ("rows", "texts", "ids", "sources", "licences")
    return numbers, Rows(*(column(name) for name in names))  # type: ignore[arg-type]


class _Segments:
    """Collects scanned batches and writes a segment whenever enough documents are held."""

    def __init__(self, shard: Shard, folder: Path, scratch: Scratch) -> None:
        self.shard, self.folder, self.scratch = shard, folder, scratch
        self.written: list[Segment] = []
        self.documents: list[pa.Table] = []
        self.texts: list[pa.Table] = []
        self.keys: list[NDArray[np.uint64]] = []
        self.anchors: list[Anchors] = []
        self.anchor_counts: list[NDArray[np.int64]] = []
        self.rejects: list[tuple[int, int, str, str]] = []
        self.bodies = Bodies() if scratch.parameters.keep_texts else None

    def add(self, numbers: NDArray[np.int64], rows: Rows) -> None:
        found, anchors = scan_texts(rows.texts, self.scratch)
        for place in np.flatnonzero(found.status == kernel.BAD_UTF8):
            detail = f"byte {found.n_tokens[place]} of the text is not UTF-8"
            self.rejects.append((int(numbers[place]), rows.rows[int(place)].as_py(), "invalid_utf8", detail))
        good = np.flatnonzero(found.status != kernel.BAD_UTF8)
        sources = self._sources(numbers, rows)
        self.documents.append(self._documents(numbers, rows, sources, found, good))
        tokens = np.flatnonzero(found.status <= kernel.SHORT)
        self.texts.append(self._texts(numbers, rows, sources, found, tokens))
        if self.bodies is not None:
            self.bodies.add(numbers, rows, sources, found.normalised[:, 0], tokens)
        self.keys.append(found.keys[tokens])
        self.anchors.append(anchors)
        self.anchor_counts.append(found.n_anchors[tokens])
        rows_held = sum(len(table) for table in self.documents)
        if rows_held >= SEGMENT_ROWS or sum(len(held.gram) for held in self.anchors) >= MOST_ANCHORS:
            self.flush()

    def _sources(self, numbers: NDArray[np.int64], rows: Rows) -> pa.Array:
        if self.scratch.parameters.columns.source is not None:
            return rows.sources
        by_piece = pa.array([item.source for item in self.shard.pieces], pa.large_string())
        return by_piece.take(pa.array(numbers))

    def _documents(
        self,
        numbers: NDArray[np.int64],
        rows: Rows,
        sources: pa.Array,
        found: kernel.Scanned,
        good: NDArray[np.int64],
    ) -> pa.Table:
        whole = len(good) == len(numbers)
        nulls = pa.nulls(len(good), pa.large_string())

        def chosen(values: pa.Array | None) -> pa.Array:
            return nulls if values is None else values if whole else values.take(pa.array(good))

        texts = chosen(rows.texts).cast(pa.large_string(), safe=False)
        return table_of(
            DOCUMENTS,
            numbers[good],
            chosen(rows.rows),
            found.normalised[good, 0],
            pc.binary_length(texts),
            found.n_tokens[good],
            found.status[good],
            chosen(rows.ids),
            chosen(sources),
            chosen(rows.licences),
            pc.utf8_slice_codeunits(texts, 0, SAMPLE_CHARACTERS),
        )

    def _texts(
        self,
        numbers: NDArray[np.int64],
        rows: Rows,
        sources: pa.Array,
        found: kernel.Scanned,
        tokens: NDArray[np.int64],
    ) -> pa.Table:
        return table_of(
            texts_schema(self.scratch.parameters.permutations),
            found.normalised[tokens, 0],
            found.normalised[tokens, 1],
            found.raw[tokens, 0],
            found.raw[tokens, 1],
            label_hashes(sources.take(pa.array(tokens))),
            np.zeros(len(tokens), np.uint64)
            if rows.licences is None
            else label_hashes(rows.licences.take(pa.array(tokens))),
            numbers[tokens],
            rows.rows.to_numpy()[tokens],
            found.n_tokens[tokens],
            binary_rows(found.sketches[tokens]),
        )

    def flush(self) -> None:
        """Write what is held, if anything, as one segment."""
        documents = sum(len(table) for table in self.documents)
        if documents:
            path = self.folder / f"{len(self.written):04d}"
            texts = pa.concat_tables(self.texts)
            anchors = 0
            if self.scratch.parameters.passage_tokens:
                counts = np.concatenate(self.anchor_counts)
                anchors = write_anchors(texts, joined_anchors(self.anchors), counts, path)
            order = np.argsort(texts.column("text_id").to_numpy(), kind="stable")
            write_mapped(pa.concat_tables(self.documents), path / "documents.arrow")
            write_mapped(texts.take(pa.array(order)), path / "texts.arrow")
            write_mapped(
                _bands(texts.column("text_id").to_numpy(), np.concatenate(self.keys)),
                path / "bands.arrow",
            )
            if self.bodies is not None:
                self.bodies.write(path)
                self.bodies = Bodies()
            self.written.append(Segment(self.shard.number, str(path), documents, anchors))
        self.documents, self.texts, self.keys, self.anchors, self.anchor_counts = [], [], [], [], []


def _bands(text_ids: NDArray[np.uint64], keys: NDArray[np.uint64]) -> pa.Table:
    # A text that occurs twice in the segment has the same keys twice: once is enough.
    distinct, first = np.unique(text_ids, return_index=True)
    flat = keys[first].ravel()
    order = np.argsort(flat)
    return table_of(BANDS, flat[order], np.repeat(distinct, keys.shape[1])[order])


def scan(shard: Shard, parameters: ScanParameters, folder: str, reject_bad_files: bool) -> ScanResult:
    """Scan a shard and write its segments into `folder`, which is its own.

    Raises:
        InputError: a file cannot be read (unless bad files are to be rejected).
        InputChangedError: a file is not what it was when it was listed.
    """
    segments = _Segments(shard, Path(folder), Scratch(parameters))
    piece_rows = [0] * len(shard.pieces)
    problems: list[tuple[int, InputError]] = []

    def pieces() -> Iterator[tuple[int, Rows]]:
        for number, item in enumerate(shard.pieces):
            check_unchanged(item.file)
            try:
                for rows in read(item.piece, parameters.columns):
                    piece_rows[number] = rows.n_rows
                    segments.rejects += [(number, r.row, r.reason, r.detail) for r in rows.rejects]
                    yield number, rows
            except InputChangedError:
                raise
            except InputError as error:
                check_unchanged(item.file)
                if not reject_bad_files:
                    raise
                problems.append((number, error))
            check_unchanged(item.file)

    for numbers, rows in _gathered(pieces()):
        segments.add(numbers, rows)
    segments.flush()
    result = ScanResult(shard.number, tuple(segments.written), tuple(piece_rows), "", len(segments.rejects))
    if problems:
        return replace(result, segments=(), problems=tuple(problems))
    rejects = sorted(segments.rejects)
    table = pa.Table.from_pylist(
        [dict(zip(REJECTED.names, reject, strict=True)) for reject in rejects], REJECTED
    )
    return replace(result, rejects=write_mapped(table, Path(folder) / "rejects.arrow"))


def sketches_of(
    segments: Sequence[Segment], keys: KeyRange, permutations: int, wanted: NDArray[np.uint64]
) -> NDArray[np.uint8]:
    """The sketch of each wanted text of a key range: uint8[len(wanted), permutations]."""
    distinct, place = np.unique(wanted, return_inverse=True)
    rows = np.zeros((len(distinct), permutations), np.uint8)
    for segment in segments:
        table = mapped_range(f"{segment.path}/texts.arrow", "text_id", keys, ("sketch",))[1]
        text_id = uint64(table, "text_id")
        at = np.searchsorted(text_id, distinct)
        here = np.flatnonzero(at < len(text_id))
        here = here[text_id[at[here]] == distinct[here]]
        if len(here):
            rows[here] = rows_of_binary(table.column("sketch"), permutations)[at[here]]
    return rows[place]
