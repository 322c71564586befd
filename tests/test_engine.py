"""Where tasks run: in this process, in others, behind an address, on a cluster of any class."""

from __future__ import annotations

import operator
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import pytest

from pipeline import engine as module
from pipeline.config import ClusterConfig, parse
from pipeline.engine import Engine, open_engine
from pipeline.errors import ClusterError, ConfigError, InputError
from pipeline.progress import Progress
from pipeline.stages.inputs import InputFile, fingerprint
from tests import corpus as planted
from tests.audits import audit, write_texts

ROOT = Path(__file__).resolve().parents[1]
QUIET = Progress(quiet=True)


def _cluster(tree: object) -> ClusterConfig:
    return parse({"inputs": "x", "cluster": tree}).cluster


# --- tasks ----------------------------------------------------------------------------------------

# What tasks call is looked up in this module by the workers, which are threads of this process.
CALLED: list[object] = []


def _slowly(seconds: float, value: int) -> int:
    time.sleep(seconds)
    CALLED.append(value)
    return value


def _failing(value: int) -> int:
    CALLED.append(value)
    if value == 3:
        raise InputError("it broke", where="a.jsonl", row=7, got="this", expected="that", fix="mend it")
    time.sleep(0.02)
    return value


def _with(item: int, other: str, *, shared: list[int], name: str) -> tuple[int, str, int, str]:
    return item, other, sum(shared), name


def _defective() -> None:
    raise ZeroDivisionError("a defect")


