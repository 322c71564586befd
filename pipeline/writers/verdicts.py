"""What a keep list says of the rows of a file, streamed in step with the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import read_output, uint64

Range = tuple[int, int]
T = TypeVar("T")
# Lines and records are judged many at a time, since one at a time takes as long as to copy 20 kB.
ROWS_AT_ONCE, BYTES_AT_ONCE = 1024, 1 << 22


@dataclass(frozen=True)
class ListPart:
    """One part of a keep list: the documents from `first_doc` on, and what is cut out of them."""

    first_doc: int
    documents: str
    cuts: str | None


@dataclass(frozen=True)
class Ruling:
    """What happens to consecutive rows.

    keep: bool[rows]; a row that is no document, because it could not be audited, stays.
    cuts: the bytes to cut out of the text, by place among the rows.
    """

    keep: NDArray[np.bool_]
    cuts: dict[int, list[Range]]


class Judged(NamedTuple, Generic[T]):
    """A stretch of a file with the number of its row, whether it stays, and what is cut out of it."""

    item: T
    row: int
    keep: bool
    cuts: list[Range] | None


class Verdicts:
    """The rows of files, one file after the other; asked from front to back, it holds one part of the
    list at a time. It counts the rows of a file: documents that stay or go, and those passed through
    because they were not audited."""

    def __init__(self, parts: Sequence[ListPart]) -> None:
        self._parts = parts
        self._begins = np.array([part.first_doc for part in parts], np.uint64)
        self._held = -1
        self.begin(0)

    def begin(self, file_id: int) -> None:
        """Go to the first row of a file."""
        self._first = file_id << 32
        self.rows = self.kept = self.dropped = self.passed = 0

    def following(self, n: int) -> Ruling:
        """What happens to the next `n` rows."""
        low = self._first + self.rows
        known, keep = np.zeros(n, bool), np.ones(n, bool)
        cuts: dict[int, list[Range]] = {}
        for number in self._parts_of(low, low + n):
            self._hold(number)
            at = slice(*np.searchsorted(self._doc_id, np.array([low, low + n], np.uint64)).tolist())
            places = (self._doc_id[at] - np.uint64(low)).astype(np.int64)
            known[places], keep[places] = True, self._keep[at]
            self._add_cuts(low, low + n, cuts)
        self.rows += n
        self.kept += int((known & keep).sum())
        self.dropped += n - int(keep.sum())
        self.passed += n - int(known.sum())
        return Ruling(keep, cuts)

    def over(self, items: Iterable[tuple[T, int, bool]]) -> Iterator[Judged[T]]:
        """What happens to the following stretches of a file, each given with its size and whether it is
        a row; what is none stays."""
        held: list[tuple[T, bool]] = []
        size = 0
        for item, n_bytes, is_row in items:
            held.append((item, is_row))
            size += n_bytes
            if len(held) >= ROWS_AT_ONCE or size >= BYTES_AT_ONCE:
                yield from self._judged(held)
                held, size = [], 0
        yield from self._judged(held)

    def _judged(self, held: list[tuple[T, bool]]) -> Iterator[Judged[T]]:
        first, ruling = self.rows, self.following(sum(is_row for _, is_row in held))
        keep, at = ruling.keep.tolist(), 0
        for item, is_row in held:
            if is_row:
                yield Judged(item, first + at, keep[at], ruling.cuts.get(at))
                at += 1
            else:
                yield Judged(item, first + at, True, None)

    def _parts_of(self, low: int, high: int) -> range:
        before = int(np.searchsorted(self._begins, np.uint64(low), "right"))
        return range(max(0, before - 1), int(np.searchsorted(self._begins, np.uint64(high))))

    def _hold(self, number: int) -> None:
        if number == self._held:
            return
        part = self._parts[number]
        table = read_output(part.documents, ["doc_id", "keep"])
        self._doc_id, self._keep = uint64(table, "doc_id"), np.asarray(table.column("keep"))
        names = ["doc_id", "byte_start", "byte_end"]
        self._cuts = None if part.cuts is None else read_output(part.cuts, names)
        self._held = number

    def _add_cuts(self, low: int, high: int, cuts: dict[int, list[Range]]) -> None:
        if self._cuts is None:
            return
        doc_id = uint64(self._cuts, "doc_id")
        first, last = np.searchsorted(doc_id, np.array([low, high], np.uint64)).tolist()
        columns = (
            self._cuts.column(name)[first:last].to_pylist() for name in ("doc_id", "byte_start", "byte_end")
        )
        for doc, start, end in zip(*columns, strict=True):
            cuts.setdefault(doc - low, []).append((start, end))
