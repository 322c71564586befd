"""One process at a time in a folder: live locks are respected, dead ones taken over by exactly one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import locks
from pipeline.errors import AuditError, LockedError
from pipeline.locks import Holder, holder_of, locked

# Says what became of it, then keeps what it has until it may go on.
PROCESS = """
import sys
from pathlib import Path
from pipeline.errors import LockedError
from pipeline.locks import locked
print("ready", flush=True)
sys.stdin.readline()
try:
    with locked(Path(sys.argv[1]), "run of a process"):
        print("held", flush=True)
        sys.stdin.readline()
except LockedError:
    print("refused", flush=True)
"""
BORN_TWICE = "1"  # no process that runs tests began in the first tick of its boot
LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")


@contextmanager
def _process(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PROCESS, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert _said(process) == "ready"
            yield process
        finally:
            process.kill()


def _said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def _plant(folder: Path, age: float = 0.0, content: str | None = None, **fields: str | int) -> Path:
    """Leave a lock of this process, some of what it says being different."""
    file = folder / ".lock" / f"token{os.urandom(4).hex()}"
    file.parent.mkdir(parents=True)
    holder = asdict(locks._myself("run planted")) | fields
    file.write_text(json.dumps(holder) if content is None else content)
    os.utime(file, (time.time() - age,) * 2)
    return file


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of whoever watches a lock, which take no time."""
    pauses: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: sum(pauses), sleep=pauses.append)
    monkeypatch.setattr(locks, "time", clock)
    return pauses


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_lock_is_there_while_held_and_gone_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    with locked(folder, "run monday") as lock:
        lock.check()
        assert _names(folder) == [".lock"]
        holder = holder_of(folder)
        assert holder is not None
        assert (holder.what, holder.host, holder.pid) == ("run monday", socket.gethostname(), os.getpid())
    assert _names(folder) == []
    assert holder_of(folder) is None


def test_lock_is_given_up_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), locked(tmp_path, "run"):
        raise KeyboardInterrupt
    assert _names(tmp_path) == []


def test_second_is_told_who_is_at_work(tmp_path: Path) -> None:
    with locked(tmp_path, "run \x1b[31mmonday\n"):
        with pytest.raises(LockedError) as caught, locked(tmp_path, "run tuesday"):
            pass
        assert _names(tmp_path) == [".lock"]
    assert caught.value.exit_code == 75
    assert caught.value.where == str(tmp_path / ".lock")
    found = caught.value.got or ""
    process = f"process {os.getpid()} on {socket.gethostname()} since 20"
    assert found.startswith(rf"run \x1b[31mmonday\n: {process}")
    assert "last sign of life" in found


def test_other_folders_are_free(tmp_path: Path) -> None:
    with locked(tmp_path / "a", "run"), locked(tmp_path / "b", "run"):
        assert _names(tmp_path) == ["a", "b"]


def test_process_that_holds_a_lock_keeps_others_out_until_it_is_killed(tmp_path: Path) -> None:
    with _process(tmp_path) as process:
        _go(process)
        assert _said(process) == "held"
        with pytest.raises(LockedError, match="another process is at work"), locked(tmp_path, "run"):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
    found = holder_of(tmp_path)
    assert found is not None
    assert found.alive is False
    with locked(tmp_path, "run after it"):
        assert _names(tmp_path / ".lock") != []
    assert _names(tmp_path) == []


@LINUX
def test_process_of_which_only_the_remains_are_left_is_dead(tmp_path: Path) -> None:
    with _process(tmp_path) as process:
        _go(process)
        assert _said(process) == "held"
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{process.pid}").exists()
        with locked(tmp_path, "run"):
            pass


@LINUX
def test_process_id_that_was_given_again_is_another_process(tmp_path: Path) -> None:
    _plant(tmp_path, born=BORN_TWICE)
    with locked(tmp_path, "run"):
        found = holder_of(tmp_path)
    assert found is not None
    assert found.what == "run"


