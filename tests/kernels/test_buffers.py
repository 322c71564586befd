"""Arrow arrays as NumPy arrays: slices, empty buffers, nulls, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyarrow import ipc

from pipeline.kernels.buffers import (
    binary_of,
    binary_rows,
    binary_slices,
    flat_values,
    rows_of_binary,
    text_buffers,
    uint64_values,
)

VALUES = st.lists(st.binary(max_size=6), max_size=12)
SETS = st.lists(st.lists(st.integers(0, 2**64 - 1), max_size=5), max_size=6)


def _binary(values: list[bytes] | list[bytes | None]) -> pa.LargeBinaryArray:
    return pa.array(values, pa.large_binary())


def _sent(texts: pa.LargeBinaryArray) -> pa.LargeBinaryArray:
    """The array as it comes out of an Arrow stream: over buffers that cannot be written to."""
    batch = pa.record_batch([texts], ["text"])
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return ipc.open_stream(sink.getvalue().to_pybytes()).read_next_batch().column(0)


def _read(texts: pa.LargeBinaryArray) -> list[bytes]:
    data, offsets = text_buffers(texts)
    assert data.dtype == np.uint8
    assert offsets.dtype == np.int64
    assert len(offsets) == len(texts) + 1
    return [data[offsets[i] : offsets[i + 1]].tobytes() for i in range(len(texts))]


# --- text_buffers ---------------------------------------------------------------------------------


@given(VALUES, st.data())
@example([b"a", b"", b"bc"], None)
def test_slice_holds_what_its_copy_holds(values: list[bytes], data: st.DataObject | None) -> None:
    first = data.draw(st.integers(0, len(values))) if data else 1
    count = data.draw(st.integers(0, len(values) - first)) if data else 2
    assert _read(_binary(values)) == values
    assert _read(_binary(values).slice(first, count)) == values[first : first + count]
    assert _read(_binary(values).slice(first).slice(0, count)) == values[first : first + count]


@pytest.mark.parametrize("n", [0, 1, 3])
def test_empty_values_need_no_data(n: int) -> None:
    assert _read(_binary([b""] * n)) == [b""] * n
    assert _read(_binary([b"", b"", b"", b"x"]).slice(0, n)) == [b""] * n


def test_data_may_be_missing_where_every_value_is_empty() -> None:
    # As arrays of other libraries come in: Arrow itself allocates an empty buffer.
    class Foreign:
        type, null_count, offset = pa.large_binary(), 0, 1

        def __len__(self) -> int:
            return 2

        def buffers(self) -> list[pa.Buffer | None]:
            return [None, pa.py_buffer(np.zeros(4, np.int64)), None]

    assert _read(Foreign()) == [b"", b""]


def test_nulls_are_refused() -> None:
    with pytest.raises(TypeError, match="large_binary without nulls, got large_binary with 1 nulls"):
        text_buffers(_binary([b"a", None]))
    # Only those inside the slice count.
    assert _read(_binary([None, b"a"]).slice(1)) == [b"a"]


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_string(), pa.string(), pa.binary_view()])
def test_other_types_are_refused(kind: pa.DataType) -> None:
    with pytest.raises(TypeError, match="need large_binary"):
        text_buffers(pa.array(["a"], kind))


def test_nothing_is_copied() -> None:
    texts = _binary([b"abc", b"de"])
    data, offsets = text_buffers(texts.slice(1))
    assert offsets.tolist() == [3, 5]
    assert data.ctypes.data == texts.buffers()[2].address
    assert offsets.ctypes.data == texts.buffers()[1].address + 8


@pytest.mark.parametrize(
    "texts",
    [
        _binary([b"abc"]),
        _binary([b""]),
        _binary([]),
        _binary([b"abc", b"d"]).slice(1),
        _sent(_binary([b"abc"])),
    ],
    ids=["built", "empty value", "no value", "slice", "sent"],
)
def test_views_are_read_only_whatever_the_buffers_are(texts: pa.LargeBinaryArray) -> None:
    # One type for the compiler, so one compilation.
    assert [view.flags.writeable for view in text_buffers(texts)] == [False, False]


# --- fixed rows -----------------------------------------------------------------------------------


@given(st.integers(0, 7), st.integers(1, 5), st.data())
def test_rows_come_back(n: int, width: int, data: st.DataObject) -> None:
    flat = data.draw(st.binary(min_size=n * width, max_size=n * width))
    rows = np.frombuffer(flat, np.uint8).reshape(n, width)
    array = binary_rows(rows)
    assert array.type == pa.binary(width)
    assert array.to_pylist() == [row.tobytes() for row in rows]
    first = data.draw(st.integers(0, n))
    pieces = pa.chunked_array([array.slice(0, first), array.slice(first)], array.type)
    assert np.array_equal(rows_of_binary(pieces, width), rows)
    assert np.array_equal(rows_of_binary(pa.chunked_array([array.slice(first)]), width), rows[first:])


def test_rows_with_gaps_between_them_come_back() -> None:
    wide = np.arange(40, dtype=np.uint8).reshape(4, 10)
    array = binary_rows(wide[::2, 3:6])
    assert rows_of_binary(pa.chunked_array([array]), 3).tolist() == [[3, 4, 5], [23, 24, 25]]


def test_no_row_comes_back_as_no_row() -> None:
    assert rows_of_binary(pa.chunked_array([], pa.binary(4)), 4).shape == (0, 4)
    assert rows_of_binary(pa.chunked_array([binary_rows(np.zeros((0, 4), np.uint8))]), 4).shape == (0, 4)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(pa.ArrowInvalid):
        rows_of_binary(pa.chunked_array([binary_rows(np.zeros((2, 4), np.uint8))]), 3)


# --- sets -----------------------------------------------------------------------------------------


def _sets(column: pa.ChunkedArray) -> list[list[int]]:
    values, offsets = uint64_values(column)
    assert values.dtype == np.uint64
    return [values[offsets[i] : offsets[i + 1]].tolist() for i in range(len(column))]


@given(SETS, st.data())
@example([[1, 2], [], [2**64 - 1]], None)
def test_sets_come_back(sets: list[list[int]], data: st.DataObject | None) -> None:
    array = binary_of([np.array(values, np.uint64) for values in sets])
    array.validate(full=True)
    first = data.draw(st.integers(0, len(sets))) if data else 1
    pieces: list[Any] = [array.slice(0, first), array.slice(first)]
    assert _sets(pa.chunked_array([array])) == sets
    assert _sets(pa.chunked_array(pieces)) == sets
    assert _sets(pa.chunked_array([array.slice(first)])) == sets[first:]


def test_no_set_comes_back_as_no_set() -> None:
    assert _sets(pa.chunked_array([], pa.large_binary())) == []
    assert _sets(pa.chunked_array([binary_of([])])) == []
    assert _sets(pa.chunked_array([binary_of([np.zeros(0, np.uint64)] * 3)])) == [[], [], []]


# --- runs of one array ----------------------------------------------------------------------------

KINDS: list[type[np.generic]] = [np.uint8, np.uint16, np.uint32, np.int64, np.uint64]


@pytest.mark.parametrize("kind", KINDS)
@given(runs=st.lists(st.lists(st.integers(0, 255), max_size=5), max_size=6), data=st.data())
def test_runs_of_any_kind_come_back(
    kind: type[np.generic], runs: list[list[int]], data: st.DataObject
) -> None:
    flat = np.array([value for held in runs for value in held], kind)
    array = binary_slices(flat, np.cumsum([0, *map(len, runs)]))
    array.validate(full=True)
    assert array.type == pa.large_binary()
    first = data.draw(st.integers(0, len(runs)))
    stop = data.draw(st.integers(first, len(runs)))
    pieces = [array.slice(0, first), array.slice(first, stop - first)]
    for column, held in (([array], runs), (pieces, runs[:stop]), ([array.slice(first)], runs[first:])):
        values, ends = flat_values(pa.chunked_array(column, pa.large_binary()), kind)
        assert values.dtype == np.dtype(kind)
        assert (ends[0], ends[-1]) == (0, len(values))
        assert [values[ends[i] : ends[i + 1]].tolist() for i in range(len(held))] == held


def test_runs_that_begin_within_an_array_come_back() -> None:
    array = binary_slices(np.arange(9, dtype=np.uint16), np.array([2, 5, 5, 9]))
    values, ends = flat_values(pa.chunked_array([array]), np.uint16)
    assert (values.tolist(), ends.tolist()) == ([2, 3, 4, 5, 6, 7, 8], [0, 3, 3, 7])


def test_runs_are_not_copied() -> None:
    flat = np.arange(9, dtype=np.uint16)
    array = binary_slices(flat, np.array([0, 4, 9]))
    assert array.buffers()[2].address == flat.ctypes.data
    values, _ = flat_values(pa.chunked_array([array]), np.uint16)
    assert not values.flags.writeable


def test_no_run_comes_back_as_no_run() -> None:
    for array in (binary_slices(np.zeros(0, np.uint16), np.zeros(n, np.int64)) for n in (1, 4)):
        values, ends = flat_values(pa.chunked_array([array]), np.uint16)
        assert (len(values), ends.tolist()) == (0, [0] * (len(array) + 1))
    nothing, ends = flat_values(pa.chunked_array([], pa.large_binary()), np.int64)
    assert nothing.dtype == np.int64
    assert (len(nothing), ends.tolist()) == (0, [0])
