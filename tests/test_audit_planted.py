"""Tests of whole audits on planted corpora: what was planted is what is reported."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.normalise import normalised
from pipeline.stages import scan, sets
from tests import corpus, oracles
from tests.audits import Audited, Row, audit, audit_texts, without_dask

STEP, SHINGLES = 15, 100


def by_text(audited: Audited, count: int) -> list[Row]:
    """The documents of a run, checked to be as many as there were texts."""
    assert len(audited.documents) == count
    return audited.documents


def groups(audited: Audited) -> list[list[int]]:
    """The places of the documents of each cluster, in the order of the documents."""
    found: dict[int, list[int]] = {}
    for place, row in enumerate(audited.documents):
        if row["cluster_id"] is not None:
            found.setdefault(row["cluster_id"], []).append(place)
    return sorted(found.values())


def test_planted_copies_are_counted_exactly(tmp_path: Path) -> None:
    texts, planted = corpus.copies(random.Random(1), [1, 1, 2, 2, 10, 1_000], shingles=20)
    audited = audit_texts(texts, tmp_path)
    for row, count in zip(by_text(audited, len(texts)), planted, strict=True):
        assert row["raw_copies"] == row["copies"] == row["near_copies"] == count
        assert (row["cluster_id"] is None) == (count == 1)
    assert sorted(row["documents"] for row in audited.clusters) == [2, 2, 10, 1_000]
    assert {row["distinct_texts"] for row in audited.clusters} == {1}
    assert sum(row["keep"] for row in audited.documents) == 6


def test_a_text_planted_a_hundred_thousand_times_is_counted_exactly(tmp_path: Path) -> None:
    texts, planted = corpus.copies(random.Random(2), [1, 2, 10, 1_000, 100_000], shingles=2)
    audited = audit_texts(texts, tmp_path)
    found = audited.table("documents").select(["raw_copies", "copies", "near_copies"]).to_pydict()
    assert found["raw_copies"] == found["copies"] == found["near_copies"] == planted
    assert [row["documents"] for row in sorted(audited.clusters, key=lambda row: row["documents"])] == [
        2,
        10,
        1_000,
        100_000,
    ]
    metrics = audited.metrics
    assert metrics["exact_largest_group"] == metrics["near_largest_group"] == 100_000
    assert metrics["exact_surplus_documents"] == metrics["raw_surplus_documents"] == 1 + 9 + 999 + 99_999
    assert metrics["exact_grouped_documents"] == 2 + 10 + 1_000 + 100_000
    over_1000 = {row["grain"]: row for row in audited.rows("summary/histogram") if row["bin"] == ">1000"}
    assert over_1000.pop("passage")["documents"] == 0, "six words are no passage"
    assert {grain: row["documents"] for grain, row in over_1000.items()} == dict.fromkeys(over_1000, 100_000)
    assert {row["groups"] for row in over_1000.values()} == {1}


def test_copies_that_differ_in_case_and_punctuation_are_counted_apart(tmp_path: Path) -> None:
    rng = random.Random(3)
    words = corpus.fresh(rng, 30)
    plain, disguises = corpus.joined(words), [corpus.disguised(rng, words) for _ in range(7)]
    assert len({plain, *disguises}) == 8
    texts = [plain] * 3 + disguises + [disguises[0]] * 4 + [corpus.text(rng, 30)]
    audited = audit_texts(texts, tmp_path)
    rows = by_text(audited, len(texts))
    assert [row["raw_copies"] for row in rows] == [3] * 3 + [5] + [1] * 6 + [5] * 4 + [1]
    assert [row["copies"] for row in rows] == [14] * 14 + [1]
    assert len({row["text_id"] for row in rows}) == 2
    [cluster] = audited.clusters
    assert (cluster["documents"], cluster["distinct_texts"], cluster["chained"]) == (14, 1, 0)
    assert (cluster["min_jaccard"], cluster["mean_jaccard"]) == (1.0, 1.0)
    metrics = audited.metrics
    assert (metrics["raw_distinct"], metrics["raw_groups"], metrics["raw_surplus_documents"]) == (9, 2, 6)
    assert (metrics["exact_distinct"], metrics["exact_groups"], metrics["exact_surplus_documents"]) == (
        2,
        1,
        13,
    )


@pytest.mark.parametrize("distance", [1, 5, 10, 15, 17, 18, 20, 25, 33, 34, 50, 80])
def test_near_variants_are_judged_by_their_exact_similarity(tmp_path: Path, distance: int) -> None:
    words = corpus.fresh(random.Random(distance), 300)
    texts = [corpus.window(words, 0, SHINGLES), corpus.window(words, distance, SHINGLES)]
    jaccard = corpus.window_jaccard(distance, SHINGLES)
    with without_dask(page=False):
        audited = audit_texts(texts, tmp_path, near={"bands": 128, "rows": 1})
    assert len(audited.pairs) == (jaccard >= 0.5)
    for pair in audited.pairs:
        assert pair["jaccard"] == pytest.approx(jaccard, abs=1e-12)
        assert pair["shared_shingles"] == SHINGLES - distance
        assert pair["containment_a"] == pair["containment_b"] == (SHINGLES - distance) / SHINGLES
    assert len(audited.clusters) == (jaccard >= 0.7)
    for row in audited.documents:
        assert row["near_copies"] == (2 if jaccard >= 0.7 else 1)


def test_a_pair_exactly_at_the_threshold_is_near_and_one_exactly_at_the_floor_is_kept(tmp_path: Path) -> None:
    rng = random.Random(4)
    at_threshold, at_floor = corpus.fresh(rng, 300), corpus.fresh(rng, 300)
    texts = [
        corpus.window(at_threshold, 0, 170),
        corpus.window(at_threshold, 30, 170),
        corpus.window(at_floor, 0, 90),
        corpus.window(at_floor, 30, 90),
    ]
    audited = audit_texts(texts, tmp_path, near={"bands": 128, "rows": 1})
    assert [pair["jaccard"] for pair in audited.pairs] == [0.7, 0.5]
    assert groups(audited) == [[0, 1]]


def test_a_chain_is_one_cluster_and_its_far_members_are_flagged(tmp_path: Path) -> None:
    words = corpus.fresh(random.Random(5), 300)
    texts = [corpus.window(words, i * STEP, SHINGLES) for i in range(5)]
    jaccard = [corpus.window_jaccard(i * STEP, SHINGLES) for i in range(5)]
    assert jaccard[1] >= 0.7 > jaccard[2]
    audited = audit_texts(texts, tmp_path)
    rows = by_text(audited, 5)
    assert groups(audited) == [[0, 1, 2, 3, 4]]
    assert [row["jaccard_to_representative"] for row in rows] == pytest.approx(jaccard, abs=1e-12)
    assert [row["chained"] for row in rows] == [False, False, True, True, True]
    assert [row["keep"] for row in rows] == [True, False, False, False, False]
    [cluster] = audited.clusters
    assert cluster["chained"] == 3
    assert cluster["min_jaccard"] == pytest.approx(min(jaccard), abs=1e-12)
    assert cluster["mean_jaccard"] == pytest.approx(sum(jaccard) / 5, abs=1e-12)
    assert audited.metrics["chained_clusters"] == 1


def test_pairs_whose_middle_link_failed_stay_two_clusters(tmp_path: Path) -> None:
    """Verified pairs must not be put together again by the candidates' component."""
    words = corpus.fresh(random.Random(6), 300)
    starts = [0, 10, 30, 40]
    audited = audit_texts([corpus.window(words, start, SHINGLES) for start in starts], tmp_path)
    compared = {(pair["doc_a"], pair["doc_b"]): pair["jaccard"] for pair in audited.pairs}
    assert 0.5 <= compared[1, 2] < 0.7, "the middle link was compared, and failed"
    assert groups(audited) == [[0, 1], [2, 3]]


