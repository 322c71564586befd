"""Fixtures for reader tests: write a file, read it back whole as plain Python values."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from pyarrow import ipc

from pipeline.readers import formats
from pipeline.readers.rows import Columns, Piece, Rows

WHOLE = 1 << 40
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".zst": lambda data: zstandard.ZstdCompressor().compress(data),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@dataclass
class Content:
    """What came out of a file, rows counted from its start."""

    rows: list[int] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    ids: list[str | None] = field(default_factory=list)
    sources: list[str | None] = field(default_factory=list)
    licences: list[str | None] = field(default_factory=list)
    rejects: list[tuple[int, str, str]] = field(default_factory=list)
    n_rows: int = 0
    batches: list[Rows] = field(default_factory=list)

    def values(self) -> tuple[Any, ...]:
        return self.rows, self.texts, self.ids, self.sources, self.licences, self.rejects, self.n_rows

    def reasons(self) -> list[tuple[int, str]]:
        return [(row, reason) for row, reason, _ in self.rejects]

    def add_piece(self, batches: list[Rows]) -> None:
        first, seen = self.n_rows, 0
        assert batches, "a piece yields at least one batch"
        for batch in batches:
            check(batch, seen)
            seen = batch.n_rows
            self.rows += [first + row for row in batch.rows.to_pylist()]
            self.texts += batch.texts.to_pylist()
            for name in ("ids", "sources", "licences"):
                if getattr(batch, name) is not None:
                    getattr(self, name).extend(getattr(batch, name).to_pylist())
            self.rejects += [(first + r.row, r.reason, r.detail) for r in batch.rejects]
        self.n_rows += seen
        self.batches += batches


def check(batch: Rows, seen: int) -> None:
    """What holds for every batch of every reader."""
    assert batch.rows.type == pa.int64()
    assert batch.texts.type == pa.large_binary()
    assert batch.texts.null_count == 0
    assert len(batch.rows) == len(batch.texts)
    for labels in (batch.ids, batch.sources, batch.licences):
        if labels is not None:
            assert labels.type == pa.large_string()
            assert len(labels) == len(batch.texts)
            labels.validate(full=True)
    numbers = sorted([*batch.rows.to_pylist(), *(reject.row for reject in batch.rejects)])
    assert numbers == list(range(seen, batch.n_rows)), "every row comes out exactly once"
    assert batch.rows.to_pylist() == sorted(batch.rows.to_pylist())
    for reject in batch.rejects:
        assert len(reject.detail) <= 200
        assert reject.detail.isprintable()


def _read_pieces(pieces: list[Piece], columns: Columns, batch_bytes: int) -> Content:
    content = Content()
    for piece in pieces:
        content.add_piece(list(formats.read(piece, columns, batch_bytes)))
    return content


def _read_file(
    path: Path | str,
    columns: Columns | None = None,
    *,
    shard_bytes: int = WHOLE,
    batch_bytes: int = formats.BATCH_BYTES,
    kind: str | None = None,
) -> Content:
    uri = str(path)
    name = kind or formats.format_of(uri)
    assert name is not None
    cut = formats.pieces(uri, name, os.path.getsize(uri), shard_bytes)
    return _read_pieces(cut, columns or Columns(), batch_bytes)


def _parquet_bytes(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def _arrow_bytes(table: pa.Table, *, stream: bool = False, rows_a_batch: int | None = None) -> bytes:
    sink = io.BytesIO()
    with (ipc.new_stream if stream else ipc.new_file)(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows_a_batch)
    return sink.getvalue()


@pytest.fixture(scope="session")
def read_file() -> Callable[..., Content]:
    """Read all pieces of a file."""
    return _read_file


@pytest.fixture(scope="session")
def read_pieces() -> Callable[..., Content]:
    """Read the given pieces, as if they were a whole file."""
    return _read_pieces


@pytest.fixture(scope="session")
def parquet_bytes() -> Callable[..., bytes]:
    return _parquet_bytes


@pytest.fixture(scope="session")
def arrow_bytes() -> Callable[..., bytes]:
    return _arrow_bytes


@pytest.fixture(params=sorted(COMPRESSORS))
def compression(request: pytest.FixtureRequest) -> tuple[str, Callable[[bytes], bytes]]:
    """Each suffix with its compressor."""
    return request.param, COMPRESSORS[request.param]


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for files that each example of a property overwrites."""
    return tmp_path_factory.mktemp("scratch")
