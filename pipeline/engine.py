"""Where tasks run and how they are handed out: Dask, in threads of this process or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.config import ClusterConfig
from pipeline.progress import Progress
from pipeline.resuming import Tasks


@contextmanager
def open_engine(config: ClusterConfig, progress: Progress, workspace: Path) -> Iterator[Tasks]:
    """Start or reach what is configured, and leave it as it was.

    Args:
        workspace: the folder tasks write to; every worker must see it.

    Raises:
        ClusterError: the cluster cannot be started or reached, or its workers cannot do the work.
    """
    local = config.local
    # A scheduler and workers that talk to each other are of use where there are several processes or
    # a limit of memory, and cost half a second to start and 2 ms a task.
    if local is not None and not local.processes and local.memory is None:
        from pipeline.threads import open_threads

        with open_threads(local, progress) as threads:
            yield threads
    else:
        from pipeline.cluster import open_cluster

        with open_cluster(config, progress, workspace) as cluster:
            yield cluster
