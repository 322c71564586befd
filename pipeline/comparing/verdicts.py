"""Whether a change of a figure is for the better.

A corpus that grows by a tenth has a tenth more of everything, repeats included. So a count is judged
beside what it is counted among: it is worse if there is more of it and it is a larger share of
that, better if there is less and it is a smaller share, and neutral otherwise. Shares are judged as they are.
"""

from __future__ import annotations

import polars as pl

GRAINS = ("raw", "exact", "near")

_TEXTS = "exact_distinct"
# Headline figures that had better be small, with the figure that each is counted among.
WORSE_IF_MORE = {
    **{
        f"{grain}_{name}": "documents"
        for grain in GRAINS
        for name in ("groups", "grouped_documents", "surplus_documents", "largest_group")
    },
    "chained_clusters": "documents",
    "clusters": "documents",
    "cross_source_clusters": "documents",
    "cross_source_passages": "documents",
    "cross_source_texts": "documents",
    "max_exposures": "documents",
    "passage_most_occurrences": "documents",
    "passage_repeated_documents": "documents",
    "passage_repeated_tokens": "tokens",
    "passages": "documents",
    "rejected_files": "input_files",
    "rejected_rows": "input_rows",
    "text_id_collisions": _TEXTS,
    "texts_exposed_by_representative": _TEXTS,
    "texts_not_looked_at_again": _TEXTS,
    "unsettled_texts": _TEXTS,
}
# Shares are counted among nothing; all figures that are in none of the three are neutral.
SHARES_WORSE_IF_MORE = (
    *(f"{grain}_{name}" for grain in GRAINS for name in ("surplus_fraction", "repeated_tokens_fraction")),
    "passage_repeated_tokens_fraction",
    "rejected_fraction",
)
WORSE_IF_LESS = ("recall", "recall_high", "recall_low")

# The same of a source, whose counts are judged beside its documents.
COUNTS_OF_SOURCE = tuple(f"{grain}_repeated_documents" for grain in (*GRAINS, "passage"))
SHARES_OF_SOURCE = tuple(f"{grain}_repeated_tokens_fraction" for grain in (*GRAINS, "passage"))

# What figures of a bin, or of what sources share, are counted among.
AMONG = {
    "documents": "documents",
    "groups": "documents",
    "surplus_documents": "documents",
    "passages": "documents",
    "tokens": "tokens",
    "bytes": "bytes",
}

CHANGE = (pl.col("after") - pl.col("before")).alias("change")


def judged(rows: pl.DataFrame, worse_if_more: pl.Expr, worse_if_less: pl.Expr | None = None) -> pl.DataFrame:
    """Figures with a verdict on their change.

    Args:
        rows: before, after and change; size_before and size_after: what a count is counted among, null
            for what is no count.
        worse_if_more, worse_if_less: which figures had better be small, or large.
    """
    less = pl.lit(False) if worse_if_less is None else worse_if_less
    share = _share("after") - _share("before")
    alone = pl.col("size_before").is_null() | pl.col("size_after").is_null()
    moved = pl.col("change").sign()
    moved = pl.when(alone | (share.sign() == moved)).then(moved).otherwise(0.0)
    worse = (worse_if_more & (moved > 0)) | (less & (moved < 0))
    better = (worse_if_more & (moved < 0)) | (less & (moved > 0))
    verdict = (
        pl.when(pl.col("before").eq_missing(pl.col("after")))
        .then(pl.lit("same"))
        .when(worse)
        .then(pl.lit("worse"))
        .when(better)
        .then(pl.lit("better"))
        .otherwise(pl.lit("neutral"))
    )
    return rows.with_columns(verdict.alias("verdict"))


def _share(when: str) -> pl.Expr:
    # A quotient is rounded once: of a corpus twice as large, the same share is the same number.
    size = pl.col(f"size_{when}")
    return pl.when(size == 0).then(0.0).otherwise(pl.col(when) / size)
