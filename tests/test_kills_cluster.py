"""Workers, schedulers and whole commands that are killed while they are at work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline import cluster as cluster_module
from pipeline import run as run_module
from pipeline.cluster import Cluster
from pipeline.config import parse
from pipeline.engine import open_engine
from pipeline.errors import ClusterError
from pipeline.progress import Progress
from pipeline.resuming import Resuming, Tasks
from pipeline.run import run_audit
from tests.audits import audit
from tests.clusters import free_port, scheduler, worker
from tests.dying import ROOT, left_in, told
from tests.kill_trials import CONFIG, write_inputs
from tests.waiting import PATIENCE_SECONDS, until

STAGES = ("inputs", "scan", "texts", "sets", "compare", "unitigs", "windows", "attach", "overlap", "examples")
QUIET = Progress(quiet=True)


class Striking(Progress):
    """Does something once, when the tasks of a stage are with the workers, or before they are."""

    def __init__(self, stage: str, strike: Callable[[], object], before: bool = False) -> None:
        super().__init__(quiet=True)
        self.struck = False
        self._stage, self._strike, self._before = stage, strike, before

    def _hit(self, stage: str, before: bool) -> None:
        if (stage, before) == (self._stage, self._before) and not self.struck:
            self.struck = True
            self._strike()

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, int]]:
        """The same, after the blow."""
        self._hit(name, True)
        with super().stage(name) as counts:
            yield counts

    @contextmanager
    def bar(self, stage: str, total: int) -> Iterator[Callable[[], None]]:
        """The same, after the blow."""
        self._hit(stage, False)
        with super().bar(stage, total) as advance:
            yield advance


@pytest.fixture
def reused(monkeypatch: pytest.MonkeyPatch) -> list[Resuming]:
    """The runs that were begun, each with its number of tasks that were not done again."""
    begun: list[Resuming] = []

    class Kept(Resuming):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            begun.append(self)

    monkeypatch.setattr(run_module, "Resuming", Kept)
    return begun


def _records(out: Path) -> int:
    return len(list(out.glob(".work-*/*/done/*/*.json")))


def _tree(folder: Path, **keys: Any) -> dict[str, Any]:
    return {"inputs": [str(folder / "in")], "out": str(folder / "out"), **CONFIG, **keys}


def test_a_scheduler_that_is_killed_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # For how long Dask looks for a scheduler, also for one that it has lost.
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 8)
    with scheduler(tmp_path) as (process, where), worker(where, tmp_path):
        config = parse({"inputs": "x", "cluster": {"address": where}}).cluster
        with (
            pytest.raises(ClusterError, match="stage sleep lost the Dask scheduler") as caught,
            open_engine(config, Striking("sleep", process.kill), tmp_path) as engine,
        ):
            engine.map("sleep", time.sleep, [(PATIENCE_SECONDS,)])
    assert caught.value.where == where
    assert caught.value.exit_code == 1
    assert "again" in str(caught.value.fix)


STARTED, RELEASED = threading.Event(), threading.Event()
FINISHED: list[bool] = []


def _wait_for_release() -> None:
    STARTED.set()
    FINISHED.append(RELEASED.wait(PATIENCE_SECONDS / 3))  # less than Dask has patience for


def test_workers_that_are_threads_are_not_waited_for_by_a_run_that_is_told_to_stop(tmp_path: Path) -> None:
    def stop() -> None:
        assert STARTED.wait(PATIENCE_SECONDS)
        raise KeyboardInterrupt

    try:
        with (
            pytest.raises(KeyboardInterrupt),
            open_engine(
                parse({"inputs": "x", "cluster": {"local": {"memory": "8GiB"}}}).cluster,
                Striking("wait", stop),
                tmp_path,
            ) as engine,
        ):
            engine.map("wait", _wait_for_release, [()])
        assert FINISHED == []
    finally:
        RELEASED.set()
    until(lambda: FINISHED == [True], "the task does not end")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "before", "same"),
    [("scan", False, True), ("sets", False, False), ("windows", True, True), ("examples", False, False)],
)
def test_a_run_whose_scheduler_was_killed_is_finished_with_another(
    tmp_path: Path, stage: str, before: bool, same: bool, reused: list[Resuming]
) -> None:
    write_inputs(tmp_path / "in", 4)
    audit(tmp_path / "in", tmp_path / "plain", **CONFIG)
    port = free_port()
    with scheduler(tmp_path, port) as (process, where), worker(where, tmp_path):
        progress = Striking(stage, process.kill, before)
        with pytest.raises(ClusterError, match="lost the Dask scheduler") as caught:
            run_audit(parse(_tree(tmp_path, cluster={"address": where})), "run", progress)
    assert caught.value.where == where
    done = _records(tmp_path / "out")
    reused.clear()
    with scheduler(tmp_path, port if same else free_port()) as (_, where), worker(where, tmp_path):
        run_audit(parse(_tree(tmp_path, cluster={"address": where})), "run", QUIET)
    assert [tasks.reused for tasks in reused] == [done]
    assert (done == 0) == (stage == "scan")
    assert _files(tmp_path / "out" / "run") == _files(tmp_path / "plain" / "run")
    assert left_in(tmp_path / "out") == []


def _files(run: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = told(run)["files"]
    return found


@pytest.mark.slow
def test_a_run_whose_workers_are_killed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_inputs(tmp_path / "in", 4)
    audit(tmp_path / "in", tmp_path / "plain", **CONFIG)
    clusters: list[Any] = []
    killed: list[tuple[str, int]] = []

    @contextmanager
    def seen(*arguments: Any) -> Iterator[Tasks]:
        with open_engine(*arguments) as engine:
            assert isinstance(engine, Cluster)
            clusters[:] = [engine._client.cluster]
            yield engine

    class Deadly(Progress):
        @contextmanager
        def bar(self, stage: str, total: int) -> Iterator[Callable[[], None]]:
            if stage in STAGES and stage not in [at for at, _ in killed]:
                nannies = list(clusters[0].workers.values())
                until(lambda: None not in [nanny.pid for nanny in nannies], "a worker is not replaced")
                pid = nannies[len(killed) % len(nannies)].pid
                killed.append((stage, pid))
                os.kill(pid, signal.SIGKILL)
            with super().bar(stage, total) as advance:
                yield advance

    monkeypatch.setattr(run_module, "open_engine", seen)
    cluster = {"local": {"processes": True, "workers": 2}}
    run_audit(parse(_tree(tmp_path, cluster=cluster)), "run", Deadly(quiet=True))
    assert {stage for stage, _ in killed} == set(STAGES)
    assert len({pid for _, pid in killed}) > 5, "killed workers are replaced"
    assert _files(tmp_path / "out" / "run") == _files(tmp_path / "plain" / "run")
    assert left_in(tmp_path / "out") == []


def _command(folder: Path, *more: str) -> list[str]:
    config = folder / "config.json"
    config.write_text(json.dumps(_tree(folder, **json.loads(more[0]) if more else {})))
    return [
        sys.executable,
        "-m",
        "pipeline.cli",
        "run",
        "--config",
        str(config),
        "--name",
        "run",
        "--log-json",
    ]


def _events(lines: Sequence[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


def _dies_at(command: Sequence[str], event: int) -> list[dict[str, Any]]:
    """Run a command and kill it on the n-th of its stages' ends; what it told until then."""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        lines: list[str] = []
        for line in run.stderr:
            lines.append(line)
            if sum('"stage_finished"' in each for each in lines) == event:
                run.send_signal(signal.SIGKILL)
                break
        assert run.wait() == -signal.SIGKILL
    return _events(lines)


