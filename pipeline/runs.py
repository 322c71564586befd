"""The finished runs in a folder, in the order they were made.

Every manifest carries a number, one more than the highest in its folder when it was written. The
order is by that number, not by clock: a clock may be put back, a name may be any. Runs without a number
are of an earlier version and come first, by the time they started (an instant, whatever its zone).
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xxhash

from pipeline.artifacts import write_text
from pipeline.errors import ArtifactError, AuditError, ConfigError
from pipeline.figures import count, size
from pipeline.locks import holder_of, motionless
from pipeline.readers.wording import described, printable
from pipeline.removal import DOOMED, Space, newest_touch, remove

LATEST = "latest"
WORK = ".work-"
LEFTOVERS = (WORK, ".keep-", ".lock-", ".latest-", DOOMED)
WORK_SECONDS = 7 * 24 * 3600  # the same command goes on with what a killed run had done
DEAD_SECONDS = 24 * 3600  # a live run touches its lock twice a minute, and clocks are not a day apart
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


@dataclass(frozen=True)
class Run:
    """A finished run; `sequence` is 0 where its manifest has none."""

    folder: Path
    sequence: int
    started: datetime


def finished_runs(out: Path, least: int = 0) -> list[Run]:
    """The runs in a folder, first made first. Links are not followed.

    Raises:
        ArtifactError: there are fewer than `least`, or the folder cannot be read.
    """
    found = (_run(folder) for folder in _folders(out, missing_ok=True) if not folder.name.startswith("."))
    runs = [run for run in found if run is not None]
    if len(runs) < least:
        raise ArtifactError(
            f"fewer than {least} runs here" if runs else "no run here",
            where=printable(str(out), 1000),
            got=count(len(runs), "run") if runs else None,
            expected=count(max(least, 1), "finished run") + " or more",
            fix="name the folder of a run, or audit first",
        )
    return sorted(runs, key=lambda run: (run.sequence, run.started, run.folder.name))


def newest_run(out: Path) -> Path:
    """The run in a folder that was made last.

    Raises:
        ArtifactError: there is none.
    """
    return finished_runs(out, least=1)[-1].folder


def run_before(run: Path) -> Path:
    """The run that was made last before another in the same folder.

    Raises:
        ArtifactError: there is none, or `run` is no finished run.
    """
    run = run.resolve()  # a link such as `latest`
    folders = [found.folder for found in finished_runs(run.parent)]
    if run not in folders:
        raise ArtifactError(
            "not a finished run", where=printable(str(run), 1000), fix="name the folder of a run"
        )
    if run == folders[0]:
        raise ArtifactError(
            "no run was made before this one",
            where=printable(str(run), 1000),
            fix="name two runs",
        )
    return folders[folders.index(run) - 1]


def next_sequence(out: Path) -> int:
    """The number of a run that is about to be finished."""
    return 1 + max((run.sequence for run in finished_runs(out)), default=0)


def point_latest(out: Path, run: Path) -> None:
    """Make `latest` point at a run in `out`; whoever looks meanwhile finds the earlier one or this.

    A symbolic link; where the file system knows none, a file that holds the run's name.

    Raises:
        AuditError: that cannot be written.
    """
    # A name that is this run's own: what a killed process left under it, the next one removes.
    link, temporary = out / LATEST, out / f".{LATEST}-{xxhash.xxh3_64_hexdigest(os.fsencode(run.name))}"
    try:
        temporary.unlink(missing_ok=True)
        os.symlink(run.name, temporary)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise _unpointed(link, run, error) from error
        write_text(f"{run.name}\n", link)
        return
    try:
        os.replace(temporary, link)
    except OSError as error:
        temporary.unlink()
        raise _unpointed(link, run, error) from error


def pointed_at(path: Path) -> Path:
    """The run that a `latest` which is a file points at; any other path as it is."""
    name = _latest(path.parent) if path.name == LATEST else None
    run = path.parent / name if name is not None else path
    return run if run.is_dir() else path


def _unpointed(link: Path, run: Path, error: OSError) -> AuditError:
    return AuditError(
        f"the run {printable(run.name)} is finished, but {LATEST} cannot be pointed at it",
        where=printable(str(link), 1000),
        got=described(error),
        expected=f"nothing of another kind named {LATEST}, in a folder that can be written to",
        fix=f"free disk space or rename what is called {LATEST}, then start the same command again",
    )


def prune(out: Path, keep: int, dry_run: bool) -> str:
    """Remove the oldest runs beyond `keep`, and what dead runs left behind.

    The run `latest` points at stays, and one in which a keep list is being made. Nothing but runs and
    the leftovers of runs is touched.

    Args:
        keep: how many of the newest stay. dry_run: only say what would go.

    Returns:
        What to print: what goes, and how much space that frees.

    Raises:
        ConfigError: none is to be kept. ArtifactError: there is no such folder. AuditError: something
            cannot be removed.
    """
    if keep < 1:
        raise ConfigError("prune keeps at least one run", got=f"--keep {keep}", expected="--keep 1 or more")
    folders = list(_folders(out))
    runs, latest = finished_runs(out), _latest(out)
    old = [run for run in runs[:-keep] if run.folder.name != latest]
    busy = [run for run in old if any(not _is_dead(path) for path in _lists_at_work(run))]
    old = [run for run in old if run not in busy]
    left = [path for path in _leftovers(folders, [run for run in runs if run not in old]) if _is_dead(path)]
    space = Space()
    goes = [(run.folder, f"  {_shown(run)}") for run in old]
    goes += [
        (path, f"  {printable(path.relative_to(out).as_posix())}, left by a dead process") for path in left
    ]
    lines = [f"  {_shown(run)}: stays, for a keep list is being made in it" for run in busy]
    freed = 0
    for path, words in goes:
        frees = space.of(path)
        freed += frees
        lines.append(f"{words}: {size(frees)}")
        if not dry_run:
            remove(path)
    head = _head(out, runs, old, left, dry_run)
    return "\n".join([f"{head}{':' if lines else '.'}", *lines, *_tail(freed, goes, dry_run)])


def _head(out: Path, runs: Sequence[Run], old: Sequence[Run], left: Sequence[Path], dry_run: bool) -> str:
    what = f"{len(old):,} of {count(len(runs), 'run')}"
    if left:
        what += f" and {count(len(left), 'leftover')}"
    return f"{'Would remove' if dry_run else 'Removed'} {what} in {printable(str(out), 1000)}"


def _tail(freed: int, goes: Sequence[tuple[Path, str]], dry_run: bool) -> list[str]:
    if not goes:
        return []
    return [f"{'That would free' if dry_run else 'Freed'} {size(freed)} on disk."]


def _shown(run: Run) -> str:
    return f"{printable(run.folder.name)}, started {run.started:%Y-%m-%d %H:%M} UTC"


def _latest(out: Path) -> str | None:
    """The name of the run `latest` points at."""
    link = out / LATEST
    with suppress(OSError, ValueError):
        if not link.is_symlink():
            return link.read_text(encoding="utf-8").removesuffix("\n")
        target = link.resolve()
        return target.name if target.parent == out.resolve() else None
    return None


def _leftovers(folders: Sequence[Path], runs: Sequence[Run]) -> Iterator[Path]:
    """Folders that whoever made them removes at the end, if not killed before."""
    yield from (path for path in folders if path.name.startswith(LEFTOVERS))
    for run in runs:
        yield from _lists_at_work(run)


def _lists_at_work(run: Run) -> Iterator[Path]:
    """Folders in which keep lists of a run are made, or were when that was killed."""
    lists = run.folder / "keep"
    if lists.is_dir() and not lists.is_symlink():
        yield from (path for path in _folders(lists) if path.name.startswith(".keep-"))


def _is_dead(path: Path) -> bool:
    holder = holder_of(path)
    alive = None if holder is None else holder.alive
    if path.name.startswith(DOOMED) or (alive is False and not path.name.startswith(WORK)):
        return True
    idle = time.time() - newest_touch(path)
    if alive or idle <= (WORK_SECONDS if path.name.startswith(WORK) else DEAD_SECONDS):
        return False
    # Of another host: where this one's clock jumped forward, what is alive looks old, too.
    return holder is None or alive is False or motionless(path)


def _folders(out: Path, missing_ok: bool = False) -> Iterator[Path]:
    try:
        with os.scandir(out) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError as error:
        if missing_ok and isinstance(error, FileNotFoundError):
            return
        raise ArtifactError(
            "cannot look into a folder of runs",
            where=printable(str(out), 1000),
            got=described(error),
            fix="name the folder that runs are in",
        ) from error
    yield from (out / name for name in names)


def _run(folder: Path) -> Run | None:
    """The run in a folder; None if there is no manifest of ours in it."""
    try:
        manifest = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format_version"), int):
        return None
    if not isinstance(manifest.get("run"), str):
        return None
    number = manifest.get("sequence")
    return Run(folder, number if type(number) is int and number > 0 else 0, _instant(manifest.get("started")))


def _instant(words: Any) -> datetime:
    """A time of a manifest in UTC; long ago if it is none."""
    try:
        found = datetime.fromisoformat(words)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)
