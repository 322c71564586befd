"""Audits of a folder night after night: with an index that stays, then without any, compared."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pipeline import keeping
from pipeline.keeping import Earlier, Leaving
from pipeline.readers.formats import read
from pipeline.readers.rows import Columns, Piece, Rows
from pipeline.scanning import Files
from tests.audits import Audited, audit, without_dask
from tests.changing_folder import PASSAGE, ChangingFolder

EDGE_BYTES = 256  # so that files of a few documents have a middle
SHARD_BYTES = 4_000  # files of one or two documents share shards, those of thirty are cut
SETTINGS: dict[str, Any] = {
    "shard_bytes": SHARD_BYTES,
    "source": {"path": r"/(web|wiki)/[^/]*$"},
    "mixture": {"web": 3, "wiki": 0.5},
    "near": {"permutations": 32},
    "passages": {"min_tokens": PASSAGE},
    "on_bad_file": "reject",
    "max_rejected_fraction": 1,
}
# What is new since the last run only a run with an index can tell.
OF_THE_INDEX = "summary/new_repeats.parquet"


@dataclass
class Nights:
    """Audits of a folder that changes: each with the same index, then without any.

    `read` are the pieces that the last one scanned, `again` those of which it read texts to compare,
    `new` the files that it had not known; None if it knew of no earlier run.
    """

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    inputs: str = ""  # by default the folder `data` there
    n: int = 0
    read: list[Piece] = field(default_factory=list)
    again: list[Piece] = field(default_factory=list)
    new: list[str] | None = None

    def __post_init__(self) -> None:
        self.files = ChangingFolder(self.folder / "data")
        self.last: Audited | None = None

    def audit(self) -> Audited:
        """Tonight's audit, compared with one that has no index."""
        self.n += 1
        index = str(self.folder / "index")
        self.read.clear()
        self.again.clear()
        with self._spying():
            found = self.last = self._audit("out", index=index)
        fresh = self._audit("fresh")
        try:
            check_bytes(found, fresh)
        finally:
            shutil.rmtree(fresh.folder)
        counts = counts_of(found, "scan")
        assert counts["bytes_read"] == sum(piece.size_bytes for piece in self.read)
        return found

    def _audit(self, out: str, **more: Any) -> Audited:
        inputs = self.inputs or f"{self.folder}/data/*/*"
        return audit(inputs, self.folder / out, str(self.n), **{**SETTINGS, **self.settings, **more})

    @contextmanager
    def _spying(self) -> Iterator[None]:
        def noted(pieces: list[Piece]) -> Callable[[Piece, Columns], Iterator[Rows]]:
            def reading(piece: Piece, columns: Columns) -> Iterator[Rows]:
                pieces.append(piece)
                return read(piece, columns)

            return reading

        taken: list[Earlier] = []

        def taking(*args: Any) -> Earlier:
            taken.append(keeping.earlier_of(*args))
            return taken[-1]

        def leaving(*args: Any) -> Leaving:
            (files,) = (arg for arg in args if isinstance(arg, Files))
            new = taken[-1].new_files(files)
            self.new = None if new is None else [files.listing.files[i].uri for i in new]
            return keeping.leaving(*args)

        with (
            patch("pipeline.stages.scan.read", noted(self.read)),
            patch("pipeline.stages.sets.read", noted(self.again)),
            patch("pipeline.run.earlier_of", taking),
            patch("pipeline.run.leaving", leaving),
        ):
            yield

    @property
    def files_read(self) -> set[str]:
        """The names of the files of which tonight's audit scanned something."""
        return {piece.uri.rpartition("/")[2] for piece in self.read}


def check_bytes(found: Audited, wanted: Audited) -> None:
    """All tables are equal, byte for byte."""
    one, other = (
        {name: data for name, data in run.bytes_of_files().items() if name != OF_THE_INDEX}
        for run in (found, wanted)
    )
    assert sorted(one) == sorted(other)
    assert [name for name in other if one[name] != other[name]] == []


def counts_of(run: Audited, stage: str) -> dict[str, int]:
    """What a stage counted."""
    manifest = json.loads((run.folder / "run.json").read_text())
    (counts,) = (log["counts"] for log in manifest["stages"] if log["stage"] == stage)
    return dict(counts)


@contextmanager
def quick() -> Iterator[None]:
    """Audits without Dask and page, to which a small file has a middle."""
    with ExitStack() as patches:
        patches.enter_context(without_dask(page=False))
        patches.enter_context(patch("pipeline.run.settle"))
        patches.enter_context(patch("pipeline.stages.inputs.EDGE_BYTES", EDGE_BYTES))
        yield
