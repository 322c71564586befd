"""What is kept of the passages of a segment: where they stand, how they begin, how its texts were cut.

Of the tables here, those of one night belong together. They name texts by their number among the
segment's anchored ones, so that they hold whatever documents there are besides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import table_of, uint64
from pipeline.mapped import read_mapped, write_mapped

# What decided how a text was cut, see `kernels.unitigs.sign`.
SIGNED = pa.schema([("number", pa.int64()), ("signature", pa.uint64())])
# In the order of the texts; `passage`: its row among the segment's passages. Every night writes all of
# them, so they are narrow: WIDE only if some text is over 4 GB.
_OF_PLACES = ("number", "token_start", "tokens", "byte_start", "byte_end", "passage")
PLACES = pa.schema([(name, pa.uint32()) for name in _OF_PLACES])
WIDE = pa.schema([(name, pa.int64() if 0 < i < 5 else pa.uint32()) for i, name in enumerate(_OF_PLACES)])
# By passage_id: what the segment has of each, copies of texts counted, and its first place there.
PASSAGES = pa.schema(
    [
        ("passage_id", pa.uint64()),
        ("predictable", pa.bool_()),
        *((name, pa.int64()) for name in ("occurrences", "documents", "texts")),
        ("doc_id", pa.uint64()),
        ("number", pa.int64()),
        *((name, pa.int64()) for name in ("tokens", "byte_start", "byte_end")),
    ]
)
# By passage_id: how passages begin in a text that was the first in the segment to hold it, once.
BEGINNINGS = pa.schema([("passage_id", pa.uint64()), ("number", pa.int64()), ("text", pa.large_string())])
MOST_FILES = 8  # of beginnings of one segment: each is opened for every range of keys


@dataclass(frozen=True)
class Standing:
    """What is kept of a segment's passages: tables of the schemas here, beginnings in several."""

    signed: str
    places: str
    passages: str
    beginnings: tuple[str, ...]

    def numbers(self) -> NDArray[np.int64]:
        """The texts that were cut."""
        return np.asarray(read_mapped(self.signed, ["number"]).column("number").to_numpy())


def places_table(*columns: NDArray[np.uint32] | NDArray[np.int64]) -> pa.Table:
    """A table of `PLACES`, or of `WIDE`."""
    return table_of(PLACES if columns[1].dtype == np.uint32 else WIDE, *columns)


def places_within(standing: Standing, first: int, stop: int) -> pa.Table:
    """The places in the texts first, first + 1, ..., stop - 1: `PLACES`, or `WIDE`."""
    table = read_mapped(standing.places)
    # Edges of another type would have the whole column converted.
    edges = np.array([first, stop], np.uint32)
    begin, end = np.searchsorted(table.column("number").to_numpy(), edges).tolist()
    return table.slice(begin, end - begin)


def write_beginnings(
    earlier: tuple[str, ...], new: pa.Table, passages: pa.Table, path: str
) -> tuple[str, ...]:
    """Write how passages begin beside what there is; when there are many files, one is made of them.

    Args:
        new: `BEGINNINGS`, sorted. passages: those of the segment now: the others are left out then.
    """
    if len(earlier) + bool(len(new)) <= MOST_FILES:
        return (*earlier, write_mapped(new, path)) if len(new) else earlier
    every = pa.concat_tables([*(read_mapped(file) for file in earlier), new])
    rows = rows_shown(every, uint64(passages, "passage_id"), passages.column("number").to_numpy())[1]
    return (write_mapped(every.take(pa.array(rows)), path),)


def rows_shown(
    beginnings: pa.Table, passage_id: NDArray[np.uint64], number: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of some passages (sorted) and texts, those of which it is told how the one begins in the other.

    Returns:
        Their places among the passages, ascending, and a row of `beginnings` for each.
    """
    at = np.searchsorted(passage_id, uint64(beginnings, "passage_id"))
    inside = np.flatnonzero(at < len(passage_id))
    at, told = at[inside], beginnings.column("number").to_numpy()[inside]
    fits = (passage_id[at] == uint64(beginnings, "passage_id")[inside]) & (number[at] == told)
    row = np.full(len(passage_id), -1, np.int64)
    row[at[fits]] = inside[fits]
    found = np.flatnonzero(row >= 0)
    return found, row[found]


def signed_table(number: NDArray[np.int64], signature: NDArray[np.uint64]) -> pa.Table:
    """A table of `SIGNED`."""
    return table_of(SIGNED, number, signature)
