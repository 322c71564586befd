"""What is told of a run that nobody watches: its end in the log, in the metrics file and by a command."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol

from pipeline.config import Config
from pipeline.errors import EXIT_FAILURE, EXIT_GATE, EXIT_LOCKED, AuditError
from pipeline.failure_command import Failure, run_failure_command
from pipeline.figures import count
from pipeline.metrics_file import Finished, check_place, write_failed, write_finished
from pipeline.progress import Level, Progress
from pipeline.readers.wording import described, printable

_STOPPING = (signal.SIGTERM, signal.SIGHUP)  # SIGINT raises by itself


class Verdict(Protocol):
    """What a gate says of a run."""

    @property
    def gate(self) -> str:
        """Its name."""

    @property
    def passed(self) -> bool:
        """Whether the run may pass."""

    @property
    def value(self) -> float | None:
        """The figure it looked at."""

    @property
    def limit(self) -> str:
        """What it may be."""

    @property
    def words(self) -> str:
        """Why, in a sentence."""


@dataclass
class Watch:
    """A run that is watched; whoever runs it says when it has finished."""

    config: Config
    progress: Progress
    done: bool = False
    failed_gates: tuple[Verdict, ...] = ()

    def finished(self, folder: Path, verdicts: Iterable[Verdict] = ()) -> None:
        """Tell that the run is in its folder, and what its gates say.

        Raises:
            AuditError: the metrics file cannot be written.
        """
        verdicts = tuple(verdicts)
        self.done, self.failed_gates = True, tuple(v for v in verdicts if not v.passed)
        self.progress.run = folder.name
        self.progress.event(
            "run_finished",
            "error" if self.failed_gates else "info",
            folder=str(folder),
            seconds=round(self.progress.seconds, 3),
            gates=[_verdict(verdict) for verdict in verdicts],
        )
        if self.config.metrics_file is not None:
            gates: dict[str, bool] = {}
            for verdict in verdicts:  # one name may have several, as one a source
                gates[verdict.gate] = gates.get(verdict.gate, True) and verdict.passed
            finished = Finished(folder, self.progress.seconds, gates)
            write_finished(Path(self.config.metrics_file), finished)


def _verdict(verdict: Verdict) -> dict[str, object]:
    return {name: getattr(verdict, name) for name in ("gate", "passed", "value", "limit", "words")}


@contextmanager
def watched(config: Config, progress: Progress) -> Iterator[Watch]:
    """Run an audit inside; however it ends is told to those who want to know.

    A failure ends as one: what is raised inside goes on, except that an `AuditError` that the log
    holds in full ends the command with its exit code, so that nothing but JSON Lines is in the log.
    SIGTERM and SIGHUP end what is inside as Ctrl-C does, and that is an `AuditError`, too: locks are
    given up, and what was done stays for the next run.

    Raises:
        ConfigError: the metrics file cannot be written where it is wanted.
    """
    watch = Watch(config, progress)
    try:
        with _stopped_by_signals():
            if config.metrics_file is not None:
                check_place(Path(config.metrics_file))
            yield watch
    except BaseException as error:
        code = _exit_code(error)
        if code:
            _tell(watch, error, code)
        if isinstance(error, AuditError) and progress.as_json:
            sys.exit(code)
        raise


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # What is ignored stays so: nohup means it.
    before = {number: signal.getsignal(number) for number in _STOPPING}
    mine = [number for number, handler in before.items() if handler == signal.SIG_DFL]
    for number in mine:
        signal.signal(number, _stop)
    try:
        yield
    except KeyboardInterrupt as stop:
        raise AuditError(
            "the run was stopped",
            got=str(stop) or signal.SIGINT.name,
            fix="start the same command again: it goes on where this one was stopped",
        ) from None
    finally:
        for number in mine:
            signal.signal(number, before[number])


def _stop(number: int, _: FrameType | None) -> None:
    for each in _STOPPING:  # one is enough: whoever is being ended has things to clear away
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt(signal.Signals(number).name)


def _tell(watch: Watch, error: BaseException, code: int) -> None:
    # Each on its own: where the log cannot be written, as on a full disk, the mail is what is left.
    for tell in (_tell_log, _tell_metrics, _tell_command):
        with suppress(Exception):
            try:
                tell(watch, error, code)
            except Exception as problem:  # noqa: BLE001 - whatever fails here is not what failed
                watch.progress.problem(f"{tell.__name__.removeprefix('_tell_')}: {described(problem)}")


def _tell_log(watch: Watch, error: BaseException, code: int) -> None:
    if code == EXIT_GATE and watch.done:  # told with the end of the run
        return
    level: Level = "warning" if code == EXIT_LOCKED else "error"
    watch.progress.event("run_failed", level, exit_code=code, **_fields(error))


def _tell_metrics(watch: Watch, _: BaseException, code: int) -> None:
    # Another run that holds the lock is no failure: that one tells how it ends.
    config = watch.config
    if config.metrics_file is None or watch.done or code == EXIT_LOCKED:
        return
    try:
        write_failed(Path(config.metrics_file), Path(config.out).resolve())
    except AuditError as problem:
        watch.progress.problem(f"metrics_file: {problem}")


def _tell_command(watch: Watch, error: BaseException, code: int) -> None:
    if not watch.config.on_failure or code == EXIT_LOCKED:
        return
    run = watch.progress.run
    failure = Failure(run, code, _message(error, watch.failed_gates, run))
    problem = run_failure_command(watch.config.on_failure, failure)
    if problem is not None:
        watch.progress.problem(problem)


def _exit_code(error: BaseException) -> int:
    # Of our errors and of click's own exits; of `sys.exit`, which says 0 as None; of all others 1.
    code = getattr(error, "exit_code", None)
    if isinstance(error, SystemExit):
        code = 0 if error.code is None else error.code
    return code if isinstance(code, int) else EXIT_FAILURE


def _fields(error: BaseException) -> dict[str, object]:
    if not isinstance(error, AuditError):
        return {"error": type(error).__name__, "what": described(error)}
    parts = {name: getattr(error, name) for name in ("what", "where", "row", "got", "expected", "fix")}
    return {"error": type(error).__name__} | {k: v for k, v in parts.items() if v is not None}


def _message(error: BaseException, failed_gates: Sequence[Verdict], run: str | None) -> str:
    if isinstance(error, AuditError):
        return f"{error}\n"
    if failed_gates:
        first = f"{count(len(failed_gates), 'gate')} failed in run {printable(run or '')}."
        return "".join(f"{line}\n" for line in (first, *(v.words for v in failed_gates)))
    return f"{described(error)}\n"