@pytest.mark.parametrize(("changes", "seed"), [(1, 7), (3, 8)])
def test_a_popular_group_is_found_whole(tmp_path: Path, changes: int, seed: int) -> None:
    rng = random.Random(seed)
    words = corpus.fresh(rng, 104)
    texts = [corpus.joined(words), *(corpus.edited(rng, words, changes) for _ in range(2_000))]
    others = [corpus.text(rng, 100) for _ in range(50)]
    audited = audit_texts([*others, *texts], tmp_path)
    assert groups(audited) == [list(range(50, 2_051))]
    [cluster] = audited.clusters
    assert (cluster["documents"], cluster["distinct_texts"]) == (2_001, 2_001)
    assert {row["near_copies"] for row in audited.documents} == {1, 2_001}


def test_copies_are_counted_back_into_near_clusters(tmp_path: Path) -> None:
    rng = random.Random(9)
    words = corpus.fresh(rng, 300)
    a, b = corpus.window(words, 0, SHINGLES), corpus.window(words, 5, SHINGLES)
    texts = [b, a, a, corpus.text(rng, 9), b, a]
    audited = audit_texts(texts, tmp_path)
    rows = by_text(audited, 6)
    assert [row["copies"] for row in rows] == [2, 3, 3, 1, 2, 3]
    assert [row["near_copies"] for row in rows] == [5, 5, 5, 1, 5, 5]
    assert [row["keep"] for row in rows] == [True, False, False, True, False, False]
    [pair], [cluster] = audited.pairs, audited.clusters
    assert (pair["doc_a"], pair["doc_b"]) == (0, 1)
    assert (cluster["documents"], cluster["distinct_texts"], cluster["tokens"]) == (5, 2, 5 * 104)
    assert cluster["mean_jaccard"] == pytest.approx((1 + corpus.window_jaccard(5, SHINGLES)) / 2)


