"""The rule that turns a text into tokens, in plain Python.

This is the definition. The compiled tokeniser is property-tested against it, and tables for
that tokeniser are derived from the same `unicodedata`, so the two cannot disagree about a
character. The Unicode version is Python's own (`unicodedata.unidata_version`) and is written
into every run.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache

# Code points whose Script property (Unicode Scripts.txt) is Han, Hiragana, Katakana, Thai, Lao,
# Khmer or Myanmar, as first and last; gaps that hold no letter, mark or number are bridged.
UNSPACED_RANGES: tuple[tuple[int, int], ...] = (
    (0x0E01, 0x0EDF), (0x1000, 0x109F), (0x1780, 0x17F9), (0x19E0, 0x19FF), (0x2E80, 0x3005),
    (0x3007, 0x3029), (0x3038, 0x303B), (0x3041, 0x3096), (0x309D, 0x30FA), (0x30FD, 0x30FF),
    (0x31F0, 0x31FF), (0x32D0, 0x9FFF), (0xA9E0, 0xA9FE), (0xAA60, 0xAA7F), (0xF900, 0xFAD9),
    (0xFF66, 0xFF6F), (0xFF71, 0xFF9D), (0x116D0, 0x116E3), (0x16FE2, 0x16FE3),
    (0x16FF0, 0x16FF6), (0x1AFF0, 0x1B168), (0x1F200, 0x1F200), (0x20000, 0x33479),
)  # fmt: skip
_FIRSTS = [first for first, _ in UNSPACED_RANGES]


def unspaced(character: str) -> bool:
    """Whether the character belongs to a script written without spaces between words."""
    place = bisect_right(_FIRSTS, ord(character)) - 1
    return place >= 0 and ord(character) <= UNSPACED_RANGES[place][1]


def lower(character: str) -> str:
    """The lower case of one character where that is one character, else the character."""
    small = character.lower()
    return small if len(small) == 1 else character


def tokens(text: str) -> list[str]:
    """The tokens of a text, in order.

    NFKC, then lower case character by character. Letters, marks and numbers (Unicode categories
    L*, M*, N*) make words, everything else separates them, and a character of a script written
    without spaces is a token of its own.
    """
    spaced = []
    for character in map(lower, unicodedata.normalize("NFKC", text)):
        if unicodedata.category(character)[0] not in "LMN":
            spaced.append(" ")
        elif unspaced(character):
            spaced.append(f" {character} ")
        else:
            spaced.append(character)
    # Only the space is a separator by now: str.split() without an argument knows others too.
    return [token for token in "".join(spaced).split(" ") if token]


@cache
def _joining() -> frozenset[str]:
    # What NFKC may merge into a character before it: the second halves of the canonical pairs that it
    # composes, and the vowels and final consonants of Hangul.
    found = {chr(point) for point in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    for character in map(chr, range(0x110000)):
        parts = unicodedata.decomposition(character).split()
        is_pair = len(parts) == 2 and not parts[0].startswith("<")
        if is_pair and unicodedata.is_normalized("NFC", character):
            found.add(chr(int(parts[1], 16)))
    return frozenset(found)


def pieces(text: str) -> list[str]:
    """The text cut wherever NFKC treats what follows on its own, whatever stands before it.

    That is before each character whose decomposition begins with a starter that merges with
    nothing before it (Unicode Standard Annex 15, section 9). NFKC of the text is that of its
    pieces, joined.
    """
    found: list[str] = []
    for character in text:
        first = unicodedata.normalize("NFKD", character)[0]
        if found and (unicodedata.combining(first) or first in _joining()):
            found[-1] += character
        else:
            found.append(character)
    return found


def _origins(text: str) -> Iterator[tuple[str, int, int]]:
    # The characters of NFKC(text), each with the bytes [begin, end) of the text it comes from: its
    # piece if NFKC changes that, else the character itself.
    begin = 0
    for piece in pieces(text):
        composed = unicodedata.normalize("NFKC", piece)
        for part, written in zip(piece, piece, strict=True) if composed == piece else [(piece, composed)]:
            end = begin + len(part.encode())
            for character in written:
                yield character, begin, end
            begin = end


def token_places(text: str) -> list[tuple[str, int, int]]:
    """The tokens of a text, each with the bytes [begin, end) of `text.encode()` it was made from.

    A token begins where the first character that it is made from begins, and ends where the last
    one ends. What NFKC changes it changes as a whole: where an accent was composed with a letter,
    or one character became several, the whole piece (see `pieces`) counts for each token that any
    of it is in. So two tokens of one piece share its bytes, and only then do ranges overlap.
    """
    found: list[tuple[str, int, int]] = []
    within = False
    for character, begin, end in _origins(text):
        small = lower(character)
        word = unicodedata.category(small)[0] in "LMN"
        if word and within and not unspaced(small):
            token, start, _ = found.pop()
            found.append((token + small, start, end))
        elif word:
            found.append((small, begin, end))
        within = word and not unspaced(small)
    return found


def normalised(text: str) -> str:
    """The tokens of a text joined by one space: what `text_id` is the hash of."""
    return " ".join(tokens(text))


def shingles(text: str, width: int = 5) -> set[str]:
    """The set of word `width`-grams; the whole normalised text where it has fewer tokens than that.

    A text without tokens has no shingles.
    """
    words = tokens(text)
    if 0 < len(words) < width:
        return {" ".join(words)}
    return {" ".join(words[i : i + width]) for i in range(len(words) - width + 1)}
