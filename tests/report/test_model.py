"""What the page reads of a run's tables."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from pipeline.errors import ArtifactError
from pipeline.report import model
from pipeline.report.model import read_report
from tests.report.tables import Row, manifest_of, write_run


def _passages(count: int) -> list[Row]:
    rng = random.Random(4)
    return [
        {
            "passage_id": (1 << 63) + i,
            "occurrences": rng.randint(2, 9),
            "tokens": rng.randint(25, 30),
            "predictable": rng.random() < 0.3,
            "doc_id": (i % 3) << 32 | i,
            "text": f"passage {i}",
        }
        for i in range(count)
    ]


def test_top_passages_are_those_of_a_whole_sort(tmp_path: Path) -> None:
    rows = _passages(400)
    report = read_report(write_run(tmp_path, passages=rows), manifest_of())
    best = sorted(rows, key=lambda row: (-row["occurrences"] * row["tokens"], row["passage_id"]))
    for found, predictable, count in ((report.passages, False, 25), (report.predictable, True, 10)):
        expected = [row for row in best if row["predictable"] is predictable][:count]
        assert found is not None
        assert [row["passage_id"] for row in found] == [row["passage_id"] for row in expected]
        assert [row["text"] for row in found] == [row["text"] for row in expected]


def test_places_go_with_their_passages(tmp_path: Path) -> None:
    places = [{"passage_id": i % 3, "doc_id": i, "uri": f"f{i}"} for i in range(7)]
    report = read_report(write_run(tmp_path, places=places), manifest_of())
    found = {i: [row["uri"] for row in rows] for i, rows in report.places.items()}
    assert found == {0: ["f0", "f3", "f6"], 1: ["f1", "f4"], 2: ["f2", "f5"]}


def test_clusters_are_the_largest_and_the_loosest(tmp_path: Path) -> None:
    rng = random.Random(5)
    rows = [
        {
            "cluster_id": i,
            "documents": rng.randint(2, 12),
            "tokens": rng.randint(1, 3),
            "chained": rng.randint(0, 2),
            "min_jaccard": rng.randint(1, 9) / 10,
        }
        for i in range(200)
    ]
    report = read_report(write_run(tmp_path, clusters=rows), manifest_of())
    largest = sorted(rows, key=lambda row: (-row["documents"], -row["tokens"], row["cluster_id"]))[:25]
    chained = [row for row in rows if row["chained"]]
    loosest = sorted(chained, key=lambda row: (row["min_jaccard"], -row["documents"], row["cluster_id"]))[:25]
    assert [row["cluster_id"] for row in report.clusters] == [row["cluster_id"] for row in largest]
    assert [row["cluster_id"] for row in report.loose] == [row["cluster_id"] for row in loosest]


def test_inputs_are_counted_though_only_the_first_are_listed(tmp_path: Path) -> None:
    inputs = [{"file_id": i, "uri": f"f{i}", "format": "csv", "size_bytes": i, "rows": 2} for i in range(150)]
    inputs += [{"file_id": 150, "uri": "bad", "format": "text", "size_bytes": 9, "rows": None}]
    found = read_report(write_run(tmp_path, inputs=inputs), manifest_of()).inputs
    assert (len(found.files), found.count) == (100, 151)
    assert found.formats == [
        {"format": "csv", "files": 150, "size_bytes": sum(range(150)), "rows": 300, "rejected": 0},
        {"format": "text", "files": 1, "size_bytes": 9, "rows": 0, "rejected": 1},
    ]


def test_rejects_are_counted_by_reason(tmp_path: Path) -> None:
    rejects = [{"uri": "a", "row": i, "reason": "null_text" if i % 3 else "too_long"} for i in range(60)]
    found = read_report(write_run(tmp_path, rejects=rejects), manifest_of()).rejects
    assert [(row["reason"], row["rows"]) for row in found.reasons] == [("null_text", 40), ("too_long", 20)]
    assert [row["row"] for row in found.first] == list(range(20))


def test_folder_may_be_named_like_a_pattern(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a[1]*?{b}", clusters=[{"cluster_id": 5}])
    assert [row["cluster_id"] for row in read_report(run, manifest_of()).clusters] == [5]


def test_run_without_passages_has_none(tmp_path: Path) -> None:
    manifest = manifest_of(passages={"enabled": False})
    report = read_report(write_run(tmp_path, manifest), manifest)
    assert report.passages is None
    assert report.predictable == []


def test_missing_table_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    (run / "summary" / "risk.parquet").unlink()
    with pytest.raises(ArtifactError, match="a table of the run is missing") as caught:
        read_report(run, manifest_of())
    assert "risk.parquet" in str(caught.value)


def test_damaged_table_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    (run / "summary" / "risk.parquet").write_bytes(b"PAR1")
    with pytest.raises(ArtifactError, match="cannot read the tables"):
        read_report(run, manifest_of())


def test_table_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    manifest = manifest_of()
    manifest["table_versions"]["clusters"] = 1
    with pytest.raises(ArtifactError, match="table clusters is of another version") as caught:
        read_report(write_run(tmp_path), manifest)
    assert caught.value.got == "version 1"


def test_tables_that_grow_with_the_corpus_are_not_read(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    for name in ("documents", "pairs", "spans"):
        (run / name / "part-00000.parquet").write_bytes(b"not Parquet")
    assert read_report(run, manifest_of()).histogram


def test_metric_that_a_run_does_not_have_is_none(tmp_path: Path) -> None:
    report = read_report(write_run(tmp_path), manifest_of({"recall": None}))
    assert report.metric("recall") is None
    assert report.metric("no such figure") is None
    assert report.metric("documents") == 1000


def test_ranks_are_read_before_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The query that sorts all passages must not touch the widest column.
    plans: list[str] = []

    def collected(frame: pl.LazyFrame) -> pl.DataFrame:
        plans.append(frame.explain())
        return frame.collect()

    monkeypatch.setattr(model, "collected", collected)
    read_report(write_run(tmp_path, passages=_passages(60)), manifest_of())
    sorting = [plan for plan in plans if "passage_id" in plan and ("SORT" in plan or "TOP" in plan.upper())]
    assert len(sorting) == 2
    assert all("PROJECT 4/16" in plan for plan in sorting), sorting