@LINUX
def test_own_process_is_alive_and_the_remains_of_none_are_not() -> None:
    own = locks._myself("run")
    assert own.alive is True
    assert replace(own, pid=2**30).alive is False
    assert replace(own, born="").alive is False


@pytest.mark.parametrize("field", [{"host": "elsewhere"}, {"space": "another boot"}, {"space": ""}])
def test_dead_process_is_not_known_dead_from_elsewhere(tmp_path: Path, field: dict[str, str]) -> None:
    _plant(tmp_path, age=500, pid=2**30, **field)
    with pytest.raises(LockedError, match=r"process 1073741824 on .*\(?since"), locked(tmp_path, "run"):
        pass


@pytest.mark.parametrize("age", [601, 10**6, -601, -(10**6)])
@pytest.mark.parametrize("field", [{"host": "elsewhere"}, {}])
def test_lock_without_a_sign_of_life_is_taken_over_after_a_watch(
    tmp_path: Path, watched: list[float], age: int, field: dict[str, str]
) -> None:
    _plant(tmp_path, age=age, **field)
    with locked(tmp_path, "run"):
        found = holder_of(tmp_path)
    assert found is not None
    assert found.what == "run"
    assert sum(watched) == pytest.approx(locks.WATCH_SECONDS)


@pytest.mark.parametrize("age", [590, 0, -5, -590])
def test_lock_with_a_sign_of_life_is_not_even_watched(tmp_path: Path, watched: list[float], age: int) -> None:
    _plant(tmp_path, age=age, host="elsewhere")
    with pytest.raises(LockedError), locked(tmp_path, "run"):
        pass
    assert watched == []


@pytest.mark.parametrize("age", [10**5, -(10**5)])
def test_clock_that_jumped_does_not_break_a_live_lock(
    tmp_path: Path, watched: list[float], monkeypatch: pytest.MonkeyPatch, age: int
) -> None:
    file = _plant(tmp_path, age=age, host="elsewhere")

    def beat(pause: float) -> None:
        watched.append(pause)
        if len(watched) == 30:
            os.utime(file)

    monkeypatch.setattr("pipeline.locks.time.sleep", beat)
    with pytest.raises(LockedError), locked(tmp_path, "run"):
        pass
    assert len(watched) == 30
    assert file.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"pid": 1}', '{"what": 1}', "\x00" * 9])
def test_lock_that_says_nothing_counts_until_it_is_old(
    tmp_path: Path, watched: list[float], content: str
) -> None:
    file = _plant(tmp_path, content=content)
    with pytest.raises(LockedError, match="says nothing of its holder"), locked(tmp_path, "run"):
        pass
    os.utime(file, (0, 0))
    with locked(tmp_path, "run"):
        assert watched


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_is_no_lock_is_left_alone(tmp_path: Path, kind: str, watched: list[float]) -> None:
    there, elsewhere = tmp_path / ".lock", tmp_path / "elsewhere"
    elsewhere.mkdir()
    make: dict[str, Callable[[], object]] = {
        "file": lambda: there.write_text("mine"),
        "link": lambda: there.symlink_to(elsewhere),
        "folder": lambda: (there / "mine").mkdir(parents=True),
    }
    make[kind]()
    with pytest.raises(AuditError), locked(tmp_path, "run"):
        pass
    assert _names(tmp_path) == [".lock", "elsewhere"]
    assert there.is_symlink() == (kind == "link")


