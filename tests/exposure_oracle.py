"""Exposures by their definition, in plain Python, on corpora that fit in memory.

Nothing here is shared with the fast code: the published table is copied once more, similarities
come from sets of shingles, estimates from datasketch's signatures.
"""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from pipeline.normalise import normalised, shingles, tokens
from pipeline.risk import evidence
from tests import oracles
from tests.audits import Audited, write_rows
from tests.passage_tables import Corpus
from tests.passage_tables import Document as Unlabelled

MILLION = 10**6
# Worth of a near copy by the share of tokens that differ (Mosaic Memory, arXiv 2405.15523).
DIFFERING = (0.0, 0.01, 0.05, 0.10, 0.15, 0.20, 0.25, 0.50, 0.75, 1.0)
WORTH = {
    "exposures": (1.0, 0.93, 0.78, 0.62, 0.50, 0.42, 0.35, 0.155, 0.07, 0.0),
    "exposures_low": (1.0, 0.87, 0.73, 0.59, 0.44, 0.37, 0.30, 0.12, 0.05, 0.0),
    "exposures_high": (1.0, 0.98, 0.86, 0.65, 0.54, 0.49, 0.41, 0.19, 0.09, 0.0),
}
# Lower end, name and tier of each bin of exposures.
BINS = {
    1: ("1", "baseline"),
    2: ("2-5", "low"),
    6: ("6-20", "elevated"),
    21: ("21-100", "high"),
    101: ("101-1000", "very high"),
    1001: (">1000", "very high"),
}
LABELS: dict[str, Any] = {"source": {"column": "from"}, "licence_column": "terms"}  # of what is written here
BOUNDS = (
    "PART_ROWS", "SEGMENT_ROWS", "SPANS_A_RANGE", "MOST_SPANS_A_RANGE", "TEXTS_A_RANGE", "MOST_TEXTS_A_RANGE",
    "ROWS_A_RANGE", "MOST_ROWS_A_RANGE",
)  # fmt: skip
ROUNDED = 0.5e-6 + 1e-9  # how far a value rounded to millionths may lie from the exact one
CHANCE = 1 / 256  # that two unequal values have the same low byte
Bounds = tuple[float, float]


class Document(NamedTuple):
    """A document as it was written."""

    doc_id: int
    text: str
    source: str | None = None
    licence: str | None = None


def written(files: Iterable[Iterable[Sequence[str | None]]], folder: Path) -> list[Document]:
    """Write files of rows of text, source and licence (what a row lacks is null); returns the documents."""
    documents = []
    for number, file in enumerate(files):
        rows = [Document(number << 32 | row, str(text), *labels) for row, (text, *labels) in enumerate(file)]
        held = [{"text": each.text, "from": each.source, "terms": each.licence} for each in rows]
        write_rows(folder / f"{number:03d}.jsonl", held)
        documents += rows
    return documents


@contextmanager
def in_pieces(rows: int) -> Iterator[None]:
    """Ranges of keys, parts of tables and segments of so many rows, wherever the project bounds them."""
    modules = [module for name, module in sys.modules.items() if name.startswith("pipeline.")]
    with ExitStack() as patches:
        for module in modules:
            for name in BOUNDS:
                if hasattr(module, name):
                    patches.enter_context(patch.object(module, name, rows))
        yield


def differing(jaccard: float, width: int) -> float:
    """The share of tokens that differ between texts whose sets of shingles are that similar."""
    return float(1 - (2 * jaccard / (1 + jaccard)) ** (1 / width))


def worth(jaccard: float, column: str, width: int) -> float:
    """The share of an exact copy that a near copy is worth."""
    share = differing(jaccard, width)
    points = list(zip(DIFFERING, WORTH[column], strict=True))
    for (left, before), (right, after) in pairwise(points):
        if left <= share <= right:
            return before + (after - before) * (share - left) / (right - left)
    raise AssertionError(f"no share of tokens: {share}")


