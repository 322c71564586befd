"""Stretches of bytes cut out of texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputChangedError
from pipeline.normalise import tokens
from pipeline.writers.cutting import Range, check_cuts, cut_text


@pytest.mark.parametrize(
    ("text", "cuts", "left"),
    [
        ("one two three", [(4, 8)], "one three"),
        ("one two three", [(0, 4)], "two three"),
        ("one two three", [(7, 13)], "one two"),
        ("one two three", [(0, 13)], ""),
        ("one two three", [(0, 3), (8, 13)], " two "),
        ("one (two) three", [(5, 8)], "one () three"),
        ("one two three", [(3, 8)], "one three"),  # a space, so that no word is made
        ("a中b", [(1, 4)], "a b"),
        ("中文字", [(3, 6)], "中 字"),
        ("½x", [(2, 2)], "½ x"),
        ("ab, cd", [(2, 4)], "ab cd"),
        ("a\u0301 b c", [(3, 6)], "a\u0301 c"),
        ("x™", [(0, 1)], "™"),
    ],
)
def test_text_loses_what_is_cut_out(text: str, cuts: list[Range], left: str) -> None:
    assert cut_text(text.encode(), cuts).decode() == left


def test_words_that_meet_do_not_become_one() -> None:
    words = ["alpha", "中", "beta", "é", "x™"]
    text = "".join(words[:3])
    cut = cut_text(text.encode(), [(5, 8)]).decode()
    assert tokens(cut) == ["alpha", "beta"]


@given(st.lists(st.text("ab 中é™.\n", max_size=6), min_size=1, max_size=7))
def test_tokens_left_are_those_of_the_pieces_left(pieces: list[str]) -> None:
    # Every second piece is cut out.
    cuts, at = [], 0
    for number, piece in enumerate(pieces):
        end = at + len(piece.encode())
        if number % 2 and end > at:
            cuts.append((at, end))
        at = end
    text = "".join(pieces).encode()
    left = cut_text(text, cuts).decode()
    joined, expected = "", []
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            joined += piece
        elif piece:
            expected += tokens(joined)
            joined = ""
    assert tokens(left) == expected + tokens(joined)
    assert len(left.encode()) <= len(text)


@pytest.mark.parametrize("text", [None, b"", b"four", b"fiv\xc3\xa9", b"f\xe4\xb8\xad.."])
def test_text_that_the_cuts_were_not_made_for_is_refused(text: bytes | None) -> None:
    with pytest.raises(InputChangedError, match="not what the run read") as caught:
        check_cuts(text, [(0, 2), (3, 4 if text != b"four" else 5)], "file\x1b.txt", 7)
    assert (caught.value.row, caught.value.where) == (7, r"file\x1b.txt")
    assert caught.value.fix


def test_text_that_the_cuts_fit_is_taken() -> None:
    assert check_cuts("fivé".encode(), [(0, 3), (3, 5)], "file", 0) == "fivé".encode()
