"""Pairs of sources that share text; what looks like a leak from test to training comes first."""

from __future__ import annotations

import re

import polars as pl

from pipeline.report import values
from pipeline.report.model import Report, Row, collected
from pipeline.report.values import Cell, Grid

LISTED = 60
_TRAINING = {"train", "training", "trn"}
_HELD_OUT = {"test", "tests", "testing", "valid", "validation", "val", "dev", "eval", "evaluation", "heldout"}
_GRAINS = ("exact", "near", "passage")


def is_leak(one: str | None, other: str | None) -> bool:
    """Whether, by their names, one is for training and the other for testing."""
    words = _words(one), _words(other)
    return any(bool(first & _TRAINING) and bool(second & _HELD_OUT) for first, second in (words, words[::-1]))


def _words(name: str | None) -> set[str]:
    # heldOut, held-out and held_out are one word.
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name or "").lower()
    joined = re.sub(r"held[^a-z]+out", "heldout", spaced)
    return set(re.findall(r"[a-z]+", joined))


def leak_grid(report: Report, kind: str) -> Grid | None:
    """The pairs that share most, those that look like leaks first; none if none share anything."""
    both = _pairs(report, kind)
    if both.is_empty():
        return None
    named = both.select("name", "other").unique().rows()
    leaks = [pair for pair in named if is_leak(*pair)] if kind == "source" else []
    marks = pl.DataFrame(leaks, schema={"name": pl.String, "other": pl.String}, orient="row").with_columns(
        pl.lit(True).alias("leak")
    )
    ranked = both.join(marks, ["name", "other"], "left").with_columns(pl.col("leak").fill_null(False))
    shown = ranked.sort(
        ["leak", "most_tokens", "rank", "other_rank"], descending=[True, True, False, False]
    ).head(LISTED)
    note = "Told by their names alone: train with test, valid, val, dev, eval or heldout. " if leaks else ""
    if len(ranked) > LISTED:
        note += f"The {LISTED} that share most, of {len(ranked):,} pairs."
    title = "Shared between sources" if kind == "source" else "Shared between licences"
    cells = [_cells(row, kind) for row in shown.to_dicts()]
    return Grid(f"{kind}-pairs", title, _columns(kind), values.rows(cells), note, tall=True)


def _pairs(report: Report, kind: str) -> pl.DataFrame:
    # One row a pair: what each side has of what they share, at each grain.
    pairs = report.overlap.filter((pl.col("kind") == kind) & (pl.col("scope") == "pair"))
    pairs = pairs.filter((pl.col("rank") != pl.col("other_rank")) & (pl.col("groups") > 0))
    keys, grain = ["rank", "name", "other_rank", "other"], pl.col("grain")
    wide = pairs.group_by(keys).agg(
        *(pl.col("groups").filter(grain == name).sum().alias(f"{name}_groups") for name in _GRAINS),
        pl.max("tokens_fraction").alias("share"),
        pl.max("tokens").alias("tokens"),
    )
    swapped = wide.select(
        pl.col("rank").alias("other_rank"),
        pl.col("other_rank").alias("rank"),
        pl.col("share").alias("other_share"),
        pl.col("tokens").alias("other_tokens"),
    )
    both = wide.filter(pl.col("rank") < pl.col("other_rank")).join(swapped, ["rank", "other_rank"], "left")
    most = pl.max_horizontal(pl.col("tokens"), pl.col("other_tokens"))
    return collected(both.with_columns(most.alias("most_tokens")))


def _columns(kind: str) -> tuple[values.Column, ...]:
    hint = "of its tokens, the most that any grain finds in the other, too"
    return values.columns(
        ("name", kind),
        ("other", f"other {kind}"),
        ("exact_groups", "texts", "distinct texts in both"),
        ("near_groups", "near clusters", "clusters with documents of both"),
        ("passage_groups", "passages", "distinct passages in both"),
        ("most_tokens", "tokens", "tokens of what is shared, on the side that has more of them"),
        ("share", "of the first", hint),
        ("other_share", "of the other", hint),
        *((("leak", "looks like"),) if kind == "source" else ()),
    )


def _cells(row: Row, kind: str) -> list[Cell]:
    cells = [
        _named(row["name"], row["rank"]),
        _named(row["other"], row["other_rank"]),
        *(values.number(row[f"{grain}_groups"]) for grain in _GRAINS),
        values.number(row["most_tokens"]),
        values.percent(row["share"]),
        values.percent(row["other_share"]),
    ]
    if kind == "source":
        cells.append(Cell("train/test leak", "leak", "warning") if row["leak"] else Cell("", ""))
    return cells


def _named(name: str | None, rank: int) -> Cell:
    if name is not None:
        return values.name(name)
    return values.plain("(none)" if rank < 0 else "(all others)")
