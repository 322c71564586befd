"""Tests of windows: what an audit's passages stand for, and whether it agrees with a suffix array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from windows import Agreement, Repeats, agreement_of, joined_runs, read_ours

SECOND = 1 << 32
# Documents 0 and 3 have the same text of 60 tokens, document 1 is short, 2 is in no table, of 4's 40
# tokens the first 30 are tokens 20 to 49 of 0's. All of 0's text is repeated, its middle three times.
DOCUMENTS = {
    "doc_id": pa.array([0, 1, SECOND, SECOND + 1], pa.uint64()),
    "text_id": pa.array([77, 5, 77, 2**63], pa.uint64()),
    "n_tokens": pa.array([60, 10, 60, 40], pa.int64()),
    "repeated_tokens": pa.array([60, 0, 60, 30], pa.int64()),
}
SPANS = {
    "text_id": pa.array([77, 77, 77, 2**63], pa.uint64()),
    "token_start": pa.array([0, 20, 26, 0], pa.int64()),
    "tokens": pa.array([44, 30, 34, 30], pa.int64()),
}
PASSAGES = {"tokens": pa.array([44, 30, 34], pa.int64()), "occurrences": pa.array([2, 3, 2], pa.int64())}


def repeats(*runs: tuple[int, int, int], distinct: int | None = 36) -> Repeats:
    """Return an answer of windows of 25 tokens, of 170 in all."""
    document, first, windows = np.array(runs, np.int64).reshape(-1, 3).T
    return Repeats(25, 170, document, first, windows, distinct)


TRUE = repeats((0, 0, 36), (3, 0, 36), (4, 0, 6))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Return files of three and of two rows."""
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path, rows in zip(paths, (3, 2), strict=True):
        pq.write_table(pa.table({"text": ["x"] * rows}), path)
    return paths


def audit(tmp_path: Path, **changed: dict[str, pa.Array]) -> Path:
    """Write the tables of an audit."""
    for name, columns in {"documents": DOCUMENTS, "spans": SPANS, "passages": PASSAGES, **changed}.items():
        (tmp_path / "run" / name).mkdir(parents=True)
        pq.write_table(pa.table(columns), tmp_path / "run" / name / "part-00000.parquet")
    return tmp_path / "run"


def test_passages_are_windows_in_every_document_with_the_text(tmp_path: Path, files: list[Path]) -> None:
    ours = read_ours(audit(tmp_path), files)
    assert (ours.document.tolist(), ours.first.tolist(), ours.windows.tolist()) == (
        [0, 3, 4],
        [0, 0, 0],
        [36, 36, 6],
    )
    assert (ours.units, ours.count, ours.distinct, ours.places) == (170, 78, 36, 78)
    assert ours.repeated_fraction == 150 / 170
    assert agreement_of(ours, TRUE) == Agreement(0, 0, 0, 0, 0, 0)


def test_what_differs_is_counted(tmp_path: Path, files: list[Path]) -> None:
    ours = read_ours(audit(tmp_path), files)
    theirs = repeats((0, 0, 36), (3, 1, 35), (4, 0, 8), distinct=37)
    assert agreement_of(ours, theirs) == Agreement(
        missing=2, extra=1, distinct=1, places=1, documents=2, tokens=0
    )
    assert agreement_of(repeats(), repeats()) == Agreement(0, 0, 0, 0, 0, 0)


def test_an_audit_without_passages_misses_all(tmp_path: Path, files: list[Path]) -> None:
    documents = {**DOCUMENTS, "repeated_tokens": pa.array([0, 0, 0, 0], pa.int64())}
    spans = {name: values[:0] for name, values in SPANS.items()}
    passages = {name: values[:0] for name, values in PASSAGES.items()}
    ours = read_ours(audit(tmp_path, documents=documents, spans=spans, passages=passages), files)
    assert agreement_of(ours, TRUE) == Agreement(
        missing=78, extra=0, distinct=36, places=78, documents=3, tokens=0
    )


def test_a_window_in_two_spans_is_refused(tmp_path: Path, files: list[Path]) -> None:
    spans = {**SPANS, "tokens": pa.array([45, 30, 34, 30], pa.int64())}
    with pytest.raises(ValueError, match="got 2 that share windows"):
        read_ours(audit(tmp_path, spans=spans), files)


def test_runs_are_joined_where_they_touch_in_one_document() -> None:
    columns = [np.array(column) for column in ([0, 0, 0, 1], [0, 2, 5, 6], [2, 2, 1, 1])]
    joined = joined_runs(columns[0], columns[1], columns[2])
    assert [column.tolist() for column in joined] == [[0, 0, 1], [0, 5, 6], [4, 1, 1]]


def test_a_token_in_two_windows_is_covered_once() -> None:
    found = repeats((0, 0, 1), (0, 10, 1), (0, 90, 2), (1, 0, 1))
    assert found.covered.tolist() == [25, 10, 26, 25]
