"""What of two runs can be compared, and which runs are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.compare import compare_runs
from pipeline.errors import ArtifactError
from tests.audits import Audited, Row
from tests.comparing.planted import HOSTILE, audit_sources, compared, copied, edit, near


def test_run_is_the_same_as_itself(pair: tuple[Audited, Audited], tmp_path: Path) -> None:
    same = copied(pair[0], tmp_path / "again")
    text = compare_runs(pair[0].folder, same, None, 2)
    assert "Nothing changed." in text
    assert len(text.splitlines()) == 6
    found = Audited(same / "compare" / "monday")
    assert {row["verdict"] for row in found.rows("metrics") + found.rows("histogram")} == {"same"}
    assert [found.rows(name) for name in ("sources", "clusters", "passages")] == [[], [], []]


DEFINITIONS = {
    "config.near.threshold": 0.8,
    "config.near.floor": 0.4,
    "config.near.shingle_tokens": 4,
    "config.near.permutations": 256,
    "config.near.seed": 7,
    "config.near.bands": 16,
    "config.near.rows": 8,
    "config.passages.enabled": False,
    "config.passages.min_tokens": 30,
    "format_version": 1,
    "signature_scheme": "another",
    "unicode_version": "1.1.0",
    "table_versions.clusters": 1,
}


@pytest.mark.parametrize("place", DEFINITIONS)
@pytest.mark.parametrize("first", [True, False])
def test_other_definition_is_refused_by_its_name(
    pair: tuple[Audited, Audited], tmp_path: Path, place: str, first: bool
) -> None:
    other = copied(pair[0], tmp_path / "other")
    edit(other, place, DEFINITIONS[place])
    runs = (other, pair[1].folder) if first else (pair[1].folder, other)
    with pytest.raises(ArtifactError) as caught:
        compare_runs(runs[0], runs[1], tmp_path / "out", 2)
    field = place.removeprefix("config.")
    assert field in str(caught.value.got)
    assert field in str(caught.value.expected)
    assert caught.value.fix
    assert not (tmp_path / "out").exists()


def test_all_other_definitions_are_named_at_once(pair: tuple[Audited, Audited], tmp_path: Path) -> None:
    other = copied(pair[0], tmp_path / "other")
    edit(other, "config.near.threshold", 0.9)
    edit(other, "config.passages.min_tokens", 50)
    with pytest.raises(ArtifactError, match="do not mean the same") as caught:
        compare_runs(pair[0].folder, other, tmp_path / "out", 2)
    assert caught.value.got == "near.threshold 0.9, passages.min_tokens 50"
    assert caught.value.expected == "near.threshold 0.7, passages.min_tokens 25, as in the other run"


def test_tables_of_another_version_in_both_are_refused(pair: tuple[Audited, Audited], tmp_path: Path) -> None:
    runs = [copied(run, tmp_path / run.folder.name) for run in pair]
    for run in runs:
        edit(run, "table_versions.sources", 99)
    with pytest.raises(ArtifactError, match="table sources is of another version"):
        compare_runs(runs[0], runs[1], tmp_path / "out", 2)


def test_way_to_ask_for_the_same_bands_is_no_other_definition(
    pair: tuple[Audited, Audited], tmp_path: Path
) -> None:
    other = copied(pair[0], tmp_path / "other")
    edit(other, "config.near.recall", 0.9)
    assert "Nothing changed." in compare_runs(pair[0].folder, other, None, 2)


WEIGHTS = {"epochs": {}, "weights": {"a": 1.0}}


@pytest.mark.parametrize(
    ("edits", "exposures", "sources"),
    [
        ({}, True, True),
        ({"mixture": {"epochs": {"a": 3.0}, "weights": None}}, False, True),
        ({"mixture": {"epochs": {"a": 1.0}, "weights": None}}, True, True),
        ({"mixture": WEIGHTS}, False, True),
        ({"model.parameters": 1e9, "model.training_tokens": 5.0}, True, True),
        ({"source": {"column": "other", "path": None}}, True, False),
        ({"licence_column": "licence"}, True, False),
    ],
)
def test_what_differs_leaves_out_what_depends_on_it(
    pair: tuple[Audited, Audited], tmp_path: Path, edits: Row, exposures: bool, sources: bool
) -> None:
    other = copied(pair[1], tmp_path / "other")
    for place, value in edits.items():
        edit(other, f"config.{place}", value)
    text = compare_runs(pair[0].folder, other, tmp_path / "out", 2)
    found = Audited(tmp_path / "out")
    names = {row["name"] for row in found.rows("metrics")}
    figures = {row["figure"] for row in found.rows("sources")}
    grains = {row["grain"] for row in found.rows("histogram")}
    assert ("max_exposures" in names) is exposures
    assert ("document exposures" in grains) is exposures
    assert ("exposures" in figures) is (exposures and sources)
    assert bool(figures) is sources
    assert ("cross_source_texts" in names) is ("source" not in edits)
    assert ("Exposures are not compared" in text) is not exposures
    assert ("Figures by source are not compared" in text) is not sources


def test_weights_of_another_training_leave_exposures_out(
    pair: tuple[Audited, Audited], tmp_path: Path
) -> None:
    runs = [copied(run, tmp_path / run.folder.name) for run in pair]
    for run in runs:
        edit(run, "config.mixture", WEIGHTS)
    assert "not compared" not in compare_runs(runs[0], runs[1], None, 2)
    edit(runs[1], "config.model.training_tokens", 1e9)
    assert "Exposures are not compared, since these differ: model." in compare_runs(runs[0], runs[1], None, 2)


def test_sources_told_apart_otherwise_leave_weighed_exposures_out(
    pair: tuple[Audited, Audited], tmp_path: Path
) -> None:
    runs = [copied(run, tmp_path / run.folder.name) for run in pair]
    for run in runs:
        edit(run, "config.mixture.epochs", {"a": 2.0})
    edit(runs[1], "config.source.column", "other")
    assert "Exposures are not compared, since these differ: source." in compare_runs(
        runs[0], runs[1], None, 2
    )


def test_other_text_column_is_noted(pair: tuple[Audited, Audited], tmp_path: Path) -> None:
    other = copied(pair[0], tmp_path / "other")
    edit(other, "config.text_column", HOSTILE)
    text = compare_runs(pair[0].folder, other, None, 2)
    assert r"text_column was text, is \x1b[31mred\u202e [bold]x[/bold]\n<script>" in text
    assert "Nothing changed of what is compared." in text


def test_runs_that_did_not_look_for_passages_arecompared(tmp_path: Path) -> None:
    quick: dict[str, Any] = {"passages": {"enabled": False}}
    before = audit_sources(tmp_path, "a", {"a": near("x", range(2))}, **quick)
    after = audit_sources(tmp_path, "b", {"a": near("x", range(4))}, **quick)
    tables = compared((before, after), tmp_path / "out")
    assert tables["passages"] == []
    assert [row["what"] for row in tables["clusters"]] == ["grown"]
    assert not any("passage" in row["grain"] for row in tables["histogram"])
    assert not any("passage" in row["figure"] for row in tables["sources"])
