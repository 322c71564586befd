"""Schedulers and workers as a user starts them: each a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE_SECONDS, until


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(*arguments: str, folder: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Have a module run as a program; what it says goes into a log."""
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
def scheduler(folder: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Have a scheduler; yields its process and its address."""
    port = port or free_port()
    where = ("--host", "127.0.0.1", "--port", str(port), "--no-dashboard")
    with process("distributed.cli.dask_scheduler", *where, folder=folder) as started:

        def listening() -> bool:
            assert started.poll() is None, "the scheduler ended: its log is beside this test's files"
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        until(listening, "the scheduler does not listen")
        yield started, f"tcp://127.0.0.1:{port}"


def worker(address: str, folder: Path, **environment: str) -> Any:
    """Have a worker of one thread."""
    options = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
    options += ["--death-timeout", str(PATIENCE_SECONDS)]
    return process("distributed.cli.dask_worker", address, *options, folder=folder, **environment)
