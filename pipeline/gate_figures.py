"""The figures that gates look at, from the summary tables of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.artifacts import frame, open_parquet
from pipeline.config import GateConfig
from pipeline.errors import ArtifactError
from pipeline.gate_names import CROSSING
from pipeline.readers.wording import printable
from pipeline.schemas import METRICS, SOURCE_OVERLAP, SOURCES, Table
from pipeline.stages.overlap import LARGEST

NAME_CHARACTERS = 60  # of a source or run in a verdict

Metrics = Mapping[str, float | None]


@dataclass(frozen=True)
class Figure:
    """A number that a gate looks at: what of, in words; or why there is none."""

    value: float | None
    of: str = ""
    missing: str = ""


def figures_of(metric: str, gate: GateConfig, run: Path, metrics: Metrics) -> list[Figure]:
    """The figures that a gate looks at: of the corpus, of each source, or of two; at least one.

    Args:
        metric: its name in the metrics table, of which `metrics` are all of the run.
    """
    if gate.per_source:
        return _of_sources(metric, run)
    if gate.between is not None:
        return [_between(metric, gate.between, run, metrics)]
    return [metric_of(metrics, metric)]


def metric_of(metrics: Metrics, name: str) -> Figure:
    """A headline figure, or why there is none."""
    if name not in metrics:
        unlooked = "passage" in name and "passages" not in metrics
        why = "this run did not look for passages" if unlooked else "this run has no such figure"
        return Figure(None, missing=f"not measured: {why}")
    return Figure(metrics[name], missing="not defined for this run")


def _of_sources(share: str, run: Path) -> list[Figure]:
    rows = _rows(SOURCES, run, ["source", "tokens", share]).filter(pl.col("tokens") > 0)
    if rows["source"].null_count() == len(rows):
        return [Figure(None, missing="not defined: no document with tokens has a source")]
    if rows[share].null_count():
        return [Figure(None, missing="not measured: this run did not look for passages")]
    # Over licences. A share times its tokens is a count, but for the rounding of the share.
    repeated = (pl.col(share) * pl.col("tokens")).round().sum()
    sums = rows.group_by("source").agg(repeated, pl.sum("tokens")).sort("source")
    return [
        Figure(some / tokens, " in documents without a source" if source is None else f" in {quoted(source)}")
        for source, some, tokens in sums.select("source", share, "tokens").iter_rows()
    ]


def _between(metric: str, pair: tuple[str, str], run: Path, metrics: Metrics) -> Figure:
    one, other = pair
    sources = _rows(SOURCES, run, ["source", "tokens"]).drop_nulls("source")
    sums = sources.group_by("source").agg(pl.sum("tokens"))
    # The order that ranks have in source_overlap.
    known = sums.sort(["tokens", "source"], descending=[True, False])["source"].to_list()
    for name in pair:
        if name not in known:
            return Figure(None, missing=f"not defined: no document has the source {quoted(name)}")
        if name not in known[:LARGEST]:
            small = f"source {quoted(name)} is not one of the {LARGEST} largest, whose pairs are counted"
            return Figure(None, missing=f"not measured: {small}")
    if (of_all := metric_of(metrics, metric)).value is None:
        return of_all
    rows = _rows(SOURCE_OVERLAP, run, ["kind", "grain", "scope", "name", "other", "groups"])
    rows = rows.filter(kind="source", grain=CROSSING[metric], scope="pair", name=one, other=other)
    return Figure(float(rows["groups"].sum()), f" between {quoted(one)} and {quoted(other)}")


def metrics_of(run: Path) -> Metrics:
    """The headline figures of a run.

    Raises:
        ArtifactError: their table is missing, damaged or of another version.
    """
    return dict(_rows(METRICS, run, ["name", "value"]).iter_rows())


def _rows(table: Table, run: Path, columns: list[str]) -> pl.DataFrame:
    path = run / table.path
    with open_parquet(path) as file:
        lacking = [column for column in columns if column not in file.schema_arrow.names]
        if lacking:
            raise ArtifactError(
                f"the table {table.name} is of another version",
                where=str(path),
                got=f"no column {', '.join(lacking)}",
                fix="audit again with this version",
            )
        return frame(file.read(columns, use_threads=False))


def quoted(name: str) -> str:
    """A name as a verdict shows it: on one line, without what moves a terminal's cursor."""
    return printable(repr(name), NAME_CHARACTERS)