@pytest.fixture(scope="module")
def threads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One worker with two threads in this process."""
    config = _cluster({"local": {"workers": 1, "threads": 2}})
    with open_engine(config, QUIET, tmp_path_factory.mktemp("work")) as engine:
        yield engine


def test_results_are_in_the_order_of_the_items(threads: Engine) -> None:
    CALLED.clear()
    items = [(0.05 - 0.005 * i, i) for i in range(10)]
    assert threads.map("wait", _slowly, items) == list(range(10))
    assert set(CALLED) == set(range(10))
    assert len(CALLED) == 10, "each once"
    assert list(range(10)) != CALLED, "they ran side by side"


def test_shared_arguments_go_to_every_item(threads: Engine) -> None:
    found = threads.map("share", _with, [(1, "a"), (2, "b")], shared=[5, 6], name="x")
    assert found == [(1, "a", 11, "x"), (2, "b", 11, "x")]


def test_no_items_are_no_results(threads: Engine) -> None:
    assert threads.map("none", _slowly, []) == []


def test_equal_items_are_tasks_of_their_own(threads: Engine) -> None:
    CALLED.clear()
    assert threads.map("same", _slowly, [(0, 7)] * 5) == [7] * 5
    assert threads.map("same", _slowly, [(0, 7)] * 2) == [7] * 2
    assert CALLED == [7] * 7


def test_most_costly_items_are_begun_first(threads: Engine) -> None:
    CALLED.clear()
    costs = [1] * 30 + [1000]
    assert threads.map("cost", _slowly, [(0.02, i) for i in range(31)], costs=costs) == list(range(31))
    assert CALLED.index(30) < 15


def test_error_of_a_task_arrives_as_it_was_raised(threads: Engine) -> None:
    CALLED.clear()
    with pytest.raises(InputError) as caught:
        threads.map("fail", _failing, [(i,) for i in range(200)], costs=[int(i == 3) for i in range(200)])
    assert type(caught.value) is InputError
    error = caught.value
    assert (error.what, error.where, error.row) == ("it broke", "a.jsonl", 7)
    assert (error.got, error.expected, error.fix) == ("this", "that", "mend it")
    time.sleep(0.1)
    begun = len(CALLED)
    time.sleep(0.2)
    assert len(CALLED) == begun < 150, "what was left is cancelled"
    assert threads.map("after", _slowly, [(0, 1)]) == [1], "the engine goes on"


def test_defect_in_a_task_stays_a_defect(threads: Engine) -> None:
    with pytest.raises(ZeroDivisionError, match="a defect"):
        threads.map("defect", _defective, [()])


def test_progress_counts_every_task(tmp_path: Path) -> None:
    class Counting(Progress):
        seen: list[object]

        @contextmanager
        def bar(self, stage: str, total: int) -> Iterator[Callable[[], None]]:
            self.seen = [stage, total]
            yield lambda: self.seen.append("done")

    progress = Counting(quiet=True)
    with open_engine(_cluster("local"), progress, tmp_path) as engine:
        engine.map("scan", operator.neg, [(i,) for i in range(4)])
    assert progress.seen == ["scan", 4, *["done"] * 4]


# --- a cluster on this machine --------------------------------------------------------------------


def test_local_cluster_is_one_worker_with_a_thread_a_core(tmp_path: Path) -> None:
    with open_engine(_cluster("local"), QUIET, tmp_path) as engine:
        workers = engine._client.scheduler_info(n_workers=-1)["workers"].values()
        assert [worker["nthreads"] for worker in workers] == [len(os.sched_getaffinity(0))]
        assert engine.map("pid", os.getpid, [()] * 3) == [os.getpid()] * 3


def test_local_cluster_has_the_workers_and_threads_it_is_given(threads: Engine, tmp_path: Path) -> None:
    with open_engine(
        _cluster({"local": {"workers": 3, "threads": 1, "memory": "1GiB"}}), QUIET, tmp_path
    ) as engine:
        workers = engine._client.scheduler_info(n_workers=-1)["workers"].values()
        assert [worker["nthreads"] for worker in workers] == [1, 1, 1]
        assert [worker["memory_limit"] for worker in workers] == [1 << 30] * 3
    assert len(threads._client.scheduler_info(n_workers=-1)["workers"]) == 1


def test_engine_leaves_nothing_behind(tmp_path: Path) -> None:
    before = dict(dask.config.config["distributed"]["scheduler"])
    with open_engine(_cluster("local"), QUIET, tmp_path) as engine:
        assert dask.config.get("distributed.scheduler.allowed-failures") == module.RETRIES
        client = engine._client
    assert client.status == "closed"
    assert dict(dask.config.config["distributed"]["scheduler"]) == before


def test_processes_are_processes_and_an_error_comes_out_of_them(tmp_path: Path) -> None:
    config = _cluster({"local": {"workers": 1, "threads": 1, "processes": True}})
    with open_engine(config, QUIET, tmp_path) as engine:
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
    with open_engine(_cluster(tree), QUIET, tmp_path) as engine:
        assert engine.map("pid", os.getpid, [()]) == [os.getpid()]
    with open_engine(_cluster({**tree, "workers": 3}), QUIET, tmp_path) as engine:
        engine._client.wait_for_workers(3, timeout=20)


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
    with pytest.raises(ClusterError) as caught, open_engine(config, QUIET, tmp_path):
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
        open_engine(_cluster({"class": "operator.Refusing"}), QUIET, tmp_path),
    ):
        pass


def test_cluster_without_workers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORKERS_SECONDS", 0.5)
    arguments = {"n_workers": 0, "processes": False, "dashboard_address": None}
    config = _cluster({"class": "distributed.LocalCluster", "arguments": arguments})
    with (
        pytest.raises(ClusterError, match="the cluster has no workers"),
        open_engine(config, QUIET, tmp_path),
    ):
        pass


def test_task_that_kills_its_workers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module._SETTINGS, "distributed.scheduler.allowed-failures", 0)
    config = _cluster({"local": {"workers": 1, "threads": 1, "processes": True}})
    with (
        pytest.raises(ClusterError, match="stage scan lost") as caught,
        open_engine(config, QUIET, tmp_path) as engine,
    ):
        engine.map("scan", os._exit, [(1,)])
    assert "memory" in str(caught.value.fix)


# --- a cluster at an address ----------------------------------------------------------------------


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("address", [None, "tcp://", "nonsense://a:1", "127.0.0.1"])
def test_address_where_no_scheduler_answers_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 1)
    where = address or f"tcp://127.0.0.1:{_free_port()}"
    start, before = time.monotonic(), set(threading.enumerate())
    with (
        pytest.raises(ClusterError, match="no Dask scheduler answers") as caught,
        open_engine(_cluster({"address": where}), QUIET, tmp_path),
    ):
        pass
    assert caught.value.where == where
    assert time.monotonic() - start < 15
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert "IO loop" not in left, "a client that is half open can block the next one"


@contextmanager
def _process(*arguments: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", *arguments]
    with (folder / f"{arguments[0]}.log").open("ab") as log:
        started = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=log, stderr=log
        )
    try:
        yield started
    finally:
        started.kill()
        started.wait()


@contextmanager
def _scheduler(folder: Path) -> Iterator[str]:
    port = _free_port()
    where = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    with _process("distributed.cli.dask_scheduler", *where, folder=folder) as started:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and started.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"tcp://127.0.0.1:{port}"


def _worker(address: str, folder: Path, **environment: str) -> Any:
    options = (
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
        "--host",
        "127.0.0.1",
        "--death-timeout",
        "60",
    )
    return _process("distributed.cli.dask_worker", address, *options, folder=folder, **environment)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler and two workers, each a process of its own, as a user starts them."""
    folder = tmp_path_factory.mktemp("cluster")
    with _scheduler(folder) as where, _worker(where, folder), _worker(where, folder):
        yield where


