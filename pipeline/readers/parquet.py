"""Read Parquet files by runs of row groups.

A row group may be far larger than memory, so columns are read through a buffer, page by page,
a few rows at a time. How many rows make about `batch_bytes` is told by the row group's size,
except where a dictionary hides it: a text that occurs a million times is stored once. Small row
groups, which may be such, stay encoded until they are cut.

The sizes and encodings of single columns would tell more, but are not looked at: pyarrow (26)
ends the process where a damaged file has nonsense there.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.readers.arrow_rows import check_text_type, in_batches, run_ends
from pipeline.readers.header import positions, wanted_names
from pipeline.readers.opening import file_changed, open_file, reading
from pipeline.readers.rows import Columns, Piece, Rows

EXPECTED = "a complete Parquet file"
COLUMN_BUFFER_BYTES = 1 << 20
# Rows of one file differ in length. A read is aimed at a part of a batch, so that a stretch of
# rows many times longer than the mean still fits. 1 MiB reads cost no time (measured: 62 MB in
# 0.05 s, as with 16 MiB reads).
READS_A_BATCH = 16
MAX_READ_ROWS = 8192
MAX_CODED_READ_ROWS = 65536
# A row group with less than this a row holds little but indices into dictionaries.
INDEX_BYTES = 8


def pieces(uri: str, shard_bytes: int) -> list[Piece]:
    """Runs of row groups that hold at most `shard_bytes` decoded, or of one that holds more."""
    with reading(uri, EXPECTED), open_file(uri) as source:
        metadata = pq.ParquetFile(source, pre_buffer=False).metadata
        sizes = [max(0, metadata.row_group(i).total_byte_size) for i in range(metadata.num_row_groups)]
    ends = list(run_ends(np.array(sizes, np.int64), shard_bytes)) or [0]
    return [
        Piece(uri, "parquet", start, stop, sum(sizes[start:stop]))
        for start, stop in zip([0, *ends], ends, strict=False)
    ]


def read(piece: Piece, columns: Columns, batch_bytes: int) -> Iterator[Rows]:
    """Rows of the row groups of a piece."""
    with reading(piece.uri, EXPECTED), open_file(piece.uri) as source:
        yield from in_batches(_batches(source, piece, columns, batch_bytes), columns, batch_bytes)


def _batches(
    source: pa.NativeFile, piece: Piece, columns: Columns, batch_bytes: int
) -> Iterator[pa.RecordBatch]:
    plain = _opened(source, [])
    text_leaf = _text_leaf(plain, columns, piece.uri)
    if plain.metadata.num_row_groups < piece.stop:
        found = plain.metadata.num_row_groups
        raise file_changed(piece.uri, f"{found} row groups", f"at least {piece.stop}")
    for number in range(piece.start, piece.stop):
        group = plain.metadata.row_group(number)
        coded = text_leaf is not None and _may_be_coded(group, batch_bytes)
        file = _opened(source, [text_leaf], plain.metadata) if coded else plain
        # Names of nested leaves can collide with a dotted name. That reads a column too many;
        # `in_batches` picks by the name of the whole column.
        batches = file.iter_batches(
            batch_size=MAX_CODED_READ_ROWS if coded else _read_rows(group, batch_bytes),
            row_groups=[number],
            columns=wanted_names(columns),
            use_threads=False,
        )
        yield from counted(batches, number, group.num_rows)


def _opened(
    source: pa.NativeFile, coded: list[int | None], metadata: pq.FileMetaData | None = None
) -> pq.ParquetFile:
    return pq.ParquetFile(
        source,
        metadata=metadata,
        read_dictionary=coded,
        buffer_size=COLUMN_BUFFER_BYTES,
        pre_buffer=False,
        page_checksum_verification=True,
        arrow_extensions_enabled=False,
    )


def counted(batches: Iterator[pa.RecordBatch], number: int, n_rows: int) -> Iterator[pa.RecordBatch]:
    """Refuse a row group whose columns end before or after the rows it is said to have."""
    found = 0
    for batch in batches:
        found += batch.num_rows
        yield batch
    if found != n_rows:
        raise EOFError(f"row group {number} holds {found} rows, and {n_rows} by its metadata")


def _text_leaf(file: pq.ParquetFile, columns: Columns, uri: str) -> int | None:
    """Check that the wanted columns are there; the text's number among the leaf columns."""
    schema = file.schema_arrow
    place = positions(columns, schema.names, uri)[0] or 0
    check_text_type(schema.field(place).type, columns, uri)
    counts = [_leaf_count(field.type) for field in schema]
    # None for a type whose leaves are not those of its fields.
    return sum(counts[:place]) if sum(counts) == file.metadata.num_columns else None


def _leaf_count(kind: pa.DataType) -> int:
    if kind.num_fields == 0:
        return 1
    return sum(_leaf_count(kind.field(i).type) for i in range(int(kind.num_fields)))


def _read_rows(group: pq.RowGroupMetaData, batch_bytes: int) -> int:
    # The mean row with all columns: too much where others are not wanted, so the safe side.
    mean: int = max(1, group.total_byte_size // max(1, group.num_rows))
    return min(MAX_READ_ROWS, max(1, batch_bytes // READS_A_BATCH // mean))


def _may_be_coded(group: pq.RowGroupMetaData, batch_bytes: int) -> bool:
    """Whether the text is to be read as a dictionary, which is then no larger than a batch.

    Not in a large row group: where a dictionary was given up half way, as writers do when it
    grows, the reader would collect all texts in one. Where there was none, this costs little
    (measured: 62 MB in 0.10 s, else 0.06 s).
    """
    return bool(group.total_byte_size <= max(batch_bytes, INDEX_BYTES * group.num_rows))
