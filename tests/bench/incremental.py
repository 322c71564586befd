"""What a nightly audit costs when a corpus has grown by a per cent, beside an audit of everything.

The new documents are every hundredth of the data set, so they repeat what is there as documents do;
they come as one more file. Sizes above that of the data set are reached with copies of other words.
Start-up is what either command takes on one document, without and with an index.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from goals import Goal
from measure import measure
from sets import Documents, cut, first_rows, read_documents, spread_rows
from tools import RUN_NAME, Job, our_command
from trials import RUN_TIMEOUT_SECONDS, Place, failure_of, report
from varied import part_of_size

DATA_SET = "python-code"
SIZES_BYTES = (500_000_000, 2_000_000_000)
QUICK_SIZES_BYTES = (1_000_000, 4_000_000)
QUICK_WHOLE_BYTES = 2_000_000
NEW_DOCUMENTS = 100  # of so many documents one is new
MOST_SHARE = 0.15  # of the time of an audit of everything


@dataclass(frozen=True)
class Nights:
    """Audits of one size: of everything, and of what is new beside an index of the rest.

    Times are whole processes, in seconds; bytes are of input, as the format counts them.
    """

    megabytes: float
    start_up_seconds: tuple[float, ...]
    start_up_with_index_seconds: tuple[float, ...]
    full_seconds: tuple[float, ...]
    incremental_seconds: tuple[float, ...]
    new_bytes: int
    scanned_bytes: int
    index_bytes: int
    equal: bool
    failure: str = ""

    @property
    def full(self) -> float:
        """Seconds of an audit of everything beyond start-up."""
        return median(self.full_seconds) - median(self.start_up_seconds)

    @property
    def incremental(self) -> float:
        """Seconds of an audit of what is new beyond start-up."""
        return median(self.incremental_seconds) - median(self.start_up_with_index_seconds)

    @property
    def share(self) -> float:
        """The one as a share of the other, of the rounds' shares the median."""
        fulls = [full - median(self.start_up_seconds) for full in self.full_seconds]
        mores = [more - median(self.start_up_with_index_seconds) for more in self.incremental_seconds]
        return median(more / full for more, full in zip(mores, fulls, strict=True))


def measure_nights(data: Path, runs: int, quick: bool, place: Place) -> list[Nights] | None:
    """Measure every size; None where the data set is absent."""
    whole = read_documents(DATA_SET, data / DATA_SET)
    if whole is None:
        return None
    few = cut(whole, f"{DATA_SET}-few", first_rows(whole.lengths, 1), place.work)
    if quick:
        whole = cut(whole, "nights", spread_rows(whole.lengths, QUICK_WHOLE_BYTES), place.work)
    sizes = QUICK_SIZES_BYTES if quick else SIZES_BYTES
    parts = [part_of_size(whole, f"nights-{size / 1e6:g}", size, place.work) for size in sizes]
    return [_measure(part, few, runs, place) for part in parts]