def bin_of(exposures: float) -> int:
    """The lower end of the bin of exposures, which are rounded down."""
    return max((low for low in BINS if low <= exposures), default=1)


def tier_of(exposures: float) -> str:
    """The risk tier of exposures."""
    return BINS[bin_of(exposures)][1]


def tokens_of_sources(documents: Iterable[Document]) -> Counter[str | None]:
    """How many tokens each source has; every source is there."""
    counts: Counter[str | None] = Counter()
    for document in documents:
        counts[document.source] += len(tokens(document.text))
    return counts


def epochs_by_source(
    documents: Sequence[Document],
    epochs: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    training_tokens: float = 0.0,
    tokens_per_word: float = 2.0,
) -> dict[str | None, int]:
    """Millionths of an epoch of every source in a corpus: as given, or as the weights mean."""
    n_tokens = tokens_of_sources(documents)
    if weights is None:
        given = {source: 1.0 if source is None else (epochs or {}).get(source, 1.0) for source in n_tokens}
        return {source: round(value * MILLION) for source, value in given.items()}
    found: dict[str | None, int] = dict.fromkeys(n_tokens, 0)
    whole = sum(map(Fraction, weights.values()))
    for source in n_tokens.keys() & weights.keys():
        if source is not None and n_tokens[source]:
            drawn = Fraction(weights[source]) / whole * Fraction(training_tokens)
            found[source] = round(drawn / (n_tokens[source] * Fraction(tokens_per_word)) * MILLION)
    return found


@dataclass(frozen=True)
class Exposed:
    """A corpus beside what a run found near in it.

    epochs: millionths by source. cluster: by doc_id. compared: pairs of normalised texts whose
    similarity is known exactly. shingle_tokens, permutations, seed: of the near grain.
    most_texts: in clusters with more of them, similarities go by the representative.
    """

    documents: Sequence[Document]
    epochs: Mapping[str | None, int]
    cluster: Mapping[int, int | None]
    compared: Collection[frozenset[str]]
    shingle_tokens: int = 5
    permutations: int = 128
    seed: int = 1
    most_texts: int = 2_000

    @cached_property
    def norm(self) -> dict[int, str]:
        """The normalised text of each document."""
        return {document.doc_id: normalised(document.text) for document in self.documents}

    @cached_property
    def weights(self) -> Counter[str]:
        """Millionths of an epoch of all documents with a text, by normalised text."""
        found: Counter[str] = Counter()
        for document in self.documents:
            found[self.norm[document.doc_id]] += self.epochs[document.source]
        return found

    @cached_property
    def members(self) -> dict[int, list[str]]:
        """The distinct texts of each cluster, the representative first."""
        found: dict[int, dict[str, None]] = defaultdict(dict)
        for document in self.documents:
            cluster = self.cluster[document.doc_id]
            if cluster is not None:
                found[cluster][self.norm[document.doc_id]] = None
        return {cluster: list(texts) for cluster, texts in found.items()}

    @cached_property
    def sets(self) -> dict[str, set[str]]:
        """The shingles of the texts of clusters."""
        return {
            text: shingles(text, self.shingle_tokens) for texts in self.members.values() for text in texts
        }

    @cached_property
    def _sketches(self) -> dict[str, list[int]]:
        return {}

    def exact(self, one: str, two: str) -> float:
        """The similarity of two texts."""
        a, b = self.sets[one], self.sets[two]
        return len(a & b) / len(a | b)

    def estimate(self, one: str, two: str) -> float:
        """What the sketches of two texts say of it."""
        for text in (one, two):
            if text not in self._sketches:
                values = oracles.signature(text, self.permutations, self.seed, self.shingle_tokens)
                self._sketches[text] = oracles.sketch(values)
        pairs = zip(self._sketches[one], self._sketches[two], strict=True)
        share = sum(a == b for a, b in pairs) / self.permutations
        return min(max((share - CHANCE) / (1 - CHANCE), 0.0), 1.0)

    def by_representative(self, cluster: int | None) -> bool:
        """Whether a cluster is so large that its near copies are judged by their representative."""
        return cluster is not None and len(self.members[cluster]) > self.most_texts

    def similarity(self, cluster: int, one: str, two: str) -> Bounds:
        """The lowest and highest value that the similarity of two texts of a cluster may be taken for."""
        head = self.members[cluster][0]
        if one == two:
            return 1.0, 1.0
        if self.by_representative(cluster):
            least = min(self.exact(head, text) for text in (one, two) if text != head)
            return least, least
        exact = self.exact(one, two)
        if head in (one, two) or frozenset((one, two)) in self.compared:
            return exact, exact
        return min(exact, self.estimate(one, two)), max(exact, self.estimate(one, two))

    def bounds(self, document: Document, column: str) -> Bounds:
        """The lowest and highest exposures that a document may have, not rounded."""
        text, cluster = self.norm[document.doc_id], self.cluster[document.doc_id]
        if not text:
            return self.epochs[document.source] / MILLION, self.epochs[document.source] / MILLION
        if cluster is None:
            return self.weights[text] / MILLION, self.weights[text] / MILLION
        low = high = 0.0
        for other in self.members[cluster]:
            least, most = self.similarity(cluster, text, other)
            low += self.weights[other] * worth(least, column, self.shingle_tokens)
            high += self.weights[other] * worth(most, column, self.shingle_tokens)
        return low / MILLION, high / MILLION


