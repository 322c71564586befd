"""Copy Parquet files, row group by row group.

Of a row group the rows that stay are held in memory until it is whole, since pyarrow writes it in
one go; one that holds more than `HELD_BYTES` becomes several.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.readers.opening import open_file
from pipeline.readers.parquet import COLUMN_BUFFER_BYTES, INDEX_BYTES, counted
from pipeline.writers.arrow_columns import filtered, with_cuts
from pipeline.writers.parquet_settings import settings_of
from pipeline.writers.verdicts import Verdicts

READ_BYTES, MAX_READ_ROWS = 1 << 22, 8192
# A dictionary stands for more than its bytes tell, so where there may be one few rows are read at once.
MAX_CODED_READ_ROWS = 512
HELD_BYTES = 1 << 28


def write(uri: str, text_column: str, verdicts: Verdicts, sink: BinaryIO) -> bool:
    """Write the rows of a file that stay; row groups of which none stays are left out.

    Returns:
        Whether the columns are laid out as in the input. pyarrow writes today's annotations and
        names of the levels of lists and maps, where old writers had others.
    """
    with open_file(uri) as source:
        file = pq.ParquetFile(
            source, buffer_size=COLUMN_BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True
        )
        settings, is_same = settings_of(file)
        with pq.ParquetWriter(sink, file.schema_arrow, **settings) as writer:
            for number in range(file.metadata.num_row_groups):
                held, held_bytes = list[pa.RecordBatch](), 0
                for batch in _batches(file, number):
                    first_row, ruling = verdicts.rows, verdicts.following(batch.num_rows)
                    cut = with_cuts(batch, text_column, ruling.cuts, [], uri, first_row)
                    held.append(filtered(cut, ruling.keep))
                    held_bytes += held[-1].nbytes
                    if held_bytes > HELD_BYTES:
                        _write(writer, held)
                        held, held_bytes = [], 0
                _write(writer, held)
    return is_same


def _batches(file: pq.ParquetFile, number: int) -> Iterator[pa.RecordBatch]:
    group = file.metadata.row_group(number)
    mean = max(1, group.total_byte_size // max(1, group.num_rows))
    most = MAX_CODED_READ_ROWS if mean < INDEX_BYTES * group.num_columns else MAX_READ_ROWS
    rows = max(1, min(most, READ_BYTES // mean))
    batches = file.iter_batches(batch_size=rows, row_groups=[number], use_threads=False)
    yield from counted(batches, number, group.num_rows)


def _write(writer: pq.ParquetWriter, held: list[pa.RecordBatch]) -> None:
    table = pa.Table.from_batches(held, writer.schema)
    if len(table):
        writer.write_table(table, row_group_size=len(table))
