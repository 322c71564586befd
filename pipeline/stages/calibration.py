"""Measuring recall: a random sample of texts, compared exactly with every text of the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import frame, table_of, uint64
from pipeline.kernels.buffers import binary_rows, uint64_values
from pipeline.kernels.postings import Postings, near_members, postings
from pipeline.mapped import read_mapped, write_mapped
from pipeline.readers.formats import read
from pipeline.recall import Recall, wilson
from pipeline.stages.components import wanted_schema
from pipeline.stages.inputs import Shard, check_unchanged
from pipeline.stages.scan import ScanParameters
from pipeline.stages.sets import SetScratch, composed_sets

PARTNERS = pa.schema([("text_id", pa.uint64()), ("partner", pa.uint64()), ("jaccard", pa.float64())])


def _scrambled(text_id: pl.Series, seed: int) -> NDArray[np.uint64]:
    # An order that has nothing to do with how texts were hashed into bands.
    generator = np.random.default_rng(seed)
    factor, offset = generator.integers(0, 2**64, 2, np.uint64)
    mixed = (text_id.to_numpy() ^ offset) * (factor | np.uint64(1))
    return np.asarray((mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9))


def draw(run: str, size: int, seed: int, permutations: int, path: str) -> tuple[str, int]:
    """Choose distinct texts of a finished run at random.

    Returns:
        The path of a table of what to read again, as the pair stages want it, and its length.
    """
    chosen: pl.DataFrame | None = None
    for part in sorted(Path(run).glob("documents/part-*.parquet")):
        texts = pl.read_parquet(part, columns=["text_id", "doc_id", "n_tokens"]).filter(
            pl.col("n_tokens") > 0
        )
        texts = texts.with_columns(pl.Series("order", _scrambled(texts["text_id"], seed)))
        both = texts if chosen is None else pl.concat([chosen, texts])
        # Copies of a text have one place in the order; its first document stands for it.
        chosen = both.sort("order", "doc_id").unique("text_id", keep="first", maintain_order=True).head(size)
    schema = wanted_schema(permutations)
    if chosen is None:
        return write_mapped(schema.empty_table(), path), 0
    chosen, n = chosen.sort("doc_id"), len(chosen)
    # Blocks, copies and sketches play no part here.
    zeros, sketches = np.zeros(n, np.uint64), binary_rows(np.zeros((n, permutations), np.uint8))
    doc_id, text_id, n_tokens = (chosen[name].to_numpy() for name in ("doc_id", "text_id", "n_tokens"))
    table = table_of(schema, doc_id, text_id, zeros, zeros, np.ones(n, np.int64), n_tokens, sketches)
    return write_mapped(table, path), n


def _index(sets: Sequence[str]) -> tuple[NDArray[np.uint64], Postings]:
    tables = [read_mapped(path, ["text_id", "shingles"]) for path in sets]
    values, offsets = uint64_values(
        pa.chunked_array([c for t in tables for c in t["shingles"].chunks], pa.large_binary())
    )
    text_ids = [uint64(table, "text_id") for table in tables]
    return np.concatenate([np.zeros(0, np.uint64), *text_ids]), postings(values, np.diff(offsets))


def find_partners(
    shard: Shard, path: str, *, sets: Sequence[str], threshold: float, parameters: ScanParameters
) -> str:
    """Compare every text of a shard with the sample.

    Returns:
        The path of a table: sampled text, another text near to it, their similarity.
    """
    sample, index = _index(sets)
    scratch, counts = SetScratch.new(), np.zeros(len(sample), np.int64)
    found = [PARTNERS.empty_table()]
    for item in shard.pieces:
        check_unchanged(item.file)
        for rows in read(item.piece, parameters.columns):
            parts, text_ids = composed_sets(rows.texts, scratch, parameters.shingle_tokens)
            values = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
            sizes = np.array([len(part) for part in parts], np.int64)
            text, member, jaccard = _near(values, sizes, index, threshold, counts)
            other = text_ids[text] != sample[member]
            found.append(table_of(PARTNERS, sample[member[other]], text_ids[text[other]], jaccard[other]))
    return write_mapped(pa.concat_tables(found), path)


def _near(
    values: NDArray[np.uint64],
    sizes: NDArray[np.int64],
    index: Postings,
    threshold: float,
    counts: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    room = 1 << 12
    while True:
        text, member, jaccard = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.float64)
        n = near_members(values, sizes, index, threshold, counts, text, member, jaccard)
        if n >= 0:
            return text[:n], member[:n], jaccard[:n]
        room *= 8


def measured(run: str, partners: Sequence[str]) -> tuple[Recall, int]:
    """The share of sampled texts with a near partner that the run put in a cluster with one, and
    how many texts with a partner that is a share of."""
    pairs = pl.concat([frame(PARTNERS.empty_table()), *(frame(read_mapped(path)) for path in partners)])
    documents = pl.scan_parquet(f"{run}/documents/part-*.parquet").select("text_id", "cluster_id")
    clusters = documents.filter(pl.col("cluster_id").is_not_null()).unique("text_id")
    joined = (
        pairs.lazy()
        .join(clusters.select("text_id", own="cluster_id"), "text_id", "left")
        .join(clusters.select(partner="text_id", theirs="cluster_id"), "partner", "left")
        .group_by("text_id")
        .agg((pl.col("own") == pl.col("theirs")).fill_null(False).any().alias("found"))
        .collect()
    )
    return wilson(int(joined["found"].sum()), len(joined)), len(joined)
