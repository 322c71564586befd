"""Repeated passages that cover most tokens."""

from __future__ import annotations

from collections.abc import Sequence

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
    grids = [_grid("passages", "Those that cover most tokens", report.passages)] if report.passages else []
    if report.predictable:
        grids.append(_grid("predictable", "Predictable passages", report.predictable, folded=True))
    return Section("passages", title, (_WORDS, predictable), grids=tuple(grids))


def _grid(key: str, title: str, rows: Sequence[Row], folded: bool = False) -> Grid:
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
    return Grid(key, title, columns, values.rows([_cells(row) for row in rows]), tall=True, folded=folded)


def _cells(row: Row) -> list[Cell]:
    place = f"{shown.path(row['uri'] or '-')}, row {number(row['row'])}"
    where = f"bytes {number(row['byte_start'])} to {number(row['byte_end'])} of doc_id {row['doc_id']}"
    return [
        values.text(row["text"], f"{place} · {where}", _TEXT_CHARACTERS),
        *(values.number(row[name]) for name in ("occurrences", "tokens", "documents", "texts", "sources")),
        values.number(row["exposures"]),
        values.tier(row["risk_tier"]),
        interval(row["evidence_low"], row["evidence_high"], row["evidence_reason"]),
        values.plain(str(row["doc_id"])),
    ]
