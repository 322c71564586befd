r"""Find the text in a line of JSON, and cut it there without touching another byte.

A parser and a writer of JSON would not do: 1.10 would become 1.1, a number beyond 64 bits another
one, a field that is named twice would be there once, and "\u00e9" be spelled "é".
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from pipeline.writers.cutting import Range, spliced

_OPENS_OR_CLOSES = re.compile(rb'["{}\[\]]')
_ENDS_A_WORD = re.compile(rb"[,}\]\s]")
_BLANK = re.compile(rb"[ \t\r\n]*")
# Escapes, of which a pair of surrogates is one character, and what stands as it is.
_PIECES = re.compile(rb"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.|[^\\]+", re.DOTALL)


def text_place(line: bytes, name: str) -> Range | None:
    """Where the string that an object's field holds stands in a line, its quotes left out.

    Of fields with the same name the last one counts, as it does to the reader.

    Returns:
        The range of bytes; None if there is no such field, or no string in it.
    """
    found = None
    at = _skip(line, _skip(line, 0) + 1)
    while line[at : at + 1] == b'"':
        key_end = _string_end(line, at)
        value = _skip(line, _skip(line, key_end) + 1)
        end = _value_end(line, value)
        if json.loads(line[at:key_end].decode("utf-8", "surrogateescape"), strict=False) == name:
            found = (value + 1, end - 1) if line[value : value + 1] == b'"' else None
        at = _skip(line, _skip(line, end) + 1)
    return found


def _skip(line: bytes, at: int) -> int:
    blank = _BLANK.match(line, at)
    return blank.end() if blank else at


def _string_end(line: bytes, at: int) -> int:
    """The byte after the string that begins at `at`."""
    end = line.index(b'"', at + 1)
    while True:
        first = end
        while line[first - 1] == 0x5C:
            first -= 1
        if (end - first) % 2 == 0:
            return end + 1
        end = line.index(b'"', end + 1)


def _value_end(line: bytes, at: int) -> int:
    """The byte after the value that begins at `at`."""
    if line[at] == 0x22:
        return _string_end(line, at)
    if line[at] not in b"{[":
        end = _ENDS_A_WORD.search(line, at)
        return end.start() if end else len(line)
    depth = 0
    while True:
        mark = _OPENS_OR_CLOSES.search(line, at)
        if mark is None:
            raise ValueError("the line ends inside a value")
        if mark[0] == b'"':
            at = _string_end(line, mark.start())
            continue
        depth += 1 if mark[0] in b"{[" else -1
        at = mark.end()
        if depth == 0:
            return at


def decoded(written: bytes) -> bytes:
    """The text of a JSON string, given without its quotes, as UTF-8."""
    return str(json.loads(b'"%b"' % written)).encode()


def cut_string(written: bytes, text: bytes, cuts: Sequence[Range]) -> bytes:
    """A JSON string without some stretches of the text it stands for; the rest as it was written."""
    places = _places(written, [0, *(edge for cut in cuts for edge in cut)])
    return spliced(text, cuts, written, places.__getitem__)


def _places(written: bytes, edges: Sequence[int]) -> dict[int, int]:
    """Where bytes of a text, in order, stand in the JSON string for it."""
    found: dict[int, int] = {}
    waiting = iter(edges)
    edge = next(waiting, None)
    at = 0  # in the text
    for piece in _PIECES.finditer(written):
        after = at + _text_bytes(piece[0])
        while edge is not None and edge < after:
            found[edge] = piece.start() + edge - at
            edge = next(waiting, None)
        if edge is None:
            return found
        at = after
    return found | dict.fromkeys([edge, *waiting] if edge is not None else [], len(written))


def _text_bytes(piece: bytes) -> int:
    """How many bytes of UTF-8 a piece of a JSON string stands for."""
    if piece[:1] != b"\\":
        return len(piece)
    if piece[1:2] != b"u":
        return 1
    if len(piece) > 6:
        return 4
    point = int(piece[2:], 16)
    return 1 if point < 0x80 else 2 if point < 0x800 else 3
