"""Tasks on workers: of this process, of others, on a cluster of any class."""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dask
import pytest

from pipeline import cluster as module
from pipeline.cluster import Cluster, open_cluster
from pipeline.config import ClusterConfig, parse
from pipeline.errors import ClusterError, ConfigError, InputError
from pipeline.progress import Progress
from pipeline.stages.inputs import InputFile, fingerprint
from tests.waiting import PATIENCE_SECONDS, until

QUIET = Progress(quiet=True)


def _cluster(tree: object) -> ClusterConfig:
    return parse({"inputs": "x", "cluster": tree}).cluster


# --- tasks ----------------------------------------------------------------------------------------

# What tasks call is looked up in this module by the workers, which are threads of this process.
CALLED: list[int] = []
OPEN = threading.Event()  # what held tasks wait for
PAIRS = threading.Barrier(2, timeout=PATIENCE_SECONDS)


@pytest.fixture(autouse=True)
def _nothing_called() -> Iterator[None]:
    CALLED.clear()
    OPEN.clear()
    yield
    OPEN.set()


def _noted(value: int) -> int:
    CALLED.append(value)
    return value


def _held(value: int) -> int:
    CALLED.append(value)
    if not OPEN.wait(PATIENCE_SECONDS):
        raise TimeoutError(f"nothing let item {value} go on")
    return value


def _met(value: int) -> int:
    CALLED.append(value)
    PAIRS.wait()
    return value


def _first_failing(value: int) -> int:
    if value == 0:
        CALLED.append(value)
        raise InputError("it broke", where="a.jsonl", row=7, got="this", expected="that", fix="mend it")
    return _held(value) if 0 in CALLED else _noted(value)


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One worker with two threads in this process."""
    config = _cluster({"local": {"workers": 1, "threads": 2, "memory": "8GiB"}})
    with open_cluster(config, QUIET, tmp_path_factory.mktemp("work")) as cluster:
        yield cluster


def _states(engine: Cluster, stage: str) -> tuple[list[str], list[str]]:
    """States of a stage's tasks as the scheduler and as its one worker see them."""
    cluster: Any = engine._client.cluster
    (worker,) = cluster.workers.values()
    places = cluster.scheduler.tasks, worker.state.tasks
    known, held = ([task.state for task in list(p.values()) if task.key.startswith(stage)] for p in places)
    return known, held


def test_most_costly_items_are_begun_first_and_results_stay_in_order(workers: Cluster) -> None:
    # Both threads are held until the scheduler knows every item, so that it has a choice.
    holding = [workers._client.submit(_held, -1, pure=False) for _ in range(2)]
    until(lambda: CALLED == [-1, -1], "the threads are not held")

    def open_when_all_are_there() -> None:
        until(lambda: len(_states(workers, "cost")[0]) == 30, "the items did not reach the scheduler")
        OPEN.set()

    opening = threading.Thread(target=open_when_all_are_there)
    opening.start()
    costs = [i * 7 % 30 for i in range(30)]
    assert workers.map("cost", _met, [(i,) for i in range(30)], costs=costs) == list(range(30))
    opening.join()
    assert [future.result() for future in holding] == [-1, -1]
    begun = [costs[value] for value in CALLED[2:]]
    assert all(abs(cost - (29 - place)) <= 4 for place, cost in enumerate(begun)), begun


def test_error_of_a_task_arrives_as_it_was_raised_and_cancels_what_is_left(workers: Cluster) -> None:
    # What is begun after the item that fails is held until what is left is cancelled.
    items, costs = [(i,) for i in range(200)], [1] + [0] * 199
    with pytest.raises(InputError) as caught:
        workers.map("fail", _first_failing, items, costs=costs)
    assert type(caught.value) is InputError
    error = caught.value
    assert (error.what, error.where, error.row) == ("it broke", "a.jsonl", 7)
    assert (error.got, error.expected, error.fix) == ("this", "that", "mend it")

    def cancelled() -> bool:
        known, held = _states(workers, "fail")
        return not known and set(held) <= {"cancelled"}  # what was begun cannot be stopped

    until(cancelled, "what was left is not cancelled")
    OPEN.set()
    until(lambda: not _states(workers, "fail")[1], "what was begun does not end")
    assert len(CALLED) < 100, "the rest never ran"
    assert workers.map("after", _noted, [(1,)]) == [1], "the engine goes on"


# --- a cluster on this machine --------------------------------------------------------------------