def _measure(documents: Documents, few: Documents, runs: int, place: Place) -> Nights:
    chosen = np.zeros(documents.count, np.bool_)
    chosen[NEW_DOCUMENTS // 2 :: NEW_DOCUMENTS] = True
    new = cut(documents, f"{documents.name}-new", chosen, place.work)
    old = cut(documents, f"{documents.name}-old", ~chosen, place.work)
    scratch = place.work / f"{documents.name}-scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    night = _Night(scratch, place, documents.name)
    try:
        return night.measured(old, new, few, runs, documents.megabytes)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Night:
    def __init__(self, scratch: Path, place: Place, name: str) -> None:
        self.scratch, self.place, self.name = scratch, place, name
        self.failure = ""

    def measured(self, old: Documents, new: Documents, few: Documents, runs: int, megabytes: float) -> Nights:
        data, index = self.scratch / "input", self.scratch / "index"
        data.mkdir(parents=True)
        _link(old.files, data, "old")
        start = [self.run(few.files, "start") for _ in range(runs + 1)][1:]
        self.run(few.files, "few", self.scratch / "index-of-few")
        start_with = [self.run(few.files, "few", self.scratch / "index-of-few") for _ in range(runs)]
        self.run([data], "rest", index)
        _link(new.files, data, "young")
        full, more = [], []
        for _ in range(runs):
            # Each time from the index of the rest alone.
            tonight = self.scratch / "index-tonight"
            shutil.rmtree(tonight, ignore_errors=True)
            shutil.copytree(index, tonight)
            os.sync()  # a run makes sure of its files at the end: it must not wait for those copied here
            full.append(self.run([data], "full"))
            more.append(self.run([data], "more", tonight))
        return Nights(
            megabytes,
            tuple(start),
            tuple(start_with),
            tuple(full),
            tuple(more),
            self._scanned("full") - self._scanned("rest"),
            self._scanned("more"),
            sum(path.stat().st_size for path in index.rglob("*") if path.is_file()),
            _tables(self.scratch / "full" / RUN_NAME) == _tables(self.scratch / "more" / RUN_NAME),
            self.failure,
        )

    def run(self, files: Sequence[Path], name: str, index: Path | None = None) -> float:
        folder = self.scratch / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        settings = () if index is None else ("--set", f"index={index}")
        job = Job(tuple(files), folder, self.place.cores, self.place.peers_python)
        run = measure(
            our_command(job, *settings),
            cwd=folder,
            environment={},
            timeout_seconds=RUN_TIMEOUT_SECONDS,
        )
        self.failure = self.failure or failure_of(run)
        report(f"{self.name}: {name}: {run.wall_seconds:.2f} s")
        return run.wall_seconds

    def _scanned(self, name: str) -> int:
        manifest = self.scratch / name / RUN_NAME / "run.json"
        if not manifest.exists():
            return 0
        stages = json.loads(manifest.read_text(encoding="utf-8"))["stages"]
        return sum(int(stage["counts"]["bytes_read"]) for stage in stages if stage["stage"] == "scan")


def _link(files: Sequence[Path], folder: Path, name: str) -> None:
    for i, file in enumerate(files):
        (folder / f"{name}-{i:04d}.parquet").symlink_to(file)


def _tables(run: Path) -> dict[str, bytes]:
    # But for the one that is of the run before.
    paths = (path for path in run.rglob("*.parquet") if path.name != "new_repeats.parquet")
    return {str(path.relative_to(run)): path.read_bytes() for path in paths}


def nights_lines(nights: Sequence[Nights]) -> list[str]:
    """Return what was measured, a line a size."""
    head = ("text", "everything", "1 % more", "share", "new", "scanned", "index")
    rows = [
        (
            f"{night.megabytes:,.0f} MB",
            f"{night.full:.2f} s",
            f"{night.incremental:.2f} s",
            f"{night.share:.1%}",
            *(f"{n / 1e6:,.1f} MB" for n in (night.new_bytes, night.scanned_bytes, night.index_bytes)),
        )
        for night in nights
    ]
    lines = ["".join(f"{cell:>13}" for cell in row) for row in (head, *rows)]
    return [*lines, *(f"  {night.failure}" for night in nights if night.failure)]


def nights_goals(nights: Sequence[Nights]) -> list[Goal]:
    """Return the goals: the share at the smaller size, that it falls, that nothing else is scanned."""
    good = [night for night in nights if not night.failure]
    shares: list[float | None] = [night.share for night in good]
    first, last = [*shares, None][0], [None, *shares][-1]
    falls = None if first is None or last is None or len(good) < 2 else last / first
    scanned = max((night.scanned_bytes - night.new_bytes for night in good), default=None)
    return [
        Goal("1 % more", MOST_SHARE, "of an audit of everything", first, at_least=False),
        Goal("share, large to small", 1.0, "times", falls, at_least=False),
        Goal("scanned beside what is new", 1.0, "bytes", scanned, at_least=False),
        Goal("tables equal those of a full run", 1.0, "", min((float(n.equal) for n in good), default=None)),
    ]
