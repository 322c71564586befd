"""The keep list: which documents stay, by a policy.

Only documents that are in a group (of the same text, or of a near cluster) need to know of others.
Each part of the documents names, for every group, its first documents, as many as may stay; from
those of all parts, by key range, the first of the corpus are found. So a group costs as many rows
as there are parts, however often its text occurs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

from pipeline.artifacts import KeyRange, frame, read_output, write_output
from pipeline.errors import ConfigError
from pipeline.list_schemas import CUTS, KEEP
from pipeline.mapped import mapped_ranges, write_mapped
from pipeline.schemas import BINS
from pipeline.stages.cuts import PLACES, cut_documents

FIRST = pa.schema([("key", pa.uint64()), ("n_tokens", pa.int64()), ("doc_id", pa.uint64())])
DOC_IDS = pa.schema([("doc_id", pa.uint64())])
GROUPS = pa.schema([("key", pa.uint64()), ("n_tokens", pa.int64()), ("documents", pa.int64())])
POLICIES = "one-per-cluster, one-per-text, cap:K with K of 1 or more, or drop-passages"
_CAP = re.compile("cap:([1-9][0-9]{0,17})")
_READ = [name for name in KEEP.arrow_schema().names if name != "reason"] + [
    *("n_bytes", "n_tokens", "status", "text_id", "copies", "cluster_id")
]


@dataclass(frozen=True)
class Policy:
    """What stays of each group.

    grain: of the groups, exact or near. limit: how many documents of a group stay. cuts: whether
    repeated passages are cut out of what stays, and documents of fewer tokens than a passage all stay.
    """

    name: str
    grain: str
    limit: int = 1
    cuts: bool = False

    @property
    def folder(self) -> str:
        """The policy as the name of a folder."""
        return self.name.replace(":", "-")

    @property
    def given(self) -> bool:
        """Whether the documents table holds the answer."""
        return self.name == "one-per-cluster"


@dataclass(frozen=True)
class Listed:
    """One part of the keep list: its files, what stays, and `GROUPS` of what stays by grain, with how
    many kept documents are in none."""

    first_doc: int
    documents: str
    cuts: str | None
    rows: int
    kept: int
    tokens: int
    bytes: int
    reasons: dict[str, int]
    groups: dict[str, str]
    alone: dict[str, int]


@dataclass(frozen=True)
class Sizes:
    """Documents by repeat bin, groups of two or more with their documents, and the largest group."""

    by_bin: tuple[int, ...] = field(default=(0,) * len(BINS))
    groups: int = 0
    grouped: int = 0
    largest: int = 0


def parse_policy(words: str) -> Policy:
    """The policy that was asked for.

    Raises:
        ConfigError: there is no such policy.
    """
    cap = _CAP.fullmatch(words)
    if cap is not None:
        return Policy(words, "near", int(cap[1]))
    known = {
        "one-per-text": Policy(words, "exact"),
        "one-per-cluster": Policy(words, "near"),
        "drop-passages": Policy(words, "exact", cuts=True),
    }
    if words not in known:
        raise ConfigError("there is no such policy", got=f"--policy {words}", expected=POLICIES)
    return known[words]


def _in_group(grain: str) -> pl.Expr:
    # Not by text_id alone: most texts occur once, and documents without a word match nothing.
    return pl.col("copies") > 1 if grain == "exact" else pl.col("cluster_id").is_not_null()


def _key(grain: str) -> list[pl.Expr]:
    # Two texts may share a text_id, once in six billion; then their lengths tell them apart.
    if grain == "exact":
        return [pl.col("text_id").alias("key"), pl.col("n_tokens")]
    return [pl.col("cluster_id").alias("key"), pl.lit(0, pl.Int64).alias("n_tokens")]


def write_first(part: str, path: str, *, policy: Policy) -> str:
    """Of each group in one part of the documents, the documents that may be among its first."""
    read = ["doc_id", "text_id", "n_tokens", "copies", "cluster_id"]
    rows = frame(read_output(part, read)).filter(_in_group(policy.grain))
    rows = rows.select(*_key(policy.grain), "doc_id").sort("key", "n_tokens", "doc_id")
    return write_mapped(_first(rows, policy.limit).to_arrow().cast(FIRST), path)


def _first(rows: pl.DataFrame, limit: int) -> pl.DataFrame:
    return rows.filter(pl.int_range(pl.len()).over("key", "n_tokens") < limit)


def find_first(keys: KeyRange, path: str, *, first: Sequence[str], policy: Policy) -> str:
    """The first documents of all groups of a key range, by doc_id."""
    rows = frame(mapped_ranges(first, "key", keys, FIRST)).sort("key", "n_tokens", "doc_id")
    kept = _first(rows, policy.limit).select("doc_id").sort("doc_id")
    return write_mapped(kept.to_arrow().cast(DOC_IDS), path)


def write_list(
    part: str,
    number: int,
    output: str,
    path: str,
    *,
    policy: Policy,
    first: Sequence[str],
    places: Sequence[str],
    min_tokens: int,
) -> Listed:
    """Write one part of the keep list, and of the cuts if the policy makes any.

    Args:
        output: the folder of the list. path: what the names of other files begin with.
        first: see `find_first`. places: see `cuts.mark_places`. min_tokens: of a passage.
    """
    rows = frame(read_output(part, _READ))
    first_doc = int(rows["doc_id"][0]) if len(rows) else 0
    span = first_doc, int(rows["doc_id"][-1]) + 1 if len(rows) else 0
    firsts = frame(mapped_ranges(first, "doc_id", span, DOC_IDS))["doc_id"]
    rows = rows.with_columns(
        grouped=_in_group(policy.grain),
        among=pl.col("keep") if policy.given else pl.col("doc_id").is_in(firsts.implode()),
    )
    cuts = None
    if policy.cuts:
        rows, ranges = cut_documents(rows, frame(mapped_ranges(places, "doc_id", span, PLACES)))
        rows = rows.with_columns(_dropping(min_tokens))
        stay = rows.filter("keep").select("doc_id")
        cuts = f"{output}/cuts/part-{number:05d}.parquet"
        write_output(CUTS, ranges.join(stay, "doc_id", "semi", maintain_order="left").to_arrow(), cuts)
    else:
        rows = rows.with_columns(_choosing(policy), cut_tokens=pl.lit(0), cut_bytes=pl.lit(0))
    documents = f"{output}/documents/part-{number:05d}.parquet"
    write_output(KEEP, rows.select(KEEP.arrow_schema().names).to_arrow(), documents)
    return _listed(rows, first_doc, documents, cuts, path)


def _dropping(min_tokens: int) -> tuple[pl.Expr, ...]:
    later = pl.col("grouped") & ~pl.col("among") & (pl.col("n_tokens") >= min_tokens)
    cut, left = pl.col("cut_tokens"), pl.col("n_tokens") - pl.col("cut_tokens")
    reason = (
        pl.when(pl.col("status") == "empty")
        .then(pl.lit("no words"))
        .when(later)
        .then(pl.lit("later copy of its text"))
        .when(cut == 0)
        .then(pl.lit("nothing to cut"))
        .when(left > 0)
        .then(pl.lit("passages cut"))
        .otherwise(pl.lit("nothing left after the cuts"))
    )
    return (~later & ((cut == 0) | (left > 0))).alias("keep"), reason.alias("reason")


_REASONS = {
    "one-per-text": ("only one of its text", "first of its text", "later copy of its text"),
    "one-per-cluster": ("in no cluster", "first of its cluster", "later in its cluster"),
    "cap": ("in no cluster", "within the cap", "over the cap"),
}


def _choosing(policy: Policy) -> tuple[pl.Expr, ...]:
    alone, stays, goes = _REASONS[policy.name.partition(":")[0]]
    reason = (
        pl.when(pl.col("status") == "empty")
        .then(pl.lit("no words"))
        .when(~pl.col("grouped"))
        .then(pl.lit(alone))
        .when("among")
        .then(pl.lit(stays))
        .otherwise(pl.lit(goes))
    )
    return (~pl.col("grouped") | pl.col("among")).alias("keep"), reason.alias("reason")


def _listed(rows: pl.DataFrame, first_doc: int, documents: str, cuts: str | None, path: str) -> Listed:
    kept = rows.filter("keep")
    groups, alone = {}, {}
    for grain in ("exact", "near"):
        grouped = kept.filter(_in_group(grain)).select(*_key(grain))
        alone[grain] = len(kept) - len(grouped)
        counted = grouped.group_by("key", "n_tokens").agg(pl.len().cast(pl.Int64).alias("documents"))
        table = counted.sort("key", "n_tokens").to_arrow().cast(GROUPS)
        groups[grain] = write_mapped(table, f"{path}-{grain}.arrow")
    reasons = dict(rows["reason"].value_counts().sort("reason").iter_rows())
    tokens, n_bytes = (
        int(kept.select(pl.col(f"n_{unit}") - pl.col(f"cut_{unit}")).sum().item())
        for unit in ("tokens", "bytes")
    )
    return Listed(first_doc, documents, cuts, len(rows), len(kept), tokens, n_bytes, reasons, groups, alone)


def count_groups(keys: KeyRange, *, groups: Sequence[str]) -> Sizes:
    """How large the groups of a key range are, now that only what stays counts."""
    rows = frame(mapped_ranges(groups, "key", keys, GROUPS))
    sizes = rows.group_by("key", "n_tokens").agg(pl.sum("documents"))["documents"]
    edges = [low for low, _ in BINS]
    by_bin = [
        int(sizes.filter((sizes >= low) & (sizes < high)).sum())
        for low, high in zip(edges, [*edges[1:], 1 << 62], strict=True)
    ]
    repeated = sizes.filter(sizes > 1)
    return Sizes(tuple(by_bin), len(repeated), int(repeated.sum()), int(sizes.max() or 0))  # type: ignore[arg-type]


def all_sizes(parts: Sequence[Sizes], alone: int) -> Sizes:
    """The sizes of several key ranges together, with documents that are in no group."""
    sums = [sum(counts) for counts in zip(*(part.by_bin for part in parts), strict=True)]
    sums = sums or [0] * len(BINS)
    sums[0] += alone
    largest = max((part.largest for part in parts), default=0)
    return Sizes(
        tuple(sums),
        sum(part.groups for part in parts),
        sum(part.grouped for part in parts),
        largest or int(alone > 0),
    )
