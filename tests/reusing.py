"""Audits of corpora one after the other, each given what the one before left of the near grain."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl

from pipeline.artifacts import frame
from pipeline.mapped import read_mapped
from pipeline.near import COMPARED, LINKS, PROPOSED, TALLIES, TEXTS, UNITS, Near, find_near
from pipeline.stages import newcomers, pairs, sketches, units
from pipeline.stages.comparison import FOUND
from tests.audits import Audited, audit, without_dask, write_rows
from tests.nights import named
from tests.stages.steps import table_at

Files = Mapping[str, Sequence[str]]  # texts by the name of their file
Tables = dict[str, list[str]]
BY_FOLDER: dict[str, Any] = {
    "source": {"path": r"/([^/]+)/[^/]+$"},
    "near": {"permutations": 64},
    "passages": {"enabled": False},
}

_SCHEMAS = {UNITS: units.UNITS, COMPARED: FOUND, TALLIES: pairs.TALLIES, LINKS: FOUND}
_SCHEMAS |= {TEXTS: newcomers.TEXT_IDS, PROPOSED: sketches.PROPOSED}
_EMPTY = {name: frame(schema.empty_table()) for name, schema in _SCHEMAS.items()}


@dataclass(frozen=True)
class Night:
    """A finished audit, what it leaves for the next, and what its near stages counted."""

    audited: Audited
    kept: Tables
    counts: dict[str, dict[str, int]]

    def reused(self, stage: str) -> int:
        """How much a stage reused."""
        return self.counts[stage]["reused"]

    def sets(self) -> tuple[int, int]:
        """How many texts are compared anew, and of how many that was taken over."""
        return self.counts["sets"]["texts"], self.reused("sets")

    def shingle_sets(self) -> dict[str, dict[int, bytes]]:
        """The shingle sets that are left for the next run, by text_id and by shard."""
        return {
            name: {
                text_id: shingles
                for path in paths
                for text_id, shingles in frame(table_at(path, ["text_id", "shingles"])).iter_rows()
            }
            for name, paths in self.kept.items()
            if name.startswith("sets-")
        }

    def found(self) -> dict[str, list[tuple[Any, ...]]]:
        """What is left for the next run, as sorted rows: the counts of a component summed."""
        tables = {
            name: pl.concat([_EMPTY[name], *(frame(read_mapped(path)) for path in paths)])
            for name, paths in self.kept.items()
            if name in _SCHEMAS
        }
        tables[TALLIES] = tables[TALLIES].group_by("root").sum()
        return {name: sorted(table.iter_rows()) for name, table in tables.items()}


def write_files(folder: Path, files: Files) -> Path:
    """Write the files of a corpus, `<source>/<name>`, in place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, texts in files.items():
        write_rows(folder / f"{name}.jsonl", ({"text": text} for text in texts))
    return folder


def audit_given(
    folder: Path, out: Path, name: str, earlier: Mapping[str, Sequence[str]], **config: Any
) -> Night:
    """Audit a folder with what an earlier run left; what this one leaves is kept beside it."""
    kept: Tables = {}
    counts: dict[str, dict[str, int]] = {}

    def find(*args: Any) -> Near:
        scanned, near_config, parameters, engine, progress, work, _ = args
        scanned = replace(scanned, segments=named(scanned.segments))
        near = find_near(scanned, near_config, parameters, engine, progress, work, earlier)
        counts.update({log.stage: dict(log.counts) for log in progress.logs})
        for table, paths in near.kept.items():
            targets = [
                out / f"kept-{name}" / f"{table}-{i}{Path(path).suffix}" for i, path in enumerate(paths)
            ]
            for path, target in zip(paths, targets, strict=True):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
            kept[table] = [str(target) for target in targets]
        return replace(near, kept={})  # nothing of it is in an index

    with patch("pipeline.run.find_near", find), without_dask(page=False):
        audited = audit(folder, out, name, **BY_FOLDER | config)
    assert {UNITS, COMPARED, TALLIES, LINKS} <= kept.keys()
    return Night(audited, kept, counts)


def check_same(one: Night, other: Night) -> None:
    """The same bytes in every table, and the same left for the next run."""
    wanted, found = one.audited.bytes_of_files(), other.audited.bytes_of_files()
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []
    assert one.found() == other.found()
    held = other.shingle_sets()
    for name, sets in one.shingle_sets().items():
        # A run that knows the pairs of a text does not need its set; those that both have are equal.
        assert {key: sets[key] for key in sets if key in held.get(name, {})} == {
            key: held[name][key] for key in sets if key in held.get(name, {})
        }


def second_night(folder: Path, first: Files, second: Files, **config: Any) -> tuple[Night, Night]:
    """Audit a corpus, change it, audit it with what the first audit left and with nothing.

    Returns:
        The two audits of the changed corpus, which are checked to be the same.
    """
    one = audit_given(write_files(folder / "in", first), folder, "first", {}, **config)
    inputs = write_files(folder / "in", second)
    fresh = audit_given(inputs, folder, "fresh", {}, **config)
    given = audit_given(inputs, folder, "given", one.kept, **config)
    check_same(fresh, given)
    assert [fresh.reused(stage) for stage in ("components", "sets", "compare", "links")] == [0] * 4
    return fresh, given
