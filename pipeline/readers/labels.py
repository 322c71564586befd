"""Turn values of any type into labels: ids, sources and licences as text.

A label is never a reason to refuse a row. Bytes that are not UTF-8 become U+FFFD, and what has
no text of its own is spelled as JSON. How a value is spelled depends on it and on its column's
type alone, never on its neighbours: batches are cut differently from run to run.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

REPLACEMENT = "\ufffd"
_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTES_TYPES = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
    pa.types.is_fixed_size_binary,
)


def label_array(values: pa.Array) -> pa.LargeStringArray:
    """The values of an Arrow array as large_string; null stays null."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return pc.take(label_array(values.dictionary), values.indices)
    if _holds_bytes(kind):
        return _utf8(values.cast(pa.large_binary()))
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        # In UTC: a local time needs a time zone database, and machines differ in theirs.
        values = values.view(pa.timestamp(kind.unit))
    return _cast(values)


def json_label(value: Any) -> str | None:
    """A value out of a JSON document as a label; null stays null.

    Numbers arrive here as integers or as their own JSON text.
    """
    if value is None or (type(value) is str and value.isascii()):
        return value
    return without_surrogates(value if type(value) is str else _spelled(value))


def bytes_label(value: bytes) -> str:
    """Bytes of a text file as a label."""
    return value.decode("utf-8", "replace")


def without_surrogates(text: str) -> str:
    """`text` with lone surrogates, which UTF-8 cannot carry, replaced."""
    return _SURROGATE.sub(REPLACEMENT, text)


def _holds_bytes(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in _BYTES_TYPES)


def _utf8(values: pa.LargeBinaryArray) -> pa.LargeStringArray:
    try:
        return values.cast(pa.large_string())
    except pa.ArrowInvalid:
        decoded = [None if v is None else bytes_label(v) for v in values.to_pylist()]
        return pa.array(decoded, pa.large_string())


def _cast(values: pa.Array) -> pa.LargeStringArray:
    # An extension type is not cast, since the cast would be of its storage.
    if not isinstance(values.type, pa.BaseExtensionType):
        try:
            return values.cast(pa.large_string())
        except pa.ArrowNotImplementedError:
            pass
    return pa.array([_scalar_label(value) for value in values], pa.large_string())


def _scalar_label(value: pa.Scalar) -> str | None:
    try:
        content = value.as_py()
    except (ValueError, OverflowError):  # no Python value: text that is not UTF-8, year 30000
        return REPLACEMENT
    if isinstance(content, str):
        return content
    return None if content is None else without_surrogates(_spelled(content))


def _spelled(value: Any) -> str:
    if not isinstance(value, (list, dict, bool, int)):
        return str(value)
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    except (RecursionError, TypeError, ValueError):  # nested a thousand deep, keys of odd types
        return REPLACEMENT
