"""Put words of unknown content into one short, printable line."""

from __future__ import annotations

from collections.abc import Sequence

DETAIL_CHARACTERS = 200
LISTED_NAMES = 20


def printable(words: str, limit: int = DETAIL_CHARACTERS) -> str:
    """`words` on one line of at most `limit` characters.

    Controls, line ends, direction marks and lone surrogates come out as backslash escapes: the
    line may be shown in a terminal, a log or a page, and may quote hostile data.
    """
    # Escaping only lengthens, so what lies beyond the limit is not worth escaping.
    shown = "".join(c if c.isprintable() else _escaped(c) for c in words[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def listed(names: Sequence[str]) -> str:
    """Column names as a message shows them: quoted, and not more than a screenful."""
    shown = ", ".join(printable(repr(name), 80) for name in names[:LISTED_NAMES])
    more = len(names) - LISTED_NAMES
    return (shown or "none") + (f" and {more} more" if more > 0 else "")


def described(error: BaseException) -> str:
    """An exception as `Type: message`, on one line."""
    return printable(f"{type(error).__name__}: {error}".strip().rstrip(":"))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
