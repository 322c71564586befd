"""Pruning an index: what goes is what no live input uses, and nothing that a run needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ArtifactError, LockedError
from pipeline.index_prune import prune_index
from pipeline.locks import locked
from tests.audits import Audited, audit, without_dask, write_texts

TEXTS = [f"one two three four five six seven {i // 2}" + " eight" * (i % 2) for i in range(20)]
SMALL = 1000  # bytes of a shard: every file here has its own


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with without_dask(page=False):
        yield


def _data(folder: Path, *names: str) -> None:
    for name in names:
        write_texts(folder / "in" / f"{name}.jsonl", [f"{text} {name}" for text in TEXTS])


def _audit(folder: Path, name: str, **settings: Any) -> Audited:
    index = str(folder / "index")
    return audit(folder / "in", folder / "audits", name, index=index, shard_bytes=SMALL, **settings)


def _units(folder: Path) -> set[str]:
    return {path.parent.name for path in (folder / "index").glob("scan/*/*/unit.json")}


def _read(audited: Audited) -> int:
    import json

    stages = json.loads((audited.folder / "run.json").read_text())["stages"]
    return next(int(stage["counts"]["bytes_read"]) for stage in stages if stage["stage"] == "scan")


def test_shards_of_files_that_are_gone_or_changed_go(tmp_path: Path) -> None:
    _data(tmp_path, "a", "b", "c")
    _audit(tmp_path, "one")
    before = _units(tmp_path)
    (tmp_path / "in" / "b.jsonl").unlink()
    os.utime(tmp_path / "in" / "c.jsonl", (1, 1))
    words = prune_index(tmp_path / "index", False)
    left = _units(tmp_path)
    assert len(before) == 3 * len(left)
    assert left < before
    assert words.startswith(f"Removed {len(before) - len(left)} of {len(before)} scanned shards in ")
    assert "\nFreed " in words
    assert _read(_audit(tmp_path, "two")) == (tmp_path / "in" / "c.jsonl").stat().st_size


def test_what_live_files_use_stays_and_is_used(tmp_path: Path) -> None:
    _data(tmp_path, "a", "b")
    one = _audit(tmp_path, "one")
    kept = sorted(path for path in (tmp_path / "index").rglob("*") if path.is_file())
    assert "Removed 0 of " in prune_index(tmp_path / "index", False)
    assert sorted(path for path in (tmp_path / "index").rglob("*") if path.is_file()) == kept
    two = _audit(tmp_path, "two")
    assert _read(two) == 0
    assert one.bytes_of_files() == two.bytes_of_files()


def test_shards_that_no_last_run_had_go(tmp_path: Path) -> None:
    _data(tmp_path, "a", "b")
    _audit(tmp_path, "one")
    (tmp_path / "in" / "b.jsonl").rename(tmp_path / "b.jsonl")
    _audit(tmp_path, "two")
    (tmp_path / "b.jsonl").rename(tmp_path / "in" / "b.jsonl")
    before = _units(tmp_path)
    prune_index(tmp_path / "index", False)
    assert len(_units(tmp_path)) == len(before) // 2


def test_renamed_file_keeps_its_shard(tmp_path: Path) -> None:
    _data(tmp_path, "a", "b")
    _audit(tmp_path, "one")
    (tmp_path / "in" / "b.jsonl").rename(tmp_path / "in" / "z.jsonl")
    assert _read(_audit(tmp_path, "two")) == 0
    assert "Removed 0 of " in prune_index(tmp_path / "index", False)


def test_index_of_two_sets_of_inputs_keeps_the_shards_of_both(tmp_path: Path) -> None:
    _data(tmp_path / "x", "a")
    _data(tmp_path / "y", "b")
    index = str(tmp_path / "index")
    for name in ("x", "y"):
        audit(tmp_path / name / "in", tmp_path / "audits", name, index=index, shard_bytes=SMALL)
    assert "Removed 0 of " in prune_index(tmp_path / "index", False)
    assert _units(tmp_path)


def test_leftovers_of_killed_runs_go(tmp_path: Path) -> None:
    _data(tmp_path, "a")
    _audit(tmp_path, "one")
    half = tmp_path / "index" / "scan" / "ab" / ("ab" * 16)
    half.mkdir(parents=True)
    (half / "documents.parquet").write_bytes(b"x" * 100_000)
    doomed = tmp_path / "index" / "scan" / "ab" / ".removed-1"
    other = tmp_path / "index" / "kept" / "generation"
    for folder in (doomed, other):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x" * 100_000)
    words = prune_index(tmp_path / "index", False)
    assert "Removed 1 of " in words
    assert " and 2 leftovers in " in words
    assert not half.exists()
    assert not doomed.exists()
    assert not other.exists()


def test_dry_run_says_the_same_and_removes_nothing(tmp_path: Path) -> None:
    _data(tmp_path, "a", "b")
    _audit(tmp_path, "one")
    (tmp_path / "in" / "b.jsonl").unlink()
    before = _units(tmp_path)
    dry = prune_index(tmp_path / "index", True)
    assert _units(tmp_path) == before
    words = prune_index(tmp_path / "index", False)
    assert dry.replace("Would remove", "Removed").replace("That would free", "Freed") == words
    assert not dry.endswith(" 0 bytes on disk.")


def test_index_in_use_is_left_alone(tmp_path: Path) -> None:
    _data(tmp_path, "a")
    _audit(tmp_path, "one")
    with locked(tmp_path / "index", "run"), pytest.raises(LockedError, match="at work"):
        prune_index(tmp_path / "index", False)


@pytest.mark.parametrize("there", [False, True])
def test_folder_that_is_no_index_is_refused(tmp_path: Path, there: bool) -> None:
    folder = tmp_path / "data"
    if there:
        write_texts(folder / "scan" / "aa" / "mine.jsonl", ["text"])
    with pytest.raises(ArtifactError, match="not an index") as caught:
        prune_index(folder, False)
    assert caught.value.fix
    assert folder.exists() == there
    assert not there or (folder / "scan" / "aa" / "mine.jsonl").exists()
