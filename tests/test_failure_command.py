"""The command that is run after a failure, as a real process."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from pipeline.failure_command import Failure, run_failure_command

FAILURE = Failure("monday", 3, "A gate failed.\nrecall 0.5\n")
NAMES = ("DUPAUDIT_RUN", "DUPAUDIT_EXIT_CODE", "DUPAUDIT_ERROR")
# Writes its arguments, its standard input and what it finds in its environment.
TELLING = f"""
import json, os, sys
told = {{"argv": sys.argv[2:], "stdin": sys.stdin.read(), "env": [os.environ[n] for n in {NAMES}]}}
json.dump(told, open(sys.argv[1], "w"))
"""


def _told(folder: Path, failure: Failure, *arguments: str) -> dict[str, object]:
    path = folder / "told"
    assert run_failure_command([sys.executable, "-c", TELLING, str(path), *arguments], failure) is None
    told: dict[str, object] = json.loads(path.read_text())
    return told


def test_the_command_gets_message_run_exit_code_and_error(tmp_path: Path) -> None:
    assert _told(tmp_path, FAILURE) == {
        "argv": [],
        "stdin": FAILURE.message,
        "env": ["monday", "3", "A gate failed."],
    }


def test_arguments_are_not_read_by_a_shell(tmp_path: Path) -> None:
    arguments = ["a b", "$(touch x)", "; exit 1", "*", ""]
    assert _told(tmp_path, FAILURE, *arguments)["argv"] == arguments


def test_a_message_of_hostile_text_arrives(tmp_path: Path) -> None:
    message = "no file \x00 \udcff\u202e caf\xe9\nmore\n"
    told = _told(tmp_path, Failure(None, 1, message))
    assert told["stdin"] == "no file \x00 \\udcff\u202e caf\xe9\nmore\n"
    assert told["env"] == ["", "1", "no file \\x00 \\udcff\\u202e caf\xe9"]


def test_a_message_of_megabytes_arrives(tmp_path: Path) -> None:
    told = _told(tmp_path, Failure("r", 1, "x" * 5_000_000))
    assert told["stdin"] == "x" * 5_000_000
    assert told["env"] == ["r", "1", "x" * 997 + "..."]


@pytest.mark.parametrize(
    ("code", "words"), [("raise SystemExit(7)", "exit code 7"), ("import os; os.abort()", "exit code -6")]
)
def test_a_command_that_fails_is_told(code: str, words: str) -> None:
    told = run_failure_command([sys.executable, "-c", code], FAILURE)
    assert told is not None
    assert told.startswith(f"on_failure: {sys.executable} -c ")
    assert told.endswith(f"ended with {words}")


def test_a_command_that_reads_nothing_is_no_problem() -> None:
    assert run_failure_command([sys.executable, "-c", ""], Failure("r", 1, "x" * 5_000_000)) is None


@pytest.mark.parametrize("command", [["no-such-command"], ["a\0b"], [""], [os.sep]])
def test_a_command_that_cannot_be_run_is_told(command: list[str]) -> None:
    told = run_failure_command(command, FAILURE)
    assert told is not None
    assert told.startswith("on_failure: cannot run ")
    assert "\0" not in told


def test_a_command_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    # What it started holds the pipe open: there is an end to read when that process is dead, too.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    command = ["sh", "-c", "exec > \"$0\"; trap '' TERM; tail -f /dev/null & echo on; wait", str(pipe)]
    told = run_failure_command(command, FAILURE, timeout_seconds=1)
    os.set_blocking(reading, True)
    assert told is not None
    assert told.endswith("was ended after 1 seconds")
    assert [os.read(reading, 10), os.read(reading, 10)] == [b"on\n", b""]
    os.close(reading)
