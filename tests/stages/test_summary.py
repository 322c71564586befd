"""The summaries: sums over parts that are those over documents."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.artifacts import write_work
from pipeline.errors import InputError
from pipeline.readers.rows import Piece
from pipeline.schemas import BINS, HISTOGRAM, METRICS, REJECTS, SOURCES
from pipeline.stages import summary
from pipeline.stages.documents import BY_COPIES, BY_SOURCE, GRAINS, DocumentsResult
from pipeline.stages.inputs import InputFile, Shard, ShardPiece
from pipeline.stages.places import write_places
from pipeline.stages.scan import REJECTED, ScanResult
from pipeline.stages.summary import (
    PassageTotals,
    corpus_figures,
    first_reject,
    grain_figures,
    passage_figures,
    write_histogram,
    write_metrics,
    write_rejects,
    write_sources,
)
from tests.stages.steps import Written, all_rows, rows_of


def _bin(copies: int) -> int:
    """The lower end of the bin: 1, 2-5, 6-20, 21-100, 101-1000, over 1000."""
    return next(low for low in (1001, 101, 21, 6, 2, 1) if copies >= low)


def _part(
    folder: Path, number: int, copies: Sequence[tuple[str, int, int]] = (), **sources: Any
) -> DocumentsResult:
    """The sums of a part by hand; copies: (grain, copies, documents), 3 tokens and 5 bytes a document."""
    folder.mkdir(exist_ok=True)
    by_copies = [
        {"grain": grain, "copies": n, "documents": documents, "tokens": 3 * documents, "bytes": 5 * documents}
        for grain, n, documents in copies
    ]
    zeros = dict.fromkeys(BY_SOURCE.names[2:], 0)
    by_source = [zeros | {"source": name, "licence": None} | counts for name, counts in sources.items()]
    copied = write_work(pa.Table.from_pylist(by_copies, BY_COPIES), folder / f"copies-{number}")
    sourced = write_work(pa.Table.from_pylist(by_source, BY_SOURCE), folder / f"sources-{number}")
    return DocumentsResult("", copied, sourced, 0)


# --- histogram ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("copies", "name"),
    [
        (1, "1"),
        (2, "2-5"),
        (5, "2-5"),
        (6, "6-20"),
        (20, "6-20"),
        (21, "21-100"),
        (100, "21-100"),
        (101, "101-1000"),
        (1000, "101-1000"),
        (1001, ">1000"),
        (10**9, ">1000"),
    ],
)
def test_edge_of_a_bin_is_in_its_bin(tmp_path: Path, copies: int, name: str) -> None:
    write_histogram([_part(tmp_path, 0, [("exact", copies, 7 * copies)])], None, str(tmp_path / "out"))
    (row,) = (row for row in rows_of(tmp_path / "out") if row["documents"])
    assert (row["grain"], row["bin"], row["copies_min"]) == ("exact", name, _bin(copies))
    assert (row["documents"], row["groups"]) == (7 * copies, 7)
    assert (row["surplus_documents"], row["tokens"]) == (7 * (copies - 1), 21 * copies)
    assert row["bytes"] == 35 * copies


def test_every_bin_of_every_grain_has_a_row(tmp_path: Path) -> None:
    write_histogram([], None, str(tmp_path / "out"))
    rows = rows_of(tmp_path / "out")
    expected = [(grain, low, name) for grain in ("exact", "near", "raw") for low, name in BINS]
    assert [(row["grain"], row["copies_min"], row["bin"]) for row in rows] == expected
    names = ("documents", "groups", "surplus_documents", "tokens", "bytes")
    assert all(row[name] == 0 for row in rows for name in names)
    assert pq.read_schema(tmp_path / "out").equals(HISTOGRAM.arrow_schema(), check_metadata=True)


def test_parts_of_a_group_are_put_together(tmp_path: Path) -> None:
    # A group of 6 lies in three parts: two, three and one of its documents.
    parts = [_part(tmp_path, i, [("near", 6, n), ("near", 2, 1)]) for i, n in enumerate((2, 3, 1))]
    parts.append(_part(tmp_path, 3, [("near", 2, 1), ("near", 3, 3)]))
    write_histogram(parts, None, str(tmp_path / "out"))
    rows = {row["bin"]: row for row in rows_of(tmp_path / "out") if row["grain"] == "near"}
    assert (rows["6-20"]["documents"], rows["6-20"]["groups"]) == (6, 1)
    assert (rows["2-5"]["documents"], rows["2-5"]["groups"], rows["2-5"]["surplus_documents"]) == (7, 3, 4)
    figures = grain_figures(parts)
    assert figures["near_groups"] == (4, "groups")
    assert figures["near_surplus_documents"] == (9, "documents")


def test_histogram_is_that_of_the_documents(documented: Written, tmp_path: Path) -> None:
    documents = all_rows(documented.outputs)
    write_histogram(documented.results, None, str(tmp_path / "out"))
    for row in rows_of(tmp_path / "out"):
        column = GRAINS[row["grain"]]
        mine = [each for each in documents if _bin(each[column]) == row["copies_min"]]
        groups = sum(count // copies for copies, count in Counter(each[column] for each in mine).items())
        assert (row["documents"], row["groups"]) == (len(mine), groups)
        assert row["surplus_documents"] == len(mine) - groups
        assert row["tokens"] == sum(each["n_tokens"] for each in mine)
        assert row["bytes"] == sum(each["n_bytes"] for each in mine)


def test_passages_have_bins_of_their_own(tmp_path: Path) -> None:
    rows = [("passage", 1, 4), ("passage", 2, 3), ("passage", 7, 2), ("passage", 5000, 1), ("exact", 1, 10)]
    totals = PassageTotals((0, 11, 5, 3, 2, 1), (4, 3, 0, 0, 2), (9, 8, 0, 0, 7))
    write_histogram(
        [_part(tmp_path, 0, rows[:2]), _part(tmp_path, 1, rows[2:])], totals, str(tmp_path / "out")
    )
    every = rows_of(tmp_path / "out")
    assert [row["grain"] for row in every] == ["exact"] * 6 + ["near"] * 6 + ["passage"] * 6 + ["raw"] * 6
    mine = [row for row in every if row["grain"] == "passage"]
    assert [row["copies_min"] for row in mine] == [low for low, _ in BINS]
    assert [row["documents"] for row in mine] == [4, 3, 2, 0, 0, 1]
    assert [row["passages"] for row in mine] == [0, 11, 5, 3, 2, 1]
    # Of 30 tokens 9 lie in passages, of 50 bytes 24.
    assert [row["tokens"] for row in mine] == [21, 4, 3, 0, 0, 2]
    assert [row["bytes"] for row in mine] == [26, 9, 8, 0, 0, 7]
    assert {(row["groups"], row["surplus_documents"]) for row in mine} == {(None, None)}
    assert {row["passages"] for row in every if row["grain"] != "passage"} == {None}
    assert all(row["groups"] is not None for row in every if row["grain"] != "passage")


def test_copies_with_fewer_bytes_than_the_first_leave_no_negative_rest(tmp_path: Path) -> None:
    totals = PassageTotals((0, 1, 0, 0, 0, 0), (3, 0, 0, 0, 0), (99, 0, 0, 0, 0))
    write_histogram([_part(tmp_path, 0, [("passage", 2, 1)])], totals, str(tmp_path / "out"))
    mine = [row for row in rows_of(tmp_path / "out") if row["grain"] == "passage"]
    assert [row["tokens"] for row in mine] == [0, 3, 0, 0, 0, 0]
    assert [row["bytes"] for row in mine] == [0, 99, 0, 0, 0, 0]


def test_passages_of_a_source_are_null_where_they_were_not_looked_for(tmp_path: Path) -> None:
    part = _part(tmp_path, 0, web={"documents": 3, "tokens": 8, "passage_documents": 2, "passage_tokens": 6})
    empty = _part(tmp_path, 1, none={"documents": 1})
    names = ("passage_repeated_documents", "passage_repeated_tokens_fraction")
    for wanted, values in ((True, [(0, 0.0), (2, 0.75)]), (False, [(None, None)] * 2)):
        write_sources([part, empty], wanted, str(tmp_path / "out"))
        assert [tuple(row[name] for name in names) for row in rows_of(tmp_path / "out")] == values


def test_figures_of_passages_are_sums_over_sources(tmp_path: Path) -> None:
    one = _part(tmp_path, 0, web={"tokens": 8, "passage_documents": 2, "passage_tokens": 6})
    two = _part(tmp_path, 1, web={"tokens": 8}, books={"tokens": 8, "passage_documents": 1})
    assert passage_figures([one, two]) == {
        "passage_repeated_documents": (3, "documents"),
        "passage_repeated_tokens": (6, "tokens"),
        "passage_repeated_tokens_fraction": (0.25, "0 to 1"),
    }
    assert passage_figures([])["passage_repeated_tokens_fraction"] == (None, "0 to 1")


# --- sources --------------------------------------------------------------------------------------


def test_sources_are_those_of_the_documents(documented: Written, tmp_path: Path) -> None:
    by_source = defaultdict(list)
    for row in all_rows(documented.outputs):
        by_source[row["source"]].append(row)
    write_sources(documented.results, False, str(tmp_path / "out"))
    rows = rows_of(tmp_path / "out")
    assert [row["source"] for row in rows] == sorted(by_source) == list("abcd")
    for row in rows:
        mine = by_source[row["source"]]
        tokens = sum(each["n_tokens"] for each in mine)
        assert (row["licence"], row["documents"], row["tokens"]) == (None, len(mine), tokens)
        assert row["bytes"] == sum(each["n_bytes"] for each in mine)
        assert row["kept_documents"] == sum(each["keep"] for each in mine)
        for grain, column in GRAINS.items():
            again = [each for each in mine if each[column] >= 2]
            assert row[f"{grain}_repeated_documents"] == len(again)
            share = sum(each["n_tokens"] for each in again) / tokens
            assert row[f"{grain}_repeated_tokens_fraction"] == share
    assert pq.read_schema(tmp_path / "out").equals(SOURCES.arrow_schema(), check_metadata=True)


def test_sums_of_a_source_are_those_of_its_parts(tmp_path: Path) -> None:
    one = _part(
        tmp_path, 0, web={"documents": 2, "tokens": 10, "raw_tokens": 1, "ok": 2}, books={"documents": 1}
    )
    two = _part(tmp_path, 1, web={"documents": 3, "tokens": 30, "raw_tokens": 9, "empty": 3, "kept": 2})
    write_sources([one, two], False, str(tmp_path / "out"))
    books, web = rows_of(tmp_path / "out")
    assert (web["source"], web["documents"], web["tokens"], web["kept_documents"]) == ("web", 5, 40, 2)
    assert web["raw_repeated_tokens_fraction"] == 0.25
    assert (books["documents"], books["near_repeated_tokens_fraction"]) == (1, 0.0)
    figures = corpus_figures([one, two])
    assert (figures["documents"], figures["tokens"]) == ((6, "documents"), (40, "tokens"))
    assert (figures["ok_documents"][0], figures["short_documents"][0], figures["empty_documents"][0]) == (
        2,
        0,
        3,
    )


def test_unknown_source_comes_first_and_is_not_the_text_null(tmp_path: Path) -> None:
    part = _part(tmp_path, 0, null={"documents": 1}, none={"documents": 2, "source": None})
    write_sources([part], False, str(tmp_path / "out"))
    assert [(row["source"], row["documents"]) for row in rows_of(tmp_path / "out")] == [
        (None, 2),
        ("null", 1),
    ]


# --- figures --------------------------------------------------------------------------------------


def test_figures_are_those_of_the_documents(documented: Written) -> None:
    documents = all_rows(documented.outputs)
    figures = {name: value for name, (value, _) in grain_figures(documented.results).items()}
    for grain, column in GRAINS.items():
        again = [row for row in documents if row[column] > 1]
        counts = Counter(row[column] for row in documents)
        groups = {copies: count // copies for copies, count in counts.items()}
        assert figures[f"{grain}_distinct"] == sum(groups.values())
        assert figures[f"{grain}_groups"] == sum(n for copies, n in groups.items() if copies > 1)
        assert figures[f"{grain}_grouped_documents"] == len(again)
        assert figures[f"{grain}_surplus_documents"] == len(documents) - sum(groups.values())
        assert figures[f"{grain}_surplus_fraction"] == (len(documents) - sum(groups.values())) / len(
            documents
        )
        tokens = sum(row["n_tokens"] for row in again) / sum(row["n_tokens"] for row in documents)
        assert figures[f"{grain}_repeated_tokens_fraction"] == tokens
        assert figures[f"{grain}_largest_group"] == max(counts)
    corpus = {name: value for name, (value, _) in corpus_figures(documented.results).items()}
    statuses = Counter(row["status"] for row in documents)
    assert {name: corpus[f"{name}_documents"] for name in statuses} == statuses
    assert corpus["bytes"] == sum(row["n_bytes"] for row in documents)


def test_corpus_without_documents_has_figures_without_shares() -> None:
    figures = grain_figures([]) | corpus_figures([])
    assert {name for name, (value, _) in figures.items() if value is None} == {
        f"{grain}_{name}"
        for grain in GRAINS
        for name in ("surplus_fraction", "repeated_tokens_fraction", "largest_group")
    }
    assert {value for value, _ in figures.values()} == {0, None}


def test_metrics_are_in_order_of_their_names(tmp_path: Path) -> None:
    write_metrics(
        {"b": (1, "texts"), "a": (None, "0 to 1"), "c": (0, "pairs"), "d": (0.25, "0 to 1")},
        str(tmp_path / "out"),
    )
    assert [tuple(row.values()) for row in rows_of(tmp_path / "out")] == [
        ("a", None, "0 to 1"),
        ("b", 1.0, "texts"),
        ("c", 0.0, "pairs"),
        ("d", 0.25, "0 to 1"),
    ]
    assert pq.read_schema(tmp_path / "out").equals(METRICS.arrow_schema(), check_metadata=True)


# --- rejects --------------------------------------------------------------------------------------

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
        path = write_work(pa.Table.from_pylist(found, REJECTED), folder / f"rejects-{number}")
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
    monkeypatch.setattr(summary, "PART_ROWS", part_rows)
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
    monkeypatch.setattr(summary, "PART_ROWS", part_rows)
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
    monkeypatch.setattr(summary, "PART_ROWS", 2)
    scanned = _scanned(tmp_path, [[0], [1]], {(0, 0): [1, 2], (1, 0): [3, 4]})
    assert write_rejects(*scanned, [], str(tmp_path / "out")) == 4
    assert [len(part) for part in _parts(tmp_path / "out")] == [2, 2]


def test_first_reject_is_named_with_its_place_and_reason(tmp_path: Path) -> None:
    shards, results, _ = _scanned(tmp_path, [[0], [1, 1]], {(1, 0): [7], (1, 1): [2]})
    assert first_reject(shards, results) == "/data/01, row 7: null_text (1 0 7)"
    shards, results, _ = _scanned(tmp_path, [[0], [1, 1]], {(1, 1): [2]})
    assert first_reject(shards, results) == "/data/01, row 2 of the part from 1: null_text (1 1 2)"
