"""What a running audit says on stderr: bars on a terminal, one line a stage elsewhere."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO


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
    """Where progress goes. `quiet` keeps the stage logs and prints nothing."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    quiet: bool = False
    logs: list[StageLog] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, int]]:
        """Time a stage; what is put into the yielded dict is its log line."""
        counts: dict[str, int] = {}
        start = time.perf_counter()
        yield counts
        log = StageLog(name, counts, time.perf_counter() - start, peak_bytes())
        self.logs.append(log)
        if not self.quiet:
            print(log.line(), file=self.stream, flush=True)

    @contextmanager
    def bar(self, stage: str, total: int) -> Iterator[Callable[[], None]]:
        """Show how many of a stage's tasks are done; yields what to call after each."""
        if self.quiet or not self.stream.isatty():
            yield lambda: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description:<11}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Bars(*columns, console=Console(file=self.stream), transient=True) as bars:
            task = bars.add_task(stage, total=total)
            yield lambda: bars.advance(task)


def peak_bytes() -> int:
    """The largest resident size of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
