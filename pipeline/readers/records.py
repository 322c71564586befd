"""Gather rows that were read one by one into batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa

from pipeline.readers.rows import ROW_COST_BYTES, Columns, Reject, Rows


class Record(NamedTuple):
    """A row with a text. `labels` holds id, source, licence; what is not wanted is ignored."""

    text: bytes
    labels: tuple[str | None, ...]


class Refusal(NamedTuple):
    """A row without a usable text."""

    reason: str
    detail: str


class _Batch:
    """The rows since the last batch, and what they cost."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.records: list[Record] = []
        self.rejects: list[Reject] = []
        self.cost_bytes = 0

    def add(self, row: int, item: Record | Refusal) -> None:
        self.cost_bytes += ROW_COST_BYTES
        if isinstance(item, Refusal):
            self.rejects.append(Reject(row, item.reason, item.detail))
            self.cost_bytes += len(item.detail)
            return
        self.rows.append(row)
        self.records.append(item)
        self.cost_bytes += len(item.text) + sum(len(label) for label in item.labels if label)

    def frozen(self, columns: Columns, n_rows: int) -> Rows:
        ids, sources, licences = (
            None if name is None else pa.array([r.labels[i] for r in self.records], pa.large_string())
            for i, name in enumerate(columns.labels)
        )
        texts = pa.array([record.text for record in self.records], pa.large_binary())
        rows = pa.array(self.rows, pa.int64())
        return Rows(rows, texts, ids, sources, licences, tuple(self.rejects), n_rows)


def in_batches(items: Iterable[Record | Refusal], columns: Columns, batch_bytes: int) -> Iterator[Rows]:
    """Batches of about `batch_bytes`, which the row that fills a batch may exceed.

    Rows are numbered from 0 in the order of `items`. At least one batch comes out.
    """
    batch, n_rows = _Batch(), 0
    for row, item in enumerate(items):
        batch.add(row, item)
        n_rows = row + 1
        if batch.cost_bytes >= batch_bytes:
            yield batch.frozen(columns, n_rows)
            batch = _Batch()
    if batch.cost_bytes or not n_rows:
        yield batch.frozen(columns, n_rows)
