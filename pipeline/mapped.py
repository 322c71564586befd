"""Tables that tasks leave for each other, in files as Arrow lays them out in memory, mapped rather than read.

Sorted files are the shuffle. A task that regroups data writes a table sorted by an unsigned 64-bit key; a
later task takes one key range of it, found by halving where it lies. Nothing is decoded, and what nobody
looks at is not read. Alternatives were tasks x buckets small files (too many files), Dask's own shuffle
(no resume point, and results that depend on partitioning), and sorted Parquet, read by the statistics of
small row groups: that took a third of the work of a night (445 MB of Python source); 6 million rows of
20 bytes are written in 0.04 s and read in 0.01 s instead of 0.18 and 0.20 s. What mapping costs: no
checksums but those of `records`, and a file system on which files can be mapped, as every local and most
shared ones are. What would change the choice: an object store in the place of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from pipeline.artifacts import KeyRange, replacing, rows_between, uint64
from pipeline.errors import ArtifactError

_PACKED = pa.ipc.IpcWriteOptions(compression="lz4")


def write_mapped(table: pa.Table, path: str | Path, packed: bool = False) -> str:
    """Write a table; returns the path.

    Args:
        packed: compress it. It is unpacked as a whole when it is read, so this is for text that is read
            once.
    """
    with (
        replacing(Path(path)) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, table.schema, options=_PACKED if packed else None) as writer,
    ):
        writer.write_table(table.combine_chunks())
    return str(path)


def read_mapped(path: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A table that `write_mapped` wrote, as a view of the file.

    Raises:
        ArtifactError: it is missing or cut short.
    """
    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtifactError(
            "a file of the run is missing or damaged", where=str(path), got=error, fix="run the audit again"
        ) from error
    return table if columns is None else table.select(columns)


def mapped_range(
    path: str | Path, key: str, keys: KeyRange, columns: Sequence[str] | None = None
) -> tuple[int, pa.Table]:
    """The rows of such a table, sorted by an unsigned key, whose key lies in [low, high), with their keys;
    and the number of the first of them."""
    table = read_mapped(path)
    first, last = rows_between(uint64(table, key), keys)
    if columns is not None:
        table = table.select(columns if key in columns else [key, *columns])
    return first, table.slice(first, last - first)


def mapped_ranges(
    paths: Iterable[str], key: str, keys: KeyRange, schema: pa.Schema, columns: Sequence[str] | None = None
) -> pa.Table:
    """The same of several tables of a schema, one after the other; an empty one if there are none."""
    names = schema.names if columns is None else columns if key in columns else [key, *columns]
    empty = pa.schema([schema.field(name) for name in names]).empty_table()
    tables = [mapped_range(path, key, keys, names)[1].cast(empty.schema) for path in paths]
    return pa.concat_tables([empty, *tables])
