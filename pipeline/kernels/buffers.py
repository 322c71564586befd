"""Arrow arrays as NumPy arrays without a copy: the one place that touches Arrow's buffers.

Arrow arrays may be slices (an offset into shared buffers), may come without a data buffer when
every value is empty, and their buffers may be read only or not. All three are taken care of here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)


def text_buffers(texts: pa.LargeBinaryArray) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes and the boundaries of a large_binary array without nulls.

    Returns:
        data uint8 and offsets int64[n + 1]: value i is data[offsets[i]:offsets[i + 1]]. Both are
        views that cannot be written to; the caller keeps `texts` alive.

    Raises:
        TypeError: another type, or nulls; a null would read as an empty text.
    """
    if not pa.types.is_large_binary(texts.type) or texts.null_count:
        raise TypeError(f"need large_binary without nulls, got {texts.type} with {texts.null_count} nulls")
    if len(texts) == 0:
        return read_only(np.zeros(0, np.uint8)), read_only(np.zeros(1, np.int64))
    _, offset_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    if data_buffer is None or data_buffer.size == 0:
        return read_only(np.zeros(0, np.uint8)), read_only(offsets)
    return read_only(np.frombuffer(data_buffer, np.uint8)), read_only(offsets)


def read_only(values: NDArray[Number]) -> NDArray[Number]:
    """A view that cannot be written to.

    To Numba that is part of the type: left as it comes, from a file or not, a kernel would be compiled
    anew for each mixture.
    """
    view = values.view()
    view.flags.writeable = False
    return view


def binary_rows(rows: NDArray[np.uint8]) -> pa.FixedSizeBinaryArray:
    """A uint8[n, width] array as a fixed_size_binary(width) array, zero-copy."""
    flat = np.ascontiguousarray(rows)
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(rows.shape[1]), len(rows), [None, pa.py_buffer(flat)]
    )


def rows_of_binary(column: pa.ChunkedArray, width: int) -> NDArray[np.uint8]:
    """The inverse of `binary_rows`, for a column without nulls."""
    array = pa.concat_arrays([pa.array([], pa.binary(width)), *column.chunks])
    if len(array) == 0:
        return np.zeros((0, width), np.uint8)
    flat = np.frombuffer(array.buffers()[1], np.uint8)
    return flat[array.offset * width : (array.offset + len(array)) * width].reshape(len(array), width)


def binary_of(parts: Sequence[NDArray[np.uint64]]) -> pa.LargeBinaryArray:
    """Arrays of uint64 as the values of a large_binary array (one copy)."""
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([part.nbytes for part in parts], out=offsets[1:])
    flat = np.concatenate(parts) if parts else np.zeros(0, np.uint64)
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(parts), [None, pa.py_buffer(offsets), pa.py_buffer(flat)]
    )


def binary_slices(flat: NDArray[Any], ends: NDArray[np.int64]) -> pa.LargeBinaryArray:
    """Runs of a contiguous array as the values of a large_binary array, zero-copy.

    `ends` is int64[n + 1]: value i is flat[ends[i]:ends[i + 1]].
    """
    offsets = ends * flat.itemsize
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(ends) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(flat)]
    )


def flat_values(column: pa.ChunkedArray, kind: type[Number]) -> tuple[NDArray[Number], NDArray[np.int64]]:
    """The inverse of `binary_slices`: all values back to back, and where each run begins and ends."""
    one = column.num_chunks == 1
    joined = column.chunk(0) if one else pa.concat_arrays([pa.array([], pa.large_binary()), *column.chunks])
    data, offsets = text_buffers(joined)
    first, last = int(offsets[0]), int(offsets[-1])
    return data[first:last].view(kind), (offsets - first) // np.dtype(kind).itemsize


def uint64_values(column: pa.ChunkedArray) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The inverse of `binary_of`: all values back to back, and where each part begins and ends."""
    return flat_values(column, np.uint64)
