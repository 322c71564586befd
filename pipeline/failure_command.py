"""The command that a user wants to be run when an audit fails."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from pipeline.readers.wording import described, printable

TIMEOUT_SECONDS = 60.0
ENVIRONMENT_CHARACTERS = 1000  # the message has no such limit; it is on standard input


@dataclass(frozen=True)
class Failure:
    """How a command failed: the run (if it had a name yet), the exit code and the message."""

    run: str | None
    exit_code: int
    message: str


def run_failure_command(
    command: Sequence[str], failure: Failure, timeout_seconds: float = TIMEOUT_SECONDS
) -> str | None:
    """Run a command, without a shell, with the message on its standard input.

    It also gets DUPAUDIT_RUN, DUPAUDIT_EXIT_CODE and DUPAUDIT_ERROR (the first line of the message).
    What it prints goes to our stderr: stdout is for results.

    Returns:
        What went wrong with it; None if it ended well. It never raises: the audit's own failure is
        what the user must hear of.
    """
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=2,
            env={**os.environ, **_environment(failure)},
            start_new_session=True,  # so that it can be ended with all that it started
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return f"on_failure: cannot run {_words(command)}: {described(error)}"
    try:
        process.communicate(failure.message.encode("utf-8", "backslashreplace"), timeout_seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        return f"on_failure: {_words(command)} was ended after {timeout_seconds:g} seconds"
    if process.returncode:
        return f"on_failure: {_words(command)} ended with exit code {process.returncode}"
    return None


def _environment(failure: Failure) -> dict[str, str]:
    first, *_ = failure.message.splitlines() or [""]
    return {
        "DUPAUDIT_RUN": printable(failure.run or "", ENVIRONMENT_CHARACTERS),
        "DUPAUDIT_EXIT_CODE": str(failure.exit_code),
        "DUPAUDIT_ERROR": printable(first, ENVIRONMENT_CHARACTERS),
    }


def _words(command: Sequence[str]) -> str:
    return printable(" ".join(command))


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    process.wait()
