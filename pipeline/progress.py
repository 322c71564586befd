"""What a running audit says on stderr: bars and lines on a terminal, JSON Lines elsewhere.

A log that nobody watches is read by programs: there each event is one line, with the same first keys
and in ASCII, so that no name or message breaks a line or hides in it. A finished run and a failure are
events, too, told by `watching`; on a terminal the command itself says these.
"""

from __future__ import annotations

import copy
import json
import math
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class StageLog:
    """What a finished stage did."""

    stage: str
    counts: Mapping[str, int]
    seconds: float
    peak_bytes: int

    def line(self) -> str:
        """The stage on one line."""
        numbers = "  ".join(f"{name} {count:,}" for name, count in self.counts.items())
        return f"{self.stage:<11} {numbers}  {self.seconds:.2f} s  peak {self.peak_bytes / 1e6:,.0f} MB"


@dataclass
class Progress:
    """Where progress goes. `quiet` keeps the stage logs and prints no progress.

    Attributes:
        log_json: write JSON Lines, on a terminal also.
        run: the name of the run, once `begin` told it.
    """

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    quiet: bool = False
    logs: list[StageLog] = field(default_factory=list)
    log_json: bool = False
    run: str | None = None
    _start: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self._bars = _Bars(self.stream)

    def part(self) -> Progress:
        """Progress of a part of the run, told in the same place; what its stages did is in its own logs."""
        part = copy.copy(self)
        part.logs = []
        return part

    @property
    def as_json(self) -> bool:
        """Whether events are told as JSON Lines."""
        return not self.quiet and (self.log_json or not self.stream.isatty())

    @property
    def seconds(self) -> float:
        """How long this has been going on."""
        return time.perf_counter() - self._start

    def begin(self, run: str, **facts: Any) -> None:
        """Say that a run begins; its name goes into all events from here on."""
        self.run = run
        self.event("run_started", **facts)

    def event(self, event: str, level: Level = "info", **facts: object) -> None:
        """Tell an event, where events are told as JSON Lines."""
        if self.as_json:
            time_ = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._line({"time": time_, "level": level, "event": event, "run": self.run} | facts)

    def damaged(self, words: str) -> None:
        """Tell that a file of earlier work is damaged; what it held is made anew."""
        if self.as_json:
            self.event("damaged", "warning", message=words)
        elif not self.quiet:
            self._bars.say(f"dupaudit: damaged, made anew: {words}")

    def problem(self, words: str) -> None:
        """Tell what went wrong beside the audit, in JSON or in words, even if quiet."""
        if self.as_json:
            self.event("problem", "error", message=words)
        else:
            self._bars.say(f"dupaudit: {words}")

    def _line(self, facts: dict[str, Any]) -> None:
        self._bars.say(json.dumps(_plain(facts), allow_nan=False))

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, int]]:
        """Time a stage; what is put into the yielded dict is its log line."""
        counts: dict[str, int] = {}
        start = time.perf_counter()
        yield counts
        log = StageLog(name, counts, time.perf_counter() - start, peak_bytes())
        self.logs.append(log)
        if self.as_json:
            seconds = round(log.seconds, 3)
            self.event(
                "stage_finished", stage=name, counts=counts, seconds=seconds, peak_bytes=log.peak_bytes
            )
        elif not self.quiet:
            self._bars.say(log.line())

    @contextmanager
    def bar(self, stage: str, total: int) -> Iterator[Callable[[], None]]:
        """Show how many of a stage's tasks are done; yields what to call after each."""
        if self.quiet or self.as_json:
            yield lambda: None
            return
        with self._bars.bar(stage, total) as advance:
            yield advance


class _Bars:
    """The bars of all stages under way, in one display, which is there while there are any."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._lock = stream, threading.Lock()
        self._shown: Any = None

    @contextmanager
    def bar(self, stage: str, total: int) -> Iterator[Callable[[], None]]:
        """A bar with the name of a stage; yields what to call after each of `total` tasks."""
        with self._lock:
            if self._shown is None:
                self._shown = self._display()
                self._shown.start()
            bars, task = self._shown, self._shown.add_task(stage, total=total)
        try:
            yield lambda: bars.advance(task)
        finally:
            with self._lock:
                if len(bars.tasks) > 1:
                    bars.remove_task(task)
                else:
                    bars.stop()
                    self._shown = None

    def say(self, line: str) -> None:
        """Write a line, above the bars if there are any, in one piece."""
        with self._lock:
            if self._shown is None:
                self._stream.write(f"{line}\n")
                self._stream.flush()
            else:
                self._shown.console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def _display(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description:<11}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        return Progress(*columns, console=Console(file=self._stream), transient=True)


def _plain(value: Any) -> Any:
    # What JSON has words for: NumPy's numbers are Python's, what is not a number is null.
    if isinstance(value, Mapping):
        return {str(key): _plain(below) for key, below in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(below) for below in value]
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def peak_bytes() -> int:
    """The largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
