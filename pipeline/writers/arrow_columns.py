"""Take out of Arrow record batches what goes: rows, or stretches of their texts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.errors import AuditError
from pipeline.readers.wording import printable
from pipeline.writers.cutting import Range, check_cuts, cut_text

Cuts = Mapping[int, list[Range]]  # by row


def filtered(batch: pa.RecordBatch, keep: NDArray[np.bool_]) -> pa.RecordBatch:
    """The rows of a batch that stay."""
    if keep.all():
        return batch
    columns = [_filtered(column, keep) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _filtered(column: pa.Array, keep: NDArray[np.bool_]) -> pa.Array:
    if _is_view(column.type):
        # Taken out of a view, rows would still be in the bytes beneath it.
        return as_type(column.cast(pa.large_binary()).filter(pa.array(keep)), column.type)
    try:
        return column.filter(pa.array(keep))
    except pa.ArrowNotImplementedError:  # run-end encoded, or views inside a list
        edges = np.flatnonzero(np.diff(np.concatenate(([False], keep, [False])).astype(np.int8)))
        runs = [column.slice(a, b - a) for a, b in edges.reshape(-1, 2).tolist()]
        return pa.concat_arrays(runs or [column.slice(0, 0)])


def _is_view(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string_view(kind) or pa.types.is_binary_view(kind))


def as_type(values: pa.LargeBinaryArray, kind: pa.DataType) -> pa.Array:
    """Bytes as a type of strings or bytes; those that are no UTF-8 stay as they are."""
    if pa.types.is_string_view(kind):
        return values.cast(pa.binary_view()).view(kind)
    if pa.types.is_string(kind):
        return values.cast(pa.binary()).view(kind)
    return values.view(kind) if pa.types.is_large_string(kind) else values.cast(kind)


def with_cuts(
    batch: pa.RecordBatch, name: str, cuts: Cuts, grown: list[bytes], uri: str, first_row: int
) -> pa.RecordBatch:
    """A batch whose text column has lost what is cut out of some rows.

    Args:
        grown: values to put behind those of the column's dictionary, if it has one; this batch's are
            added. first_row: the number in the file of the batch's first row.
    """
    if not cuts and not grown:
        return batch
    place = batch.schema.get_field_index(name)
    texts = {
        row: cut_text(check_cuts(_bytes_at(batch.column(place), row), ranges, uri, first_row + row), ranges)
        for row, ranges in cuts.items()
    }
    return batch.set_column(place, batch.schema.field(place), _replaced(batch.column(place), texts, grown))


def _bytes_at(column: pa.Array, row: int) -> bytes | None:
    values = column.slice(row, 1)
    if isinstance(values.type, pa.BaseExtensionType):
        values = values.storage
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    return values.cast(pa.large_binary())[0].as_py()  # type: ignore[no-any-return]


def _replaced(column: pa.Array, texts: Mapping[int, bytes], grown: list[bytes]) -> pa.Array:
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, _replaced(column.storage, texts, grown))
    if pa.types.is_dictionary(kind):
        return _with_new_entries(column, texts, grown)
    mask = np.zeros(len(column), bool)
    mask[list(texts)] = True
    new = pa.array(texts.values(), pa.large_binary())
    return as_type(pc.replace_with_mask(column.cast(pa.large_binary()), mask, new), kind)


def _with_new_entries(
    column: pa.DictionaryArray, texts: Mapping[int, bytes], grown: list[bytes]
) -> pa.DictionaryArray:
    first = len(column.dictionary) + len(grown)
    grown += texts.values()
    new = as_type(pa.array(grown, pa.large_binary()), column.dictionary.type)
    indices = np.zeros(len(column), np.int64)
    indices[list(texts)] = np.arange(first, first + len(texts))
    mask = pa.array(indices > 0)
    try:
        replaced = pc.if_else(mask, pa.array(indices), column.indices.cast(pa.int64()))
        narrow = replaced.cast(column.type.index_type)
    except pa.ArrowInvalid:
        raise AuditError(
            "a dictionary has no room for texts that passages are cut out of",
            got=f"{first + len(texts)} distinct texts",
            expected=f"as many as indices of type {printable(str(column.type.index_type))} can count",
            fix="write the input with wider indices or without a dictionary, and audit again",
        ) from None
    dictionary = pa.concat_arrays([column.dictionary, new])
    return pa.DictionaryArray.from_arrays(narrow, dictionary, ordered=column.type.ordered)
