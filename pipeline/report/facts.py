"""What was read and how: inputs, rejects, configuration, versions, times."""

from __future__ import annotations

from typing import Any

import yaml

from pipeline.figures import MISSING, number, seconds
from pipeline.report import shown, values
from pipeline.report.model import FILES_LISTED, REJECTS_LISTED, Report
from pipeline.report.values import Cell, Grid, Section


def facts_section(report: Report) -> Section:
    """Run facts."""
    grids = [_formats(report), _files(report)]
    if report.rejects.reasons:
        grids += [_reasons(report), _rejects(report)]
    grids += [_stages(report), _versions(report)]
    config = yaml.safe_dump(_plain(report.config), sort_keys=False, allow_unicode=True)
    words = tuple(part for part in (_times(report), _passed_over(report)) if part)
    return Section("facts", "Run facts", words, grids=tuple(grids), code=shown.text(config, limit=20_000))


def _times(report: Report) -> str:
    started, finished = (report.manifest.get(key) for key in ("started", "finished"))
    parts = [f"Started {shown.name(started)}"] if started else []
    parts += [f"finished {shown.name(finished)}"] if finished else []
    return ", ".join(parts) + "." if parts else ""


def _passed_over(report: Report) -> str:
    others = report.manifest.get("passed_over") or {}
    listed = ", ".join(f"{number(n)} {shown.name(why)}" for why, n in others.items())
    return f"Files passed over: {listed}." if listed else ""


def _plain(value: Any) -> Any:
    # What YAML would not write as text.
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _formats(report: Report) -> Grid:
    columns = values.columns(
        ("format", "format"),
        ("files", "files"),
        ("size_bytes", "size"),
        ("rows", "rows"),
        ("rejected", "rejected files"),
    )
    cells = [
        [
            values.name(row["format"]),
            values.number(row["files"]),
            values.size(row["size_bytes"]),
            values.number(row["rows"]),
            values.number(row["rejected"]),
        ]
        for row in report.inputs.formats
    ]
    return Grid("formats", "Inputs by format", columns, values.rows(cells))


def _files(report: Report) -> Grid:
    columns = values.columns(("uri", "file"), ("format", "format"), ("size_bytes", "size"), ("rows", "rows"))
    cells = [
        [
            values.name(row["uri"], 200),
            values.name(row["format"]),
            values.size(row["size_bytes"]),
            values.number(row["rows"]) if row["rows"] is not None else Cell("rejected", "", "warning"),
        ]
        for row in report.inputs.files
    ]
    total = report.inputs.count
    note = f"The first {FILES_LISTED} of {number(total)}." if total > FILES_LISTED else ""
    return Grid("files", "Files", columns, values.rows(cells), note, tall=True, folded=True)


def _reasons(report: Report) -> Grid:
    columns = values.columns(("reason", "reason"), ("rows", "rows or files"))
    cells = [[values.name(row["reason"]), values.number(row["rows"])] for row in report.rejects.reasons]
    return Grid("rejects", "Rejected, by reason", columns, values.rows(cells))


def _rejects(report: Report) -> Grid:
    columns = values.columns(("uri", "file"), ("row", "row"), ("reason", "reason"), ("detail", "detail"))
    cells = [
        [
            values.name(row["uri"]),
            values.number(row["row"]),
            values.name(row["reason"]),
            values.name(row["detail"], 200),
        ]
        for row in report.rejects.first
    ]
    note = f"The first {REJECTS_LISTED} at most; all are in rejects/."
    return Grid("rejected", "Rejected rows", columns, values.rows(cells), note, tall=True, folded=True)


def _stages(report: Report) -> Grid:
    columns = values.columns(
        ("stage", "stage"), ("seconds", "time"), ("peak_bytes", "peak memory"), ("counts", "counts")
    )
    cells = []
    for stage in report.manifest.get("stages", ()):
        counts = ", ".join(f"{key} {number(n)}" for key, n in stage["counts"].items())
        time = Cell(seconds(stage["seconds"]), str(stage["seconds"]), "number")
        cells.append(
            [values.name(stage["stage"]), time, values.size(stage["peak_bytes"]), values.name(counts, 200)]
        )
    note = "The stages from candidates to pairs and those from anchors to spans ran at once: times overlap."
    return Grid("stages", "Stages", columns, values.rows(cells), note, folded=True)


def _versions(report: Report) -> Grid:
    columns = values.columns(("name", "name"), ("version", "version"))
    manifest = report.manifest
    found = {
        **manifest.get("packages", {}),
        "python": manifest.get("python", MISSING),
        "Unicode": manifest.get("unicode_version", MISSING),
        "signatures": manifest.get("signature_scheme", MISSING),
        "format of the run": manifest.get("format_version", MISSING),
    }
    cells = [[values.name(key), values.name(str(value))] for key, value in found.items()]
    return Grid("versions", "Versions", columns, values.rows(cells), folded=True)
