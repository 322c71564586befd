"""Tests of measure: what is timed, what memory is seen, what is left running."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest
from measure import Measurement, Repetition, measure, repeat, session_processes

MEGABYTE = 1_000_000


def python(code: str) -> list[str]:
    """Return a command that runs `code`."""
    return [sys.executable, "-c", code]


def living(session: int) -> list[psutil.Process]:
    """Return the processes of a session that are more than zombies waiting to be reaped."""
    return [each for each in session_processes(session) if each.status() != psutil.STATUS_ZOMBIE]


def test_times_the_command_and_keeps_its_output() -> None:
    run = measure(python("import sys, time; time.sleep(.2); print('out'); sys.exit('err')"))
    assert 0.2 <= run.wall_seconds < 2
    assert (run.returncode, run.stdout_tail, run.stderr_tail) == (1, "out\n", "err\n")


def test_only_the_end_of_the_output_is_kept() -> None:
    run = measure(python("print('x' * 100_000 + 'end')"))
    assert run.stdout_tail.endswith("xend\n")
    assert len(run.stdout_tail) == 4_000


def test_memory_of_children_is_counted() -> None:
    child = "x = bytearray(b'1' * 100_000_000); import time; time.sleep(.4)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    peak_bytes = measure(python(code)).peak_tree_bytes
    assert 100 * MEGABYTE < peak_bytes < 250 * MEGABYTE


def test_processor_time_of_children_is_counted() -> None:
    spin = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {spin!r}])"
    assert 0.3 <= measure([sys.executable, "-c", child]).cpu_seconds < 2
    assert measure([sys.executable, "-c", "import time; time.sleep(0.4)"]).cpu_seconds < 0.3


def test_pages_shared_by_forked_processes_count_once() -> None:
    code = "x = bytearray(b'1' * 100_000_000); import os, time; os.fork(); time.sleep(.4)"
    peak_bytes = measure(python(code)).peak_tree_bytes
    # 200 MB while the literal is copied, 100 MB in each of two processes after.
    assert 100 * MEGABYTE < peak_bytes < 240 * MEGABYTE


def test_a_process_left_behind_is_killed() -> None:
    child = "import time; time.sleep(60)"
    code = (
        f"import os, subprocess, sys;subprocess.Popen([sys.executable, '-c', {child!r}]); print(os.getsid(0))"
    )
    session = int(measure(python(code)).stdout_tail)
    deadline = time.monotonic() + 5
    while living(session) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not living(session)


def test_a_command_over_its_time_is_killed_with_its_children() -> None:
    child = "import time; time.sleep(60)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    run = measure(python(code), timeout_seconds=0.3)
    assert run.returncode == -9
    assert 0.3 <= run.wall_seconds < 5


def test_own_processes_are_not_of_the_session_of_the_command() -> None:
    with subprocess.Popen(["sleep", "1"], start_new_session=True) as process:
        assert [each.pid for each in session_processes(process.pid)] == [process.pid]
        assert os.getpid() not in {each.pid for each in session_processes(process.pid)}
        process.kill()


def test_environment_is_added() -> None:
    run = measure(python("import os; print(os.environ['BENCH'])"), environment={"BENCH": "yes"})
    assert run.stdout_tail == "yes\n"


def test_medians_of_runs() -> None:
    runs = tuple(Measurement(seconds, peak, 0, "", "") for seconds, peak in [(3, 1), (1, 5), (2, 9)])
    assert (Repetition(runs).wall_seconds, Repetition(runs).peak_tree_bytes) == (2, 5)


@pytest.mark.parametrize(("code", "runs"), [("pass", 3), ("raise SystemExit(7)", 1)])
def test_repeat_stops_at_a_failure(code: str, runs: int) -> None:
    repetition = repeat(python(code), runs=3)
    assert len(repetition.runs) == runs
    assert repetition.returncode == (0 if runs == 3 else 7)
