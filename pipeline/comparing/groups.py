"""Clusters and passages that are large in one of two runs, followed from one to the other.

A passage keeps its id. A cluster does not: it is named by its smallest text_id, so a text that joins
can rename it, and clusters merge and split. So clusters are matched by the texts they share: two are
the same where each is the one that the other shares most texts with (then the one with the smaller
id). Of clusters that are small in their run only the texts in a large one of the other run count.

Memory: the text_ids of both runs are joined a range at a time, as many ranges as it takes; each range
reads these two columns of both documents tables once more. What is held besides grows with the large
clusters and passages alone.
"""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl

from pipeline.artifacts import KeyRange, key_ranges
from pipeline.comparing.tables import CLUSTER_CHANGES, PASSAGE_CHANGES
from pipeline.report.model import collected, scan

TEXTS_A_PASS = 1 << 24  # 16 bytes each, of two runs, held a few times over: about 2 GB
TEXT_CHARACTERS = 200

_LINKS = {"old": pl.UInt64, "new": pl.UInt64, "texts": pl.UInt32}


def changed_clusters(before: Path, after: Path, least: int, texts_a_pass: int = TEXTS_A_PASS) -> pl.DataFrame:
    """The clusters of at least `least` documents in one of the runs that have not as many in the other.

    Raises:
        ArtifactError: a table is missing.
    """
    old, new = (_large(run, least) for run in (before, after))
    links = _shared_texts(before, after, old, new, texts_a_pass)
    best_old, best_new = _best(links, "new", "old"), _best(links, "old", "new")
    same = best_old.join(best_new, ["old", "new"])
    sizes = (_sizes(run, same[name]) for run, name in ((before, "old"), (after, "new")))
    sized_old, sized_new = (
        rows.rename({"cluster_id": name, "documents": f"documents_{when}"})
        for rows, name, when in zip(sizes, ("old", "new"), ("before", "after"), strict=True)
    )
    followed = same.join(sized_old, "old").join(sized_new, "new")
    found = pl.concat(
        [
            followed.select("documents_before", "documents_after", cluster_id="new", other_id="old"),
            _unmatched(new, same["new"], best_old, "after"),
            _unmatched(old, same["old"], best_new, "before"),
        ],
        how="diagonal",
    )
    judged = _judged(found, "documents")
    gone = pl.col("what") == "gone"
    samples = [
        rows.join(_texts_of(run, "clusters", rows["cluster_id"], "cluster_id", "sample"), "cluster_id")
        for run, rows in ((before, judged.filter(gone)), (after, judged.filter(~gone)))
    ]
    names = [column.name for column in CLUSTER_CHANGES.columns]
    return pl.concat(samples).select(names).sort(CLUSTER_CHANGES.order)


def changed_passages(before: Path, after: Path, least: int) -> pl.DataFrame:
    """The passages with at least `least` places in one of the runs that have not as many in the other.

    Raises:
        ArtifactError: a table is missing.
    """
    tables = [scan(run, "passages").select("passage_id", "occurrences") for run in (before, after)]
    large = [collected(table.filter(pl.col("occurrences") >= least)) for table in tables]
    wanted = pl.concat(large).select("passage_id").unique()
    old, new = (
        collected(table.join(wanted.lazy(), "passage_id", "semi")).rename(
            {"occurrences": f"occurrences_{when}"}
        )
        for table, when in zip(tables, ("before", "after"), strict=True)
    )
    judged = _judged(old.join(new, "passage_id", "full", coalesce=True), "occurrences")
    gone = pl.col("what") == "gone"
    columns = ("passage_id", "tokens", "predictable", "text")
    described = [
        rows.join(_texts_of(run, "passages", rows["passage_id"], *columns), "passage_id")
        for run, rows in ((before, judged.filter(gone)), (after, judged.filter(~gone)))
    ]
    names = [column.name for column in PASSAGE_CHANGES.columns]
    return pl.concat(described).select(names).sort(PASSAGE_CHANGES.order)


def no_passages() -> pl.DataFrame:
    """The same of runs that did not look for passages."""
    return pl.DataFrame(pl.from_arrow(PASSAGE_CHANGES.arrow_schema().empty_table()))


