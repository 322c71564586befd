"""Dask's `distributed`: tasks on workers, which are started or reached.

They are processes of this machine, for readers that might take the interpreter down with them and for
memory limits; or they are behind the address of a scheduler, or started by any cluster class.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import dask
from distributed import Client, KilledWorker, LocalCluster, Security, Worker, as_completed
from distributed.comm.core import connect
from distributed.utils import LoopRunner

from pipeline.beside import Stopped, side_by_side
from pipeline.config import ClusterConfig, LocalConfig
from pipeline.errors import AuditError, ClusterError
from pipeline.progress import Progress
from pipeline.resuming import Tasks
from pipeline.threads import cores

T = TypeVar("T")
U = TypeVar("U")
FIRST = 1 << 62  # a priority above any cost
RETRIES = 3  # times a task is tried again when its worker is lost
CONNECT_SECONDS = 30
WORKERS_SECONDS = 600  # a batch system may let us wait for the first worker

_SETTINGS = {
    "distributed.admin.large-graph-warning-threshold": "1GB",
    "distributed.scheduler.allowed-failures": RETRIES,
    "distributed.worker.profile.enabled": False,  # looks at every thread a hundred times a second
    "distributed.worker.memory.spill": False,  # tasks exchange paths, there is nothing to spill
    "distributed.worker.memory.target": False,
}


def _held(value: T) -> T:
    return value


def _call(function: Callable[..., T], shared: Mapping[str, Any], item: tuple[Any, ...]) -> T:
    return function(*item, **shared)


class Cluster:
    """A connected Dask client. Use `open_cluster`."""

    def __init__(self, client: Client, progress: Progress, stop: Event | None = None) -> None:
        self._client, self._progress, self._stop = client, progress, stop or Event()

    def map(
        self,
        stage: str,
        function: Callable[..., T],
        items: Sequence[tuple[Any, ...]],
        costs: Sequence[int] | None = None,
        **shared: Any,
    ) -> list[T]:
        """`function(*item, **shared)` for every item, as tasks; the results in the items' order.

        `shared` is sent to a worker once, however many items there are, and again if a worker is
        lost. Items with the highest of `costs` are begun first, so that no large one is left for
        the end. The first error cancels what is left.

        Raises:
            AuditError: as a task raised it. ClusterError: tasks keep losing their workers.
        """
        if not items:
            return []
        # Before all tasks of another part of the run, or these would wait until all of those are done.
        held = self._client.submit(_held, shared, pure=False, priority=FIRST)
        batch = uuid.uuid4().hex
        futures = [
            self._client.submit(
                _call,
                function,
                held,
                item,
                pure=False,
                key=f"{stage}-{batch}-{i}",
                priority=costs[i] if costs is not None else 0,
            )
            for i, item in enumerate(items)
        ]
        try:
            with self._progress.bar(stage, len(items)) as advance:
                for future in as_completed(futures, loop=self._client.loop):
                    future.result()
                    advance()
                    if self._stop.is_set():
                        raise Stopped
            return self._client.gather(futures)  # type: ignore[no-any-return]
        except KilledWorker as error:
            raise ClusterError(
                f"stage {stage} lost {RETRIES + 1} workers on one task",
                got=error,
                expected="workers that live as long as their tasks",
                fix="give workers more memory, or lower shard_bytes",
            ) from None
        except CancelledError as error:  # nobody here cancels what is waited for
            raise self._lost(stage, error) from None
        except BaseException:
            self._client.cancel(futures, force=True)
            raise

    def beside(self, one: Callable[[Tasks], T], other: Callable[[Tasks], U]) -> tuple[T, U]:
        """See `Tasks.beside`."""
        stop = Event()
        asking = Cluster(self._client, self._progress, stop)
        return side_by_side(partial(one, asking), partial(other, asking), stop)

    def _lost(self, stage: str, error: Exception) -> ClusterError:
        return ClusterError(
            f"stage {stage} lost the Dask scheduler",
            where=self._client.scheduler_info()["address"],
            got=str(error).strip().replace("\n", " "),
            fix="have a scheduler run, then start the same command again: it goes on where this ended",
        )


@contextmanager
def open_cluster(config: ClusterConfig, progress: Progress, workspace: Path) -> Iterator[Cluster]:
    """Start or reach the configured cluster and leave it as it was.

    Args:
        workspace: the folder tasks write to; every worker must see it.

    Raises:
        ClusterError: the cluster cannot be started or reached, or its workers cannot do the work.
    """
    with dask.config.set(_SETTINGS), _quiet(), _cluster(config) as address:
        try:
            if config.address is not None:
                LoopRunner(asynchronous=False).run_sync(_knock, config.address)
            client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ClusterError(
                "no Dask scheduler answers",
                where=str(config.address),
                got=error,
                fix="start it, or correct the address",
            ) from None
        with client:
            if config.local is None or config.local.processes:
                _prepare_workers(client, config, workspace)
            yield Cluster(client, progress)


async def _knock(address: str) -> None:
    # A Client that cannot connect stays half open and closes itself in the garbage collector, where
    # it waits for a lock that this very thread may hold: seen to hang one start of a client in 30.
    comm = await connect(address, timeout=CONNECT_SECONDS, **Security().get_connection_args("client"))
    await comm.close()


@contextmanager
def _quiet() -> Iterator[None]:
    # Dask logs what its users want to see of it; of ours, errors reach the command's own log.
    loggers = [
        logging.getLogger(name) for name in ("distributed", "distributed.client", "tornado.application")
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _cluster(config: ClusterConfig) -> Iterator[Any]:
    if config.address is not None:
        yield config.address
        return
    cluster = _local(config.local) if config.local is not None else _of_class(config)
    with cluster:
        try:
            yield cluster
        except KeyboardInterrupt:
            _leave_threads(cluster)
            raise


def _leave_threads(cluster: Any) -> None:
    # A thread cannot be stopped, and a worker waits for its threads: without this a program that is
    # told to end goes on for as long as the longest of its tasks.
    for worker in cluster.workers.values():
        if isinstance(worker, Worker):
            cluster.sync(worker.close, executor_wait=False)


def _local(config: LocalConfig) -> LocalCluster:
    if config.processes:
        # Compiled before workers start: several processes writing one cache at once have crashed it.
        from pipeline.stages.warm import warm

        warm()
        workers, threads = config.workers or cores(), config.threads or 1
    else:
        workers, threads = config.workers or 1, config.threads or cores()
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=threads,
        processes=config.processes,
        memory_limit=config.memory or ("auto" if config.processes else None),
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
        host="127.0.0.1" if config.processes else None,
    )


def _of_class(config: ClusterConfig) -> Any:
    module, _, name = str(config.class_name).rpartition(".")
    try:
        cluster_class = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ClusterError(
            f"cannot import the cluster class {config.class_name}",
            got=error,
            expected="an importable Dask cluster class, such as dask_jobqueue.SLURMCluster",
            fix="install it, for instance with pip install 'dupaudit[slurm]'",
        ) from None
    try:
        cluster = cluster_class(**config.arguments)
        if config.workers is not None:
            cluster.scale(config.workers)
        return cluster
    except AuditError:
        raise
    except Exception as error:  # any class may raise anything; say whose error it is
        raise ClusterError(
            f"{config.class_name} did not start", got=repr(error), fix="check its arguments"
        ) from error


def _sees(path: str) -> bool:
    return os.path.exists(path)


def _warm() -> None:
    from pipeline.stages.warm import warm

    warm()


def _prepare_workers(client: Client, config: ClusterConfig, workspace: Path) -> None:
    # What would otherwise fail inside the first stage: no workers, no package, no shared folder.
    try:
        client.wait_for_workers(1, timeout=WORKERS_SECONDS if config.class_name else CONNECT_SECONDS)
    except TimeoutError:
        raise ClusterError(
            "the cluster has no workers", where=str(config.address), fix="start workers"
        ) from None
    names = list(client.scheduler_info(n_workers=-1)["workers"])
    try:
        # Asked by a builtin: what a worker cannot look up by name would arrive as a bare Exception.
        client.run(exec, f"from {__name__} import {_sees.__name__}, {_warm.__name__}")
        seen = client.run(_sees, str(workspace))
        # One first: where workers share a home folder, the others find its compiled code.
        client.run(_warm, workers=names[:1])
        client.run(_warm, workers=names[1:] or names)
    except (ImportError, AttributeError) as error:
        raise ClusterError(
            "the workers cannot import the pipeline",
            got=error,
            expected=f"the same version as here, on Python {sys.version_info.major}.{sys.version_info.minor}",
            fix="install dupaudit where the workers run",
        ) from None
    except OSError as error:
        raise ClusterError(
            "the workers were lost before the first task", got=error, fix="start the same command again"
        ) from None
    blind = [name for name, sees in seen.items() if not sees]
    if blind:
        raise ClusterError(
            "workers do not see the output folder",
            where=str(workspace),
            got=f"missing on {len(blind)} of {len(seen)} workers, for instance {blind[0]}",
            fix="choose an --out that all of them share",
        )
