"""Runs that want one index, or one work folder, at the same moment: one works, the other says so."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.locks import holder_of
from tests.audits import Audited, audit, without_dask, write_texts
from tests.indexed_nights import check_bytes

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [f"one two three four five six seven eight {i // 2}" for i in range(20)]
# Audits without Dask, which starts faster; says when it is half-way, and then waits to be told.
PROCESS = """
import sys
from pipeline import run
from pipeline.config import load
from pipeline.progress import Progress
from tests.audits import without_dask
find_near = run.find_near
def waiting(*args, **options):
    print("at work", flush=True)
    sys.stdin.readline()
    return find_near(*args, **options)
run.find_near = waiting
with without_dask(page=False):
    print(run.run_audit(load(sys.argv[1]), sys.argv[2], Progress(quiet=True)).name, flush=True)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of input files."""
    write_texts(tmp_path / "data/a.jsonl", TEXTS)
    write_texts(tmp_path / "data/b.jsonl", TEXTS[:7])
    return tmp_path / "data"


def configured(data: Path, out: str, index: bool) -> dict[str, Any]:
    """A configuration, with an index beside the data if wanted."""
    folder = data.parent
    tree: dict[str, Any] = {"inputs": [str(data)], "out": str(folder / out)}
    return {**tree, "index": str(folder / "index")} if index else tree


def written(data: Path, out: str, index: bool) -> str:
    """The same as a file."""
    path = data.parent / f"{out}.yaml"
    path.write_text(yaml.safe_dump(configured(data, out, index)))
    return str(path)


@contextmanager
def half_way(config: str, name: str) -> Iterator[subprocess.Popen[str]]:
    """A process that audits and is half-way."""
    command = [sys.executable, "-c", PROCESS, config, name]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "at work\n"
            yield process
        finally:
            process.kill()


def finish(process: subprocess.Popen[str]) -> str:
    """Let it go on; the name of its run."""
    said, _ = process.communicate("\n")
    assert process.returncode == 0
    return said.strip()


def command(config: str, name: str) -> subprocess.CompletedProcess[str]:
    """The real command."""
    program = "from pipeline.cli import main; main()"
    given = [sys.executable, "-c", program, "run", "--config", config, "--name", name]
    return subprocess.run(given, cwd=ROOT, capture_output=True, text=True, check=False)


def fresh(data: Path) -> Audited:
    """An audit of the same files that nothing disturbs."""
    with without_dask(page=False):
        return audit(data, data.parent / "fresh")


@pytest.mark.parametrize(
    ("other", "index", "place"),
    [("other", True, "index"), ("out", True, "index"), ("out", False, "out/.work-")],
    ids=["one index", "one configuration with an index", "one configuration"],
)
def test_of_two_at_once_one_works_and_the_other_says_so(
    data: Path, other: str, index: bool, place: str
) -> None:
    with half_way(written(data, "out", index), "first") as process:
        refused = command(written(data, other, index), "second")
        assert refused.returncode == 75
        assert "another process is at work here" in refused.stderr
        assert f"run first: process {process.pid} on" in refused.stderr
        assert f"{data.parent}/{place}" in refused.stderr
        assert finish(process) == "first"
    check_bytes(Audited(data.parent / "out/first"), fresh(data))
    # Nothing of the other is left in the way.
    config = configured(data, other, index)
    with without_dask(page=False):
        found = audit(config.pop("inputs"), Path(config.pop("out")), "second", **config)
    check_bytes(found, Audited(data.parent / "fresh/run"))
    assert holder_of(data.parent / "index") is None


@pytest.mark.parametrize("index", [True, False])
def test_lock_of_a_dead_process_is_taken_over_with_its_work(data: Path, index: bool) -> None:
    config = written(data, "out", index)
    with half_way(config, "killed") as process:
        process.kill()
        process.wait()
    (work,) = (data.parent / "out").glob(".work-*")
    dead = holder_of(data.parent / "index" if index else work)
    assert dead is not None
    assert (dead.pid, dead.alive) == (process.pid, False)
    with half_way(config, "next") as process:
        assert finish(process) == "next"
    check_bytes(Audited(data.parent / "out/next"), fresh(data))
    assert not work.exists()
    assert holder_of(data.parent / "index") is None


def test_runs_into_one_folder_with_other_inputs_work_at_once(data: Path) -> None:
    more = write_texts(data.parent / "more/c.jsonl", TEXTS)
    with half_way(written(data, "out", False), "first") as process:
        with without_dask(page=False):
            found = audit(more, data.parent / "out", "second")
        assert finish(process) == "first"
    with without_dask(page=False):
        check_bytes(found, audit(more, data.parent / "fresh", "second"))
    check_bytes(Audited(data.parent / "out/first"), fresh(data))