def _large(run: Path, least: int) -> pl.DataFrame:
    clusters = scan(run, "clusters").select("cluster_id", "documents")
    return collected(clusters.filter(pl.col("documents") >= least))


def _sizes(run: Path, clusters: pl.Series) -> pl.DataFrame:
    wanted = pl.LazyFrame({"cluster_id": clusters})
    return collected(
        scan(run, "clusters").select("cluster_id", "documents").join(wanted, "cluster_id", "semi")
    )


def _shared_texts(
    before: Path, after: Path, old: pl.DataFrame, new: pl.DataFrame, texts_a_pass: int
) -> pl.DataFrame:
    # How many distinct texts each two clusters share, one of which is large.
    if old.is_empty() and new.is_empty():
        return pl.DataFrame(schema=_LINKS)
    texts = max(
        collected(scan(run, "clusters").select(pl.sum("distinct_texts"))).item() for run in (before, after)
    )
    parts = max(math.ceil(texts / texts_a_pass), 1)
    found = [_shared_in(before, after, old, new, keys) for keys in key_ranges(parts)]
    sums = pl.concat(found).group_by("old", "new").agg(pl.sum("texts"))
    return sums.with_columns(pl.col("texts").cast(_LINKS["texts"]))


def _shared_in(
    before: Path, after: Path, old: pl.DataFrame, new: pl.DataFrame, keys: KeyRange
) -> pl.DataFrame:
    members = _members(before, keys, "old").join(_members(after, keys, "new"), "text_id")
    is_old, is_new = (
        rows.lazy().select(pl.col("cluster_id").alias(name), pl.lit(True).alias(f"large_{name}"))
        for rows, name in ((old, "old"), (new, "new"))
    )
    large = pl.col("large_old").is_not_null() | pl.col("large_new").is_not_null()
    return collected(
        members.group_by("old", "new")
        .agg(pl.len().alias("texts"))
        .join(is_old, "old", "left")
        .join(is_new, "new", "left")
        .filter(large)
        .select(list(_LINKS))
    )


def _members(run: Path, keys: KeyRange, name: str) -> pl.LazyFrame:
    low, high = keys
    within = pl.col("text_id").is_between(pl.lit(low, pl.UInt64), pl.lit(high - 1, pl.UInt64))
    documents = scan(run, "documents").select("text_id", pl.col("cluster_id").alias(name))
    return documents.filter(within & pl.col(name).is_not_null()).unique()


def _best(links: pl.DataFrame, of: str, among: str) -> pl.DataFrame:
    # For each cluster of one run the one of the other that shares most texts with it.
    ranked = links.sort(["texts", among], descending=[True, False])
    return ranked.unique(of, keep="first", maintain_order=True).select("old", "new")


def _unmatched(large: pl.DataFrame, same: pl.Series, best: pl.DataFrame, when: str) -> pl.DataFrame:
    # The large clusters of one run that are not in the other.
    of, among = ("new", "old") if when == "after" else ("old", "new")
    related = best.select(pl.col(of).alias("cluster_id"), pl.col(among).alias("other_id"))
    rows = large.join(pl.DataFrame({"cluster_id": same}), "cluster_id", "anti")
    return rows.rename({"documents": f"documents_{when}"}).join(related, "cluster_id", "left")


def _judged(rows: pl.DataFrame, unit: str) -> pl.DataFrame:
    # What has changed, with a word for how.
    was, now = pl.col(f"{unit}_before"), pl.col(f"{unit}_after")
    word = pl.when(was == 0).then(pl.lit("new")).when(now == 0).then(pl.lit("gone"))
    what = word.when(now > was).then(pl.lit("grown")).otherwise(pl.lit("shrunk")).alias("what")
    return (
        rows.with_columns(was.fill_null(0), now.fill_null(0))
        .filter(was != now)
        .with_columns((now - was).alias("change"), what)
    )


def _texts_of(run: Path, table: str, ids: pl.Series, key: str, *columns: str) -> pl.DataFrame:
    # How they begin, of these rows alone: texts are most of such a table.
    rows = scan(run, table).select(key, *columns[:-1], pl.col(columns[-1]).str.head(TEXT_CHARACTERS))
    return collected(rows.join(pl.LazyFrame({key: ids}), key, "semi"))
