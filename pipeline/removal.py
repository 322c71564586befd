"""Remove folders so that a kill half-way leaves none of them by half under its own name."""

from __future__ import annotations

import os
import shutil
import stat
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipeline.errors import AuditError
from pipeline.readers.wording import described, printable

DOOMED = ".removed-"


class Space:
    """What removing folders one after the other frees.

    A file of several names (hard links) counts with the folder that holds the last of them, and not
    at all if one of its names stays.
    """

    def __init__(self) -> None:
        self._seen: Counter[tuple[int, int]] = Counter()

    def of(self, folder: Path) -> int:
        """Bytes on disk that removing `folder` frees, after those asked for before."""
        return sum(self._freed(found) for found in _walk(folder))

    def _freed(self, found: os.stat_result) -> int:
        if not stat.S_ISDIR(found.st_mode):
            name = found.st_dev, found.st_ino
            self._seen[name] += 1
            if self._seen[name] < found.st_nlink:
                return 0
        return found.st_blocks * 512


def newest_touch(folder: Path) -> float:
    """When anything in a folder was last changed, in seconds since the epoch."""
    return max((found.st_mtime for found in _walk(folder)), default=0.0)


def _walk(folder: Path) -> Iterator[os.stat_result]:
    """The folder and everything in it; what vanishes meanwhile is left out."""
    waiting = [str(folder)]
    while waiting:
        path = waiting.pop()
        with suppress(FileNotFoundError):
            found = os.lstat(path)
            yield found
            if stat.S_ISDIR(found.st_mode):
                waiting += [entry.path for entry in os.scandir(path)]


def remove(folder: Path) -> None:
    """Remove a folder: hidden first, under a name that says what is to become of it.

    Raises:
        AuditError: it cannot be removed, or only in part.
    """
    hidden = folder.with_name(f"{DOOMED}{uuid.uuid4().hex[:12]}")
    try:
        # Another may be removing the same.
        with suppress(FileNotFoundError):
            os.rename(folder, hidden)
        while os.path.lexists(hidden):
            with suppress(FileNotFoundError):
                _open_up(hidden)
                shutil.rmtree(hidden)
    except OSError as error:
        raise AuditError(
            "cannot remove a folder",
            where=printable(str(folder), 1000),
            got=described(error),
            fix="make it writable, then prune again: what is left is removed then",
        ) from error


def _open_up(folder: Path) -> None:
    """Make folders writable: a file is removed by changing its folder."""
    os.chmod(folder, 0o700)
    for path, folders, _ in os.walk(folder):
        for name in folders:
            if not os.path.islink(os.path.join(path, name)):
                os.chmod(os.path.join(path, name), 0o700)
