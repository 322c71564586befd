"""Runs audits in processes that die, or whose disk fills, at a chosen point.

A program, told by lines of JSON on stdin what to do; see `dying`, which starts it. It compiles the
kernels once, then forks for every audit: a fork of pytest itself, where libraries have threads, is not
safe, and a new interpreter takes seconds.

A point is where something begins: a stage, a task, or a change of the file system. All but the writing of
tables is seen through Python's audit events, so nothing the program does to a disk is left out.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import parse
from pipeline.errors import AuditError
from pipeline.progress import Progress
from pipeline.resuming import Here
from pipeline.run import run_audit
from pipeline.stages.warm import warm

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.link", "os.mkdir", "os.symlink")
TAKING_SPACE = ("os.link", "os.mkdir", "os.symlink", "open", "parquet", "arrow")
NEVER = -1


class Points:
    """Counts points, tells each in a file, and at one of them lets happen what is to happen.

    Args:
        log: gets a line for every point that is passed, and for every task that was done.
        dies_at: the number of the point to die at. torn: leave half of the file that is being renamed.
        full_at: the number of the point from which the disk is full.
    """

    def __init__(self, log: Path, dies_at: int, torn: bool, full_at: int) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._dies_at, self._torn, self._full_at = dies_at, torn, full_at
        self._stages: list[str] = []
        self._passed = 0
        self._busy = False

    def tell(self, kind: str, *words: str) -> None:
        """Write a line that is there also when this process is killed."""
        os.write(self._log, (json.dumps([kind, *words]) + "\n").encode())

    def pass_(self, what: str, *names: object) -> None:
        """Come to a point."""
        number, self._passed = self._passed, self._passed + 1
        self.tell("point", self._stages[-1] if self._stages else "", what)
        if number == self._dies_at:
            if self._torn and what == "os.rename" and os.path.isfile(str(names[0])):
                os.truncate(str(names[0]), os.path.getsize(str(names[0])) // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        if self._full_at != NEVER and number >= self._full_at and what in TAKING_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        """See an audit event of Python."""
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if (event in CHANGES or writes) and not self._busy:
            self._busy = True  # what happens at a point is none
            try:
                self.pass_(event, *arguments)
            finally:
                self._busy = False

    def leave_half(self, path: Path) -> None:
        """Write what there was room for."""
        self._busy = True
        path.write_bytes(b"the first bytes and not many more")
        self._busy = False

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Be in a stage."""
        self._stages.append(name)
        self.pass_("stage")
        yield
        self._stages.pop()


class Counting(Here):
    """Runs tasks in this thread and tells when one begins and when it was done."""

    def __init__(self, points: Points) -> None:
        self._points = points

    def map(
        self,
        stage: str,
        function: Callable[..., Any],
        items: Sequence[tuple[Any, ...]],
        costs: Sequence[int] | None = None,
        **shared: Any,
    ) -> list[Any]:
        """The same as `Here.map`."""
        found = []
        for item in items:
            self._points.pass_("task")
            found.append(function(*item, **shared))
            self._points.tell("done", stage, function.__name__)
        return found


@contextmanager
def _watched(points: Points) -> Iterator[None]:
    stage, damaged, write_table, opened = Progress.stage, Progress.damaged, pq.write_table, pa.OSFile

    @contextmanager
    def engine(*_: object) -> Iterator[Counting]:
        yield Counting(points)

    @contextmanager
    def staged(self: Progress, name: str) -> Iterator[dict[str, int]]:
        with points.stage(name), stage(self, name) as counts:
            yield counts

    def told(self: Progress, words: str) -> None:
        points.tell("damaged", words)
        damaged(self, words)

    def written(table: Any, where: Path, **settings: Any) -> None:
        try:
            points.pass_("parquet", where)
        except OSError:
            points.leave_half(where)
            raise
        write_table(table, where, **settings)

    def mapped(where: str, mode: str = "r") -> Any:
        try:
            if mode == "wb":
                points.pass_("arrow", where)
        except OSError:
            points.leave_half(Path(where))
            raise
        return opened(where, mode)

    with (
        patch("pipeline.run.open_engine", engine),
        patch("pipeline.run.render", lambda *_: ""),
        patch.object(Progress, "stage", staged),
        patch.object(Progress, "damaged", told),
        patch.object(pq, "write_table", written),
        patch.object(pa, "OSFile", mapped),
    ):
        sys.addaudithook(points.hook)
        yield


def _audit(asked: dict[str, Any]) -> None:
    points = Points(Path(asked["log"]), asked["dies_at"], asked["torn"], asked["full_at"])
    try:
        with _watched(points):
            run_audit(parse(asked["config"]), asked["name"], Progress(quiet=True))
    except AuditError as error:
        points.tell("error", type(error).__name__, str(error), str(error.exit_code))
        os._exit(error.exit_code)


def _child(asked: dict[str, Any]) -> NoReturn:
    try:
        _audit(asked)
    except BaseException:  # noqa: BLE001 - a fork must not go on as its parent
        traceback.print_exc()
        os._exit(99)
    os._exit(0)


def main() -> None:
    """Do what each line asks for; answer with how the process ended."""
    warm()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _child(json.loads(line))
        status = os.waitpid(child, 0)[1]
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
