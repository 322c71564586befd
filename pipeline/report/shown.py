"""Text of a data set made safe to look at.

Jinja escapes what HTML would take for markup. What is left are characters that hide or reorder text
when they are drawn: controls, direction marks, characters without width. They are written out.
"""

from __future__ import annotations

import unicodedata

from pipeline.readers.wording import printable

NAME_CHARACTERS = 60
TEXT_CHARACTERS = 2000
# Line ends and tabs lay a text out; joiners shape Persian, Indic scripts and emoji.
_HARMLESS = frozenset("\n\t\u200c\u200d")


def name(words: str | None, limit: int = NAME_CHARACTERS) -> str:
    """A name (of a source, a file, a column) on one line."""
    return "-" if words is None else printable(words, limit)


def path(words: str, limit: int = NAME_CHARACTERS) -> str:
    """A path on one line; its end, which tells more than its beginning, stays."""
    shown = printable(words[-limit:], limit * 10)
    return shown if len(words) <= limit and len(shown) <= limit else f"…{shown[1 - limit :]}"


def text(words: str, limit: int = TEXT_CHARACTERS) -> str:
    """A text with its lines, cut to its first `limit` characters."""
    return visible(words[:limit]) + ("…" if len(words) > limit else "")


def visible(words: str) -> str:
    """The text with controls, direction marks and the like as backslash escapes, uncut."""
    words = words.replace("\r\n", "\n")
    # Few characters make a text: each is looked at once.
    return words.translate({ord(c): _escaped(c) for c in set(words) if not _drawn(c)})


def _drawn(character: str) -> bool:
    # Wide and unbreakable spaces are not printable to Python, yet no danger.
    return character.isprintable() or character in _HARMLESS or unicodedata.category(character) == "Zs"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
