"""Repeated passages that cover most tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.figures import count, number
from pipeline.report import shown, values
from pipeline.report.exposed import interval
from pipeline.report.model import Report, Row
from pipeline.report.values import Cell, Grid, Section

_TEXT_CHARACTERS = 500
_WORDS = (
    "Runs of words that stand in several places, by occurrences x tokens. Neighbouring passages of a"
    " document may overlap: a passage is cut where its places go on differently."
)


def passages_section(report: Report) -> Section:
    """The top passages, predictable ones apart."""
    title = "Top passages"
    if report.passages is None:
        return Section("passages", title, ("Repeated passages were not looked for (passages.enabled).",))
    if not report.passages and not report.predictable:
        return Section("passages", title, ("No passage is repeated.",))
    some, every = report.metric("predictable_passages"), report.metric("passages")
    predictable = (
        f"{number(some)} of {count(every, 'passage')} are"
        " predictable (a word or a short cycle over and over, a counter). They say nothing about"
        " memorization, get no tier, and are listed apart."
    )
    grids = []
    if report.passages:
        grids.append(_grid("passages", "Those that cover most tokens", report.passages, report.places))
    if report.predictable:
        grids.append(_grid("predictable", "Predictable passages", report.predictable, report.places, True))
    return Section("passages", title, (_WORDS, predictable), grids=tuple(grids))


def _grid(
    key: str, title: str, rows: Sequence[Row], places: Mapping[int, Sequence[Row]], folded: bool = False
) -> Grid:
    columns = values.columns(
        ("text", "passage", "its first 500 characters, as they stand in its first document"),
        ("occurrences", "occurs"),
        ("tokens", "tokens"),
        ("documents", "documents"),
        ("texts", "texts", "distinct texts that hold it"),
        ("sources", "sources"),
        ("exposures", "exposures"),
        ("risk_tier", "tier"),
        ("evidence", "published share reproduced"),
        ("doc_id", "first document"),
    )
    return Grid(
        key,
        title,
        columns,
        values.rows([_cells(row, places.get(row["passage_id"], ())) for row in rows]),
        tall=True,
        folded=folded,
    )


def _where(row: Row, places: Sequence[Row]) -> str:
    # A line a place; the places in copies of a text stand for themselves and for those.
    lines = [
        f"{shown.path(place['uri'])}, row {number(place['row'])} · bytes {number(place['byte_start'])} to"
        f" {number(place['byte_end'])}"
        + (f" · and in {count(place['copies'] - 1, 'copy', 'copies')} of it" if place["copies"] > 1 else "")
        for place in places
    ]
    others = row["occurrences"] - sum(place["copies"] for place in places)
    return "\n".join([*lines, *([f"and {number(others)} more"] if others > 0 and lines else [])])


def _cells(row: Row, places: Sequence[Row]) -> list[Cell]:
    return [
        values.text(row["text"], _where(row, places), _TEXT_CHARACTERS),
        *(values.number(row[name]) for name in ("occurrences", "tokens", "documents", "texts", "sources")),
        values.number(row["exposures"]),
        values.tier(row["risk_tier"]),
        interval(row["evidence_low"], row["evidence_high"], row["evidence_reason"]),
        values.plain(str(row["doc_id"])),
    ]
