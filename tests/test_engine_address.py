"""Where tasks run, at an address: a scheduler and workers that were started by someone else."""

from __future__ import annotations

import operator
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import dask
import pytest
from distributed import Client

from pipeline import cluster as module
from pipeline.cluster import open_cluster
from pipeline.config import ClusterConfig, parse
from pipeline.engine import open_engine
from pipeline.errors import ClusterError
from pipeline.progress import Progress
from tests import corpus as planted
from tests.audits import audit, write_texts
from tests.clusters import free_port, scheduler, worker
from tests.waiting import PATIENCE_SECONDS, until

QUIET = Progress(quiet=True)


def _cluster(address: str) -> ClusterConfig:
    return parse({"inputs": "x", "cluster": {"address": address}}).cluster


@pytest.mark.parametrize("address", [None, "tcp://", "nonsense://a:1", "127.0.0.1"])
def test_address_where_no_scheduler_answers_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str | None
) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 1)
    where = address or f"tcp://127.0.0.1:{free_port()}"
    before = set(threading.enumerate())
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1h"}),
        pytest.raises(ClusterError, match="no Dask scheduler answers") as caught,
        open_engine(_cluster(where), QUIET, tmp_path),
    ):
        pass
    assert caught.value.where == where

    def left() -> set[str]:
        return {thread.name for thread in set(threading.enumerate()) - before}

    until(lambda: "IO loop" not in left(), "a client that is half open can block the next one")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler and two workers, each a process of its own, as a user starts them."""
    folder = tmp_path_factory.mktemp("cluster")
    with scheduler(folder) as (_, where), worker(where, folder), worker(where, folder):
        yield where


def test_workers_at_an_address_do_the_tasks(address: str, tmp_path: Path) -> None:
    with open_cluster(_cluster(address), QUIET, tmp_path) as engine:
        engine._client.wait_for_workers(2, timeout=PATIENCE_SECONDS)
        found = set(engine.map("pid", os.getpid, [()] * 20))
        assert os.getpid() not in found
        with pytest.raises(ZeroDivisionError):
            engine.map("divide", operator.truediv, [(1, 0)])
    with open_cluster(_cluster(address), QUIET, tmp_path) as engine:
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
        open_engine(_cluster(address), QUIET, hidden),
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
        scheduler(tmp_path) as (_, where),
        worker(where, tmp_path, PYTHONPATH=str(tmp_path)),
        pytest.raises(ClusterError, match="the workers cannot import the pipeline") as caught,
        open_engine(_cluster(where), QUIET, tmp_path),
    ):
        pass
    assert "No module named 'pipeline" in str(caught.value.got)
    assert "install" in str(caught.value.fix)


def test_scheduler_without_workers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    def too_long(client: Client, n_workers: int, timeout: float) -> None:
        waited.append((n_workers, timeout))
        real(client, n_workers, timeout=0.5)

    real = Client.wait_for_workers
    monkeypatch.setattr(Client, "wait_for_workers", too_long)
    with (
        scheduler(tmp_path) as (_, where),
        pytest.raises(ClusterError, match="the cluster has no workers") as caught,
        open_engine(_cluster(where), QUIET, tmp_path),
    ):
        pass
    assert caught.value.where == where
    assert waited == [(1, module.CONNECT_SECONDS)]
