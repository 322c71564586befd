"""Copies of Arrow IPC files and streams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import feather, ipc

from pipeline.errors import InputError
from pipeline.writers.arrow_ipc import _compression
from tests.keep_lists import copied

SCHEMA = pa.schema(
    [
        pa.field("text", pa.string(), metadata={"note": "of the field"}),
        pa.field("n", pa.int64(), nullable=False),
        pa.field("label", pa.dictionary(pa.int8(), pa.string(), ordered=True)),
        pa.field("nested", pa.struct([pa.field("x", pa.list_(pa.dictionary(pa.int32(), pa.string())))])),
    ],
    metadata={"made": "by hand"},
)
ROWS = [
    {"text": f"text {i} é", "n": i, "label": "ab"[i % 2], "nested": {"x": ["p", None][: i % 3]}}
    for i in range(10)
] + [{"text": None, "n": 99, "label": None, "nested": None}]
TABLE = pa.Table.from_pylist(ROWS, SCHEMA)


def _write(path: Path, stream: bool, table: pa.Table = TABLE, **options: Any) -> None:
    new = ipc.new_stream if stream else ipc.new_file
    with new(path, table.schema, options=ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=4)


def _read(path: Path) -> pa.Table:
    with path.open("rb") as file:
        is_file = file.read(6) == b"ARROW1"
        file.seek(0)
        return (ipc.open_file if is_file else ipc.open_stream)(file).read_all()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize("gone", [set[int](), {0, 5, 9}, {0, 1, 2, 3}, set(range(11))])
def test_rows_that_stay_are_the_same(
    tmp_path: Path, stream: bool, compression: str | None, gone: set[int]
) -> None:
    _write(tmp_path / "a.arrow", stream, compression=compression)
    verdicts = [None if i == 10 else i not in gone for i in range(11)]
    counts = copied(tmp_path / "a.arrow", "arrow", verdicts, tmp_path / "b.arrow")
    assert (counts.rows, counts.passed, counts.dropped) == (11, 1, len(gone - {10}))
    left = _read(tmp_path / "b.arrow")
    assert left.schema.equals(SCHEMA, check_metadata=True)
    assert left.to_pylist() == [row for i, row in enumerate(ROWS) if i == 10 or i not in gone]
    assert ((tmp_path / "b.arrow").read_bytes()[:6] == b"ARROW1") != stream
    with pa.OSFile(str(tmp_path / "b.arrow")) as file:
        assert _compression(file, not stream) == (compression if len(left) else None)


@pytest.mark.parametrize("stream", [False, True])
def test_batches_stay_batches(tmp_path: Path, stream: bool) -> None:
    _write(tmp_path / "a.arrow", stream)
    copied(tmp_path / "a.arrow", "arrow", [True] * 3 + [False] * 6 + [True] * 2, tmp_path / "b.arrow")
    assert [len(batch) for batch in _read(tmp_path / "b.arrow").to_batches()] == [3, 2]


def test_metadata_of_file_and_batches_stays(tmp_path: Path) -> None:
    batch = TABLE.to_batches()[0]
    with ipc.new_file(tmp_path / "a.arrow", SCHEMA, metadata={"foot": "note"}) as writer:
        writer.write_batch(batch, custom_metadata={"of": "batch"})
    with ipc.new_stream(tmp_path / "s.arrow", SCHEMA) as writer:
        writer.write_batch(batch, custom_metadata={"of": "batch"})
    for name in ("a", "s"):
        copied(tmp_path / f"{name}.arrow", "arrow", [True] * 10 + [False], tmp_path / f"{name}2.arrow")
    with ipc.open_file(tmp_path / "a2.arrow") as reader:
        assert reader.metadata == {b"foot": b"note"}
        assert reader.get_batch_with_custom_metadata(0).custom_metadata == {b"of": b"batch"}
    with ipc.open_stream(tmp_path / "s2.arrow") as reader:
        assert reader.read_next_batch_with_custom_metadata().custom_metadata == {b"of": b"batch"}


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_feather_file_is_copied(tmp_path: Path, compression: str) -> None:
    feather.write_feather(TABLE.drop_columns(["nested"]), tmp_path / "a.feather", compression=compression)
    copied(tmp_path / "a.feather", "arrow", [False] + [True] * 10, tmp_path / "b.feather")
    assert feather.read_table(tmp_path / "b.feather").to_pylist() == [
        {k: v for k, v in row.items() if k != "nested"} for row in ROWS[1:]
    ]
    with pa.OSFile(str(tmp_path / "b.feather")) as file:
        assert _compression(file, True) == (None if compression == "uncompressed" else compression)


def test_file_with_views_is_copied(tmp_path: Path) -> None:
    frame = pl.DataFrame({"text": ["secret" * 9, "one " * 9, None], "x": [["a" * 20], [], None]})
    frame.write_ipc(tmp_path / "a.arrow", compression="zstd")
    copied(tmp_path / "a.arrow", "arrow", [False, True, None], tmp_path / "b.arrow", {1: [(4, 36)]})
    left = pl.read_ipc(tmp_path / "b.arrow")
    assert left.schema == frame.schema
    assert left.rows() == [("one ", []), (None, None)]
    with ipc.open_file(tmp_path / "b.arrow") as copy, ipc.open_file(tmp_path / "a.arrow") as reader:
        assert copy.schema == reader.schema


@pytest.mark.parametrize("stream", [False, True])
def test_texts_in_a_dictionary_are_cut(tmp_path: Path, stream: bool) -> None:
    texts = ["one two", "one two", "three four", "five", "one two", "three four"]
    table = pa.table({"text": pa.array(texts).dictionary_encode(), "n": range(6)})
    new = ipc.new_stream if stream else ipc.new_file
    with new(tmp_path / "a.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    cuts = {1: [(0, 4)], 2: [(5, 10)], 5: [(0, 6)]}
    copied(tmp_path / "a.arrow", "arrow", [True, True, True, True, False, True], tmp_path / "b.arrow", cuts)
    left = _read(tmp_path / "b.arrow")
    assert left.schema == table.schema
    assert left.to_pydict() == {"text": ["one two", "two", "three", "five", "four"], "n": [0, 1, 2, 3, 5]}


def test_stream_whose_dictionary_changes_is_copied(tmp_path: Path) -> None:
    batches = [
        pa.record_batch([pa.array(texts).dictionary_encode()], ["text"])
        for texts in (["a", "b"], ["c d", "a"])
    ]
    with ipc.new_stream(tmp_path / "a.arrow", batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    copied(tmp_path / "a.arrow", "arrow", [True, False, True, True], tmp_path / "b.arrow", {2: [(0, 2)]})
    assert _read(tmp_path / "b.arrow").to_pydict() == {"text": ["a", "d", "a"]}


@pytest.mark.parametrize("rows", [0, 3])
def test_file_without_batches_or_rows_is_copied(tmp_path: Path, rows: int) -> None:
    with ipc.new_file(tmp_path / "a.arrow", SCHEMA) as writer:
        for _ in range(rows):
            writer.write_batch(pa.RecordBatch.from_pylist([], SCHEMA))
    copied(tmp_path / "a.arrow", "arrow", [], tmp_path / "b.arrow")
    left = _read(tmp_path / "b.arrow")
    assert left.schema.equals(SCHEMA, check_metadata=True)
    with ipc.open_file(tmp_path / "b.arrow") as reader:
        assert reader.num_record_batches == rows


@pytest.mark.parametrize("stream", [False, True])
def test_damaged_file_is_told_and_leaves_nothing(tmp_path: Path, stream: bool) -> None:
    _write(tmp_path / "a.arrow", stream)
    data = (tmp_path / "a.arrow").read_bytes()
    (tmp_path / "a.arrow").write_bytes(data[:-20])
    with pytest.raises(InputError, match="cannot be read"):
        copied(tmp_path / "a.arrow", "arrow", [True] * 11, tmp_path / "b.arrow")
    assert not (tmp_path / "b.arrow").exists()


def test_stream_without_its_end_is_told(tmp_path: Path) -> None:
    _write(tmp_path / "a.arrow", stream=True)
    data = (tmp_path / "a.arrow").read_bytes()
    for damaged in (data[:-8], data + b"more"):
        (tmp_path / "a.arrow").write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read"):
            copied(tmp_path / "a.arrow", "arrow", [True] * 11, tmp_path / "b.arrow")
        assert not (tmp_path / "b.arrow").exists()


def test_offsets_that_lead_out_of_a_column_are_told(tmp_path: Path) -> None:
    batch = pa.record_batch([["a"] * 3, ["one", "two", "three"]], ["text", "beside"])
    with ipc.new_file(tmp_path / "a.arrow", batch.schema) as writer:
        writer.write_batch(batch)
    data, offsets = (tmp_path / "a.arrow").read_bytes(), np.array([0, 3, 6, 11], np.int32).tobytes()
    assert data.count(offsets) == 1
    wild = np.array([0, 10**9, 6, 11], np.int32).tobytes()
    (tmp_path / "a.arrow").write_bytes(data.replace(offsets, wild))
    with pytest.raises(InputError, match="cannot be read"):
        copied(tmp_path / "a.arrow", "arrow", [False, True, True], tmp_path / "b.arrow")
