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
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.artifacts import write_text
from pipeline.errors import ArtifactError, AuditError, ConfigError
from pipeline.figures import count, size
from pipeline.locks import holder_of
from pipeline.readers.wording import described, printable
from pipeline.removal import DOOMED, Space, newest_touch, remove

LATEST = "latest"
LEFTOVERS = (".work-", ".keep-", ".lock-", ".latest-", DOOMED)
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
            expected="a folder of runs",
            fix="name a run, or audit first",
        )
    return sorted(runs, key=lambda run: (run.sequence, run.started, run.folder.name))


def newest_run(out: Path) -> Path:
    """The run in a folder that was made last.

    Raises:
        ArtifactError: there is none.
    """
    return finished_runs(out, least=1)[-1].folder


def next_sequence(out: Path) -> int:
    """The number of a run that is about to be finished."""
    return 1 + max((run.sequence for run in finished_runs(out)), default=0)


def point_latest(out: Path, run: Path) -> None:
    """Make `latest` point at a run in `out`; whoever looks meanwhile finds the earlier one or this.

    A symbolic link; where the file system knows none, a file that holds the run's name.

    Raises:
        AuditError: that cannot be written.
    """
    link, temporary = out / LATEST, out / f".{LATEST}-{uuid.uuid4().hex[:12]}"
    try:
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


def _unpointed(link: Path, run: Path, error: OSError) -> AuditError:
    return AuditError(
        f"the run {printable(run.name)} is finished, but {LATEST} cannot be pointed at it",
        where=printable(str(link), 1000),
        got=described(error),
        expected=f"nothing of another kind named {LATEST}, in a folder that can be written to",
        fix=f"rename what is called {LATEST}",
    )


def prune(out: Path, keep: int, dry_run: bool) -> str:
    """Remove the oldest runs beyond `keep`, and what dead runs left behind.

    The run `latest` points at stays. Nothing but runs and the leftovers of runs is touched.

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
    left = [path for path in _leftovers(folders, [run for run in runs if run not in old]) if _is_dead(path)]
    space = Space()
    goes = [(run.folder, f"  {_shown(run)}") for run in old]
    goes += [
        (path, f"  {printable(path.relative_to(out).as_posix())}, left by a dead process") for path in left
    ]
    lines, freed = [], 0
    for path, words in goes:
        frees = space.of(path)
        freed += frees
        lines.append(f"{words}: {size(frees)}")
        if not dry_run:
            remove(path)
    return "\n".join([*_head(out, runs, old, left, dry_run), *lines, *_tail(freed, goes, dry_run)])


def _head(
    out: Path, runs: Sequence[Run], old: Sequence[Run], left: Sequence[Path], dry_run: bool
) -> list[str]:
    what = f"{len(old):,} of {count(len(runs), 'run')}"
    if left:
        what += f" and {count(len(left), 'leftover')}"
    verb = "Would remove" if dry_run else "Removed"
    return [f"{verb} {what} in {printable(str(out), 1000)}{':' if old or left else '.'}"]


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
    for run in runs:  # where keep lists are made
        lists = run.folder / "keep"
        if lists.is_dir() and not lists.is_symlink():
            yield from (path for path in _folders(lists) if path.name.startswith(".keep-"))


def _is_dead(path: Path) -> bool:
    holder = holder_of(path)
    if path.name.startswith(DOOMED) or (holder is not None and holder.alive is False):
        return True
    if holder is not None and holder.alive:
        return False
    return time.time() - newest_touch(path) > DEAD_SECONDS


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
            fix="name the folder that --out named",
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
