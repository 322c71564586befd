from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from pipeline.errors import InputChangedError, InputError
from pipeline.readers import arrow_rows, formats
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
    pa.dictionary(pa.int8(), pa.string()),
    pa.dictionary(pa.uint64(), pa.large_binary()),
    pa.json_(),
]
VALUES = pa.array(["a", None, "", "ä", "a"])


def as_type(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(kind):
        return values.cast(kind.value_type).dictionary_encode().cast(kind)
    if kind == pa.json_():
        return pa.ExtensionArray.from_storage(kind, values)
    return values.cast(kind)


@pytest.fixture
def read(tmp_path: Path, read_file: Read, arrow_bytes: Write) -> Read:
    def read(
        table: pa.Table,
        columns: Columns | None = None,
        *,
        write: dict[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        path = tmp_path / "a.arrow"
        path.write_bytes(arrow_bytes(table, **(write or {})))
        return read_file(path, columns, **options)

    return read


@pytest.mark.parametrize("kind", TEXT_TYPES, ids=str)
@pytest.mark.parametrize("stream", [True, False])
def test_a_text_column_may_have_any_type_of_text(read: Read, kind: pa.DataType, stream: bool) -> None:
    table = pa.table({"n": [1, 2, 3, 4, 5], "text": as_type(VALUES, kind)})
    content = read(table, Columns(id="n"), write={"stream": stream})
    assert content.texts == [b"a", b"", "ä".encode(), b"a"]
    assert content.rows == [0, 2, 3, 4]
    assert content.ids == ["1", "3", "4", "5"]
    assert content.rejects == [(1, "null_text", "column 'text' is null")]


def test_a_null_in_a_dictionary_is_a_null(read: Read) -> None:
    values = pa.DictionaryArray.from_arrays(pa.array([0, 1, None], pa.int8()), pa.array(["a", None]))
    content = read(pa.table({"text": values, "id": values}), Columns(id="id"))
    assert content.texts == [b"a"]
    assert content.ids == ["a"]
    assert content.reasons() == [(1, "null_text"), (2, "null_text")]


def test_a_dictionary_of_views_is_text(read: Read) -> None:
    values = pa.DictionaryArray.from_arrays(
        pa.array([1, 0], pa.int8()), pa.array(["a", "b"], pa.string_view())
    )
    assert read(pa.table({"text": values})).texts == [b"b", b"a"]


def test_columns_are_picked_by_name_in_any_order(read: Read) -> None:
    table = pa.table({"z": [{"text": "no"}], "id": [1], "a.b": ["yes"], "source": ["s"], "licence": ["l"]})
    content = read(table, Columns(text="a.b", id="id", source="source", licence="licence"))
    assert (content.texts, content.ids, content.sources, content.licences) == ([b"yes"], ["1"], ["s"], ["l"])


def test_pieces_are_runs_of_record_batches(tmp_path: Path, arrow_bytes: Write) -> None:
    path = tmp_path / "a.arrow"
    path.write_bytes(arrow_bytes(pa.table({"text": ["x" * 1000] * 10}), rows_a_batch=1))
    size = path.stat().st_size
    cut = formats.pieces(str(path), "arrow", size, 1)
    assert [(p.start, p.stop) for p in cut] == [(i, i + 1) for i in range(10)]
    assert sum(p.size_bytes for p in cut) == size
    cut = formats.pieces(str(path), "arrow", size, size // 2)
    assert [(p.start, p.stop) for p in cut] in ([(0, 4), (4, 8), (8, 10)], [(0, 5), (5, 10)])


def test_a_stream_is_one_piece(tmp_path: Path, arrow_bytes: Write) -> None:
    path = tmp_path / "a.arrow"
    path.write_bytes(arrow_bytes(pa.table({"text": ["a"] * 10}), stream=True, rows_a_batch=1))
    assert formats.pieces(str(path), "arrow", 99, 1) == [Piece(str(path), "arrow", 0, 1, 99)]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("kind", [pa.string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())])
def test_a_file_without_rows_yields_one_empty_batch(read: Read, stream: bool, kind: pa.DataType) -> None:
    content = read(pa.table({"text": as_type(VALUES[:0], kind)}), write={"stream": stream})
    assert content.n_rows == 0
    assert len(content.batches) == 1


@pytest.mark.parametrize("stream", [True, False])
def test_a_missing_column_is_an_error(read: Read, tmp_path: Path, stream: bool) -> None:
    with pytest.raises(InputError, match="no column 'body'") as caught:
        read(pa.table({"text": ["a"], "b": [1]}), Columns(text="body"), write={"stream": stream})
    assert "'text', 'b'" in str(caught.value.got)
    assert str(tmp_path / "a.arrow") in str(caught.value)
    assert "set text_column" in str(caught.value.fix)


def test_a_text_column_of_another_type_is_an_error(read: Read, tmp_path: Path) -> None:
    for values in (pa.array([1]), pa.array([1]).dictionary_encode(), pa.array([["a"]])):
        with pytest.raises(InputError, match="holds no text") as caught:
            read(pa.table({"text": values}))
        assert str(tmp_path / "a.arrow") in str(caught.value)
        assert "set text_column" in str(caught.value.fix)


def test_feather_v1_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.feather"
    path.write_bytes(b"FEA1" + bytes(100) + b"FEA1")
    for attempt in (
        lambda: formats.pieces(str(path), "arrow", 108, 1),
        lambda: list(formats.read(Piece(str(path), "arrow", 0, 1, 1), Columns())),
    ):
        with pytest.raises(InputError, match="Feather V1") as caught:
            attempt()
        assert str(path) in str(caught.value)
        assert "write it anew" in str(caught.value.fix)


@pytest.mark.parametrize("data", [b"", b"ARR", b"ARROW1\0\0", b"something else entirely, and long enough"])
def test_what_is_no_arrow_file_is_an_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.arrow"
    path.write_bytes(data)
    with pytest.raises(InputError, match="cannot be read") as caught:
        list(formats.read(Piece(str(path), "arrow", 0, 1, 1), Columns()))
    assert str(path) in str(caught.value)
    assert "Arrow IPC" in str(caught.value.expected)
    assert "restore" in str(caught.value.fix)


@pytest.mark.parametrize("stream", [True, False])
def test_a_truncated_file_is_an_error(tmp_path: Path, arrow_bytes: Write, stream: bool) -> None:
    path = tmp_path / "a.arrow"
    data = arrow_bytes(pa.table({"text": ["some text"] * 50}), stream=stream, rows_a_batch=20)
    for kept in range(0, len(data), 4):
        path.write_bytes(data[:kept])
        with pytest.raises(InputError):
            list(formats.read(Piece(str(path), "arrow", 0, 1, 1), Columns()))


def test_a_stream_with_more_bytes_behind_it_is_an_error(tmp_path: Path, arrow_bytes: Write) -> None:
    path = tmp_path / "a.arrow"
    data = arrow_bytes(pa.table({"text": ["a"]}), stream=True)
    for more in (data, b"\0"):
        path.write_bytes(data + more)
        with pytest.raises(InputError, match="more bytes after the stream"):
            list(formats.read(Piece(str(path), "arrow", 0, 1, 1), Columns()))


def test_a_stream_of_the_oldest_kind_is_read(tmp_path: Path, read_file: Read) -> None:
    path = tmp_path / "a.arrow"
    table = pa.table({"text": ["a", "b"]})
    options = ipc.IpcWriteOptions(use_legacy_format=True)
    with ipc.new_stream(path, table.schema, options=options) as writer:
        writer.write_table(table)
    assert read_file(path).texts == [b"a", b"b"]


def test_offsets_that_point_outside_are_an_error(tmp_path: Path, arrow_bytes: Write) -> None:
    path = tmp_path / "a.arrow"
    columns = Columns(id="id")
    for kind in (pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())):
        values = as_type(pa.array(["one", "two", "three"]), kind)
        good = pa.table({"text": values, "id": values})
        width = np.int64 if kind == pa.large_string() else np.int32
        data = arrow_bytes(good)
        offsets = np.array([0, 3, 6, 11], width).tobytes()
        assert data.count(offsets) >= 1
        damaged = data.replace(offsets, np.array([0, 10**9, 6, 11], width).tobytes())
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read"):
            list(formats.read(Piece(str(path), "arrow", 0, 1, 1), columns))


def test_indices_outside_their_dictionary_are_an_error(tmp_path: Path, arrow_bytes: Write) -> None:
    path = tmp_path / "a.arrow"
    indices = pa.array([0, 7], pa.int8())
    values = pa.DictionaryArray.from_arrays(indices, pa.array(["a"]), safe=False)
    path.write_bytes(arrow_bytes(pa.table({"text": values})))
    with pytest.raises(InputError):
        list(formats.read(Piece(str(path), "arrow", 0, 1, 1), Columns()))


def test_damage_is_an_error_and_never_another(tmp_path: Path, arrow_bytes: Write) -> None:
    path = tmp_path / "a.arrow"
    rng, refused = random.Random(5), 0
    for stream in (True, False):
        data = arrow_bytes(pa.table({"text": VALUES, "id": VALUES.dictionary_encode()}), stream=stream)
        for _ in range(150):
            damaged = bytearray(data)
            damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path.write_bytes(damaged)
            try:
                list(formats.read(Piece(str(path), "arrow", 0, 1, 1), Columns(id="id")))
            except InputError:  # any other exception fails the test
                refused += 1
    assert refused


def test_a_file_with_fewer_batches_than_listed_is_an_error(tmp_path: Path, arrow_bytes: Write) -> None:
    path = tmp_path / "a.arrow"
    path.write_bytes(arrow_bytes(pa.table({"text": ["a"]})))
    with pytest.raises(InputChangedError, match="shorter"):
        list(formats.read(Piece(str(path), "arrow", 0, 2, 1), Columns()))


def test_texts_that_are_not_utf8_come_out_as_they_are(read: Read) -> None:
    broken = pa.array([b"a\xff", b"b"]).view(pa.string())
    content = read(pa.table({"text": broken, "id": broken}), Columns(id="id"))
    assert content.texts == [b"a\xff", b"b"]
    assert content.ids == ["a\ufffd", "b"]


def test_a_document_longer_than_a_batch_comes_out_whole(read: Read) -> None:
    long = "y" * 3_000_000
    content = read(pa.table({"text": ["a", long, "b"]}), batch_bytes=64 * 1024)
    assert content.texts == [b"a", long.encode(), b"b"]
    assert len(content.batches) == 3


def test_batches_are_bounded_whatever_fills_them(read: Read) -> None:
    tables = {
        "empty texts": pa.table({"text": [""] * 10_000, "id": [""] * 10_000}),
        "nulls": pa.table({"text": pa.nulls(10_000, pa.string()), "id": [""] * 10_000}),
        "labels": pa.table({"text": ["a"] * 1000, "id": ["x" * 1000] * 1000}),
    }
    for name, table in tables.items():
        content = read(table, Columns(id="id"), batch_bytes=64 * 1024)
        assert len(content.batches) > 8, name


def collect(batches: list[pa.RecordBatch], batch_bytes: int) -> tuple[list[tuple[Any, ...]], list[int]]:
    kept: list[tuple[Any, ...]] = []
    rejects: list[int] = []
    for rows in arrow_rows.in_batches(batches, Columns(id="id"), batch_bytes):
        assert rows.ids is not None
        kept += zip(rows.rows.to_pylist(), rows.texts.to_pylist(), rows.ids.to_pylist(), strict=True)
        rejects += [reject.row for reject in rows.rejects]
    return kept, rejects


@settings(max_examples=80, deadline=None)
@given(
    texts=st.lists(st.none() | st.text(max_size=6), min_size=1, max_size=20),
    kind=st.sampled_from([kind for kind in TEXT_TYPES if kind != pa.json_()]),
    start=st.integers(0, 10),
    batch_bytes=st.integers(1, 400),
)
def test_a_slice_reads_as_its_copy(
    texts: list[str | None], kind: pa.DataType, start: int, batch_bytes: int
) -> None:
    values = as_type(pa.array(texts, pa.string()), kind)
    batch = pa.record_batch({"text": values, "id": values})
    part = batch.slice(start)
    kept = texts[start:]
    copy = pa.record_batch({name: as_type(pa.array(kept, pa.string()), kind) for name in ("text", "id")})
    read = collect([part], batch_bytes)
    assert read == collect([copy], 10**9)
    assert read[1] == [i for i, text in enumerate(kept) if text is None]


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.none() | st.text(max_size=9), max_size=20),
    rows_a_batch=st.integers(1, 8),
    shard_bytes=st.integers(1, 4000),
    batch_bytes=st.integers(1, 700),
)
def test_however_a_file_is_cut_it_reads_the_same(
    scratch: Path,
    read_file: Read,
    arrow_bytes: Write,
    texts: list[str | None],
    rows_a_batch: int,
    shard_bytes: int,
    batch_bytes: int,
) -> None:
    path = scratch / "cut.arrow"
    table = pa.table({"text": pa.array(texts, pa.string())})
    path.write_bytes(arrow_bytes(table, rows_a_batch=rows_a_batch))
    whole = read_file(path)
    assert read_file(path, shard_bytes=shard_bytes, batch_bytes=batch_bytes).values() == whole.values()
    assert whole.texts == [text.encode() for text in texts if text is not None]
