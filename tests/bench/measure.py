"""Wall time, processor time and peak memory of a command, over its whole process tree.

The command runs in a session of its own, so that its processes are found also after their parent
has ended. Memory is sampled: the sum of the processes' proportional set sizes (PSS), which counts a
page that several processes share once, not once for each; plain resident sizes (RSS) would charge a
tool that forks for memory it does not use. PSS takes the kernel a walk through the page tables, so
it is read only while the sum of RSS, which it cannot exceed, is above the peak so far.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import BinaryIO

import psutil

SAMPLE_SECONDS = 0.05
TAIL_BYTES = 4_000


@dataclass(frozen=True)
class Measurement:
    """One run of a command.

    wall_seconds: from just before the start to the end of the command itself.
    peak_tree_bytes: largest sampled sum of PSS over all processes of the run; 0 if it ended before
        the first sample.
    returncode: as of subprocess; negative for a signal.
    stdout_tail, stderr_tail: the last 4,000 bytes of each.
    cpu_seconds: what all cores spent on it, for the command or for the system; of its processes'
        processes only where their parents waited for them.
    """

    wall_seconds: float
    peak_tree_bytes: int
    returncode: int
    stdout_tail: str
    stderr_tail: str
    cpu_seconds: float = 0.0


@dataclass(frozen=True)
class Repetition:
    """Several runs of one command; the medians are what to report."""

    runs: tuple[Measurement, ...]

    @property
    def wall_seconds(self) -> float:
        """Median wall time."""
        return median(run.wall_seconds for run in self.runs)

    @property
    def peak_tree_bytes(self) -> int:
        """Median peak memory."""
        return int(median(run.peak_tree_bytes for run in self.runs))

    @property
    def returncode(self) -> int:
        """0 if every run ended well, else that of the last run."""
        return self.runs[-1].returncode


def measure(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
) -> Measurement:
    """Run a command to its end and measure it.

    environment: added to this process's own.
    timeout_seconds: after this the whole session is killed, and the return code says so (-9).
    Whatever the command leaves running when it ends is killed too.
    """
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        spent_before = _cpu_seconds_of_children()
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        sampler = _Sampler(process.pid)
        sampler.start()
        # Not wait(timeout): that polls, up to 50 ms late.
        deadline = threading.Timer(timeout_seconds or 0, _kill_session, [process.pid])
        if timeout_seconds is not None:
            deadline.start()
        try:
            process.wait()
        finally:
            wall_seconds = time.perf_counter() - started
            deadline.cancel()
            sampler.stop()
            _kill_session(process.pid)
        cpu_seconds = _cpu_seconds_of_children() - spent_before
        tails = _tail(stdout), _tail(stderr)
        return Measurement(wall_seconds, sampler.peak_bytes, process.returncode, *tails, cpu_seconds)


def repeat(
    command: Sequence[str | Path],
    runs: int = 3,
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float | None = None,
) -> Repetition:
    """Measure a command several times, one after the other; stop at the first run that fails."""
    done: list[Measurement] = []
    while len(done) < runs and not (done and done[-1].returncode):
        done.append(measure(command, cwd=cwd, environment=environment, timeout_seconds=timeout_seconds))
    return Repetition(tuple(done))


class _Sampler(threading.Thread):
    """A thread that keeps the peak memory of all processes of a session."""

    def __init__(self, session: int) -> None:
        super().__init__(name="memory sampler", daemon=True)
        self.peak_bytes = 0
        self._session = session
        self._ended = threading.Event()

    def run(self) -> None:
        """Sample until stopped."""
        while not self._ended.wait(SAMPLE_SECONDS):
            processes = session_processes(self._session)
            if sum(map(_resident_bytes, processes)) > self.peak_bytes:
                proportional = sum(map(_proportional_bytes, processes))
                self.peak_bytes = max(self.peak_bytes, proportional)

    def stop(self) -> None:
        """End sampling; return when the thread has ended."""
        self._ended.set()
        self.join()


def session_processes(session: int) -> list[psutil.Process]:
    """Return the running processes of a session, by the id of the process that leads it."""
    found = []
    for pid in psutil.pids():
        try:
            if os.getsid(pid) == session:
                found.append(psutil.Process(pid))
        except (ProcessLookupError, psutil.Error):
            continue
    return found


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _proportional_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


def _cpu_seconds_of_children() -> float:
    # Of those that have ended and were waited for.
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _kill_session(session: int) -> None:
    for process in session_processes(session):
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.Error:
            continue


def _tail(stream: BinaryIO) -> str:
    stream.seek(0, os.SEEK_END)
    stream.seek(max(0, stream.tell() - TAIL_BYTES))
    return stream.read().decode(errors="replace")