def test_local_cluster_is_one_worker_with_a_thread_a_core(tmp_path: Path) -> None:
    with open_cluster(_cluster("local"), QUIET, tmp_path) as engine:
        workers = engine._client.scheduler_info(n_workers=-1)["workers"].values()
        assert [worker["nthreads"] for worker in workers] == [len(os.sched_getaffinity(0))]
        assert engine.map("pid", os.getpid, [()] * 3) == [os.getpid()] * 3


def test_local_cluster_has_the_workers_and_threads_it_is_given(workers: Cluster, tmp_path: Path) -> None:
    with open_cluster(
        _cluster({"local": {"workers": 3, "threads": 1, "memory": "1GiB"}}), QUIET, tmp_path
    ) as engine:
        known = engine._client.scheduler_info(n_workers=-1)["workers"].values()
        assert [worker["nthreads"] for worker in known] == [1, 1, 1]
        assert [worker["memory_limit"] for worker in known] == [1 << 30] * 3
    assert len(workers._client.scheduler_info(n_workers=-1)["workers"]) == 1


def test_engine_leaves_nothing_behind(tmp_path: Path) -> None:
    before = dict(dask.config.config["distributed"]["scheduler"])
    with open_cluster(_cluster("local"), QUIET, tmp_path) as engine:
        assert dask.config.get("distributed.scheduler.allowed-failures") == module.RETRIES
        client = engine._client
    assert client.status == "closed"
    assert dict(dask.config.config["distributed"]["scheduler"]) == before


def test_processes_are_processes_and_an_error_comes_out_of_them(tmp_path: Path) -> None:
    config = _cluster({"local": {"workers": 1, "threads": 1, "processes": True}})
    with open_cluster(config, QUIET, tmp_path) as engine:
        (pid,) = set(engine.map("pid", os.getpid, [()] * 4))
        assert pid != os.getpid()
        gone = InputFile(str(tmp_path / "gone"), "text", 1, "")
        with pytest.raises(InputError, match="cannot be opened") as caught:
            engine.map("inputs", fingerprint, [(gone,)])
    assert caught.value.where == gone.uri


# --- a cluster of a class -------------------------------------------------------------------------


def test_cluster_may_be_of_any_class(tmp_path: Path) -> None:
    arguments = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    tree = {"class": "distributed.LocalCluster", "arguments": arguments}
    with open_cluster(_cluster(tree), QUIET, tmp_path) as engine:
        assert engine.map("pid", os.getpid, [()]) == [os.getpid()]
    with open_cluster(_cluster({**tree, "workers": 3}), QUIET, tmp_path) as engine:
        engine._client.wait_for_workers(3, timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("nosuch.Cluster", {}, "cannot import the cluster class nosuch.Cluster"),
        ("distributed.NoSuchCluster", {}, "cannot import the cluster class distributed.NoSuchCluster"),
        ("LocalCluster", {}, "cannot import the cluster class LocalCluster"),
        ("distributed.LocalCluster", {"cores": 4, "queue": "x"}, "distributed.LocalCluster did not start"),
        ("os.path.join", {}, "os.path.join did not start"),
        ("math.sqrt", {"x": 1}, "math.sqrt did not start"),
    ],
)
def test_class_that_makes_no_cluster_is_named(
    tmp_path: Path, name: str, arguments: Mapping[str, Any], words: str
) -> None:
    config = _cluster({"class": name, "arguments": arguments})
    with pytest.raises(ClusterError) as caught, open_cluster(config, QUIET, tmp_path):
        pass
    assert caught.value.what == words
    assert caught.value.got
    assert caught.value.fix


def _refusing(**_: Any) -> None:
    raise ConfigError("not with these arguments")


def test_error_of_a_class_of_our_own_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "Refusing", _refusing, raising=False)
    with (
        pytest.raises(ConfigError, match="not with these"),
        open_cluster(_cluster({"class": "operator.Refusing"}), QUIET, tmp_path),
    ):
        pass


def test_cluster_without_workers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORKERS_SECONDS", 0.5)
    arguments = {"n_workers": 0, "processes": False, "dashboard_address": None}
    config = _cluster({"class": "distributed.LocalCluster", "arguments": arguments})
    with (
        pytest.raises(ClusterError, match="the cluster has no workers"),
        open_cluster(config, QUIET, tmp_path),
    ):
        pass


def test_task_that_kills_its_workers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module._SETTINGS, "distributed.scheduler.allowed-failures", 0)
    config = _cluster({"local": {"workers": 1, "threads": 1, "processes": True}})
    with (
        pytest.raises(ClusterError, match="stage scan lost") as caught,
        open_cluster(config, QUIET, tmp_path) as engine,
    ):
        engine.map("scan", os._exit, [(1,)])
    assert "memory" in str(caught.value.fix)
