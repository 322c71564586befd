"""What a run takes from the index at its beginning, and leaves there at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pipeline.config import Config, resolved
from pipeline.errors import ArtifactError
from pipeline.index import (
    Kept,
    LastRun,
    Unit,
    adopt,
    adoption,
    generation_of,
    kept_tables,
    last_run,
    remove_others,
    write_kept,
    write_last_run,
)
from pipeline.progress import Progress
from pipeline.records import Checksum, damaged, digest
from pipeline.resuming import Tasks
from pipeline.scanning import Files, Scans
from pipeline.stages.inputs import Shard
from pipeline.stages.shards import piece_name

T = TypeVar("T")
FILES_A_TASK = 64  # kept files that a task compares with their checksums, or puts into the index


@dataclass(frozen=True)
class Earlier:
    """What an earlier run left: tables by name, and what it was and had, if there was one."""

    kept: Kept = field(default_factory=lambda: Kept("", {}))
    last: LastRun | None = None

    def new_files(self, files: Files) -> list[int] | None:
        """The file_ids of those whose content the last run of these inputs had not."""
        if self.last is None:
            return None
        known = Counter(self.last.contents)
        left_out = {bad[0] for bad in files.bad}
        new = []
        for i, inspected in enumerate(files.inspected):
            if i in left_out:
                continue
            if known[inspected.content]:
                known[inspected.content] -= 1
            else:
                new.append(i)
        return new


def earlier_of(index: Path, config: Config, tasks: Tasks, progress: Progress) -> Earlier:
    """What an earlier run left in the index; what of it is damaged is told, and not used."""
    kept, last = Kept("", {}), None
    try:
        kept = kept_tables(index, _parameters(config))
    except ArtifactError as error:
        progress.damaged(f"{error.where}: {error.got}")
    try:
        last = last_run(index, _inputs(config))
    except ArtifactError as error:
        progress.damaged(f"{error.where}: {error.got}")
    parts = [(dict(part), index) for part in _parts(sorted(kept.checksums.items()))]
    problems = tasks.map("index", damaged, parts)
    for problem in problems:
        if problem is not None:
            progress.damaged(problem)
            kept = Kept("", {})
    return Earlier(kept, last)


def _parts(files: Sequence[tuple[str, T]]) -> Iterator[Sequence[tuple[str, T]]]:
    return (files[i : i + FILES_A_TASK] for i in range(0, len(files), FILES_A_TASK))


@dataclass(frozen=True)
class Leaving:
    """What a run that is about to be finished leaves in its index: tables by name, with the checksums
    of their files by path; what it had."""

    tables: Mapping[str, Sequence[str]]
    checksums: Mapping[str, Checksum]
    last: LastRun
    parameters: str
    inputs: str


def leaving(
    config: Config,
    run: str,
    files: Files,
    scans: Scans,
    tables: Mapping[str, Sequence[str]],
    written: Mapping[str, Checksum],
) -> Leaving:
    """What a run of this name leaves.

    Args:
        written: checksums of the tables' files, and of any others, by path.
    """
    left_out = {bad[0] for bad in files.bad}
    contents = tuple(item.content for i, item in enumerate(files.inspected) if i not in left_out)
    units = tuple(_unit(key, shard) for key, shard in zip(scans.units, scans.shards, strict=True))
    kept = {name: tuple(paths) for name, paths in tables.items()}
    checksums = {path: written[path] for paths in kept.values() for path in paths}
    return Leaving(kept, checksums, LastRun(run, contents, units), _parameters(config), _inputs(config))


def leave(index: Path, left: Leaving, tasks: Tasks) -> None:
    """Put it into the index, or finish what a killed process had begun to put there."""
    generation = digest(left)[:12]
    # Tables that were kept before are gone where another run has left its own meanwhile.
    there = all(Path(path).exists() for paths in left.tables.values() for path in paths)
    if there and generation_of(index) != generation:
        places = adoption(index, generation, left.tables)
        tasks.map("index", adopt, [(part,) for part in _parts(places)])
        write_kept(index, generation, left.tables, places, left.checksums, left.parameters)
    remove_others(index)
    write_last_run(index, left.inputs, left.last)


def _unit(key: str, shard: Shard) -> Unit:
    files = ((item.file.uri, item.file.size_bytes, item.file.stamp) for item in shard.pieces)
    return Unit(key, tuple(map(piece_name, shard.pieces)), tuple(dict.fromkeys(files)))


def _parameters(config: Config) -> str:
    # Of what is compared and cut, beside what the index itself depends on.
    tree = resolved(config)
    return digest([tree["near"], tree["passages"]])


def _inputs(config: Config) -> str:
    return digest([sorted(config.inputs), config.format])
