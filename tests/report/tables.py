"""Runs made of rows that a test gives: every table is there, what is not given has a plain value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import schemas
from pipeline.artifacts import FORMAT_VERSION, write_output
from pipeline.config import parse, resolved
from pipeline.risk import LABELS, TIERS

Row = dict[str, Any]

# Numbers of a small run, as its run.json has them.
METRICS: dict[str, float | None] = {
    "documents": 1000, "tokens": 50_000, "bytes": 400_000, "short_documents": 3, "empty_documents": 1,
    **{f"{grain}_distinct": 900 for grain in ("raw", "exact", "near")},
    **{f"{grain}_groups": 40 for grain in ("raw", "exact", "near")},
    **{f"{grain}_grouped_documents": 140 for grain in ("raw", "exact", "near")},
    **{f"{grain}_surplus_documents": 100 for grain in ("raw", "exact", "near")},
    **{f"{grain}_surplus_fraction": 0.1 for grain in ("raw", "exact", "near")},
    **{f"{grain}_repeated_tokens_fraction": 0.25 for grain in ("raw", "exact", "near")},
    **{f"{grain}_largest_group": 21 for grain in ("raw", "exact", "near")},
    "passages": 1234, "predictable_passages": 12, "passage_repeated_documents": 300,
    "passage_repeated_tokens": 20_000, "passage_repeated_tokens_fraction": 0.4,
    "passage_most_occurrences": 5520, "passage_most_tokens": 2651,
    "recall": 0.99996, "recall_low": 0.98765, "recall_high": 1.0, "unsettled_texts": 2,
    "rejected_rows": 5, "rejected_files": 1, "input_rows": 1005, "candidate_pairs": 400,
    "pairs_dropped_by_sketch": 17, "pairs_compared": 383, "pairs_at_threshold": 200, "clusters": 40,
    "chained_clusters": 2, "exact_distinct_tokens": 45_000, "raw_distinct_bytes": 380_000,
    "cross_source_texts": 6, "cross_source_clusters": 7, "cross_source_passages": 8,
    "max_exposures": 120.5, "texts_exposed_by_representative": 0,
}  # fmt: skip
EMPTY_METRICS: dict[str, float | None] = {
    **{name: 0 for name in METRICS if name not in {"recall", "recall_low", "recall_high", "max_exposures"}},
    **dict.fromkeys(name for name in METRICS if name.endswith("_fraction")),
    **dict.fromkeys(("recall", "recall_low", "recall_high", "max_exposures")),
}

_PLAIN = {"uint64": 1, "int64": 1, "double": 0.5, "string": "words", "bool": False}


def rows_of(table: schemas.Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """A table of the contract; what a row leaves out is null where that may be, else a plain value."""
    plain = {c.name: None if c.nullable else _PLAIN[c.type] for c in table.columns}
    return pa.Table.from_pylist([{**plain, **row} for row in rows], table.arrow_schema())


def manifest_of(metrics: Mapping[str, float | None] | None = None, **config: Any) -> dict[str, Any]:
    """What run.json holds."""
    return {
        "run": "monday",
        "format_version": FORMAT_VERSION,
        "table_versions": {table.name: table.version for table in schemas.TABLES},
        "signature_scheme": "affine32",
        "unicode_version": "15.0.0",
        "started": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T03:05:05+00:00",
        "config": resolved(parse({"inputs": ["data"], **config})),
        "files": 3,
        "passed_over": {"of another format": 2},
        "metrics": {**METRICS, **(metrics or {})},
        "stages": [{"stage": "scan", "counts": {"rows": 1005}, "seconds": 1.5, "peak_bytes": 10**8}],
        "python": "3.11.7",
        "packages": {"dupaudit": "0.1.0"},
        "labels": LABELS,
    }


def histogram(documents: Sequence[int] = (860, 100, 21, 12, 7, 0), passages: bool = True) -> list[Row]:
    """A repeat histogram with so many documents a bin, 50 tokens and 400 bytes each."""
    grains = ("exact", "near", "passage", "raw") if passages else ("exact", "near", "raw")
    found = []
    for grain in grains:
        for (least, name), n in zip(schemas.BINS, documents, strict=True):
            own = (
                {"passages": n * 3} if grain == "passage" else {"groups": n // 2, "surplus_documents": n // 3}
            )
            row: Row = {"grain": grain, "bin": name, "copies_min": least, "documents": n}
            found.append({**row, "tokens": n * 50, "bytes": n * 400, **own})
    return found


def risks(counts: Sequence[int] = (800, 150, 30, 15, 5, 0)) -> list[Row]:
    """Documents and passages by exposures, with an interval where a tier has one."""
    found = []
    for grain in ("document", "passage"):
        for i, ((least, name), n) in enumerate(zip(schemas.BINS, counts, strict=True)):
            known: Row = {"evidence_low": 0.01 * i, "evidence_high": 0.2 * i}
            evidence: Row = known if 0 < i < 5 else {"evidence_reason": "outside the published range"}
            row: Row = {
                "grain": grain,
                "bin": name,
                "exposures_min": least,
                "risk_tier": TIERS[i],
                f"{grain}s": n,
            }
            found.append({**row, "tokens": n * 50, **evidence})
    return found


def similarities(pairs: int = 7) -> list[Row]:
    """Hundredths of similarity from 0.5, with pairs in each."""
    return [
        {
            "jaccard_min": i / 100,
            "jaccard_max": (i + 1) / 100,
            "pairs": pairs * (i - 49),
            "detection": i / 100,
        }
        for i in range(50, 100)
    ]


def write_run(folder: Path, manifest: Mapping[str, Any] | None = None, **tables: Sequence[Row]) -> Path:
    """Write a run: the given tables by name, the others empty; without passages if so configured."""
    manifest = manifest or manifest_of()
    looked = manifest["config"]["passages"]["enabled"]
    given = {"histogram": histogram(passages=looked), "risk": risks(), "similarity": similarities(), **tables}
    for table in schemas.TABLES:
        if table.name in ("passages", "spans") and not looked:
            continue
        path = folder / table.path.replace("*", "00000")
        write_output(table, rows_of(table, given.get(table.name, [])), path)
    (folder / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def overlap(names: Sequence[str], share: float = 0.25, kind: str = "source") -> list[Row]:
    """Every pair of these sources shares something, at every grain."""
    return [
        {
            "kind": kind, "grain": grain, "scope": "inside" if i == j else "pair", "rank": i,
            "name": names[i], "other_rank": j, "other": names[j], "groups": 3 + i + j,
            "documents": 5, "tokens": 70, "tokens_fraction": share,
        }
        for grain in ("exact", "near", "passage")
        for i in range(len(names))
        for j in range(len(names))
    ]  # fmt: skip


def sources(names: Sequence[str | None], licences: Sequence[str | None] = ("MIT",)) -> list[Row]:
    """One row a source and licence."""
    return [
        {
            "source": name, "licence": licence, "documents": 10 + i, "tokens": 1000 - i, "bytes": 8000,
            "epochs": 1.0, "exposures": 1.5, "near_repeated_documents": 4, "kept_documents": 9,
            "near_repeated_tokens_fraction": 0.5, "passage_repeated_tokens_fraction": 0.125,
        }
        for i, name in enumerate(names)
        for licence in licences
    ]  # fmt: skip
