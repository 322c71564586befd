"""Copies of Parquet files."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.writers import parquet
from tests.keep_lists import copied

SCHEMA = pa.schema(
    [
        pa.field("text", pa.string(), metadata={"PARQUET:field_id": "7", "note": "of the field"}),
        pa.field("n", pa.int64(), nullable=False),
        pa.field("label", pa.dictionary(pa.int32(), pa.string())),
        pa.field("price", pa.decimal128(9, 2)),
        pa.field("at", pa.timestamp("us", "Europe/Paris")),
        pa.field("big", pa.uint64()),
        pa.field("nested", pa.struct([pa.field("x", pa.list_(pa.struct([pa.field("y", pa.float32())])))])),
        pa.field("tags", pa.map_(pa.string(), pa.int16())),
        pa.field("blob", pa.large_binary()),
        pa.field("uuid", pa.uuid()),
    ],
    metadata={"made": "by hand", "huggingface": "{}"},
)


def _row(i: int) -> dict[str, Any]:
    return {
        "text": f"text {i} é", "n": i, "label": "ab"[i % 2], "price": decimal.Decimal(f"{i}.10"),
        "at": datetime.datetime(2026, 1, 1 + i, tzinfo=datetime.UTC), "big": (1 << 64) - 1 - i,
        "nested": {"x": [{"y": 1.5}, None, {"y": None}][: i % 4]}, "tags": [("k", i)][: i % 2],
        "blob": b"\xff" * i, "uuid": bytes([i]) * 16,
    }  # fmt: skip


NULLS = {"text": None, "n": 99}
ROWS = [*map(_row, range(10)), NULLS]
TABLE = pa.Table.from_pylist(ROWS, SCHEMA)


def _facts(path: Path) -> dict[str, Any]:
    metadata = pq.read_metadata(path)
    group = metadata.row_group(0)
    columns = [group.column(i) for i in range(metadata.num_columns)]
    return {
        "version": metadata.format_version,
        "stored": b"ARROW:schema" in (metadata.metadata or {}),
        "sorted by": group.sorting_columns,
        **{
            name: {c.path_in_schema: getattr(c, name) for c in columns}
            for name in ("compression", "is_stats_set", "has_dictionary_page", "has_column_index")
        },
        "encodings": {c.path_in_schema: set(c.encodings) for c in columns},
    }


def _layout(file: pq.ParquetFile) -> list[str]:
    return str(file.schema).splitlines()[2:]


SETTINGS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "zstd": {"compression": "zstd"},
    "no compression": {"compression": "none"},
    "several codecs": {"compression": {"text": "gzip", "n": "none", "blob": "brotli", "label": "lz4"}},
    "no dictionary": {"use_dictionary": False},
    "dictionary of one": {"use_dictionary": ["label"]},
    "encodings": {
        "use_dictionary": False,
        "column_encoding": {"n": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY"},
    },
    "no statistics": {"write_statistics": False},
    "statistics of one": {"write_statistics": ["n"]},
    "page index": {"write_page_index": True},
    "version 1": {"version": "1.0"},
    "no Arrow schema": {"store_schema": False},
    "old names of levels": {"use_compliant_nested_type": False},
    "sorted": {"sorting_columns": [pq.SortingColumn(1)]},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_that_a_file_tells_stay(tmp_path: Path, name: str) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=4, **SETTINGS[name])
    before = pq.ParquetFile(tmp_path / "a.parquet")
    counts = copied(
        tmp_path / "a.parquet", "parquet", [True, False, *[True] * 8, None], tmp_path / "b.parquet"
    )
    after = pq.ParquetFile(tmp_path / "b.parquet")
    assert counts.same_layout
    assert _layout(after) == _layout(before)
    assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
    assert _facts(tmp_path / "b.parquet") == _facts(tmp_path / "a.parquet")
    assert after.read().to_pylist() == [row for row in before.read().to_pylist() if row["n"] != 1]
    assert [after.metadata.row_group(i).num_rows for i in range(after.num_row_groups)] == [3, 4, 3]


@pytest.mark.parametrize("gone", [set[int](), {0, 5, 9}, {4, 5, 6, 7}, set(range(11))])
def test_rows_that_stay_are_the_same(tmp_path: Path, gone: set[int]) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=4)
    verdicts = [None if i == 10 else i not in gone for i in range(11)]
    counts = copied(tmp_path / "a.parquet", "parquet", verdicts, tmp_path / "b.parquet")
    assert (counts.rows, counts.passed, counts.dropped) == (11, 1, len(gone - {10}))
    left = pq.read_table(tmp_path / "b.parquet")
    kept = [i for i in range(11) if i == 10 or i not in gone]
    before = pq.read_table(tmp_path / "a.parquet")
    assert left.schema.equals(before.schema, check_metadata=True)
    assert left.equals(before.take(kept))


def test_two_copies_are_the_same_bytes(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=4)
    for out in ("b", "c"):
        copied(tmp_path / "a.parquet", "parquet", [False, *[True] * 10], tmp_path / f"{out}.parquet")
    assert (tmp_path / "b.parquet").read_bytes() == (tmp_path / "c.parquet").read_bytes()


def test_small_reads_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=8)
    verdicts = [i % 3 != 1 for i in range(11)]
    copied(tmp_path / "a.parquet", "parquet", verdicts, tmp_path / "b.parquet")
    monkeypatch.setattr(parquet, "MAX_READ_ROWS", 1)
    monkeypatch.setattr(parquet, "MAX_CODED_READ_ROWS", 1)
    copied(tmp_path / "a.parquet", "parquet", verdicts, tmp_path / "c.parquet")
    assert pq.read_table(tmp_path / "b.parquet").equals(pq.read_table(tmp_path / "c.parquet"))
    assert pq.read_metadata(tmp_path / "c.parquet").num_row_groups == 2


def test_row_group_too_large_to_hold_becomes_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MAX_READ_ROWS", 2)
    monkeypatch.setattr(parquet, "MAX_CODED_READ_ROWS", 2)
    monkeypatch.setattr(parquet, "HELD_BYTES", 1)
    pq.write_table(TABLE, tmp_path / "a.parquet")
    copied(tmp_path / "a.parquet", "parquet", [True] * 11, tmp_path / "b.parquet")
    assert pq.read_metadata(tmp_path / "b.parquet").num_row_groups == 6
    assert pq.read_table(tmp_path / "b.parquet").equals(pq.read_table(tmp_path / "a.parquet"))


@pytest.mark.parametrize("kind", ["string", "large_string", "binary", "dictionary", "string_view"])
def test_texts_are_cut(tmp_path: Path, kind: str) -> None:
    types = {"dictionary": pa.dictionary(pa.int32(), pa.string()), "large_string": pa.large_string(),
             "binary": pa.binary(), "string_view": pa.string_view(), "string": pa.string()}  # fmt: skip
    texts = pa.array(["one two", "one two", "gone", "three four"]).cast(types[kind])
    table = pa.table({"x": range(4), "text": texts})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    cuts = {1: [(0, 4)], 3: [(0, 2), (5, 10)]}
    copied(tmp_path / "a.parquet", "parquet", [True, True, False, True], tmp_path / "b.parquet", cuts)
    left = pq.read_table(tmp_path / "b.parquet")
    assert left.schema == table.schema
    values = [v.encode() if isinstance(v, str) else v for v in left["text"].to_pylist()]
    assert values == [b"one two", b"two", b"ree"]
    assert left["x"].to_pylist() == [0, 1, 3]


def test_old_timestamps_stay_old(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b"], "at": pa.array([1, 2], pa.timestamp("ns"))})
    pq.write_table(table, tmp_path / "a.parquet", use_deprecated_int96_timestamps=True)
    counts = copied(tmp_path / "a.parquet", "parquet", [True, False], tmp_path / "b.parquet")
    assert counts.same_layout
    assert pq.ParquetFile(tmp_path / "b.parquet").schema.column(1).physical_type == "INT96"


@pytest.mark.parametrize("writer", ["polars", "duckdb", "pandas"])
def test_files_of_other_writers_are_copied(tmp_path: Path, writer: str) -> None:
    frame = pl.DataFrame(
        {"text": ["a", "b", None], "x": [[1], [], None], "s": [{"a": "p", "b": 1}] * 3, "t": ["u"] * 3},
        schema_overrides={"t": pl.Categorical},
    )
    path = tmp_path / "a.parquet"
    if writer == "polars":
        frame.write_parquet(path, compression="zstd")
    elif writer == "duckdb":
        rows = frame.to_arrow()
        duckdb.from_arrow(rows).write_parquet(str(path))
    else:
        frame.to_pandas().to_parquet(path)
    counts = copied(path, "parquet", [False, True, None], tmp_path / "b.parquet")
    before, after = pq.ParquetFile(path), pq.ParquetFile(tmp_path / "b.parquet")
    assert after.schema_arrow.equals(before.schema_arrow, check_metadata=True)
    assert counts.same_layout
    assert len(after.schema) == len(before.schema)
    for old, new in zip(before.schema, after.schema, strict=True):
        assert (new.path, new.physical_type) == (old.path, old.physical_type)
        assert new.max_definition_level == old.max_definition_level
    assert after.read().to_pylist() == before.read().to_pylist()[1:]
    assert _facts(tmp_path / "b.parquet")["compression"] == _facts(path)["compression"]


def test_layout_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet")
    pq.write_table(TABLE.select(["text"]), tmp_path / "other.parquet")
    other = pq.ParquetFile(tmp_path / "other.parquet")
    monkeypatch.setattr("pipeline.writers.parquet_settings._written", lambda *_: other)
    counts = copied(tmp_path / "a.parquet", "parquet", [True] * 11, tmp_path / "b.parquet")
    assert not counts.same_layout
    assert pq.read_table(tmp_path / "b.parquet").equals(pq.read_table(tmp_path / "a.parquet"))


def test_columns_named_alike_stay(tmp_path: Path) -> None:
    table = pa.Table.from_arrays(
        [pa.array([1, 2]), pa.array(["a", "b"]), pa.array([3, 4])], ["x", "text", "x"]
    )
    pq.write_table(table, tmp_path / "a.parquet")
    copied(tmp_path / "a.parquet", "parquet", [False, True], tmp_path / "b.parquet")
    left = pq.ParquetFile(tmp_path / "b.parquet").read()
    assert left.column_names == ["x", "text", "x"]
    assert [column.to_pylist() for column in left.columns] == [[2], ["b"], [4]]


def test_file_without_rows_is_copied(tmp_path: Path) -> None:
    for name, options in {"a": {}, "c": {"row_group_size": 1}}.items():
        pq.write_table(TABLE.slice(0, 0), tmp_path / f"{name}.parquet", **options)
        copied(tmp_path / f"{name}.parquet", "parquet", [], tmp_path / f"{name}2.parquet")
        before, after = (pq.read_table(tmp_path / f"{n}.parquet") for n in (name, f"{name}2"))
        assert after.schema.equals(before.schema, check_metadata=True)
        assert len(after) == 0


@pytest.mark.parametrize("damage", ["short", "flipped"])
def test_damaged_file_is_told_and_leaves_nothing(tmp_path: Path, damage: str) -> None:
    pq.write_table(TABLE, tmp_path / "a.parquet", compression="none", write_page_checksum=True)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[data.index(b"text 5") + 5] ^= 1
    (tmp_path / "a.parquet").write_bytes(data[:-9] if damage == "short" else data)
    with pytest.raises(InputError, match="cannot be read"):
        copied(tmp_path / "a.parquet", "parquet", [True] * 11, tmp_path / "b.parquet")
    assert not (tmp_path / "b.parquet").exists()
