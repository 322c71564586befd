"""A full disk is told in words, ends the run as a failure, and costs no more than what was under way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.audits import audit, without_dask
from tests.dying import ROOT, Ended, left_in, told
from tests.dying_runs import TAKING_SPACE
from tests.kill_trials import CONFIG, Trials, write_inputs

ORDINARY = 10
MEGABYTE = 1 << 20


def _points(ended: Ended) -> list[int]:
    return [i for i, (_, what) in enumerate(ended.points) if what in TAKING_SPACE]


def _fails_and_resumes(trials: Trials, point: int) -> None:
    trials.begin()
    failed = trials.audits.run(trials.config, full_at=point)
    where = trials.undisturbed.points[point]
    assert failed.code == 1, (where, failed)
    kind, words, _ = failed.error
    assert kind in ("AuditError", "ArtifactError"), where
    assert "No space left on device" in words, where
    assert str(trials.folder) in words, where
    assert "do:       free disk space" in words, (where, words)
    for folder in (trials.out, trials.index):
        assert not list(folder.rglob(".lock*")), where
        assert not [path for path in folder.rglob(".*") if not path.name.startswith(".work-")], where
    if trials.out.exists():
        assert all(name.startswith(".work-") for name in left_in(trials.out)), where
        assert set(os.listdir(trials.out)) <= {"run", "latest", *left_in(trials.out)}, where
    if trials.run.exists():
        assert (trials.run / "run.json").exists()
    trials.resumes(failed)


@pytest.mark.parametrize("which", range(ORDINARY))
def test_a_run_on_a_disk_that_fills_up_is_finished_when_there_is_room(trials: Trials, which: int) -> None:
    points = _points(trials.undisturbed)
    if which % 2:  # when a file is there by half
        points = [i for i in points if trials.undisturbed.points[i][1] in ("parquet", "arrow")]
    _fails_and_resumes(trials, points[(len(points) - 1) * which // (ORDINARY - 1)])


@pytest.mark.slow
def test_a_disk_may_fill_up_at_any_stage(trials: Trials) -> None:
    points = _points(trials.undisturbed)
    assert {trials.undisturbed.points[i][0] for i in points[::3]} >= trials.undisturbed.stages - {"inputs"}
    for point in sorted({*points[::3], *points[-15:]}):
        _fails_and_resumes(trials, point)


@contextmanager
def _small_disk(folder: Path, megabytes: int) -> Iterator[Callable[[int], None]]:
    """A file system of a few MB in a folder; yields what makes it another size."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this process may not mount a file system")
    try:
        yield lambda size: _run(["mount", "-o", f"remount,size={size}m", str(folder)])
    finally:
        _run(["umount", "--lazy", str(folder)])


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _audit(folder: Path, **keys: Any) -> subprocess.CompletedProcess[str]:
    tree = {"inputs": [str(folder / "in")], **CONFIG, **keys}
    (folder / "config.json").write_text(json.dumps(tree))
    command = [sys.executable, "-m", "pipeline.cli", "run", "--config", str(folder / "config.json")]
    return subprocess.run(
        [*command, "--name", "run", "--quiet"], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("which", ["out", pytest.param("index", marks=pytest.mark.slow)])
def test_a_command_on_a_small_disk_says_what_to_do_and_goes_on_when_there_is_room(
    tmp_path: Path, which: str
) -> None:
    write_inputs(tmp_path / "in", 4)
    with without_dask(page=False):
        plain = audit(tmp_path / "in", tmp_path / "plain", **CONFIG)
    keys = {"out": str(tmp_path / "out")}
    disk = tmp_path / "disk"
    keys["out" if which == "out" else "index"] = str(disk / which)
    with _small_disk(disk, 1) as resize:
        (disk / "of another").write_bytes(b"x" * (MEGABYTE - 100_000))
        failed = _audit(tmp_path, **keys)
        assert failed.returncode == 1, failed.stderr
        assert failed.stderr.startswith("dupaudit: cannot write ")
        assert f"where:    {disk / which}/" in failed.stderr
        assert "No space left on device" in failed.stderr
        assert "do:       free disk space" in failed.stderr
        assert "Traceback" not in failed.stderr
        assert not list(tmp_path.rglob(".lock"))
        out = Path(keys["out"])
        assert not (out / "run").exists()
        resize(64)
        done = _audit(tmp_path, **keys)
        assert done.returncode == 0, done.stderr
        assert "damaged" not in done.stderr
        assert told(out / "run")["files"] == plain.bytes_of_files()
        assert left_in(out) == []
