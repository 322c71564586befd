"""A run stays a run, whatever is written into its folder afterwards."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.cli import main
from pipeline.lookup import document_text
from pipeline.runs import finished_runs
from pipeline.stages.inputs import list_files
from tests.audits import AFTERWARDS, Audited, audit, without_dask, write_texts
from tests.kept import all_here

TEXTS = [*["one two three four five six seven"] * 3, " ".join(f"w{i}" for i in range(30)), "lonely"]
GATES = {"exact_surplus_fraction": {"max": 0.9}, "worse_than_last": {"max_increase": 0.5}}


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs, in a folder of their own, with all that commands write into the second."""
    monkeypatch.chdir(tmp_path)
    data = write_texts(tmp_path / "data" / "texts.jsonl", TEXTS)
    with without_dask(page=False):
        for name in ("monday", "tuesday"):
            audit(data, tmp_path / "audits", name, gates=GATES)
    shutil.copytree(tmp_path / "audits" / "tuesday", tmp_path / "fresh")
    _all_of_it()
    return tmp_path / "audits"


def _invoke(*arguments: str) -> Result:
    with all_here():
        return CliRunner().invoke(main, list(arguments))


def _all_of_it() -> list[str]:
    commands = [
        ("check",),
        ("compare",),
        ("keep", "audits/latest", "--policy", "cap:2", "--quiet"),
        ("show", "audits/tuesday", "--passages"),
        ("prompts", "audits/tuesday"),
        ("report", "audits/tuesday"),
        ("prune", "--dry-run"),
    ]
    results = [_invoke(*command) for command in commands]
    assert [result.exit_code for result in results] == [0] * len(commands), results
    return [result.output for result in results]


def test_every_command_says_the_same_after_all_of_them(nights: Path) -> None:
    assert {path.name for path in (nights / "tuesday").iterdir()} >= set(AFTERWARDS)
    first, second = _all_of_it(), _all_of_it()
    assert first == second
    assert [run.folder.name for run in finished_runs(nights)] == ["monday", "tuesday"]


def test_what_the_audit_wrote_is_as_it_was(nights: Path, tmp_path: Path) -> None:
    run = Audited(nights / "tuesday")
    fresh = {
        path.relative_to(tmp_path / "fresh").as_posix(): path.read_bytes()
        for path in (tmp_path / "fresh").rglob("*")
        if path.is_file() and path.name not in ("run.json", "report.html")
    }
    assert run.bytes_of_files() == fresh
    assert run.bytes_of_files() == Audited(nights / "monday").bytes_of_files()
    assert document_text(run.folder, 0) == TEXTS[0]


def test_a_run_with_all_of_it_can_be_compared_listed_and_removed(nights: Path) -> None:
    both = _invoke("compare", "audits/tuesday", "audits/monday")
    assert "Nothing changed." in both.stdout
    listing = list_files([str(nights.parent)], "auto")
    assert [Path(file.uri).name for file in listing.files] == ["texts.jsonl"]
    (nights / "latest").unlink()
    shutil.copytree(nights / "monday", nights / "wednesday")
    assert _invoke("prune", "--keep", "1").exit_code == 0
    assert len(finished_runs(nights)) == 1
