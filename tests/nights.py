"""The passage grain of one corpus after the other, each given what those before it kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow.parquet as pq

from pipeline.artifacts import key_ranges
from pipeline.mapped import read_mapped
from pipeline.passages import Before, Passages, find_passages
from pipeline.progress import Progress
from pipeline.readers import formats
from pipeline.records import digest
from pipeline.resuming import Here
from pipeline.risk import evidence
from pipeline.scanned import Scanned
from pipeline.stages import scan as scanning
from pipeline.stages import sets, stretches
from pipeline.stages.inputs import Shard, ShardPiece, inspect, list_files
from pipeline.stages.passages import Exposing
from pipeline.stages.places import write_places
from pipeline.stages.scan import Segment, scan
from tests.stages.passage_steps import PASSAGE_PARAMETERS
from tests.stages.steps import Corpus, grouped, write_jsonl

Files = Mapping[str, Sequence[str | None]]
Kept = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Night:
    """What one night found.

    read: the files that were read for passages. kept: for the nights to come.
    """

    corpus: Corpus
    passages: Passages
    progress: Progress
    read: tuple[str, ...]

    @property
    def kept(self) -> Kept:
        """What the next night is given."""
        return self.passages.kept

    @property
    def before(self) -> Before:
        """The same, with the places where segments were scanned to."""
        folders = {segment.name: Path(segment.path) for segment in self.corpus.segments}
        return Before(self.kept, folders.__getitem__)

    @cached_property
    def results(self) -> dict[str, Any]:
        """All that must be the same however it was come by: files, figures, tables for other stages."""
        run = self.corpus.folder / "run"
        files = sorted(path for path in run.rglob("*") if path.is_file())
        tables = [read_mapped(path).to_pylist() for path in (*self.passages.repeating, *self.passages.top)]
        labels = [row for path in self.passages.labels for row in read_mapped(path).to_pylist()]
        found = self.passages
        return {
            "files": {path.relative_to(run).as_posix(): path.read_bytes() for path in files},
            "tables": tables,
            "labels": sorted(map(str, labels)),
            "figures": (found.figures, found.totals, found.exposed, found.keys),
        }

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table of the run, in order."""
        parts = sorted((self.corpus.folder / "run" / table).glob("*.parquet"))
        return [row for part in parts for row in pq.read_table(part).to_pylist()]

    def counts(self, stage: str) -> Mapping[str, int]:
        """What the log says of a stage."""
        (log,) = (log for log in self.progress.logs if log.stage == stage)
        return log.counts


@contextmanager
def _watched() -> Iterator[list[str]]:
    # The names of files that are read again; a row is a batch.
    read: list[str] = []
    whole = sets.read_again

    def counted(item: ShardPiece, *rest: Any) -> Iterator[Any]:
        read.append(Path(item.file.uri).stem)
        return whole(item, *rest)

    with patch.object(stretches, "read_again", counted):
        yield read


def _scanned(folder: Path, files: Files) -> Corpus:
    # A file is a shard, wherever it stands among the others.
    for name, texts in files.items():
        write_jsonl(folder / "in" / f"{name}.jsonl", texts)
    listed = list_files([str(folder / "in")], "jsonl").files
    shards = tuple(
        Shard(i, tuple(ShardPiece(i, file, piece, f"s{piece.size_bytes % 3}") for piece in found.pieces))
        for i, (file, found) in enumerate(zip(listed, inspect(listed, 1 << 20), strict=True))
    )
    with (
        patch.object(scanning, "BATCH_BYTES", 1),
        patch.object(scanning, "read", lambda piece, columns: formats.read(piece, columns, 1)),
    ):
        results = tuple(
            scan(shard, PASSAGE_PARAMETERS, str(folder / "scan" / str(shard.number)), False)
            for shard in shards
        )
    segments = named([segment for result in results for segment in result.segments])
    places = write_places(shards, [r.piece_rows for r in results], str(folder / "places.arrow"))
    return Corpus(folder, listed, shards, results, segments, places, PASSAGE_PARAMETERS, {})


def named(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Segments named by their texts: equal in two nights where the same file was scanned."""
    seen, named = Counter[str](), []
    for segment in segments:
        rows = read_mapped(f"{segment.path}/texts.arrow").drop_columns("sketch").to_pylist()
        name = digest(sorted(tuple(row.values()) for row in rows))
        seen[name] += 1
        named.append(replace(segment, name=f"{name}-{seen[name]}"))
    return tuple(named)


def night(
    folder: Path,
    files: Files,
    earlier: Night | Before | None = None,
    labelled: bool = True,
    meanwhile: Callable[[Path], None] = lambda _: None,
) -> Night:
    """Find the passages of some files, given by name, in order of their names.

    meanwhile: what happens to the folder between the two reads.
    """
    corpus, keys = _scanned(folder, files), key_ranges(2)
    texts = grouped(corpus, keys)
    found = Scanned(corpus.shards, corpus.segments, corpus.places, texts, keys)
    before = earlier.before if isinstance(earlier, Night) else earlier or Before({}, Path)
    exposing, progress = Exposing(corpus.epochs, evidence(None, None), labelled), Progress(quiet=True)
    meanwhile(folder)
    with _watched() as read:
        passages = find_passages(
            found,
            PASSAGE_PARAMETERS,
            exposing,
            Here(),
            progress,
            folder,
            before,
        )
    return Night(corpus, passages, progress, tuple(read))
