"""The tables of a run: what the grains found, brought together by document and summed up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import schemas
from pipeline.artifacts import PART_ROWS, KeyRange, key_ranges, write_empty
from pipeline.config import Config
from pipeline.near import Near
from pipeline.new_repeats import find_new_repeats
from pipeline.passages import Passages
from pipeline.progress import Progress
from pipeline.resuming import Tasks
from pipeline.scanned import Scanned
from pipeline.stages.clusters import write_clusters
from pipeline.stages.documents import Attached, DocumentsResult, Rules, attach, write_documents
from pipeline.stages.examples import choose_examples, read_examples, shards_of, write_examples
from pipeline.stages.overlap import KINDS, Overlapped, Ranks, find_overlap, rank_labels
from pipeline.stages.pairs import PairsResult, write_pairs
from pipeline.stages.parts import Slice, doc_ranges, slices
from pipeline.stages.passages import Exposing
from pipeline.stages.scan import ScanParameters
from pipeline.stages.spans import write_places
from pipeline.stages.summary import Figures, Found, write_summary

EXAMPLES = "examples"  # name of the texts that a run leaves to the next


@dataclass(frozen=True)
class Grains:
    """A scanned corpus and what was found in it.

    Attributes:
        passages: None if they were not looked for.
        earlier: tables that an earlier run left, by name.
        new_files: file_ids of those that the earlier run did not have; None if there was none.
    """

    scanned: Scanned
    near: Near
    passages: Passages | None
    exposing: Exposing
    parameters: ScanParameters
    earlier: Mapping[str, Sequence[str]]
    new_files: Sequence[int] | None


def write_tables(
    grains: Grains, config: Config, figures: Figures, tasks: Tasks, progress: Progress, work: Path
) -> tuple[Figures, dict[str, list[str]]]:
    """Write documents, clusters, pairs, the summary, and what new documents repeat.

    Args:
        figures: those known from earlier stages.

    Returns:
        All figures; and tables for the next run's use, by name.
    """
    stages = _TableStages(grains, config, tasks, progress, work)
    scanned, near, passages = grains.scanned, grains.near, grains.passages
    attached = stages.attach()
    documents = stages.documents(attached)
    overlaps, ranks = stages.overlap(documents)
    pairs = stages.pairs()
    figures |= near.figures | stages.clusters(attached, documents)
    figures |= {
        "verified_pairs": (sum(part.rows for part in pairs), "pairs"),
        "pairs_at_threshold": (sum(part.at_threshold for part in pairs), "pairs"),
        **({} if passages is None else passages.figures),
    }
    found = Found(
        documents,
        scanned.texts,
        pairs,
        [part.recall for part in attached],
        overlaps,
        ranks,
        None if passages is None else passages.totals,
        None if passages is None else passages.exposed,
    )
    figures = stages.summary(found, figures)
    texts = stages.examples()
    find_new_repeats(grains.new_files, config, tasks, progress, work)
    return figures, {EXAMPLES: texts}


@dataclass
class _TableStages:
    grains: Grains
    config: Config
    tasks: Tasks
    progress: Progress
    work: Path

    def __post_init__(self) -> None:
        self.output = self.work / "run"

    def attach(self) -> list[Attached]:
        scanned, near, passages = self.grains.scanned, self.grains.near, self.grains.passages
        parameters = self.grains.parameters
        with self.progress.stage("attach") as counts:
            items = [
                (span, result.copies, str(self.work / "attached" / str(i)))
                for i, (span, result) in enumerate(zip(scanned.keys, scanned.texts, strict=True))
            ]
            attached = self.tasks.map(
                "attach",
                attach,
                items,
                members=near.clusters.members,
                exposed=near.exposed,
                best=near.best,
                repeating=[] if passages is None else passages.repeating,
                banding=(parameters.bands, parameters.rows),
            )
            counts["repeated_documents"] = sum(part.documents for part in attached)
        return attached

    def documents(self, attached: list[Attached]) -> list[DocumentsResult]:
        scanned, folder = self.grains.scanned, self.output / "documents"
        parts: tuple[tuple[Slice, ...], ...] = tuple(
            slices([segment.documents for segment in scanned.segments], PART_ROWS)
        )
        with self.progress.stage("documents") as counts:
            items = [
                (part, str(folder / f"part-{i:05d}.parquet"), str(self.work / "documents" / str(i)))
                for i, part in enumerate(parts)
            ]
            written = self.tasks.map(
                "documents",
                write_documents,
                items,
                segments=scanned.segments,
                found=[part.found for part in attached],
                places=scanned.places,
                inputs=str(self.output / "inputs.parquet"),
                rules=Rules(
                    self.config.near.threshold, self.config.passages.enabled, self.grains.exposing.epochs
                ),
            )
            if not written:
                write_empty(schemas.DOCUMENTS, folder / "part-00000.parquet")
            counts["rows"] = sum(part.rows for part in written)
        return written

    def overlap(self, written: list[DocumentsResult]) -> tuple[list[Overlapped], tuple[Ranks, ...]]:
        configured = {"source": self.config.source, "licence": self.config.licence_column}
        kinds = [kind for kind in KINDS if configured[kind] is not None]
        if not kinds:
            return [], ()
        scanned, passages = self.grains.scanned, self.grains.passages
        labels = {
            "exact": [part.by_text for part in scanned.texts],
            "near": [part.labels for part in written],
            "passage": [] if passages is None else passages.labels,
        }
        ranges: dict[str, Sequence[KeyRange]] = {
            "exact": scanned.keys,
            "near": scanned.keys,
            "passage": [] if passages is None else passages.keys,
        }
        with self.progress.stage("overlap") as counts:
            by_source = [part.by_source for part in written]
            ranks = self.tasks.map("overlap", rank_labels, [(by_source, kinds)])[0]
            items = [
                (grain, span, str(self.work / "overlap" / f"{grain}-{i}.arrow"))
                for grain, spans in ranges.items()
                for i, span in enumerate(spans)
            ]
            window = self.config.passages.min_tokens
            found = self.tasks.map("overlap", find_overlap, items, labels=labels, ranks=ranks, window=window)
            counts["names"] = sum(len(ranked.hashes) for ranked in ranks)
        return found, ranks

    def clusters(self, attached: list[Attached], written: list[DocumentsResult]) -> Figures:
        near, folder = self.grains.near, self.output / "clusters"
        with self.progress.stage("clusters") as counts:
            total = near.clusters.count + sum(part.exact_clusters for part in attached)
            spans = key_ranges(max(1, math.ceil(total / PART_ROWS)))
            items = [(span, str(folder / f"part-{i:05d}.parquet")) for i, span in enumerate(spans)]
            done = self.tasks.map(
                "clusters",
                write_clusters,
                items,
                totals=[near.clusters.totals, *(part.totals for part in attached)],
                similarities=[part.similarities for part in attached],
                labels=[part.labels for part in written],
                threshold=self.config.near.threshold,
            )
            if not total:
                write_empty(schemas.CLUSTERS, folder / "part-00000.parquet")
            counts["rows"] = sum(n for n, _ in done)
        chained = sum(chained for _, chained in done)
        return {"clusters": (counts["rows"], "clusters"), "chained_clusters": (chained, "clusters")}

    def pairs(self) -> list[PairsResult]:
        # A part of pairs goes with a part of documents: the one that holds its doc_a.
        scanned, near = self.grains.scanned, self.grains.near
        spans = doc_ranges(scanned.segments, PART_ROWS, scanned.places)
        folder, threshold = self.output / "pairs", self.config.near.threshold
        with self.progress.stage("pairs") as counts:
            items = [(span, str(folder / f"part-{i:05d}.parquet")) for i, span in enumerate(spans)]
            done = self.tasks.map("pairs", write_pairs, items, pairs=near.pairs, threshold=threshold)
            counts["rows"] = sum(part.rows for part in done)
            if not counts["rows"]:
                write_empty(schemas.PAIRS, folder / "part-00000.parquet")
        return done

    def summary(self, found: Found, figures: Figures) -> Figures:
        exposing, folder = self.grains.exposing, str(self.output / "summary")
        with self.progress.stage("summary") as counts:
            item = (found, figures, self.config.near, exposing.epochs, exposing.evidence, folder)
            figures = self.tasks.map("summary", write_summary, [item])[0]
            counts["metrics"] = len(figures)
        return figures

    def examples(self) -> list[str]:
        scanned, folder = self.grains.scanned, self.work / "examples"
        with self.progress.stage("examples") as counts:
            item = (str(self.output / "clusters"), str(folder / "chosen.arrow"))
            chosen, doc_ids = self.tasks.map("examples", choose_examples, [item])[0]
            found = shards_of(doc_ids, scanned.shards, scanned.places) if doc_ids else []
            texts = self.tasks.map(
                "examples",
                read_examples,
                [(shard, str(folder / f"{shard.number:06d}.arrow")) for shard in found],
                costs=[shard.size_bytes for shard in found],
                doc_ids=doc_ids,
                places=scanned.places,
                parameters=self.grains.parameters,
                earlier=self.grains.earlier.get(EXAMPLES, ()),
            )
            path = str(self.output / "summary" / "examples.parquet")
            counts["texts"] = self.tasks.map("examples", write_examples, [(chosen, texts, path)])[0]
            counts["places"] = self._places()
        return texts

    def _places(self) -> int:
        passages = self.grains.passages
        tops = [] if passages is None else passages.top
        path = str(self.output / "summary" / "places.parquet")
        item = (tops, str(self.output / "inputs.parquet"), path)
        written: int = self.tasks.map("examples", write_places, [item])[0]
        return written
