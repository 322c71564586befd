"""The documents that tools are compared on: whole data sets, and parts of them cut by a fixed rule."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Parts get row groups of so few rows that even a small one has several.
ROW_GROUP_ROWS = 512
# Knuth's multiplier, 2^32 divided by the golden ratio: multiples of it, modulo 2^32, are spread so
# evenly that any prefix of their order takes rows from everywhere alike.
GOLDEN = 0x9E3779B1


@dataclass(frozen=True, eq=False)
class Documents:
    """Parquet files with a column `text`, read in the order given.

    lengths: (documents,) bytes of each text in UTF-8; 0 for null.
    digest: hash of the files' contents in order, in hexadecimal.
    """

    name: str
    files: tuple[Path, ...]
    lengths: Ints
    digest: str

    @property
    def count(self) -> int:
        """Number of documents."""
        return len(self.lengths)

    @property
    def megabytes(self) -> float:
        """Text in UTF-8, in millions of bytes."""
        return int(self.lengths.sum()) / 1e6


def read_documents(name: str, folder: Path) -> Documents | None:
    """Count the documents of a folder's Parquet files, by name; None if there are none.

    Reads every byte of the files, so that all tools find them in the page cache.
    """
    files = tuple(sorted(folder.glob("*.parquet")))
    if not files:
        return None
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return Documents(name, files, text_lengths(files), digest.hexdigest())


def positions_of(doc_ids: npt.NDArray[np.uint64], files: Iterable[Path]) -> Ints:
    """Return the positions over all files, in order, of documents that an audit of them names."""
    counts = [pq.read_metadata(file).num_rows for file in files]
    # The high half numbers the files by URI, which is the order they are given in here.
    file, row = np.divmod(doc_ids, np.uint64(2**32))
    firsts = np.cumsum([0, *counts[:-1]])
    return firsts[file.astype(np.int64)] + row.astype(np.int64)


def text_lengths(files: Iterable[Path]) -> Ints:
    """Return the bytes of every text of the files, in order."""
    lengths = [np.empty(0, np.int64)]
    for file in files:
        with pq.ParquetFile(file) as source:
            for batch in source.iter_batches(batch_size=4096, columns=["text"]):
                of_batch = pc.fill_null(pc.binary_length(batch.column(0)), 0)
                lengths.append(of_batch.to_numpy(zero_copy_only=False).astype(np.int64))
    return np.concatenate(lengths)


def read_texts(files: Iterable[Path]) -> Iterator[str]:
    """Yield every text of the files, in order; an empty one for null."""
    for file in files:
        with pq.ParquetFile(file) as source:
            for batch in source.iter_batches(batch_size=256, columns=["text"]):
                yield from (text or "" for text in batch.column(0).to_pylist())


def spread_rows(lengths: Ints, target_bytes: int) -> Bools:
    """Choose rows evenly spread over all, whatever their length, until their texts reach the target.

    Depends on the lengths and the target alone. All rows, where they do not reach it.
    """
    order = np.argsort(np.arange(len(lengths), dtype=np.uint64) * np.uint64(GOLDEN) % np.uint64(2**32))
    needed = int(np.searchsorted(np.cumsum(lengths[order]), target_bytes)) + 1
    chosen = np.zeros(len(lengths), bool)
    chosen[order[:needed]] = True
    return chosen


def first_rows(lengths: Ints, rows: int) -> Bools:
    """Choose the first rows whose text is not empty."""
    filled = lengths > 0
    return filled & (np.cumsum(filled) <= rows)


def cut(whole: Documents, name: str, chosen: Bools, work: Path) -> Documents:
    """Write the chosen rows, all columns, as Parquet files below `work`; found again the next time.

    A part keeps the order of the rows and which of the files they are in.
    """
    key = hashlib.sha256(f"{whole.digest} {ROW_GROUP_ROWS}".encode() + chosen.tobytes()).hexdigest()
    folder = work / "parts" / f"{name}-{key[:16]}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write_rows(whole.files, chosen, partial)
        partial.rename(folder)
    part = read_documents(name, folder)
    if part is None:
        raise ValueError(f"{name}: no row was chosen of {whole.count} of {whole.name}")
    return part


def _write_rows(files: Iterable[Path], chosen: Bools, folder: Path) -> None:
    start = 0
    for file in files:
        table = pq.read_table(file)
        rows = np.flatnonzero(chosen[start : start + len(table)])
        start += len(table)
        if len(rows):
            pq.write_table(
                table.take(rows), folder / file.name, row_group_size=ROW_GROUP_ROWS, compression="zstd"
            )
