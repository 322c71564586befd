"""What the page is made of, as values that the template lays out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline import figures
from pipeline.report import shown
from pipeline.report.differing import Part


@dataclass(frozen=True)
class Cell:
    """One cell: how it is shown, and the exact value that sorting and reading go by.

    `kind` is number, name, text, tier, warning or plain, as CSS classes. `place` tells where a text
    stands. `share` (0 to 1) draws a bar.
    """

    shown: str
    value: str
    kind: str = "plain"
    place: str = ""
    share: float | None = None


@dataclass(frozen=True)
class Column:
    """One column of a grid: its key, title and, where the title is not enough, an explanation."""

    key: str
    title: str
    hint: str = ""


@dataclass(frozen=True)
class Grid:
    """A table of the page. `tall` grids get a filter box."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    tall: bool = False
    folded: bool = False

    def is_number(self, column: int) -> bool:
        """Whether a column holds numbers, which stand to the right."""
        return any(row[column].kind == "number" for row in self.rows)


@dataclass(frozen=True)
class Plot:
    """A plot: a Vega-Lite specification without data from elsewhere, and what it shows in words."""

    key: str
    title: str
    spec: dict[str, Any]
    note: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Fact:
    """One headline number with its name and what qualifies it."""

    metric: str
    label: str
    shown: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class FactGroup:
    """Headline numbers under one title."""

    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Side:
    """One of two texts side by side."""

    title: str
    place: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Comparison:
    """A cluster's representative and the text least like it."""

    key: str
    title: str
    facts: str
    sides: tuple[Side, ...]
    note: str = ""
    open: bool = False


@dataclass(frozen=True)
class Section:
    """One numbered part of the page."""

    key: str
    title: str
    words: tuple[str, ...] = ()
    facts: tuple[FactGroup, ...] = ()
    plots: tuple[Plot, ...] = ()
    grids: tuple[Grid, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    quotes: tuple[str, ...] = ()
    code: str = field(default="")


def exact(value: float | str | None) -> str:
    """A value as the attribute `data-value` holds it; whole floats as integers."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def number(value: float | None) -> Cell:
    """A count."""
    return Cell(figures.number(value), exact(value), "number")


def percent(value: float | None) -> Cell:
    """A share of 0 to 1, with a bar behind it."""
    return Cell(figures.percent(value), exact(value), "number", share=value)


def size(value: float | None) -> Cell:
    """A number of bytes."""
    return Cell(figures.size(value), exact(value), "number")


def similarity(value: float | None) -> Cell:
    """A similarity of 0 to 1."""
    return Cell(figures.similarity(value), exact(value), "number")


def name(words: str | None, limit: int = shown.NAME_CHARACTERS) -> Cell:
    """A name that the data gives: short, on one line."""
    cut = shown.name(words, limit)
    return Cell(cut, cut, "name")


def text(words: str, place: str = "", limit: int = shown.TEXT_CHARACTERS) -> Cell:
    """A text of the data."""
    cut = shown.text(words, limit)
    return Cell(cut, cut, "text", place)


def tier(words: str | None) -> Cell:
    """A risk tier."""
    return Cell(shown.name(words), "" if words is None else shown.name(words), "tier")


def plain(words: str) -> Cell:
    """Words of our own."""
    return Cell(words, words)


def columns(*named: tuple[str, str] | tuple[str, str, str]) -> tuple[Column, ...]:
    """Columns from their keys, titles and hints."""
    return tuple(Column(*parts) for parts in named)


def rows(cells: Sequence[Sequence[Cell]]) -> tuple[tuple[Cell, ...], ...]:
    """Rows of cells, frozen."""
    return tuple(tuple(row) for row in cells)
