"""Stretches cut from regions of a text, each way of cutting against what it promises."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline.normalise import tokens
from pipeline.prompting.cutting import FEW_WORDS, NO_CUT, TOO_FEW, Cutter, Encode, Region, Stretch
from pipeline.prompting.words import Reader

READER = Reader()


def by_pattern(pattern: str) -> Encode:
    """A tokenizer that finds its tokens by a regular expression."""

    def encode(text: str) -> tuple[list[int], list[tuple[int, int]]]:
        found = list(re.finditer(pattern, text, re.DOTALL))
        return [ord(match[0][0]) for match in found], [match.span() for match in found]

    return encode


def cut(
    text: str,
    regions: Sequence[Region],
    key: int,
    encode: Encode | None = None,
    window: int = 8,
    most: int = 9,
) -> tuple[list[Stretch], str | None]:
    """Stretches of a text."""
    data = text.encode()
    return Cutter(window, encode, most).cut(data, READER.words(data), regions, key)


WORD = st.sampled_from(["a", "Bé", "½", "東", "x1", "e\u0301", "\u0e33", "long" * 9])
TEXT = st.builds(
    lambda words, separator, times: separator.join(words * times),
    st.lists(WORD, min_size=1, max_size=20),
    st.sampled_from([" ", ", ", " … ", "\n\n"]),
    st.integers(1, 40),
)
ENCODERS = st.sampled_from([None, by_pattern(r"\S+"), by_pattern(r"\s?\S{1,3}"), by_pattern(".")])


@given(TEXT, st.integers(0, 2**64 - 1), ENCODERS, st.integers(1, 5), st.data())
def test_stretches_are_apart_within_their_regions_and_as_many_as_wanted(
    text: str, key: int, encode: Encode | None, most: int, data: st.DataObject
) -> None:
    n = len(tokens(text))
    edges = sorted(data.draw(st.lists(st.integers(0, n), min_size=2, max_size=4)))
    regions = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False) if a < b]
    stretches, problem = cut(text, regions, key, encode, most=most)
    assert (problem is None) == bool(stretches)
    assert len(stretches) <= most
    words = READER.words(text.encode())
    places = sorted(each.place for each in stretches)
    assert all(a[1] <= b[0] for a, b in pairwise(places))
    for each in stretches:
        begin, end = each.place
        assert text.encode()[begin:end].decode() == each.prefix + each.suffix
        assert any(a <= each.words[0] and each.words[1] <= b for a, b in regions)
        assert len(tokens(each.prefix)) >= 8
        inside = [
            word
            for word, first, stop in zip(tokens(text), words.begins, words.stops, strict=True)
            if begin <= first and stop <= end
        ]
        assert each.whole.split(" ") == inside
        if encode is None:
            assert each.words[1] - each.words[0] == 100
            assert [len(tokens(part)) for part in (each.prefix, each.suffix)] == [50, 50]
        else:
            assert [len(ids or ()) for ids in (each.prefix_ids, each.suffix_ids)] == [50, 50]


def test_the_key_decides_which_stretch_is_the_first() -> None:
    text = " ".join(f"w{i}" for i in range(150))
    firsts = {cut(text, [(0, 150)], key)[0][0].words[0] for key in range(200)}
    assert firsts == set(range(51))


def test_a_region_of_just_enough_words_is_one_stretch() -> None:
    text = " ".join(f"w{i}" for i in range(120))
    assert [each.words for each in cut(text, [(9, 109)], 5)[0]] == [(9, 109)]
    assert cut(text, [(9, 108)], 5) == ([], TOO_FEW)
    assert cut(text, [(0, 99), (10, 20)], 5) == ([], TOO_FEW)
    assert cut(text, [], 5) == ([], TOO_FEW)


def test_separators_begin_the_suffix_and_end_nothing() -> None:
    text = "... " + ", ".join(f"w{i}" for i in range(100)) + "!?"
    for encode in (None, by_pattern(r"\w+")):
        (one,), _ = cut(text, [(0, 100)], 1, encode)
        assert one.prefix.startswith("w0, ")
        assert one.prefix.endswith(", w49")
        assert one.suffix.startswith(", w50")
        assert one.suffix.endswith(", w99")


def test_a_character_of_several_words_stays_whole() -> None:
    # Every second border is within a character, as are those of the region.
    text = " ".join(["½"] * 80)
    (one,), _ = cut(text, [(1, 105)], 0)
    assert one.words == (2, 102)
    assert cut(f"a {text}"[:-2] + " b", [(0, 101)], 0)[1] is None
    # In a tokenizer's tokens, too: here one is a character, and so two words.
    for key in (0, 1):
        (first,), _ = cut(" ".join(["½"] * 160), [(1, 203)], key, by_pattern(r"\S"))
        assert first.words == (2, 202)
    odd = " ".join(["a", *["½"] * 24, "a", *["½"] * 25])
    assert cut(odd, [(0, 100)], 0)[1] is None


def test_why_there_is_no_stretch_is_told() -> None:
    text = "word " * 200
    assert cut(text, [(0, 200)], 0, by_pattern(r"\w+\W+\w+\W+\w+"))[1] == TOO_FEW
    assert cut(text, [(0, 200)], 0, by_pattern("."), window=20)[1] == FEW_WORDS

    def backwards(text: str) -> tuple[list[int], list[tuple[int, int]]]:
        ids, offsets = by_pattern(r"\w+")(text)
        return ids, offsets[::-1]  # type: ignore[return-value]

    def blurred(text: str) -> tuple[list[int], list[tuple[int, int]]]:
        return [0] * 300, [(i // 2, i // 2 + 2) for i in range(300)]

    def swapped(text: str) -> tuple[list[int], list[tuple[int, int]]]:
        ids, offsets = by_pattern(r"\w+")(text)
        return ids, [*offsets[:10], offsets[11], offsets[10], *offsets[12:]]  # type: ignore[return-value]

    assert cut(text, [(0, 200)], 0, backwards)[1] == NO_CUT
    assert cut(text, [(0, 100)], 0, by_pattern(r"\w+"))[1] is None
    assert cut(text, [(0, 100)], 0, swapped)[1] == NO_CUT
    assert cut(text, [(0, 200)], 0, blurred)[1] == NO_CUT


def test_of_a_long_passage_a_part_is_encoded() -> None:
    lengths = []

    def encode(text: str) -> tuple[list[int], list[tuple[int, int]]]:
        lengths.append(len(text))
        ids, offsets = by_pattern(r"\w+")(text)
        return ids, offsets  # type: ignore[return-value]

    stretches, _ = cut("word " * 1_000_000, [(0, 1_000_000)], 12345, encode, most=2)
    assert len(stretches) == 2
    assert lengths < [20_000]
