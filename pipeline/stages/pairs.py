"""Exact comparison: the shingle sets of two blocks, and the edges between them.

A hub can hide a pair. Where hundreds of texts made from one template resemble each other a
little less than the threshold, few of them are near to the hub, and two that are near to each
other were never proposed: on tldr-pages 50 of 2,728 texts with a partner were missed so, and
eight hubs a group still missed 31. So a block is looked at again: each text outside its
component's largest cluster is compared by sketch with all others of the component, and the
most alike are compared exactly. Components are made of pairs that passed the sketch filter, so
this costs little: sketches are 128 bytes, in memory, and `BUDGET` bounds a component.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, read_range, read_ranges, table_of, uint64, write_output, write_work
from pipeline.config import NearConfig
from pipeline.kernels.buffers import rows_of_binary, uint64_values
from pipeline.kernels.resemblance import look_again, words
from pipeline.kernels.sets import shared_counts, table_mask
from pipeline.kernels.union_find import unite
from pipeline.schemas import PAIRS
from pipeline.sketching import least_agreeing
from pipeline.stages.components import BLOCK_EDGES, components
from pipeline.stages.runs import starts_of_runs
from pipeline.stages.sets import sets_schema

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
# Exact comparisons that a text alone is given on the second look: as many as this number of
# shingles allows, within limits. 64 left 15 of the 50.
SHINGLES_A_TEXT, FEWEST_TRIES, MOST_TRIES = 1 << 18, 128, 1024
SCOUTS, TRIES_OF_SCOUT = 4, 8  # texts that look again for a cluster that may belong to another
BUDGET = 1 << 28  # sketches compared in a component on the second look: about two seconds
BEST = pa.schema([("text_id", pa.uint64()), ("jaccard", pa.float64())])
# Compared pairs of texts, by `left`; which end that is tells nothing.
SIMILAR = pa.schema([("left", pa.uint64()), ("right", pa.uint64()), ("jaccard", pa.float64())])
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
        similar: all compared pairs, as text_ids, but those that their sizes alone rule out.
        nodes: their texts. best: each text's highest similarity among them, sorted by text_id.
        compared, looked_again, at_floor, at_threshold: numbers of pairs.
        left_out: texts that the second look had no budget for.
        unsettled: texts still alone whose second look ended before all alike texts were compared.
    """

    pairs: str
    edges: str
    similar: str
    nodes: str
    best: str
    compared: int
    looked_again: int
    at_floor: int
    at_threshold: int
    left_out: int
    unsettled: int


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


def _blocks(sets: Sequence[str], pair: int, permutations: int) -> _Blocks:
    numbers = sorted({pair >> 32, pair & 0xFFFFFFFF})
    tables = [read_range(path, "block", (number, number + 1)) for path in sets for number in numbers]
    table = pa.concat_tables([sets_schema(permutations).empty_table(), *tables])
    values, offsets = uint64_values(table.column("shingles"))
    return _Blocks(table.drop_columns("shingles"), uint64(table, "text_id"), values, offsets)


def _compare(blocks: _Blocks, one: NDArray[np.int64], two: NDArray[np.int64], floor: float) -> _Comparison:
    # The end with more edges gets the table, so that fewer tables are built.
    degree = np.bincount(np.concatenate([one, two]), minlength=len(blocks.text_id))
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


def _numbers(blocks: _Blocks, text_id: NDArray[np.uint64]) -> NDArray[np.int64]:
    order = np.argsort(blocks.text_id)
    return order[np.searchsorted(blocks.text_id[order], text_id)]


def _joined(one: _Comparison, two: _Comparison) -> _Comparison:
    return _Comparison(
        np.concatenate([one.left, two.left]),
        np.concatenate([one.right, two.right]),
        np.concatenate([one.shared, two.shared]),
        np.concatenate([one.jaccard, two.jaccard]),
    )


