"""The passage grain of a run: from scanned anchors to passages and the places where they stand.

What is exchanged between tasks, measured on 445 MB of Python source, in bytes a token of text (a
token is 8.8 bytes there, and 49 % of the windows repeat): anchors 1.5, verdicts on them 0.2,
windows 1.8, verdicts on them 0.5, places of passages 2.9 and back 2.9, their texts 1.4. Besides,
a shard leaves 1.5 for itself: which anchors its texts have, and the texts' repeated stretches.
No table of all windows is made: 0.12 windows a token are looked at one by one.

Two sets of tables, 2.3 and 4.3 bytes a token, can be kept by segment for later runs: its windows by
hash, so that none is hashed twice, in files that stay as they are (`hashed`), and where it was cut, so
that only those texts are read and cut again whose windows are judged otherwise (`cutting`). The results
do not depend on what was kept. Of the same source, when 1 % of the documents came last, 2 % of the old
texts were read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import schemas
from pipeline.artifacts import PART_ROWS, KeyRange, ranges_for, write_empty
from pipeline.progress import Progress
from pipeline.resuming import Tasks
from pipeline.scanned import Scanned
from pipeline.stages.cutting import Cut, cut_stretches
from pipeline.stages.hashed import Hashed
from pipeline.stages.parts import doc_ranges
from pipeline.stages.passages import Exposing, PassagesResult, write_passages
from pipeline.stages.scan import ScanParameters, Segment
from pipeline.stages.spans import SpansResult, write_spans
from pipeline.stages.summary import Figures, PassageTotals
from pipeline.stages.survivors import Survivors, find_survivors
from pipeline.stages.unitigs import judge_windows
from pipeline.stages.windows import Chunk, Known, read_stretches

ANCHORS_A_RANGE, MOST_ANCHORS_A_RANGE = 1 << 19, 1 << 22  # 24 bytes each, held about four times over
WINDOWS_A_RANGE, MOST_WINDOWS_A_RANGE = 1 << 19, 1 << 22  # the same
SPANS_A_RANGE, MOST_SPANS_A_RANGE = 1 << 17, 1 << 20  # 64 bytes each, held about four times over


@dataclass(frozen=True)
class Passages:
    """What the passage stages found.

    Attributes:
        repeating: tables of texts that hold repeated passages, by text_id.
        labels: of their places, by passage_id; keys: ranges of it.
        top: the first places of those that cover most tokens.
        exposed: passages that are not predictable, and their tokens, by bin of exposures.
        totals: by repeat bin. figures: numbers for the metrics, with units.
        kept: tables that spare the next run to read the same again, by name.
    """

    repeating: list[str]
    labels: list[str]
    keys: list[KeyRange]
    top: list[str]
    exposed: tuple[tuple[int, ...], tuple[int, ...]]
    totals: PassageTotals
    figures: Figures
    kept: dict[str, list[str]]


def find_passages(
    scanned: Scanned,
    parameters: ScanParameters,
    exposing: Exposing,
    engine: Tasks,
    progress: Progress,
    work: Path,
    earlier: Mapping[str, Sequence[str]],
) -> Passages:
    """Find the passages of a corpus, and write the tables `passages` and `spans`.

    Args:
        earlier: what an earlier run with the same parameters kept, of this or of another corpus.
    """
    stages = _PassageStages(scanned, parameters, exposing, engine, progress, work, earlier)
    survivors = stages.anchors()
    chunks = stages.windows(survivors)
    every = stages.unitigs(chunks)
    cuts = [cut for cut in every if cut.count]
    passages = stages.passages(cuts)
    spans = stages.spans(passages)
    return Passages(
        [part.texts for part in spans],
        [cut.labels for cut in cuts],
        _ranges(cuts),
        [part.top for part in passages],
        (_added([part.exposed for part in passages]), _added([part.exposed_tokens for part in passages])),
        _totals(passages, spans),
        stages.figures,
        _kept(chunks, every),
    )


def _names(segment: str) -> tuple[str, str]:
    # Under which names tables of a segment are kept.
    return f"windows-{segment}", f"cut-{segment}"


def _known(segment: str, earlier: Mapping[str, Sequence[str]]) -> Known:
    hashed, cut = (earlier.get(name, ()) for name in _names(segment))
    return Known(Hashed(hashed[0], tuple(hashed[1:])) if hashed else None, tuple(cut))


def _kept(chunks: Sequence[Chunk], cuts: Sequence[Cut]) -> dict[str, list[str]]:
    kept: dict[str, list[str]] = {}
    for chunk, cut in zip(chunks, cuts, strict=True):
        if chunk.name:
            hashed, placed = _names(chunk.name)
            kept |= {hashed: [chunk.hashed.rows, *chunk.hashed.windows], placed: list(cut.kept)}
    return kept


def _totals(passages: Sequence[PassagesResult], spans: Sequence[SpansResult]) -> PassageTotals:
    return PassageTotals(
        _added([part.by_bin for part in passages]),
        _added([part.tokens for part in spans]),
        _added([part.bytes for part in spans]),
    )


def _ranges(cuts: Sequence[Cut]) -> list[KeyRange]:
    # The number of spans does not depend on shards, so neither do the parts.
    return ranges_for(sum(cut.count for cut in cuts), SPANS_A_RANGE, MOST_SPANS_A_RANGE)


def _added(rows: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sum(column) for column in zip(*rows, strict=True))


@dataclass
class _PassageStages:
    scanned: Scanned
    parameters: ScanParameters
    exposing: Exposing
    engine: Tasks
    progress: Progress
    work: Path
    earlier: Mapping[str, Sequence[str]]

    def __post_init__(self) -> None:
        self.figures: Figures = {}

    def path(self, stage: str, number: int) -> str:
        return str(self.work / stage / f"{number:06d}")

    def anchors(self) -> list[Survivors]:
        with self.progress.stage("anchors") as counts:
            ranges = ranges_for(self.scanned.anchors, ANCHORS_A_RANGE, MOST_ANCHORS_A_RANGE)
            items = [(span, self.path("survivors", i)) for i, span in enumerate(ranges)]
            found = self.engine.map("anchors", find_survivors, items, segments=self.scanned.segments)
            counts["anchors"] = sum(part.anchors for part in found)
            counts["repeated"] = sum(part.survivors for part in found)
        return found

    def windows(self, survivors: Sequence[Survivors]) -> list[Chunk]:
        with self.progress.stage("windows") as counts:
            by_shard: dict[int, list[tuple[int, Segment, Known]]] = {}
            for number, segment in enumerate(self.scanned.segments):
                known = _known(segment.name, self.earlier)
                by_shard.setdefault(segment.shard, []).append((number, segment, known))
            items = [
                (shard, by_shard[shard.number], self.path("windows", shard.number))
                for shard in self.scanned.shards
                if shard.number in by_shard
            ]
            read = self.engine.map(
                "windows",
                read_stretches,
                items if any(part.survivors for part in survivors) else [],
                costs=[shard.size_bytes for shard, _, _ in items],
                places=self.scanned.places,
                survivors=[part.path for part in survivors],
                repeats=[part.repeats for part in self.scanned.texts],
                parameters=self.parameters,
            )
            chunks = [chunk for found in read for chunk in found]
            counts["texts"] = sum(chunk.texts for chunk in chunks)
            counts["read"] = sum(chunk.read for chunk in chunks)
            counts["windows"] = sum(chunk.n_windows for chunk in chunks)
            counts["hashed"] = sum(chunk.new_windows for chunk in chunks)
        # As many as are read when nothing is known: a result does not tell how it was come by.
        self.figures["passage_texts_read_again"] = counts["texts"], "texts"
        return chunks

    def unitigs(self, chunks: Sequence[Chunk]) -> list[Cut]:
        with self.progress.stage("unitigs") as counts:
            rows = sum(chunk.n_windows for chunk in chunks)
            ranges = ranges_for(rows, WINDOWS_A_RANGE, MOST_WINDOWS_A_RANGE)
            items = [(span, self.path("judged", i)) for i, span in enumerate(ranges)]
            judged = self.engine.map("unitigs", judge_windows, items, chunks=chunks)
            labels = [part.labels for part in self.scanned.texts]
            shards = {shard.number: shard for shard in self.scanned.shards}
            cuts = self.engine.map(
                "unitigs",
                cut_stretches,
                [(i, chunk, shards[chunk.shard], self.path("cut", i)) for i, chunk in enumerate(chunks)],
                costs=[chunk.n_windows for chunk in chunks],
                judged=[path for path, _, _ in judged],
                places=self.scanned.places,
                text_labels=labels if self.exposing.labelled else None,
                parameters=self.parameters,
            )
            counts["repeated_windows"] = sum(n for _, _, n in judged)
            counts["read"] = sum(cut.read for cut in cuts)
            counts["reused"] = sum(cut.reused for cut in cuts)
            counts["spans"] = sum(cut.count for cut in cuts)
        return cuts

    def passages(self, cuts: Sequence[Cut]) -> list[PassagesResult]:
        folder = self.work / "run" / "passages"
        with self.progress.stage("passages") as counts:
            items = [
                (span, str(folder / f"part-{i:05d}.parquet"), self.path("counted", i))
                for i, span in enumerate(_ranges(cuts))
            ]
            found = self.engine.map("passages", write_passages, items, cuts=cuts, exposing=self.exposing)
            counts["rows"] = sum(part.passages for part in found)
            if not counts["rows"]:
                write_empty(schemas.PASSAGES, folder / "part-00000.parquet")
        most = {
            name: max(getattr(part, name) for part in found) for name in ("most_tokens", "most_occurrences")
        }
        self.figures |= {
            "passages": (counts["rows"], "passages"),
            "predictable_passages": (sum(part.predictable for part in found), "passages"),
            "passage_most_tokens": (most["most_tokens"] or None, "tokens"),
            "passage_most_occurrences": (most["most_occurrences"] or None, "places"),
        }
        return found

    def spans(self, passages: Sequence[PassagesResult]) -> list[SpansResult]:
        folder = self.work / "run" / "spans"
        documents, rows = self.scanned.documents, sum(part.spans for part in passages)
        wanted = max(
            math.ceil(documents / PART_ROWS), len(ranges_for(rows, SPANS_A_RANGE, MOST_SPANS_A_RANGE))
        )
        part_rows = max(math.ceil(documents / wanted), 1)
        parts = doc_ranges(self.scanned.segments, part_rows, self.scanned.places)
        with self.progress.stage("spans") as counts:
            items = [
                (span, str(folder / f"part-{i:05d}.parquet"), self.path("repeating", i))
                for i, span in enumerate(parts)
            ]
            found = self.engine.map("spans", write_spans, items, counted=[part.places for part in passages])
            counts["rows"] = sum(part.rows for part in found)
            if not counts["rows"]:
                write_empty(schemas.SPANS, folder / "part-00000.parquet")
        self.figures["passage_spans"] = counts["rows"], "spans"
        return found
