"""Figures of two runs side by side: headline figures, sources, repeat bins, similarities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.comparing.definitions import Comparable
from pipeline.comparing.tables import (
    HISTOGRAM_CHANGES,
    METRIC_CHANGES,
    OVERLAP_CHANGES,
    SIMILARITY_CHANGES,
    SOURCE_CHANGES,
)
from pipeline.comparing.verdicts import (
    AMONG,
    CHANGE,
    COUNTS_OF_SOURCE,
    SHARES_OF_SOURCE,
    SHARES_WORSE_IF_MORE,
    WORSE_IF_LESS,
    WORSE_IF_MORE,
    judged,
)
from pipeline.report.model import collected, scan
from pipeline.schemas import Table
from pipeline.stages.overlap import LARGEST

_EXPOSURES = "max_exposures"
_CROSSING = ("cross_source_texts", "cross_source_clusters", "cross_source_passages")
_EXPOSURES_OF_SOURCE = ("epochs", "exposures")
_SHARED = ("groups", "documents", "tokens", "tokens_fraction")


@dataclass(frozen=True)
class Changes:
    """Figures before and after: see `tables`."""

    metrics: pl.DataFrame
    sources: pl.DataFrame
    overlap: pl.DataFrame
    histogram: pl.DataFrame
    similarity: pl.DataFrame


def changes(before: Path, after: Path, allowed: Comparable) -> Changes:
    """The figures of two runs that can be compared.

    Cost: the summaries of both runs are held at once.

    Raises:
        ArtifactError: a table is missing.
    """
    old, new = (collected(scan(run, "metrics")) for run in (before, after))
    metrics = old.rename({"value": "before"}).join(
        new.rename({"value": "after"}), ["name", "unit"], "full", coalesce=True
    )
    sizes = metrics.select(
        pl.col("name").alias("among"),
        pl.col("before").alias("size_before"),
        pl.col("after").alias("size_after"),
    )
    return Changes(
        _metrics(metrics, sizes, allowed),
        _sources(before, after, allowed),
        _overlap(before, after, sizes, allowed),
        _histogram(before, after, sizes, allowed),
        _similarity(before, after),
    )


def _ordered(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    names = [column.name for column in table.columns]
    return rows.select(names).sort(table.order, nulls_last=False)


def _metrics(metrics: pl.DataFrame, sizes: pl.DataFrame, allowed: Comparable) -> pl.DataFrame:
    left_out = [*(() if allowed.exposures else (_EXPOSURES,)), *(() if allowed.crossing else _CROSSING)]
    among = pl.DataFrame({"name": list(WORSE_IF_MORE), "among": list(WORSE_IF_MORE.values())})
    name = pl.col("name")
    rows = metrics.filter(~name.is_in(left_out)).with_columns(CHANGE)
    rows = rows.join(among, "name", "left").join(sizes, "among", "left")
    more, less = name.is_in([*WORSE_IF_MORE, *SHARES_WORSE_IF_MORE]), name.is_in(list(WORSE_IF_LESS))
    return _ordered(judged(rows, more, less), METRIC_CHANGES)


def _sources(before: Path, after: Path, allowed: Comparable) -> pl.DataFrame:
    key = ["source", "licence"]
    old, new = (collected(scan(run, "sources")) for run in (before, after))
    if not allowed.sources:
        old, new = old.clear(), new.clear()
    left_out = () if allowed.exposures else _EXPOSURES_OF_SOURCE
    figures = [name for name in old.columns if name not in (*key, *left_out)]
    # A source that a run has not got has no documents there; of a share nothing can be said.
    both = _side_by_side(old, new, key, [name for name in figures if old.schema[name] == pl.Int64])
    rows = pl.concat([_figure(both, key, name, _size_of_source(name)) for name in figures])
    more = pl.col("figure").is_in([*COUNTS_OF_SOURCE, *SHARES_OF_SOURCE])
    return _ordered(judged(rows, more), SOURCE_CHANGES)


def _size_of_source(figure: str) -> str | None:
    return "documents" if figure in COUNTS_OF_SOURCE else None


def _side_by_side(
    old: pl.DataFrame, new: pl.DataFrame, key: list[str], counts: Sequence[str]
) -> pl.DataFrame:
    # Columns of the new run end in `_after`; counts that one of the runs has not got are 0 there.
    both = old.with_columns(in_old=True).join(
        new.with_columns(in_new=True), key, "full", suffix="_after", coalesce=True, nulls_equal=True
    )
    for end, there, other in (("", "in_old", "_after"), ("_after", "in_new", "")):
        absent = pl.col(there).is_null()
        both = both.with_columns(
            pl.when(absent & pl.col(f"{name}{other}").is_not_null())
            .then(0)
            .otherwise(pl.col(f"{name}{end}"))
            .alias(f"{name}{end}")
            for name in counts
        )
    return both


def _figure(both: pl.DataFrame, key: list[str], name: str, size: str | None) -> pl.DataFrame:
    # A row for each place where this figure is not the same in both runs.
    def value(column: str | None, end: str) -> pl.Expr:
        return (pl.lit(None) if column is None else pl.col(f"{column}{end}")).cast(pl.Float64)

    return (
        both.select(
            *key,
            pl.lit(name).alias("figure"),
            value(name, "").alias("before"),
            value(name, "_after").alias("after"),
            value(size, "").alias("size_before"),
            value(size, "_after").alias("size_after"),
        )
        .filter(pl.col("before").ne_missing(pl.col("after")))
        .with_columns(CHANGE)
    )


def _overlap(before: Path, after: Path, sizes: pl.DataFrame, allowed: Comparable) -> pl.DataFrame:
    key = ["kind", "grain", "scope", "name", "other"]
    shared = [collected(scan(run, "source_overlap")) for run in (before, after)]
    # Which sources are among the largest may differ, and so what all beyond them are together.
    cut = any((rows["rank"] == LARGEST).any() for rows in shared)
    beyond = (pl.col("rank") == LARGEST) | (pl.col("other_rank") == LARGEST).fill_null(False)
    old, new = (rows.filter(~beyond).select(*key, *_SHARED) for rows in shared)
    if not allowed.sources:
        old, new = old.clear(), new.clear()
    # What shares nothing has no row; nor has what is beyond the largest, of which that is not known.
    both = _side_by_side(old, new, key, () if cut else _SHARED)
    rows = pl.concat([_figure(both, key, name, None) for name in _SHARED])
    among = pl.col("figure").replace_strict(AMONG, default=None).alias("among")
    rows = rows.drop("size_before", "size_after").with_columns(among).join(sizes, "among", "left")
    return _ordered(judged(rows, pl.lit(True)), OVERLAP_CHANGES)


def _histogram(before: Path, after: Path, sizes: pl.DataFrame, allowed: Comparable) -> pl.DataFrame:
    key = ["grain", "bin", "copies_min", "figure"]
    old, new = (_bins(run, allowed.exposures) for run in (before, after))
    rows = (
        old.rename({"value": "before"})
        .join(new.rename({"value": "after"}), key, "full", coalesce=True)
        .with_columns(CHANGE, pl.col("figure").replace_strict(AMONG).alias("among"))
        .join(sizes, "among", "left")
    )
    # What occurs once is how much there is, not how much of it repeats.
    return _ordered(judged(rows, pl.col("copies_min") > 1), HISTOGRAM_CHANGES)


def _bins(run: Path, exposures: bool) -> pl.DataFrame:
    # One row a figure; a figure that a grain has not got has none.
    repeats = collected(scan(run, "histogram"))
    parts = [repeats.unpivot(index=["grain", "bin", "copies_min"], variable_name="figure")]
    if exposures:
        risk = collected(scan(run, "risk")).select(
            pl.col("grain") + " exposures",
            "bin",
            pl.col("exposures_min").alias("copies_min"),
            "documents",
            "passages",
            "tokens",
        )
        parts.append(risk.unpivot(index=["grain", "bin", "copies_min"], variable_name="figure"))
    return pl.concat(parts).drop_nulls("value").with_columns(pl.col("value").cast(pl.Float64))


def _similarity(before: Path, after: Path) -> pl.DataFrame:
    old, new = (collected(scan(run, "similarity")) for run in (before, after))
    key = ["jaccard_min", "jaccard_max"]
    rows = old.select(*key, before="pairs").join(new.select(*key, after="pairs"), key)
    return _ordered(rows.with_columns(CHANGE), SIMILARITY_CHANGES)
