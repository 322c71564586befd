"""The tables of a run described for people and programs: as Markdown, JSON or plain text."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict

from pipeline.comparing.tables import COMPARISONS
from pipeline.list_schemas import LISTS
from pipeline.schemas import TABLES, Column, Table

_WIDTH = 100
_EVERY = (*TABLES, *LISTS, *COMPARISONS)


def markdown(tables: tuple[Table, ...] = _EVERY) -> str:
    """Tables as Markdown, as the README shows all of them."""
    parts = []
    for table in tables:
        parts.append(f"**`{table.path}`**: {_heading(table)}\n")
        parts.append("| column | type | unit | meaning |\n|---|---|---|---|")
        parts += [f"| `{c.name}` | {_kind(c)} | {c.unit} | {_cell(c.meaning)} |" for c in table.columns]
        parts.append("")
    return "\n".join(parts)


def as_json(tables: tuple[Table, ...] = _EVERY) -> str:
    """Tables as a JSON array: name, path, version, what a row is, order, columns."""
    return json.dumps([asdict(table) for table in tables], indent=2)


def as_text(tables: tuple[Table, ...] = _EVERY) -> str:
    """Tables for a terminal."""
    parts = []
    for table in tables:
        parts.append(f"{table.path}\n{_filled(_heading(table), '  ')}")
        width = max(len(column.name) for column in table.columns)
        for column in table.columns:
            facts = ", ".join(fact for fact in (_kind(column), column.unit) if fact)
            text = _filled(f"{column.meaning} [{facts}]", " " * (width + 6))
            parts.append(f"    {column.name:<{width}}{text[width + 4 :]}")
        parts.append("")
    return "\n".join(parts)


def _filled(text: str, margin: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=margin, subsequent_indent=margin)


def _heading(table: Table) -> str:
    return f"one row {table.row}, ordered by {', '.join(table.order)}."


def _kind(column: Column) -> str:
    return f"{column.type}{', may be null' if column.nullable else ''}"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")  # a bare bar would end the cell
