"""What each source and licence holds and repeats, and what they share with each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.artifacts import frame, read_output, write_output
from pipeline.config import MixtureConfig
from pipeline.mapped import read_mapped
from pipeline.mixture import MILLION, Epochs
from pipeline.readers.wording import printable
from pipeline.schemas import SOURCE_OVERLAP, SOURCES
from pipeline.stages.documents import BY_SOURCE, GRAINS, DocumentsResult
from pipeline.stages.overlap import NONE, Overlapped, Ranks, merged
from pipeline.stages.runs import starts_of_runs
from pipeline.stages.texts import DISTINCT, TextsResult

_LABEL = ["source", "licence", "source_hash", "licence_hash"]


def sums_of_sources(parts: Sequence[DocumentsResult]) -> pl.DataFrame:
    """The sums of all parts of the documents table, by source and licence."""
    # A corpus without a document has no parts, and still a summary.
    tables = [BY_SOURCE.empty_table(), *(read_mapped(part.by_source).cast(BY_SOURCE) for part in parts)]
    rows = frame(pa.concat_tables(tables)).sort(_LABEL, nulls_last=False, maintain_order=True)
    sums = rows.group_by(_LABEL, maintain_order=True).agg(pl.exclude(*_LABEL, "exposed_tokens").sum())
    # Floats, added in the order of the parts.
    starts = starts_of_runs(*(rows[name].to_numpy() for name in _LABEL[2:]))
    exposed = rows["exposed_tokens"].to_numpy()
    total = np.add.reduceat(exposed, starts) if len(starts) else exposed
    return sums.with_columns(pl.Series("exposed_tokens", total, pl.Float64))


def write_sources(
    sums: pl.DataFrame, texts: Sequence[TextsResult], epochs: Epochs, passages: bool, path: str
) -> None:
    """Write documents, tokens, exposures and repeated shares by source and licence.

    Args:
        sums: see `sums_of_sources`. texts: results of that stage. epochs: how often training shows each
            source. passages: whether they were looked for.
    """
    tokens = pl.max_horizontal(pl.col("tokens"), pl.lit(1))
    counted = pa.concat_tables([DISTINCT.empty_table(), *(read_mapped(part.by_label) for part in texts)])
    distinct = frame(counted).group_by(source_hash="source", licence_hash="licence").agg(pl.sum("texts"))
    rows = sums.join(distinct, ["source_hash", "licence_hash"], "left", maintain_order="left")
    table = rows.select(
        "source",
        "licence",
        "documents",
        pl.col("texts").fill_null(0).alias("distinct_texts"),
        "tokens",
        "bytes",
        pl.Series("epochs", epochs.of(rows["source_hash"].to_numpy()) / MILLION),
        pl.when(pl.col("tokens") > 0).then(pl.col("exposed_tokens") / tokens).alias("exposures"),
        *(pl.col(f"{grain}_documents").alias(f"{grain}_repeated_documents") for grain in GRAINS),
        *(
            (pl.col(f"{grain}_tokens") / tokens).alias(f"{grain}_repeated_tokens_fraction")
            for grain in GRAINS
        ),
        *(
            pl.when(pl.lit(passages)).then(value).alias(name)
            for name, value in (
                ("passage_repeated_documents", pl.col("passage_documents")),
                ("passage_repeated_tokens_fraction", pl.col("passage_tokens") / tokens),
            )
        ),
        pl.col("kept").alias("kept_documents"),
    )
    write_output(SOURCES, table.to_arrow(), path)


def notes_on_mixture(mixture: MixtureConfig, path: str) -> list[str]:
    """What about a mixture does not fit the sources table at `path`, in sentences."""
    rows = frame(read_output(path)).group_by("source").agg(pl.sum("documents"))
    found = set(rows["source"].drop_nulls())
    named = mixture.epochs if mixture.weights is None else mixture.weights
    notes = []
    absent = sorted(named.keys() - found)
    if absent:
        shown = ", ".join(printable(repr(name), 60) for name in absent[:5])
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        notes.append(f"The mixture names sources that no document has: {shown}{more}.")
    if mixture.weights is not None:
        others = rows.filter(pl.col("source").is_null() | ~pl.col("source").is_in(list(named)))
        documents = int(others["documents"].sum())
        if documents:
            notes.append(
                f"Documents of sources that mixture.weights does not name: {documents:,}. They count as not"
                " trained on, with 0 epochs."
            )
    return notes


def write_overlap(
    sums: pl.DataFrame, overlaps: Sequence[Overlapped], ranks: Sequence[Ranks], path: str
) -> None:
    """Write what sources share, and licences, with their names.

    Args:
        sums: see `sums_of_sources`. overlaps, ranks: see `overlap`.
    """
    names = pl.concat([_names(sums, ranked) for ranked in ranks]) if ranks else _NO_NAMES
    others = names.select("kind", other_rank="rank", other="name")
    rows = (
        merged(overlaps)
        .join(names, ["kind", "rank"], "left")
        .join(others, ["kind", "other_rank"], "left")
        .sort(SOURCE_OVERLAP.order, nulls_last=False)
    )
    # By NumPy: polars multiplies by the reciprocal of a column with one value, not quite the same.
    share = rows["tokens"].to_numpy() / np.maximum(rows["total"].to_numpy(), 1)
    table = rows.with_columns(
        pl.when(pl.col("total") > 0).then(pl.Series(share, dtype=pl.Float64)).alias("tokens_fraction")
    )
    write_output(SOURCE_OVERLAP, table.select(SOURCE_OVERLAP.arrow_schema().names).to_arrow(), path)


_NAMES = {"kind": pl.String, "rank": pl.Int64, "name": pl.String, "total": pl.Int64}
_NO_NAMES = pl.DataFrame(schema=_NAMES)


def _names(sums: pl.DataFrame, ranked: Ranks) -> pl.DataFrame:
    # Name and tokens of each rank.
    hashes = sums[f"{ranked.kind}_hash"].to_numpy()
    rank = pl.Series("rank", ranked.of(hashes))
    own = pl.when(rank.is_between(NONE + 1, len(ranked.hashes) - 1)).then(pl.col(ranked.kind))
    found = sums.select(rank, own.alias("name"), "tokens")
    totals = found.group_by("rank").agg(pl.col("name").first(), pl.sum("tokens").alias("total"))
    return totals.with_columns(pl.lit(ranked.kind).alias("kind")).select(list(_NAMES))
