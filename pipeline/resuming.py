"""Tasks that are done once, however often their run is killed and begun again.

Each task leaves a record of its result and of the files it wrote (see `records`). A run that is begun
again in the same work folder asks its tasks in the same order with the same arguments, since each
step follows from those before; so tasks are known by their place in that order, and their arguments
are compared besides. The files of a task that is not done again are read once, to compare checksums:
a file that was truncated or in which a bit has flipped is named, and its task is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pipeline.artifacts import written_files
from pipeline.errors import ArtifactError
from pipeline.progress import Progress
from pipeline.records import Checksums, checksums, damaged, digest, read_record, write_record

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")


class Tasks(Protocol):
    """Whatever runs tasks; see `cluster.Cluster.map`."""

    def map(
        self,
        stage: str,
        function: Callable[..., T],
        items: Sequence[tuple[Any, ...]],
        costs: Sequence[int] | None = None,
        **shared: Any,
    ) -> list[T]:
        """The results of `function(*item, **shared)`, in the order of the items."""
        ...

    def beside(self, one: Callable[[Tasks], T], other: Callable[[Tasks], U]) -> tuple[T, U]:
        """What two that ask for tasks give, at once where tasks run at once.

        When one fails, the other ends with the tasks it is at.
        """
        ...


class Here:
    """Runs tasks where it is called, one after the other."""

    def map(
        self,
        stage: str,
        function: Callable[..., T],
        items: Sequence[tuple[Any, ...]],
        costs: Sequence[int] | None = None,
        **shared: Any,
    ) -> list[T]:
        """The results of `function(*item, **shared)`, in the order of the items."""
        return [function(*item, **shared) for item in items]

    def beside(self, one: Callable[[Tasks], T], other: Callable[[Tasks], U]) -> tuple[T, U]:
        """What two that ask for tasks give, one after the other."""
        return one(self), other(self)


class Resuming:
    """Runs tasks through another, but those that were done before.

    Attributes:
        reused: how many were done before. written: the files of all, by path, with their checksums of
            when they were written.
    """

    def __init__(self, tasks: Tasks, work: Path, progress: Progress, part: str = "") -> None:
        self._tasks, self._work, self._progress, self._part = tasks, work, progress, part
        self._calls = 0
        self.reused = 0
        self.written: Checksums = {}

    def map(
        self,
        stage: str,
        function: Callable[..., T],
        items: Sequence[tuple[Any, ...]],
        costs: Sequence[int] | None = None,
        **shared: Any,
    ) -> list[T]:
        """The same as `Tasks.map`, without what is done already."""
        self._calls += 1
        if not items:
            return []
        folder = self._work / "done" / f"{self._part}{self._calls:03d}-{stage}"
        what = digest([function.__module__, function.__qualname__, shared])
        names = [digest([what, item]) for item in items]
        known: list[tuple[T, Checksums] | None] = [None] * len(items)
        if folder.exists():
            asked = [(str(folder / f"{i:06d}.json"), name, str(self._work)) for i, name in enumerate(names)]
            for i, (done, problem) in enumerate(self._tasks.map(stage, recall, asked)):
                known[i] = done
                if problem is not None:
                    self._progress.damaged(problem)
        todo = [i for i, result in enumerate(known) if result is None]
        self.reused += len(items) - len(todo)
        found = self._tasks.map(
            stage,
            recorded,
            [(function, items[i], str(folder / f"{i:06d}.json"), names[i], str(self._work)) for i in todo],
            costs=None if costs is None else [costs[i] for i in todo],
            shared=shared,
        )
        for i, done in zip(todo, found, strict=True):
            known[i] = done
        every = [done for done in known if done is not None]
        for _, files in every:
            self.written |= {str(self._work / name): checksum for name, checksum in files.items()}
        return [result for result, _ in every]

    def beside(self, one: Callable[[Tasks], T], other: Callable[[Tasks], U]) -> tuple[T, U]:
        """The same as `Tasks.beside`; the tasks of each are known by their place among its own."""
        self._calls += 1
        parts: list[Resuming] = []

        def part(name: str, call: Callable[[Tasks], V]) -> Callable[[Tasks], V]:
            def asking(tasks: Tasks) -> V:
                mine = Resuming(tasks, self._work, self._progress, f"{self._part}{name}-")
                parts.append(mine)
                return call(mine)

            return asking

        found = self._tasks.beside(part(f"{self._calls:03d}a", one), part(f"{self._calls:03d}b", other))
        for each in parts:
            self.reused += each.reused
            self.written |= each.written
        return found


def recorded(
    function: Callable[..., T],
    item: tuple[Any, ...],
    record: str,
    name: str,
    work: str,
    *,
    shared: dict[str, Any],
) -> tuple[T, Checksums]:
    """Do a task and write its record; the result, and what the record says of the files.

    Args:
        record: the file to write. name: of the task with its arguments. work: folder of all files.
    """
    with written_files() as written:
        result = function(*item, **shared)
    files = checksums(written, Path(work))
    write_record(Path(record), files, name=name, result=result)
    return result, files


def recall(record: str, name: str, work: str) -> tuple[tuple[Any, Checksums] | None, str | None]:
    """What `recorded` gave for a task that was done, or None; and what is wrong, if it is to be told."""
    try:
        found = read_record(Path(record))
    except ArtifactError as error:
        return None, f"{error.where}: {error.got}"
    if found is None or found[1].get("name") != name:
        return None, None
    problem = damaged(found[0], Path(work))
    return (None, problem) if problem is not None else ((found[1]["result"], found[0]), None)
