"""Shards that an index has beside those that it has not: what is asked of tasks, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.config import parse
from pipeline.index import unit_folder
from pipeline.progress import Progress
from pipeline.resuming import Here
from pipeline.run import scan_parameters
from pipeline.scanning import Scanning, Scans
from pipeline.stages.inputs import list_files
from tests.audits import write_texts


class _Asked(Here):
    """Runs tasks here and keeps what was asked for at once: of each item its cost, and if it is there."""

    def __init__(self) -> None:
        self.scans: list[list[tuple[int, bool]]] = []

    def map(
        self,
        stage: str,
        function: Callable[..., Any],
        items: Sequence[tuple[Any, ...]],
        costs: Sequence[int] | None = None,
        **shared: Any,
    ) -> list[Any]:
        """The same as `Here.map`."""
        if stage == "scan" and items:
            assert costs is not None
            self.scans.append([(cost, item[2]) for cost, item in zip(costs, items, strict=True)])
        return super().map(stage, function, items, costs, **shared)


class _Progress(Progress):
    """Keeps what was told to be damaged."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.told: list[str] = []

    def damaged(self, problem: str) -> None:
        """The same as `Progress.damaged`."""
        self.told.append(problem)


def _scan(folder: Path) -> tuple[Scans, list[list[tuple[int, bool]]], _Progress]:
    config = parse({"inputs": [str(folder / "data")], "out": str(folder), "near": {"permutations": 16}})
    asked, progress, index = _Asked(), _Progress(), folder / "index"
    scanning = Scanning(config, scan_parameters(config), asked, progress, index)
    scans, _ = scanning.scan(scanning.inspect(list_files(config.inputs, config.format)))
    return scans, asked.scans, progress


def _texts(folder: Path, name: str, size: int) -> None:
    # Files so large that none shares a shard.
    write_texts(
        folder / "data" / f"{name}.jsonl", [f"{name} {i} " + "some words " * 900 for i in range(size)]
    )


def test_what_is_there_is_looked_at_while_the_rest_is_scanned(tmp_path: Path) -> None:
    for name, size in (("a", 1000), ("c", 1100)):
        _texts(tmp_path, name, size)
    first, asked, _ = _scan(tmp_path)
    sizes = [shard.size_bytes for shard in first.shards]
    assert len(sizes) == 2
    assert asked == [[(size, False) for size in sizes]]
    _texts(tmp_path, "b", 1050)
    second, asked, progress = _scan(tmp_path)
    new = second.shards[1].size_bytes
    assert asked == [[(0, True), (new, False), (0, True)]], "one call, and what takes longest is begun first"
    assert [result.piece_rows for result in second.results] == [(1000,), (1050,), (1100,)]
    assert [second.units[0], second.units[2]] == list(first.units)
    assert [log.counts["bytes_read"] for log in progress.logs if log.stage == "scan"] == [new]


def test_damaged_shard_is_told_and_scanned_with_no_other(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _texts(tmp_path, name, 1000)
    first, _, _ = _scan(tmp_path)
    (unit_folder(tmp_path / "index", first.units[1]) / "0000" / "texts.arrow").write_bytes(b"")
    second, asked, progress = _scan(tmp_path)
    size = second.shards[1].size_bytes
    assert asked == [[(0, True), (0, True)], [(size, False)]]
    assert len(progress.told) == 1
    assert second.results == first.results
    assert [log.counts["bytes_read"] for log in progress.logs if log.stage == "scan"] == [size]
    third, asked, progress = _scan(tmp_path)
    assert (third.results, asked, progress.told) == (first.results, [[(0, True), (0, True)]], [])
