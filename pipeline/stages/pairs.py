"""Verified pairs: the candidate edges of two blocks compared, or what an earlier run found of them.

What comparing gives for a component (see `components`) is a function of its texts and its edges and of
nothing else: neither of what shares its block, nor of where its documents are. So a run that meets
a component again, see `units`, takes over the pairs that were found, and writes the same tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, table_of, uint64, write_output
from pipeline.config import NearConfig
from pipeline.errors import ArtifactError
from pipeline.kernels.union_find import unite
from pipeline.mapped import mapped_ranges, write_mapped
from pipeline.schemas import PAIRS
from pipeline.stages.blocks import compare, numbers_of, read_blocks, write_texts
from pipeline.stages.comparison import (
    COMPARED,
    FOUND,
    Comparison,
    Texts,
    recalled,
    write_found,
    write_pair_rows,
    write_similar,
)
from pipeline.stages.components import BLOCK_EDGES
from pipeline.stages.known import read_named
from pipeline.stages.routed import ROUTED
from pipeline.stages.runs import run_starts, starts_of_runs
from pipeline.stages.second_look import second_look

BEST = pa.schema([("text_id", pa.uint64()), ("jaccard", pa.float64())])
MEMBER_EDGES = pa.schema([("left", pa.uint64()), ("right", pa.uint64())])
NODES = pa.schema(
    [
        ("text_id", pa.uint64()),
        ("doc_id", pa.uint64()),
        ("root", pa.uint64()),
        ("block", pa.uint64()),
        ("copies", pa.int64()),
        ("n_tokens", pa.int64()),
    ]
)
# What comparing came to in a component, or in a pair of blocks of an oversized one: rows of `FOUND`,
# pairs compared, those of them that the second look added, and texts; see `Verified`.
_COUNTS = ("found", "compared", "looked_again", "left_out", "unsettled")
TALLIES = pa.schema([("root", pa.uint64()), *((name, pa.int64()) for name in _COUNTS)])


@dataclass(frozen=True)
class Verified:
    """What comparing the edges of two blocks gave.

    Attributes:
        pairs: pairs at or above the floor, sorted by doc_a.
        edges: a spanning forest of the pairs at or above the threshold, as text_ids.
        similar: all compared pairs, as text_ids, but those that their sizes alone rule out.
        nodes: their texts. best: each text's highest similarity among them, sorted by text_id.
        found, tallies: `similar` and the counts below by component, for the next run.
        texts: the block's texts with the places of their sets, see `blocks.write_texts`; of two blocks
            and of what was recalled there is no such table.
        compared, looked_again, at_floor, at_threshold: numbers of pairs.
        left_out: texts that the second look had no budget for.
        unsettled: texts still alone whose second look ended before all alike texts were compared.
    """

    pairs: str
    edges: str
    similar: str
    nodes: str
    best: str
    found: str
    tallies: str
    texts: str
    compared: int
    looked_again: int
    at_floor: int
    at_threshold: int
    left_out: int
    unsettled: int


def verify(
    pair: int,
    path: str,
    *,
    edges: Sequence[str],
    sets: Sequence[str],
    near: NearConfig,
    routed: Sequence[str] = (),
) -> Verified:
    """Compare the candidate edges between two blocks, or inside one and then look again.

    Args:
        pair: the blocks' numbers, the smaller in the high half.
        edges: tables of edges sorted by pair of blocks; sets: tables of sets sorted by block.
        routed: pairs that an earlier run compared, see `routed`.
    """
    known = [mapped_ranges(routed, "blocks", (pair, pair + 1), ROUTED)] if routed else []
    blocks = read_blocks(sets, pair, near.permutations, known)
    table = mapped_ranges(edges, "blocks", (pair, pair + 1), BLOCK_EDGES)
    ends = numbers_of(blocks, uint64(table, "left")), numbers_of(blocks, uint64(table, "right"))
    found = compare(blocks, *ends, near.floor)
    again = left_out = cut_short = np.zeros(0, np.int64)
    there = ""
    if pair >> 32 == pair & 0xFFFFFFFF:
        there = write_texts(blocks, f"{path}-texts.arrow")
        look = second_look(blocks, found, near)
        found, again = found.and_also(look.found), look.found.left
        left_out, cut_short = look.left_out, look.cut_short
    unsettled = cut_short[_best(found, near.threshold, len(blocks.sizes))[cut_short] < 0]
    counted = found.left[found.shared >= 0], found.left, again, left_out, unsettled
    return _write(blocks, found, _tallies(uint64(blocks.rows, "root"), counted), near, path, there)


def recall(
    roots: KeyRange,
    path: str,
    *,
    named: Sequence[str],
    found: Sequence[str],
    tallies: Sequence[str],
    near: NearConfig,
) -> Verified:
    """What `verify` found in an earlier run in the known components of a range of roots.

    Args:
        named: their texts by root, see `known`. found, tallies: see `Verified`.

    Raises:
        ArtifactError: the earlier run's tables are not whole.
    """
    rows = read_named(named, roots)
    known = np.unique(uint64(rows, "root"))
    pairs, counts = (
        _of_roots(mapped_ranges(paths, "root", roots, schema), known)
        for paths, schema in ((found, FOUND), (tallies, TALLIES))
    )
    counted = np.unique(uint64(counts, "root"))
    if len(counted) != len(known) or len(pairs) != np.sum(counts.column("found").to_numpy()):
        raise ArtifactError(
            "what an earlier run left does not fit together",
            got=f"{len(pairs)} pairs of {len(counted)} components",
            expected=f"all pairs of {len(known)} components",
            fix="run without it",
        )
    return _write(*recalled(rows, pairs), counts, near, path)


def _of_roots(table: pa.Table, known: NDArray[np.uint64]) -> pa.Table:
    root = uint64(table, "root")
    at = np.minimum(np.searchsorted(known, root), max(len(known) - 1, 0))
    return table.filter(pa.array(known[at] == root)) if len(known) else table.slice(0, 0)


def _best(found: Comparison, threshold: float, texts: int) -> NDArray[np.float64]:
    # Each text's highest similarity at or above the threshold; -1 if it has none.
    best = np.full(texts, -1.0)
    jaccard = np.where(found.jaccard >= threshold, found.jaccard, -1.0)
    for ends in (found.left, found.right):
        np.maximum.at(best, ends, jaccard)
    return best


def _tallies(root: NDArray[np.uint64], counted: Sequence[NDArray[np.int64]]) -> pa.Table:
    # How many of each column of numbers of texts belong to each component.
    roots, place = np.unique(root, return_inverse=True)
    counts = (np.bincount(place[numbers], minlength=len(roots)) for numbers in counted)
    return table_of(TALLIES, roots, *counts)


def _write(
    texts: Texts, found: Comparison, tallies: pa.Table, near: NearConfig, path: str, there: str = ""
) -> Verified:
    found = found.in_order(len(texts.sizes))
    close = found.of(found.jaccard >= near.threshold)
    parent, joins = np.empty(len(texts.sizes), np.int64), np.empty(len(close.left), np.bool_)
    unite(close.left, close.right, parent, joins)
    best = _best(close, near.threshold, len(texts.sizes))
    paired = np.flatnonzero(best >= 0)
    at_floor = found.jaccard >= near.floor
    nodes = texts.rows.select(NODES.names).take(pa.array(paired))
    tallies = tallies.take(pa.array(np.argsort(uint64(tallies, "root"), kind="stable")))
    total = {name: int(tallies.column(name).to_numpy().sum()) for name in _COUNTS}
    return Verified(
        write_pair_rows(texts, found, at_floor, f"{path}-pairs.arrow"),
        write_mapped(
            table_of(MEMBER_EDGES, *(texts.text_id[end[joins]] for end in (close.left, close.right))),
            f"{path}-edges.arrow",
        ),
        write_similar(texts, found, f"{path}-similar.arrow"),
        write_mapped(nodes.cast(NODES), f"{path}-nodes.arrow"),
        write_mapped(table_of(BEST, texts.text_id[paired], best[paired]), f"{path}-best.arrow"),
        write_found(texts, found, f"{path}-found.arrow"),
        write_mapped(tallies, f"{path}-tallies.arrow"),
        there,
        total["compared"],
        total["looked_again"],
        int(np.count_nonzero(at_floor)),
        len(close.left),
        total["left_out"],
        total["unsettled"],
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
    # In one piece: rows are taken from several half as fast (measured).
    table = mapped_ranges(pairs, "doc_a", docs, COMPARED).combine_chunks()
    a, b = uint64(table, "doc_a"), uint64(table, "doc_b")
    order = _merged(a, b)
    once = order[starts_of_runs(a[order], b[order])]
    table = table.take(pa.array(once))
    if len(table):
        write_output(PAIRS, table, path)
    jaccard = table.column("jaccard").to_numpy()
    # 0.29 * 100 is a little less than 29; what is added is less than two shares of shingles differ by.
    hundredth = np.minimum((jaccard * 100 + 1e-9).astype(np.int64), 99)
    counts = np.bincount(hundredth, minlength=100)
    return PairsResult(len(table), int(np.count_nonzero(jaccard >= threshold)), tuple(counts.tolist()))


def _merged(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.int64]:
    # The order of pairs by both ends. They come in runs that are in order, which a stable sort by one end
    # only has to merge; where two runs have pairs of one document, those are sorted by both.
    order = np.argsort(a, kind="stable")
    a, b = a[order], b[order]
    new = run_starts(a)
    mixed = np.zeros(len(a), np.bool_)
    mixed[1:] = ~new[1:] & (b[1:] < b[:-1])
    if mixed.any():
        run = np.cumsum(new) - 1
        of_run = np.zeros(int(run[-1]) + 1, np.bool_)
        of_run[run[mixed]] = True
        rows = np.flatnonzero(of_run[run])
        order[rows] = order[rows][np.lexsort((b[rows], a[rows]))]
    return order