def test_texts_of_one_to_four_tokens_match_only_their_equals(tmp_path: Path) -> None:
    texts = [
        "a",
        "a b",
        "a b c",
        "a b c d",
        "a b c d e",
        "b",
        "a c",
        "b a",
        "A, B!",
        "a b c d",
        "a.b.c.d",
        "a",
    ]
    audited = audit_texts(texts, tmp_path, near={"threshold": 0.01, "floor": 0.01, "bands": 128, "rows": 1})
    assert groups(audited) == [[0, 11], [1, 8], [3, 9, 10]]
    assert audited.pairs == []
    assert [row["status"] for row in audited.documents] == ["short"] * 4 + ["ok"] + ["short"] * 7
    assert {row["distinct_texts"] for row in audited.clusters} == {1}


def test_texts_without_a_token_match_nothing_and_are_counted(tmp_path: Path) -> None:
    texts = ["", "", " ", "\n\t ", "...", "...", "!?", "\u200b", "🙂", "word"]
    audited = audit_texts(texts, tmp_path)
    rows = by_text(audited, len(texts))
    assert [row["status"] for row in rows] == ["empty"] * 9 + ["short"]
    for row in rows:
        assert row["raw_copies"] == row["copies"] == row["near_copies"] == 1
        assert (row["cluster_id"], row["jaccard_to_representative"]) == (None, None)
        assert row["representative"] == row["doc_id"]
        assert row["keep"]
    assert (audited.clusters, audited.pairs) == ([], [])
    assert audited.metrics["empty_documents"] == 9


def test_texts_that_differ_in_a_number_are_not_equal(tmp_path: Path) -> None:
    texts = ["invoice 100", "invoice 200", "invoice 100", "Invoice: 100!", "invoice １００", "invoice 1 00"]
    audited = audit_texts(texts, tmp_path)
    assert [row["copies"] for row in audited.documents] == [4, 1, 4, 4, 4, 1]
    assert [row["raw_copies"] for row in audited.documents] == [2, 1, 2, 1, 1, 1]


def test_doubling_a_corpus_doubles_its_counts(tmp_path: Path) -> None:
    rng = random.Random(10)
    words = corpus.fresh(rng, 400)
    texts = [corpus.window(words, start, 60) for start in (0, 5, 5, 20, 100, 104)] + ["", "a b", "A b", "c"]
    once = audit_texts(texts, tmp_path / "once")
    twice = audit_texts(texts * 2, tmp_path / "twice")
    for row, first, second in zip(
        once.documents, twice.documents[: len(texts)], twice.documents[len(texts) :], strict=True
    ):
        assert first["text_id"] == second["text_id"] == row["text_id"]
        times = 1 if row["status"] == "empty" else 2
        for name in ("raw_copies", "copies", "near_copies"):
            assert first[name] == second[name] == times * row[name]
    assert [row["distinct_texts"] for row in twice.clusters if row["distinct_texts"] > 1] == [
        row["distinct_texts"] for row in once.clusters if row["distinct_texts"] > 1
    ]
    assert Counter(pair["jaccard"] for pair in twice.pairs) == Counter(pair["jaccard"] for pair in once.pairs)


def test_twins_in_a_family_of_templates_are_found(tmp_path: Path) -> None:
    """Two texts near to each other among many that are nearly so: no hub of a group leads to them."""
    texts, twins = corpus.twins_in_a_family(random.Random(11), pairs=100, family=56, shared=3, own=11)
    twin, other = 59 / (59 + 2 * 11), 56 / (56 + 2 * 14)
    assert twin >= 0.7 > other
    audited = audit_texts(texts, tmp_path)
    clusters = [row["cluster_id"] for row in audited.documents]
    found = sum(clusters[a] is not None and clusters[a] == clusters[b] for a, b in twins)
    assert found >= 0.99 * len(twins)
    assert audited.metrics["recall_low"] <= found / len(twins)
    assert all(row["documents"] == 2 for row in audited.clusters)


