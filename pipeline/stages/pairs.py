"""Exact comparison: the shingle sets of two blocks, and the edges between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, read_range, read_ranges, table_of, uint64, write_output, write_work
from pipeline.kernels.buffers import uint64_values
from pipeline.kernels.sets import shared_counts, table_mask
from pipeline.schemas import PAIRS
from pipeline.stages.components import BLOCK_EDGES, components
from pipeline.stages.sets import SETS
from pipeline.stages.texts import starts_of_runs

COMPARED = pa.schema(
    [
        ("doc_a", pa.uint64()),
        ("doc_b", pa.uint64()),
        ("jaccard", pa.float64()),
        ("containment_a", pa.float64()),
        ("containment_b", pa.float64()),
        ("shared_shingles", pa.int64()),
        ("source_a", pa.large_string()),
        ("source_b", pa.large_string()),
    ]
)
BEST = pa.schema([("text_id", pa.uint64()), ("jaccard", pa.float64())])
MEMBER_EDGES = pa.schema([("left", pa.uint64()), ("right", pa.uint64())])
NODES = pa.schema(
    [
        ("text_id", pa.uint64()),
        ("doc_id", pa.uint64()),
        ("block", pa.uint64()),
        ("copies", pa.int64()),
        ("n_tokens", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Verified:
    """What comparing the edges of two blocks gave.

    Attributes:
        pairs: pairs at or above the floor, sorted by doc_a.
        edges: a spanning forest of the pairs at or above the threshold, as text_ids.
        nodes: their texts. best: each text's highest similarity among them, sorted by text_id.
        compared, at_floor, at_threshold: numbers of pairs.
    """

    pairs: str
    edges: str
    nodes: str
    best: str
    compared: int
    at_floor: int
    at_threshold: int


@dataclass(frozen=True)
class _Blocks:
    rows: pa.Table
    text_id: NDArray[np.uint64]
    values: NDArray[np.uint64]
    offsets: NDArray[np.int64]


@dataclass(frozen=True)
class _Comparison:
    # Numbers of sets (in the blocks' order of text_id) and what the two have in common; shared
    # is -1 where the sizes alone rule the pair out.
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    shared: NDArray[np.int64]
    jaccard: NDArray[np.float64]


def _blocks(sets: Sequence[str], pair: int) -> _Blocks:
    numbers = sorted({pair >> 32, pair & 0xFFFFFFFF})
    tables = [read_range(path, "block", (number, number + 1)) for path in sets for number in numbers]
    table = pa.concat_tables([SETS.empty_table(), *(t.cast(SETS) for t in tables)])
    values, offsets = uint64_values(table.column("shingles"))
    return _Blocks(table.drop_columns("shingles"), uint64(table, "text_id"), values, offsets)


def _compare(blocks: _Blocks, left: NDArray[np.uint64], right: NDArray[np.uint64], floor: float) -> _Comparison:
    order = np.argsort(blocks.text_id)
    sorted_ids = blocks.text_id[order]
    one, two = order[np.searchsorted(sorted_ids, left)], order[np.searchsorted(sorted_ids, right)]
    # The end with more edges gets the table, so that fewer tables are built.
    degree = np.bincount(np.concatenate([one, two]), minlength=len(order))
    swap = degree[one] < degree[two]
    one, two = np.where(swap, two, one), np.where(swap, one, two)
    by_table = np.lexsort((two, one))
    one, two = one[by_table], two[by_table]
    sizes = np.diff(blocks.offsets)
    shared = np.zeros(len(one), np.int64)
    table = np.empty(table_mask(int(sizes.max(initial=1))) + 1, np.uint64)
    shared_counts(blocks.values, blocks.offsets, one, two, floor, table, shared)
    jaccard = np.where(shared < 0, 0.0, shared / (sizes[one] + sizes[two] - shared))
    return _Comparison(one, two, shared, jaccard)


def _pair_rows(blocks: _Blocks, found: _Comparison, keep: NDArray[np.bool_]) -> pa.Table:
    doc_id, sizes = uint64(blocks.rows, "doc_id"), np.diff(blocks.offsets)
    one, two = found.left[keep], found.right[keep]
    first = doc_id[one] < doc_id[two]
    a, b = np.where(first, one, two), np.where(first, two, one)
    order = np.lexsort((doc_id[b], doc_id[a]))
    a, b = a[order], b[order]
    shared, sources = found.shared[keep][order], blocks.rows.column("source")
    return table_of(
        COMPARED,
        doc_id[a],
        doc_id[b],
        found.jaccard[keep][order],
        shared / sizes[a],
        shared / sizes[b],
        shared,
        sources.take(pa.array(a)).combine_chunks(),
        sources.take(pa.array(b)).combine_chunks(),
    )


def _best(text_id: NDArray[np.uint64], jaccard: NDArray[np.float64]) -> pa.Table:
    order = np.lexsort((-jaccard, text_id))
    first = order[starts_of_runs(text_id[order])]
    return table_of(BEST, text_id[first], jaccard[first])


def verify(
    pair: int, path: str, *, edges: Sequence[str], sets: Sequence[str], floor: float, threshold: float
) -> Verified:
    """Compare the candidate edges between two blocks (or inside one).

    Args:
        pair: the blocks' numbers, the smaller in the high half.
        edges: tables of edges sorted by pair of blocks; sets: tables of sets sorted by block.
    """
    blocks = _blocks(sets, pair)
    table = read_ranges(edges, "blocks", (pair, pair + 1), BLOCK_EDGES)
    found = _compare(blocks, uint64(table, "left"), uint64(table, "right"), floor)
    near = found.jaccard >= threshold
    left, right = blocks.text_id[found.left[near]], blocks.text_id[found.right[near]]
    joins = components(left, right)[2]
    at = np.unique(np.concatenate([found.left[near], found.right[near]]))
    best = _best(np.concatenate([left, right]), np.tile(found.jaccard[near], 2))
    at_floor = found.jaccard >= floor
    return Verified(
        write_work(_pair_rows(blocks, found, at_floor), f"{path}-pairs.parquet", "doc_a"),
        write_work(table_of(MEMBER_EDGES, left[joins], right[joins]), f"{path}-edges.parquet"),
        write_work(blocks.rows.select(NODES.names).take(pa.array(at)).cast(NODES), f"{path}-nodes.parquet"),
        write_work(best, f"{path}-best.parquet", "text_id"),
        len(found.left),
        int(np.count_nonzero(at_floor)),
        int(np.count_nonzero(near)),
    )


def measure_links(
    pair: int, path: str, *, links: Sequence[str], sets: Sequence[str], floor: float
) -> tuple[str, str]:
    """Compare cluster members with their representatives, whatever the similarity.

    Returns:
        Paths of (text_id, jaccard) sorted by text_id, `left` of a link being the representative,
        and of those pairs at or above the floor, sorted by doc_a.
    """
    blocks = _blocks(sets, pair)
    table = read_ranges(links, "blocks", (pair, pair + 1), BLOCK_EDGES)
    representative, member = uint64(table, "left"), uint64(table, "right")
    found = _compare(blocks, representative, member, 0.0)
    one, two = blocks.text_id[found.left], blocks.text_id[found.right]
    # A text is a member once and never a member where it is a representative.
    member_of = np.where(np.isin(one, member), one, two)
    order = np.argsort(member_of)
    similarity = table_of(BEST, member_of[order], found.jaccard[order])
    pairs = _pair_rows(blocks, found, found.jaccard >= floor)
    return (
        write_work(similarity, f"{path}-similarity.parquet", "text_id"),
        write_work(pairs, f"{path}-pairs.parquet", "doc_a"),
    )


def write_pairs(docs: KeyRange, path: str, *, pairs: Sequence[str], threshold: float) -> tuple[int, int]:
    """Write the pairs whose doc_a lies in a range as one output file.

    A member's similarity to its representative may have been computed twice, as a candidate and
    as a link; it stands once. Nothing is written when there is no pair.

    Returns:
        Numbers of pairs and of pairs at or above the threshold.
    """
    table = read_ranges(pairs, "doc_a", docs, COMPARED)
    a, b = uint64(table, "doc_a"), uint64(table, "doc_b")
    order = np.lexsort((b, a))
    once = order[starts_of_runs(a[order], b[order])]
    table = table.take(pa.array(once))
    if len(table):
        write_output(PAIRS, table, path)
    return len(table), int(np.count_nonzero(table.column("jaccard").to_numpy() >= threshold))
