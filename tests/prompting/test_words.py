"""The words of a text and their places, against the rule in plain Python."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.normalise import normalised, token_places, tokens
from pipeline.prompting.words import Reader
from tests import passage_oracle as oracle
from tests.kernels import alphabets

READER = Reader()


@given(alphabets.texts(60))
@example("")
@example("...")
@example("½ﬁ \u0e19\u0e49\u0e33 e\u0323\u0301 ｶﾞ")
def test_words_and_places_are_those_of_the_rule(text: str) -> None:
    words = READER.words(text.encode())
    places = token_places(text)
    assert len(words) == len(places)
    assert list(zip(words.begins.tolist(), words.stops.tolist(), strict=True)) == [p[1:] for p in places]
    assert words.text.tobytes().decode() == "".join(word + " " for word, _, _ in places)
    if places:
        assert words.normalised(0, len(words)).decode() == normalised(text)
        assert words.normalised(len(words) - 1, len(words)).decode() == places[-1][0]


@given(alphabets.texts(60))
@example("½½ ½")
def test_a_text_can_be_cut_at_borders_without_another_word(text: str) -> None:
    words = READER.words(text.encode())
    borders = words.borders().tolist()
    assert len(borders) == len(words) + 1
    for i, border in enumerate(borders):
        assert border or 0 < i < len(words)
        if border and i < len(words):
            data, at = text.encode(), int(words.begins[i])
            assert tokens(data[:at].decode()) + tokens(data[at:].decode()) == tokens(text)
        elif 0 < i < len(words):
            assert words.stops[i - 1] > words.begins[i]


@given(st.lists(st.sampled_from(["a", "b", "n1", "n2", "n3", "7", "8", "½"]), min_size=8, max_size=30))
def test_words_that_foretell_themselves_are_told_as_for_passages(words: list[str]) -> None:
    text = " ".join(["x", *words, "y"])
    n = len(tokens(text))
    found = READER.words(text.encode())
    assert found.predictable(1, n - 1, 24) == oracle.predictable(tokens(" ".join(words)), 24)


def test_a_text_larger_than_the_readers_memory_is_read() -> None:
    text = "ab ½ " * 100_000
    assert len(Reader().words(text.encode())) == 300_000


@pytest.mark.parametrize("text", [b"\xff", b"a \xed\xa0\x80", "½".encode()[:1], b"e\xcc"])
def test_text_that_is_not_utf8_is_refused(text: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        READER.words(text)
