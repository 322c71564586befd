"""Keep by a policy in a test, and read back the list."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.keep import write_keep
from pipeline.progress import Progress
from pipeline.resuming import Here
from tests.audits import without_dask

POLICIES = ("one-per-text", "one-per-cluster", "cap:2", "drop-passages")


@dataclass(frozen=True)
class KeepList:
    """A keep list, and what was printed about it."""

    folder: Path
    words: str

    def rows(self, table: str = "documents") -> list[dict[str, Any]]:
        """Rows of the list or, by name, of its cuts."""
        parts = sorted((self.folder / table).glob("part-*.parquet"))
        return list(pa.concat_tables([pq.read_table(part) for part in parts]).to_pylist())

    def bytes_of_files(self) -> dict[str, bytes]:
        """Every file of it by its path."""
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths}


def keep(run: Path, policy: str, write: Path | str | None = None, out: Path | None = None) -> KeepList:
    """Keep by a policy, and write the data if a folder is given."""
    target = None if write is None else str(write)
    words = write_keep(run, policy, out, target, Progress(quiet=True))
    return KeepList(out or run / "keep" / policy.replace(":", "-"), words)


@contextmanager
def all_here() -> Iterator[None]:
    """Run the tasks of audits and of keep lists in this thread."""

    @contextmanager
    def engine(*_: object) -> Iterator[Here]:
        yield Here()

    with without_dask(page=False), patch("pipeline.keep.open_engine", engine):
        yield
