"""What the new documents of a run repeat of the earlier ones: from the run's tables to one more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from pipeline import schemas
from pipeline.artifacts import END_OF_KEYS, KeyRange, ranges_for, write_empty
from pipeline.config import Config
from pipeline.progress import Progress
from pipeline.resuming import Tasks
from pipeline.stages.new_documents import (
    NewKeys,
    Written,
    find_clustered,
    find_copies,
    group_documents,
    list_passages,
    list_texts,
    write_sieve,
)
from pipeline.stages.new_passages import place_passages, share_passages
from pipeline.stages.new_repeats import (
    KINDS,
    STAGE,
    describe_new,
    find_nearest,
    list_pairs,
    write_new_repeats,
)

T = TypeVar("T")
ROWS_A_RANGE, MOST_ROWS_A_RANGE = 1 << 17, 1 << 20  # up to 40 bytes each, held about four times over


def find_new_repeats(
    new_files: Sequence[int] | None, config: Config, engine: Tasks, progress: Progress, work: Path
) -> None:
    """Write the table of what the documents of new files repeat.

    Args:
        new_files: file_ids of those that the earlier run did not have; None if there was none: the
            table is then empty.
        work: the folder whose `run` holds the other tables.
    """
    path = work / "run" / schemas.NEW_REPEATS.path
    if new_files is None:
        write_empty(schemas.NEW_REPEATS, path)
        return
    with progress.stage(STAGE) as counts:
        if new_files:
            counts.update(_Stages(tuple(sorted(new_files)), config, engine, work).write(str(path)))
        else:
            write_empty(schemas.NEW_REPEATS, path)
            counts.update(dict.fromkeys(("files", "documents", *KINDS), 0))


@dataclass
class _Stages:
    new_files: tuple[int, ...]
    config: Config
    engine: Tasks
    work: Path

    def parts(self, table: schemas.Table) -> list[str]:
        return sorted(str(path) for path in (self.work / "run").glob(table.path))

    def map(self, name: str, function: Callable[..., T], items: Sequence[Any], **shared: Any) -> list[T]:
        named = [(item, str(self.work / "new_repeats" / name / str(i))) for i, item in enumerate(items)]
        return self.engine.map(STAGE, function, named, **shared)

    def write(self, path: str) -> dict[str, int]:
        texts, sieve = self.keys()
        ranges = list(pairwise([0, *(part.first_doc for part in texts[1:]), END_OF_KEYS]))
        documents = self.parts(schemas.DOCUMENTS)
        grouped = self.map("grouped", group_documents, documents, new_files=self.new_files, sieve=sieve)
        copied = self.groups("copies", find_copies, [part.texts for part in grouped])
        new = [*_with_rows(part.alone for part in grouped), *copied]
        repeating = self.map(
            "repeating",
            describe_new,
            ranges,
            texts=new,
            clusters=self.groups("clusters", find_clustered, [part.clusters for part in grouped]),
            nearest=self.nearest(ranges, new),
            shared=self.shared(new, sieve) if self.config.passages.enabled else None,
        )
        holding = [span for span, part in zip(ranges, texts, strict=True) if part.documents]
        inputs = str(self.work / "run" / schemas.INPUTS.path)
        kinds = self.engine.map(
            STAGE, write_new_repeats, [(holding, path)], repeating=_with_rows(repeating), inputs=inputs
        )[0]
        return {"files": len(self.new_files), "documents": sum(part.documents for part in texts), **kinds}

    def keys(self) -> tuple[list[NewKeys], str]:
        texts = self.map("texts", list_texts, self.parts(schemas.DOCUMENTS), new_files=self.new_files)
        spans = self.parts(schemas.SPANS) if self.config.passages.enabled else []
        passages = self.map("passages", list_passages, spans, new_files=self.new_files)
        keys = [part for part in (*(text.keys for text in texts), *passages) if part.rows]
        return texts, self.map("sieve", write_sieve, [keys])[0]

    def groups(self, name: str, find: Callable[..., Written], members: Sequence[Written]) -> list[str]:
        return _with_rows(self.map(name, find, _ranges(members), members=_with_rows(members)))

    def nearest(self, ranges: Sequence[KeyRange], new: Sequence[str]) -> list[str]:
        threshold, pairs = self.config.near.threshold, self.parts(schemas.PAIRS)
        listed = self.map("pairs", list_pairs, pairs, new_files=self.new_files, threshold=threshold)
        paired = _with_rows(listed)
        items = ranges if paired else []
        return _with_rows(
            self.map("nearest", find_nearest, items, paired=paired, new=new, new_files=self.new_files)
        )

    def shared(self, new: Sequence[str], sieve: str) -> list[str]:
        spans, passages = self.parts(schemas.SPANS), self.parts(schemas.PASSAGES)
        placed = self.map("placed", place_passages, spans, new=new, new_files=self.new_files, sieve=sieve)
        found = self.map(
            "shared", share_passages, _ranges(placed), placed=_with_rows(placed), passages=passages
        )
        return _with_rows(found)


def _with_rows(parts: Iterable[Written]) -> list[str]:
    return [part.path for part in parts if part.rows]


def _ranges(parts: Sequence[Written]) -> list[KeyRange]:
    rows = sum(part.rows for part in parts)
    return ranges_for(rows, ROWS_A_RANGE, MOST_ROWS_A_RANGE) if rows else []
