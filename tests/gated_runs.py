"""Finished runs written by hand: a manifest with the summary tables that gates look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.artifacts import FORMAT_VERSION, write_json, write_output
from pipeline.config import parse, resolved
from pipeline.schemas import METRICS, SOURCE_OVERLAP, SOURCES, TABLES, Table

Source = tuple[str | None, str | None, int, float | None]  # source, licence, tokens, share of them
Pair = tuple[str, str, str, int]  # grain, the two sources, groups in both


def finished(
    run: Path,
    metrics: Mapping[str, float | None],
    *,
    sources: Iterable[Source] = (),
    pairs: Iterable[Pair] = (),
    sequence: int = 1,
    **config: Any,
) -> Path:
    """Write a run with these figures; every share of a source is the one given."""
    rows = [{"name": name, "value": value, "unit": ""} for name, value in metrics.items()]
    _write(METRICS, rows, run)
    _write(SOURCES, [_source(*source) for source in sources], run)
    _write(SOURCE_OVERLAP, [row for pair in pairs for row in _both_ways(*pair)], run)
    write_manifest(run, sequence, **config)
    return run


def write_manifest(run: Path, sequence: int, **config: Any) -> None:
    """Write a manifest alone, with further keys of the configuration."""
    manifest = {
        "run": run.name,
        "sequence": sequence,
        "format_version": FORMAT_VERSION,
        "table_versions": {table.name: table.version for table in TABLES},
        "signature_scheme": "scheme",
        "unicode_version": "15.0.0",
        "started": "2026-03-29T01:30:00+00:00",
        "config": resolved(parse({"inputs": "data", **config})),
    }
    write_json(manifest, run / "run.json")


def _write(table: Table, rows: list[dict[str, Any]], run: Path) -> None:
    write_output(table, pa.Table.from_pylist(rows, table.arrow_schema()), run / table.path)


def _source(source: str | None, licence: str | None, tokens: int, share: float | None) -> dict[str, Any]:
    row: dict[str, Any] = {"source": source, "licence": licence, "tokens": tokens}
    for grain in ("raw", "exact", "near"):
        row[f"{grain}_repeated_tokens_fraction"] = share or 0.0
    row["passage_repeated_tokens_fraction"] = share  # none without the passage grain
    return {column.name: row.get(column.name, None if column.nullable else 1) for column in SOURCES.columns}


def _both_ways(grain: str, one: str, other: str, groups: int) -> list[dict[str, Any]]:
    # Far more is shared inside a source, by other grains, and by licences of the same names.
    rows = []
    for kind, of, scope, shared in (
        ("source", grain, "pair", groups),
        ("source", grain, "inside", 1000),
        ("source", "other", "pair", 1000),
        ("licence", grain, "pair", 1000),
    ):
        for name, second in ((one, other), (other, one)):
            given = {"kind": kind, "grain": of, "scope": scope, "name": name, "other": second}
            rest = {"rank": 0, "other_rank": 1, "groups": shared, "tokens_fraction": None}
            rows.append({**given, **rest, "documents": shared, "tokens": shared})
    return rows
