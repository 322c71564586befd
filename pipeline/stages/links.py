"""Links from representatives to the members of their clusters, compared whatever the similarity.

Which text is the representative depends on the order of the documents, so a component that an
earlier run compared may have links that it did not: then those texts are read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, frame, table_of, uint64
from pipeline.config import NearConfig
from pipeline.mapped import mapped_range, mapped_ranges, read_mapped, write_mapped
from pipeline.stages.blocks import compare, numbers_of, read_blocks
from pipeline.stages.clusters import LINKS
from pipeline.stages.comparison import (
    FOUND,
    Comparison,
    Texts,
    recalled,
    write_found,
    write_pair_rows,
    write_similar,
)
from pipeline.stages.components import (
    BLOCK_EDGES,
    KNOWN,
    block_of,
    block_pairs,
    cut_blocks,
    wanted_schema,
    write_block_edges,
)
from pipeline.stages.known import read_named
from pipeline.stages.pairs import BEST
from pipeline.stages.runs import starts_of_runs


@dataclass(frozen=True)
class Linked:
    """Members of clusters compared with their representatives: each member's similarity by text_id,
    the pairs at or above the floor by doc_a, and all of them as `SIMILAR` and as `FOUND`."""

    similarity: str
    pairs: str
    similar: str
    found: str


@dataclass(frozen=True)
class RecalledLinks:
    """Links of known components: those an earlier run compared; of the others the ends as `LINKS`
    and the texts as `KNOWN`, and how many they are."""

    linked: Linked
    missing: str
    texts: str
    count: int


@dataclass(frozen=True)
class Relinked:
    """Missing links with their blocks: what to read again, what to compare."""

    wanted: str
    links: str
    block_pairs: tuple[int, ...]
    texts: int


def measure_links(
    pair: int,
    path: str,
    sets: Sequence[str],
    compared: Sequence[str] = (),
    *,
    links: Sequence[str],
    near: NearConfig,
    routed: Sequence[str] = (),
) -> Linked:
    """Compare cluster members with their representatives.

    Args:
        sets: tables by block, see `blocks.read_blocks`.
        compared: tables of `FOUND` of these blocks' pairs that are compared already.
        links: tables of links sorted by pair of blocks; `left` is the representative.
        routed: links that an earlier run compared, see `routed`.
    """
    known = [read_mapped(found, ("left", "right", "shared")) for found in compared]
    known += [mapped_range(found, "blocks", (pair, pair + 1))[1] for found in routed]
    blocks = read_blocks(sets, pair, near.permutations, known)
    table = mapped_ranges(links, "blocks", (pair, pair + 1), BLOCK_EDGES)
    ends = numbers_of(blocks, uint64(table, "left")), numbers_of(blocks, uint64(table, "right"))
    return _write(blocks, compare(blocks, *ends, 0.0), uint64(table, "right"), near, path)


def recall_links(
    roots: KeyRange,
    compared: str,
    path: str,
    *,
    links: str,
    earlier: Sequence[str],
    named: Sequence[str],
    near: NearConfig,
) -> RecalledLinks:
    """Look the links of known components up among the pairs that an earlier run compared.

    Args:
        compared: the recalled pairs of these components. earlier: the earlier run's links, by root.
        links: links of known components by root, `left` is the representative.
        named: their texts by root, see `known`.
    """
    table = mapped_range(links, "root", roots)[1]
    ends = uint64(table, "left"), uint64(table, "right")
    wanted = frame(table).select(
        "root",
        pl.Series("left", np.minimum(*ends)),
        pl.Series("right", np.maximum(*ends)),
        pl.Series("representative", ends[0]),
        pl.Series("member", ends[1]),
    )
    pair = ["left", "right"]
    held = [frame(read_mapped(compared)), frame(mapped_ranges(earlier, "root", roots, FOUND))]
    found = pl.concat([rows.join(wanted, pair, "semi") for rows in held]).unique(pair, maintain_order=True)
    found = found.sort("root", *pair)
    missing = wanted.join(found, pair, "anti").sort("root", "member")
    lacking = missing["root"], missing["representative"], missing["member"]
    rows = read_named(named, roots)
    texts = np.concatenate([column.to_numpy() for column in lacking[1:]])
    at = np.unique(np.searchsorted(uint64(rows, "text_id"), texts))
    return RecalledLinks(
        _write(*recalled(rows, found.to_arrow().cast(FOUND)), wanted["member"].to_numpy(), near, path),
        write_mapped(table_of(LINKS, *(column.to_numpy() for column in lacking)), f"{path}-missing.arrow"),
        write_mapped(rows.select(KNOWN.names).take(pa.array(at)), f"{path}-texts.arrow"),
        len(missing),
    )


def _write(
    texts: Texts, found: Comparison, member: NDArray[np.uint64], near: NearConfig, path: str
) -> Linked:
    found = found.in_order(len(texts.sizes))
    one, two = texts.text_id[found.left], texts.text_id[found.right]
    # A text is a member once and never a member where it is a representative.
    member_of = np.where(np.isin(one, member), one, two)
    order = np.argsort(member_of)
    similarity = table_of(BEST, member_of[order], found.jaccard[order])
    return Linked(
        write_mapped(similarity, f"{path}-similarity.arrow"),
        write_pair_rows(texts, found, found.jaccard >= near.floor, f"{path}-pairs.arrow"),
        write_similar(texts, found, f"{path}-similar.arrow"),
        write_found(texts, found, f"{path}-found.arrow"),
    )


def plan_links(recalled: Sequence[RecalledLinks], path: str, *, permutations: int) -> Relinked:
    """Cut the missing links of known components into blocks, as `components.plan` cuts components."""
    links = pa.concat_tables([LINKS.empty_table(), *(read_mapped(part.missing) for part in recalled)])
    texts = pa.concat_tables([KNOWN.empty_table(), *(read_mapped(part.texts) for part in recalled)])
    by_root = np.argsort(uint64(texts, "root"), kind="stable")
    root, tokens = uint64(texts, "root")[by_root], texts.column("n_tokens").to_numpy()[by_root]
    starts = starts_of_runs(root)
    cuts = cut_blocks(root[starts], np.add.reduceat(tokens, starts) if len(starts) else tokens)
    texts = texts.take(pa.array(np.argsort(uint64(texts, "doc_id"))))
    doc_id, text_id, root, copies, n_tokens = (column.to_numpy() for column in texts.columns)
    # Sketches play no part here.
    sketches = pa.nulls(len(texts), pa.binary(permutations))
    block = block_of(text_id, root, cuts)
    wanted = table_of(wanted_schema(permutations), doc_id, text_id, block, root, copies, n_tokens, sketches)
    root, left, right = (uint64(links, name) for name in LINKS.names)
    pairs = block_pairs(block_of(left, root, cuts), block_of(right, root, cuts))
    return Relinked(
        write_mapped(wanted, f"{path}-wanted.arrow"),
        write_block_edges(pairs, left, right, f"{path}-links.arrow"),
        tuple(np.unique(pairs).tolist()),
        len(texts),
    )
