"""Texts of two blocks compared with each other: what is known is looked up, for the rest sets are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import read_numbered_range, read_rows, uint64
from pipeline.kernels.buffers import uint64_values
from pipeline.kernels.sets import shared_counts, table_mask
from pipeline.stages.comparison import Comparison, Texts, counted
from pipeline.stages.sets import sets_schema


@dataclass(frozen=True)
class Blocks(Texts):
    """The texts of two blocks, of which pairs may be known and sets can be read.

    Attributes:
        places: where their sets are, in order: file, row of the first, how many.
        names, shared: the pairs that are known, as `_names` has them (sorted), and what they share.
    """

    places: tuple[tuple[str, int, int], ...]
    names: NDArray[np.int64]
    shared: NDArray[np.int64]

    def sets(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
        """The sets of some texts (numbers sorted), one behind the other, and where each begins and ends."""
        columns, before = [pa.chunked_array([], pa.large_binary())], 0
        for path, first, count in self.places:
            low, high = np.searchsorted(numbers, [before, before + count])
            if low < high:
                columns.append(
                    read_rows(path, numbers[low:high] - before + first, ["shingles"]).column("shingles")
                )
            before += count
        chunks = [chunk for column in columns for chunk in column.chunks]
        return uint64_values(pa.chunked_array(chunks, pa.large_binary()))


def read_blocks(paths: Sequence[str], pair: int, permutations: int, known: Sequence[pa.Table] = ()) -> Blocks:
    """The texts of a pair of blocks, from tables sorted by block.

    Args:
        known: tables with `left`, `right` and `shared` at least, of any texts.
    """
    schema = sets_schema(permutations)
    names = [name for name in schema.names if name != "shingles"]
    tables, places = [pa.schema([schema.field(name) for name in names]).empty_table()], []
    for path in paths:
        for number in sorted({pair >> 32, pair & 0xFFFFFFFF}):
            first, table = read_numbered_range(path, "block", (number, number + 1), names)
            tables.append(table.select(names))
            places.append((path, first, len(table)))
    rows = pa.concat_tables(tables)
    sizes = rows.column("shingle_count").to_numpy()
    nothing = np.zeros(0, np.int64)
    texts = Texts(rows, uint64(rows, "text_id"), sizes)
    pairs = _known(texts, known) if known else (nothing, nothing)
    return Blocks(rows, texts.text_id, sizes, tuple(places), *pairs)


def _names(one: NDArray[np.int64], two: NDArray[np.int64], texts: int) -> NDArray[np.int64]:
    return np.minimum(one, two) * texts + np.maximum(one, two)


def _known(texts: Texts, known: Sequence[pa.Table]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    table = pa.concat_tables(part.select(["left", "right", "shared"]) for part in known)
    order = np.argsort(texts.text_id)
    held = texts.text_id[order]
    here = np.ones(len(table), np.bool_)
    ends = []
    for name in ("left", "right"):
        text_id = uint64(table, name)
        at = np.minimum(np.searchsorted(held, text_id), max(len(held) - 1, 0))
        # Texts may be gone, or be in other components now.
        here &= held[at] == text_id if len(held) else False
        ends.append(at)
    one, two = (order[at[here]] for at in ends)
    names, first = np.unique(_names(one, two, len(held)), return_index=True)
    return names, table.column("shared").to_numpy()[here][first]


def numbers_of(texts: Texts, text_id: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The numbers of texts that are among these."""
    order = np.argsort(texts.text_id)
    return order[np.searchsorted(texts.text_id[order], text_id)]


def compare(blocks: Blocks, one: NDArray[np.int64], two: NDArray[np.int64], floor: float) -> Comparison:
    """Compare pairs of texts, given by their numbers; those whose sizes put them below the floor are not."""
    # The end with more edges gets the table, so that fewer tables are built.
    degree = np.bincount(np.concatenate([one, two]), minlength=len(blocks.text_id))
    swap = degree[one] < degree[two]
    one, two = np.where(swap, two, one), np.where(swap, one, two)
    by_table = np.lexsort((two, one))
    one, two = one[by_table], two[by_table]
    shared, unknown = _looked_up(blocks, one, two, floor)
    shared[unknown] = _shared(blocks, one[unknown], two[unknown], floor)
    return counted(blocks, one, two, shared)


def _looked_up(
    blocks: Blocks, one: NDArray[np.int64], two: NDArray[np.int64], floor: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # What the known pairs share, -1 where sizes rule a pair out, and the places of the others.
    ends = blocks.sizes[one], blocks.sizes[two]
    # As `shared_counts` has it: every text has a shingle.
    shared = np.where(np.minimum(*ends) / np.maximum(*ends) < floor, -1, 0)
    unknown = shared == 0
    if len(blocks.names):
        wanted = _names(one, two, len(blocks.text_id))
        at = np.minimum(np.searchsorted(blocks.names, wanted), len(blocks.names) - 1)
        found = unknown & (blocks.names[at] == wanted)
        shared[found] = blocks.shared[at[found]]
        unknown &= ~found
    return shared, np.flatnonzero(unknown)


def _shared(
    blocks: Blocks, one: NDArray[np.int64], two: NDArray[np.int64], floor: float
) -> NDArray[np.int64]:
    shared = np.zeros(len(one), np.int64)
    if len(one):
        numbers, place = np.unique(np.concatenate([one, two]), return_inverse=True)
        values, offsets = blocks.sets(numbers)
        table = np.empty(table_mask(int(blocks.sizes[numbers].max())) + 1, np.uint64)
        ends = place[: len(one)].astype(np.int64), place[len(one) :].astype(np.int64)
        shared_counts(values, offsets, *ends, floor, table, shared)
    return shared
