"""The second read: shingle sets of just those texts that still have a candidate pair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.artifacts import uint64
from pipeline.composing import nfkc
from pipeline.errors import InputChangedError
from pipeline.kernels import sets as kernel
from pipeline.kernels.buffers import binary_of, text_buffers
from pipeline.kernels.scan import Tokeniser, roomier, tokeniser
from pipeline.kernels.tokens import NEEDS_NFKC
from pipeline.mapped import mapped_ranges, write_mapped
from pipeline.readers.formats import read
from pipeline.readers.rows import Rows
from pipeline.stages.bodies import other_texts, read_shard
from pipeline.stages.components import wanted_schema
from pipeline.stages.inputs import Shard, ShardPiece, check_unchanged
from pipeline.stages.places import Places
from pipeline.stages.scan import ScanParameters

FLUSH_BYTES = 64 << 20  # shingles held before they are written
# Where the set of a text is, in tables that have no sets themselves: a file and a row of it.
PLACE = pa.schema([("file", pa.large_string()), ("at", pa.int64())])


def sets_schema(permutations: int) -> pa.Schema:
    """Texts with their shingle sets, sorted by block."""
    fields = [field for field in wanted_schema(permutations) if field.name != "sketch"]
    rest = [
        ("sketch", pa.binary(permutations)),
        ("source", pa.large_string()),
        ("shingle_count", pa.int64()),
        ("shingles", pa.large_binary()),
    ]
    return pa.schema([*fields, *rest])


@dataclass
class SetScratch:
    """The tokeniser's memory, a hash table and room for the sets of a batch."""

    tok: Tokeniser
    table: NDArray[np.uint64]
    values: NDArray[np.uint64]

    @classmethod
    def new(cls) -> SetScratch:
        """Scratch that fits most documents; it grows for others."""
        return cls(tokeniser(), np.empty(1 << 16, np.uint64), np.empty(1 << 20, np.uint64))

    def _make_room(self, filled: int, shingles: int) -> None:
        # For a text of so many shingles behind `filled` others.
        if kernel.table_mask(shingles) >= len(self.table):
            self.table = np.empty(kernel.table_mask(shingles) + 1, np.uint64)
        if len(self.values) - filled < shingles:
            larger = np.empty(2 * len(self.values) + shingles, np.uint64)
            larger[:filled] = self.values[:filled]
            self.values = larger

    def sets(
        self, texts: pa.LargeBinaryArray, is_nfkc: bool, width: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]]:
        """The sets back to back, their sizes, the text_ids and the tokeniser's outcomes."""
        data, offsets = text_buffers(texts)
        counts, outcomes = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
        text_ids = np.zeros(len(texts), np.uint64)
        at = filled = 0
        while True:
            at, filled = kernel.shingle_sets(
                data,
                offsets,
                at,
                is_nfkc,
                width,
                self.tok,
                self.table,
                self.values,
                filled,
                counts,
                text_ids,
                outcomes,
            )
            if at == len(texts):
                return self.values[:filled].copy(), counts, text_ids, outcomes
            if counts[at]:
                self._make_room(filled, int(counts[at]))
            else:
                self.tok = roomier(self.tok, int(offsets[at + 1] - offsets[at]))


def composed_sets(
    texts: pa.LargeBinaryArray, scratch: SetScratch, width: int
) -> tuple[list[NDArray[np.uint64]], NDArray[np.uint64]]:
    """The set and text_id of each text; texts that need NFKC go through it, as in the scan.

    A text that is not UTF-8 or has no token has an empty set and text_id 0.
    """
    values, counts, text_ids, outcomes = scratch.sets(texts, False, width)
    ends = np.cumsum(counts)
    parts = [values[end - n : end] for end, n in zip(ends, counts, strict=True)]
    for place in np.flatnonzero(outcomes == NEEDS_NFKC):
        try:
            composed = nfkc(texts[int(place)].as_py().decode()).encode()
        except UnicodeDecodeError:
            continue  # the scan rejected it
        again, _, text_id, _ = scratch.sets(pa.array([composed], pa.large_binary()), True, width)
        parts[place], text_ids[place] = again, text_id[0]
    return parts, text_ids


def write_sets(rows: pa.Table, shingles: pa.LargeBinaryArray, path: str) -> str:
    """Write texts, sorted by block, with their sources and sets."""
    counts = pc.divide(pc.binary_length(shingles), 8)
    table = rows.append_column("shingle_count", counts).append_column("shingles", shingles)
    return write_mapped(table, path)


