"""The verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.report.model import Report, read_report
from pipeline.report.words import headline, verdict
from tests.report.tables import EMPTY_METRICS, Row, manifest_of, risks, write_run

NOTHING: dict[str, float | None] = {
    **{f"{grain}_surplus_documents": 0 for grain in ("raw", "exact", "near")},
    **{f"{grain}_surplus_fraction": 0.0 for grain in ("raw", "exact", "near")},
    "passages": 0, "passage_repeated_tokens_fraction": 0.0, "recall": None, "max_exposures": 1.0,
    "rejected_rows": 0, "rejected_files": 0, "cross_source_clusters": 0,
}  # fmt: skip


def report_of(
    folder: Path,
    metrics: dict[str, float | None] | None = None,
    risk: Sequence[Row] | None = None,
    **config: Any,
) -> Report:
    manifest = manifest_of(metrics, **config)
    tables = {} if risk is None else {"risk": risk}
    return read_report(write_run(folder, manifest, **tables), manifest)


def test_verdict_says_what_was_found(tmp_path: Path) -> None:
    report = report_of(tmp_path, {"exact_surplus_documents": 90})
    assert headline(report) == "10.00% of the documents repeat an earlier one, exactly or nearly."
    words = " ".join(verdict(report))
    assert "Of 1,000 documents (400.0 kB, 50,000 tokens), 100 are surplus" in words
    assert "90 with exactly the words of an earlier one, 10 with nearly those." in words
    assert "The largest cluster has 21 documents." in words
    assert "40.00% of all tokens lie in a passage of 25 or more tokens" in words
    assert "1,234 such passages; the most frequent occurs 5,520 times" in words
    assert "the most exposed text about 120 times. 20 documents will be seen more than 20 times" in words
    assert "7 clusters hold documents of more than one source" in words
    assert "an estimated 99.99% were found (95% interval 98.77% to 100%)" in words
    assert "Not audited: 5 of 1,005 rows and 1 whole file" in words


def test_notes_of_the_run_are_said_last(tmp_path: Path) -> None:
    manifest = manifest_of() | {"notes": ["One thing.", "Another."]}
    words = verdict(read_report(write_run(tmp_path, manifest), manifest))
    assert words[-2:] == ("Note: One thing.", "Note: Another.")
    assert not any("Note" in word for word in words[:-2])


def test_nothing_repeated_is_said_so(tmp_path: Path) -> None:
    report = report_of(tmp_path, NOTHING, risks((1000, 0, 0, 0, 0, 0)))
    assert headline(report) == "Nothing repeats."
    words = " ".join(verdict(report))
    assert "Each is the only one of its kind." in words
    assert "No run of 25 or more tokens occurs twice." in words
    assert "the most exposed text once. No document will be seen more than 20 times." in words
    assert "No cluster holds documents of more than one source." in words
    assert "recall of the near grain cannot be estimated" in words
    assert "Not audited" not in words


def test_only_passages_repeated_is_said_so(tmp_path: Path) -> None:
    found = {**NOTHING, "passages": 2, "passage_repeated_tokens_fraction": 0.25}
    said = headline(report_of(tmp_path, found))
    assert said == "No document repeats another, but 25.00% of the tokens lie in repeated passages."


def test_no_documents_is_said_so(tmp_path: Path) -> None:
    report = report_of(tmp_path / "a", EMPTY_METRICS)
    assert headline(report) == "There was no document to audit."
    assert verdict(report) == ("The inputs hold no rows.",)
    report = report_of(tmp_path / "b", {**EMPTY_METRICS, "rejected_rows": 4, "input_rows": 4})
    assert verdict(report) == ("Not audited: 4 of 4 rows (see run facts for the reasons).",)


def test_passages_not_looked_for_is_said_so(tmp_path: Path) -> None:
    words = verdict(report_of(tmp_path, passages={"enabled": False}))
    assert "Repeated passages were not looked for." in words


def test_run_without_sources_does_not_speak_of_them(tmp_path: Path) -> None:
    words = " ".join(verdict(report_of(tmp_path, {"cross_source_clusters": None})))
    assert "source" not in words
