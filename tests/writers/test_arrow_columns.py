"""Rows taken out of Arrow batches, and texts cut in them, type by type."""

from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.errors import AuditError, InputChangedError
from pipeline.writers.arrow_columns import filtered, with_cuts

_CODED = pa.array(["a", "b", "a", None]).dictionary_encode()
_MEMBERS = [pa.array([1, 2]), pa.array(["x", "y"])]
_UUIDS = pa.array([bytes([i]) * 16 for i in range(4)], pa.binary(16))
_DECIMALS = [decimal.Decimal("1.10"), None, decimal.Decimal("2.00"), decimal.Decimal("-0.01")]
COLUMNS: dict[str, pa.Array] = {
    "strings": pa.array(["a", None, "ccc", ""]),
    "views": pa.array(["a", None, "c" * 50, ""], pa.string_view()),
    "bytes views": pa.array([b"a", None, b"c" * 50, b"\xff"], pa.binary_view()),
    "dictionary": _CODED,
    "nested": pa.array([{"x": [1, None]}, None, {"x": []}, {"x": None}]),
    "nested dictionary": pa.StructArray.from_arrays([_CODED], ["d"]),
    "list of views": pa.array([["a"], [], None, ["b" * 30]], pa.list_(pa.string_view())),
    "map": pa.array([[("a", 1)], None, [], [("b", None)]], pa.map_(pa.string(), pa.int64())),
    "list view": pa.array([[1], [2, 3], None, []], pa.list_view(pa.int64())),
    "runs": pa.RunEndEncodedArray.from_arrays(pa.array([2, 4], pa.int32()), pa.array(["a", "b"])),
    "union": pa.UnionArray.from_dense(
        pa.array([0, 1, 0, 1], pa.int8()), pa.array([0, 0, 1, 1], pa.int32()), _MEMBERS
    ),
    "uuid": pa.ExtensionArray.from_storage(pa.uuid(), _UUIDS),
    "json": pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(["{}", None, "1", "[]"])),
    "decimals": pa.array(_DECIMALS),
    "nulls": pa.nulls(4),
    "invalid": pa.array([b"\xff", b"a", None, b"\xfe"]).view(pa.string()),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize(
    "keep", [[True, False, True, False], [False, True, True, False], [False] * 4, [True] * 4]
)
@pytest.mark.parametrize("offset", [0, 1])
def test_rows_that_stay_are_the_same(name: str, keep: list[bool], offset: int) -> None:
    column = COLUMNS[name]
    batch = pa.record_batch(
        [column], pa.schema([pa.field("x", column.type, metadata={"k": "v"})], {"m": "n"})
    )
    left = filtered(batch.slice(offset), np.array(keep[offset:]))
    assert left.schema.equals(batch.schema, check_metadata=True)
    expected = [i for i in range(offset, 4) if keep[i]]
    assert len(left) == len(expected)
    for new, old in enumerate(expected):
        assert left.column(0).slice(new, 1).equals(column.slice(old, 1))


def test_rows_that_go_are_not_in_the_bytes_of_a_view() -> None:
    batch = pa.record_batch([pa.array(["secret" * 9, "kept" * 9], pa.string_view())], ["x"])
    left = filtered(batch, np.array([False, True]))
    assert not any(buffer and b"secret" in buffer.to_pybytes() for buffer in left.column(0).buffers())


TEXTS = ["one two", None, "thréé four", "bad", "one two"]
KINDS: dict[str, pa.DataType] = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "binary": pa.binary(),
    "large_binary": pa.large_binary(),
    "binary_view": pa.binary_view(),
    "dictionary": pa.dictionary(pa.int8(), pa.string()),
    "dictionary of bytes": pa.dictionary(pa.uint16(), pa.large_binary()),
    "json": pa.json_(pa.string()),
}


def _array(kind: pa.DataType) -> pa.Array:
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, pa.array(TEXTS))
    return pa.array(TEXTS).cast(pa.large_binary() if kind == pa.large_binary() else kind)


def _bytes(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


@pytest.mark.parametrize("kind", KINDS)
def test_texts_of_every_type_are_cut(kind: str) -> None:
    batch = pa.record_batch([pa.nulls(5), _array(KINDS[kind])], ["x", "text"])
    cut = with_cuts(batch, "text", {0: [(0, 4)], 2: [(0, 8)], 4: [(3, 7)]}, [], "file", 0)
    assert cut.schema == batch.schema
    cut.validate(full=True)
    assert [_bytes(v) for v in cut.column(1).to_pylist()] == [b"two", None, b"four", b"bad", b"one"]
    assert batch.column(1).equals(_array(KINDS[kind]))


def test_text_that_is_no_utf8_stays_beside_one_that_is_cut() -> None:
    texts = pa.array([b"\xff", b"one two"]).view(pa.string())
    cut = with_cuts(pa.record_batch([texts], ["text"]), "text", {1: [(0, 4)]}, [], "file", 0)
    assert cut.column(0).cast(pa.binary()).to_pylist() == [b"\xff", b"two"]


def test_dictionary_without_room_is_told() -> None:
    texts = [f"t{i} x" for i in range(128)]
    column = pa.array(texts).cast(pa.dictionary(pa.int8(), pa.string()))
    with pytest.raises(AuditError, match="no room") as caught:
        with_cuts(pa.record_batch([column], ["text"]), "text", {0: [(0, 1)]}, [], "file", 0)
    assert caught.value.got == "129 distinct texts"
    assert "int8" in str(caught.value.expected)


def test_dictionary_keeps_what_it_had_in_front() -> None:
    column = pa.array(["a b", "c d", "a b"]).dictionary_encode()
    grown: list[bytes] = []
    batch = pa.record_batch([column], ["text"])
    first = with_cuts(batch, "text", {2: [(0, 2)]}, grown, "file", 0).column(0)
    second = with_cuts(batch, "text", {0: [(1, 3)], 1: [(1, 3)]}, grown, "file", 3).column(0)
    third = with_cuts(batch, "text", {}, grown, "file", 6).column(0)
    assert first.dictionary.to_pylist() == ["a b", "c d", "b"]
    assert second.dictionary.to_pylist() == third.dictionary.to_pylist() == ["a b", "c d", "b", "a", "c"]
    assert [c.to_pylist() for c in (first, second, third)] == [
        ["a b", "c d", "b"], ["a", "c", "a b"], ["a b", "c d", "a b"]
    ]  # fmt: skip


@pytest.mark.parametrize("row", [1, 3])
def test_text_that_is_not_what_was_cut_is_refused(row: int) -> None:
    batch = pa.record_batch([_array(pa.string())], ["text"])
    with pytest.raises(InputChangedError, match="not what the run read") as caught:
        with_cuts(batch, "text", {row: [(0, 4)]}, [], "file", 100)
    assert caught.value.row == 100 + row
