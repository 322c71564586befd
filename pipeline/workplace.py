"""The folder a run works in: found again by the same command, cleared when it holds other work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import xxhash

from pipeline.artifacts import remove_unfinished
from pipeline.config import Config, resolved
from pipeline.errors import ArtifactError
from pipeline.locks import NAME as LOCK
from pipeline.locks import locked
from pipeline.records import digest, read_record, write_record
from pipeline.removal import remove

# What of a configuration does not decide what a run writes.
_BESIDE = ("cluster", "gates", "metrics_file", "on_failure", "index_mismatch")
_CONTENT, _ENDING, _INDEX = "content.json", "ending.json", "index"


@cache
def code_digest() -> str:
    """A hash of this program, looked at once a process: work of another version is not gone on with."""
    hashed = xxhash.xxh3_64()
    top = str(Path(__file__).parent)
    for folder, folders, names in os.walk(top):
        # Beside the code there is what was compiled of it: thousands of files, by and by.
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            if name.endswith((".py", ".html", ".css", ".js")):
                path = Path(folder, name)
                hashed.update(path.relative_to(top).as_posix().encode())
                hashed.update(path.read_bytes())
    return hashed.hexdigest()


def decisive(config: Config) -> dict[str, Any]:
    """What of a configuration decides what a run writes."""
    return {key: value for key, value in resolved(config).items() if key not in _BESIDE}


class Workplace:
    """A work folder that this process holds. Use `workplace`.

    Attributes:
        work: where tasks write, a folder inside named by what they work on, once `holds` said what that
            is. Workers elsewhere may outlive the process that asked for their tasks: what they write
            late must not be taken for work on other inputs.
    """

    def __init__(self, folder: Path, damaged: Callable[[str], None]) -> None:
        self.folder, self._damaged = folder, damaged
        self.work = folder

    @property
    def run(self) -> Path:
        """Where the run is written."""
        return self.work / "run"

    @property
    def index(self) -> Path:
        """What stands for an index where none is configured: gone when the run is finished."""
        return self.folder / _INDEX

    def holds(self, content: str) -> None:
        """Say what the work is; whatever was done for another is removed, but for scanned shards."""
        self.work = self.folder / f"work-{content[:16]}"
        if self._read(_CONTENT).get("content") == content:
            remove_unfinished(self.folder)
            return
        self.clear()
        self.work.mkdir()
        write_record(self.folder / _CONTENT, {}, content=content)

    def clear(self) -> None:
        """Remove whatever was done, but for scanned shards."""
        (self.folder / _CONTENT).unlink(missing_ok=True)
        for child in sorted(self.folder.iterdir()):
            if not child.is_dir():
                child.unlink()
            elif child.name not in (_INDEX, LOCK):
                remove(child)

    def ends(self, run: str, left: object) -> None:
        """Say that the run is about to stand under its name, and what then is left to do."""
        write_record(self.folder / _ENDING, {}, run=run, left=left)

    def ended(self) -> tuple[str, Any] | None:
        """The run that stood under its name when its process was killed, and what is left to do."""
        found = self._read(_ENDING)
        if not found or not (self.folder.parent / found["run"] / "run.json").exists():
            return None
        return found["run"], found["left"]

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found = read_record(self.folder / name)
        except ArtifactError as error:
            self._damaged(f"{error.where}: {error.got}")
            (self.folder / name).unlink()  # told once
            return {}
        return {} if found is None else found[1]

    def remove_if_idle(self) -> None:
        """Remove the folder of a run that failed before anything was done."""
        if not list(self.folder.glob("work-*/done")) and not (self.index / "scan").exists():
            remove(self.folder)


@contextmanager
def workplace(config: Config, out: Path, what: str, damaged: Callable[[str], None]) -> Iterator[Workplace]:
    """Hold the work folder of a configuration in a folder of runs.

    It stays when what is done inside fails, unless nothing was done; `remove` is for whoever succeeds.

    Args:
        what: is done, for the message another process gets. damaged: tells of a damaged file.

    Raises:
        LockedError: another process is at work on the same.
    """
    folder = out / f".work-{digest([decisive(config), str(out)])[:16]}"
    with locked(folder, what):
        place = Workplace(folder, damaged)
        try:
            yield place
        except BaseException:
            place.remove_if_idle()
            raise


def settle(folder: Path, deep: bool = True) -> None:
    """Have the disk take a folder, with all in it or just its names, so that it survives a power failure."""
    for path, _, names in os.walk(folder) if deep else [(str(folder), [], [])]:
        for name in [*names, ""]:
            _settle(os.path.join(path, name))


def _settle(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
