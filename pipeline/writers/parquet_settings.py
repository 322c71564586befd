"""The settings that a Parquet file was written with, as far as the file tells.

Level of compression, page sizes, page checksums and bloom filters are not told, or not to pyarrow.
"""

from __future__ import annotations

import io
import re
from itertools import product
from typing import Any

import pyarrow.parquet as pq

# Of a number as wide as its storage, some writers say so, and some do not.
_PLAIN_INTEGER = re.compile(r"(int(32|64) .*) \(Int\(bitWidth=\2, isSigned=true\)\)")
_DICTIONARY = {"RLE_DICTIONARY", "PLAIN_DICTIONARY"}
_BY_NAME = {"DELTA_BINARY_PACKED", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY", "BYTE_STREAM_SPLIT"}


def settings_of(file: pq.ParquetFile) -> tuple[dict[str, Any], bool]:
    """Arguments for a writer of the same file, and whether they give columns of the same layout."""
    found = {
        "version": "1.0" if file.metadata.format_version == "1.0" else "2.6",
        "store_schema": b"ARROW:schema" in (file.metadata.metadata or {}),
        "flavor": None,
        **_of_columns(file.metadata),
    }
    for compliant, int96 in product((True, False), repeat=2):
        names = {"use_compliant_nested_type": compliant, "use_deprecated_int96_timestamps": int96}
        if _layout(_written(file, {**found, **names})) == _layout(file):
            return {**found, **names}, True
    return found, False


def _layout(file: pq.ParquetFile) -> list[str]:
    # Equality of schemas overlooks the names of levels. The first line is an address; the second names
    # the root, which has no meaning, and which every writer calls something else.
    return [_PLAIN_INTEGER.sub(r"\1", line) for line in str(file.schema).splitlines()[2:]]


def _written(file: pq.ParquetFile, settings: dict[str, Any]) -> pq.ParquetFile:
    """The file as it would be written without rows."""
    empty = io.BytesIO()
    pq.ParquetWriter(empty, file.schema_arrow, **settings).close()
    return pq.ParquetFile(empty)


def _of_columns(metadata: pq.FileMetaData) -> dict[str, Any]:
    if not metadata.num_row_groups or not metadata.num_columns:
        return {}
    group = metadata.row_group(0)
    columns = [group.column(i) for i in range(metadata.num_columns)]
    coded = [c.path_in_schema for c in columns if _DICTIONARY & set(c.encodings)]
    encodings = {
        c.path_in_schema: encoding
        for c in columns
        for encoding in c.encodings
        if encoding in _BY_NAME and c.path_in_schema not in coded
    }
    return {
        "compression": {c.path_in_schema: _codec(c.compression) for c in columns},
        "use_dictionary": coded or False,
        "column_encoding": encodings or None,
        "write_statistics": [c.path_in_schema for c in columns if c.is_stats_set] or False,
        "write_page_index": any(c.has_column_index for c in columns),
        "sorting_columns": list(group.sorting_columns) or None,
    }


def _codec(name: str) -> str:
    return "none" if name == "UNCOMPRESSED" else name.lower()
