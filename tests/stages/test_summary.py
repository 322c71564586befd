"""The summaries: sums over parts that are those over documents."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.artifacts import END_OF_KEYS
from pipeline.config import NearConfig
from pipeline.risk import evidence
from pipeline.schemas import BINS, HISTOGRAM, METRICS, RISK, SIMILARITY
from pipeline.stages.documents import GRAINS
from pipeline.stages.overlap import Overlapped
from pipeline.stages.pairs import PairsResult, write_pairs
from pipeline.stages.sources import sums_of_sources
from pipeline.stages.summary import (
    Found,
    PassageTotals,
    corpus_figures,
    crossing_figures,
    distinct_figures,
    grain_figures,
    passage_figures,
    write_histogram,
    write_metrics,
    write_risk,
    write_similarity,
    write_summary,
)
from tests import oracles
from tests.stages.steps import NEAR, ONCE, Written, all_rows, rows_of
from tests.stages.sums import part


def _bin(copies: int) -> int:
    """The lower end of the bin: 1, 2-5, 6-20, 21-100, 101-1000, over 1000."""
    return next(low for low in (1001, 101, 21, 6, 2, 1) if copies >= low)


# --- histogram ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("copies", "name"),
    [
        (1, "1"),
        (2, "2-5"),
        (5, "2-5"),
        (6, "6-20"),
        (20, "6-20"),
        (21, "21-100"),
        (100, "21-100"),
        (101, "101-1000"),
        (1000, "101-1000"),
        (1001, ">1000"),
        (10**9, ">1000"),
    ],
)
def test_edge_of_a_bin_is_in_its_bin(tmp_path: Path, copies: int, name: str) -> None:
    write_histogram([part(tmp_path, 0, [("exact", copies, 7 * copies)])], None, str(tmp_path / "out"))
    (row,) = (row for row in rows_of(tmp_path / "out") if row["documents"])
    assert (row["grain"], row["bin"], row["copies_min"]) == ("exact", name, _bin(copies))
    assert (row["documents"], row["groups"]) == (7 * copies, 7)
    assert (row["surplus_documents"], row["tokens"]) == (7 * (copies - 1), 21 * copies)
    assert row["bytes"] == 35 * copies


def test_every_bin_of_every_grain_has_a_row(tmp_path: Path) -> None:
    write_histogram([], None, str(tmp_path / "out"))
    rows = rows_of(tmp_path / "out")
    expected = [(grain, low, name) for grain in ("exact", "near", "raw") for low, name in BINS]
    assert [(row["grain"], row["copies_min"], row["bin"]) for row in rows] == expected
    names = ("documents", "groups", "surplus_documents", "tokens", "bytes")
    assert all(row[name] == 0 for row in rows for name in names)
    assert pq.read_schema(tmp_path / "out").equals(HISTOGRAM.arrow_schema(), check_metadata=True)


def test_parts_of_a_group_are_put_together(tmp_path: Path) -> None:
    # A group of 6 lies in three parts: two, three and one of its documents.
    parts = [part(tmp_path, i, [("near", 6, n), ("near", 2, 1)]) for i, n in enumerate((2, 3, 1))]
    parts.append(part(tmp_path, 3, [("near", 2, 1), ("near", 3, 3)]))
    write_histogram(parts, None, str(tmp_path / "out"))
    rows = {row["bin"]: row for row in rows_of(tmp_path / "out") if row["grain"] == "near"}
    assert (rows["6-20"]["documents"], rows["6-20"]["groups"]) == (6, 1)
    assert (rows["2-5"]["documents"], rows["2-5"]["groups"], rows["2-5"]["surplus_documents"]) == (7, 3, 4)
    figures = grain_figures(parts)
    assert figures["near_groups"] == (4, "groups")
    assert figures["near_surplus_documents"] == (9, "documents")


def test_histogram_is_that_of_the_documents(documented: Written, tmp_path: Path) -> None:
    documents = all_rows(documented.outputs)
    write_histogram(documented.results, None, str(tmp_path / "out"))
    for row in rows_of(tmp_path / "out"):
        column = GRAINS[row["grain"]]
        mine = [each for each in documents if _bin(each[column]) == row["copies_min"]]
        groups = sum(count // copies for copies, count in Counter(each[column] for each in mine).items())
        assert (row["documents"], row["groups"]) == (len(mine), groups)
        assert row["surplus_documents"] == len(mine) - groups
        assert row["tokens"] == sum(each["n_tokens"] for each in mine)
        assert row["bytes"] == sum(each["n_bytes"] for each in mine)


def test_passages_have_bins_of_their_own(tmp_path: Path) -> None:
    rows = [("passage", 1, 4), ("passage", 2, 3), ("passage", 7, 2), ("passage", 5000, 1), ("exact", 1, 10)]
    totals = PassageTotals((0, 11, 5, 3, 2, 1), (4, 3, 0, 0, 2), (9, 8, 0, 0, 7))
    write_histogram([part(tmp_path, 0, rows[:2]), part(tmp_path, 1, rows[2:])], totals, str(tmp_path / "out"))
    every = rows_of(tmp_path / "out")
    assert [row["grain"] for row in every] == ["exact"] * 6 + ["near"] * 6 + ["passage"] * 6 + ["raw"] * 6
    mine = [row for row in every if row["grain"] == "passage"]
    assert [row["copies_min"] for row in mine] == [low for low, _ in BINS]
    assert [row["documents"] for row in mine] == [4, 3, 2, 0, 0, 1]
    assert [row["passages"] for row in mine] == [0, 11, 5, 3, 2, 1]
    # Of 30 tokens 9 lie in passages, of 50 bytes 24.
    assert [row["tokens"] for row in mine] == [21, 4, 3, 0, 0, 2]
    assert [row["bytes"] for row in mine] == [26, 9, 8, 0, 0, 7]
    assert {(row["groups"], row["surplus_documents"]) for row in mine} == {(None, None)}
    assert {row["passages"] for row in every if row["grain"] != "passage"} == {None}
    assert all(row["groups"] is not None for row in every if row["grain"] != "passage")


def test_copies_with_fewer_bytes_than_the_first_leave_no_negative_rest(tmp_path: Path) -> None:
    totals = PassageTotals((0, 1, 0, 0, 0, 0), (3, 0, 0, 0, 0), (99, 0, 0, 0, 0))
    write_histogram([part(tmp_path, 0, [("passage", 2, 1)])], totals, str(tmp_path / "out"))
    mine = [row for row in rows_of(tmp_path / "out") if row["grain"] == "passage"]
    assert [row["tokens"] for row in mine] == [0, 3, 0, 0, 0, 0]
    assert [row["bytes"] for row in mine] == [0, 99, 0, 0, 0, 0]


def test_figures_of_passages_are_sums_over_sources(tmp_path: Path) -> None:
    one = part(tmp_path, 0, web={"tokens": 8, "passage_documents": 2, "passage_tokens": 6})
    two = part(tmp_path, 1, web={"tokens": 8}, books={"tokens": 8, "passage_documents": 1})
    assert passage_figures(sums_of_sources([one, two])) == {
        "passage_repeated_documents": (3, "documents"),
        "passage_repeated_tokens": (6, "tokens"),
        "passage_repeated_tokens_fraction": (0.25, "0 to 1"),
    }
    assert passage_figures(sums_of_sources([]))["passage_repeated_tokens_fraction"] == (None, "0 to 1")


# --- figures --------------------------------------------------------------------------------------


def test_figures_are_those_of_the_documents(documented: Written) -> None:
    documents = all_rows(documented.outputs)
    figures = {name: value for name, (value, _) in grain_figures(documented.results).items()}
    for grain, column in GRAINS.items():
        again = [row for row in documents if row[column] > 1]
        counts = Counter(row[column] for row in documents)
        groups = {copies: count // copies for copies, count in counts.items()}
        assert figures[f"{grain}_distinct"] == sum(groups.values())
        assert figures[f"{grain}_groups"] == sum(n for copies, n in groups.items() if copies > 1)
        assert figures[f"{grain}_grouped_documents"] == len(again)
        assert figures[f"{grain}_surplus_documents"] == len(documents) - sum(groups.values())
        assert figures[f"{grain}_surplus_fraction"] == (len(documents) - sum(groups.values())) / len(
            documents
        )
        tokens = sum(row["n_tokens"] for row in again) / sum(row["n_tokens"] for row in documents)
        assert figures[f"{grain}_repeated_tokens_fraction"] == tokens
        assert figures[f"{grain}_largest_group"] == max(counts)
    corpus = {name: value for name, (value, _) in corpus_figures(sums_of_sources(documented.results)).items()}
    statuses = Counter(row["status"] for row in documents)
    assert {name: corpus[f"{name}_documents"] for name in statuses} == statuses
    assert corpus["bytes"] == sum(row["n_bytes"] for row in documents)


def test_corpus_without_documents_has_figures_without_shares() -> None:
    figures = grain_figures([]) | corpus_figures(sums_of_sources([]))
    assert {name for name, (value, _) in figures.items() if value is None} == {
        f"{grain}_{name}"
        for grain in GRAINS
        for name in ("surplus_fraction", "repeated_tokens_fraction", "largest_group")
    }
    assert {value for value, _ in figures.values()} == {0, None}


def test_metrics_are_in_order_of_their_names(tmp_path: Path) -> None:
    write_metrics(
        {"b": (1, "texts"), "a": (None, "0 to 1"), "c": (0, "pairs"), "d": (0.25, "0 to 1")},
        str(tmp_path / "out"),
    )
    assert [tuple(row.values()) for row in rows_of(tmp_path / "out")] == [
        ("a", None, "0 to 1"),
        ("b", 1.0, "texts"),
        ("c", 0.0, "pairs"),
        ("d", 0.25, "0 to 1"),
    ]
    assert pq.read_schema(tmp_path / "out").equals(METRICS.arrow_schema(), check_metadata=True)


def test_what_is_left_of_copies_is_one_of_each(documented: Written) -> None:
    documents = all_rows(documented.outputs)
    texts = documented.compared.placed.filtered.corpus.texts
    figures = distinct_figures(documented.results)
    tokens = {row["text_id"]: row["n_tokens"] for row in documents}
    n_bytes = {texts[row["doc_id"]]: row["n_bytes"] for row in documents}
    assert figures == {
        "exact_distinct_tokens": (sum(tokens.values()), "tokens"),
        "raw_distinct_bytes": (sum(n_bytes.values()), "bytes"),
    }
    assert {value for value, _ in distinct_figures([]).values()} == {0}


def test_crossings_are_those_of_sources_in_all_ranges() -> None:
    def found(grain: str, **crossing: int) -> Overlapped:
        return Overlapped("", grain, tuple(crossing.items()))

    overlaps = [found("exact", source=2, licence=9), found("exact", source=3, licence=9)]
    overlaps += [found("near", source=0), found("passage", licence=9)]
    assert crossing_figures(overlaps) == {
        "cross_source_texts": (5, "texts"),
        "cross_source_clusters": (0, "clusters"),
        "cross_source_passages": (None, "passages"),
    }
    assert {value for value, _ in crossing_figures([]).values()} == {None}


# --- risk -----------------------------------------------------------------------------------------


def test_risk_has_every_bin_of_documents_and_passages_with_its_evidence(tmp_path: Path) -> None:
    one, two = (part(tmp_path, i) for i in range(2))
    one = replace(one, exposed=(9, 2, 0, 0, 0, 1), exposed_tokens=(90, 20, 0, 0, 0, 10))
    two = replace(two, exposed=(1, 1, 0, 0, 1, 0), exposed_tokens=(5, 6, 0, 0, 7, 0))
    known = evidence(1.2e9, None)
    passages = ((3, 4, 0, 0, 0, 5), (30, 40, 0, 0, 0, 50))
    write_risk([one, two], passages, known, str(tmp_path / "out"))
    rows = rows_of(tmp_path / "out")
    tiers = ["baseline", "low", "elevated", "high", "very high", "very high"]
    assert [row["risk_tier"] for row in rows] == 2 * tiers
    assert [(row["exposures_min"], row["bin"]) for row in rows] == 2 * list(BINS)
    documents, others = rows[:6], rows[6:]
    assert {row["grain"] for row in documents} == {"document"}
    assert [row["documents"] for row in documents] == [10, 3, 0, 0, 1, 1]
    assert [row["tokens"] for row in documents] == [95, 26, 0, 0, 7, 10]
    assert {row["passages"] for row in documents} == {None}
    assert {(row["grain"], row["documents"]) for row in others} == {("passage", None)}
    assert [row["passages"] for row in others] == list(passages[0])
    assert [row["tokens"] for row in others] == list(passages[1])
    names = ("evidence_low", "evidence_high", "evidence_reason")
    for held in (documents, others):
        assert [tuple(row[name] for name in names) for row in held] == [
            (each.low, each.high, each.reason) for each in known
        ]
    assert documents[1]["evidence_high"] == 0.09
    assert pq.read_schema(tmp_path / "out").equals(RISK.arrow_schema(), check_metadata=True)


def test_risk_of_passages_is_left_out_where_they_were_not_looked_for(tmp_path: Path) -> None:
    write_risk([], None, evidence(None, None), str(tmp_path / "out"))
    rows = rows_of(tmp_path / "out")
    assert [(row["grain"], row["documents"], row["tokens"]) for row in rows] == [("document", 0, 0)] * 6


def test_exposures_of_parts_are_those_of_their_documents(documented: Written) -> None:
    for output, result in zip(documented.outputs, documented.results, strict=True):
        counts, tokens = Counter[int](), Counter[int]()
        rows = rows_of(output)
        for row in rows:
            counts[_bin(int(row["exposures"]))] += 1
            tokens[_bin(int(row["exposures"]))] += row["n_tokens"]
        assert result.exposed == tuple(counts[low] for low, _ in BINS)
        assert result.exposed_tokens == tuple(tokens[low] for low, _ in BINS)
        assert result.most_exposures == max(row["exposures"] for row in rows)


# --- similarity -----------------------------------------------------------------------------------


def _pairs(**hundredths: int) -> PairsResult:
    counts = [hundredths.get(f"at_{i}", 0) for i in range(100)]
    return PairsResult(sum(counts), 0, tuple(counts))


@pytest.mark.parametrize(
    ("floor", "first"), [(0.5, 50), (0.29, 29), (0.555, 55), (0.57, 57), (0.99, 99), (1.0, 99), (0.001, 0)]
)
def test_similarity_has_every_hundredth_from_the_floor_up(tmp_path: Path, floor: float, first: int) -> None:
    near = NearConfig(floor=floor, threshold=1, bands=14, rows=8)
    write_similarity([_pairs(at_99=2), _pairs(at_99=3)], near, str(tmp_path / "out"))
    rows = rows_of(tmp_path / "out")
    assert [row["jaccard_min"] for row in rows] == [i / 100 for i in range(first, 100)]
    assert [row["jaccard_max"] for row in rows] == [i / 100 for i in range(first + 1, 101)]
    assert [row["pairs"] for row in rows] == [0] * (99 - first) + [5]
    for row in rows:
        wanted = oracles.detection_probability(row["jaccard_min"], 14, 8)
        assert row["detection"] == pytest.approx(wanted, abs=1e-12)
    assert pq.read_schema(tmp_path / "out").equals(SIMILARITY.arrow_schema(), check_metadata=True)


def test_pairs_of_all_parts_are_counted_in_their_hundredth(tmp_path: Path) -> None:
    parts = [_pairs(at_50=1, at_98=4), _pairs(at_50=2), _pairs()]
    for held in (parts, parts[::-1]):
        write_similarity(held, NearConfig(), str(tmp_path / "out"))
        counts = {row["jaccard_min"]: row["pairs"] for row in rows_of(tmp_path / "out") if row["pairs"]}
        assert counts == {0.5: 3, 0.98: 4}
    write_similarity([], NearConfig(), str(tmp_path / "out"))
    assert {row["pairs"] for row in rows_of(tmp_path / "out")} == {0}


# --- all of them ----------------------------------------------------------------------------------


def test_summary_is_all_tables_and_figures(documented: Written, tmp_path: Path) -> None:
    filtered = documented.compared.placed.filtered
    pairs = write_pairs((0, END_OF_KEYS), str(tmp_path / "p"), pairs=documented.compared.pairs, threshold=0.7)
    recall = [each.recall for each in documented.compared.attached]
    found = Found(documented.results, filtered.texts, [pairs], recall, [], (), None, None)
    known = evidence(None, None)
    figures = write_summary(found, {"unsettled_texts": (0, "texts")}, NEAR, ONCE, known, str(tmp_path / "s"))
    names = ("histogram", "metrics", "risk", "similarity", "source_overlap", "sources")
    assert sorted(path.stem for path in (tmp_path / "s").iterdir()) == list(names)
    held = {row["name"]: (row["value"], row["unit"]) for row in rows_of(tmp_path / "s" / "metrics.parquet")}
    assert held == figures
    documents = all_rows(documented.outputs)
    assert figures["max_exposures"] == (max(row["exposures"] for row in documents), "exposures")
    assert figures["unsettled_texts"] == (0, "texts")
    assert figures["cross_source_texts"] == (None, "texts")
    similarity = rows_of(tmp_path / "s" / "similarity.parquet")
    assert sum(row["pairs"] for row in similarity) == pairs.rows
    recalls = [held[name][0] for name in ("recall_low", "recall", "recall_high")]
    assert 0 < recalls[0] <= recalls[1] <= recalls[2] <= 1
    nothing = write_summary(
        replace(found, documents=[], texts=[], pairs=[], recall=[]),
        {"unsettled_texts": (0, "texts")},
        NEAR,
        ONCE,
        known,
        str(tmp_path / "none"),
    )
    assert (nothing["max_exposures"], nothing["recall"]) == ((None, "exposures"), (None, "0 to 1"))
