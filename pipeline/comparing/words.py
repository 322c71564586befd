"""A comparison of two runs in words and tables, for a terminal."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.comparing.changes import Changes
from pipeline.comparing.verdicts import GRAINS
from pipeline.figures import MISSING, count, number, percent
from pipeline.readers.wording import printable

WIDTH = 110
FIGURES_SHOWN = 12
LISTED = 8
SHARE = "0 to 1"


@dataclass(frozen=True)
class Compared:
    """All that is told.

    Attributes:
        before, after: names of the runs. figures, clusters, passages: what changed, see `tables`.
        least: what large means. notes: in sentences. target: folder of the tables.
    """

    before: str
    after: str
    figures: Changes
    clusters: pl.DataFrame
    passages: pl.DataFrame
    least: int
    notes: tuple[str, ...]
    target: Path


def in_words(compared: Compared) -> str:
    """What `dupaudit compare` prints, worst changes first."""
    buffer = io.StringIO()
    console = Console(file=buffer, width=WIDTH, force_terminal=False, highlight=False, markup=False)
    console.print(f"\n{printable(compared.before)} -> {printable(compared.after)}\n", soft_wrap=True)
    for note in compared.notes:
        console.print(f"Note: {note}", soft_wrap=True)
    if _nothing_changed(compared):
        console.print("Nothing changed." if not compared.notes else "Nothing changed of what is compared.")
    else:
        _print_changes(console, compared)
    console.print(f"\nTables: {printable(str(compared.target), 4096)}", soft_wrap=True)
    return buffer.getvalue()


def _nothing_changed(compared: Compared) -> bool:
    figures = compared.figures
    return (
        all((rows["verdict"] == "same").all() for rows in (figures.metrics, figures.histogram))
        and figures.sources.is_empty()
        and figures.overlap.is_empty()
        and (figures.similarity["change"] == 0).all()
        and compared.clusters.is_empty()
        and compared.passages.is_empty()
    )


def _print_changes(console: Console, compared: Compared) -> None:
    metrics = compared.figures.metrics
    console.print(_size(metrics))
    for verdict in ("worse", "better"):
        _print_figures(console, metrics, verdict)
    if not metrics["verdict"].is_in(["worse", "better"]).any():
        console.print("\nNo headline figure is better or worse.")
    _print_bins(console, compared.figures.histogram)
    _print_sources(console, compared.figures.sources)
    _print_shared(console, compared.figures.overlap)
    _print_groups(console, compared.clusters, "clusters", f"{compared.least} documents", "documents")
    _print_groups(console, compared.passages, "passages", f"{compared.least} places", "occurrences")


def _size(metrics: pl.DataFrame) -> str:
    rows = {row["name"]: row for row in metrics.iter_rows(named=True)}
    names = [name for name in ("documents", "tokens", "bytes") if name in rows]
    return "Corpus: " + ", ".join(
        f"{number(rows[name]['after'])} {name} ({_signed(rows[name]['change'])})" for name in names
    )


def _table(*columns: str, left: int = 1) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < left else "right", no_wrap=True)
    return table


def _print(console: Console, table: Table) -> None:
    console.print("")
    console.print(table)


def _line(text: str, room: int) -> Text:
    # Text of a data set may hold anything: controls, direction marks, markup.
    line = Text(printable(" ".join(text.split())))
    line.truncate(room, overflow="ellipsis")
    return line


def _signed(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"+{number(value)}" if value > 0 else number(value)


def _figure(value: float | None, unit: str) -> str:
    return percent(value) if unit == SHARE else number(value)


def _change(row: dict[str, float | None], unit: str) -> str:
    if unit != SHARE or row["change"] is None:
        return _signed(row["change"])
    points = row["change"] * 100
    # A small change is not none.
    return f"{points:+.2f} points" if abs(points) >= 0.005 else f"{points:+.1g} points"


def _relative() -> pl.Expr:
    # How far a figure moved, of the larger of its values: 1 where there was none of it.
    most = pl.max_horizontal(pl.col("before").abs(), pl.col("after").abs())
    return (pl.col("change") / most).abs().alias("relative")


def _print_figures(console: Console, metrics: pl.DataFrame, verdict: str) -> None:
    rows = metrics.filter(pl.col("verdict") == verdict).with_columns(_relative())
    if rows.is_empty():
        return
    # Of equal moves a share says more than a count.
    ranked = rows.with_columns((pl.col("unit") == SHARE).alias("share")).sort(
        ["relative", "share", "name"], descending=[True, True, False]
    )
    table = _table(f"{verdict}: {count(len(rows), 'figure')}", "before", "after", "change")
    for row in ranked.head(FIGURES_SHOWN).iter_rows(named=True):
        unit = row["unit"]
        table.add_row(
            row["name"].replace("_", " "),
            _figure(row["before"], unit),
            _figure(row["after"], unit),
            _change(row, unit),
        )
    _add_rest(table, len(rows) - FIGURES_SHOWN)
    _print(console, table)


def _add_rest(table: Table, rest: int) -> None:
    if rest > 0:
        table.add_row(f"and {rest:,} more", *[""] * (len(table.columns) - 1))


_BINS = (
    *((grain, "documents") for grain in GRAINS),
    ("passage", "passages"),
    ("document exposures", "documents"),
)


def _print_bins(console: Console, histogram: pl.DataFrame) -> None:
    shown = [
        histogram.filter((pl.col("grain") == grain) & (pl.col("figure") == figure)) for grain, figure in _BINS
    ]
    columns = [
        (grain, figure, dict(rows.select("bin", "change").iter_rows()))
        for (grain, figure), rows in zip(_BINS, shown, strict=True)
        if (rows["change"] != 0).any()
    ]
    if not columns:
        return
    table = _table("occurs", *(f"{grain}:\n{figure}" for grain, figure, _ in columns))
    for name in histogram.sort("copies_min", maintain_order=True)["bin"].unique(maintain_order=True):
        table.add_row(name, *(_signed(changes.get(name)) for _, _, changes in columns))
    _print(console, table)


def _print_sources(console: Console, sources: pl.DataFrame) -> None:
    counts = sources.filter(pl.col("figure").is_in(["documents", "near_repeated_documents"]))
    if counts.is_empty():
        return
    # A source has a row a licence.
    more = (
        pl.col(column).filter(pl.col("figure") == name).sum().alias(f"{name} {column}")
        for name in ("near_repeated_documents", "documents")
        for column in ("before", "change")
    )
    rows = counts.group_by("source").agg(*more).with_columns(_unexplained())
    names = ["unexplained", "documents change", "source"]
    ranked = rows.sort(names, descending=[True, True, False])
    table = _table("source (worst first)", "near repeated", "documents")
    for row in ranked.head(LISTED).iter_rows(named=True):
        changes = (_signed(row[f"{name} change"]) for name in ("near_repeated_documents", "documents"))
        table.add_row(_name(row["source"]), *changes)
    _add_rest(table, len(ranked) - LISTED)
    _print(console, table)


def _unexplained() -> pl.Expr:
    # Repeated documents beyond those that came with the growth of the source.
    repeated, documents = "near_repeated_documents", "documents"
    share = pl.col(f"{repeated} before") / pl.col(f"{documents} before")
    grown = pl.when(pl.col(f"{documents} before") > 0).then(share * pl.col(f"{documents} change"))
    return (pl.col(f"{repeated} change") - grown.otherwise(0.0)).alias("unexplained")


def _name(source: str | None) -> Text:
    return Text(MISSING if source is None else printable(source, 40))


def _print_shared(console: Console, overlap: pl.DataFrame) -> None:
    # A pair has a row each way.
    pairs = overlap.filter(
        (pl.col("scope") == "pair") & (pl.col("figure") == "groups") & (pl.col("change") > 0)
    ).filter(pl.col("name").is_null() | (pl.col("name") < pl.col("other")))
    if pairs.is_empty():
        return
    names = ["change", "kind", "grain", "name", "other"]
    ranked = pairs.sort(names, descending=[True, True, False, False, False])
    table = _table("shared by", "and", "grain", "before", "after", left=3)
    for row in ranked.head(LISTED).iter_rows(named=True):
        values = (number(row[when]) for when in ("before", "after"))
        table.add_row(_name(row["name"]), _name(row["other"]), row["grain"], *values)
    _add_rest(table, len(pairs) - LISTED)
    _print(console, table)


def _print_groups(console: Console, rows: pl.DataFrame, what: str, least: str, unit: str) -> None:
    if rows.is_empty():
        return
    found = dict(rows["what"].value_counts().iter_rows())
    told = ", ".join(
        f"{found[word]:,} {word}" for word in ("new", "grown", "shrunk", "gone") if word in found
    )
    console.print(f"\nOf {what} with {least} or more: {told}.")
    key, text = rows.columns[0], rows.columns[-1]
    ranked = rows.sort(["change", key], descending=[True, False]).head(LISTED)
    table = _table("", "before", "after")
    table.add_column("how it begins", no_wrap=True)
    for row in ranked.iter_rows(named=True):
        sizes = (number(row[f"{unit}_{when}"]) for when in ("before", "after"))
        table.add_row(row["what"], *sizes, _line(row[text], 70))
    _add_rest(table, len(rows) - LISTED)
    console.print(table)
