"""Near clusters: components of the verified pairs at the threshold, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, frame, table_of, uint64, write_output
from pipeline.mapped import mapped_ranges, read_mapped, write_mapped
from pipeline.schemas import CLUSTERS
from pipeline.stages.components import NO_BLOCK, block_pairs, components, write_block_edges
from pipeline.stages.pairs import MEMBER_EDGES, NODES, Verified

MEMBERS = pa.schema(
    [
        ("text_id", pa.uint64()),
        ("doc_id", pa.uint64()),
        ("cluster_id", pa.uint64()),
        ("cluster_documents", pa.int64()),
        ("cluster_texts", pa.int64()),
        ("representative", pa.uint64()),
        ("copies", pa.int64()),
    ]
)
TOTALS = pa.schema(
    [
        ("cluster_id", pa.uint64()),
        ("documents", pa.int64()),
        ("distinct_texts", pa.int64()),
        ("tokens", pa.int64()),
        ("representative", pa.uint64()),
    ]
)
LINKS = pa.schema([("root", pa.uint64()), ("left", pa.uint64()), ("right", pa.uint64())])
SIMILARITIES = pa.schema([("cluster_id", pa.uint64()), ("doc_id", pa.uint64()), ("jaccard", pa.float64())])
# How many documents and tokens of a cluster have which source and licence (hashes, 0: none).
LABELS = pa.schema(
    [
        *((name, pa.uint64()) for name in ("cluster_id", "source", "licence")),
        *((name, pa.int64()) for name in ("documents", "tokens")),
        ("sample", pa.large_string()),
    ]
)


@dataclass(frozen=True)
class Clusters:
    """`members` by text_id, `totals` by cluster_id, `links` from representatives to members by
    pair of blocks, or by root where an earlier run compared their component."""

    members: str
    totals: str
    links: str
    known_links: str
    block_pairs: tuple[int, ...]
    count: int
    linked: int
    known_linked: int


def _unique_nodes(verified: Sequence[Verified]) -> pa.Table:
    # In an oversized component a text can be a node of several pairs of blocks.
    nodes = pa.concat_tables([NODES.empty_table(), *(read_mapped(v.nodes) for v in verified)])
    _, first = np.unique(uint64(nodes, "text_id"), return_index=True)
    return nodes.take(pa.array(first))


def find_clusters(verified: Sequence[Verified], path: str) -> Clusters:
    """The components of all verified pairs, their representatives and their sizes.

    The representative is the text whose first document has the smallest doc_id.
    """
    edges = pa.concat_tables([MEMBER_EDGES.empty_table(), *(read_mapped(v.edges) for v in verified)])
    text_id, cluster_id, _ = components(uint64(edges, "left"), uint64(edges, "right"))
    nodes = _unique_nodes(verified)
    doc_id, root, block = (uint64(nodes, name) for name in ("doc_id", "root", "block"))
    copies, n_tokens = nodes.column("copies").to_numpy(), nodes.column("n_tokens").to_numpy()
    ids, member_of = np.unique(cluster_id, return_inverse=True)
    order = np.lexsort((doc_id, cluster_id))
    first = order[np.searchsorted(cluster_id[order], ids)]
    documents = _sums(member_of, copies, len(ids))
    tokens = _sums(member_of, copies * n_tokens, len(ids))
    texts = np.bincount(member_of, minlength=len(ids)).astype(np.int64)
    head = first[member_of]
    members = table_of(
        MEMBERS,
        text_id,
        doc_id,
        cluster_id,
        documents[member_of],
        texts[member_of],
        doc_id[head],
        copies,
    )
    totals = table_of(TOTALS, ids, documents, texts, tokens, doc_id[first])
    member = head != np.arange(len(head))
    old = np.flatnonzero(member & (block == np.uint64(NO_BLOCK)))
    rest = np.flatnonzero(member & (block != np.uint64(NO_BLOCK)))
    pairs = block_pairs(block[head[rest]], block[rest])
    old = old[np.lexsort((text_id[old], root[old]))]
    known = table_of(LINKS, root[old], text_id[head[old]], text_id[old])
    return Clusters(
        write_mapped(members, f"{path}-members.arrow"),
        write_mapped(totals, f"{path}-totals.arrow"),
        write_block_edges(pairs, text_id[head[rest]], text_id[rest], f"{path}-links.arrow"),
        write_mapped(known, f"{path}-known-links.arrow"),
        tuple(np.unique(pairs).tolist()),
        len(ids),
        len(rest) + len(old),
        len(old),
    )


def _sums(group: NDArray[np.int64], values: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    # np.bincount adds in floating point; these stay integers.
    total = np.zeros(groups, np.int64)
    np.add.at(total, group, values)
    return total


def write_clusters(
    keys: KeyRange,
    path: str,
    *,
    totals: Sequence[str],
    similarities: Sequence[str],
    labels: Sequence[str],
    threshold: float,
) -> tuple[int, int]:
    """Write the clusters whose ids lie in a key range as one output file.

    Args:
        totals: sizes; similarities: one row a text beside the representative; labels: sources
            and licences of members and the representative's sample. All sorted by cluster_id.

    Returns:
        Numbers of clusters and of clusters with a chained member. Nothing is written without
        clusters.
    """
    rows = frame(mapped_ranges(totals, "cluster_id", keys, TOTALS))
    if rows.is_empty():
        return 0, 0
    similar = frame(mapped_ranges(similarities, "cluster_id", keys, SIMILARITIES))
    named = frame(mapped_ranges(labels, "cluster_id", keys, LABELS))
    facts = named.group_by("cluster_id").agg(
        pl.col("source").filter(pl.col("source") != 0).n_unique().cast(pl.Int64).alias("sources"),
        pl.col("sample").drop_nulls().first(),
    )
    table = (
        rows.join(_similarity(similar, threshold), "cluster_id", "left")
        .join(facts, "cluster_id", "left")
        .with_columns(
            pl.col("min_jaccard").fill_null(1.0),
            # Similarities are summed in sorted order: the same sum in every run.
            ((pl.col("sum_jaccard").fill_null(0.0) + 1.0) / pl.col("distinct_texts")).alias("mean_jaccard"),
            pl.col("chained").fill_null(0),
            pl.col("sample").fill_null(""),
        )
        .sort("cluster_id")
    )
    write_output(CLUSTERS, table.select(CLUSTERS.arrow_schema().names).to_arrow(), path)
    return len(table), table.filter(pl.col("chained") > 0).height


def _similarity(similar: pl.DataFrame, threshold: float) -> pl.DataFrame:
    ordered = similar.sort("cluster_id", "jaccard", "doc_id")
    ids, jaccard = ordered["cluster_id"].to_numpy(), ordered["jaccard"].to_numpy()
    _, starts = np.unique(ids, return_index=True)
    if not len(starts):
        starts = np.zeros(0, np.int64)
    columns = {
        "cluster_id": ids[starts],
        "min_jaccard": jaccard[starts],
        "least_similar": ordered["doc_id"].to_numpy()[starts],
        "sum_jaccard": np.add.reduceat(jaccard, starts) if len(starts) else jaccard,
        "chained": (
            np.add.reduceat((jaccard < threshold).astype(np.int64), starts) if len(starts) else starts
        ),
    }
    return pl.DataFrame(columns)
