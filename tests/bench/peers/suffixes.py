"""What a suffix array says about the windows of documents that occur at least twice.

The answer is a Parquet file with one row a run of such windows that follow each other in a
document: ``document`` (its position over all files), ``first`` (where the first of them begins in
it) and ``windows`` (how many they are), all int64, in that order. The length of a window, the number
of tokens or bytes of all documents and the number of distinct repeated windows (-1: not counted) are
in the file's metadata.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
# Of int32, or of int64 where the text takes it.
Indices = npt.NDArray[Any]

CHUNK_SUFFIXES = 1 << 22


def array_of_numbers(
    numbers: npt.NDArray[np.uint32], sort_bytes: Callable[[npt.NDArray[np.uint8]], Indices]
) -> Indices:
    """Return a suffix array of numbers from a function that makes one of bytes.

    Numbers are written with as few bytes as the largest needs, most significant first; of the
    suffixes of those bytes the ones are kept that begin with a number. That is how pydivsufsort
    sorts numbers too, but with 1, 2 or 4 bytes, and taking twice the memory to choose from.
    """
    width = max(1, (int(numbers.max()).bit_length() + 7) // 8)
    whole = numbers.astype(">u4").view(np.uint8).reshape(len(numbers), 4)
    written = np.ascontiguousarray(whole[:, 4 - width :]).ravel()
    del whole
    suffixes = sort_bytes(written)
    del written
    kept = np.empty(len(numbers), np.int32 if len(numbers) < 2**31 else np.int64)
    at = 0
    for start in range(0, len(suffixes), CHUNK_SUFFIXES):
        chunk = suffixes[start : start + CHUNK_SUFFIXES]
        chunk = chunk[chunk % width == 0]
        kept[at : at + len(chunk)] = chunk // width
        at += len(chunk)
    return kept


def repeated_places(suffixes: Indices, shared: Indices, window: int) -> tuple[Bools, int]:
    """Return whether the window that begins at each place occurs again, and how many distinct ones do.

    shared: length of the common prefix of each suffix and the next in the suffix array.
    """
    alike = shared >= window
    alike[-1:] = False
    repeated = np.zeros(len(suffixes), bool)
    for start in range(0, len(suffixes), CHUNK_SUFFIXES):
        here = alike[start : start + CHUNK_SUFFIXES]
        repeated[suffixes[start : start + len(here)][here]] = True
        with_next = here[: len(suffixes) - start - 1]
        repeated[suffixes[start + 1 : start + 1 + len(with_next)][with_next]] = True
    return repeated, int(alike[:1].sum() + (alike[1:] & ~alike[:-1]).sum())


def runs_in_documents(repeated: Bools, starts: Ints, ends: Ints, window: int) -> tuple[Ints, Ints, Ints]:
    """Return document, first window and number of windows of each run; `repeated` is used up.

    A window that reaches beyond its document's end is none.
    """
    lasts = np.maximum(starts, ends - window + 1)
    for stop, following in zip(lasts.tolist(), [*starts[1:].tolist(), len(repeated)], strict=True):
        repeated[stop:following] = False
    edges = np.flatnonzero(repeated[1:] != repeated[:-1]) + 1
    edges = np.concatenate([np.flatnonzero(repeated[:1]), edges, np.full(repeated[-1:].sum(), len(repeated))])
    begins, stops = edges[::2], edges[1::2]
    document = np.searchsorted(starts, begins, side="right") - 1
    return document, begins - starts[document], stops - begins


def write_runs(
    output: Path, runs: tuple[Ints, Ints, Ints], *, window: int, units: int, distinct: int = -1
) -> None:
    """Write the answer of a script."""
    facts = {"window": str(window), "units": str(units), "distinct": str(distinct)}
    columns = dict(zip(("document", "first", "windows"), runs, strict=True))
    pq.write_table(pa.table(columns).replace_schema_metadata(facts), output)
