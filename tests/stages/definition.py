"""The documents and clusters tables in plain Python, from the texts and the verified pairs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import pytest

from pipeline.normalise import normalised, shingles, tokens
from tests import oracles
from tests.exposure_oracle import WORTH, tier_of, worth
from tests.stages.steps import Compared, Corpus, all_rows


def groups(found: Compared) -> list[set[str]]:
    """The distinct texts that repeat, exactly or nearly, by near cluster."""
    corpus, near = found.placed.filtered.corpus, found.placed.filtered.near
    numbers = {n: normalised(text) for n, text in corpus.texts.items() if text is not None}
    pairs = [
        (numbers[row["doc_a"]], numbers[row["doc_b"]])
        for row in all_rows(found.pairs)
        if row["jaccard"] >= near.threshold
    ]
    repeated = [text for text, count in Counter(numbers.values()).items() if count > 1 and text]
    return oracles.components(pairs, repeated)


def known_pairs(found: Compared) -> set[frozenset[int]]:
    """Pairs of texts of a cluster whose similarity was computed exactly, as text_ids."""
    similar = all_rows([part.similar for part in found.verified])
    links = all_rows([found.clusters.links])
    pairs = [(row["left"], row["right"]) for row in similar]
    return {frozenset(pair) for pair in [*pairs, *((row["left"], row["right"]) for row in links)]}


def estimated(one: str, two: str, permutations: int, seed: int) -> float:
    """What the sketches of two texts say of their similarity."""
    sketches = [oracles.sketch(oracles.signature(text, permutations, seed)) for text in (one, two)]
    return oracles.estimated(sum(a == b for a, b in zip(*sketches, strict=True)), permutations)


def exposures(
    text: str, weights: Mapping[str, float], known: set[frozenset[int]], permutations: int, seed: int
) -> dict[str, float]:
    """What training shows of a text; weights: epochs of the texts of its cluster."""
    total = dict.fromkeys(WORTH, 0.0)
    for other, weight in weights.items():
        pair = frozenset((oracles.text_id(text), oracles.text_id(other)))
        exact = other == text or pair in known
        similarity = oracles.jaccard(text, other) if exact else estimated(text, other, permutations, seed)
        for name in total:
            total[name] += weight * (1.0 if other == text else worth(similarity, name, 5))
    return total


def _exposed(total: Mapping[str, float]) -> dict[str, Any]:
    # Written with six decimals.
    near = {name: pytest.approx(value, abs=1.1e-6, rel=0) for name, value in total.items()}
    return near | {"risk_tier": tier_of(round(total["exposures"], 6))}


def documents(found: Compared) -> list[dict[str, Any]]:
    """The documents table, in order of doc_id, where every document is shown once."""
    near, known = found.placed.filtered.near, known_pairs(found)
    corpus = found.placed.filtered.corpus
    texts = {number: text for number, text in sorted(corpus.texts.items()) if text is not None}
    copies = Counter(normalised(text) for text in texts.values())
    raw = Counter(texts.values())
    cluster_of = {text: group for group in groups(found) for text in group}
    rows = []
    for number, text in texts.items():
        row = _alone(corpus, number, text)
        cluster = cluster_of.get(normalised(text))
        if cluster is not None:
            first = min(n for n, other in texts.items() if normalised(other) in cluster)
            jaccard = oracles.jaccard(text, texts[first])
            row |= {
                "raw_copies": raw[text],
                "copies": copies[normalised(text)],
                "near_copies": sum(copies[other] for other in cluster),
                "cluster_id": min(map(oracles.text_id, cluster)),
                "representative": first,
                "jaccard_to_representative": jaccard,
                "chained": jaccard < found.placed.filtered.near.threshold,
                "keep": number == first,
            }
            weights = {other: float(copies[other]) for other in cluster}
            row |= _exposed(exposures(normalised(text), weights, known, near.permutations, near.seed))
        rows.append(row)
    return rows


def _alone(corpus: Corpus, number: int, text: str) -> dict[str, Any]:
    n = len(tokens(text))
    return {
        "doc_id": number,
        "text_id": oracles.text_id(text),
        "uri": corpus.files[number >> 32].uri,
        "row": number & 0xFFFFFFFF,
        "id": None,
        "source": "abcd"[number >> 32],
        "licence": None,
        "n_bytes": len(text.encode()),
        "n_tokens": n,
        "status": "empty" if n == 0 else "short" if n < 5 else "ok",
        "raw_copies": 1,
        "copies": 1,
        "near_copies": 1,
        "cluster_id": None,
        "representative": number,
        "jaccard_to_representative": None,
        "chained": False,
        "repeated_tokens": None,
        "repeated_fraction": None,
        "passage_max_occurrences": None,
        "exposures": 1.0,
        "exposures_low": 1.0,
        "exposures_high": 1.0,
        "exposures_by_representative": False,
        "risk_tier": "baseline",
        "keep": True,
    }


def clusters(found: Compared) -> list[dict[str, Any]]:
    """The clusters table, in order of cluster_id."""
    members = defaultdict(list)
    for row in documents(found):
        if row["cluster_id"] is not None:
            members[row["cluster_id"]].append(row)
    rows = []
    for cluster_id, held in sorted(members.items()):
        first = held[0]["representative"]
        similar = {row["text_id"]: row["jaccard_to_representative"] for row in held}
        firsts = {row["text_id"]: row["doc_id"] for row in reversed(held)}
        least = min(((similar[text], n) for text, n in firsts.items() if n != first), default=(1.0, None))
        rows.append({
            "cluster_id": cluster_id,
            "documents": len(held),
            "distinct_texts": len(similar),
            "sources": len({row["source"] for row in held}),
            "tokens": sum(row["n_tokens"] for row in held),
            "min_jaccard": min(similar.values()),
            "mean_jaccard": sum(similar.values()) / len(similar),
            "chained": len({row["text_id"] for row in held if row["chained"]}),
            "representative": first,
            "least_similar": least[1],
            "sample": (found.placed.filtered.corpus.texts[first] or "")[:200],
        })  # fmt: skip
    return rows


def check_pair(corpus: Corpus, row: dict[str, Any]) -> None:
    """Every number of a row of `COMPARED`, from the texts; files are named a to d and are the sources."""
    one, two = corpus.texts[row["doc_a"]] or "", corpus.texts[row["doc_b"]] or ""
    assert row["doc_a"] < row["doc_b"]
    assert row["jaccard"] == pytest.approx(oracles.jaccard(one, two), abs=1e-12)
    assert row["containment_a"] == pytest.approx(oracles.containment(one, two), abs=1e-12)
    assert row["containment_b"] == pytest.approx(oracles.containment(two, one), abs=1e-12)
    assert row["shared_shingles"] == len(shingles(one) & shingles(two))
    names = "abcd"
    assert (row["source_a"], row["source_b"]) == (names[row["doc_a"] >> 32], names[row["doc_b"] >> 32])
