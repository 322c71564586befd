"""How long a small audit takes: the first ever, which compiles the kernels, and those that follow."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from goals import FIRST_EVER_SECONDS, SECOND_RUN_SECONDS, Goal
from measure import Measurement, measure
from sets import Documents
from tools import Job, our_command
from trials import RUN_TIMEOUT_SECONDS, Place, failure_of, report


@dataclass(frozen=True)
class WarmStart:
    """The first run with nothing compiled, and the runs after it, in order."""

    runs: tuple[Measurement, ...]
    failure: str = ""


def measure_warm_start(documents: Documents, later_runs: int, place: Place) -> WarmStart:
    """Audit the documents with an empty cache of compiled code, then with what that left in it."""
    runs: list[Measurement] = []
    with tempfile.TemporaryDirectory(prefix="compiled-", dir=place.work) as compiled:
        for which in range(1 + later_runs):
            with tempfile.TemporaryDirectory(prefix="run-", dir=place.work) as scratch:
                job = Job(documents.files, Path(scratch), place.cores, place.peers_python)
                run = measure(
                    our_command(job),
                    cwd=job.scratch,
                    environment={"NUMBA_CACHE_DIR": compiled, "TMPDIR": scratch},
                    timeout_seconds=RUN_TIMEOUT_SECONDS,
                )
            report(f"warm start: run {which + 1} of {1 + later_runs}: {run.wall_seconds:.2f} s")
            failure = failure_of(run)
            if failure:
                return WarmStart(tuple(runs), failure)
            runs.append(run)
    return WarmStart(tuple(runs))


def warm_start_lines(start: WarmStart) -> list[str]:
    """Return what was measured, a line each."""
    labels = ["first ever, with compilation", "second", *["later"] * len(start.runs)]
    lines = [
        f"  {label:28}  {run.wall_seconds:6.2f} s  {run.peak_tree_bytes / 1e6:6,.0f} MB"
        for label, run in zip(labels, start.runs, strict=False)
    ]
    if len(start.runs) > 2:
        middle = median(run.wall_seconds for run in start.runs[1:])
        lines.append(f"  {'median after the first':28}  {middle:6.2f} s")
    return [*lines, *([f"  {start.failure}"] if start.failure else [])]


def warm_start_goals(start: WarmStart) -> list[Goal]:
    """Return the goals for the first and the second run; they are of wall time, imports included."""
    walls: list[float | None] = [run.wall_seconds for run in start.runs]
    first, second = [*walls, None, None][:2]
    return [
        Goal("second run", SECOND_RUN_SECONDS, "s", second, at_least=False),
        Goal("first run ever", FIRST_EVER_SECONDS, "s", first, at_least=False),
    ]
