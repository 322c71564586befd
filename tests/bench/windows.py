"""The windows that occur at least twice, by our audit and by the scripts in peers/, and if both agree.

A window is a run of so many tokens (25, as an audit has it) or bytes. Both sides are read as runs of
windows that begin at neighbouring places of one document, over all documents, copies included, so
that equal answers are equal arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from sets import positions_of
from truth import Ints, ranges

WINDOW_TOKENS = 25


@dataclass(frozen=True, eq=False)
class Repeats:
    """Repeated windows of all documents.

    window: tokens or bytes in one.
    units: tokens or bytes of all documents together.
    document, first, windows: (runs,) the run begins at `first` of the document and has so many
        windows; ascending, no two of a document touch.
    distinct: number of different windows; None if it was not counted.
    places: number of windows by the tables' own counts, if they have any.
    told: (documents,) repeated tokens of each as the tables have them, -1 for none, if they do.
    """

    window: int
    units: int
    document: Ints
    first: Ints
    windows: Ints
    distinct: int | None = None
    places: int | None = None
    told: Ints | None = None

    @property
    def count(self) -> int:
        """Number of places where a repeated window begins."""
        return int(self.windows.sum())

    @property
    def covered(self) -> Ints:
        """(runs,) tokens or bytes that lie in the run's windows and in no earlier run's."""
        stop = self.first + self.windows + self.window - 1
        begin = self.first.copy()
        follows = self.document[1:] == self.document[:-1]
        begin[1:][follows] = np.maximum(begin[1:], stop[:-1])[follows]
        return stop - begin

    @property
    def repeated_fraction(self) -> float | None:
        """Share of the tokens or bytes that lie in a repeated window; None where there are none."""
        return int(self.covered.sum()) / self.units if self.units else None

    def codes(self) -> Ints:
        """Return one number for each window's place, ascending."""
        place: Ints = (self.document << 32) + self.first
        return ranges(place, self.windows)


@dataclass(frozen=True)
class Agreement:
    """How far our windows are from those of a suffix array; all zero if they agree.

    missing, extra: places that only the suffix array, or only our audit, has.
    distinct: difference of the numbers of distinct windows.
    places: of all places and those that our occurrences add up to.
    documents: how many have another number of repeated tokens than their windows cover.
    tokens: difference of the numbers of tokens of all documents.
    """

    missing: int
    extra: int
    distinct: int
    places: int
    documents: int
    tokens: int


def agreement_of(ours: Repeats, theirs: Repeats) -> Agreement:
    """Compare our answer with a suffix array's over the same documents and windows of the same length."""
    missing = extra = 0
    runs = [(each.document, each.first, each.windows) for each in (ours, theirs)]
    if not all(map(np.array_equal, *runs)):
        own, other = ours.codes(), theirs.codes()
        missing = len(np.setdiff1d(other, own, assume_unique=True))
        extra = len(np.setdiff1d(own, other, assume_unique=True))
    return Agreement(
        missing,
        extra,
        distinct=abs((ours.distinct or 0) - (theirs.distinct or 0)),
        places=abs((theirs.count if ours.places is None else ours.places) - theirs.count),
        documents=0 if ours.told is None else _told_wrong(ours.told, theirs),
        tokens=abs(ours.units - theirs.units),
    )


def _told_wrong(told: Ints, theirs: Repeats) -> int:
    covered = np.zeros(len(told), np.int64)
    np.add.at(covered, theirs.document, theirs.covered)
    return int((told[told >= 0] != covered[told >= 0]).sum() + (covered[told < 0] > 0).sum())


def read_runs(path: Path) -> Repeats:
    """Read what a suffix-array script wrote."""
    table = pq.read_table(path)
    facts = {name.decode(): int(value) for name, value in table.schema.metadata.items()}
    document, first, windows = (table.column(name).to_numpy() for name in ("document", "first", "windows"))
    distinct = None if facts["distinct"] < 0 else facts["distinct"]
    return Repeats(facts["window"], facts["units"], document, first, windows, distinct)


def read_ours(run: Path, files: Sequence[Path]) -> Repeats:
    """Read the windows that the passages of an audit are made of.

    Spans are in the first document of each text; here they are in every document with that text.
    Raises ValueError where a window is in two spans, which would count it twice.
    """
    documents = pq.read_table(run / "documents", columns=["doc_id", "text_id", "n_tokens", "repeated_tokens"])
    spans = pq.read_table(run / "spans", columns=["text_id", "token_start", "tokens"])
    passages = pq.read_table(run / "passages", columns=["tokens", "occurrences"])
    position = positions_of(documents.column("doc_id").to_numpy(), files)
    lengths = passages.column("tokens").to_numpy() - WINDOW_TOKENS + 1
    told = np.full(sum(pq.read_metadata(file).num_rows for file in files), -1, np.int64)
    repeated = documents.column("repeated_tokens")
    told[position[repeated.is_valid().to_numpy()]] = repeated.drop_null().to_numpy()
    return Repeats(
        WINDOW_TOKENS,
        int(documents.column("n_tokens").to_numpy().sum()),
        *joined_runs(*_windows_of_documents(position, documents.column("text_id").to_numpy(), spans)),
        distinct=int(lengths.sum()),
        places=int((lengths * passages.column("occurrences").to_numpy()).sum()),
        told=told,
    )


def _windows_of_documents(
    position: Ints, texts: npt.NDArray[np.uint64], spans: pa.Table
) -> tuple[Ints, Ints, Ints]:
    # Document, first window and number of windows of each span in each document with its text.
    text_id, start = spans.column("text_id").to_numpy(), spans.column("token_start").to_numpy()
    by_text = np.lexsort((start, text_id))
    begin = np.searchsorted(text_id[by_text], texts, side="left")
    counts = np.searchsorted(text_id[by_text], texts, side="right") - begin
    by_position = np.argsort(position)
    span = by_text[ranges(begin[by_position], counts[by_position])]
    windows = spans.column("tokens").to_numpy()[span] - WINDOW_TOKENS + 1
    return np.repeat(position[by_position], counts[by_position]), start[span], windows


def joined_runs(document: Ints, first: Ints, windows: Ints) -> tuple[Ints, Ints, Ints]:
    """Return the longest runs that runs make, which come by document and first window.

    Raises ValueError where two of them share a window.
    """
    if not len(document):
        return document, first, windows
    same = document[1:] == document[:-1]
    stop = first + windows
    shared = int((same & (first[1:] < stop[:-1])).sum())
    if shared or (windows < 1).any():
        raise ValueError(f"spans: got {shared} that share windows with the one before, need 0")
    begins = np.concatenate([[0], np.flatnonzero(~(same & (first[1:] == stop[:-1]))) + 1])
    return document[begins], first[begins], np.add.reduceat(windows, begins)
