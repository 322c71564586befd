"""Cut stretches of bytes out of a text."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

from pipeline.errors import InputChangedError
from pipeline.readers.wording import printable

Range = tuple[int, int]


def cut_text(text: bytes, cuts: Sequence[Range]) -> bytes:
    """What is left of a text. Where two words would run together, a space is put between them."""
    return spliced(text, cuts, text, lambda place: place)


def spliced(text: bytes, cuts: Sequence[Range], written: bytes, place: Callable[[int], int]) -> bytes:
    """The same of a text that is written in another way.

    Args:
        text: as UTF-8. cuts: in order, apart from each other.
        written: the text as it stands in a file. place: where a byte of `text` is in it.
    """
    parts, at = [], 0
    for start, end in cuts:
        parts.append(written[place(at) : place(start)])
        if _joins(text, start, end):
            parts.append(b" ")
        at = end
    parts.append(written[place(at) :])
    return b"".join(parts)


def check_cuts(text: bytes | None, cuts: Sequence[Range], uri: str, row: int) -> bytes:
    """The text, if it can be the one that the cuts were made for.

    Raises:
        InputChangedError: it ends before them, or they cut its characters.
    """
    edges = [edge for cut in cuts for edge in cut]
    if text is not None and edges[-1] <= len(text) and not any(_inside(text, edge) for edge in edges):
        return text
    raise InputChangedError(
        "an input file is not what the run read",
        where=printable(uri, 1000),
        row=row,
        got="no text" if text is None else f"a text of {len(text)} bytes",
        expected=f"a text to cut bytes {edges[-2]} to {edges[-1]} out of, between characters",
        fix="audit again, and keep by the new run",
    )


def _inside(text: bytes, place: int) -> bool:
    return place < len(text) and text[place] & 0xC0 == 0x80


def _joins(text: bytes, start: int, end: int) -> bool:
    before = text[max(start - 4, 0) : start].decode("utf-8", "ignore")[-1:]
    after = text[end : end + 4].decode("utf-8", "ignore")[:1]
    return _in_word(before) and _in_word(after)


def _in_word(character: str) -> bool:
    return any(unicodedata.category(c)[0] in "LMN" for c in unicodedata.normalize("NFKC", character))