@pytest.mark.slow
@pytest.mark.parametrize("indexed", [False, True], ids=["alone", "indexed"])
def test_a_command_killed_after_any_stage_is_finished_by_the_same_command(
    tmp_path: Path, indexed: bool
) -> None:
    write_inputs(tmp_path / "in", 4)
    command = _command(tmp_path, json.dumps({"index": str(tmp_path / "index")} if indexed else {}))

    def finished() -> list[dict[str, Any]]:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        events = _events(done.stderr.splitlines())
        assert {event["event"] for event in events} == {"run_started", "stage_finished", "run_finished"}
        return [event for event in events if event["event"] == "stage_finished"]

    stages = [event["stage"] for event in finished()]
    assert len(stages) > 20
    wanted = told(tmp_path / "out" / "run")
    for n in range(1, len(stages) + 1):
        shutil.rmtree(tmp_path / "out")
        shutil.rmtree(tmp_path / "index", ignore_errors=True)
        last = _dies_at(command, n)[-1]
        assert last["stage"] == stages[n - 1]
        again = finished()
        assert [event["stage"] for event in again] == stages
        read = next(event["counts"]["bytes_read"] for event in again if event["stage"] == "scan")
        assert (read == 0) == (n > 1), "scanned shards are not read again"
        assert told(tmp_path / "out" / "run") == wanted
        assert left_in(tmp_path / "out") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda n: n.name)
def test_a_command_that_is_told_to_stop_says_so_and_leaves_its_work(
    tmp_path: Path, number: signal.Signals
) -> None:
    write_inputs(tmp_path / "in", 4)
    mail = tmp_path / "mail"
    command = _command(tmp_path, json.dumps({"on_failure": ["cp", "/dev/stdin", str(mail)]}))
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stderr is not None
        lines = []
        for line in run.stderr:
            lines.append(line)
            if '"stage": "texts"' in line:
                run.send_signal(number)
        assert run.wait() == 1
    *_, stopped = _events(lines)
    assert (stopped["event"], stopped["exit_code"], stopped["got"]) == ("run_failed", 1, number.name)
    assert sum('"run_failed"' in line for line in lines) == 1
    assert mail.read_text().startswith("the run was stopped\n")
    (work,) = (tmp_path / "out").iterdir()
    assert not (work / ".lock").exists()
    assert _records(tmp_path / "out") > 0
