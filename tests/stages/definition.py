"""The documents and clusters tables in plain Python, from the texts and the verified pairs."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from pipeline.normalise import normalised, tokens
from tests import oracles
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


def documents(found: Compared) -> list[dict[str, Any]]:
    """The documents table, in order of doc_id."""
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
            "sample": (found.placed.filtered.corpus.texts[first] or "")[:200],
        })  # fmt: skip
    return rows
