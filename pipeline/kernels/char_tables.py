"""Tables that decide, code point by code point, what the tokeniser does with a character.

NFKC works on strings, but for most characters it can be decided one at a time. A character
whose decomposition begins with a starter that never composes with what precedes it has a
normalisation boundary before it (Unicode Standard Annex 15, section 9); what stands between
two such boundaries is normalised on its own. A stretch of one character is looked up here. A
longer one is left as it is when every character passes the annex's quick check and the
combining classes are in order; where that fails, the document goes through
`unicodedata.normalize` instead. A character that may compose (the quick check's "Maybe": an
acute accent, a nukta, the vowel sign of every second Bengali word) passes where the starter
before it is none that it ever composes with.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from functools import cache
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.normalise import UNSPACED_RANGES, lower

CODE_POINTS = 0x110000
MAPPED = 0x1FFFFF  # bits 0-20: the code point to write, or the number of the expansion
CLASS_SHIFT = 21  # bits 21-22: one of the four classes
SEPARATOR, WORD, UNSPACED, EXPANDS = 0, 1, 2, 3
BOUNDARY = 1 << 23  # a normalisation boundary precedes the character
STABLE = 1 << 24  # the character passes the NFKC quick check
COMPOSES = 1 << 25  # it passes where no starter of its own (`partners`) stands before it

_HANGUL_VOWELS_AND_TAILS = (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))
# Planes 4 to 13 are unassigned and the private planes separate; plane 14 holds marks.
_BLOCK = 256
_ASSIGNED = (range(0xD800), range(0xE000, 0x40000), range(0xE0000, 0xE0200))


class CharTables(NamedTuple):
    """What the tokeniser looks up.

    Attributes:
        entry: uint32[0x110000], see the bit layout above.
        combining: uint8[0x110000], canonical combining class.
        expansion_start: int64[expansions + 1], where each expansion begins in `expansion`.
        expansion: uint32, for each expansion the entries (code point and class) it writes.
        partners: int64, sorted, `starter << 21 | character` for each character with COMPOSES and
            each starter that it may merge with, alone or where other marks stand between them.
    """

    entry: NDArray[np.uint32]
    combining: NDArray[np.uint8]
    expansion_start: NDArray[np.int64]
    expansion: NDArray[np.uint32]
    partners: NDArray[np.int64]


def _is_plain(block: str) -> bool:
    # Whether all its characters stay as they are, and are all letters (CJK ideographs) or none is a word
    # character (unassigned ones): asked of 256 at a time, it is a tenth of asking each.
    letters_or_none = block.isalpha() or not any(map(str.isprintable, block))
    return letters_or_none and unicodedata.is_normalized("NFKD", block) and block.lower() == block


def _char_classes(words: NDArray[np.bool_], points: NDArray[np.int64]) -> NDArray[np.uint32]:
    edges = np.array(UNSPACED_RANGES, np.int64)
    place = np.searchsorted(edges[:, 0], points, side="right") - 1
    unspaced = (place >= 0) & (points <= edges[place, 1])
    return np.where(words, np.where(unspaced, UNSPACED, WORD), SEPARATOR).astype(np.uint32)


def _partners(decompositions: dict[int, str]) -> dict[int, set[int]]:
    # For each character that can merge with one before it, the starters that it merges with.
    found: dict[int, set[int]] = {point: set() for point in _HANGUL_VOWELS_AND_TAILS}
    canonical = {
        point: [int(part, 16) for part in parts.split()]
        for point, parts in decompositions.items()
        if not parts.startswith("<")
    }
    for point, parts in canonical.items():
        if len(parts) == 2 and unicodedata.is_normalized("NFC", chr(point)):
            found.setdefault(parts[1], set()).add(parts[0])
    # A mark of a low class slips under those of a composed letter: e acute and a dot below.
    merging = defaultdict[int, set[int]](set)  # the same by starter
    for character, starters in found.items():
        for starter in starters:
            merging[starter].add(character)
    for point in canonical:
        base = point
        while base in canonical:
            base = canonical[base][0]
            merging[point] |= merging[base]
        for character in merging[point]:
            found[character].add(point)
    return found


_BUILDING = Lock()


def char_tables() -> CharTables:
    """The tables, built once a process (in 0.07 s) however many threads ask for them at once."""
    with _BUILDING:
        return _built()


@cache
def _built() -> CharTables:
    # From this Python's `unicodedata`. Most characters stay as they are, and are dealt with all at
    # once; the 20,000 that decompose or have a lower case are looked at one by one.
    starts_of_blocks = [start for span in _ASSIGNED for start in range(span.start, span.stop, _BLOCK)]
    blocks = ["".join(map(chr, range(start, start + _BLOCK))) for start in starts_of_blocks]
    plain = [_is_plain(block) for block in blocks]
    points = np.concatenate([np.arange(start, start + _BLOCK) for start in starts_of_blocks])
    looked_at = points[~np.repeat(plain, _BLOCK)]
    characters = [chr(point) for point in looked_at.tolist()]
    words = np.zeros(CODE_POINTS, np.bool_)
    words[points] = np.repeat([block.isalpha() for block in blocks], _BLOCK)
    words[looked_at] = [unicodedata.category(c)[0] in "LMN" for c in characters]
    decompositions = {ord(c): parts for c in characters if (parts := unicodedata.decomposition(c))}
    composing = _partners(decompositions)
    classes = _char_classes(words[points], points)
    combining = np.zeros(CODE_POINTS, dtype=np.uint8)
    combining[looked_at] = [unicodedata.combining(c) for c in characters]
    entry = np.full(CODE_POINTS, BOUNDARY | STABLE, dtype=np.uint32)
    entry[points] = points.astype(np.uint32) | classes << CLASS_SHIFT | BOUNDARY | STABLE
    class_of = np.zeros(CODE_POINTS, np.uint32)
    class_of[points] = classes
    changed = {ord(c) for c in characters if c != c.lower()} | set(decompositions)
    special = changed | set(composing) | set(np.flatnonzero(combining).tolist())
    starts, expansion = [0], list[int]()
    for point in sorted(special):
        character = chr(point)
        normal = unicodedata.normalize("NFKC", character)
        first = unicodedata.normalize("NFKD", character)[0]
        flags = 0 if unicodedata.combining(first) or ord(first) in composing else BOUNDARY
        if normal == character:
            flags |= COMPOSES if composing.get(point) else STABLE if point not in composing else 0
        written = [ord(lower(c)) for c in normal]
        codes = [code | int(class_of[code]) << CLASS_SHIFT for code in written]
        if len(codes) == 1:
            entry[point] = codes[0] | flags
        else:
            entry[point] = (len(starts) - 1) | EXPANDS << CLASS_SHIFT | flags
            expansion += codes
            starts.append(len(expansion))
    partners = sorted(starter << 21 | point for point, starters in composing.items() for starter in starters)
    return CharTables(
        entry,
        combining,
        np.array(starts, np.int64),
        np.array(expansion, np.uint32),
        np.array(partners, np.int64),
    )
