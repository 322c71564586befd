"""Audits in processes of their own that die, or whose disk fills, at a chosen point."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.audits import Audited
from tests.dying_runs import NEVER

ROOT = Path(__file__).resolve().parents[1]
KILLED = -signal.SIGKILL
OWN_TIMES = ("run", "sequence", "started", "finished", "stages", "config")


@dataclass(frozen=True)
class Ended:
    """How an audit ended.

    Attributes:
        code: the exit code, or the negative number of the signal.
        points: stage and kind of every point that was come to.
        done: how many tasks were done, by stage and function.
        damaged: what was told to be damaged. error: kind, words and exit code of the failure.
    """

    code: int
    points: tuple[tuple[str, str], ...]
    done: Mapping[tuple[str, str], int]
    damaged: tuple[str, ...]
    error: tuple[str, ...]

    @property
    def work(self) -> Mapping[str, int]:
        """How many tasks of each stage did work, rather than look for work that was done."""
        found: Counter[str] = Counter()
        for (stage, function), count in self.done.items():
            if function in ("recorded", "unit_of"):
                found[stage] += count
        return found

    @property
    def last_task(self) -> int:
        """The point where the last task of the last stage begins."""
        return max(i for i, (stage, what) in enumerate(self.points) if stage and what == "task")

    @property
    def stages(self) -> set[str]:
        """The stages with a point while they are under way."""
        return {stage for stage, _ in self.points if stage}


class Audits:
    """A process that forks one for every audit. Use `audits`."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder = process, folder

    def run(
        self,
        config: Mapping[str, Any],
        name: str | None = "run",
        *,
        dies_at: int = NEVER,
        torn: bool = False,
        full_at: int = NEVER,
    ) -> Ended:
        """Audit; see `dying_runs.Points` for what may happen meanwhile."""
        log = self._folder / "points.jsonl"
        asked: dict[str, Any] = {"config": dict(config), "name": name, "log": str(log)}
        asked |= {"dies_at": dies_at, "torn": torn, "full_at": full_at}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return _ended(code, [json.loads(line) for line in log.read_text().splitlines()])


def _ended(code: int, lines: list[list[str]]) -> Ended:
    kinds: dict[str, list[list[str]]] = {"point": [], "done": [], "damaged": [], "error": []}
    for kind, *words in lines:
        kinds[kind].append(words)
    return Ended(
        code,
        tuple((stage, what) for stage, what in kinds["point"]),
        Counter((stage, function) for stage, function in kinds["done"]),
        tuple(words for (words,) in kinds["damaged"]),
        tuple(kinds["error"][0]) if kinds["error"] else (),
    )


@contextmanager
def audits(folder: Path) -> Iterator[Audits]:
    """Have audits run in processes of their own, one after the other."""
    command = [sys.executable, "-W", "error", "-m", "tests.dying_runs"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Audits(process, folder)


def told(run: Path) -> dict[str, Any]:
    """What a run tells that has to be the same however often it was killed: tables, figures, counts."""
    manifest = json.loads((run / "run.json").read_text())
    counts = {log["stage"]: log["counts"] for log in manifest["stages"]}
    counts["scan"].pop("bytes_read")  # of this attempt
    rest = {key: value for key, value in manifest.items() if key not in OWN_TIMES}
    return {"files": Audited(run).bytes_of_files(), "counts": counts, "rest": rest}


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What two runs tell differently."""
    return sorted(
        f"{part}: {name}"
        for part in one
        for name in one[part].keys() | other[part].keys()
        if one[part].get(name, "none") != other[part].get(name, "none")
    )


def left_in(out: Path) -> list[str]:
    """What is in a folder of runs beside runs and `latest`."""
    return sorted(path.name for path in out.iterdir() if path.name.startswith("."))
