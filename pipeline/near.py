"""The near grain of a run: from scanned segments to verified pairs and clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import ranges_for
from pipeline.config import NearConfig
from pipeline.engine import Engine
from pipeline.progress import Progress
from pipeline.scanned import Scanned
from pipeline.stages.candidates import propose
from pipeline.stages.clusters import Clusters, find_clusters
from pipeline.stages.components import Assigned, assign, merge_forests, plan
from pipeline.stages.exposures import expose, gather
from pipeline.stages.pairs import Linked, Verified, measure_links, verify
from pipeline.stages.scan import ScanParameters
from pipeline.stages.sets import read_sets
from pipeline.stages.sketches import Survivors, attach_left, filter_right
from pipeline.stages.summary import Figures

KEYS_A_RANGE, MOST_KEYS_A_RANGE = 1 << 19, 1 << 22  # 16 bytes each, held about four times over
TEXTS_A_RANGE, MOST_TEXTS_A_RANGE = 1 << 15, 1 << 19  # texts in clusters, 200 bytes each
FORESTS_A_MERGE = 8


@dataclass(frozen=True)
class Near:
    """What the near stages found.

    Attributes:
        pairs: tables of verified pairs, sorted by doc_a; some pairs stand in two of them.
        best: each text's best similarity, by text_id.
        exposed: similarities to representatives and exposures, by text_id.
        clusters: see `stages.clusters`.
        figures: numbers for the metrics, with units.
    """

    pairs: list[str]
    best: list[str]
    exposed: list[str]
    clusters: Clusters
    figures: Figures


def find_near(
    scanned: Scanned,
    near: NearConfig,
    parameters: ScanParameters,
    engine: Engine,
    progress: Progress,
    work: Path,
) -> Near:
    """Propose, filter, compare exactly, cluster, and compare members with representatives."""
    stages = _NearStages(scanned, near, parameters, engine, progress, work)
    candidates = stages.candidates()
    kept = stages.sketches(candidates)
    assigned = stages.components(kept)
    sets = stages.sets(assigned)
    verified = stages.pairs(assigned, sets)
    clusters = stages.clusters(verified)
    linked = stages.links(clusters, sets)
    return Near(
        [part.pairs for part in verified] + [part.pairs for part in linked],
        [part.best for part in verified],
        stages.exposures(verified, clusters, linked),
        clusters,
        stages.figures,
    )


@dataclass
class _NearStages:
    scanned: Scanned
    near: NearConfig
    parameters: ScanParameters
    engine: Engine
    progress: Progress
    work: Path

    def __post_init__(self) -> None:
        self.figures: Figures = {}

    def path(self, stage: str, name: object) -> str:
        return str(
            self.work / stage / f"{name:016x}" if isinstance(name, int) else self.work / stage / str(name)
        )

    def candidates(self) -> list[str]:
        with self.progress.stage("candidates") as counts:
            rows = sum(segment.documents for segment in self.scanned.segments) * self.parameters.bands
            ranges = ranges_for(rows, KEYS_A_RANGE, MOST_KEYS_A_RANGE)
            items = [(span, self.path("candidates", i)) for i, span in enumerate(ranges)]
            proposed = self.engine.map("candidates", propose, items, segments=self.scanned.segments)
            counts["star_edges"] = sum(n for _, n in proposed)
        self.figures["star_edges"] = counts["star_edges"], "edges"
        return [path for path, _ in proposed]

    def sketches(self, candidates: Sequence[str]) -> list[Survivors]:
        shared: dict[str, Any] = {"segments": self.scanned.segments, "permutations": self.near.permutations}
        with self.progress.stage("sketches") as counts:
            items = [(span, self.path("half", i)) for i, span in enumerate(self.scanned.keys)]
            half = self.engine.map("sketches", attach_left, items, candidates=candidates, **shared)
            items = [(span, self.path("kept", i)) for i, span in enumerate(self.scanned.keys)]
            kept = self.engine.map(
                "sketches", filter_right, items, half_joined=half, floor=self.near.floor, **shared
            )
            counts |= {"pairs": sum(k.compared for k in kept), "kept": sum(k.kept for k in kept)}
        self.figures["candidate_pairs"] = counts["pairs"], "pairs"
        self.figures["pairs_dropped_by_sketch"] = counts["pairs"] - counts["kept"], "pairs"
        return kept

    def components(self, kept: Sequence[Survivors]) -> list[Assigned]:
        texts, keys = self.scanned.texts, self.scanned.keys
        with self.progress.stage("components") as counts:
            forests = [part.forest for part in kept]
            while len(forests) > FORESTS_A_MERGE:
                starts = range(0, len(forests), FORESTS_A_MERGE)
                merges = [
                    (forests[i : i + FORESTS_A_MERGE], self.path(f"forests-{len(forests)}", i))
                    for i in starts
                ]
                forests = self.engine.map("components", merge_forests, merges)
            made = self.engine.map("components", plan, [(forests, texts, keys, self.path("plan", 0))])[0]
            items = [
                (made, result, part.edges, span, self.path("assigned", i))
                for i, (result, part, span) in enumerate(zip(texts, kept, keys, strict=True))
            ]
            assigned = self.engine.map(
                "components",
                assign,
                items,
                segments=self.scanned.segments,
                permutations=self.near.permutations,
            )
            counts["texts"] = sum(part.texts for part in assigned)
        return assigned

    def sets(self, assigned: Sequence[Assigned]) -> list[str]:
        wanted = [part.wanted for part in assigned]
        with self.progress.stage("sets") as counts:
            items = [(shard, self.path("sets", shard.number)) for shard in self.scanned.shards]
            if not any(part.texts for part in assigned):
                items = []
            written = self.engine.map(
                "sets",
                read_sets,
                items,
                costs=[shard.size_bytes for shard, _ in items],
                places=self.scanned.places,
                wanted=wanted,
                parameters=self.parameters,
            )
            counts["texts"] = sum(part.texts for part in assigned)
        self.figures["texts_read_again"] = counts["texts"], "texts"
        return [path for paths in written for path in paths]

    def pairs(self, assigned: Sequence[Assigned], sets: Sequence[str]) -> list[Verified]:
        edges = [part.edges for part in assigned]
        numbers = sorted({pair for part in assigned for pair in part.block_pairs})
        with self.progress.stage("compare") as counts:
            items = [(pair, self.path("pairs", pair)) for pair in numbers]
            verified = self.engine.map("compare", verify, items, edges=edges, sets=sets, near=self.near)
            counts["looked_again"] = sum(v.looked_again for v in verified)
            counts["pairs"] = sum(v.compared for v in verified)
            counts["at_floor"] = sum(v.at_floor for v in verified)
        self.figures["pairs_compared"] = counts["pairs"], "pairs"
        self.figures["pairs_looked_at_again"] = counts["looked_again"], "pairs"
        self.figures["unsettled_texts"] = sum(v.unsettled for v in verified), "texts"
        self.figures["texts_not_looked_at_again"] = sum(v.left_out for v in verified), "texts"
        return verified

    def clusters(self, verified: list[Verified]) -> Clusters:
        with self.progress.stage("clusters") as counts:
            made = self.engine.map("clusters", find_clusters, [(verified, self.path("clusters", 0))])[0]
            counts["near"] = made.count
        return made

    def links(self, clusters: Clusters, sets: Sequence[str]) -> list[Linked]:
        with self.progress.stage("links") as counts:
            items = [(pair, self.path("links", pair)) for pair in clusters.block_pairs]
            linked = self.engine.map(
                "links", measure_links, items, links=[clusters.links], sets=sets, near=self.near
            )
            counts["members"] = clusters.linked
        return linked

    def exposures(
        self, verified: Sequence[Verified], clusters: Clusters, linked: Sequence[Linked]
    ) -> list[str]:
        permutations = self.near.permutations
        with self.progress.stage("exposures") as counts:
            items = [
                (span, result, self.path("gathered", i))
                for i, (span, result) in enumerate(zip(self.scanned.keys, self.scanned.texts, strict=True))
            ]
            gathered = self.engine.map(
                "exposures",
                gather,
                items if clusters.count else [],
                members=clusters.members,
                similarities=[part.similarity for part in linked],
                similar=[part.similar for part in verified] + [part.similar for part in linked],
                segments=self.scanned.segments,
                permutations=permutations,
            )
            counts["texts"] = sum(part.texts for part in gathered)
            ranges = ranges_for(counts["texts"], TEXTS_A_RANGE, MOST_TEXTS_A_RANGE)
            exposed = self.engine.map(
                "exposures",
                expose,
                [(span, self.path("exposed", i)) for i, span in enumerate(ranges)] if gathered else [],
                gathered=gathered,
                permutations=permutations,
                shingle_tokens=self.near.shingle_tokens,
            )
        by_representative = sum(texts for _, texts in exposed)
        self.figures["texts_exposed_by_representative"] = by_representative, "texts"
        return [path for path, _ in exposed]
