"""Turn Arrow record batches into rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError
from pipeline.readers.labels import label_array
from pipeline.readers.rows import ROW_COST_BYTES, Columns, Reject, Rows
from pipeline.readers.wording import printable

_TEXT_TYPES = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
)


def check_text_type(kind: pa.DataType, columns: Columns, uri: str) -> None:
    """Refuse a text column whose type does not hold text."""
    if _holds_text(kind):
        return
    raise InputError(
        f"the text column {printable(repr(columns.text), 80)} of an input file holds no text",
        where=printable(uri, 1000),
        got=f"type {printable(str(kind))}",
        expected="string or binary, also large, view or dictionary encoded",
        fix="set text_column to a column with text, or take the file out of the inputs",
    )


def in_batches(batches: Iterable[pa.RecordBatch], columns: Columns, batch_bytes: int) -> Iterator[Rows]:
    """Batches of at most `batch_bytes`, or of one row that is larger; at least one comes out.

    The batches that come in are cut and joined: a dictionary encoded column of a few kilobytes
    may stand for gigabytes of text.
    """
    held: list[Rows] = []
    held_bytes = n_rows = 0
    for batch in batches:
        for cost_bytes, part in _parts(batch, columns, n_rows, batch_bytes):
            if held and held_bytes + cost_bytes > batch_bytes:
                yield _joined(held)
                held, held_bytes = [], 0
            held.append(part)
            held_bytes += cost_bytes
        n_rows += batch.num_rows
    yield _joined(held or [_no_rows(columns)])


def run_ends(costs: npt.NDArray[np.int64], limit: int) -> Iterator[int]:
    """Where the runs end that cost at most `limit` each, or are of one item that costs more."""
    total = np.cumsum(costs)
    end = 0
    while end < len(costs):
        spent = int(total[end - 1]) if end else 0
        end = max(end + 1, int(np.searchsorted(total, spent + limit, side="right")))
        yield end


def _parts(
    batch: pa.RecordBatch, columns: Columns, first_row: int, batch_bytes: int
) -> Iterator[tuple[int, Rows]]:
    text = _as_binary(batch.column(columns.text))
    labels = [None if name is None else label_array(batch.column(name)) for name in columns.labels]
    costs = _byte_lengths(text) + ROW_COST_BYTES
    for label in labels:
        if label is not None:
            costs += _byte_lengths(label)
    begin = 0
    for end in run_ends(costs, batch_bytes):
        part = [None if label is None else label[begin:end] for label in labels]
        yield int(costs[begin:end].sum()), _rows(text[begin:end], part, columns, first_row + begin)
        begin = end


def _rows(text: pa.Array, labels: list[pa.Array | None], columns: Columns, first_row: int) -> Rows:
    # Nulls are looked for after the cast: a dictionary may hold one as a value.
    texts = text.cast(pa.large_binary())
    n_rows = first_row + len(texts)
    rows = pa.array(np.arange(first_row, n_rows, dtype=np.int64))
    if not texts.null_count:
        return Rows(rows, texts, *_three(labels), (), n_rows)
    valid = texts.is_valid()
    detail = f"column {printable(repr(columns.text), 100)} is null"
    rejects = tuple(Reject(row, "null_text", detail) for row in rows.filter(pc.invert(valid)).to_pylist())
    kept = [None if label is None else label.filter(valid) for label in labels]
    return Rows(rows.filter(valid), texts.filter(valid), *_three(kept), rejects, n_rows)


def _as_binary(values: pa.Array) -> pa.Array:
    """The text column as binary, large_binary or a dictionary of one, without decoding it."""
    if isinstance(values.type, pa.BaseExtensionType):
        return _as_binary(values.storage)
    if pa.types.is_dictionary(values.type):
        return pa.DictionaryArray.from_arrays(values.indices, _as_binary(values.dictionary))
    return values.cast(pa.large_binary())


def _byte_lengths(values: pa.Array) -> npt.NDArray[np.int64]:
    """Bytes of each value; 0 for null."""
    if pa.types.is_dictionary(values.type):
        lengths = pc.take(pa.array(_byte_lengths(values.dictionary)), values.indices)
    else:
        lengths = pc.binary_length(values)
    return np.asarray(pc.fill_null(lengths, 0)).astype(np.int64)


def _joined(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    arrays: dict[str, Any] = {
        name: None if getattr(parts[0], name) is None else pa.concat_arrays([getattr(p, name) for p in parts])
        for name in ("rows", "texts", "ids", "sources", "licences")
    }
    rejects = tuple(reject for part in parts for reject in part.rejects)
    return replace(parts[-1], **arrays, rejects=rejects)


def _no_rows(columns: Columns) -> Rows:
    labels = [None if name is None else pa.array([], pa.large_string()) for name in columns.labels]
    return Rows(pa.array([], pa.int64()), pa.array([], pa.large_binary()), *_three(labels))


def _three(labels: list[pa.Array | None]) -> tuple[Any, Any, Any]:
    ids, sources, licences = labels
    return ids, sources, licences


def _holds_text(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _holds_text(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _holds_text(kind.value_type)
    return any(is_kind(kind) for is_kind in _TEXT_TYPES)