def test_empty_folder_of_that_name_is_a_free_lock(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    with locked(tmp_path, "run"):
        pass
    assert _names(tmp_path) == []


def test_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "a"
    with pytest.raises(AuditError, match="cannot lock a folder") as caught, locked(folder, "run"):
        pass
    assert caught.value.exit_code == 1
    assert caught.value.where == str(folder)


def test_one_of_many_processes_takes_over_the_lock_of_a_dead_one(tmp_path: Path) -> None:
    _plant(tmp_path, pid=2**30)
    with ExitStack() as stack:
        processes = [stack.enter_context(_process(tmp_path)) for _ in range(6)]
        for process in processes:
            _go(process)
        assert sorted(_said(process) for process in processes) == ["held"] + ["refused"] * 5
        assert _names(tmp_path) == [".lock"]


def _winners(folder: Path, threads: int = 8) -> int:
    """Let threads take over a stale lock at once, each keeping it until all have tried."""
    start, end = threading.Barrier(threads), threading.Barrier(threads)
    _plant(folder, pid=2**30)

    def attempt(_: int) -> bool:
        start.wait()
        try:
            with locked(folder, "run"):
                end.wait()
                return True
        except LockedError:
            end.wait()
            return False

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(attempt, range(threads)))


def test_one_of_many_threads_takes_over(tmp_path: Path) -> None:
    assert [_winners(tmp_path / str(turn)) for turn in range(30)] == [1] * 30


def test_late_removal_of_a_stale_lock_does_not_remove_its_successor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _plant(tmp_path, pid=2**30)
    read = locks._read
    with ExitStack() as stack:

        def overtaken(file: Path) -> Holder | None:
            """Another takes over between the look at the stale lock and its removal."""
            holder = read(file)
            monkeypatch.setattr(locks, "_read", read)
            stack.enter_context(locked(tmp_path, "the successor"))
            return holder

        monkeypatch.setattr(locks, "_read", overtaken)
        with pytest.raises(LockedError, match="the successor"), locked(tmp_path, "the late one"):
            pass
        found = holder_of(tmp_path)
        assert found is not None
        assert found.what == "the successor"


def test_lock_that_is_given_up_while_it_is_looked_at_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, read = _plant(tmp_path, host="elsewhere"), locks._read

    def given_up(other: Path) -> Holder | None:
        file.unlink(missing_ok=True)
        return read(other)

    with monkeypatch.context() as patched:
        patched.setattr(locks, "_read", given_up)
        with locked(tmp_path, "run"):
            patched.undo()
            found = holder_of(tmp_path)
            assert found is not None
            assert found.what == "run"


def test_who_lost_the_lock_is_told_and_does_not_remove_that_of_another(tmp_path: Path) -> None:
    with locked(tmp_path, "the one that slept") as lock:
        (file,) = (tmp_path / ".lock").iterdir()
        file.unlink()
        with locked(tmp_path, "another"):
            with pytest.raises(LockedError, match="has lost its lock") as caught:
                lock.check()
            lock._release()
            found = holder_of(tmp_path)
            assert found is not None
            assert found.what == "another"
    assert caught.value.exit_code == 75
    assert _names(tmp_path) == []


def test_child_that_leaves_the_block_does_not_give_up_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with locked(tmp_path, "run") as lock:
        with monkeypatch.context() as patches:
            patches.setattr(os, "getpid", lambda: 1)
            lock._release()
        lock.check()


def test_heart_beats_and_survives_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beats, enough, utime = [], threading.Event(), os.utime

    def counted(path: Path, *times: tuple[float, float]) -> None:
        if threading.current_thread() is not threading.main_thread():
            beats.append(path)
            if len(beats) == 1:
                raise OSError("the file server is away")
            utime(path)
            enough.set()

    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.001)
    monkeypatch.setattr(os, "utime", counted)
    with locked(tmp_path, "run"):
        (file,) = (tmp_path / ".lock").iterdir()
        utime(file, (0, 0))
        for _ in range(2):  # the first may have been on its way before
            enough.clear()
            assert enough.wait(60)
        assert file.stat().st_mtime > 0
    assert set(beats) == {file}
    assert not [thread for thread in threading.enumerate() if "heartbeat" in thread.name]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.builds(Holder, *[st.text()] * 2, st.integers(), *[st.text()] * 3))
def test_what_a_lock_says_is_read_back(tmp_path: Path, holder: Holder) -> None:
    file = tmp_path / "token"
    file.write_text(json.dumps(asdict(holder)), encoding="utf-8")
    assert locks._read(file) == holder