class _Output:
    """Collects sets and writes them, sorted by block, whenever enough are held."""

    def __init__(self, path: str) -> None:
        self.path, self.written = path, list[str]()
        self.rows: list[pa.Table] = []
        self.parts: list[NDArray[np.uint64]] = []
        self.held_bytes = 0

    def add(self, wanted: pa.Table, sources: pa.Array, parts: list[NDArray[np.uint64]]) -> None:
        self.rows.append(wanted.append_column("source", sources))
        self.parts += parts
        self.held_bytes += sum(part.nbytes for part in parts)
        if self.held_bytes >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held, if anything."""
        if self.rows:
            rows = pa.concat_tables(self.rows)
            order = np.argsort(uint64(rows, "block"), kind="stable")
            shingles = binary_of([self.parts[i] for i in order])
            path = f"{self.path}-{len(self.written):04d}.arrow"
            self.written.append(write_sets(rows.take(pa.array(order)), shingles, path))
        self.rows, self.parts, self.held_bytes = [], [], 0


def _wanted_rows(rows: Rows, first_doc: np.uint64, wanted: pa.Table) -> tuple[NDArray[np.int64], pa.Table]:
    # Places in the batch of the wanted documents, and their rows of `wanted` (sorted by doc_id).
    doc_id = uint64(wanted, "doc_id")
    here = first_doc + rows.rows.to_numpy().astype(np.uint64)
    if not len(here):
        return np.zeros(0, np.int64), wanted.slice(0, 0)
    low, high = np.searchsorted(doc_id, here[0]), np.searchsorted(doc_id, here[-1], side="right")
    return np.searchsorted(here, doc_id[low:high]), wanted.slice(low, high - low)


def changed_texts(item: ShardPiece) -> InputChangedError:
    """The error of a file whose second reading gives other texts than the first."""
    return InputChangedError(
        "an input file holds other texts than when it was scanned",
        where=item.file.uri,
        got="a text with another hash",
        expected="the texts of the first read",
        fix="run again when nothing writes to it",
    )


def read_again(item: ShardPiece, parameters: ScanParameters) -> Iterator[Rows]:
    """Read a piece another time; an error if its file has changed."""
    check_unchanged(item.file)
    yield from read(item.piece, parameters.columns)
    check_unchanged(item.file)


def read_sets(
    shard: Shard, path: str, *, places: str, wanted: Sequence[str], parameters: ScanParameters
) -> list[str]:
    """Compute and write the shingle sets of a shard's wanted texts.

    Args:
        path: what the written files' names begin with.
        wanted: tables sorted by doc_id, see `components.assign`.

    Returns:
        The written files, each sorted by block.

    Raises:
        InputChangedError: a file is not what the scan read.
    """
    located = Places(places)
    table = wanted_of_shard(shard, located, wanted, parameters.permutations)
    return read_wanted_sets(shard, table, path, located, parameters)


def wanted_of_shard(shard: Shard, located: Places, wanted: Sequence[str], permutations: int) -> pa.Table:
    """The wanted texts whose documents are in a shard, by doc_id."""
    firsts, counts = located.first_docs(shard.number), located.rows(shard.number)
    span = int(firsts[0]), int(firsts[-1]) + int(counts[-1])
    table = mapped_ranges(wanted, "doc_id", span, wanted_schema(permutations))
    return table.take(pa.array(np.argsort(uint64(table, "doc_id"))))


def read_wanted_sets(
    shard: Shard,
    table: pa.Table,
    path: str,
    located: Places,
    parameters: ScanParameters,
    bodies: Sequence[str] = (),
) -> list[str]:
    """The same as `read_sets` for texts of the shard that are at hand, by doc_id.

    Args:
        bodies: where the texts of the shard's segments were kept; empty if they were not.
    """
    output, scratch = _Output(path), SetScratch.new()
    if bodies:
        for at, kept in read_shard(bodies, shard.number, located, uint64(table, "doc_id")):
            chosen = table.slice(int(at[0]), len(at))
            texts, sources = (kept.column(name).chunk(0) for name in ("text", "source"))
            parts, text_ids = composed_sets(texts, scratch, parameters.shingle_tokens)
            if not np.array_equal(text_ids, uint64(chosen, "text_id")):
                raise other_texts(bodies[0])
            output.add(chosen, sources, parts)
        output.flush()
        return output.written
    firsts, counts = located.first_docs(shard.number), located.rows(shard.number)
    doc_id = uint64(table, "doc_id")
    for item, first_doc, n_rows in zip(shard.pieces, firsts, counts, strict=True):
        low, high = np.searchsorted(doc_id, [first_doc, first_doc + np.uint64(n_rows)])
        mine = table.slice(low, high - low)
        if len(mine) == 0:
            continue
        seen = 0
        for rows in read_again(item, parameters):
            at, chosen = _wanted_rows(rows, first_doc, mine)
            if len(at):
                index = pa.array(at)
                parts, text_ids = composed_sets(rows.texts.take(index), scratch, parameters.shingle_tokens)
                if not np.array_equal(text_ids, uint64(chosen, "text_id")):
                    raise changed_texts(item)
                by_path = pa.array([item.source] * len(at), pa.large_string())
                output.add(chosen, by_path if rows.sources is None else rows.sources.take(index), parts)
                seen += len(at)
        if seen != len(mine):
            raise changed_texts(item)
    output.flush()
    return output.written
