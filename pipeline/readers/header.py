"""Find the wanted columns among those a file has, or say which are not there."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.errors import InputError
from pipeline.readers.rows import Columns
from pipeline.readers.wording import listed, printable

SETTINGS = ("text_column", "id_column", "source_column", "licence_column")


def positions(columns: Columns, names: Sequence[str], uri: str) -> list[int | None]:
    """Where the text, id, source and licence columns stand in `names`; None: not wanted."""
    wanted = (columns.text, *columns.labels)
    return [
        None if name is None else _position(name, setting, names, uri)
        for name, setting in zip(wanted, SETTINGS, strict=True)
    ]


def wanted_names(columns: Columns) -> list[str]:
    """The distinct names of the columns to read, the text column first."""
    return list(dict.fromkeys(n for n in (columns.text, *columns.labels) if n is not None))


def _position(name: str, setting: str, names: Sequence[str], uri: str) -> int:
    found = [i for i, candidate in enumerate(names) if candidate == name]
    if len(found) == 1:
        return found[0]
    shown = printable(repr(name), 80)
    problem = f"has no column {shown}" if not found else f"has {len(found)} columns named {shown}"
    raise InputError(
        f"an input file {problem}",
        where=printable(uri, 1000),
        got=f"the columns {listed(names)}",
        expected=f"one column {shown}, since {setting} names it",
        fix=f"set {setting} to a column of this file, or take the file out of the inputs",
    )
