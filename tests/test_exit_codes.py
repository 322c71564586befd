"""The exit code of `dupaudit run` and `dupaudit check`, whatever else goes wrong."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pipeline import failure_command
from pipeline.cli import main
from pipeline.errors import EXIT_FAILURE, EXIT_GATE, EXIT_LOCKED, EXIT_USAGE, InputError, LockedError
from tests.audits import without_dask, write_texts

CODES = {0, EXIT_FAILURE, EXIT_USAGE, EXIT_GATE, EXIT_LOCKED}
TELLING = "import os, sys; print(os.environ['DUPAUDIT_EXIT_CODE'], file=open(sys.argv[1], 'a'))"
Night = Callable[..., Result]


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Runs `dupaudit run` over half a corpus of copies; what `on_failure` was told is in `told`."""

    def run(*arguments: str, **config: Any) -> Result:
        write_texts(tmp_path / "texts.jsonl", ["a b c d e f", "A b c d e f!", "x y z"])
        tree = {
            "inputs": str(tmp_path / "texts.jsonl"),
            "out": str(tmp_path / "audits"),
            "passages": {"enabled": False},
            "on_failure": [sys.executable, "-c", TELLING, str(tmp_path / "told")],
            **config,
        }
        (tmp_path / "a.yaml").write_text(json.dumps(tree))
        with without_dask(page=False):
            return CliRunner().invoke(main, ["run", "--config", str(tmp_path / "a.yaml"), *arguments])

    return run


def _told(folder: Path) -> list[int]:
    path = folder / "told"
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


FINE = {"exact_surplus_fraction": {"max": 0.5}}
FAILS = {"exact_surplus_fraction": {"max": 0.1}, "documents": {"min": 1}}


@pytest.mark.parametrize("gates", [{}, FINE])
def test_a_run_within_its_gates_ends_with_0(night: Night, gates: dict[str, Any], tmp_path: Path) -> None:
    assert night("--name", "one", gates=gates).exit_code == 0
    assert _told(tmp_path) == []
    assert (tmp_path / "audits" / "one" / "gates.json").exists() == bool(gates)


def test_a_gate_that_fails_ends_with_3_and_leaves_a_finished_run(night: Night, tmp_path: Path) -> None:
    result = night("--name", "one", gates=FAILS)
    assert result.exit_code == 3
    assert result.stdout.splitlines()[-3:] == [
        "Gates: 1 of 2 failed.",
        "  FAILED  exact_surplus_fraction: 0.333 (at most 0.1)",
        "  passed  documents: 3 (at least 1)",
    ]
    assert _told(tmp_path) == [3]
    assert json.loads((tmp_path / "audits/one/gates.json").read_text())["passed"] is False
    assert (tmp_path / "audits" / "latest").readlink() == Path("one")
    checked = CliRunner().invoke(main, ["check", str(tmp_path / "audits" / "latest")])
    assert (checked.exit_code, checked.stdout.splitlines()) == (3, result.stdout.splitlines()[-3:])


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (InputError("cannot read"), 1, [1]),
        (LockedError("another process is at work here"), 75, []),
        (ZeroDivisionError("a defect"), 1, [1]),
        (KeyboardInterrupt(), 1, [1]),
    ],
)
@pytest.mark.parametrize("log", ["--quiet", "--log-json"])
def test_a_run_that_fails_ends_with_the_code_of_its_error(
    night: Night,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    told: list[int],
    log: str,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("pipeline.run.run_audit", fail)
    assert night(log).exit_code == code
    assert _told(tmp_path) == told


@pytest.mark.parametrize("arguments", [("--set", "near.threshold=7"), ("--nonsense",)])
def test_what_cannot_be_asked_for_ends_with_2(
    night: Night, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    assert night(*arguments).exit_code == 2
    assert _told(tmp_path) == []  # the configuration that names the command was not accepted


def test_every_gate_that_makes_no_sense_is_told_on_a_line_of_its_own(night: Night) -> None:
    result = night(gates={"recal": {"min": 1}, "documents": {"max": 1, "min": 2}, "tokens": {"max": 1}})
    assert result.exit_code == 2
    first, *lines = result.stderr.splitlines()
    assert first.startswith("dupaudit: 2 problem(s) in ")
    assert lines[0].startswith("  gates.recal: got {'min': 1}, need the name of a metric")
    assert lines[0].endswith("perhaps recall or recall_low or recall_high")
    assert lines[1] == "  gates.documents: got {'max': 1, 'min': 2}, need min at most max (1.0)"


@pytest.mark.parametrize(
    "command",
    [["no such command"], [sys.executable, "-c", "raise SystemExit(9)"], [sys.executable, "-c", "wait"]],
)
@pytest.mark.parametrize(("gates", "name", "code"), [(FAILS, "one", 3), ({}, "not/a name", 2)])
def test_a_command_that_fails_hides_no_exit_code(
    night: Night,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    gates: dict[str, Any],
    name: str,
    code: int,
) -> None:
    if command[-1] == "wait":
        command = [*command[:-1], "import time; time.sleep(1000)"]
        impatient = partial(failure_command.run_failure_command, timeout_seconds=0.5)
        monkeypatch.setattr("pipeline.watching.run_failure_command", impatient)
    result = night("--quiet", "--name", name, gates=gates, on_failure=command)
    assert result.exit_code == code
    (problem,) = (line for line in result.stderr.splitlines() if line.startswith("dupaudit: on_failure: "))
    assert re.search("cannot run|exit code 9|was ended after 0.5 seconds", problem)


def test_help_and_readme_tell_all_exit_codes() -> None:
    told = CliRunner().invoke(main, ["--help"]).output
    readme = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
    for text in (told, readme):
        words = " ".join(text[text.index("Exit codes:") :].split()).split(".")[0]
        assert {int(code) for code in re.findall(r"\b\d+\b", words)} == CODES