def exposures_of_places(places: Iterable[Document], epochs: Mapping[str | None, int]) -> float:
    """The exposures of a passage, from the documents of its places."""
    return sum(epochs[document.source] for document in places) / MILLION


def risk_bins(items: Iterable[tuple[float, int]]) -> dict[int, tuple[int, int]]:
    """How many of some texts, and how many tokens of theirs, are in each bin of exposures."""
    counts, n_tokens = Counter[int](), Counter[int]()
    for exposures, own in items:
        counts[bin_of(exposures)] += 1
        n_tokens[bin_of(exposures)] += own
    return {low: (counts[low], n_tokens[low]) for low in BINS}


def exposed(
    audited: Audited,
    documents: Sequence[Document],
    epochs: Mapping[str | None, int],
    near: Mapping[str, Any],
    most_texts: int = 2_000,
) -> Exposed:
    """The definition, beside the clusters and pairs that a run found."""
    cluster = {row["doc_id"]: row["cluster_id"] for row in audited.documents}
    known = {"shingle_tokens": near.get("shingle_tokens", 5), "seed": near.get("seed", 1)}
    compared: set[frozenset[str]] = set()
    wanted = Exposed(documents, epochs, cluster, compared, **known, most_texts=most_texts)
    compared |= {
        frozenset((wanted.norm[pair["doc_a"]], wanted.norm[pair["doc_b"]])) for pair in audited.pairs
    }
    return wanted


def check_documents(audited: Audited, wanted: Exposed) -> None:
    """Exposures, and what follows from them, of every document."""
    for row, document in zip(audited.documents, wanted.documents, strict=True):
        assert row["doc_id"] == document.doc_id
        for name in WORTH:
            low, high = wanted.bounds(document, name)
            assert low - ROUNDED <= row[name] <= high + ROUNDED, (name, row, low, high)
            assert row[name] == round(row[name], 6)
        assert row["exposures_low"] <= row["exposures"] <= row["exposures_high"]
        assert row["risk_tier"] == tier_of(row["exposures"])
        assert row["exposures_by_representative"] == wanted.by_representative(row["cluster_id"])
    flagged = {row["text_id"] for row in audited.documents if row["exposures_by_representative"]}
    most = max((row["exposures"] for row in audited.documents), default=math.nan)
    assert audited.metrics["max_exposures"] == pytest.approx(most, nan_ok=True)
    assert audited.metrics["texts_exposed_by_representative"] == len(flagged)


