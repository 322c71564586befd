"""The tables of characters say of every code point what its definition says."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import numpy as np
import pytest

from pipeline.kernels.char_tables import (
    BOUNDARY,
    CLASS_SHIFT,
    CODE_POINTS,
    COMPOSES,
    EXPANDS,
    MAPPED,
    SEPARATOR,
    STABLE,
    UNSPACED,
    WORD,
    CharTables,
    _is_plain,
    char_tables,
)
from pipeline.normalise import UNSPACED_RANGES, lower

POINTS = range(CODE_POINTS)


@pytest.fixture(scope="module")
def tables() -> CharTables:
    """The tables."""
    return char_tables()


def class_of(character: str) -> int:
    """The class of a character that is written."""
    if unicodedata.category(character)[0] not in "LMN":
        return SEPARATOR
    return UNSPACED if any(low <= ord(character) <= high for low, high in UNSPACED_RANGES) else WORD


def written(tables: CharTables, entry: int) -> Iterator[tuple[int, int]]:
    """The code points that an entry writes, with their classes."""
    kind = entry >> CLASS_SHIFT & 3
    if kind != EXPANDS:
        yield entry & MAPPED, kind
        return
    first, last = tables.expansion_start[entry & MAPPED : (entry & MAPPED) + 2]
    for code in tables.expansion[first:last].tolist():
        yield code & MAPPED, code >> CLASS_SHIFT & 3


def test_combining_classes_are_those_of_unicode(tables: CharTables) -> None:
    assert tables.combining.tolist() == [unicodedata.combining(chr(point)) for point in POINTS]


def test_each_character_writes_its_compatible_form_in_lower_case(tables: CharTables) -> None:
    # What separates is not written, so it does not matter which character it is.
    for point, entry in enumerate(tables.entry.tolist()):
        wanted = [lower(c) for c in unicodedata.normalize("NFKC", chr(point))]
        classes = [class_of(c) for c in unicodedata.normalize("NFKC", chr(point))]
        found = list(written(tables, entry))
        assert [kind > 0 for _, kind in found] == [kind > 0 for kind in classes], hex(point)
        words = [code for code, kind in found if kind]
        assert words == [ord(c) for c, kind in zip(wanted, classes, strict=True) if kind], hex(point)


def slow_partners() -> dict[int, set[int]]:
    """For each character that may merge with one before it, the starters it merges with."""
    canonical = {}
    for point in POINTS:
        decomposed = unicodedata.decomposition(chr(point))
        if decomposed and not decomposed.startswith("<"):
            canonical[point] = [int(part, 16) for part in decomposed.split()]
    found: dict[int, set[int]] = {p: set() for p in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    for point, parts in canonical.items():
        if len(parts) == 2 and unicodedata.normalize("NFC", chr(point)) == chr(point):
            found.setdefault(parts[1], set()).add(parts[0])
    for point in canonical:
        within, base = set[int](), point
        while base in canonical:
            base = canonical[base][0]
            within.add(base)
        for starters in found.values():
            if starters & within:
                starters.add(point)
    return found


def test_flags_and_partners_are_those_of_the_slow_definition(tables: CharTables) -> None:
    partners = slow_partners()
    pairs = sorted(starter << 21 | point for point, starters in partners.items() for starter in starters)
    assert tables.partners.tolist() == pairs
    for point, entry in enumerate(tables.entry.tolist()):
        first = unicodedata.normalize("NFKD", chr(point))[0]
        boundary = not unicodedata.combining(first) and ord(first) not in partners
        changed = unicodedata.normalize("NFKC", chr(point)) != chr(point)
        assert bool(entry & BOUNDARY) == boundary, hex(point)
        assert bool(entry & STABLE) == (not changed and point not in partners), hex(point)
        assert bool(entry & COMPOSES) == (not changed and bool(partners.get(point))), hex(point)


@pytest.mark.parametrize(
    ("block", "plain"),
    [
        ("一丁", True),
        ("\U000e0fff\U000e0ffe", True),  # unassigned
        ("", True),
        ("一 ", False),  # a letter and a separator
        ("ab", True),
        ("aB", False),  # has a lower case
        ("é", False),  # decomposes
        ("\u0301", False),  # a mark
        ("\U000e0fffa", False),
        ("12", False),
        ("\xa0", False),  # cannot be printed, and is a space by its decomposition
    ],
)
def test_plain_blocks_are_all_letters_or_none(block: str, plain: bool) -> None:
    assert _is_plain(block) == plain


def test_most_blocks_are_plain() -> None:
    blocks = ["".join(map(chr, range(start, start + 256))) for start in range(0x10000, 0x40000, 256)]
    assert np.mean([_is_plain(block) for block in blocks]) > 0.8
