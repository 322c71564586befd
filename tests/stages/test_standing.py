"""How passages begin, as it is kept from night to night."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.artifacts import table_of
from pipeline.stages import standing
from pipeline.stages.standing import BEGINNINGS, rows_shown, write_beginnings
from tests.stages.steps import rows_of

Rows = list[tuple[int, int, str]]


def _table(rows: Rows) -> pa.Table:
    ids, numbers, texts = ([row[i] for row in rows] for i in range(3))
    return table_of(
        BEGINNINGS, np.array(ids, np.uint64), np.array(numbers, np.int64), pa.array(texts, pa.large_string())
    )


def _passages(rows: list[tuple[int, int]]) -> pa.Table:
    table = standing.PASSAGES.empty_table().to_pydict()
    ids, numbers = ([row[i] for row in rows] for i in range(2))
    zeros = {name: [0] * len(rows) for name in table}
    columns = {**zeros, "passage_id": ids, "number": numbers, "predictable": [False] * len(rows)}
    return pa.Table.from_pydict(columns, standing.PASSAGES)


def test_rows_shown_are_those_of_the_text_that_is_asked_for() -> None:
    table = _table([(1, 5, "a"), (3, 5, "b"), (3, 6, "c"), (9, 1, "d")])
    at, rows = rows_shown(table, np.array([1, 2, 3, 9], np.uint64), np.array([5, 5, 6, 2]))
    assert (at.tolist(), rows.tolist()) == ([0, 2], [0, 2])
    assert [part.tolist() for part in rows_shown(table, np.zeros(0, np.uint64), np.zeros(0, np.int64))] == [
        [],
        [],
    ]


def test_files_are_added_until_there_are_many_and_then_hold_what_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "MOST_FILES", 2)
    files: tuple[str, ...] = ()
    nights: list[Rows] = [[(1, 0, "a"), (4, 0, "b")], [(2, 3, "c")], [(1, 7, "again"), (6, 1, "d")]]
    passages = _passages([(1, 7), (2, 3), (6, 1)])
    counts = []
    for number, rows in enumerate(nights):
        files = write_beginnings(files, _table(rows), passages, str(tmp_path / f"{number}.arrow"))
        counts.append(len(files))
    assert counts == [1, 2, 1]
    assert [tuple(row.values()) for row in rows_of(files[0])] == [(1, 7, "again"), (2, 3, "c"), (6, 1, "d")]


def test_nothing_new_is_no_file(tmp_path: Path) -> None:
    files = write_beginnings(("x",), _table([]), _passages([]), str(tmp_path / "y.arrow"))
    assert files == ("x",)
    assert list(tmp_path.iterdir()) == []
