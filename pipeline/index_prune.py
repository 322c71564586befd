"""Free an index of what no live input uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pipeline.errors import ArtifactError, InputError
from pipeline.figures import count, size
from pipeline.index import generation_of, last_runs
from pipeline.locks import locked
from pipeline.readers.wording import printable
from pipeline.removal import DOOMED, Space, remove
from pipeline.stages.inputs import InputFile, check_unchanged


def prune_index(index: Path, dry_run: bool) -> str:
    """Remove scanned shards of files that are gone or changed, and what dead runs left behind.

    A shard is live if the last run of some inputs had it and its files are as they were then. The
    tables that the last run kept stay. Finished runs do not need an index, so none loses anything.

    Args:
        dry_run: only say what would go.

    Returns:
        What to print: what goes, and how much space that frees.

    Raises:
        ArtifactError: it is no index, or damaged. LockedError: a run is using it.
    """
    if not (index / "index.json").is_file():
        raise ArtifactError(
            "not an index",
            where=printable(str(index), 1000),
            expected="a folder with an index.json",
            fix="name the folder that `index` names in the configuration",
        )
    with locked(index, "dupaudit index prune"):
        units = sorted(_folders(index / "scan", deep=True))
        live = _live(index)
        dead = [path for path in units if path.name not in live]
        left = sorted(_leftovers(index))
        space = Space()
        freed = sum(space.of(path) for path in [*dead, *left])
        if not dry_run:
            for path in [*dead, *left]:
                remove(path)
    verb, frees = ("Would remove", "That would free") if dry_run else ("Removed", "Freed")
    what = f"{len(dead):,} of {count(len(units), 'scanned shard')}"
    if left:
        what += f" and {count(len(left), 'leftover')}"
    where = printable(str(index), 1000)
    return f"{verb} {what} in {where}.\n{frees} {size(freed)} on disk."


def _live(index: Path) -> set[str]:
    # A shard is live as a whole: one of its files that changed makes it another.
    units = {unit.key: unit for last in last_runs(index) for unit in last.units}
    changed: dict[tuple[str, int, str], bool] = {}
    for file in {file for unit in units.values() for file in unit.files}:
        uri, size_bytes, stamp = file
        changed[file] = True
        with suppress(InputError):
            check_unchanged(InputFile(uri, "", size_bytes, stamp))
            changed[file] = False
    return {key for key, unit in units.items() if not any(changed[file] for file in unit.files)}


def _folders(folder: Path, deep: bool = False) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        for child in folder.iterdir():
            if child.is_dir() and deep:
                yield from _folders(child)
            elif child.is_dir() and not child.name.startswith(DOOMED):
                yield child


def _leftovers(index: Path) -> Iterator[Path]:
    generation = generation_of(index)
    yield from (path for path in _folders(index / "kept") if path.name != generation)
    for pattern in (f"{DOOMED}*", f"*/{DOOMED}*", f"scan/*/{DOOMED}*"):
        yield from index.glob(pattern)