def test_workers_at_an_address_do_the_tasks(address: str, tmp_path: Path) -> None:
    with open_engine(_cluster({"address": address}), QUIET, tmp_path) as engine:
        engine._client.wait_for_workers(2, timeout=60)
        found = set(engine.map("pid", os.getpid, [()] * 20))
        assert os.getpid() not in found
        with pytest.raises(ZeroDivisionError):
            engine.map("divide", operator.truediv, [(1, 0)])
    with open_engine(_cluster({"address": address}), QUIET, tmp_path) as engine:
        assert len(engine._client.scheduler_info(n_workers=-1)["workers"]) == 2, "they are left as they were"


def test_workers_at_an_address_write_the_bytes_of_a_local_run(address: str, tmp_path: Path) -> None:
    rng = random.Random(6)
    words = planted.fresh(rng, 300)
    texts = [planted.window(words, start, 60) for start in range(0, 120, 4)]
    texts += [planted.text(rng, 30) for _ in range(60)] + texts[:7] + ["", "short"]
    texts += [planted.disguised(rng, text.split()) for text in texts[10:20]]
    for i in range(4):
        write_texts(tmp_path / "in" / f"{i}.jsonl", texts[i::4])
    config = {"shard_bytes": 5000, "near": {"permutations": 64}}
    local = audit(tmp_path / "in", tmp_path / "audits", "local", **config)
    remote = audit(tmp_path / "in", tmp_path / "audits", "remote", cluster={"address": address}, **config)
    assert remote.bytes_of_files() == local.bytes_of_files()
    assert len(local.pairs) > 20
    assert len(local.documents) == len(texts)


def test_workers_that_do_not_see_the_folder_are_told(address: str, tmp_path: Path) -> None:
    hidden = tmp_path / "only here"
    with (
        pytest.raises(ClusterError, match="do not see the output folder") as caught,
        open_engine(_cluster({"address": address}), QUIET, hidden),
    ):
        pass
    assert caught.value.where == str(hidden)
    assert "workers, for instance tcp://127.0.0.1:" in str(caught.value.got)


def test_workers_without_the_package_are_told(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Nowhere:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'pipeline':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Nowhere())\n"
    )
    with (
        _scheduler(tmp_path) as where,
        _worker(where, tmp_path, PYTHONPATH=str(tmp_path)),
        pytest.raises(ClusterError, match="the workers cannot import the pipeline") as caught,
        open_engine(_cluster({"address": where}), QUIET, tmp_path),
    ):
        pass
    assert "No module named 'pipeline" in str(caught.value.got)
    assert "install" in str(caught.value.fix)


def test_scheduler_without_workers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _scheduler(tmp_path) as where:
        monkeypatch.setattr(module, "CONNECT_SECONDS", 4)
        with (
            pytest.raises(ClusterError, match="the cluster has no workers") as caught,
            open_engine(_cluster({"address": where}), QUIET, tmp_path),
        ):
            pass
        assert caught.value.where == where
