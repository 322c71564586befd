"""The summaries: partial sums of the parts merged into histogram, sources and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.artifacts import frame, write_output
from pipeline.config import NearConfig
from pipeline.mapped import read_mapped
from pipeline.mixture import Epochs
from pipeline.recall import Findable, detection, estimate
from pipeline.risk import TIERS, Evidence
from pipeline.schemas import BINS, HISTOGRAM, METRICS, RISK, SIMILARITY
from pipeline.stages.documents import BY_COPIES, GRAINS, DocumentsResult
from pipeline.stages.overlap import Overlapped, Ranks
from pipeline.stages.pairs import PairsResult
from pipeline.stages.scan import STATUS
from pipeline.stages.sources import sums_of_sources, write_overlap, write_sources
from pipeline.stages.texts import TextsResult

Figures = dict[str, tuple[float | None, str]]  # value and unit by name


def _merged(paths: Sequence[str], schema: pa.Schema, by: Sequence[str]) -> pl.DataFrame:
    # A corpus without a document has no parts, and still a summary.
    rows = frame(
        pa.concat_tables([schema.empty_table(), *(read_mapped(path).cast(schema) for path in paths)])
    )
    return rows.group_by(by).agg(pl.exclude(by).sum()).sort(by, nulls_last=False)


@dataclass(frozen=True)
class PassageTotals:
    """The passage grain of a corpus by repeat bin: distinct passages, and (from the second bin) the
    tokens and bytes that lie in them."""

    passages: tuple[int, ...]
    tokens: tuple[int, ...]
    bytes: tuple[int, ...]


@dataclass(frozen=True)
class Found:
    """What the stages of a run found, as far as the summaries tell of it.

    Attributes:
        documents, texts, pairs: results of these stages. recall: what each range of texts says about it.
        overlaps: see `overlap`; ranks: the names in them.
        passages: of the passage grain, if passages were looked for; exposed: see `passages`.
    """

    documents: Sequence[DocumentsResult]
    texts: Sequence[TextsResult]
    pairs: Sequence[PairsResult]
    recall: Sequence[Findable]
    overlaps: Sequence[Overlapped]
    ranks: Sequence[Ranks]
    passages: PassageTotals | None
    exposed: tuple[tuple[int, ...], tuple[int, ...]] | None


def _by_copies(parts: Sequence[DocumentsResult]) -> pl.DataFrame:
    # One row a grain and number of copies; copies divide documents, so groups are whole.
    return _merged([part.by_copies for part in parts], BY_COPIES, ["grain", "copies"]).with_columns(
        (pl.col("documents") // pl.col("copies")).alias("groups")
    )


def write_histogram(parts: Sequence[DocumentsResult], totals: PassageTotals | None, path: str) -> None:
    """Write documents, groups, tokens and bytes by grain and repeat bin, empty bins included.

    Args:
        totals: of the passage grain, if passages were looked for.
    """
    edges = [low for low, _ in BINS]
    bins = pl.DataFrame(
        {"copies_min": edges, "bin": [name for _, name in BINS]}, schema_overrides={"copies_min": pl.Int64}
    )
    grains = [*GRAINS, *(() if totals is None else ("passage",))]
    every = pl.DataFrame({"grain": grains}).join(bins, how="cross")
    reached = [pl.when(pl.col("copies") >= low).then(pl.lit(low, pl.Int64)) for low in edges]
    counted = (
        _by_copies(parts)
        .with_columns(pl.max_horizontal(reached).alias("copies_min"))
        .group_by("grain", "copies_min")
        .agg(pl.col("documents", "groups", "tokens", "bytes").sum())
        .with_columns((pl.col("documents") - pl.col("groups")).alias("surplus_documents"))
    )
    table = every.join(counted, ["grain", "copies_min"], "left").with_columns(
        pl.col("documents", "groups", "surplus_documents", "tokens", "bytes").fill_null(0),
        pl.lit(None, pl.Int64).alias("passages"),
    )
    if totals is not None:
        table = pl.concat([table.filter(pl.col("grain") != "passage"), _of_passages(table, totals)])
    names = HISTOGRAM.arrow_schema().names
    write_output(HISTOGRAM, table.sort("grain", "copies_min").select(names).to_arrow(), path)


def _of_passages(table: pl.DataFrame, totals: PassageTotals) -> pl.DataFrame:
    # Of tokens and bytes, those that lie in no passage are in the first bin.
    rows = table.filter(pl.col("grain") == "passage").sort("copies_min")
    columns = {}
    for name, inside in (("tokens", totals.tokens), ("bytes", totals.bytes)):
        outside = max(_sum(rows, name) - sum(inside), 0)
        columns[name] = pl.Series(name, [outside, *inside], pl.Int64)
    nothing = pl.lit(None, pl.Int64)
    return rows.with_columns(
        nothing.alias("groups"),
        nothing.alias("surplus_documents"),
        pl.Series("passages", totals.passages, pl.Int64),
        **columns,
    )


def _sum(rows: pl.DataFrame, column: str) -> int:
    return int(rows[column].sum())


def grain_figures(parts: Sequence[DocumentsResult]) -> Figures:
    """The headline figures of each grain: distinct, groups of two or more, surplus, largest."""
    rows = _by_copies(parts)
    figures: Figures = {}
    for grain in GRAINS:
        mine = rows.filter(pl.col("grain") == grain)
        again = mine.filter(pl.col("copies") > 1)
        documents, groups, tokens = (_sum(mine, name) for name in ("documents", "groups", "tokens"))
        surplus = documents - groups
        figures[f"{grain}_distinct"] = groups, "texts"
        figures[f"{grain}_groups"] = _sum(again, "groups"), "groups"
        figures[f"{grain}_grouped_documents"] = _sum(again, "documents"), "documents"
        figures[f"{grain}_surplus_documents"] = surplus, "documents"
        figures[f"{grain}_surplus_fraction"] = surplus / documents if documents else None, "0 to 1"
        share = _sum(again, "tokens") / tokens if tokens else None
        figures[f"{grain}_repeated_tokens_fraction"] = share, "0 to 1"
        figures[f"{grain}_largest_group"] = max(mine["copies"].to_list(), default=None), "documents"
    return figures


def distinct_figures(parts: Sequence[DocumentsResult]) -> Figures:
    """What is left of tokens and bytes when every copy but one is left out."""
    rows = _by_copies(parts)
    once = {name: pl.col(name) // pl.col("copies") for name in ("tokens", "bytes")}
    exact, raw = (rows.filter(pl.col("grain") == grain).select(**once) for grain in ("exact", "raw"))
    return {
        "exact_distinct_tokens": (_sum(exact, "tokens"), "tokens"),
        "raw_distinct_bytes": (_sum(raw, "bytes"), "bytes"),
    }


def passage_figures(sources: pl.DataFrame) -> Figures:
    """The headline figures of the passage grain that come from documents."""
    repeated, tokens = _sum(sources, "passage_tokens"), _sum(sources, "tokens")
    return {
        "passage_repeated_documents": (_sum(sources, "passage_documents"), "documents"),
        "passage_repeated_tokens": (repeated, "tokens"),
        "passage_repeated_tokens_fraction": (repeated / tokens if tokens else None, "0 to 1"),
    }


def corpus_figures(sources: pl.DataFrame) -> Figures:
    """Size of the corpus, and its documents by status."""
    figures: Figures = {}
    for name in ("documents", "tokens", "bytes"):
        figures[name] = _sum(sources, name), name
    for status in STATUS:
        figures[f"{status}_documents"] = _sum(sources, status), "documents"
    return figures


def crossing_figures(overlaps: Sequence[Overlapped]) -> Figures:
    """Groups that stand in two sources or more; not defined where no source or grain is known."""
    figures: Figures = {}
    for grain, unit in (("exact", "texts"), ("near", "clusters"), ("passage", "passages")):
        found = [
            count
            for part in overlaps
            if part.grain == grain
            for kind, count in part.crossing
            if kind == "source"
        ]
        figures[f"cross_source_{unit}"] = sum(found) if found else None, unit
    return figures


def write_risk(
    documents: Sequence[DocumentsResult],
    passages: tuple[tuple[int, ...], tuple[int, ...]] | None,
    evidence: Sequence[Evidence],
    path: str,
) -> None:
    """Write documents and passages by bin of exposures, with what is published about each."""
    nothing = np.zeros(len(BINS), np.int64)
    counts, tokens = (
        sum((np.array(getattr(part, name)) for part in documents), start=nothing).tolist()
        for name in ("exposed", "exposed_tokens")
    )
    found = {"document": ("documents", counts, tokens)}
    if passages is not None:
        found["passage"] = ("passages", *passages)
    rows = [
        {
            "grain": grain,
            "bin": BINS[i][1],
            "exposures_min": BINS[i][0],
            "risk_tier": TIERS[i],
            counted: numbers[i],
            "tokens": lengths[i],
            "evidence_low": known.low,
            "evidence_high": known.high,
            "evidence_reason": known.reason,
        }
        for grain, (counted, numbers, lengths) in found.items()
        for i, known in enumerate(evidence)
    ]
    write_output(RISK, pa.Table.from_pylist(rows, RISK.arrow_schema()), path)


def write_similarity(pairs: Sequence[PairsResult], near: NearConfig, path: str) -> None:
    """Write verified pairs by hundredth of similarity, and how likely each is to be found."""
    counts = sum((np.array(part.by_hundredth) for part in pairs), start=np.zeros(100, np.int64))
    edges = np.arange(int(near.floor * 100 + 1e-9), 101)
    low, high = edges[:-1] / 100, edges[1:] / 100
    if not len(low):  # a floor of 1
        low, high, edges = np.array([0.99]), np.array([1.0]), np.array([99, 100])
    columns = (low, high, counts[edges[:-1]], detection(low, *near.banding))
    names = SIMILARITY.arrow_schema().names
    write_output(SIMILARITY, pa.table(dict(zip(names, columns, strict=True))), path)


def write_metrics(figures: Figures, path: str) -> None:
    """Write named figures with their units."""
    names = sorted(figures)
    columns = {
        "name": pa.array(names, pa.large_string()),
        "value": pa.array(
            [None if figures[n][0] is None else float(figures[n][0] or 0) for n in names], pa.float64()
        ),
        "unit": pa.array([figures[n][1] for n in names], pa.large_string()),
    }
    write_output(METRICS, pa.table(columns), path)


def write_summary(
    found: Found,
    figures: Figures,
    near: NearConfig,
    epochs: Epochs,
    evidence: Sequence[Evidence],
    folder: str,
) -> Figures:
    """Write all tables of the summary but the examples.

    Args:
        figures: those known from earlier stages. epochs: how often training shows each source.
        evidence: by bin of exposures, for the configured model.

    Returns:
        All figures.
    """
    sources = sums_of_sources(found.documents)
    write_histogram(found.documents, found.passages, f"{folder}/histogram.parquet")
    write_similarity(found.pairs, near, f"{folder}/similarity.parquet")
    write_sources(sources, found.texts, epochs, found.passages is not None, f"{folder}/sources.parquet")
    write_overlap(sources, found.overlaps, found.ranks, f"{folder}/source_overlap.parquet")
    write_risk(found.documents, found.exposed, evidence, f"{folder}/risk.parquet")
    recall = estimate(found.recall, int(figures["unsettled_texts"][0] or 0))
    every = {
        **figures,
        **corpus_figures(sources),
        **grain_figures(found.documents),
        **distinct_figures(found.documents),
        **crossing_figures(found.overlaps),
        **({} if found.passages is None else passage_figures(sources)),
        "max_exposures": (max((part.most_exposures for part in found.documents), default=None), "exposures"),
        "near_findable_texts": (sum(part.found for part in found.recall), "texts"),
        "recall": (recall.estimate, "0 to 1"),
        "recall_low": (recall.low, "0 to 1"),
        "recall_high": (recall.high, "0 to 1"),
    }
    write_metrics(every, f"{folder}/metrics.parquet")
    return every
