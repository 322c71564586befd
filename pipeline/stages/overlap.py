"""What sources share with each other, and licences: at one grain, one range of keys at a time.

Only the `LARGEST` sources have rows of their own, so that the result stays small however many
there are; all others together are one more. Which groups cross from one name to another is
counted by names, not by ranks, so what two small sources share counts as crossing, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, frame
from pipeline.kernels.overlap import shared
from pipeline.mapped import mapped_ranges, read_mapped, write_mapped
from pipeline.stages.clusters import LABELS
from pipeline.stages.cutting import PASSAGE_LABELS
from pipeline.stages.documents import BY_SOURCE
from pipeline.stages.runs import starts_of_runs
from pipeline.stages.texts import TEXT_LABELS

LARGEST = 200  # names with rows of their own: 40,000 pairs
NONE = -1  # the rank of documents without a name
KINDS = ("source", "licence")
GROUPED = {
    "exact": ("text_id", TEXT_LABELS),
    "near": ("cluster_id", LABELS),
    "passage": ("passage_id", PASSAGE_LABELS),
}
OVERLAPS = pa.schema(
    [
        ("kind", pa.large_string()),
        ("grain", pa.large_string()),
        ("scope", pa.large_string()),
        *((name, pa.int64()) for name in ("rank", "other_rank", "groups", "documents", "tokens")),
    ]
)


@dataclass(frozen=True)
class Ranks:
    """The names of a kind that have rows of their own: their hashes, the most tokens first."""

    kind: str
    hashes: tuple[int, ...]

    def of(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The rank of each hash; NONE for 0, the number of names for all others."""
        own = np.array(self.hashes, np.uint64)
        order = np.argsort(own)
        ranks = np.full(len(hashes), len(own), np.int64)
        if len(own):
            at = np.minimum(np.searchsorted(own[order], hashes), len(own) - 1)
            here = own[order][at] == hashes
            ranks[here] = order[at[here]]
        ranks[hashes == 0] = NONE
        return ranks


@dataclass(frozen=True)
class Overlapped:
    """Sums of one grain and range: their table, and groups that stand in two names or more by kind."""

    path: str
    grain: str
    crossing: tuple[tuple[str, int], ...]


def rank_labels(by_source: Sequence[str], kinds: Sequence[str]) -> tuple[Ranks, ...]:
    """Rank the sources, and the licences, of the parts of the documents table by their tokens."""
    parts = [
        read_mapped(path, ["source", "licence", "source_hash", "licence_hash", "tokens"])
        for path in by_source
    ]
    rows = (
        frame(pa.concat_tables([BY_SOURCE.empty_table().select(parts[0].column_names), *parts]))
        if parts
        else None
    )
    ranked = []
    for kind in kinds:
        if rows is None:
            ranked.append(Ranks(kind, ()))
            continue
        sums = rows.filter(pl.col(kind).is_not_null()).group_by(kind, f"{kind}_hash").agg(pl.sum("tokens"))
        largest = sums.sort(["tokens", kind], descending=[True, False]).head(LARGEST)
        ranked.append(Ranks(kind, tuple(largest[f"{kind}_hash"].to_list())))
    return tuple(ranked)


def find_overlap(
    grain: str,
    keys: KeyRange,
    path: str,
    *,
    labels: dict[str, list[str]],
    ranks: Sequence[Ranks],
    window: int,
) -> Overlapped:
    """Add up what names share in the groups of a grain whose keys lie in a range.

    Args:
        labels: by grain, tables of how many documents and tokens of a group have which labels; of
            groups with two documents or more.
        window: tokens of the shortest passage.
    """
    key, schema = GROUPED[grain]
    rows = frame(mapped_ranges(labels[grain], key, keys, schema))
    if grain == "passage":
        # Every window of a passage is its own, while the tokens of neighbouring passages overlap.
        windows = pl.col("tokens") - (window - 1)
        rows = rows.with_columns(documents=pl.col("places"), tokens=pl.col("places") * windows)
    tables, crossing = [], []
    for ranked in ranks:
        names = rows.group_by(group=key, name=ranked.kind).agg(pl.sum("documents", "tokens"))
        names = names.with_columns(
            pl.Series("rank", ranked.of(names["name"].to_numpy())),
            (pl.len().over("group") > 1).alias("crosses"),
        )
        tables += [_between(names, len(ranked.hashes)), _across(names)]
        tables[-2:] = [t.with_columns(kind=pl.lit(ranked.kind), grain=pl.lit(grain)) for t in tables[-2:]]
        crossing.append((ranked.kind, names.filter("crosses")["group"].n_unique()))
    empty = frame(OVERLAPS.empty_table())
    found = pl.concat([empty, *(table.select(OVERLAPS.names) for table in tables)], how="vertical_relaxed")
    return Overlapped(write_mapped(found.to_arrow().cast(OVERLAPS), path), grain, tuple(crossing))


def _between(names: pl.DataFrame, named: int) -> pl.DataFrame:
    # Pairs of ranks, and inside each.
    rows = names.group_by("group", "rank").agg(pl.sum("documents", "tokens")).sort("group", "rank")
    starts = np.append(starts_of_runs(rows["group"].to_numpy()), len(rows))
    sums = np.zeros((3, named + 2, named + 2), np.int64)
    label, documents, tokens = (rows[name].to_numpy() for name in ("rank", "documents", "tokens"))
    shared(starts, label - NONE, documents, tokens, sums)
    one, two = np.nonzero(sums[0])
    return pl.DataFrame(
        {
            "scope": np.where(one == two, "inside", "pair"),
            "rank": one + NONE,
            "other_rank": two + NONE,
            **{name: sums[i, one, two] for i, name in enumerate(("groups", "documents", "tokens"))},
        }
    )


def _across(names: pl.DataFrame) -> pl.DataFrame:
    parts = []
    for scope, rows in (("across", names.filter("crosses")), ("anywhere", names)):
        sums = rows.group_by("rank").agg(
            pl.col("group").n_unique().cast(pl.Int64).alias("groups"), pl.sum("documents", "tokens")
        )
        parts.append(
            sums.with_columns(pl.lit(scope).alias("scope"), pl.lit(None, pl.Int64).alias("other_rank"))
        )
    return pl.concat(parts)


def merged(parts: Sequence[Overlapped]) -> pl.DataFrame:
    """The sums of all parts, in order."""
    rows = frame(pa.concat_tables([OVERLAPS.empty_table(), *(read_mapped(part.path) for part in parts)]))
    keys = OVERLAPS.names[:5]
    return rows.group_by(keys).agg(pl.sum("groups", "documents", "tokens")).sort(keys, nulls_last=False)
