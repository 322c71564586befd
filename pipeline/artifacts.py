"""Files on disk, written under a temporary name and renamed; and the Parquet files of a run.

What tasks leave for each other is not Parquet, see `mapped`.

Writer settings are here and nowhere else, because equal tables must become equal bytes.
"""

from __future__ import annotations

import json
import math
import os
import re
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline import schemas
from pipeline.errors import ArtifactError

FORMAT_VERSION = 2
PART_ROWS = 1 << 17  # documents an output part holds; DuckDB likes row groups of this size
END_OF_KEYS = 1 << 64

FEW_RANGES = 8  # enough to keep the cores of one machine busy

KeyRange = tuple[int, int]
_OF_THREAD = threading.local()
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{12}", re.DOTALL)  # as `replacing` names them


def key_ranges(parts: int) -> list[KeyRange]:
    """Cut the unsigned 64-bit keys into ranges [low, high) of equal width; hashes fill them evenly."""
    edges = [END_OF_KEYS * i // parts for i in range(parts + 1)]
    return list(pairwise(edges))


def ranges_for(rows: int, wanted: int, most: int) -> list[KeyRange]:
    """Ranges of keys for a number of rows, and for nothing else, so that results do not depend on
    workers: of about `wanted` rows while that makes few of them, then of at most `most`."""
    return key_ranges(max(1, min(math.ceil(rows / wanted), FEW_RANGES), math.ceil(rows / most)))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name to write a file under, which is renamed at the end.

    Raises:
        ArtifactError: what is done inside meets an OSError.
    """
    # Two tries of one task may run at once: each has its own temporary name, and the last rename
    # wins with the same bytes.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
        getattr(_OF_THREAD, "written", []).append(str(path))
    except OSError as error:
        raise ArtifactError(
            "cannot write a file",
            where=str(path),
            got=error,
            fix="free disk space or make the folder writable, then start the same command again",
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def remove_unfinished(folder: Path) -> None:
    """Remove what killed processes had not finished writing under a folder where none is at work."""
    for path, _, names in os.walk(folder):
        for name in names:
            if _UNFINISHED.fullmatch(name):
                os.unlink(os.path.join(path, name))


@contextmanager
def written_files() -> Iterator[list[str]]:
    """The paths of all files that this thread writes inside, in order."""
    outside = getattr(_OF_THREAD, "written", None)
    inside: list[str] = []
    _OF_THREAD.written = inside
    try:
        yield inside
    finally:
        if outside is None:
            del _OF_THREAD.written
        else:
            _OF_THREAD.written = outside
            outside += inside


# Checksums: a bit that flips in a number would otherwise change the result unseen. They cost 0.2 ms a
# MB to write and less to check (measured).
_PAGES = {"version": "2.6", "data_page_version": "1.0", "write_page_checksum": True}


def write_output(spec: schemas.Table, table: pa.Table, path: str | Path) -> str:
    """Write one file of a table of the contract, checked against its schema; returns the path."""
    checked = _checked(spec, table, path).combine_chunks()
    settings = _PAGES | _settings(checked.schema)
    with replacing(Path(path)) as temporary:
        pq.write_table(checked, temporary, row_group_size=PART_ROWS, **settings)
    return str(path)


def write_output_pieces(spec: schemas.Table, pieces: Iterable[pa.Table], path: str | Path) -> str:
    """The same from pieces of the table in order, each at least a row group; one is held at a time."""
    target = spec.arrow_schema()
    settings = _PAGES | _settings(target)
    with replacing(Path(path)) as temporary, pq.ParquetWriter(temporary, target, **settings) as file:
        for piece in pieces:
            file.write_table(_checked(spec, piece, path), row_group_size=PART_ROWS)
    return str(path)


def _checked(spec: schemas.Table, table: pa.Table, path: str | Path) -> pa.Table:
    target = spec.arrow_schema()
    if table.column_names != target.names:
        raise ArtifactError(
            f"wrong columns for table {spec.name}",
            where=str(path),
            got=table.column_names,
            expected=target.names,
        )
    for name, field in zip(target.names, target, strict=True):
        if not field.nullable and table.column(name).null_count:
            raise ArtifactError(
                f"nulls in {spec.name}.{name}", where=str(path), got=table.column(name).null_count
            )
    return table.cast(target)


_LONG_TEXTS = ("text",)


def _settings(target: pa.Schema) -> dict[str, Any]:
    # Counts and offsets by differences, as they are: a dictionary of them is larger and written ten times
    # as slowly, and compressing the differences takes half as long again and saves a sixth (measured on
    # spans). Of the rest, by the first level of compression, only names have a dictionary: one of numbers
    # is given up half way or larger than what it stands for. Statistics of what the rows are in the order
    # of, the first column, are those that lead to rows; of the others no row group is without any number.
    counts = [field.name for field in target if field.type == pa.int64()]
    rest = [name for name in target.names if name not in counts]
    names = [field.name for field in target if pa.types.is_large_string(field.type)]
    return {
        "compression": dict.fromkeys(rest, "zstd"),
        "compression_level": dict.fromkeys(rest, 1),
        "use_dictionary": [name for name in names if name not in _LONG_TEXTS],
        "column_encoding": dict.fromkeys(counts, "DELTA_BINARY_PACKED"),
        "write_statistics": target.names[:1],
    }


def write_json(value: object, path: str | Path) -> str:
    """Write JSON under a temporary name and rename it; returns the path."""
    return write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", path)


def write_text(text: str, path: str | Path) -> str:
    """Write UTF-8 text under a temporary name and rename it; returns the path."""
    with replacing(Path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return str(path)


def write_bytes(content: pa.Buffer, path: str | Path) -> str:
    """Write the bytes of a file under a temporary name and rename it; returns the path."""
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        file.write(content)
    return str(path)


@contextmanager
def open_parquet(path: str | Path) -> Iterator[pq.ParquetFile]:
    """Open a file of ours.

    Raises:
        ArtifactError: it is missing or damaged, or turns out to be while it is read.
    """
    try:
        # Buffering ahead is for distant files: of a local one it takes half as long again (measured).
        with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
            yield file
    except (OSError, pa.ArrowInvalid) as error:
        raise ArtifactError(
            "a file of the run is missing or damaged", where=str(path), got=error, fix="run the audit again"
        ) from error


def read_output(path: str | Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a whole Parquet file of ours."""
    with open_parquet(path) as file:
        return file.read(columns, use_threads=False)


def output_ranges(paths: Iterable[str], key: str, keys: KeyRange, schema: pa.Schema) -> pa.Table:
    """The columns of a schema from several such files, sorted by an unsigned key, where the key lies in
    [low, high); read by row group."""
    tables = [_output_range(path, key, keys, schema) for path in paths]
    return pa.concat_tables([schema.empty_table(), *tables])


def _output_range(path: str, key: str, keys: KeyRange, schema: pa.Schema) -> pa.Table:
    low, high = keys
    with open_parquet(path) as file:
        place, groups = file.schema_arrow.get_field_index(key), []
        for group in range(file.metadata.num_row_groups if file.metadata.num_rows else 0):
            span = file.metadata.row_group(group).column(place).statistics
            if span.max >= low and span.min < high:
                groups.append(group)
        table = file.read_row_groups(groups, schema.names, use_threads=False)
    first, last = rows_between(uint64(table, key), keys)
    return table.slice(first, last - first).select(schema.names).cast(schema)


def rows_between(values: NDArray[np.uint64], keys: KeyRange) -> tuple[int, int]:
    """Where sorted values that lie in [low, high) begin and end."""
    first, last = (
        len(values) if edge >= END_OF_KEYS else int(np.searchsorted(values, np.uint64(edge))) for edge in keys
    )
    return first, last


def uint64(table: pa.Table, name: str) -> NDArray[np.uint64]:
    """A column without nulls as a NumPy array of its own type."""
    return table.column(name).to_numpy()  # type: ignore[no-any-return]


def frame(table: pa.Table) -> pl.DataFrame:
    """An Arrow table as a polars frame."""
    return pl.DataFrame(pl.from_arrow(table))


def write_empty(spec: schemas.Table, path: str | Path) -> str:
    """Write a table of the contract without rows, so that queries over its folder work."""
    return write_output(spec, spec.arrow_schema().empty_table(), path)


def table_of(schema: pa.Schema, *columns: Any) -> pa.Table:
    """A table of an intermediate schema from arrays in its order."""
    return pa.Table.from_arrays(
        [
            pa.array(c, f.type) if isinstance(c, np.ndarray) else c
            for c, f in zip(columns, schema, strict=True)
        ],
        schema=schema,
    )
