"""Texts of known components with the sources of their documents, which no second read gives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, uint64
from pipeline.mapped import mapped_range, mapped_ranges, read_mapped
from pipeline.stages.components import KNOWN, NO_BLOCK
from pipeline.stages.inputs import Shard
from pipeline.stages.places import Places
from pipeline.stages.scan import Segment

NAMED = pa.schema([*KNOWN, ("source", pa.large_string())])


def known_of_shard(shard: Shard, located: Places, known: Sequence[str]) -> pa.Table:
    """The known texts whose documents are in a shard, by doc_id, from tables of `KNOWN` sorted by it."""
    firsts, counts = located.first_docs(shard.number), located.rows(shard.number)
    if not known or not len(firsts):
        return KNOWN.empty_table()
    table = mapped_ranges(known, "doc_id", (int(firsts[0]), int(firsts[-1]) + int(counts[-1])), KNOWN)
    return table.take(pa.array(np.argsort(uint64(table, "doc_id"))))


class Sources:
    """The sources of a shard's documents, read from its segments when they are first asked for."""

    def __init__(self, shard: Shard, segments: Sequence[Segment], located: Places) -> None:
        self._shard, self._segments, self._located = shard, segments, located
        self._held: tuple[NDArray[np.uint64], pa.Array] | None = None

    def of(self, doc_id: NDArray[np.uint64]) -> pa.Array:
        """Those of some documents of the shard."""
        if self._held is None:
            self._held = self._read()
        here, sources = self._held
        return sources.take(pa.array(np.searchsorted(here, doc_id)))

    def _read(self) -> tuple[NDArray[np.uint64], pa.Array]:
        ids, sources = [np.zeros(0, np.uint64)], [pa.array([], pa.large_string())]
        for segment in self._segments:
            rows = read_mapped(f"{segment.path}/documents.arrow", ["piece", "row", "source"])
            places = (rows.column(name).to_numpy() for name in ("piece", "row"))
            ids.append(self._located.doc_ids(self._shard.number, *places))
            sources += rows.column("source").chunks
        return np.concatenate(ids), pa.concat_arrays(sources)


def read_named(paths: Sequence[str], roots: KeyRange) -> pa.Table:
    """The known texts of the components of a range of roots, by text_id, as texts in no block."""
    parts = (mapped_range(path, "root", roots, NAMED.names)[1].cast(NAMED) for path in paths)
    table = pa.concat_tables([NAMED.empty_table(), *parts])
    table = table.take(pa.array(np.argsort(uint64(table, "text_id"))))
    return table.append_column("block", pa.array(np.full(len(table), NO_BLOCK, np.uint64)))
