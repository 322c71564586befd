"""Exposures of texts in near clusters: how often training shows a text, near copies included.

A cluster's texts are brought together with what is known of their similarities: exact where a pair
was compared, else estimated from the sketches. Sketches that agree in no more places than chance
alone explains count as nothing: even a tiny similarity is worth a tenth of a copy, and a chain has
many pairs of texts that share nothing (in one of 300 texts a text came to 22 exposures for 11). A
cluster of more than `MOST_TEXTS` texts would take their square; there a pair counts with the smaller
of the two similarities to the representative, which are exact, and its documents are flagged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, table_of, uint64
from pipeline.kernels.buffers import binary_rows, rows_of_binary
from pipeline.kernels.exposures import add_worth, number_links
from pipeline.kernels.resemblance import words
from pipeline.mapped import mapped_range, mapped_ranges, write_mapped
from pipeline.mixture import MILLION
from pipeline.risk import worth_of_similarity
from pipeline.sketching import estimated, least_above_chance
from pipeline.stages.clusters import MEMBERS
from pipeline.stages.comparison import SIMILAR
from pipeline.stages.pairs import BEST
from pipeline.stages.runs import starts_of_runs
from pipeline.stages.scan import Segment, sketches_of
from pipeline.stages.texts import TEXTS, TextsResult

MOST_TEXTS = 2000  # 50 ms of comparing sketches in the largest cluster
DECIMALS = 6  # of exposures, so that sums of floats show no dust
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # cluster_ids crowd at the low end, these keys do not

LINKS = pa.schema([(n, pa.uint64()) for n in ("key", "left", "right")] + [("jaccard", pa.float64())])
EXPOSED = pa.schema(
    [
        ("text_id", pa.uint64()),
        ("jaccard", pa.float64()),
        *((name, pa.float64()) for name in ("exposures", "exposures_low", "exposures_high")),
        ("exposures_by_representative", pa.bool_()),
    ]
)


def nodes_schema(permutations: int) -> pa.Schema:
    """Texts of near clusters by key of the cluster; the sketch is null in clusters too large for it."""
    numbers = [("key", pa.uint64()), ("text_id", pa.uint64()), ("weight", pa.int64())]
    return pa.schema([*numbers, ("jaccard", pa.float64()), ("sketch", pa.binary(permutations))])


@dataclass(frozen=True)
class Gathered:
    """Texts of a key range that are in near clusters, and links between compared ones, by cluster."""

    nodes: str
    links: str
    texts: int


def gather(
    keys: KeyRange,
    texts: TextsResult,
    path: str,
    *,
    members: str,
    similarities: Sequence[str],
    similar: Sequence[str],
    segments: Sequence[Segment],
    permutations: int,
) -> Gathered:
    """Bring the clustered texts of a key range and their links into the order of clusters.

    Args:
        members: see `clusters`. similarities: to representatives, by text_id.
        similar: all compared pairs, by `left`; a pair may stand twice.
    """
    found = mapped_range(members, "text_id", keys, MEMBERS.names)[1]
    text_id, key = uint64(found, "text_id"), uint64(found, "cluster_id") * _SPREAD
    small = found.column("cluster_texts").to_numpy() <= MOST_TEXTS
    known = mapped_range(texts.texts, "text_id", keys, TEXTS.names)[1]
    weight = known.column("weight").to_numpy()[np.searchsorted(uint64(known, "text_id"), text_id)]
    jaccard = np.ones(len(text_id))
    measured = mapped_ranges(similarities, "text_id", keys, BEST)
    jaccard[np.searchsorted(text_id, uint64(measured, "text_id"))] = measured.column("jaccard").to_numpy()
    sketches = np.zeros((len(text_id), permutations), np.uint8)
    sketches[small] = sketches_of(segments, keys, permutations, text_id[small])
    order = np.argsort(key, kind="stable")  # texts come in order
    nodes = table_of(
        nodes_schema(permutations),
        *(column[order] for column in (key, text_id, weight, jaccard)),
        pc.if_else(pa.array(small[order]), binary_rows(sketches[order]), None),
    )
    return Gathered(
        write_mapped(nodes, f"{path}-nodes.arrow"),
        write_mapped(
            _links(mapped_ranges(similar, "left", keys, SIMILAR), text_id[small], key[small]),
            f"{path}-links.arrow",
        ),
        len(order),
    )


def _links(pairs: pa.Table, text_id: NDArray[np.uint64], key: NDArray[np.uint64]) -> pa.Table:
    # Of pairs those whose left end is one of the texts, by the key of its cluster. Pairs of one text
    # stand together, many of them: a text is looked up once, and sorted as one.
    left = uint64(pairs, "left")
    starts = starts_of_runs(left)
    at, here = _places(text_id, left[starts])
    sizes, key = np.diff(np.append(starts, len(left)))[here], key[at[here]]
    order = np.argsort(key, kind="stable")
    starts, sizes, key = starts[here][order], sizes[order], key[order]
    rows = np.repeat(starts - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
    return table_of(LINKS, np.repeat(key, sizes), *(column.take(pa.array(rows)) for column in pairs.columns))


def _places(
    known: NDArray[np.uint64], wanted: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    # Where wanted numbers stand among known ones, which ascend, and whether they do.
    if not len(known):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return at, known[at] == wanted


def expose(
    keys: KeyRange, path: str, *, gathered: Sequence[Gathered], permutations: int, shingle_tokens: int
) -> tuple[str, int]:
    """The exposures of the texts of clusters whose keys lie in a range.

    Returns:
        The path of a table of `EXPOSED`, sorted by text_id, and how many of its texts were judged by
        their similarity to the representative.
    """
    schema = nodes_schema(permutations)
    nodes = mapped_ranges([part.nodes for part in gathered], "key", keys, schema).combine_chunks()
    # By key, and then by text: each part has texts behind those of the part before it.
    order = np.argsort(uint64(nodes, "key"), kind="stable")
    nodes = nodes.take(pa.array(order))
    large = nodes.column("sketch").is_null().to_numpy()
    total = np.zeros((3, len(nodes)))
    links = mapped_ranges([part.links for part in gathered], "key", keys, LINKS)
    at = np.flatnonzero(~large)
    total[:, at] = _of_small(nodes.take(pa.array(at)), links, permutations, shingle_tokens)
    at = np.flatnonzero(large)
    total[:, at] = _of_large(nodes.take(pa.array(at)), shingle_tokens)
    total = np.round(total / MILLION, DECIMALS)
    by_text = np.argsort(uint64(nodes, "text_id"))
    columns = (uint64(nodes, "text_id"), nodes.column("jaccard").to_numpy(), *total, large)
    table = table_of(EXPOSED, *(column[by_text] for column in columns))
    return write_mapped(table, path), int(np.count_nonzero(large))


def _of_small(
    nodes: pa.Table, links: pa.Table, permutations: int, shingle_tokens: int
) -> NDArray[np.float64]:
    key, text_id = uint64(nodes, "key"), uint64(nodes, "text_id")
    starts = np.append(starts_of_runs(key), len(key))
    link_key = uint64(links, "key")
    order = np.argsort(link_key, kind="stable")
    left, right, jaccard = (links.column(name).to_numpy()[order] for name in ("left", "right", "jaccard"))
    # Links join texts of one cluster, or are left out.
    numbered = number_links(starts, key, text_id, link_key[order], left, right)
    sketches, padding = words(rows_of_binary(nodes.column("sketch"), permutations))
    most = int(np.diff(starts).max(initial=0))
    agreeing = np.arange(permutations + 1)
    by_agreement = np.clip(estimated(agreeing, permutations), 0.0, 1.0)
    by_agreement[agreeing < least_above_chance(permutations)] = 0.0
    total = np.empty((3, len(key)))
    add_worth(
        starts,
        sketches,
        padding,
        nodes.column("weight").to_numpy(),
        numbered.starts,
        numbered.one,
        numbered.two,
        worth_of_similarity(jaccard[numbered.rows], shingle_tokens),
        worth_of_similarity(by_agreement, shingle_tokens),
        np.empty((most, most), np.int32),
        total,
    )
    return total


def _of_large(nodes: pa.Table, shingle_tokens: int) -> NDArray[np.float64]:
    key, weight = uint64(nodes, "key"), nodes.column("weight").to_numpy()
    jaccard = nodes.column("jaccard").to_numpy()
    total = np.empty((3, len(key)))
    for first, stop in pairwise([*starts_of_runs(key), len(key)]):
        # The most similar first: those behind a text count with their own similarity, those before
        # it with its.
        order = first + np.lexsort((uint64(nodes, "text_id")[first:stop], -jaccard[first:stop]))
        worth = worth_of_similarity(jaccard[order], shingle_tokens)
        own = weight[order]
        before = np.cumsum(own) - own
        tail = np.cumsum((own * worth)[:, ::-1], axis=1)[:, ::-1]
        behind = np.concatenate([tail[:, 1:], np.zeros((3, 1))], axis=1)
        total[:, order] = own + before * worth + behind
    return total
