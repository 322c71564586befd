"""The rule that turns a text into tokens, in plain Python.

This is the definition. The compiled tokeniser is property-tested against it, and tables for
that tokeniser are derived from the same `unicodedata`, so the two cannot disagree about a
character. The Unicode version is Python's own (`unicodedata.unidata_version`) and is written
into every run.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right

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
