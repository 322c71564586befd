from __future__ import annotations

import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputChangedError, InputError
from pipeline.readers import formats
from pipeline.readers.rows import Columns, Piece

Read = Callable[..., Any]
Write = Callable[..., bytes]

TEXT_TYPES = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.binary(),
    pa.large_binary(),
    pa.binary_view(),
    pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.int8(), pa.binary()),
    pa.json_(),
]


def as_type(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return values.cast(kind.value_type).dictionary_encode().cast(kind)
    if kind == pa.json_():
        return pa.ExtensionArray.from_storage(kind, values)
    return values.cast(kind)


@pytest.fixture
def read(tmp_path: Path, read_file: Read, parquet_bytes: Write) -> Read:
    def read(
        table: pa.Table,
        columns: Columns | None = None,
        *,
        write: dict[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        path = tmp_path / "a.parquet"
        path.write_bytes(parquet_bytes(table, **(write or {})))
        return read_file(path, columns, **options)

    return read


@pytest.mark.parametrize("kind", TEXT_TYPES, ids=str)
@pytest.mark.parametrize("use_dictionary", [True, False])
def test_a_text_column_may_have_any_type_of_text(read: Read, kind: pa.DataType, use_dictionary: bool) -> None:
    values = pa.array(["a", None, "", "ä", "a"])
    table = pa.table({"n": [1, 2, 3, 4, 5], "text": as_type(values, kind)})
    write = {"use_dictionary": use_dictionary}
    for batch_bytes in (1, formats.BATCH_BYTES):  # read plain, and as a dictionary
        content = read(table, Columns(id="n"), write=write, batch_bytes=batch_bytes)
        assert content.texts == [b"a", b"", "ä".encode(), b"a"]
        assert content.rows == [0, 2, 3, 4]
        assert content.ids == ["1", "3", "4", "5"]
        assert content.rejects == [(1, "null_text", "column 'text' is null")]
        assert content.n_rows == 5


@pytest.mark.parametrize(
    "values",
    [pa.array([1]), pa.array([["a"]]), pa.nulls(1), pa.array([b"ab"], pa.binary(2)), pa.array([{"a": 1}])],
)
def test_a_text_column_of_another_type_is_an_error(read: Read, tmp_path: Path, values: pa.Array) -> None:
    with pytest.raises(InputError, match="holds no text") as caught:
        read(pa.table({"text": values}))
    message = str(caught.value)
    assert str(tmp_path / "a.parquet") in message
    assert "'text'" in message
    assert str(values.type)[:4] in str(caught.value.got)
    assert "string" in str(caught.value.expected)
    assert "set text_column" in str(caught.value.fix)


@pytest.mark.parametrize("columns", [Columns(text="body"), Columns(id="body")])
def test_a_missing_column_is_an_error(read: Read, tmp_path: Path, columns: Columns) -> None:
    with pytest.raises(InputError, match="no column 'body'") as caught:
        read(pa.table({"text": ["a"], "b": [1]}), columns)
    assert "'text', 'b'" in str(caught.value.got)
    assert str(tmp_path / "a.parquet") in str(caught.value)
    assert "_column to" in str(caught.value.fix)


def test_a_missing_column_is_an_error_also_in_a_file_without_rows(read: Read) -> None:
    with pytest.raises(InputError, match="no column 'body'"):
        read(pa.table({"text": pa.array([], pa.string())}), Columns(text="body"))


def test_a_leaf_of_a_nested_column_is_not_a_column(read: Read) -> None:
    with pytest.raises(InputError, match="no column"):
        read(pa.table({"a": [{"b": "x"}]}), Columns(text="a.b"))


@pytest.mark.parametrize("coded", [True, False])
def test_names_with_dots_are_top_level_names(read: Read, coded: bool) -> None:
    table = pa.table(
        {
            "a": [{"b": "wrong", "c": [1, 2]}],
            "m": pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string())),
            "a.b": ["right"],
            "a.b.c": ["wrong too"],
            "id.x": [7],
        }
    )
    columns = Columns(text="a.b", id="id.x", source="a")
    for batch_bytes in (1, formats.BATCH_BYTES):  # read plain, and as a dictionary
        content = read(table, columns, write={"use_dictionary": coded}, batch_bytes=batch_bytes)
        assert content.texts == [b"right"]
        assert content.ids == ["7"]
        assert content.sources == ['{"b":"wrong","c":[1,2]}']


@pytest.mark.parametrize("name", ["", ".", "te xt", "text\n", "'; drop", "ä\u202e", "list.element"])
def test_hostile_column_names_are_read(read: Read, name: str) -> None:
    table = pa.table({"list": [["no"]], name: ["yes"]})
    assert read(table, Columns(text=name)).texts == [b"yes"]


def test_a_column_name_that_is_there_twice_is_an_error(read: Read) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], ["text", "text"])
    with pytest.raises(InputError, match="has 2 columns named 'text'"):
        read(table)