def check_clusters(audited: Audited, wanted: Exposed) -> None:
    """The text least like the representative, of every cluster."""
    first: dict[str, int] = {}
    for document in wanted.documents:
        first.setdefault(wanted.norm[document.doc_id], document.doc_id)
    for row in audited.clusters:
        head, *rest = wanted.members[row["cluster_id"]]
        least = min(((wanted.exact(head, text), first[text]) for text in rest), default=(1.0, None))
        assert row["least_similar"] == least[1]
        assert row["min_jaccard"] == pytest.approx(least[0], abs=1e-9)


def check_passages(
    audited: Audited, documents: Sequence[Document], epochs: Mapping[str | None, int], w: int
) -> None:
    """The exposures of every passage."""
    found = Corpus([Unlabelled(each.doc_id, each.text) for each in documents], w).passages
    wanted = {
        oracles.text_id(" ".join(words)): exposures_of_places([documents[d] for d, _ in places], epochs)
        for words, places in found.items()
    }
    assert {row["passage_id"]: row["exposures"] for row in audited.rows("passages")} == wanted


def check_risk(audited: Audited, model: Mapping[str, float]) -> None:
    """Tiers and evidence of passages, and the table of both grains, bin by bin."""
    known = evidence(model.get("parameters"), model.get("training_tokens"))
    says = {low: (each.low, each.high, each.reason) for low, each in zip(BINS, known, strict=True)}
    names = ("evidence_low", "evidence_high", "evidence_reason")
    passages = audited.rows("passages")
    for row in passages:
        if row["predictable"]:
            assert (row["risk_tier"], row["evidence_low"], row["evidence_high"]) == (None, None, None)
            assert row["evidence_reason"]
        else:
            assert row["risk_tier"] == tier_of(row["exposures"])
            assert tuple(row[name] for name in names) == says[bin_of(row["exposures"])]
    judged = [(row["exposures"], row["tokens"]) for row in passages if not row["predictable"]]
    of_documents = [(row["exposures"], row["n_tokens"]) for row in audited.documents]
    wanted = []
    for grain, items in (("document", of_documents), ("passage", judged)):
        for low, (count, n_tokens) in risk_bins(items).items():
            name, tier = BINS[low]
            counts = (count, None) if grain == "document" else (None, count)
            wanted.append((grain, name, low, tier, *counts, n_tokens, *says[low]))
    assert [tuple(row.values()) for row in audited.rows("summary/risk")] == wanted


def check_sources(audited: Audited, documents: Sequence[Document], epochs: Mapping[str | None, int]) -> None:
    """Distinct texts, epochs and mean exposures of each source and licence."""
    label = {document.doc_id: (document.source, document.licence) for document in documents}
    inside = defaultdict(list)
    for each in audited.documents:
        inside[label[each["doc_id"]]].append(each)
    for row in audited.rows("summary/sources"):
        mine = inside.pop((row["source"], row["licence"]))
        assert row["distinct_texts"] == len({each["text_id"] for each in mine if each["status"] != "empty"})
        assert row["epochs"] == epochs[row["source"]] / MILLION
        n_tokens = sum(each["n_tokens"] for each in mine)
        shown = sum(each["exposures"] * each["n_tokens"] for each in mine)
        assert row["exposures"] == (pytest.approx(shown / n_tokens) if n_tokens else None)
    assert not inside


def check(audited: Audited, wanted: Exposed, model: Mapping[str, float], w: int) -> None:
    """Everything that follows from epochs, with passages of `w` tokens or more."""
    check_documents(audited, wanted)
    check_clusters(audited, wanted)
    check_passages(audited, wanted.documents, wanted.epochs, w)
    check_risk(audited, model)
    check_sources(audited, wanted.documents, wanted.epochs)
