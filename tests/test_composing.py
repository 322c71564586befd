"""NFKC with places: the text is Python's, the places are those of the pieces it treats on their own."""

from __future__ import annotations

import random
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.composing import composed, nfkc
from pipeline.normalise import pieces
from tests.kernels.alphabets import changed_by_nfkc, combining, texts

ASSIGNED = [chr(point) for point in (*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE0200))]
MARKS = "\u0301\u0316\u0323\u0345\u0334\u0344\u0f73\u05b0\u3099\u0340"
# What most may follow: letters that compose, alone and composed, Hangul of every length, vowels of two
# parts, marks of a low class and of the highest, characters that come apart, and what separates.
LEFTS = "eE=\u00e9\u1eb9\u1100\uac00\uac01\u09c7\u0b92\u304b\u3131\uff76\u00bd\ufb01\u00a8\x00 " + MARKS
# Written as escapes: an editor might compose them. Each byte's place, as first and last.
BY_HAND = {
    "empty": ("", []),
    "ASCII": ("ab", [(0, 1), (1, 2)]),
    "composed already": ("a\u00e9", [(0, 1), (1, 3), (1, 3)]),
    "accent": ("ae\u0301b", [(0, 1), (1, 4), (1, 4), (4, 5)]),
    "accent at the start": ("\u0301a", [(0, 2), (0, 2), (2, 3)]),
    "mark that merges with nothing": ("=\u0316", [(0, 1), (1, 3), (1, 3)]),
    "it and an accent": ("e\u0316\u0301", [(0, 5)] * 4),
    "ligature": ("a\ufb01b", [(0, 1), (1, 4), (1, 4), (4, 5)]),
    "two ligatures": ("\ufb01\ufb01", [(0, 3), (0, 3), (3, 6), (3, 6)]),
    "as long as before": ("\uff21\uff22", [(0, 3), (3, 6)]),
    "Hangul": ("\u1112\u1161\u11ab\u1100\u1161", [(0, 9)] * 3 + [(9, 15)] * 3),
    "Hangul of half width": ("\uffa1\uffc2\uffa2", [(0, 6)] * 3 + [(6, 9)] * 3),
    "vowel on its own": ("\u1161\u1161", [(0, 3)] * 3 + [(3, 6)] * 3),
    "two accents on nothing": ("\u0344\u0308", [(0, 4)] * 6),
    "NUL": ("\x00e\u0301\x00\x00", [(0, 1), (1, 4), (1, 4), (4, 5), (5, 6)]),
    "mark on a NUL": ("\x00\u0344a", [(0, 3)] * 5 + [(3, 4)]),
}


def expected(text: str) -> list[tuple[bytes, int, int]]:
    """Each byte of NFKC(text) with the place it comes from, piece by piece."""
    found, at = [], 0
    for piece in pieces(text):
        after = unicodedata.normalize("NFKC", piece)
        for part, written in [(c, c) for c in piece] if after == piece else [(piece, after)]:
            n = len(part.encode())
            found += [(bytes([byte]), at, at + n) for byte in written.encode()]
            at += n
    return found


def found(text: str) -> list[tuple[bytes, int, int]]:
    """The same, as `composed` has it."""
    result = composed(text.encode())
    assert result.text == unicodedata.normalize("NFKC", text).encode()
    assert result.first.dtype == result.last.dtype == np.int64
    each = [bytes([byte]) for byte in result.text]
    return list(zip(each, result.first.tolist(), result.last.tolist(), strict=True))


@pytest.mark.parametrize(("text", "places"), BY_HAND.values(), ids=BY_HAND.keys())
def test_bytes_come_from_these(text: str, places: list[tuple[int, int]]) -> None:
    assert [(first, last) for _, first, last in found(text)] == places


@given(texts(60))
def test_bytes_come_from_where_the_pieces_say(text: str) -> None:
    assert found(text) == expected(text)


@given(texts(60))
def test_pieces_joined_are_the_text_before_and_after(text: str) -> None:
    assert "".join(pieces(text)) == text
    after = [unicodedata.normalize("NFKC", piece) for piece in pieces(text)]
    assert "".join(after) == unicodedata.normalize("NFKC", text)


def test_sequences_that_nfkc_moves_come_from_where_the_pieces_say() -> None:
    generator = random.Random(11)
    pools = [combining(), changed_by_nfkc(), LEFTS, MARKS]
    for _ in range(30_000):
        text = "".join(generator.choice(generator.choice(pools)) for _ in range(generator.randrange(1, 9)))
        assert found(text) == expected(text), ascii(text)


def test_every_character_comes_from_where_the_pieces_say() -> None:
    for first in range(0, len(ASSIGNED), 1 << 12):
        for left in ("", "e", "\u1100", "\u0345"):
            text = "".join(f"{left}{character}" for character in ASSIGNED[first : first + (1 << 12)])
            assert found(text) == expected(text)


