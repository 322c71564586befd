"""The manifest: what a finished run says of itself, and who may read it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.artifacts import FORMAT_VERSION
from pipeline.config import parse, resolved
from pipeline.errors import ArtifactError
from pipeline.manifest import PACKAGES, manifest_of, read_manifest, write_manifest
from pipeline.progress import StageLog
from pipeline.risk import LABELS
from pipeline.schemas import TABLES
from pipeline.stages.inputs import InputFile, Listing

NOTES = ("Nothing was found.",)
CONFIG = parse({"inputs": "data", "near": {"recall": 0.9}})


@pytest.fixture
def manifest(tmp_path: Path) -> dict[str, Any]:
    """The manifest of a run, as it was written."""
    listing = Listing((InputFile("/a", "text", 1, ""), InputFile("/b", "text", 2, "")), {"hidden": 3})
    figures = {"recall": (0.5, "0 to 1"), "documents": (7, "documents"), "recall_low": (None, "0 to 1")}
    logs = [StageLog("scan", {"rows": 7}, 1.5, 1000), StageLog("texts", {}, 0.5, 2000)]
    started = datetime(2025, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
    found = manifest_of(CONFIG, "night", started, listing, figures, logs, NOTES, sequence=4)
    write_manifest(found, tmp_path)
    return read_manifest(tmp_path)


def test_manifest_says_what_was_audited_and_how(manifest: dict[str, Any]) -> None:
    assert manifest["run"] == "night"
    assert manifest["sequence"] == 4
    assert manifest["config"] == resolved(CONFIG)
    assert manifest["config"]["near"]["bands"] is not None
    assert manifest["files"] == 2
    assert manifest["passed_over"] == {"hidden": 3}
    assert manifest["metrics"] == {"documents": 7, "recall": 0.5, "recall_low": None}
    assert list(manifest["metrics"]) == sorted(manifest["metrics"])


def test_manifest_says_what_the_tables_hold(manifest: dict[str, Any]) -> None:
    assert manifest["format_version"] == FORMAT_VERSION
    assert manifest["table_versions"] == {table.name: table.version for table in TABLES}
    assert manifest["signature_scheme"] == "datasketch-2/affine32/xxh32"
    assert manifest["unicode_version"].count(".") == 2


def test_manifest_says_what_its_figures_do_not(manifest: dict[str, Any]) -> None:
    assert manifest["notes"] == list(NOTES)
    assert manifest["labels"] == LABELS
    assert all(manifest["labels"].values())


def test_manifest_says_with_what_and_when(manifest: dict[str, Any]) -> None:
    assert set(manifest["packages"]) == set(PACKAGES)
    assert all(manifest["packages"].values())
    assert manifest["started"] == "2025-01-02T03:04:05+00:00"
    assert datetime.fromisoformat(manifest["finished"]) > datetime.fromisoformat(manifest["started"])
    assert manifest["stages"] == [
        {"stage": "scan", "counts": {"rows": 7}, "seconds": 1.5, "peak_bytes": 1000},
        {"stage": "texts", "counts": {}, "seconds": 0.5, "peak_bytes": 2000},
    ]


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[]", b"null", b'"run"'])
def test_folder_without_a_whole_manifest_is_no_run(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ArtifactError, match="not a finished run") as caught:
        read_manifest(tmp_path)
    assert caught.value.where == str(tmp_path)


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, str(FORMAT_VERSION), None])
def test_run_of_another_format_is_refused(tmp_path: Path, version: object) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"format_version": version}))
    with pytest.raises(ArtifactError, match="another format") as caught:
        read_manifest(tmp_path)
    assert caught.value.got == f"format_version {version}"
    assert caught.value.expected == f"format_version {FORMAT_VERSION}"
