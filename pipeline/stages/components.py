"""Connected components, and the blocks of texts whose shingle sets are compared together.

Edges are reduced to spanning forests where they are, forests are merged in a tree, and the last
merge holds one edge a text that has a candidate: the only thing of a run in memory that grows
with the corpus. Components are then packed, in order of their smallest text_id, into blocks of
bounded size; a component larger than a block is cut into several by a hash of the text_id. So a
shingle set is sent to one place (or, in an oversized component, to the few pairs of blocks that
share an edge), and two tasks never hold more than two blocks each.

Components that an earlier run compared are in no block: nothing of them is read or compared again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import END_OF_KEYS, KeyRange, ranges_for, table_of, uint64
from pipeline.kernels.buffers import binary_rows, read_only
from pipeline.kernels.union_find import spanning_forest, unite
from pipeline.mapped import mapped_range, mapped_ranges, read_mapped, write_mapped
from pipeline.stages.runs import starts_of_runs
from pipeline.stages.scan import Segment, sketches_of
from pipeline.stages.texts import TEXTS, TextsResult
from pipeline.stages.units import UNITS, fingerprints, known_units

BLOCK_TOKENS = 4 << 20  # shingles of a block, at 8 bytes each: 32 MiB
FOREST = pa.schema([("left", pa.uint64()), ("right", pa.uint64())])
EDGE_ENDS = pa.schema([("left", pa.uint64()), ("right", pa.uint64())])
LABELS = pa.schema([("text_id", pa.uint64()), ("root", pa.uint64()), ("known", pa.bool_())])
CUTS = pa.schema([("first_root", pa.uint64()), ("first_block", pa.uint64()), ("parts", pa.uint64())])
ROOTS = pa.schema([("root", pa.uint64())])
BLOCK_EDGES = pa.schema([("blocks", pa.uint64()), ("left", pa.uint64()), ("right", pa.uint64())])
# Texts of components that an earlier run compared.
KNOWN = pa.schema(
    [
        ("doc_id", pa.uint64()),
        ("text_id", pa.uint64()),
        ("root", pa.uint64()),
        ("copies", pa.int64()),
        ("n_tokens", pa.int64()),
    ]
)
NO_BLOCK = (1 << 64) - 1  # of these texts
# Such texts, with about 500 bytes of pairs each. A component is not cut, however large it is.
KNOWN_A_RANGE, MOST_KNOWN_A_RANGE = 1 << 13, 1 << 18


def wanted_schema(permutations: int) -> pa.Schema:
    """Texts to read again, sorted by doc_id: what else the pair stages need to know of each."""
    numbers = [(name, pa.uint64()) for name in ("doc_id", "text_id", "block", "root")]
    return pa.schema(
        [*numbers, ("copies", pa.int64()), ("n_tokens", pa.int64()), ("sketch", pa.binary(permutations))]
    )


@dataclass(frozen=True)
class Plan:
    """Components and blocks: `labels` by text_id, `cuts` one row a run of blocks, `units` the
    fingerprints by root, `changed` the roots (sorted) of those that are not known, `compared` how
    many these are, and `known`, ranges of roots that hold all components known already."""

    labels: str
    cuts: str
    units: str
    changed: str
    compared: int
    known: tuple[KeyRange, ...]


@dataclass(frozen=True)
class Assigned:
    """One key range of texts and edges with their blocks: what to read again, what to compare, and
    the texts that need neither because their components are known."""

    wanted: str
    edges: str
    block_pairs: tuple[int, ...]
    texts: int
    known: str
    known_texts: int


def components(
    left: NDArray[np.uint64], right: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.bool_]]:
    """Components of a graph of text_ids.

    Returns:
        The nodes, sorted; for each the smallest node of its component; for each edge whether
        it belongs to a spanning forest.
    """
    # Looked up, and not from `return_inverse`, which sorts all ends with their places.
    nodes = np.unique(np.concatenate([left, right]))
    parent, joins = np.empty(len(nodes), np.int64), np.empty(len(left), np.bool_)
    unite(np.searchsorted(nodes, left), np.searchsorted(nodes, right), parent, joins)
    return nodes, nodes[parent], joins


def spanning(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each of some edges belongs to a spanning forest of them."""
    n = len(left)
    joins, slots = np.empty(n, np.bool_), np.empty(1 << (3 * n).bit_length(), np.int32)
    nodes, parents = np.empty(2 * n, np.uint64), np.empty(2 * n, np.int64)
    spanning_forest(read_only(left), read_only(right), slots, nodes, parents, joins)
    return joins


