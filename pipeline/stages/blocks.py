"""Texts of two blocks compared with each other: what is known is looked up, for the rest sets are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import uint64
from pipeline.kernels.buffers import uint64_values
from pipeline.kernels.hashed_keys import places
from pipeline.kernels.sets import shared_counts, table_mask
from pipeline.mapped import mapped_range, read_mapped, write_mapped
from pipeline.stages.comparison import Comparison, Texts, counted
from pipeline.stages.sets import PLACE, sets_schema


@dataclass(frozen=True)
class Blocks(Texts):
    """The texts of two blocks, of which pairs may be known and sets can be read.

    Attributes:
        files, file, at: where their sets are: paths, and of each text the number of its file and the row.
        names, shared: the pairs that are known, as `names_of` has them (sorted), and what they share.
    """

    files: tuple[str, ...]
    file: NDArray[np.int64]
    at: NDArray[np.int64]
    names: NDArray[np.int64]
    shared: NDArray[np.int64]

    def sets(
        self, numbers: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
        """The sets of some texts, one behind the other, where each begins and ends, and which one is each
        text's."""
        file, at = self.file[numbers], self.at[numbers]
        order = np.lexsort((at, file))
        chunks = []
        for number in np.unique(file):
            rows = at[order[file[order] == number]]
            chunks += read_mapped(self.files[number]).column("shingles").take(pa.array(rows)).chunks
        which = np.empty(len(order), np.int64)
        which[order] = np.arange(len(order))
        return *uint64_values(pa.chunked_array(chunks, pa.large_binary())), which


def read_blocks(paths: Sequence[str], pair: int, permutations: int, known: Sequence[pa.Table] = ()) -> Blocks:
    """The texts of a pair of blocks, in order of text_id, from tables sorted by block.

    Args:
        paths: tables with sets, or with the places of sets, see `sets`.
        known: tables with `left`, `right` and `shared` at least, of any texts.
    """
    schema = sets_schema(permutations)
    names = [name for name in schema.names if name != "shingles"]
    tables, placed = [pa.schema([schema.field(name) for name in names]).empty_table()], [PLACE.empty_table()]
    for path in paths:
        for number in sorted({pair >> 32, pair & 0xFFFFFFFF}):
            first, table = mapped_range(path, "block", (number, number + 1))
            if len(table):
                tables.append(table.select(names))
                placed.append(_places(table, path, first))
    rows, place = pa.concat_tables(tables), pa.concat_tables(placed)
    order = pa.array(np.argsort(uint64(rows, "text_id")))
    rows, place = rows.take(order), place.take(order)
    held = place.column("file").combine_chunks().dictionary_encode()
    if isinstance(held, pa.ChunkedArray):
        held = held.unify_dictionaries().combine_chunks()
    texts = Texts(rows, uint64(rows, "text_id"), rows.column("shingle_count").to_numpy())
    return Blocks(
        rows,
        texts.text_id,
        texts.sizes,
        tuple(held.dictionary.to_pylist()),
        held.indices.to_numpy().astype(np.int64),
        place.column("at").to_numpy(),
        *_known(texts, known),
    )


def _places(table: pa.Table, path: str, first: int) -> pa.Table:
    if set(PLACE.names) <= set(table.column_names):
        return table.select(PLACE.names)
    # The sets stand beside their texts.
    at = np.arange(first, first + len(table))
    return pa.Table.from_arrays(
        [pa.array([path], pa.large_string()).take(pa.array(at * 0)), at], schema=PLACE
    )


def write_texts(blocks: Blocks, path: str) -> str:
    """Write the texts with the places of their sets: a table that `read_blocks` reads."""
    file = pa.array(blocks.files, pa.large_string()).take(pa.array(blocks.file))
    table = blocks.rows.append_column(PLACE.field("file"), file)
    table = table.append_column(PLACE.field("at"), pa.array(blocks.at))
    order = np.argsort(uint64(table, "block"), kind="stable")
    return write_mapped(table.take(pa.array(order)), path)


def names_of(one: NDArray[np.int64], two: NDArray[np.int64], texts: int) -> NDArray[np.int64]:
    """One number for each pair of numbers of so many texts, whichever comes first."""
    return np.minimum(one, two) * texts + np.maximum(one, two)


def places_among(sorted_names: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where numbers stand among others that ascend, -1 where they do not."""
    if not len(sorted_names):
        return np.full(len(wanted), -1)
    at = np.minimum(np.searchsorted(sorted_names, wanted), len(sorted_names) - 1)
    return np.where(sorted_names[at] == wanted, at, -1)


def _known(texts: Texts, known: Sequence[pa.Table]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # Texts may be gone, or be in other components now. A pair that stands twice is the same both times.
    nothing = np.zeros(0, np.int64)
    names, shared, n = [nothing], [nothing], len(texts.text_id)
    for table in known:
        if n and len(table):
            ends = uint64(table, "left"), uint64(table, "right")
            one, two = (np.minimum(places(texts.text_id, end), n - 1) for end in ends)
            here = (texts.text_id[one] == ends[0]) & (texts.text_id[two] == ends[1])
            names.append(names_of(one, two, n)[here])
            shared.append(table.column("shared").to_numpy()[here])
    joined = np.concatenate(names)
    order = np.argsort(joined)
    return joined[order], np.concatenate(shared)[order]


def numbers_of(texts: Blocks, text_id: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The numbers of texts that are among these."""
    return places(texts.text_id, text_id)


def compare(blocks: Blocks, one: NDArray[np.int64], two: NDArray[np.int64], floor: float) -> Comparison:
    """Compare pairs of texts, given by their numbers; those whose sizes put them below the floor are not."""
    ends = blocks.sizes[one], blocks.sizes[two]
    # As `shared_counts` has it: every text has a shingle.
    shared = np.where(np.minimum(*ends) / np.maximum(*ends) < floor, -1, 0)
    at = places_among(blocks.names, names_of(one, two, len(blocks.text_id)))
    known = (at >= 0) & (shared == 0)
    shared[known] = blocks.shared[at[known]]
    unknown = np.flatnonzero((at < 0) & (shared == 0))
    shared[unknown] = _shared(blocks, one[unknown], two[unknown], floor)
    return counted(blocks, one, two, shared)


def _shared(
    blocks: Blocks, one: NDArray[np.int64], two: NDArray[np.int64], floor: float
) -> NDArray[np.int64]:
    found = np.zeros(len(one), np.int64)
    if len(one):
        # The end with more edges gets the table, so that fewer tables are built.
        degree = np.bincount(np.concatenate([one, two]), minlength=len(blocks.text_id))
        swap = degree[one] < degree[two]
        one, two = np.where(swap, two, one), np.where(swap, one, two)
        order = np.lexsort((two, one))
        wanted = np.zeros(len(blocks.text_id), np.bool_)
        wanted[one] = wanted[two] = True
        numbers = np.flatnonzero(wanted)
        values, offsets, which = blocks.sets(numbers)
        place = np.empty(len(wanted), np.int64)
        place[numbers] = which
        table = np.empty(table_mask(int(blocks.sizes[numbers].max())) + 1, np.uint64)
        shared = np.zeros(len(one), np.int64)
        shared_counts(values, offsets, place[one[order]], place[two[order]], floor, table, shared)
        found[order] = shared
    return found
