"""Pairs of sources that share text, and which of them look like leaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.report.leaks import is_leak, leak_grid
from pipeline.report.model import read_report
from pipeline.report.values import Grid
from tests.report import tables
from tests.report.tables import Row, manifest_of, write_run

NAMES = ["web", "books", "train", "test"]


def grid_of(folder: Path, rows: list[Row], kind: str = "source") -> Grid | None:
    """The pairs of a run with such overlaps."""
    return leak_grid(read_report(write_run(folder, source_overlap=rows), manifest_of()), kind)


def column(grid: Grid | None, key: str) -> list[str]:
    """What a column shows."""
    assert grid is not None
    (place,) = (i for i, one in enumerate(grid.columns) if one.key == key)
    return [row[place].shown for row in grid.rows]


def test_leaks_come_before_what_shares_more(tmp_path: Path) -> None:
    rows = tables.overlap(NAMES)
    for row in rows:
        if {row["name"], row["other"]} == {"web", "books"}:
            row["tokens"] = 10**9
    found = grid_of(tmp_path, rows)
    pairs = list(zip(column(found, "name"), column(found, "other"), column(found, "leak"), strict=True))
    assert pairs[:2] == [("train", "test", "train/test leak"), ("web", "books", "")]
    assert len(pairs) == 6  # each pair once, none with itself


def test_both_sides_of_a_pair_are_told(tmp_path: Path) -> None:
    rows = [
        {**row, "tokens_fraction": 0.5 if row["name"] == "train" else 0.125, "groups": 10 + row["rank"]}
        for row in tables.overlap(["train", "test"])
    ]
    found = grid_of(tmp_path, rows)
    assert column(found, "share") == ["50.00%"]
    assert column(found, "other_share") == ["12.50%"]
    assert [column(found, f"{grain}_groups") for grain in ("exact", "near", "passage")] == [["10"]] * 3


def test_documents_without_a_source_and_the_rest_have_names(tmp_path: Path) -> None:
    ranks = {"none": -1, "wiki": 0, "rest": 200}
    rows = [
        {
            **row,
            "rank": ranks[row["name"]],
            "other_rank": ranks[row["other"]],
            "name": row["name"] if row["name"] == "wiki" else None,
            "other": row["other"] if row["other"] == "wiki" else None,
        }
        for row in tables.overlap(list(ranks))
    ]
    found = grid_of(tmp_path, rows)
    assert set(zip(column(found, "name"), column(found, "other"), strict=True)) == {
        ("(none)", "wiki"), ("(none)", "(all others)"), ("wiki", "(all others)")
    }  # fmt: skip


def test_licences_are_no_leaks(tmp_path: Path) -> None:
    found = grid_of(tmp_path, tables.overlap(["train", "test"], kind="licence"), "licence")
    assert found is not None
    assert "leak" not in [one.key for one in found.columns]


def test_only_the_first_are_listed(tmp_path: Path) -> None:
    found = grid_of(tmp_path, tables.overlap([f"s{i}" for i in range(20)]))
    assert found is not None
    assert len(found.rows) == 60
    assert "The 60 that share most, of 190 pairs." in found.note


def test_nothing_shared_is_no_table(tmp_path: Path) -> None:
    inside = [row for row in tables.overlap(NAMES) if row["scope"] == "inside"]
    assert grid_of(tmp_path, inside) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("train", "test"), ("gsm8k/train", "gsm8k/test"), ("Train_v2", "held-out"), ("dev", "my.train"),
        ("training-set", "heldOut"), ("validation", "train"), ("data/val", "data/train"), ("train", "eval"),
    ],
)  # fmt: skip
def test_train_and_test_look_like_a_leak(one: str, other: str) -> None:
    assert is_leak(one, other)
    assert is_leak(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("train", "train2"), ("latest", "train"), ("contest", "strain"), ("test", "dev"), ("test", None),
        ("retrain", "test"), ("devices", "train"), (None, None), ("wikipedia", "books"),
    ],
)  # fmt: skip
def test_other_names_do_not_look_like_a_leak(one: str | None, other: str | None) -> None:
    assert not is_leak(one, other)
    assert not is_leak(other, one)
