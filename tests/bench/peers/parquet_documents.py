"""Parquet input and output shared by the peer scripts.

Input files have a string column ``text``; documents are numbered by position, 0 to n-1, over the
files in the order given. Output has one row a document: ``position`` (int64) beside either
``group`` (int64, documents of one group were called duplicates of each other, -1 for none) or
``kept`` (bool, where a tool only says keep or remove).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def peer_parser(module_docstring: str | None) -> argparse.ArgumentParser:
    """Return the command line of a peer script: ``INPUT [INPUT ...] OUTPUT [--processes N]``."""
    parser = argparse.ArgumentParser(description=(module_docstring or "").partition("\n")[0])
    parser.add_argument("inputs", nargs="+", type=Path, help="Parquet files with a column `text`")
    parser.add_argument("output", type=Path, help="Parquet file to write, one row a document")
    parser.add_argument("--processes", type=int, default=2, help="processes to use, where the tool can")
    return parser


def read_batches(inputs: Iterable[Path], batch_rows: int = 256) -> Iterator[list[str]]:
    """Yield the texts of all files in order, `batch_rows` at a time; a null is an empty text."""
    for path in inputs:
        with pq.ParquetFile(path) as source:
            for batch in source.iter_batches(batch_size=batch_rows, columns=["text"]):
                yield [text or "" for text in batch.column(0).to_pylist()]


def count_documents(inputs: Iterable[Path]) -> int:
    """Return the number of rows of all files, from their footers."""
    return sum(pq.read_metadata(path).num_rows for path in inputs)


def groups_of_roots(roots: Mapping[int, int], documents: int) -> list[int]:
    """Turn a map from position to the root of its group into one group number a document.

    Groups are numbered by their smallest position; a document without a partner gets -1.
    """
    members: dict[int, list[int]] = {}
    for position, root in roots.items():
        members.setdefault(root, []).append(position)
    groups = [-1] * documents
    for positions in members.values():
        if len(positions) > 1:
            smallest = min(positions)
            for position in positions:
                groups[position] = smallest
    return groups


def link_numbered(inputs: Iterable[Path], folder: Path) -> list[Path]:
    """Link the files into an empty folder, under names that sort in the order given."""
    links = []
    for number, path in enumerate(inputs):
        link = folder / f"{number:05d}.parquet"
        link.symlink_to(path.resolve())
        links.append(link)
    return links


def write_groups(output: Path, groups: Sequence[int]) -> None:
    """Write one row a document with the group it was put in, -1 for none."""
    _write(output, "group", pa.array(groups, pa.int64()))


def write_kept(output: Path, kept: Sequence[bool]) -> None:
    """Write one row a document that says whether the tool keeps it."""
    _write(output, "kept", pa.array(kept, pa.bool_()))


def _write(output: Path, name: str, values: pa.Array) -> None:
    positions = pa.array(range(len(values)), pa.int64())
    pq.write_table(pa.table({"position": positions, name: values}), output)
