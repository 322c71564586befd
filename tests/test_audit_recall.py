"""Tests of what a whole audit finds of what is near, by brute force on real data."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.audits import Audited, audit

sys.path.append(str(Path(__file__).parent / "bench"))
from score import score_groups
from truth import Ints, Truth, find_pairs

SETS = ["spdx-licences", "sms-spam", "llm-eval-sets", "udhr", "us-bills"]
SLOW_SETS = ["german-laws", "tldr-pages", "chinese-poetry", "eltec-novels"]
THRESHOLD = 0.7


@dataclass(frozen=True)
class Judged:
    """An audit beside the truth."""

    audited: Audited
    truth: Truth
    groups: Ints

    def texts_in_one_component(self) -> int:
        """Pairs of distinct texts in one component of the true pairs."""
        sizes = np.bincount(self.truth.component)
        return int((sizes * (sizes - 1) // 2).sum())

    def of_these_in_one_cluster(self) -> int:
        """How many of them the audit has in one cluster."""
        texts, first = np.unique(self.truth.text_of_document, return_index=True)
        first = first[texts >= 0]
        component, group = self.truth.component, self.groups[first]
        both = np.stack([component[group >= 0], group[group >= 0]])
        sizes = np.unique(both, axis=1, return_counts=True)[1]
        return int((sizes * (sizes - 1) // 2).sum())


def judged(folder: Path, out: Path) -> Judged:
    """Audit a data set and compare all its texts with each other."""
    files = sorted(folder.glob("*.parquet"))
    audited = audit(files, out)
    texts = pq.read_table(files, columns=["text"]).column("text").to_pylist()
    cluster_id = audited.table("documents").column("cluster_id").to_pylist()
    assert len(cluster_id) == len(texts)
    number: dict[int, int] = {}
    groups = [-1 if each is None else number.setdefault(each, len(number)) for each in cluster_id]
    return Judged(audited, find_pairs(texts, THRESHOLD), np.array(groups, np.int64))


@pytest.mark.parametrize("name", [*SETS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW_SETS)])
def test_recall_reaches_99_percent_and_is_not_overstated(
    name: str,
    shared_data: Callable[[str], Path],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    result = judged(shared_data(name), tmp_path)
    score = score_groups(result.groups, result.truth)
    together, found = result.texts_in_one_component(), result.of_these_in_one_cluster()
    metrics = result.audited.metrics
    for key, value in (("findable", score.findable), ("found", score.found), ("low", metrics["recall_low"])):
        record_property(key, value)
    record_property("co-members", f"{found} of {together}")
    assert score.recall >= 0.99
    assert score.precision == 1
    assert found >= 0.98 * together
    if score.findable:
        assert metrics["recall_low"] <= score.recall
        assert metrics["recall_low"] <= metrics["recall"] <= metrics["recall_high"] <= 1
        assert metrics["near_findable_texts"] == score.found
    check_pairs(result)


def check_pairs(result: Judged) -> None:
    """Every reported pair at the threshold is a true one, of the true similarity."""
    truth = result.truth
    true = dict(zip(zip(truth.left.tolist(), truth.right.tolist(), strict=True), truth.jaccard, strict=True))
    place = {row["doc_id"]: i for i, row in enumerate(result.audited.documents)}
    for pair in result.audited.pairs:
        if pair["jaccard"] >= THRESHOLD:
            texts = sorted(int(truth.text_of_document[place[pair[key]]]) for key in ("doc_a", "doc_b"))
            assert pair["jaccard"] == pytest.approx(true[texts[0], texts[1]], abs=1e-9)


def test_sms_spam_has_the_copies_that_are_published(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    audited = audit(shared_data("sms-spam"), tmp_path, id_column="id", source={"column": "source"})
    metrics = audited.metrics
    assert metrics["documents"] == metrics["input_rows"] == 5_575
    assert metrics["raw_distinct"] == 5_172
    assert metrics["raw_surplus_documents"] == 403
    assert metrics["raw_groups"] == 281
    assert metrics["raw_grouped_documents"] == 684
    assert metrics["raw_largest_group"] == 30
    documents = [row for row in audited.documents if row["raw_copies"] > 1]
    assert len(documents) == 684
    assert max(row["raw_copies"] for row in documents) == 30
    assert round(sum(1 / row["raw_copies"] for row in documents)) == 281
    bins = [row for row in audited.rows("summary/histogram") if row["grain"] == "raw"]
    assert sum(row["groups"] for row in bins) == 5_172
    assert sum(row["surplus_documents"] for row in bins) == 403
    assert sum(row["groups"] for row in bins if row["copies_min"] > 1) == 281
    assert sum(row["documents"] for row in bins) == 5_575


def test_novels_without_a_near_pair_leave_readable_empty_tables(
    shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shared_data("eltec-novels")
    pq.write_table(pq.read_table(folder).slice(0, 150), tmp_path / "novels.parquet")
    audited = audit(tmp_path / "novels.parquet", tmp_path / "out")
    assert (audited.pairs, audited.clusters, audited.rejects) == ([], [], [])
    assert {row["status"] for row in audited.documents} == {"ok"}