def test_recall_is_not_overstated_where_the_second_look_is_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A family so close that each text resembles hundreds: with few tries most twins are missed.
    texts, twins = corpus.twins_in_a_family(random.Random(11), pairs=100, family=56, shared=1, own=12)
    monkeypatch.setattr("pipeline.stages.second_look.MOST_TRIES", 4)
    audited = audit_texts(texts, tmp_path)
    clusters = [row["cluster_id"] for row in audited.documents]
    found = sum(clusters[a] is not None and clusters[a] == clusters[b] for a, b in twins)
    assert found < 0.9 * len(twins), "the case is to be one in which twins are missed"
    assert audited.metrics["unsettled_texts"] >= 2 * (len(twins) - found)
    assert audited.metrics["recall_low"] <= found / len(twins)


def test_runs_inside_the_audited_folder_are_not_its_data(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "one two three"}\n')
    for night in ("monday", "tuesday"):
        audited = audit(tmp_path, tmp_path / "audits", night)
        assert len(audited.documents) == 1
    manifest = json.loads((audited.folder / "run.json").read_text())
    assert manifest["passed_over"]["written by an audit"] >= 9


def test_sources_come_from_the_path_and_are_counted_across_files(tmp_path: Path) -> None:
    rng = random.Random(12)
    words = corpus.fresh(rng, 100)
    near, other = corpus.window(words, 0, 60), corpus.window(words, 3, 60)
    for name, content in {"x/1.py": near, "x/2.py": near, "y/1.py": other, "3.py": near}.items():
        (tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / name).write_text(content, encoding="utf-8")
    audited = audit(tmp_path / "data", tmp_path / "out", source={"path": "data/([^/]+)/"})
    assert [(row["source"], row["copies"]) for row in audited.documents] == [
        (None, 3),
        ("x", 3),
        ("x", 3),
        ("y", 1),
    ]
    [pair], [cluster] = audited.pairs, audited.clusters
    assert (pair["source_a"], pair["source_b"]) == (None, "y")
    assert (cluster["documents"], cluster["sources"]) == (4, 2)
    kept = [
        (row["source"], row["documents"], row["kept_documents"]) for row in audited.rows("summary/sources")
    ]
    assert kept == [(None, 1, 1), ("x", 2, 0), ("y", 1, 0)]


def test_texts_that_share_a_text_id_are_counted_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text ids of four bits: what two distinct texts in six billion come to."""
    rng = random.Random(13)
    words = corpus.fresh(rng, 200)
    texts = [corpus.window(words, 3 * i, 30) for i in range(30)] + [corpus.text(rng, 5) for _ in range(20)]
    texts += texts[::3] + [text.upper() for text in texts[::4]] + ["", "a", "a b"]

    whole_scan, whole_sets = scan.scan_texts, sets.composed_sets

    def scan_texts(*args: Any) -> Any:
        found, anchors = whole_scan(*args)
        found.normalised[:, 0] &= np.uint64(15)
        return found, anchors

    def composed_sets(*args: Any) -> Any:
        parts, text_ids = whole_sets(*args)
        return parts, text_ids & np.uint64(15)

    with without_dask(), monkeypatch.context() as patches:
        patches.setattr("pipeline.stages.scan.scan_texts", scan_texts)
        patches.setattr("pipeline.stages.sets.composed_sets", composed_sets)
        # The second read of passages would find the whole text_ids, and so other texts.
        audited = audit_texts(texts, tmp_path, passages={"enabled": False})
    rows = by_text(audited, len(texts))
    raw, exact = Counter(texts), Counter(map(normalised, texts))
    assert [row["raw_copies"] for row in rows] == [raw[text] for text in texts]
    assert [row["copies"] for row in rows] == [exact[normalised(text)] for text in texts]
    assert all(row["near_copies"] >= row["copies"] for row in rows)
    distinct = [text for text in exact if text]
    assert audited.metrics["text_id_collisions"] == len(distinct) - len(
        {oracles.text_id(t) & 15 for t in distinct}
    )
    assert audited.pairs
    for pair in audited.pairs:
        true = oracles.jaccard(texts[pair["doc_a"]], texts[pair["doc_b"]])
        assert pair["jaccard"] == pytest.approx(true, abs=1e-9)
