"""Where rows are: from a shard's pieces to the doc_ids of the run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import table_of
from pipeline.mapped import read_mapped, write_mapped
from pipeline.stages.inputs import Shard

PIECES = pa.schema([("shard", pa.int64()), ("first_doc", pa.uint64()), ("rows", pa.int64())])


def write_places(shards: Sequence[Shard], piece_rows: Sequence[Sequence[int]], path: str) -> str:
    """Number the rows of every piece, now that those of all pieces before it are known.

    Returns:
        The path of a table with one row a piece, in order: shard, the doc_id of its first row
        (file_id << 32 | rows of the file before it), rows.
    """
    numbers, first_docs, counts = [], [], []
    file_id, rows_before = -1, 0
    for shard, rows in zip(shards, piece_rows, strict=True):
        for item, n in zip(shard.pieces, rows, strict=True):
            if item.file_id != file_id:
                file_id, rows_before = item.file_id, 0
            numbers.append(shard.number)
            first_docs.append(file_id << 32 | rows_before)
            counts.append(n)
            rows_before += n
    columns = np.array(numbers, np.int64), np.array(first_docs, np.uint64), np.array(counts, np.int64)
    return write_mapped(table_of(PIECES, *columns), path)


class Places:
    """The doc_id of a piece's first row, by shard. 24 bytes a piece of the corpus."""

    def __init__(self, path: str) -> None:
        table = read_mapped(path)
        self._first_doc = table.column("first_doc").to_numpy()
        self._rows = table.column("rows").to_numpy()
        shards = table.column("shard").to_numpy()
        self._begin = np.searchsorted(shards, np.arange(shards[-1] + 2 if len(shards) else 1))

    def first_docs(self, shard: int) -> NDArray[np.uint64]:
        """uint64[pieces of the shard], the doc_id of each piece's first row."""
        return np.asarray(self._first_doc[self._begin[shard] : self._begin[shard + 1]])

    def rows(self, shard: int) -> NDArray[np.int64]:
        """int64[pieces of the shard], the rows of each piece."""
        return np.asarray(self._rows[self._begin[shard] : self._begin[shard + 1]])

    def doc_ids(self, shard: int, pieces: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The doc_ids of rows given by piece and row."""
        return self.first_docs(shard)[pieces] + rows.astype(np.uint64)
