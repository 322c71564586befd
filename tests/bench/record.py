"""All raw measurements of a benchmark as one JSON file, complete after every table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from figures import Figures
from goals import Goal
from incremental import Nights
from measure import Measurement
from score import Score
from trials import Trial


class Record:
    """What is written, if a file was asked for."""

    def __init__(self, path: Path | None, machine: Mapping[str, object]) -> None:
        self._path = path
        self._content: dict[str, Any] = {"machine": dict(machine), "tables": []}

    def add_table(
        self, name: str, trials: Sequence[Trial], rows: Sequence[Figures], goals: Sequence[Goal]
    ) -> None:
        """Add a table: every run of every tool, its figures, the goals."""
        tools = [row_record(trial, row) for trial, row in zip(trials, rows, strict=True)]
        answers = [goal_record(goal) for goal in goals]
        self._content["tables"].append({"name": name, "rows": tools, "goals": answers})
        self._write()

    def add_warm_start(self, runs: Sequence[Measurement], failure: str, goals: Sequence[Goal]) -> None:
        """Add the warm start: its runs in order."""
        self._content["warm_start"] = {
            "runs": [run_record(run) for run in runs],
            "failure": failure,
            "goals": [goal_record(goal) for goal in goals],
        }
        self._write()

    def add_nights(self, nights: Sequence[Nights], goals: Sequence[Goal]) -> None:
        """Add the audits that found an index, a size each."""
        self._content["nights"] = {
            "sizes": [{**asdict(night), "share": night.share} for night in nights],
            "goals": [goal_record(goal) for goal in goals],
        }
        self._write()

    def _write(self) -> None:
        if self._path is not None:
            self._path.write_text(json.dumps(self._content, indent=1, ensure_ascii=False) + "\n")


def row_record(trial: Trial, row: Figures) -> dict[str, Any]:
    """Return a tool's measurements and what follows from them, as plain values."""
    return {
        **asdict(row),
        "beyond_seconds": row.beyond_seconds,
        "megabytes_per_second": row.megabytes_per_second,
        "beyond_cpu_seconds": row.beyond_cpu_seconds,
        "groups": score_record(row.groups),
        "removals": score_record(row.removals),
        "start_up_runs": [run_record(run) for run in trial.start_ups],
        "runs": [run_record(run) for run in trial.runs],
    }


def run_record(run: Measurement) -> dict[str, Any]:
    """Return a run without what it printed."""
    return {
        "wall_seconds": run.wall_seconds,
        "cpu_seconds": run.cpu_seconds,
        "peak_tree_bytes": run.peak_tree_bytes,
        "returncode": run.returncode,
    }


def score_record(score: Score | None) -> dict[str, Any] | None:
    """Return a score with its recall and precision."""
    if score is None:
        return None
    return {**asdict(score), "recall": score.recall, "precision": score.precision}


def goal_record(goal: Goal) -> dict[str, Any]:
    """Return a goal with its answer."""
    return {**asdict(goal), "met": goal.met}
