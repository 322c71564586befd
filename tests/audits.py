"""Run a whole audit in a test, read back what it wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.config import parse
from pipeline.progress import Progress
from pipeline.resuming import Here
from pipeline.run import run_audit

Row = dict[str, Any]
TELLING_TIMES = ("run.json", "report.html")
AFTERWARDS = ("gates.json", "compare", "keep")  # what is said of a run when it is finished


@dataclass(frozen=True)
class Audited:
    """A finished run."""

    folder: Path

    def table(self, name: str) -> pa.Table:
        """A table by name (`documents`, `summary/metrics`), its parts in order."""
        path = self.folder / name
        parts = sorted(path.glob("part-*.parquet")) if path.is_dir() else [path.with_suffix(".parquet")]
        return pa.concat_tables([pq.read_table(part) for part in parts])

    def rows(self, name: str) -> list[Row]:
        """The rows of a table."""
        return list(self.table(name).to_pylist())

    @cached_property
    def documents(self) -> list[Row]:
        """The documents, by doc_id."""
        return self.rows("documents")

    @cached_property
    def pairs(self) -> list[Row]:
        """The verified pairs."""
        return self.rows("pairs")

    @cached_property
    def clusters(self) -> list[Row]:
        """The clusters."""
        return self.rows("clusters")

    @cached_property
    def rejects(self) -> list[Row]:
        """The rejected rows and files."""
        return self.rows("rejects")

    @cached_property
    def metrics(self) -> dict[str, float]:
        """The headline figures by name; nan for what is not defined."""
        nan = float("nan")
        return {
            row["name"]: nan if row["value"] is None else row["value"] for row in self.rows("summary/metrics")
        }

    def bytes_of_files(self) -> dict[str, bytes]:
        """Every file that the audit wrote, by its path in the run.

        Not its manifest and page, which tell times; nor what was written into the run afterwards,
        which may tell of other runs.
        """
        paths = (path.relative_to(self.folder) for path in sorted(self.folder.rglob("*")) if path.is_file())
        found = (path for path in paths if path.parts[0] not in (*TELLING_TIMES, *AFTERWARDS))
        return {path.as_posix(): (self.folder / path).read_bytes() for path in found}


def audit(inputs: Path | str | Sequence[Path | str], out: Path, name: str = "run", **config: Any) -> Audited:
    """Audit files, folders or globs into `out`/`name`, with further keys of the configuration."""
    several = [inputs] if isinstance(inputs, (Path, str)) else inputs
    tree = {"inputs": [str(path) for path in several], "out": str(out), **config}
    return Audited(run_audit(parse(tree), name, Progress(quiet=True)))


def audit_texts(texts: Iterable[str], folder: Path, **config: Any) -> Audited:
    """Audit texts, in that order, as one JSON Lines file."""
    return audit(write_texts(folder / "texts.jsonl", texts), folder / "audits", **config)


def write_texts(path: Path, texts: Iterable[str]) -> Path:
    """Write texts as JSON Lines."""
    return write_rows(path, ({"text": text} for text in texts))


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """Write rows as JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@contextmanager
def without_dask(page: bool = True) -> Iterator[None]:
    """Run the tasks of audits in this thread: four times faster on a corpus of a few texts.

    page: whether to render it, which takes another third.
    """

    @contextmanager
    def engine(*_: object) -> Iterator[Here]:
        yield Here()

    with ExitStack() as patches:
        patches.enter_context(patch("pipeline.run.open_engine", engine))
        if not page:
            patches.enter_context(patch("pipeline.run.render", lambda *_: ""))
        yield
