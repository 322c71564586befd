"""The near grain of a run: from scanned segments to verified pairs and clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.artifacts import KeyRange, ranges_for
from pipeline.config import NearConfig
from pipeline.progress import Progress
from pipeline.resuming import Tasks
from pipeline.scanned import Scanned
from pipeline.shingles import Shingles
from pipeline.stages.candidates import propose
from pipeline.stages.clusters import Clusters, find_clusters
from pipeline.stages.components import Assigned, Plan, assign, merge_forests, plan
from pipeline.stages.exposures import expose, gather
from pipeline.stages.links import Linked, measure_links, plan_links, recall_links
from pipeline.stages.newcomers import Newcomers, find_newcomers
from pipeline.stages.pairs import Verified, recall, verify
from pipeline.stages.routed import route
from pipeline.stages.scan import ScanParameters
from pipeline.stages.sketches import Survivors, attach_left, filter_right
from pipeline.stages.summary import Figures

KEYS_A_RANGE, MOST_KEYS_A_RANGE = 1 << 19, 1 << 22  # 16 bytes each, held about four times over
TEXTS_A_RANGE, MOST_TEXTS_A_RANGE = 1 << 15, 1 << 19  # texts in clusters, 200 bytes each
FORESTS_A_MERGE = 8
FILES_A_ROUTE = 8  # of pairs, 10 MB each
# What a run leaves for the next, see `Near.kept`. The first three are of use together only.
UNITS, COMPARED, TALLIES, LINKS = "near-units", "near-compared", "near-tallies", "near-links"
TEXTS, PROPOSED = "near-texts", "near-proposed"  # of use together


@dataclass(frozen=True)
class Near:
    """What the near stages found.

    Attributes:
        pairs: tables of verified pairs, sorted by doc_a; some pairs stand in two of them.
        best: each text's best similarity, by text_id.
        exposed: similarities to representatives and exposures, by text_id.
        clusters: see `stages.clusters`.
        figures: numbers for the metrics, with units.
        kept: tables by name for the next run, whatever its files are, if its parameters are the same:
            it takes over the candidates of texts and what was found in components that it has, too, and
            the pairs and sets of those that changed. They hold text_ids, numbers and hashes only. Pairs
            are sorted by the components' smallest text_ids; sets are kept by shard, see
            `stages.known_sets`.
    """

    pairs: list[str]
    best: list[str]
    exposed: list[str]
    clusters: Clusters
    figures: Figures
    kept: dict[str, list[str]]


def find_near(
    scanned: Scanned,
    near: NearConfig,
    parameters: ScanParameters,
    engine: Tasks,
    progress: Progress,
    work: Path,
    earlier: Mapping[str, Sequence[str]],
) -> Near:
    """Propose, filter, compare exactly, cluster, and compare members with representatives.

    Args:
        earlier: what `Near.kept` named in an earlier run with the same parameters, if there is one;
            it changes no table and no figure.
    """
    known = earlier if {UNITS, COMPARED, TALLIES} <= earlier.keys() else {}
    stages = _NearStages(scanned, near, parameters, engine, progress, work, known, earlier)
    candidates = stages.candidates()
    kept = stages.sketches(candidates)
    made, assigned = stages.components(kept)
    there = stages.sets(made, assigned)
    verified, recalled = stages.pairs(made, there)
    clusters = stages.clusters(verified + recalled)
    linked = stages.links(clusters, there, recalled)
    both = verified + recalled
    return Near(
        [part.pairs for part in both] + [part.pairs for part in linked],
        [part.best for part in both],
        stages.exposures(both, clusters, linked),
        clusters,
        stages.figures,
        {
            UNITS: [made.units],
            COMPARED: [part.found for part in both],
            TALLIES: [part.tallies for part in both],
            LINKS: [part.found for part in linked],
            TEXTS: [part.texts for part in stages.newcomers],
            PROPOSED: [part.proposed for part in kept],
            **stages.shingles.to_keep(),
        },
    )


@dataclass(frozen=True)
class _There:
    """What there is to compare: texts in blocks with their sets, and texts of known components in
    ranges of roots."""

    assigned: Sequence[Assigned]
    sets: list[str]
    roots: Sequence[KeyRange]
    named: list[str]


@dataclass
class _NearStages:
    scanned: Scanned
    near: NearConfig
    parameters: ScanParameters
    engine: Tasks
    progress: Progress
    work: Path
    earlier: Mapping[str, Sequence[str]]
    given: Mapping[str, Sequence[str]]

    def __post_init__(self) -> None:
        self.figures: Figures = {}
        self.newcomers: list[Newcomers] = []
        self.grown = False
        self.routed_links: list[str] = []
        self.compared: dict[int, Verified] = {}
        self.shingles = Shingles(self.scanned, self.parameters, self.engine, self.work, self.given)

    def path(self, stage: str, name: object) -> str:
        return str(
            self.work / stage / f"{name:016x}" if isinstance(name, int) else self.work / stage / str(name)
        )

    def candidates(self) -> list[str]:
        with self.progress.stage("candidates") as counts:
            items: list[tuple[Any, ...]] = [
                (span, result, self.path("newcomers", i))
                for i, (span, result) in enumerate(zip(self.scanned.keys, self.scanned.texts, strict=True))
            ]
            earlier = self.given.get(TEXTS, ()) if PROPOSED in self.given else ()
            self.newcomers = self.engine.map("candidates", find_newcomers, items, earlier=earlier)
            # Without the bands of a text that is gone nobody knows what its groups proposed with it.
            self.grown = bool(earlier) and not any(part.gone for part in self.newcomers)
            rows = sum(segment.documents for segment in self.scanned.segments) * self.parameters.bands
            ranges = ranges_for(rows, KEYS_A_RANGE, MOST_KEYS_A_RANGE)
            proposed = self.engine.map(
                "candidates",
                propose,
                [(span, self.path("candidates", i)) for i, span in enumerate(ranges)],
                segments=self.scanned.segments,
                new=[part.new for part in self.newcomers] if self.grown else None,
            )
            counts["edges"] = sum(n for _, n in proposed)
        return [path for path, _ in proposed]

    def sketches(self, candidates: Sequence[str]) -> list[Survivors]:
        shared: dict[str, Any] = {"segments": self.scanned.segments, "permutations": self.near.permutations}
        with self.progress.stage("sketches") as counts:
            items = [(span, self.path("half", i)) for i, span in enumerate(self.scanned.keys)]
            half = self.engine.map("sketches", attach_left, items, candidates=candidates, **shared)
            items = [(span, self.path("kept", i)) for i, span in enumerate(self.scanned.keys)]
            kept = self.engine.map(
                "sketches",
                filter_right,
                items,
                half_joined=half,
                floor=self.near.floor,
                earlier=self.given[PROPOSED] if self.grown else (),
                **shared,
            )
            counts |= {"pairs": sum(k.compared for k in kept), "kept": sum(k.kept for k in kept)}
            counts["reused"] = sum(k.known for k in kept)
        self.figures["star_edges"] = sum(k.star_edges for k in kept), "edges"
        self.figures["candidate_pairs"] = counts["pairs"], "pairs"
        self.figures["pairs_dropped_by_sketch"] = counts["pairs"] - counts["kept"], "pairs"
        return kept

    def components(self, kept: Sequence[Survivors]) -> tuple[Plan, list[Assigned]]:
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
            made = self.engine.map(
                "components",
                plan,
                [(forests, texts, keys, self.path("plan", 0))],
                sums=[part.sums for part in kept],
                earlier=self.earlier.get(UNITS, ()),
            )[0]
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
            counts["texts"] = sum(part.texts + part.known_texts for part in assigned)
            counts["reused"] = sum(part.known_texts for part in assigned)
        return made, assigned

    def sets(self, made: Plan, assigned: Sequence[Assigned]) -> _There:
        with self.progress.stage("sets") as counts:
            counts["texts"] = sum(part.texts for part in assigned)
            counts["reused"] = sum(part.known_texts for part in assigned)
            wanted = [part.wanted for part in assigned] if counts["texts"] else []
            known = [part.known for part in assigned] if counts["reused"] else []
            found = self.shingles.find("sets", wanted, known)
            counts["read"] = found.read
        # All that an audit which knows nothing reads again, whatever was reused.
        self.figures["texts_read_again"] = counts["texts"] + counts["reused"], "texts"
        return _There(assigned, found.sets, made.known, found.named)

    def _route(self, made: Plan) -> tuple[list[str], list[str]]:
        # The pairs and the links of an earlier run in the blocks of this one.
        routed = []
        for name in (COMPARED, LINKS):
            files = self.earlier.get(name, ()) if made.compared else ()
            parts = [files[i : i + FILES_A_ROUTE] for i in range(0, len(files), FILES_A_ROUTE)]
            routed.append([(part, self.path("routed", f"{name}-{i}")) for i, part in enumerate(parts)])
        done = self.engine.map(
            "compare", route, [*routed[0], *routed[1]], cuts=made.cuts, changed=made.changed
        )
        return done[: len(routed[0])], done[len(routed[0]) :]

    def pairs(self, made: Plan, there: _There) -> tuple[list[Verified], list[Verified]]:
        numbers = sorted({pair for part in there.assigned for pair in part.block_pairs})
        with self.progress.stage("compare") as counts:
            items = [(pair, self.path("pairs", pair)) for pair in numbers]
            edges = [part.edges for part in there.assigned]
            routed, self.routed_links = self._route(made)
            verified = self.engine.map(
                "compare",
                verify,
                items,
                edges=edges,
                sets=there.sets,
                near=self.near,
                routed=routed,
            )
            self.compared = dict(zip(numbers, verified, strict=True))
            recalled = self.engine.map(
                "compare",
                recall,
                [(roots, self.path("recalled", i)) for i, roots in enumerate(there.roots)],
                named=there.named,
                found=self.earlier.get(COMPARED, ()),
                tallies=self.earlier.get(TALLIES, ()),
                near=self.near,
            )
            both = verified + recalled
            counts["looked_again"] = sum(v.looked_again for v in both)
            counts["pairs"] = sum(v.compared for v in both)
            counts["at_floor"] = sum(v.at_floor for v in both)
            counts["reused"] = sum(v.compared for v in recalled)
        self.figures["pairs_compared"] = counts["pairs"], "pairs"
        self.figures["pairs_looked_at_again"] = counts["looked_again"], "pairs"
        self.figures["unsettled_texts"] = sum(v.unsettled for v in both), "texts"
        self.figures["texts_not_looked_at_again"] = sum(v.left_out for v in both), "texts"
        return verified, recalled

    def clusters(self, verified: list[Verified]) -> Clusters:
        with self.progress.stage("clusters") as counts:
            made = self.engine.map("clusters", find_clusters, [(verified, self.path("clusters", 0))])[0]
            counts["near"] = made.count
        return made

    def links(self, clusters: Clusters, there: _There, recalled: Sequence[Verified]) -> list[Linked]:
        with self.progress.stage("links") as counts:
            items = [
                (pair, self.path("links", pair), self._texts_of(pair, there), self._found_of(pair))
                for pair in clusters.block_pairs
            ]
            linked = self._measure(items, clusters.links, self.routed_links)
            looked_up = self.engine.map(
                "links",
                recall_links,
                [
                    (roots, part.found, self.path("known-links", i))
                    for i, (roots, part) in enumerate(zip(there.roots, recalled, strict=True))
                ],
                links=clusters.known_links,
                earlier=self.earlier.get(LINKS, ()),
                named=there.named,
                near=self.near,
            )
            missing = sum(part.count for part in looked_up)
            counts |= {"members": clusters.linked, "reused": clusters.known_linked - missing, "texts": 0}
            if missing:
                again = self.engine.map(
                    "links",
                    plan_links,
                    [(looked_up, self.path("relinked", 0))],
                    permutations=self.near.permutations,
                )[0]
                sets = self.shingles.find("links", [again.wanted]).sets
                relinked = [(pair, self.path("missing-links", pair), sets) for pair in again.block_pairs]
                linked += self._measure(relinked, again.links, ())
                counts["texts"] = again.texts
        return linked + [part.linked for part in looked_up]

    def _texts_of(self, pair: int, there: _There) -> Sequence[str]:
        # Tables that hold the texts of two blocks: those of these blocks alone where they were written.
        blocks = {pair >> 32, pair & 0xFFFFFFFF}
        found = [
            self.compared[block << 32 | block].texts
            for block in blocks
            if block << 32 | block in self.compared
        ]
        return found if len(found) == len(blocks) else there.sets

    def _found_of(self, pair: int) -> Sequence[str]:
        return [self.compared[pair].found] if pair in self.compared else []

    def _measure(self, items: Sequence[tuple[Any, ...]], links: str, routed: Sequence[str]) -> list[Linked]:
        return self.engine.map("links", measure_links, items, links=[links], near=self.near, routed=routed)

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