def _second_look(
    blocks: _Blocks, found: _Comparison, near: NearConfig
) -> tuple[_Comparison, int, NDArray[np.int64]]:
    # Pairs that the sketches of a block's components suggest beyond those compared, compared; how
    # many texts there was no budget for; and those whose look was cut short.
    root = uint64(blocks.rows, "root")
    order = np.lexsort((blocks.text_id, root))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    close = found.jaccard >= near.threshold
    labels, joins = np.empty(len(order), np.int64), np.empty(np.count_nonzero(close), np.bool_)
    unite(rank[found.left[close]], rank[found.right[close]], labels, joins)
    starts = np.append(starts_of_runs(root[order]), len(order))
    sketches, padding = words(rows_of_binary(blocks.rows.column("sketch"), near.permutations)[order])
    shingles = max(int(blocks.offsets[-1]) // max(len(order), 1), 1)
    tries = min(max(SHINGLES_A_TEXT // shingles, FEWEST_TRIES), MOST_TRIES)
    room = len(order) * min(max(tries, TRIES_OF_SCOUT), int(np.diff(starts).max(initial=0)))
    left, right = np.empty(room, np.int64), np.empty(room, np.int64)
    tally, sent, agreement = (np.empty(len(order), np.int64) for _ in range(3))
    cut_short = np.zeros(len(order), np.bool_)
    least = least_agreeing(near.threshold, near.permutations) + padding
    n, left_out = look_again(
        sketches,
        starts,
        labels,
        least,
        tries,
        SCOUTS,
        TRIES_OF_SCOUT,
        BUDGET,
        tally,
        sent,
        agreement,
        cut_short,
        left,
        right,
    )
    one, two = order[np.minimum(left[:n], right[:n])], order[np.maximum(left[:n], right[:n])]
    known = _pair_names(found.left, found.right, len(order))
    fresh, first = np.unique(_pair_names(one, two, len(order)), return_index=True)
    first = first[~np.isin(fresh, known)]
    return _compare(blocks, one[first], two[first], near.floor), left_out, order[cut_short]


def _pair_names(one: NDArray[np.int64], two: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    return np.minimum(one, two) * n + np.maximum(one, two)


def verify(pair: int, path: str, *, edges: Sequence[str], sets: Sequence[str], near: NearConfig) -> Verified:
    """Compare the candidate edges between two blocks, or inside one and then look again.

    Args:
        pair: the blocks' numbers, the smaller in the high half.
        edges: tables of edges sorted by pair of blocks; sets: tables of sets sorted by block.
    """
    blocks = _blocks(sets, pair, near.permutations)
    table = read_ranges(edges, "blocks", (pair, pair + 1), BLOCK_EDGES)
    ends = _numbers(blocks, uint64(table, "left")), _numbers(blocks, uint64(table, "right"))
    found = _compare(blocks, *ends, near.floor)
    proposed, left_out, cut_short = len(found.left), 0, np.zeros(0, np.int64)
    if pair >> 32 == pair & 0xFFFFFFFF:
        again, left_out, cut_short = _second_look(blocks, found, near)
        found = _joined(found, again)
    close = found.jaccard >= near.threshold
    left, right = blocks.text_id[found.left[close]], blocks.text_id[found.right[close]]
    joins = components(left, right)[2]
    at = np.unique(np.concatenate([found.left[close], found.right[close]]))
    best = _best(np.concatenate([left, right]), np.tile(found.jaccard[close], 2))
    at_floor = found.jaccard >= near.floor
    return Verified(
        write_work(_pair_rows(blocks, found, at_floor), f"{path}-pairs.parquet", "doc_a"),
        write_work(table_of(MEMBER_EDGES, left[joins], right[joins]), f"{path}-edges.parquet"),
        _write_similar(blocks, found, f"{path}-similar.parquet"),
        write_work(blocks.rows.select(NODES.names).take(pa.array(at)).cast(NODES), f"{path}-nodes.parquet"),
        write_work(best, f"{path}-best.parquet", "text_id"),
        len(found.left),
        len(found.left) - proposed,
        int(np.count_nonzero(at_floor)),
        int(np.count_nonzero(close)),
        left_out,
        int(np.count_nonzero(~np.isin(cut_short, at))),
    )


def _write_similar(blocks: _Blocks, found: _Comparison, path: str) -> str:
    compared = found.shared >= 0
    left, right = blocks.text_id[found.left[compared]], blocks.text_id[found.right[compared]]
    order = np.argsort(left)
    return write_work(
        table_of(SIMILAR, left[order], right[order], found.jaccard[compared][order]), path, "left"
    )


@dataclass(frozen=True)
class Linked:
    """Members of clusters compared with their representatives: each member's similarity by text_id,
    the pairs at or above the floor by doc_a, and all of them as `SIMILAR`."""

    similarity: str
    pairs: str
    similar: str


def measure_links(
    pair: int, path: str, *, links: Sequence[str], sets: Sequence[str], near: NearConfig
) -> Linked:
    """Compare cluster members with their representatives, whatever the similarity.

    Args:
        links: tables of links sorted by pair of blocks; `left` is the representative.
    """
    blocks = _blocks(sets, pair, near.permutations)
    table = read_ranges(links, "blocks", (pair, pair + 1), BLOCK_EDGES)
    representative, member = uint64(table, "left"), uint64(table, "right")
    found = _compare(blocks, _numbers(blocks, representative), _numbers(blocks, member), 0.0)
    one, two = blocks.text_id[found.left], blocks.text_id[found.right]
    # A text is a member once and never a member where it is a representative.
    member_of = np.where(np.isin(one, member), one, two)
    order = np.argsort(member_of)
    similarity = table_of(BEST, member_of[order], found.jaccard[order])
    pairs = _pair_rows(blocks, found, found.jaccard >= near.floor)
    return Linked(
        write_work(similarity, f"{path}-similarity.parquet", "text_id"),
        write_work(pairs, f"{path}-pairs.parquet", "doc_a"),
        _write_similar(blocks, found, f"{path}-similar.parquet"),
    )


@dataclass(frozen=True)
class PairsResult:
    """Numbers of pairs: all, at or above the threshold, and by hundredth of similarity."""

    rows: int
    at_threshold: int
    by_hundredth: tuple[int, ...]


def write_pairs(docs: KeyRange, path: str, *, pairs: Sequence[str], threshold: float) -> PairsResult:
    """Write the pairs whose doc_a lies in a range as one output file.

    A member's similarity to its representative may have been computed twice, as a candidate and
    as a link; it stands once. Nothing is written when there is no pair.
    """
    table = read_ranges(pairs, "doc_a", docs, COMPARED)
    a, b = uint64(table, "doc_a"), uint64(table, "doc_b")
    order = np.lexsort((b, a))
    once = order[starts_of_runs(a[order], b[order])]
    table = table.take(pa.array(once))
    if len(table):
        write_output(PAIRS, table, path)
    jaccard = table.column("jaccard").to_numpy()
    # 0.29 * 100 is a little less than 29; what is added is less than two shares of shingles differ by.
    hundredth = np.minimum((jaccard * 100 + 1e-9).astype(np.int64), 99)
    counts = np.bincount(hundredth, minlength=100)
    return PairsResult(len(table), int(np.count_nonzero(jaccard >= threshold)), tuple(counts.tolist()))
