"""Texts of known components with the sources of their documents, which no second read gives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, read_ranges, read_work, uint64, write_work
from pipeline.stages.components import KNOWN, NO_BLOCK
from pipeline.stages.inputs import Shard
from pipeline.stages.places import Places
from pipeline.stages.scan import Segment

NAMED = pa.schema([*KNOWN, ("source", pa.large_string())])


def name_sources(
    shard: Shard, segments: Sequence[Segment], path: str, *, places: str, known: Sequence[str]
) -> list[str]:
    """Write the known texts of a shard with their sources.

    Args:
        segments: of the shard. known: tables of `KNOWN` sorted by doc_id.

    Returns:
        The written file, sorted by root, if there are such texts.
    """
    located = Places(places)
    firsts, counts = located.first_docs(shard.number), located.rows(shard.number)
    span = int(firsts[0]), int(firsts[-1]) + int(counts[-1])
    table = read_ranges(known, "doc_id", span, KNOWN)
    if not len(table):
        return []
    table = table.take(pa.array(np.argsort(uint64(table, "doc_id"))))
    doc_id = uint64(table, "doc_id")
    table = table.append_column("source", sources_of(doc_id, shard, segments, located))
    by_root = np.argsort(uint64(table, "root"), kind="stable")
    return [write_work(table.take(pa.array(by_root)), path, "root")]


def sources_of(
    doc_id: NDArray[np.uint64], shard: Shard, segments: Sequence[Segment], located: Places
) -> pa.ChunkedArray:
    """The sources of documents of a shard (doc_ids sorted) from its segments."""
    sources = [pa.chunked_array([], pa.large_string())]
    for segment in segments:
        rows = read_work(f"{segment.path}/documents.parquet", ["piece", "row", "source"])
        here = located.doc_ids(shard.number, *(rows.column(name).to_numpy() for name in ("piece", "row")))
        mine = doc_id[np.searchsorted(doc_id, here[0]) : np.searchsorted(doc_id, here[-1], side="right")]
        sources.append(rows.column("source").take(pa.array(np.searchsorted(here, mine))))
    return pa.chunked_array([chunk for column in sources for chunk in column.chunks], pa.large_string())


def read_named(paths: Sequence[str], roots: KeyRange) -> pa.Table:
    """The known texts of the components of a range of roots, by text_id, as texts in no block."""
    table = read_ranges(paths, "root", roots, NAMED)
    table = table.take(pa.array(np.argsort(uint64(table, "text_id"))))
    return table.append_column("block", pa.array(np.full(len(table), NO_BLOCK, np.uint64)))