def test_texts_that_are_not_utf8_come_out_as_they_are_and_labels_repaired(read: Read) -> None:
    broken = pa.array([b"a\xff", b"b"]).view(pa.string())
    content = read(pa.table({"text": broken, "id": broken}), Columns(id="id"))
    assert content.texts == [b"a\xff", b"b"]
    assert content.ids == ["a\ufffd", "b"]


def test_a_file_without_rows_yields_one_empty_batch(read: Read) -> None:
    content = read(pa.table({"text": pa.array([], pa.string())}), Columns(id="text"))
    assert content.n_rows == 0
    assert len(content.batches) == 1
    assert content.batches[0].ids.to_pylist() == []


def test_pieces_are_runs_of_row_groups(tmp_path: Path, parquet_bytes: Write) -> None:
    path = tmp_path / "a.parquet"
    rng = random.Random(1)
    texts = [rng.randbytes(500).hex() for _ in range(10)]
    options = {"row_group_size": 1, "use_dictionary": False, "write_statistics": False}
    path.write_bytes(parquet_bytes(pa.table({"text": texts}), **options))
    size = path.stat().st_size
    cut = formats.pieces(str(path), "parquet", size, 1)
    assert [(p.start, p.stop) for p in cut] == [(i, i + 1) for i in range(10)]
    cut = formats.pieces(str(path), "parquet", size, 3500)
    assert [(p.start, p.stop) for p in cut] == [(0, 3), (3, 6), (6, 9), (9, 10)]
    assert all(p.size_bytes <= 3500 for p in cut)
    (whole,) = formats.pieces(str(path), "parquet", size, 10**9)
    assert (whole.start, whole.stop) == (0, 10)


def test_batches_hold_about_the_asked_bytes(read: Read) -> None:
    table = pa.table({"text": [f"{i:05d}" * 200 for i in range(1000)]})
    for write in ({"use_dictionary": False}, {}, {"row_group_size": 7}):
        content = read(table, batch_bytes=64 * 1024, write=write)
        assert content.n_rows == 1000
        assert all(batch.texts.nbytes <= 80 * 1024 for batch in content.batches)
        assert 16 <= len(content.batches) <= 40


@pytest.mark.parametrize("store_schema", [True, False])
def test_a_repeated_text_does_not_burst_a_batch(
    tmp_path: Path, parquet_bytes: Write, store_schema: bool
) -> None:
    # Stored once in the dictionary, 100 MB if it were decoded at once.
    path = tmp_path / "a.parquet"
    text = pa.array(["x" * 10_000] * 10_000).dictionary_encode()
    table = pa.table({"nested": [{"a": "y", "b": "z"}] * 10_000, "text": text})
    path.write_bytes(parquet_bytes(table, store_schema=store_schema))
    before, n_rows = pa.total_allocated_bytes(), 0
    for rows in formats.read(Piece(str(path), "parquet", 0, 1, 1), Columns(), 1 << 20):
        assert pa.total_allocated_bytes() - before < 8 << 20
        assert len(rows.texts) * 10_000 <= 1 << 20
        n_rows = rows.n_rows
    assert n_rows == 10_000


def test_a_document_longer_than_a_batch_comes_out_whole(read: Read) -> None:
    long = "y" * 3_000_000
    for write in ({"use_dictionary": False}, {}):
        content = read(pa.table({"text": ["a", long, "b", long]}), batch_bytes=64 * 1024, write=write)
        assert content.texts == [b"a", long.encode(), b"b", long.encode()]


@pytest.mark.parametrize("data", [b"", b"PAR1", b"no Parquet at all, but longer than a footer"])
def test_what_is_no_parquet_file_is_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(data)
    for attempt in (
        lambda: formats.pieces(str(path), "parquet", len(data), 1),
        lambda: list(formats.read(Piece(str(path), "parquet", 0, 1, 1), Columns())),
    ):
        with pytest.raises(InputError, match="cannot be read") as caught:
            attempt()
        assert str(path) in str(caught.value)
        assert caught.value.got
        assert "complete Parquet file" in str(caught.value.expected)
        assert "restore" in str(caught.value.fix)


