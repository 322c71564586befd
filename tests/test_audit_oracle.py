"""Tests of whole audits against plain Python: every number of every table, on random small corpora."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.normalise import normalised, shingles, tokens
from tests import oracles
from tests.audits import Audited, Row, audit, without_dask, write_rows
from tests.searching import few

BINS = ((1, 1, "1"), (2, 5, "2-5"), (6, 20, "6-20"), (21, 100, "21-100"), (101, 1000, "101-1000"))
TABLES = (
    "documents",
    "pairs",
    "clusters",
    "rejects",
    "summary/histogram",
    "summary/sources",
    "summary/metrics",
)
GRAINS = {"raw": "raw_copies", "exact": "copies", "near": "near_copies"}

# Every bound on what a task holds or a file has, brought down to a handful, so that a small corpus
# passes it. Results must not depend on them, but for the size of a block: which pairs of a large
# component are looked at again depends on it.
SMALL_LIMITS = {
    "pipeline.scanning.FILES_A_TASK": 1,
    "pipeline.run.TEXTS_A_RANGE": 2,
    "pipeline.run.MOST_TEXTS_A_RANGE": 2,
    "pipeline.near.KEYS_A_RANGE": 20,
    "pipeline.near.MOST_KEYS_A_RANGE": 40,
    "pipeline.near.FORESTS_A_MERGE": 2,
    "pipeline.near.TEXTS_A_RANGE": 2,
    "pipeline.near.MOST_TEXTS_A_RANGE": 2,
    "pipeline.stages.scan.SEGMENT_ROWS": 2,
    "pipeline.stages.scan.BATCH_BYTES": 1,
    "pipeline.stages.sets.FLUSH_BYTES": 64,
    "pipeline.stages.sketches._COMPARED_AT_ONCE": 3,
}
SMALL_BLOCKS = {"pipeline.stages.components.BLOCK_TOKENS": 24}
COLUMNS: dict[str, Any] = {"id_column": "id", "source": {"column": "from"}, "licence_column": "terms"}
File = list[tuple[str, str | None, str | None]]


@dataclass(frozen=True)
class Document:
    """An input row, as it was written."""

    doc_id: int
    text: str
    id: str | None
    source: str | None
    licence: str | None


@dataclass(frozen=True)
class Expected:
    """What plain Python says of a corpus."""

    documents: Sequence[Document]
    width: int

    @cached_property
    def norm(self) -> dict[int, str]:
        """The normalised text of each document."""
        return {document.doc_id: normalised(document.text) for document in self.documents}

    @cached_property
    def sets(self) -> dict[str, set[str]]:
        """The shingles of each distinct normalised text."""
        return {text: shingles(text, self.width) for text in self.norm.values()}

    def jaccard(self, a: int, b: int) -> float:
        """The similarity of two documents."""
        one, two = self.sets[self.norm[a]], self.sets[self.norm[b]]
        return len(one & two) / len(one | two)


words = st.sampled_from(["a", "b", "c"])
phrases = st.lists(words, max_size=14).map(" ".join)
periodic = st.builds(
    lambda p, n: " ".join((p * n)[:n]), st.lists(words, min_size=1, max_size=6), st.integers(1, 30)
)
odd = st.sampled_from(
    ["", " ", "...", "A, b!", "a  b", "a b c d", "ａ b", "e\u0301 é", "東京 a", "100", "200", "a 1", "\x00"]
)
texts = st.one_of(
    phrases, phrases, periodic, phrases.map(str.upper), phrases.map(lambda text: f"{text}!"), odd
)
labels = st.sampled_from([None, "", "x", "y"])
rows = st.tuples(texts, labels, labels)
corpora = st.lists(st.lists(rows, max_size=10), min_size=1, max_size=3)
similarities = st.sampled_from([0.05, 0.2, 1 / 3, 0.5, 0.6, 0.7, 0.75, 0.9, 1.0])
nears = st.fixed_dictionaries(
    {
        "threshold": similarities,
        "floor": similarities,
        "shingle_tokens": st.sampled_from([1, 2, 3, 5]),
        "banding": st.sampled_from([(32, 4), (64, 1), (16, 8), (4, 2)]),
        "seed": st.sampled_from([1, 7]),
    }
)


def near_config(drawn: dict[str, Any]) -> dict[str, Any]:
    """A valid near section out of drawn values."""
    floor, threshold = sorted((drawn["floor"], drawn["threshold"]))
    bands, rows_a_band = drawn["banding"]
    rest = {"shingle_tokens": drawn["shingle_tokens"], "seed": drawn["seed"]}
    return {"floor": floor, "threshold": threshold, "bands": bands, "rows": rows_a_band, **rest}


def run(
    files: Sequence[File],
    near: dict[str, Any],
    folder: Path,
    **config: Any,
) -> tuple[Audited, list[Document]]:
    """Write a corpus as one JSON Lines file each and audit it."""
    documents = []
    for i, file in enumerate(files):
        written = [
            {"text": text, "id": f"{i}-{row}", "from": source, "terms": licence}
            for row, (text, source, licence) in enumerate(file)
        ]
        write_rows(folder / f"{i}.jsonl", written)
        documents += [
            Document(i << 32 | row, text, f"{i}-{row}", source, licence)
            for row, (text, source, licence) in enumerate(file)
        ]
    return audit(f"{folder}/*.jsonl", folder / "audits", near=near, **COLUMNS, **config), documents


def check_documents(audited: Audited, expected: Expected) -> None:
    """Whatever needs no cluster, of every document."""
    raw = Counter(document.text for document in expected.documents)
    exact = Counter(expected.norm.values())
    assert [row["doc_id"] for row in audited.documents] == [
        document.doc_id for document in expected.documents
    ]
    for row, document in zip(audited.documents, expected.documents, strict=True):
        n_tokens = len(tokens(document.text))
        assert (row["uri"].endswith(f"/{row['doc_id'] >> 32}.jsonl"), row["row"]) == (
            True,
            row["doc_id"] & 0xFFFFFFFF,
        )
        assert (row["id"], row["source"], row["licence"]) == (document.id, document.source, document.licence)
        assert (row["n_tokens"], row["n_bytes"]) == (n_tokens, len(document.text.encode()))
        assert row["status"] == ("empty" if n_tokens == 0 else "short" if n_tokens < expected.width else "ok")
        assert row["text_id"] == oracles.text_id(document.text)
        assert row["raw_copies"] == (raw[document.text] if n_tokens else 1)
        assert row["copies"] == (exact[expected.norm[row["doc_id"]]] if n_tokens else 1)


def check_pairs(audited: Audited, expected: Expected, floor: float) -> None:
    """Every pair is true, stands once, and between the first documents of two distinct texts."""
    first: dict[str, int] = {}
    source = {document.doc_id: document.source for document in expected.documents}
    for doc_id, text in expected.norm.items():
        first.setdefault(text, doc_id)
    keys = [(pair["doc_a"], pair["doc_b"]) for pair in audited.pairs]
    assert all(one < two for one, two in pairwise(keys)), "in order, each once"
    for pair in audited.pairs:
        a, b = pair["doc_a"], pair["doc_b"]
        one, two = expected.sets[expected.norm[a]], expected.sets[expected.norm[b]]
        assert a < b
        assert (first[expected.norm[a]], first[expected.norm[b]]) == (a, b)
        assert one
        assert two
        assert pair["shared_shingles"] == len(one & two)
        assert pair["jaccard"] == pytest.approx(len(one & two) / len(one | two), abs=1e-9)
        assert pair["jaccard"] >= floor
        assert pair["containment_a"] == pytest.approx(len(one & two) / len(one), abs=1e-9)
        assert pair["containment_b"] == pytest.approx(len(one & two) / len(two), abs=1e-9)
        assert (pair["source_a"], pair["source_b"]) == (source[a], source[b])


def check_clusters(audited: Audited, expected: Expected, threshold: float) -> None:
    """Clusters are the components of the pairs at the threshold, and groups of exact copies."""
    norm = expected.norm
    edges = [(norm[p["doc_a"]], norm[p["doc_b"]]) for p in audited.pairs if p["jaccard"] >= threshold]
    exact = Counter(norm.values())
    nodes = [text for text in exact if text]
    members: dict[str, list[int]] = defaultdict(list)
    for doc_id, text in norm.items():
        members[text].append(doc_id)
    by_id = {row["doc_id"]: row for row in audited.documents}
    wanted = []
    for component in oracles.components(edges, nodes):
        inside = sorted(doc_id for text in component for doc_id in members[text])
        first = inside[0]
        similarity = {text: expected.jaccard(first, members[text][0]) for text in component}
        alone = len(inside) == 1
        cluster_id = None if alone else min(oracles.text_id(text) for text in component)
        for doc_id in inside:
            row = by_id[doc_id]
            jaccard = similarity[norm[doc_id]]
            assert row["near_copies"] == len(inside)
            assert row["cluster_id"] == cluster_id
            assert row["representative"] == first
            assert row["keep"] == (doc_id == first)
            assert row["jaccard_to_representative"] == (None if alone else pytest.approx(jaccard, abs=1e-9))
            assert row["chained"] == (jaccard < threshold)
        if not alone:
            wanted.append((cluster_id, inside, component, similarity))
    wanted.sort(key=lambda cluster: cluster[0] or 0)
    assert [row["cluster_id"] for row in audited.clusters] == [cluster_id for cluster_id, *_ in wanted]
    text_of = {document.doc_id: document.text for document in expected.documents}
    for row, (_, inside, component, similarity) in zip(audited.clusters, wanted, strict=True):
        sources = {by_id[doc_id]["source"] for doc_id in inside} - {None}
        assert (row["documents"], row["distinct_texts"], row["sources"]) == (
            len(inside),
            len(component),
            len(sources),
        )
        assert row["tokens"] == sum(by_id[doc_id]["n_tokens"] for doc_id in inside)
        assert row["min_jaccard"] == pytest.approx(min(similarity.values()), abs=1e-9)
        assert row["mean_jaccard"] == pytest.approx(sum(similarity.values()) / len(similarity), abs=1e-9)
        assert row["chained"] == sum(value < threshold for value in similarity.values())
        assert (row["representative"], row["sample"]) == (inside[0], text_of[inside[0]][:200])


def check_summaries(audited: Audited, threshold: float) -> None:
    """Histogram, sources and metrics are sums over the documents."""
    documents, metrics = audited.documents, audited.metrics
    check_histogram(audited)
    check_sources(audited)
    for name, of in (("tokens", "n_tokens"), ("bytes", "n_bytes")):
        assert metrics[name] == sum(row[of] for row in documents)
    for status in ("ok", "short", "empty"):
        assert metrics[f"{status}_documents"] == sum(row["status"] == status for row in documents)
    assert metrics["documents"] == len(documents)
    assert metrics["input_rows"] == len(documents) + len(audited.rejects)
    assert metrics["rejected_rows"] == len(audited.rejects)
    assert metrics["verified_pairs"] == len(audited.pairs)
    assert metrics["pairs_at_threshold"] == sum(pair["jaccard"] >= threshold for pair in audited.pairs)
    assert metrics["clusters"] == len(audited.clusters)
    assert metrics["chained_clusters"] == sum(row["chained"] > 0 for row in audited.clusters)
    near_texts = sum(row["distinct_texts"] for row in audited.clusters if row["distinct_texts"] > 1)
    assert metrics["near_findable_texts"] == near_texts
    if near_texts:
        assert 0 < metrics["recall_low"] <= metrics["recall"] <= metrics["recall_high"] <= 1
    else:
        assert math.isnan(metrics["recall"])


def check_histogram(audited: Audited) -> None:
    """Every bin of every document grain, and the figures that sum them."""
    documents, metrics = audited.documents, audited.metrics
    rows = [row for row in audited.rows("summary/histogram") if row["grain"] != "passage"]
    for row in rows:
        column = GRAINS[row["grain"]]
        low, high = next(((a, b) for a, b, name in BINS if name == row["bin"]), (1001, 10**9))
        inside = [document for document in documents if low <= document[column] <= high]
        groups = sum(1 / document[column] for document in inside)
        assert row["copies_min"] == low
        assert row["documents"] == len(inside)
        assert row["groups"] == pytest.approx(groups, abs=1e-6)
        assert row["surplus_documents"] == row["documents"] - row["groups"]
        assert row["tokens"] == sum(document["n_tokens"] for document in inside)
        assert row["bytes"] == sum(document["n_bytes"] for document in inside)
    assert len(rows) == 6 * len(GRAINS)
    for grain, column in GRAINS.items():
        again = [document for document in documents if document[column] > 1]
        distinct = round(sum(1 / document[column] for document in documents))
        total = sum(document["n_tokens"] for document in documents)
        assert metrics[f"{grain}_distinct"] == distinct
        assert metrics[f"{grain}_grouped_documents"] == len(again)
        assert metrics[f"{grain}_groups"] == round(sum(1 / document[column] for document in again))
        assert metrics[f"{grain}_surplus_documents"] == len(documents) - distinct
        if documents:
            assert metrics[f"{grain}_largest_group"] == max(document[column] for document in documents)
            assert metrics[f"{grain}_surplus_fraction"] == pytest.approx(1 - distinct / len(documents))
        if total:
            fraction = sum(document["n_tokens"] for document in again) / total
            assert metrics[f"{grain}_repeated_tokens_fraction"] == pytest.approx(fraction)


def check_sources(audited: Audited) -> None:
    """One row a source and licence."""
    inside: dict[tuple[str | None, str | None], list[Row]] = defaultdict(list)
    for row in audited.documents:
        inside[row["source"], row["licence"]].append(row)
    found = audited.rows("summary/sources")
    keys = [(row["source"], row["licence"]) for row in found]
    assert keys == sorted(inside, key=lambda key: [(value is not None, value or "") for value in key])
    for row in found:
        mine = inside[row["source"], row["licence"]]
        total = sum(document["n_tokens"] for document in mine)
        assert (row["documents"], row["tokens"]) == (len(mine), total)
        assert row["bytes"] == sum(document["n_bytes"] for document in mine)
        assert row["kept_documents"] == sum(document["keep"] for document in mine)
        for grain, column in GRAINS.items():
            again = [document for document in mine if document[column] > 1]
            share = sum(document["n_tokens"] for document in again) / total if total else 0.0
            assert row[f"{grain}_repeated_documents"] == len(again)
            assert row[f"{grain}_repeated_tokens_fraction"] == pytest.approx(share)


def check(audited: Audited, documents: Sequence[Document], near: dict[str, Any]) -> None:
    """Everything."""
    expected = Expected(documents, near["shingle_tokens"])
    check_documents(audited, expected)
    check_pairs(audited, expected, near["floor"])
    check_clusters(audited, expected, near["threshold"])
    check_summaries(audited, near["threshold"])


@contextmanager
def patched(values: dict[str, int]) -> Iterator[None]:
    """Other values for some constants."""
    with ExitStack() as patches:
        for name, value in values.items():
            patches.enter_context(patch(name, value))
        yield


@given(corpora, nears)
@few(25)
def test_every_table_equals_plain_python(files: list[File], drawn: dict[str, Any]) -> None:
    near = near_config(drawn)
    with TemporaryDirectory() as folder, without_dask(page=False):
        check(*run(files, near, Path(folder)), near)


@given(corpora, nears, st.sampled_from([40, 200, 100_000]))
@few(6)
def test_no_byte_depends_on_how_much_a_task_holds(
    files: list[File], drawn: dict[str, Any], shard_bytes: int
) -> None:
    near = near_config(drawn)
    with TemporaryDirectory() as folder, without_dask(page=False):
        whole, documents = run(files, near, Path(folder))
        check(whole, documents, near)
        with patched(SMALL_LIMITS):
            inputs = f"{folder}/*.jsonl"
            cut = audit(inputs, Path(folder, "cut"), near=near, shard_bytes=shard_bytes, **COLUMNS)
        assert cut.bytes_of_files() == whole.bytes_of_files()


@given(corpora, nears)
@few(6)
def test_components_larger_than_a_block_are_compared_exactly_too(
    files: list[File], drawn: dict[str, Any]
) -> None:
    near = near_config(drawn)
    with TemporaryDirectory() as folder, without_dask(page=False), patched(SMALL_LIMITS | SMALL_BLOCKS):
        check(*run(files, near, Path(folder)), near)


@given(corpora, nears, st.integers(1, 4))
@few(6)
def test_tables_in_many_parts_hold_what_they_hold_in_one(
    files: list[File], drawn: dict[str, Any], part_rows: int
) -> None:
    near = near_config(drawn)
    modules = ("artifacts", "tables", "stages.rejects")
    with TemporaryDirectory() as folder, without_dask(page=False):
        whole, _ = run(files, near, Path(folder))
        with patched({f"pipeline.{module}.PART_ROWS": part_rows for module in modules}):
            cut = audit(f"{folder}/*.jsonl", Path(folder, "cut"), near=near, **COLUMNS)
        assert len(list((cut.folder / "documents").iterdir())) == max(
            1, math.ceil(len(whole.documents) / part_rows)
        )
        for name in TABLES:
            assert cut.rows(name) == whole.rows(name)
