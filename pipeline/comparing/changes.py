"""Figures of two runs side by side: headline figures, sources, repeat bins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.comparing.definitions import Comparable
from pipeline.comparing.tables import HISTOGRAM_CHANGES, METRIC_CHANGES, SOURCE_CHANGES
from pipeline.report.model import collected, scan
from pipeline.schemas import Table

GRAINS = ("raw", "exact", "near")
_OF_GRAIN = (
    "groups",
    "grouped_documents",
    "surplus_documents",
    "surplus_fraction",
    "repeated_tokens_fraction",
    "largest_group",
)
_EXPOSURES = "max_exposures"
_CROSSING = ("cross_source_texts", "cross_source_clusters", "cross_source_passages")

# Headline figures that had better be small; all that are in neither list are neutral.
WORSE_IF_MORE = (
    *(f"{grain}_{name}" for grain in GRAINS for name in _OF_GRAIN),
    *_CROSSING,
    _EXPOSURES,
    "chained_clusters",
    "clusters",
    "passage_most_occurrences",
    "passage_repeated_documents",
    "passage_repeated_tokens",
    "passage_repeated_tokens_fraction",
    "passages",
    "rejected_files",
    "rejected_fraction",
    "rejected_rows",
    "text_id_collisions",
    "texts_exposed_by_representative",
    "texts_not_looked_at_again",
    "unsettled_texts",
)
WORSE_IF_LESS = ("recall", "recall_high", "recall_low")

_NEUTRAL_OF_SOURCE = ("documents", "distinct_texts", "tokens", "bytes", "epochs", "kept_documents")
_EXPOSURES_OF_SOURCE = ("epochs", "exposures")


@dataclass(frozen=True)
class Changes:
    """Figures before and after: see `tables`."""

    metrics: pl.DataFrame
    sources: pl.DataFrame
    histogram: pl.DataFrame


def changes(before: Path, after: Path, allowed: Comparable) -> Changes:
    """The figures of two runs that can be compared.

    Cost: the summaries of both runs are held at once.

    Raises:
        ArtifactError: a table is missing.
    """
    return Changes(
        _metrics(before, after, allowed), _sources(before, after, allowed), _histogram(before, after, allowed)
    )


def _verdict(worse_if_more: pl.Expr, worse_if_less: pl.Expr) -> pl.Expr:
    # Where one of the two is not defined, nothing can be said of the change.
    same = pl.col("before").eq_missing(pl.col("after"))
    worse = (worse_if_more & (pl.col("change") > 0)) | (worse_if_less & (pl.col("change") < 0))
    judged = (worse_if_more | worse_if_less) & pl.col("change").is_not_null()
    words = pl.when(same).then(pl.lit("same")).when(~judged).then(pl.lit("neutral"))
    return words.when(worse).then(pl.lit("worse")).otherwise(pl.lit("better")).alias("verdict")


def _ordered(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    names = [column.name for column in table.columns]
    return rows.select(names).sort(table.order, nulls_last=False)


_CHANGE = (pl.col("after") - pl.col("before")).alias("change")
_NEVER = pl.lit(False)


def _metrics(before: Path, after: Path, allowed: Comparable) -> pl.DataFrame:
    old, new = (collected(scan(run, "metrics")) for run in (before, after))
    left_out = [*(() if allowed.exposures else (_EXPOSURES,)), *(() if allowed.crossing else _CROSSING)]
    rows = (
        old.rename({"value": "before"})
        .join(new.rename({"value": "after"}), ["name", "unit"], "full", coalesce=True)
        .filter(~pl.col("name").is_in(left_out))
        .with_columns(_CHANGE)
    )
    name = pl.col("name")
    verdict = _verdict(name.is_in(list(WORSE_IF_MORE)), name.is_in(list(WORSE_IF_LESS)))
    return _ordered(rows.with_columns(verdict), METRIC_CHANGES)


def _sources(before: Path, after: Path, allowed: Comparable) -> pl.DataFrame:
    key = ["source", "licence"]
    old, new = (collected(scan(run, "sources")) for run in (before, after))
    if not allowed.sources:
        old, new = old.clear(), new.clear()
    left_out = () if allowed.exposures else _EXPOSURES_OF_SOURCE
    figures = [name for name in old.columns if name not in (*key, *left_out)]
    counts = [name for name in figures if old.schema[name] == pl.Int64]
    both = old.with_columns(in_old=True).join(
        new.with_columns(in_new=True), key, "full", suffix="_after", coalesce=True, nulls_equal=True
    )
    # A source that a run has not got has no documents there; of a share nothing can be said.
    for end, there, other in (("", "in_old", "_after"), ("_after", "in_new", "")):
        absent = pl.col(there).is_null()
        both = both.with_columns(
            pl.when(absent & pl.col(f"{name}{other}").is_not_null())
            .then(0)
            .otherwise(pl.col(f"{name}{end}"))
            .alias(f"{name}{end}")
            for name in counts
        )
    rows = [
        both.select(
            *key,
            pl.lit(name).alias("figure"),
            pl.col(name).cast(pl.Float64).alias("before"),
            pl.col(f"{name}_after").cast(pl.Float64).alias("after"),
        ).filter(pl.col("before").ne_missing(pl.col("after")))
        for name in figures
    ]
    found = pl.concat(rows).with_columns(_CHANGE)
    verdict = _verdict(~pl.col("figure").is_in(list(_NEUTRAL_OF_SOURCE)), _NEVER)
    return _ordered(found.with_columns(verdict), SOURCE_CHANGES)


def _histogram(before: Path, after: Path, allowed: Comparable) -> pl.DataFrame:
    key = ["grain", "bin", "copies_min", "figure"]
    old, new = (_bins(run, allowed.exposures) for run in (before, after))
    rows = (
        old.rename({"value": "before"})
        .join(new.rename({"value": "after"}), key, "full", coalesce=True)
        .with_columns(_CHANGE)
    )
    # What occurs once is how much there is, not how much of it repeats.
    return _ordered(rows.with_columns(_verdict(pl.col("copies_min") > 1, _NEVER)), HISTOGRAM_CHANGES)


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