def test_a_truncated_file_is_an_error_wherever_it_was_cut(tmp_path: Path, parquet_bytes: Write) -> None:
    path = tmp_path / "a.parquet"
    data = parquet_bytes(pa.table({"text": ["some text"] * 50}))
    for kept in range(0, len(data), 7):
        path.write_bytes(data[:kept])
        with pytest.raises(InputError):
            list(formats.read(Piece(str(path), "parquet", 0, 1, 1), Columns()))


def test_damage_is_an_error_and_never_another(tmp_path: Path, parquet_bytes: Write) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"text {i}" for i in range(200)]})
    data = parquet_bytes(table, write_page_checksum=True, compression="none")
    rng = random.Random(3)
    failures = 0
    for _ in range(150):
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            list(formats.read(Piece(str(path), "parquet", 0, 1, 1), Columns()))
        except InputError:
            failures += 1
    assert failures > 50


def test_damaged_pages_are_found_by_their_checksum(tmp_path: Path, parquet_bytes: Write) -> None:
    path = tmp_path / "a.parquet"
    options = {"write_page_checksum": True, "compression": "none", "write_statistics": False}
    data = parquet_bytes(pa.table({"text": ["unmistakable"]}), **options)
    assert data.count(b"unmistakable") == 1
    path.write_bytes(data.replace(b"unmistakable", b"Unmistakable"))
    with pytest.raises(InputError) as caught:
        list(formats.read(Piece(str(path), "parquet", 0, 1, 1), Columns()))
    assert "CRC" in str(caught.value.got)


def test_a_file_with_fewer_row_groups_than_listed_is_an_error(tmp_path: Path, parquet_bytes: Write) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet_bytes(pa.table({"text": ["a"]})))
    with pytest.raises(InputChangedError, match="shorter"):
        list(formats.read(Piece(str(path), "parquet", 0, 2, 1), Columns()))


def test_a_row_group_with_other_rows_than_its_metadata_says_is_an_error(
    tmp_path: Path, parquet_bytes: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet_bytes(pa.table({"text": ["a", "b"]})))
    whole = pq.ParquetFile.iter_batches
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *a, **k: (b[:1] for b in whole(*a, **k)))
    with pytest.raises(InputError) as caught:
        list(formats.read(Piece(str(path), "parquet", 0, 1, 1), Columns()))
    assert "1 rows, and 2" in str(caught.value.got)


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.none() | st.sampled_from(["a", "", "long" * 9]) | st.text(max_size=9), max_size=20),
    group_rows=st.integers(1, 8),
    shard_bytes=st.integers(1, 900),
    batch_bytes=st.integers(1, 700),
    coded=st.booleans(),
)
def test_however_a_file_is_cut_it_reads_the_same(
    scratch: Path,
    read_file: Read,
    parquet_bytes: Write,
    texts: list[str | None],
    group_rows: int,
    shard_bytes: int,
    batch_bytes: int,
    coded: bool,
) -> None:
    path = scratch / "cut.parquet"
    table = pa.table({"id": list(range(len(texts))), "text": pa.array(texts, pa.string())})
    path.write_bytes(parquet_bytes(table, row_group_size=group_rows, use_dictionary=coded))
    whole = read_file(path, Columns(id="id"))
    cut = read_file(path, Columns(id="id"), shard_bytes=shard_bytes, batch_bytes=batch_bytes)
    assert cut.values() == whole.values()
    assert whole.texts == [text.encode() for text in texts if text is not None]
    assert whole.ids == [str(i) for i, text in enumerate(texts) if text is not None]
    assert whole.rows == [i for i, text in enumerate(texts) if text is not None]


def test_a_row_group_larger_than_the_budget_is_streamed(tmp_path: Path) -> None:
    sink = io.BytesIO()
    schema = pa.schema({"text": pa.string()})
    rng = np.random.default_rng(1)
    # Small pages, as others write them; pyarrow looks at the size only every 1024 rows.
    options = {"use_dictionary": False, "compression": "none", "write_batch_size": 32}
    with pq.ParquetWriter(sink, schema, **options) as writer:
        texts = [rng.bytes(5000).hex() for _ in range(4000)]
        writer.write_table(pa.table({"text": texts}), row_group_size=4000)
    path = tmp_path / "a.parquet"
    path.write_bytes(sink.getvalue())
    before, most = pa.total_allocated_bytes(), 0
    for rows in formats.read(Piece(str(path), "parquet", 0, 1, 1), Columns(), 1 << 20):
        most = max(most, pa.total_allocated_bytes() - before)
        del rows
    assert most < 8 << 20
