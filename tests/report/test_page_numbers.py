"""Every number on the page is the number in the tables, as a browser reads it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser

from pipeline.cli import main
from pipeline.report.page import write_page
from tests import corpus as planted
from tests.audits import Audited, audit, without_dask, write_rows
from tests.report.opened import Row, Watched, opened

MODEL = {"parameters": 1.3e9, "training_tokens": 300e9, "curve": "pile-neo"}


def _rows() -> list[Row]:
    rng = random.Random(11)
    licence, notice = planted.text(rng, 120), planted.text(rng, 40)
    rows: list[Row] = [
        {"text": planted.text(rng, 60), "source": f"books-{i % 3}", "licence": "CC0"} for i in range(30)
    ]
    for i in range(8):
        words = licence.split()
        words[i * 3] = f"changed{i}"
        rows.append({"text": " ".join(words), "source": "web/train", "licence": "MIT"})
    rows += [{"text": licence, "source": "web/test", "licence": "MIT"} for _ in range(5)]
    rows += [
        {"text": f"{notice} {planted.text(rng, 30)}", "source": "mail", "licence": None} for _ in range(7)
    ]
    return [
        *rows,
        {"text": "la " * 60, "source": "mail"},
        {"text": "la " * 70},
        {"text": ""},
        {"text": "two words"},
    ]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """A run with copies, near copies, shared passages, predictable ones and leaks."""
    folder = tmp_path_factory.mktemp("page")
    data = write_rows(folder / "in.jsonl", [*_rows(), {"text": None}])
    with without_dask():
        return audit(
            data, folder / "audits", source={"column": "source"}, licence_column="licence", model=MODEL
        )


@pytest.fixture(scope="module")
def page(audited: Audited, browser: Browser) -> Iterator[Watched]:
    """Its page in a browser."""
    with opened(browser, write_page(audited.folder, None)) as watched:
        yield watched


def exact(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() else str(value)


def check(shown: list[Row], expected: list[Row], columns: list[str]) -> None:
    """Columns of a table on the page against rows of a table of the run, in order."""
    assert expected
    assert [[row[name] for name in columns] for row in shown] == [
        [exact(row[name]) if not isinstance(row[name], str) else row[name] for name in columns]
        for row in expected
    ]


def test_headline_numbers_are_those_of_metrics(page: Watched, audited: Audited) -> None:
    metrics = {row["name"]: row["value"] for row in audited.rows("summary/metrics")}
    names = page.page.locator("[data-metric]").evaluate_all("all => all.map(one => one.dataset.metric)")
    assert {"documents", "recall", "near_surplus_fraction", "rejected_rows", "unsettled_texts"} <= set(names)
    for name in names:
        assert page.metric(name)[1] == exact(metrics[name]), name
    assert page.metric("documents")[0] == f"{metrics['documents']:,.0f}"
    assert metrics["rejected_rows"] == 1


def test_histogram_is_the_table(page: Watched, audited: Audited) -> None:
    order = ["raw", "exact", "near", "passage"]
    rows = sorted(
        audited.rows("summary/histogram"), key=lambda row: (order.index(row["grain"]), row["copies_min"])
    )
    names = ["copies_min", "documents", "groups", "surplus_documents", "passages", "tokens", "bytes"]
    shown = page.table("histogram")
    check(shown, rows, names)
    assert [row["~grain"].split(":")[0].split()[0] for row in shown] == [row["grain"] for row in rows]


def test_groups_are_those_of_metrics(page: Watched, audited: Audited) -> None:
    for grain, row in zip(("raw", "exact", "near"), page.table("grains"), strict=False):
        for name in ("groups", "grouped_documents", "surplus_fraction", "largest_group"):
            assert row[name] == exact(audited.metrics[f"{grain}_{name}"])
    passage = page.table("grains")[3]
    assert passage["groups"] == exact(audited.metrics["passages"])
    assert passage["largest_group"] == exact(audited.metrics["passage_most_occurrences"])


def test_similarity_is_the_table(page: Watched, audited: Audited) -> None:
    rows = audited.rows("summary/similarity")
    check(page.table("similarity"), rows, ["jaccard_min", "jaccard_max", "pairs", "detection"])
    assert sum(row["pairs"] for row in rows) > 5


def test_risk_is_the_table(page: Watched, audited: Audited) -> None:
    rows = audited.rows("summary/risk")
    shown = page.table("risk")
    check(shown, rows, ["exposures_min", "risk_tier", "documents", "passages", "tokens"])
    for row, is_shown in zip(rows, shown, strict=True):
        if row["evidence_low"] is None:
            assert is_shown["~evidence"] == row["evidence_reason"]
        else:
            assert is_shown["~evidence"] == f"{row['evidence_low']:.0%} to {row['evidence_high']:.0%}"


def test_curve_gives_intervals_and_its_limit(page: Watched) -> None:
    rows = page.table("curve")
    assert [row["copies"] for row in rows] == ["2", "6", "21", "101", "1001"]
    assert all(" to " in row["~interval"] for row in rows)
    assert "valid for 2 to 930 copies" in rows[-1]["~interval"]


def test_labels_are_whole(page: Watched, audited: Audited) -> None:
    text = page.page.locator("#risk").inner_text()
    labels = json.loads((audited.folder / "run.json").read_text())["labels"]
    assert labels
    assert all(label in text for label in labels.values())
    assert "585.0 MB" in text  # 1.3 billion parameters of 3.6 bits


@pytest.mark.parametrize("kind", ["source", "licence"])
def test_sources_are_sums_of_the_table(page: Watched, audited: Audited, kind: str) -> None:
    rows, expected = audited.rows("summary/sources"), {}
    for name in {row[kind] for row in rows}:
        mine = [row for row in rows if row[kind] == name]
        tokens = sum(row["tokens"] for row in mine)
        near = sum(row["near_repeated_tokens_fraction"] * row["tokens"] for row in mine)
        expected[name or "(none)"] = (sum(row["documents"] for row in mine), tokens, near / tokens)
    shown = page.table(f"{kind}s")
    assert [row[kind] for row in shown] != []
    assert {row[kind] for row in shown} == set(expected)
    for row in shown:
        documents, tokens, share = expected[row[kind]]
        assert [row["documents"], row["tokens"]] == [str(documents), str(tokens)]
        assert float(row["near_repeated_tokens_fraction"]) == pytest.approx(share)


def test_leak_stands_first(page: Watched, audited: Audited) -> None:
    first, *others = page.table("source-pairs")
    assert {first["name"], first["other"]} == {"web/train", "web/test"}
    assert first["leak"] == "leak"
    assert not any(row["leak"] for row in others)
    pairs = [
        row
        for row in audited.rows("summary/source_overlap")
        if row["scope"] == "pair" and (row["name"], row["other"]) == (first["name"], first["other"])
    ]
    for row in pairs:
        assert first[f"{row['grain']}_groups"] == str(row["groups"])
    assert float(first["share"]) == max(row["tokens_fraction"] for row in pairs)


def test_clusters_are_the_largest_of_the_table(page: Watched, audited: Audited) -> None:
    rows = sorted(audited.clusters, key=lambda row: (-row["documents"], -row["tokens"], row["cluster_id"]))[
        :25
    ]
    names = ["documents", "distinct_texts", "sources", "tokens", "min_jaccard", "mean_jaccard", "chained"]
    check(page.table("clusters"), rows, [*names, "cluster_id"])


def test_passages_are_the_top_of_the_table(page: Watched, audited: Audited) -> None:
    rows = audited.rows("passages")
    rows.sort(key=lambda row: (-row["occurrences"] * row["tokens"], row["passage_id"]))
    names = ["text", "occurrences", "tokens", "documents", "texts", "sources", "exposures", "doc_id"]
    check(page.table("passages"), [row for row in rows if not row["predictable"]][:25], names)
    check(page.table("predictable"), [row for row in rows if row["predictable"]][:10], names)


def test_two_texts_stand_side_by_side_with_what_differs_marked(page: Watched) -> None:
    side = page.page.locator("#cluster-1 .side")
    assert side.count() == 2
    marks = [side.nth(i).locator("mark").all_inner_texts() for i in (0, 1)]
    # Each has one word replaced, where the other has the original.
    assert [sum(mark.startswith("changed") for mark in of_side) for of_side in marks] == [1, 1]
    assert [len(of_side) for of_side in marks] == [2, 2]
    assert not set(marks[0]) & set(marks[1])


def test_every_plot_is_drawn(page: Watched) -> None:
    assert page.drawn() == [
        "repeats-documents", "repeats-tokens", "repeats-bytes", "similarity", "detection",
        "exposures-document", "exposures-passage", "evidence", "overlap-source",
    ]  # fmt: skip


def test_bars_of_the_histogram_are_those_of_the_table(page: Watched, audited: Audited) -> None:
    bars = page.page.locator('[data-plot="repeats-documents"] [aria-label^="occurs"]')
    told = [bar.get_attribute("aria-label") or "" for bar in bars.all()]
    rows = [
        row for row in audited.rows("summary/histogram") if row["copies_min"] > 1 and row["grain"] != "raw"
    ]
    assert len(told) == len(rows)
    for row in rows:
        (label,) = (label for label in told if f"occurs: {row['bin']};" in label and row["grain"] in label)
        assert f"documents: {row['documents']}" in label


def test_configuration_and_times_are_shown(page: Watched, audited: Audited) -> None:
    assert "parameters: 1300000000.0" in (page.page.locator('[data-code="config"]').text_content() or "")
    manifest = json.loads((audited.folder / "run.json").read_text())
    assert [row["stage"] for row in page.table("stages")] == [stage["stage"] for stage in manifest["stages"]]
    assert [row["reason"] for row in page.table("rejects")] == [row["reason"] for row in audited.rejects]


def test_page_of_the_audit_itself_differs_in_times_only(audited: Audited, tmp_path: Path) -> None:
    # The audit renders before run.json exists; rendering again must not need more than the tables.
    again = write_page(audited.folder, tmp_path / "sub" / "again.html")
    assert again == tmp_path / "sub" / "again.html"
    assert 900_000 < again.stat().st_size < 5_000_000
    assert sorted(path.name for path in again.parent.iterdir()) == ["again.html"]


def test_command_renders_the_page_again(audited: Audited, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    done = CliRunner().invoke(main, ["report", str(audited.folder), "--out", str(out)])
    assert (done.exit_code, done.output.strip()) == (0, str(out))
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_command_refuses_what_is_no_run(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert done.exit_code == 1
    assert "not a finished run" in done.output
    assert list(tmp_path.iterdir()) == []
