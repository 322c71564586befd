"""Runs of several tools in turns, each beside its start-up, so that drift of the machine hits all."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from measure import Measurement, measure
from sets import Documents
from tools import Answer, Job, Tool

# Longer than any tool takes for the documents it is given by default (the longest: 4 minutes).
RUN_TIMEOUT_SECONDS = 3600


@dataclass(frozen=True)
class Entry:
    """A tool, the documents it is measured on, and the few its start-up is measured on.

    warm_up: whether it runs over the documents once, unmeasured, before its first measured run,
        because it keeps compiled code on disk.
    """

    tool: Tool
    documents: Documents
    few: Documents
    warm_up: bool = False


@dataclass(frozen=True)
class Place:
    """Where and with what tools run: a folder for scratch, cores, the peers' interpreter."""

    work: Path
    cores: int
    peers_python: Path


@dataclass
class Trial:
    """What was measured of an entry so far; nothing more once it has failed."""

    entry: Entry
    start_ups: list[Measurement] = field(default_factory=list)
    runs: list[Measurement] = field(default_factory=list)
    answer: Answer | None = None
    failure: str = ""


def compare(name: str, entries: Sequence[Entry], rounds: int, place: Place) -> list[Trial]:
    """Measure all entries in turns, `rounds` times.

    A tool that fails is left out of the rounds that follow.
    """
    trials = [Trial(entry) for entry in entries]
    for trial in trials:
        _attempt(trial, trial.entry.few, place, f"{name}: {trial.entry.tool.name}, unmeasured")
        if trial.entry.warm_up and not trial.failure:
            _attempt(trial, trial.entry.documents, place, f"{name}: {trial.entry.tool.name}, unmeasured")
    for round_ in range(1, rounds + 1):
        for trial in trials:
            _round(trial, place, f"{name}: {trial.entry.tool.name}, {round_} of {rounds}")
    return trials


def _round(trial: Trial, place: Place, label: str) -> None:
    for documents, measured in ((trial.entry.few, trial.start_ups), (trial.entry.documents, trial.runs)):
        if not trial.failure:
            run = _attempt(trial, documents, place, label)
            if run is not None:
                measured.append(run)


def _attempt(trial: Trial, documents: Documents, place: Place, label: str) -> Measurement | None:
    tool = trial.entry.tool
    with tempfile.TemporaryDirectory(prefix="run-", dir=place.work) as scratch:
        job = Job(documents.files, Path(scratch), 1 if tool.one_core else place.cores, place.peers_python)
        command = tool.command(job)
        if not Path(command[0]).exists():
            trial.failure = f"not installed: there is no {command[0]}"
            return None
        run = measure(
            command, cwd=job.scratch, environment={"TMPDIR": scratch}, timeout_seconds=RUN_TIMEOUT_SECONDS
        )
        report(f"{label}, {documents.megabytes:.1f} MB: {run.wall_seconds:.2f} s")
        trial.failure = failure_of(run)
        if not trial.failure:
            try:
                trial.answer = tool.answer(job)
            except (OSError, LookupError, ValueError) as error:
                trial.failure = f"its answer cannot be read: {error}"
    return None if trial.failure else run


def failure_of(run: Measurement) -> str:
    """Return why a run failed, in one line; empty if it did not."""
    if run.returncode == 0:
        return ""
    if run.returncode == -9 and run.wall_seconds >= RUN_TIMEOUT_SECONDS:
        return f"stopped after {RUN_TIMEOUT_SECONDS / 60:.0f} minutes"
    lines = [line.strip() for line in run.stderr_tail.splitlines() if line.strip()]
    ended = f"signal {-run.returncode}" if run.returncode < 0 else f"exit code {run.returncode}"
    return f"failed with {ended}: {lines[-1][:100] if lines else 'no message'}"


def report(line: str) -> None:
    """Tell what was done, beside the tables."""
    print(line, file=sys.stderr, flush=True)
