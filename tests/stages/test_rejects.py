"""The rejects table: every row and file that could not be audited, once and in order."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.mapped import write_mapped
from pipeline.readers.rows import Piece
from pipeline.schemas import REJECTS
from pipeline.stages import rejects as stage
from pipeline.stages.inputs import InputFile, Shard, ShardPiece
from pipeline.stages.places import write_places
from pipeline.stages.rejects import first_reject, write_rejects
from pipeline.stages.scan import REJECTED, ScanResult
from tests.stages.steps import rows_of

Row = tuple[str, int | None, str, str]


def _file(file_id: int) -> InputFile:
    return InputFile(f"/data/{file_id:02d}", "jsonl", 1, "")


def _scanned(
    folder: Path, pieces: list[list[int]], rejects: dict[tuple[int, int], list[int]], rows: int = 100
) -> tuple[list[Shard], list[ScanResult], str]:
    """Shards by hand: the file of each piece, and the rejected rows of (shard, piece)."""
    shards, results = [], []
    for number, file_ids in enumerate(pieces):
        held = [
            ShardPiece(i, _file(i), Piece(_file(i).uri, "jsonl", at, at + 1, 1), None)
            for at, i in enumerate(file_ids)
        ]
        shards.append(Shard(number, tuple(held)))
        found = [
            {"piece": piece, "row": row, "reason": "null_text", "detail": f"{shard} {piece} {row}"}
            for (shard, piece), numbers in sorted(rejects.items())
            if shard == number
            for row in numbers
        ]
        path = write_mapped(pa.Table.from_pylist(found, REJECTED), folder / f"rejects-{number}")
        results.append(ScanResult(number, (), (rows,) * len(file_ids), path, len(found)))
    places = write_places(shards, [result.piece_rows for result in results], str(folder / "places"))
    return shards, results, places


def _bad(*file_ids: int) -> list[tuple[int, InputFile, InputError]]:
    return [(i, _file(i), InputError("it broke", where=_file(i).uri, fix="mend it")) for i in file_ids]


def _parts(folder: Path) -> list[list[Row]]:
    paths = sorted(folder.glob("part-*.parquet"))
    assert [path.name for path in paths] == [f"part-{i:05d}.parquet" for i in range(len(paths))]
    assert all(pq.read_schema(path).equals(REJECTS.arrow_schema(), check_metadata=True) for path in paths)
    return [[tuple(row.values()) for row in rows_of(path)] for path in paths]


@pytest.mark.parametrize("part_rows", [1, 2, 3, 5, 100])
def test_rejects_are_rows_and_files_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_rows: int
) -> None:
    monkeypatch.setattr(stage, "PART_ROWS", part_rows)
    rejects = {(0, 0): [3, 9], (0, 1): [0], (1, 0): [5], (1, 1): [2], (2, 0): [0, 1]}
    scanned = _scanned(tmp_path, [[1, 1], [1, 4], [7]], rejects)
    written = write_rejects(*scanned, _bad(9, 0, 3, 5, 8), str(tmp_path / "out"))
    unreadable = "unreadable_file"
    words = "it broke where: /data/{:02d} do: mend it"
    expected: list[Row] = [
        ("/data/00", None, unreadable, words.format(0)),
        ("/data/01", 3, "null_text", "0 0 3"),
        ("/data/01", 9, "null_text", "0 0 9"),
        ("/data/01", 100, "null_text", "0 1 0"),
        ("/data/01", 205, "null_text", "1 0 5"),
        ("/data/03", None, unreadable, words.format(3)),
        ("/data/04", 2, "null_text", "1 1 2"),
        ("/data/05", None, unreadable, words.format(5)),
        ("/data/07", 0, "null_text", "2 0 0"),
        ("/data/07", 1, "null_text", "2 0 1"),
        ("/data/08", None, unreadable, words.format(8)),
        ("/data/09", None, unreadable, words.format(9)),
    ]
    parts = _parts(tmp_path / "out")
    assert [row for part in parts for row in part] == expected
    assert written == len(expected)
    assert [len(part) for part in parts[:-1]] == [part_rows] * (len(parts) - 1)
    assert 0 < len(parts[-1]) <= part_rows


@pytest.mark.parametrize("part_rows", [2, 100])
def test_files_alone_are_rejected_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_rows: int
) -> None:
    monkeypatch.setattr(stage, "PART_ROWS", part_rows)
    scanned = _scanned(tmp_path, [], {})
    assert write_rejects(*scanned, _bad(2, 0, 1, 4, 3), str(tmp_path / "out")) == 5
    rows = [row for part in _parts(tmp_path / "out") for row in part]
    assert [uri for uri, _, _, _ in rows] == [f"/data/{i:02d}" for i in range(5)]


@pytest.mark.parametrize("pieces", [[], [[0], [1, 2]]])
def test_nothing_rejected_is_a_file_without_rows(tmp_path: Path, pieces: list[list[int]]) -> None:
    assert write_rejects(*_scanned(tmp_path, pieces, {}), [], str(tmp_path / "out")) == 0
    assert _parts(tmp_path / "out") == [[]]


def test_rejects_that_fill_their_parts_leave_no_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "PART_ROWS", 2)
    scanned = _scanned(tmp_path, [[0], [1]], {(0, 0): [1, 2], (1, 0): [3, 4]})
    assert write_rejects(*scanned, [], str(tmp_path / "out")) == 4
    assert [len(part) for part in _parts(tmp_path / "out")] == [2, 2]


def test_first_reject_is_named_with_its_place_and_reason(tmp_path: Path) -> None:
    shards, results, _ = _scanned(tmp_path, [[0], [1, 1]], {(1, 0): [7], (1, 1): [2]})
    assert first_reject(shards, results) == "/data/01, row 7: null_text (1 0 7)"
    shards, results, _ = _scanned(tmp_path, [[0], [1, 1]], {(1, 1): [2]})
    assert first_reject(shards, results) == "/data/01, row 2 of the part from 1: null_text (1 1 2)"