def test_piece_begins_where_nothing_before_it_matters() -> None:
    normalize = unicodedata.normalize
    # Most of Hangul and Han behave alike.
    beginning = [c for c in ASSIGNED if len(pieces("e" + c)) == 2 and (c < "\u4e80" or ord(c) % 11 == 0)]
    assert len(beginning) > 30_000
    for left in LEFTS:
        before = normalize("NFKC", left)
        assert [c for c in beginning if normalize("NFKC", left + c) != before + normalize("NFKC", c)] == []


def test_piece_goes_on_where_something_before_it_may_matter() -> None:
    normalize = unicodedata.normalize
    going_on = {c for c in ASSIGNED if len(pieces("e" + c)) == 1}
    assert len(going_on) > 900
    parts = [unicodedata.decomposition(c).split() for c in ASSIGNED]
    lefts = {chr(int(part[0], 16)) for part in parts if len(part) == 2 and part[0][0] != "<"}
    for left in sorted(lefts | set(LEFTS)):
        before = normalize("NFKC", left)
        going_on -= {c for c in going_on if normalize("NFKC", left + c) != before + normalize("NFKC", c)}
    assert going_on == set()


def test_nfkc_changes_no_nul_and_makes_none() -> None:
    assert [c for c in ASSIGNED if "\x00" in unicodedata.normalize("NFKC", c)] == ["\x00"]


@given(texts(60))
def test_places_are_in_the_text_and_in_order(text: str) -> None:
    data = text.encode()
    result = composed(data)
    assert (np.diff(result.first) >= 0).all()
    assert (np.diff(result.last) >= 0).all()
    assert (result.first < result.last).all()
    if data:
        assert (result.first[0], result.last[-1]) == (0, len(data))


@given(texts(40), st.data())
def test_bytes_that_some_come_from_become_them(text: str, data: st.DataObject) -> None:
    result = composed(text.encode())
    after = result.text.decode()
    a = data.draw(st.integers(0, len(after)))
    b = data.draw(st.integers(a, len(after)))
    if a == b:
        return
    begin, stop = len(after[:a].encode()), len(after[:b].encode())
    stretch = text.encode()[result.first[begin] : result.last[stop - 1]].decode()
    assert after[a:b] in unicodedata.normalize("NFKC", stretch)


def test_long_runs_of_marks_are_as_python_has_them() -> None:
    generator = random.Random(5)
    pools = [combining(), MARKS, MARKS, "e\u00e9\u1100\u1161\u11a8\u0344\u00bd\u1e69"]
    for _ in range(600):
        weights = [10, 10, 10, generator.choice([0, 0.1, 1])]
        chosen = generator.choices(pools, weights, k=generator.choice([31, 32, 33, 34, 60, 200]))
        text = "".join(map(generator.choice, chosen)) + generator.choice(["", "a", "\u6f22 e\u0301"])
        assert nfkc(text) == unicodedata.normalize("NFKC", text), ascii(text)
        assert found(text) == expected(text)


# What takes Python minutes, or would take them if each character looked at all before it.
ENDLESS = {
    "marks in turn": ("e" + "\u0301\u0316" * 300_000, "\u00e9" + "\u0316" * 300_000 + "\u0301" * 299_999),
    "marks the wrong way round": (
        "\u0301" * 300_000 + "\u0316" * 300_000,
        "\u0316" * 300_000 + "\u0301" * 300_000,
    ),
    "marks that come apart": (
        "\u0344\u0316" * 200_000,
        "\u0316" * 200_000 + "\u0308\u0301" * 200_000,
    ),
    "marks that come apart and pass as a letter before": (
        "\u0f73\u0316" * 200_000,
        "\u0f71" * 200_000 + "\u0f72" * 200_000 + "\u0316" * 200_000,
    ),
    "marks on a composed letter": ("\u00e9" + "\u0323" * 400_000, "\u1eb9" + "\u0323" * 399_999 + "\u0301"),
    "Hangul": ("\u1112\u1161\u11ab" * 300_000, "\ud55c" * 300_000),
    "Hangul vowels": ("\u1161" * 400_000, "\u1161" * 400_000),
    "letters": ("e\u0301" * 400_000, "\u00e9" * 400_000),
    "runs as long as are in order by themselves": (
        ("e" + "\u0301\u0316" * 15) * 20_000,
        ("\u00e9" + "\u0316" * 15 + "\u0301" * 14) * 20_000,
    ),
}


@pytest.mark.parametrize(("text", "after"), ENDLESS.values(), ids=ENDLESS.keys())
def test_megabyte_takes_no_minute(text: str, after: str) -> None:
    result = composed(text.encode())
    assert result.text.decode() == after
    assert (result.first[0], result.last[-1]) == (0, len(text.encode()))


@pytest.mark.parametrize("data", [b"\xff", b"abc\xed\xa0\x80", b"e\xcc", b"\xc0\x80"])
def test_what_is_not_utf8_is_refused_as_the_codec_does(data: bytes) -> None:
    with pytest.raises(UnicodeDecodeError) as codec:
        data.decode()
    with pytest.raises(UnicodeDecodeError) as refused:
        composed(data)
    assert refused.value.start == codec.value.start
