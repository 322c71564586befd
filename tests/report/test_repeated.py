"""The passages of the page, and where they stand."""

from __future__ import annotations

from pathlib import Path

from pipeline.report.model import read_report
from pipeline.report.repeated import passages_section
from tests.report.tables import Row, manifest_of, write_run


def _place(passage: int, file: str, row: int, copies: int = 1) -> Row:
    where = {"passage_id": passage, "doc_id": row, "uri": file, "row": row, "copies": copies}
    return {**where, "byte_start": 1000 * row, "byte_end": 1000 * row + 150}


def test_places_of_a_passage_are_listed_and_the_rest_counted(tmp_path: Path) -> None:
    passages: list[Row] = [
        {"passage_id": 1, "occurrences": 9, "tokens": 100, "text": "one"},
        {"passage_id": 2, "occurrences": 3, "tokens": 50, "text": "two"},
        {"passage_id": 3, "occurrences": 2, "tokens": 25, "text": "three"},
    ]
    places = [
        _place(1, "a.jsonl", 1, 3),
        _place(1, "b.jsonl", 2),
        _place(2, "a.jsonl", 3, 2),
        _place(2, "c", 4),
    ]
    report = read_report(write_run(tmp_path, passages=passages, places=places), manifest_of())
    (grid,) = passages_section(report).grids
    assert [row[0].place.splitlines() for row in grid.rows] == [
        [
            "a.jsonl, row 1 · bytes 1,000 to 1,150 · and in 2 copies of it",
            "b.jsonl, row 2 · bytes 2,000 to 2,150",
            "and 5 more",
        ],
        [
            "a.jsonl, row 3 · bytes 3,000 to 3,150 · and in 1 copy of it",
            "c, row 4 · bytes 4,000 to 4,150",
        ],
        [],
    ]
