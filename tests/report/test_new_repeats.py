"""The part of the page about what is new."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.report.model import read_report
from pipeline.report.new_repeats import new_section
from pipeline.report.page import render
from pipeline.report.values import Grid, Section
from tests.report.tables import Row, manifest_of, write_run


def _manifest(new_files: int | None, documents: int | None = 40, **config: Any) -> dict[str, Any]:
    manifest = {**manifest_of(**config), "new_files": new_files, "earlier_run": "sunday"}
    if documents is not None:
        counts = {"files": new_files, "documents": documents}
        manifest["stages"].append({"stage": "new repeats", "counts": counts, "seconds": 1, "peak_bytes": 1})
    return manifest


def _row(number: int, kind: str, earlier: str = "a", repeated: int | None = 5, **more: Any) -> Row:
    row = {"doc_id": 1 << 32 | number, "uri": "b", "row": number, "n_tokens": 50, "kind": kind}
    return {**row, "earlier_uri": earlier, "earlier_row": 7, "repeated_tokens": repeated, **more}


def _section(folder: Path, manifest: dict[str, Any], rows: Sequence[Row] = ()) -> Section | None:
    return new_section(read_report(write_run(folder, manifest, new_repeats=rows), manifest))


def _cells(grid: Grid) -> list[list[str]]:
    return [[cell.shown for cell in row] for row in grid.rows]


ROWS = [
    _row(0, "exact", repeated=50, jaccard=1.0),
    _row(1, "near", "c", repeated=40, jaccard=0.8125),
    _row(2, "passage", "c", repeated=30, passage_tokens=30),
    _row(3, "passage", "c", repeated=45, passage_tokens=40),
]


def test_it_is_not_there_without_an_earlier_run(tmp_path: Path) -> None:
    for number, manifest in enumerate((manifest_of(), _manifest(None))):
        run = write_run(tmp_path / str(number), manifest)
        (run / "summary" / "new_repeats.parquet").unlink()  # nor is the table asked for
        assert new_section(read_report(run, manifest)) is None
        assert "New since" not in render(run, manifest)


def test_it_is_on_the_page_of_a_run_with_an_earlier_one(tmp_path: Path) -> None:
    manifest = _manifest(2)
    page = render(write_run(tmp_path, manifest, new_repeats=ROWS), manifest)
    assert '<section id="new"' in page
    assert '<a href="#new">New since the last run</a>' in page


def test_words_tell_how_many(tmp_path: Path) -> None:
    found = _section(tmp_path, _manifest(2), ROWS)
    assert found is not None
    assert found.words[0] == (
        "New are the documents of 2 files that were not in the run sunday, or had another content;"
        " all others are earlier."
    )
    assert found.words[1] == (
        "Of 40 new documents 4 (10.00%) repeat an earlier one: 1 exactly, 1 nearly, 2 in passages only."
    )
    assert len(found.words) == 2


def test_documents_linked_by_new_ones_are_told_if_there_are_any(tmp_path: Path) -> None:
    found = _section(tmp_path, _manifest(1), [*ROWS, _row(4, "cluster")])
    assert found is not None
    assert "1 nearly, 1 by way of other new documents, 2 in passages only." in found.words[1]


def test_nothing_new_and_nothing_repeated_are_told(tmp_path: Path) -> None:
    same, unlike = _section(tmp_path / "a", _manifest(0, 0)), _section(tmp_path / "b", _manifest(1, 1))
    assert same is not None
    assert unlike is not None
    assert same.words[0] == "Every file was in the run sunday, with the same content."
    assert unlike.words[1] == "Of 1 new document none repeats an earlier one."
    assert (same.grids, unlike.grids) == ((), ())


def test_numbers_by_kind(tmp_path: Path) -> None:
    found = _section(tmp_path, _manifest(2), ROWS)
    assert found is not None
    assert _cells(found.grids[0]) == [
        ["exact: same words", "1", "2.50%", "50", "50"],
        ["near copies", "1", "2.50%", "50", "40"],
        ["passages only", "2", "5.00%", "100", "75"],
    ]


def test_files_by_how_many_documents_repeat_them(tmp_path: Path) -> None:
    rows = [*ROWS, *(_row(10 + i, "exact", f"f{i:02d}") for i in range(12))]
    found = _section(tmp_path, _manifest(2), rows)
    assert found is not None
    assert _cells(found.grids[1])[:3] == [
        ["c", "3", "0", "1", "0", "2"],
        ["a", "1", "1", "0", "0", "0"],
        ["f00", "1", "1", "0", "0", "0"],
    ]
    assert len(found.grids[1].rows) == 10
    assert found.grids[1].note.endswith("The first 10 files.")


def test_those_that_repeat_most_stand_first(tmp_path: Path) -> None:
    found = _section(tmp_path / "a", _manifest(2), ROWS)
    assert found is not None
    assert _cells(found.grids[2]) == [
        ["b, row 0", "exact: same words", "a, row 7", "1", "50", "50", "-"],
        ["b, row 3", "passages only", "c, row 7", "-", "50", "45", "40"],
        ["b, row 1", "near copies", "c, row 7", "0.812", "50", "40", "-"],
        ["b, row 2", "passages only", "c, row 7", "-", "50", "30", "30"],
    ]
    assert found.grids[2].note == ""
    many = _section(tmp_path / "b", _manifest(2), [_row(i, "exact", repeated=i) for i in range(1030)])
    assert many is not None
    assert [row[0] for row in _cells(many.grids[2])] == [f"b, row {i:,}" for i in range(1029, 1009, -1)]
    assert many.grids[2].note.startswith("The 20 of which most is repeated, of 1,030;")


def test_without_passages_nothing_is_said_of_them(tmp_path: Path) -> None:
    rows = [_row(0, "exact", repeated=50, jaccard=1.0), _row(1, "near", repeated=None, jaccard=0.9)]
    found = _section(tmp_path, _manifest(1, passages={"enabled": False}), rows)
    assert found is not None
    assert found.words[1].endswith("1 exactly, 1 nearly.")
    assert [row[-1] for row in _cells(found.grids[0])] == ["50", "-"]


def test_shares_are_left_out_where_a_run_does_not_tell_its_documents(tmp_path: Path) -> None:
    found = _section(tmp_path, _manifest(2, None), ROWS)
    assert found is not None
    assert found.words[1].startswith("Of the new documents 4 repeat an earlier one:")
    assert [row[2] for row in _cells(found.grids[0])] == ["-", "-", "-"]
