"""Folders that look like finished runs, made by hand."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

HOUR = 3600


def plant_run(out: Path, name: str, size: int = 10_000, **manifest: Any) -> Path:
    """Make a folder that looks like a finished run, some of its manifest being different."""
    folder = out / name
    (folder / "documents").mkdir(parents=True)
    (folder / "documents" / "part-00000.parquet").write_bytes(os.urandom(size))
    whole = {"run": name, "format_version": 2, "started": "2025-01-02T03:04:05+00:00"} | manifest
    (folder / "run.json").write_text(json.dumps(whole))
    return folder


def plant_runs(out: Path, count: int) -> list[Path]:
    """Make run1, run2 and so on."""
    return [plant_run(out, f"run{i}", sequence=i) for i in range(1, count + 1)]


def aged(folder: Path, hours: float) -> Path:
    """Make a folder and all in it so old."""
    then = time.time() - hours * HOUR
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (then, then), follow_symlinks=False)
    return folder


def names(folder: Path) -> list[str]:
    """What is in a folder."""
    return sorted(os.listdir(folder))


def disk(*paths: Path) -> int:
    """Bytes on disk of folders and all in them."""
    every = [inside for path in paths for inside in [path, *path.rglob("*")]]
    return sum(path.lstat().st_blocks * 512 for path in every)
