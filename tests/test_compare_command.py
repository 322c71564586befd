"""`dupaudit compare` from the command line: which runs, where the tables go, what is refused."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from pipeline.cli import main
from pipeline.comparing.tables import COMPARISONS
from pipeline.runs import point_latest
from tests.audits import Audited
from tests.comparing.planted import copied, edit, planted_runs

TABLES = {Path(table.path).name for table in COMPARISONS}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Audited, Audited]:
    """Two runs, the second of a corpus that differs as planted."""
    return planted_runs(tmp_path_factory.mktemp("compare"))


@pytest.fixture
def audits(pair: tuple[Audited, Audited], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three runs in ./audits, of which the first is like the second, and a link to the last."""
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "audits"
    out.mkdir()
    for i, (name, run) in enumerate((("sunday", pair[0]), ("monday", pair[0]), ("tuesday", pair[1])), 1):
        edit(copied(run, out / name), "sequence", i)
    point_latest(out, out / "tuesday")
    return out


def _compare(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, arguments)])


def _between(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()[1]


def test_the_last_two_are_compared_by_default(audits: Path) -> None:
    result = _compare()
    assert _between(result) == "monday -> tuesday"
    assert "near surplus documents" in result.stdout
    target = audits / "tuesday" / "compare" / "monday"
    assert result.stdout.rstrip().endswith(f"Tables: {target}")
    assert {path.name for path in target.iterdir()} == {*TABLES, "compare.json"}
    metrics = pl.read_parquet(target / "metrics.parquet")
    assert metrics.filter(name="near_surplus_documents")["change"].to_list() == [4]


def test_one_run_is_compared_with_the_run_before_it(audits: Path, tmp_path: Path) -> None:
    assert _between(_compare("audits/latest")) == "monday -> tuesday"
    same = _compare("audits/monday")
    assert _between(same) == "sunday -> monday"
    assert "Nothing changed." in same.stdout
    first = _compare("audits/sunday")
    assert (first.exit_code, first.stdout) == (1, "")
    assert "no run was made before this one" in first.stderr
    assert "not a finished run" in _compare("audits").stderr


def test_two_runs_are_compared_in_the_order_they_are_named(audits: Path) -> None:
    assert _between(_compare("audits/tuesday", "audits/sunday")) == "tuesday -> sunday"
    assert (audits / "sunday" / "compare" / "tuesday" / "compare.json").exists()


def test_least_decides_which_clusters_are_listed(audits: Path) -> None:
    def listed(*options: str) -> str:
        return next(
            (line for line in _compare(*options).stdout.splitlines() if line.startswith("Of clusters")), ""
        )

    assert listed("--least", "2") == "Of clusters with 2 documents or more: 1 new, 1 grown, 1 shrunk, 1 gone."
    assert listed("--least", "7") == "Of clusters with 7 documents or more: 1 new, 1 grown."
    assert listed() == "", "none has 10"
    assert _compare("--least", "1").exit_code == 2


def test_tables_go_where_they_are_told_to(audits: Path, tmp_path: Path) -> None:
    for _ in range(2):  # again over those of the first time
        result = _compare("--out", "mine")
        assert _between(result) == "monday -> tuesday"
        assert result.stdout.rstrip().endswith("Tables: mine")
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {*TABLES, "compare.json"}
    assert not (audits / "tuesday" / "compare").exists()


@pytest.mark.parametrize("taken", ["a file", "another file", "a table", "a file beside a comparison"])
def test_a_place_that_holds_something_else_is_refused(audits: Path, tmp_path: Path, taken: str) -> None:
    out = tmp_path / "mine"
    if taken == "a file beside a comparison":
        assert _compare("--out", out).exit_code == 0
    if taken == "a file":
        out.write_text("mine")
    else:
        out.mkdir(exist_ok=True)
        (out / ("metrics.parquet" if taken == "a table" else "notes.txt")).write_text("mine")
    before = _state(out)
    result = _compare("--out", out)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the place for the comparison is taken" in result.stderr
    assert f"where:    {out}" in result.stderr
    assert _state(out) == before


def _state(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(path.iterdir())
    return {file.name: file.read_bytes() for file in files}


def test_tables_are_not_written_among_the_audited_data(audits: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    edit(audits / "tuesday", "config.inputs", ["s3://bucket/data", str(tmp_path / "data")])
    result = _compare("--out", "data/compared")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"a folder outside {tmp_path / 'data'}" in result.stderr
    assert not (tmp_path / "data" / "compared").exists()


def test_runs_of_other_definitions_are_refused_and_the_fields_named(audits: Path) -> None:
    edit(audits / "tuesday", "config.near.threshold", 0.6)
    edit(audits / "tuesday", "config.passages.min_tokens", 30)
    result = _compare()
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "dupaudit: the two runs do not mean the same by their figures",
        f"  where:    {audits / 'tuesday'}",
        "  got:      near.threshold 0.6, passages.min_tokens 30",
        "  expected: near.threshold 0.7, passages.min_tokens 25, as in the other run",
        "  do:       audit one of them again with the configuration and version of the other",
    ]
    assert not (audits / "tuesday" / "compare").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("a", "b", "c"), 2, "name two runs, or one"),
        (("audits/latest", "audits/tuesday"), 2, "a run is not compared with itself"),
        (("audits", "audits/tuesday"), 1, "got:      a folder without one"),
        (("audits", "audits/tuesday"), 1, "do:       name one of the runs in it"),
        (("nowhere", "audits/tuesday"), 1, "got:      nothing there"),
        (("audits/tuesday/run.json", "audits/tuesday"), 1, "got:      a file"),
    ],
)
def test_wrong_names_are_told(audits: Path, arguments: tuple[str, ...], code: int, words: str) -> None:
    result = _compare(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert words in result.stderr


def test_fewer_than_two_runs_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = _compare()
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no run here" in result.stderr
    assert "expected: 2 finished runs or more" in result.stderr


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A time zone whose clock is put back in the night."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("zone")
def test_the_last_two_are_the_last_made_whatever_clocks_and_names_say(audits: Path) -> None:
    # Tuesday's clock was ten years behind, Sunday's in the future; the files are as old as they like.
    edit(audits / "tuesday", "started", "2016-10-30T02:10:00+01:00")
    edit(audits / "monday", "started", "2026-10-25T02:50:00+02:00")
    edit(audits / "sunday", "started", "2099-01-01T00:00:00+00:00")
    (audits / "tuesday").rename(audits / "a")
    for i, name in enumerate(("sunday", "monday", "a")):
        os.utime(audits / name / "run.json", (2_000_000_000 - i * 10**8,) * 2)
    assert _between(_compare()) == "monday -> a"
    assert _between(_compare("audits/a")) == "monday -> a"
    assert json.loads((audits / "a/compare/monday/compare.json").read_text())["after"] == "a"
