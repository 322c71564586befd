"""The passage grain of a run: from scanned anchors to passages and the places where they stand.

What is exchanged between tasks, measured on 445 MB of Python source, in bytes a token of text (a
token is 8.8 bytes there, and 49 % of the windows repeat): anchors 1.5, verdicts on them 0.2,
windows 1.8, verdicts on them 0.5, passages of segments 0.4, their texts 1.4, and how often they occur
0.1. Besides, a shard leaves for itself its texts' repeated stretches, and 1.7 for the places where
its passages stand, which are never sorted anew. No table of all windows is made: 0.12 windows a token
are looked at one by one.

All but the stretches is kept by segment for the next run, which looks again only at what can be
otherwise: at anchors whose gram stands in a segment that is new or gone, at windows with a row that
changed, at texts that hold either. What is known of the others would come out the same, as it follows
from the same rows. The tables of one run belong together, since each segment's verdicts are on the
whole corpus of that run. Of the same source, when 1 % of the documents came last, 2 % of the old texts
were read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
from pipeline.stages.passages import Exposing, PassagesResult, most_covering_of, write_passages
from pipeline.stages.scan import ScanParameters, Segment
from pipeline.stages.spans import SpansResult, write_spans
from pipeline.stages.standing import Standing
from pipeline.stages.summary import Figures, PassageTotals
from pipeline.stages.survivors import Survivors, find_survivors
from pipeline.stages.unitigs import judge_windows
from pipeline.stages.windows import Chunk, Known, read_stretches

ANCHORS_A_RANGE, MOST_ANCHORS_A_RANGE = 1 << 19, 1 << 22  # 24 bytes each, held about four times over
WINDOWS_A_RANGE, MOST_WINDOWS_A_RANGE = 1 << 19, 1 << 22  # the same
SPANS_A_RANGE, MOST_SPANS_A_RANGE = 1 << 17, 1 << 20  # 64 bytes each, held about four times over
FEWER = 4  # ranges of anchors and windows by so much, where an earlier run looked at most of them
_WINDOWS = "windows-"


@dataclass(frozen=True)
class Before:
    """What a run before this one left.

    Attributes:
        tables: what `Passages.kept` named, all of it; or nothing.
        folder_of: where the segment of a name was scanned to, by its name; it may be gone.
    """

    tables: Mapping[str, Sequence[str]]
    folder_of: Callable[[str], Path]

    def known(self, segment: str) -> Known | None:
        """What is known of a segment."""
        windows, cut = (self.tables.get(name, ()) for name in _names(segment))
        if not windows or not cut:
            return None
        kinds, flags, rows, *files = windows
        signed, places, passages, *beginnings = cut
        standing = Standing(signed, places, passages, tuple(beginnings))
        return Known(kinds, flags, Hashed(rows, tuple(files)), standing)

    def gone(self, segments: Sequence[Segment]) -> list[str]:
        """The names of segments that the run had and that are not among these."""
        here = {segment.name for segment in segments}
        named = [name.removeprefix(_WINDOWS) for name in self.tables if name.startswith(_WINDOWS)]
        return [name for name in named if name not in here]


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
    before: Before,
) -> Passages:
    """Find the passages of a corpus, and write the tables `passages` and `spans`.

    Args:
        before: what an earlier run with the same parameters kept, of this or of another corpus.
    """
    stages = _PassageStages(scanned, parameters, exposing, engine, progress, work, before)
    survivors = stages.anchors()
    chunks = stages.windows(survivors)
    every = stages.unitigs(chunks)
    cuts = [cut for cut in every if cut.count]
    passages = stages.passages(cuts)
    spans = stages.spans(cuts, passages)
    return Passages(
        [part.texts for part in spans],
        [cut.labels for cut in cuts],
        _ranges(cuts),
        [part.top for part in spans],
        (_added([part.exposed for part in passages]), _added([part.exposed_tokens for part in passages])),
        _totals(passages, spans),
        stages.figures,
        _kept(chunks, every),
    )


def _names(segment: str) -> tuple[str, str]:
    # Under which names tables of a segment are kept.
    return f"{_WINDOWS}{segment}", f"cut-{segment}"


def _kept(chunks: Sequence[Chunk], cuts: Sequence[Cut]) -> dict[str, list[str]]:
    kept: dict[str, list[str]] = {}
    for chunk, cut in zip(chunks, cuts, strict=True):
        if chunk.name:
            windows, placed = _names(chunk.name)
            kept[windows] = [cut.kinds, cut.flags, cut.hashed.rows, *cut.hashed.windows]
            standing = cut.standing
            kept[placed] = [standing.signed, standing.places, standing.passages, *standing.beginnings]
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
    before: Before

    def __post_init__(self) -> None:
        self.figures: Figures = {}
        self.known = [self.before.known(segment.name) for segment in self.scanned.segments]
        self.gone = self.before.gone(self.scanned.segments)
        self.named = any(segment.name for segment in self.scanned.segments)
        # Without the anchors of a segment that is gone nobody can say which of the others change.
        folders = [self.before.folder_of(name) for name in self.gone]
        self.lost = [str(folder / "anchors.arrow") for folder in folders]
        self.whole = not any(self.known) or not all(Path(path).exists() for path in self.lost)

    def path(self, stage: str, number: int) -> str:
        return str(self.work / stage / f"{number:06d}")

    def _ranges(self, rows: int, wanted: int, most: int) -> list[KeyRange]:
        # Where most of what there is to say is known, opening files is what a range costs.
        return ranges_for(rows, wanted if self.whole else FEWER * wanted, most)

    def anchors(self) -> list[Survivors]:
        with self.progress.stage("anchors") as counts:
            ranges = self._ranges(self.scanned.anchors, ANCHORS_A_RANGE, MOST_ANCHORS_A_RANGE)
            items = [(span, self.path("survivors", i)) for i, span in enumerate(ranges)]
            found = self.engine.map(
                "anchors",
                find_survivors,
                items,
                segments=self.scanned.segments,
                known=[] if self.whole else [known is not None for known in self.known],
                gone=[] if self.whole else self.lost,
            )
            counts["anchors"] = sum(part.anchors for part in found)
            counts["told"] = sum(part.survivors for part in found)
        return found

    def windows(self, survivors: Sequence[Survivors]) -> list[Chunk]:
        with self.progress.stage("windows") as counts:
            by_shard: dict[int, list[tuple[int, Segment, Known | None]]] = {}
            for number, (segment, known) in enumerate(zip(self.scanned.segments, self.known, strict=True)):
                by_shard.setdefault(segment.shard, []).append((number, segment, known))
            items = [
                (shard, by_shard[shard.number], self.path("windows", shard.number))
                for shard in self.scanned.shards
                if shard.number in by_shard
            ]
            read = self.engine.map(
                "windows",
                read_stretches,
                items if any(part.survivors for part in survivors) or self.named else [],
                costs=[shard.size_bytes for shard, _, _ in items],
                places=self.scanned.places,
                survivors=[part.path for part in survivors],
                whole=self.whole,
                repeats=[part.repeats for part in self.scanned.texts],
                parameters=self.parameters,
            )
            chunks = [chunk for found in read for chunk in found]
            counts["texts"] = sum(chunk.n_texts for chunk in chunks)
            counts["read"] = sum(chunk.read for chunk in chunks)
            counts["windows"] = sum(chunk.n_windows for chunk in chunks)
            counts["hashed"] = sum(chunk.new_windows for chunk in chunks)
        # As many as are read when nothing is known: a result does not tell how it was come by.
        self.figures["passage_texts_read_again"] = counts["texts"], "texts"
        return chunks

    def unitigs(self, chunks: Sequence[Chunk]) -> list[Cut]:
        with self.progress.stage("unitigs") as counts:
            rows = sum(chunk.n_windows for chunk in chunks)
            ranges = self._ranges(rows, WINDOWS_A_RANGE, MOST_WINDOWS_A_RANGE)
            items = [(span, self.path("judged", i)) for i, span in enumerate(ranges)]
            gone = [path for name in self.gone for path in self.before.tables[f"{_WINDOWS}{name}"][3:]]
            judged = self.engine.map("unitigs", judge_windows, items, chunks=chunks, gone=gone)
            labels = [part.labels for part in self.scanned.texts]
            shards = {shard.number: shard for shard in self.scanned.shards}
            cuts = self.engine.map(
                "unitigs",
                cut_stretches,
                [(i, chunk, shards[chunk.shard], self.path("cut", i)) for i, chunk in enumerate(chunks)],
                costs=[chunk.n_windows for chunk in chunks],
                judged=[path for path, _ in judged],
                places=self.scanned.places,
                text_labels=labels if self.exposing.labelled else None,
                parameters=self.parameters,
            )
            counts["judged"] = sum(n for _, n in judged)
            counts["repeated_windows"] = sum(cut.repeated for cut in cuts)
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

    def spans(self, cuts: Sequence[Cut], passages: Sequence[PassagesResult]) -> list[SpansResult]:
        folder = self.work / "run" / "spans"
        documents, rows = self.scanned.documents, sum(cut.count for cut in cuts)
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
            found = self.engine.map(
                "spans",
                write_spans,
                items,
                cuts=cuts,
                occurrences=[part.occurrences for part in passages],
                top=[passage for passage, _, _ in most_covering_of(part.top for part in passages)],
            )
            counts["rows"] = sum(part.rows for part in found)
            if not counts["rows"]:
                write_empty(schemas.SPANS, folder / "part-00000.parquet")
        self.figures["passage_spans"] = counts["rows"], "spans"
        return found
