"""The part of the page about risk, for models of several kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline import risk
from pipeline.report.exposed import risk_section
from pipeline.report.model import read_report
from pipeline.report.values import Section
from tests.report.tables import manifest_of, risks, write_run


def section(folder: Path, model: dict[str, Any] | None = None, **known: Any) -> Section:
    """The part, for a run whose intervals are None unless there is a model."""
    manifest = {**manifest_of(model=model or {}), **known}
    rows = risks()
    if model is None:
        nothing = {"evidence_low": None, "evidence_high": None, "evidence_reason": risk.NO_SIZE}
        rows = [{**row, **nothing} for row in rows]
    return risk_section(read_report(write_run(folder, manifest, risk=rows), manifest))


def keys(found: Section) -> list[str]:
    """Its plots and tables."""
    return [*(plot.key for plot in found.plots), *(grid.key for grid in found.grids)]


def test_without_a_model_there_is_no_interval(tmp_path: Path) -> None:
    found = section(tmp_path)
    assert keys(found) == ["exposures-document", "exposures-passage", "risk", "context"]
    assert "set model.parameters" in found.words[1]
    assert {row[-1].shown for row in found.grids[0].rows} == {risk.NO_SIZE}


def test_with_a_model_intervals_are_drawn(tmp_path: Path) -> None:
    found = section(tmp_path, {"parameters": 1.3e9})
    assert keys(found) == ["exposures-document", "exposures-passage", "evidence", "risk", "context"]
    (plot,) = (plot for plot in found.plots if plot.key == "evidence")
    drawn = plot.spec["data"]["values"]
    assert [(row["bin"], row["low"], row["high"]) for row in drawn] == [
        ("2-5", 0.01, 0.2), ("6-20", 0.02, 0.4), ("21-100", 0.03, pytest.approx(0.6)), ("101-1000", 0.04, 0.8)
    ]  # fmt: skip


def test_capacity_stands_beside_what_the_corpus_holds(tmp_path: Path) -> None:
    words = section(tmp_path, {"parameters": 8e6}).words[-1]
    assert "can hold about 3.6 MB (3.6 bits a parameter" in words
    assert "380.0 kB and 45,000 tokens" in words


def test_fine_tuning_set_gets_the_membership_table(tmp_path: Path) -> None:
    assert "membership" in keys(section(tmp_path / "a", {"parameters": 1e9, "training_tokens": 9.99e9}))
    assert "membership" not in keys(section(tmp_path / "b", {"parameters": 1e9, "training_tokens": 1e10}))


def test_curve_gives_intervals_at_the_lower_ends_of_bins(tmp_path: Path) -> None:
    found = section(tmp_path, {"parameters": 1.3e9, "curve": "pile-neo"})
    (grid,) = (grid for grid in found.grids if grid.key == "curve")
    for row, copies in zip(grid.rows, (2, 6, 21, 101), strict=False):
        estimate = risk.pile_neo(copies, 1.3e9)
        assert row[0].value == str(copies)
        assert row[1].value == f"{estimate.low} {estimate.high}"
    assert "not for 1,001" in grid.rows[-1][1].shown


def test_curve_that_does_not_hold_for_the_model_says_why(tmp_path: Path) -> None:
    found = section(tmp_path, {"parameters": 7e10, "curve": "pile-neo"})
    (grid,) = (grid for grid in found.grids if grid.key == "curve")
    assert all("the curve is valid for" in row[1].shown for row in grid.rows)


def test_labels_are_those_of_the_run(tmp_path: Path) -> None:
    labels = {"label": "The label.", "quantity": "The quantity.", "more": "More to say."}
    found = section(tmp_path / "a", labels=labels)
    assert found.quotes == ("The label.", "More to say.")
    assert "The quantity." in found.words[0]
    assert section(tmp_path / "b", labels={}).quotes[0] == risk.NOT_A_MEASUREMENT