def write_forest(left: NDArray[np.uint64], right: NDArray[np.uint64], path: str) -> str:
    """Write a spanning forest of some edges."""
    joins = spanning(left, right)
    return write_mapped(table_of(FOREST, left[joins], right[joins]), path)


def merge_forests(paths: Sequence[str], path: str) -> str:
    """Write a spanning forest of several forests."""
    edges = pa.concat_tables([FOREST.empty_table(), *(read_mapped(part) for part in paths)])
    return write_forest(uint64(edges, "left"), uint64(edges, "right"), path)


def block_of(text_id: NDArray[np.uint64], root: NDArray[np.uint64], cuts: pa.Table) -> NDArray[np.uint64]:
    """The block of texts whose components' smallest texts are known."""
    run = np.searchsorted(uint64(cuts, "first_root"), root, side="right") - 1
    if np.all(uint64(cuts, "parts") == 1):
        return uint64(cuts, "first_block")[run]
    spread = (text_id * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    return uint64(cuts, "first_block")[run] + spread % uint64(cuts, "parts")[run]


def plan(
    forests: Sequence[str],
    texts: Sequence[TextsResult],
    keys: Sequence[KeyRange],
    path: str,
    *,
    sums: Sequence[str],
    earlier: Sequence[str],
) -> Plan:
    """Find the components of all surviving edges and cut those that are not known into blocks.

    Args:
        sums: see `units.EDGE_SUMS`. earlier: the units that an earlier run compared.
    """
    edges = pa.concat_tables([FOREST.empty_table(), *(read_mapped(part) for part in forests)])
    nodes, roots, _ = components(uint64(edges, "left"), uint64(edges, "right"))
    tokens = _tokens(nodes, texts, keys)
    distinct, place = np.unique(roots, return_inverse=True)
    found = fingerprints(nodes, tokens, place, len(distinct), sums)
    known = known_units(distinct, found, earlier)
    weight = np.bincount(place, tokens, len(distinct)).astype(np.int64)
    cuts = cut_blocks(distinct[~known], weight[~known])
    sizes = np.bincount(place, minlength=len(distinct))
    return Plan(
        write_mapped(table_of(LABELS, nodes, roots, known[place]), f"{path}-labels.arrow"),
        write_mapped(cuts, f"{path}-cuts.arrow"),
        write_mapped(table_of(UNITS, distinct, found), f"{path}-units.arrow"),
        write_mapped(table_of(ROOTS, distinct[~known]), f"{path}-changed.arrow"),
        int(np.count_nonzero(~known)),
        _spans(distinct[known], sizes[known]),
    )


def _tokens(
    nodes: NDArray[np.uint64], texts: Sequence[TextsResult], keys: Sequence[KeyRange]
) -> NDArray[np.int64]:
    tokens = np.zeros(len(nodes), np.int64)
    for result, span in zip(texts, keys, strict=True):
        table = mapped_range(result.texts, "text_id", span, ("n_tokens",))[1]
        text_id = uint64(table, "text_id")
        # As uint64: beside a plain int NumPy would compare floating-point numbers.
        first, last = np.searchsorted(nodes, np.array([span[0], min(span[1], END_OF_KEYS - 1)], np.uint64))
        here = slice(first, None if span[1] == END_OF_KEYS else last)
        tokens[here] = table.column("n_tokens").to_numpy()[np.searchsorted(text_id, nodes[here])]
    return tokens


def _spans(roots: NDArray[np.uint64], sizes: NDArray[np.int64]) -> tuple[KeyRange, ...]:
    # Ranges of roots with about equally many texts: roots are the smallest of several numbers and
    # crowd at the low end.
    if not len(roots):
        return ()
    total = int(sizes.sum())
    parts = len(ranges_for(total, KNOWN_A_RANGE, MOST_KNOWN_A_RANGE))
    number = (np.cumsum(sizes) - sizes) * parts // total
    begins = [int(root) for root in roots[starts_of_runs(number)]]
    return tuple(pairwise([0, *begins[1:], END_OF_KEYS]))


def cut_blocks(roots: NDArray[np.uint64], weight: NDArray[np.int64]) -> pa.Table:
    """Cut components, in order of their roots, into blocks: a table of `CUTS` for `block_of`.

    A run of blocks begins where the weight passes another multiple of the block size, and before
    and after every component that fills more than a block by itself.
    """
    large = weight > BLOCK_TOKENS
    filled = (np.cumsum(weight) - weight) // BLOCK_TOKENS
    begins = np.ones(len(roots), np.bool_)
    begins[1:] = (filled[1:] != filled[:-1]) | large[1:] | large[:-1]
    at = np.flatnonzero(begins)
    parts = np.where(large[at], -(-weight[at] // BLOCK_TOKENS), 1)
    first_block = np.cumsum(parts) - parts
    return table_of(CUTS, roots[at], first_block.astype(np.uint64), parts.astype(np.uint64))


def assign(
    plan: Plan,
    texts: TextsResult,
    survivors: str,
    keys: KeyRange,
    path: str,
    *,
    segments: Sequence[Segment],
    permutations: int,
) -> Assigned:
    """Give the texts and edges of a key range their blocks, and leave out what is known.

    Args:
        survivors: edges sorted by right; both ends of an edge have the same root.
    """
    labels = mapped_range(plan.labels, "text_id", keys)[1]
    cuts = read_mapped(plan.cuts)
    node, root = uint64(labels, "text_id"), uint64(labels, "root")
    known = labels.column("known").to_numpy()
    held = mapped_ranges([texts.texts], "text_id", keys, TEXTS)
    at = np.searchsorted(uint64(held, "text_id"), node)
    doc_id, copies, n_tokens = (held.column(c).to_numpy()[at] for c in ("doc_id", "copies", "n_tokens"))
    order = np.argsort(doc_id)
    fresh, old = order[~known[order]], order[known[order]]
    sketches = binary_rows(sketches_of(segments, keys, permutations, node[fresh]))
    block = block_of(node[fresh], root[fresh], cuts)
    numbers = doc_id[fresh], node[fresh], block, root[fresh], copies[fresh], n_tokens[fresh]
    edges = mapped_range(survivors, "right", keys, ("left",))[1]
    left, right = uint64(edges, "left"), uint64(edges, "right")
    at = np.searchsorted(node, right)
    compared = ~known[at]
    left, right, edge_root = left[compared], right[compared], root[at[compared]]
    pairs = block_pairs(block_of(left, edge_root, cuts), block_of(right, edge_root, cuts))
    # In whatever order their ends are: comparing them asks for none.
    by_pair = np.argsort(pairs, kind="stable")
    pairs, left, right = pairs[by_pair], left[by_pair], right[by_pair]
    recalled = table_of(KNOWN, *(column[old] for column in (doc_id, node, root, copies, n_tokens)))
    wanted = table_of(wanted_schema(permutations), *numbers, sketches)
    return Assigned(
        write_mapped(wanted, f"{path}-wanted.arrow"),
        write_mapped(table_of(BLOCK_EDGES, pairs, left, right), f"{path}-edges.arrow"),
        tuple(pairs[starts_of_runs(pairs)].tolist()),
        len(fresh),
        write_mapped(recalled, f"{path}-known.arrow"),
        len(old),
    )


def block_pairs(one: NDArray[np.uint64], two: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Name pairs of blocks, the smaller in the high half."""
    return np.minimum(one, two) << np.uint64(32) | np.maximum(one, two)


def write_block_edges(
    pairs: NDArray[np.uint64], left: NDArray[np.uint64], right: NDArray[np.uint64], path: str
) -> str:
    """Write edges sorted by the pair of blocks that holds their ends."""
    order = np.lexsort((right, left, pairs))
    return write_mapped(table_of(BLOCK_EDGES, pairs[order], left[order], right[order]), path)
