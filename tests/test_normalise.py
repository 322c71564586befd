"""The tokenising rule, case by case."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.normalise import UNSPACED_RANGES, lower, normalised, shingles, tokens, unspaced

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)

# Written as escapes wherever an editor or a terminal might compose, reorder or hide something.
WORDS = {
    "lower case": ("The CAT", ["the", "cat"]),
    "ligatures": ("\ufb01ne o\ufb03ce", ["fine", "office"]),
    "full width": ("\uff21\uff22\uff23\u3000\uff11\uff12", ["abc", "12"]),
    "superscript digit": ("m\u00b2", ["m2"]),
    "ordinal indicator": ("1\u00aa", ["1a"]),
    "micro sign is mu": ("\u00b5", ["\u03bc"]),
    "Kelvin sign is k": ("\u212a", ["k"]),
    "Angstrom sign is a ring": ("\u212b", ["\u00e5"]),
    "digraph": ("\u01c4", ["d\u017e"]),
    "half splits at the fraction slash": ("\u00bd", ["1", "2"]),
    "one and a half": ("1\u00bd", ["11", "2"]),
    "dotted capital I keeps its case": ("\u0130stanbul", ["\u0130stanbul"]),
    "dotless i": ("I\u0131", ["i\u0131"]),
    "sharp s": ("Stra\u00dfe STRASSE", ["stra\u00dfe", "strasse"]),
    "capital sharp s": ("STRA\u1e9eE", ["stra\u00dfe"]),
    "sigma at the end is no final sigma": ("\u039f\u0394\u039f\u03a3", ["\u03bf\u03b4\u03bf\u03c3"]),
    "final sigma stays": ("\u03bf\u03b4\u03cc\u03c2", ["\u03bf\u03b4\u03cc\u03c2"]),
    "Cherokee": ("\u13a0\uab70", ["\uab70\uab70"]),
    "Deseret, outside the BMP": ("\U00010400", ["\U00010428"]),
    "mathematical letters": ("\U0001d400\U0001d7d8", ["a0"]),
}
MARKS = {
    "accent composes": ("cafe\u0301", ["caf\u00e9"]),
    "capital composes, then lower case": ("CAFE\u0301", ["caf\u00e9"]),
    "two marks are ordered and composed": ("a\u0302\u0323", ["\u1ead"]),
    "mark without a composite stays": ("x\u0301y", ["x\u0301y"]),
    "lower case is not composed again": ("J\u030c", ["j\u030c"]),
    "lone mark is a word": ("\u0301", ["\u0301"]),
    "acute accent is a space and a mark": ("a\u00b4b", ["a", "\u0301b"]),
    "combining grapheme joiner is a mark": ("a\u034fb", ["a\u034fb"]),
    "Hangul jamo compose": ("\u1112\u1161\u11ab", ["\ud55c"]),
    "Arabic harakat stay": ("\u0643\u064e\u062a", ["\u0643\u064e\u062a"]),
    "Hindi vowel signs and virama stay": ("\u0939\u093f\u0928\u094d", ["\u0939\u093f\u0928\u094d"]),
    "Bengali two-part vowel composes": ("\u0995\u09c7\u09be", ["\u0995\u09cb"]),
    "Hebrew presentation form comes apart": ("\ufb2a", ["\u05e9\u05c1"]),
}
UNSPACED_SCRIPTS = {
    "Han": ("\u6f22\u5b57", ["\u6f22", "\u5b57"]),
    "Han within Latin": ("a\u6f22b", ["a", "\u6f22", "b"]),
    "Han outside the BMP": ("\U00020000\U0002a700", ["\U00020000", "\U0002a700"]),
    "Han compatibility": ("\uf900", ["\u8c48"]),
    "ideographic zero and iteration mark": ("\u3007\u3005", ["\u3007", "\u3005"]),
    "Hiragana": ("\u306d\u3053", ["\u306d", "\u3053"]),
    "Katakana; the long vowel mark is common": ("\u30e9\u30fc\u30e1", ["\u30e9", "\u30fc", "\u30e1"]),
    "half-width Katakana composes": ("\uff76\uff9e", ["\u30ac"]),
    "square Katakana": ("\u3300", ["\u30a2", "\u30d1", "\u30fc", "\u30c8"]),
    "Thai, marks too; sara am comes apart": ("\u0e19\u0e49\u0e33", ["\u0e19", "\u0e49", "\u0e4d", "\u0e32"]),
    "Lao": ("\u0ea5\u0eb2", ["\u0ea5", "\u0eb2"]),
    "Khmer": ("\u1781\u17d2\u1798", ["\u1781", "\u17d2", "\u1798"]),
    "Myanmar": ("\u1019\u103c", ["\u1019", "\u103c"]),
    "Hangul is spaced": ("\ud55c\uad6d\uc5b4 \ud14d", ["\ud55c\uad6d\uc5b4", "\ud14d"]),
    "Thai digits": ("\u0e51\u0e52", ["\u0e51", "\u0e52"]),
}  # fmt: skip
DIGITS = {
    "ASCII": ("1234", ["1234"]),
    "a number stays itself": ("invoice 17", ["invoice", "17"]),
    "decimal point and thousands comma separate": ("3.14 1,000", ["3", "14", "1", "000"]),
    "Arabic-Indic": ("\u0663\u0664", ["\u0663\u0664"]),
    "Devanagari": ("\u0967\u0968", ["\u0967\u0968"]),
    "Roman numeral": ("\u2167", ["viii"]),
    "circled": ("\u2460a", ["1a"]),
    "letter and digit": ("x86 3D", ["x86", "3d"]),
}
SEPARATORS = {
    "nothing": "",
    "spaces": "   ",
    "white space of every kind": " \t\n\r\x0b\x0c\u00a0\u2003\u3000\u2028\u2029\u0085\x1c\x1d\x1e\x1f",
    "punctuation": "?! \u2026 \u2014 \u00ab\u00bb \u3002\uff0c \u060c",
    "emoji": "\U0001f600\U0001f44d\U0001f3fd",
    "emoji joined by ZWJ": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "symbols": "+ = < > $ \u20ac \u2211 \u00a9",
    "format characters": "\ufeff\u200b\u200c\u200d\u200e\u202e\u2066\u00ad",
    "NUL and other controls": "\x00\x01\x7f\x80",
    "private use": "\ue000\U000f0000\U0010fffd",
    "unassigned": "\u0378\U000e0fff\ufdd0\uffff",
}
BETWEEN = {
    "tab": "\t", "NUL": "\x00", "line separator": "\u2028", "paragraph separator": "\u2029",
    "next line": "\u0085", "file separator": "\x1c", "no-break space": "\u00a0", "soft hyphen": "\u00ad",
    "zero width space": "\u200b", "joiner": "\u200d", "byte order mark": "\ufeff", "underscore": "_",
    "apostrophe": "'", "hyphen": "-", "emoji": "\U0001f600", "private use": "\ue000",
    "Greek question mark": "\u037e", "replacement character": "\ufffd",
}  # fmt: skip


def cases(*groups: dict[str, tuple[str, list[str]]]) -> pytest.MarkDecorator:
    pairs = {name: case for group in groups for name, case in group.items()}
    return pytest.mark.parametrize(("text", "expected"), pairs.values(), ids=pairs.keys())


@cases(WORDS, MARKS, UNSPACED_SCRIPTS, DIGITS)
def test_text_becomes_these_tokens(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@pytest.mark.parametrize("text", SEPARATORS.values(), ids=SEPARATORS.keys())
def test_text_without_word_characters_has_no_tokens(text: str) -> None:
    assert tokens(text) == []
    assert normalised(text) == ""
    assert shingles(text) == set()


@pytest.mark.parametrize("separator", BETWEEN.values(), ids=BETWEEN.keys())
def test_separator_parts_two_words(separator: str) -> None:
    assert tokens(f"a{separator}b") == ["a", "b"]
    assert tokens(f"{separator}a{separator}{separator}b{separator}") == ["a", "b"]


def test_one_character_can_become_four_words() -> None:
    words = "\u0635\u0644\u0649 \u0627\u0644\u0644\u0647 \u0639\u0644\u064a\u0647 \u0648\u0633\u0644\u0645"
    assert tokens("\ufdfa") == words.split(" ")


def test_emoji_leave_only_their_variation_selectors() -> None:
    assert tokens("\u2764\ufe0f") == ["\ufe0f"]
    assert tokens("1\ufe0f\u20e3") == ["1\ufe0f\u20e3"]


def test_joiner_inside_a_devanagari_cluster_separates() -> None:
    assert tokens("\u0915\u094d\u200d\u0937") == ["\u0915\u094d", "\u0937"]


def test_normalised_text_is_tokens_joined_by_one_space() -> None:
    assert normalised("  Hello,\tWORLD!\u2028\u6f22\u5b57 ") == "hello world \u6f22 \u5b57"


def test_lower_case_of_two_characters_is_not_taken() -> None:
    assert len("\u0130".lower()) == 2
    assert lower("\u0130") == "\u0130"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        ("?!", set()),
        ("One", {"one"}),
        ("one two THREE four", {"one two three four"}),
        ("one two three four five", {"one two three four five"}),
        ("one two three four five six", {"one two three four five", "two three four five six"}),
        ("a a a a a a a", {"a a a a a"}),
    ],
)
def test_shingles_are_the_set_of_five_grams_or_the_whole_short_text(text: str, expected: set[str]) -> None:
    assert shingles(text) == expected


@pytest.mark.parametrize(
    ("width", "expected"),
    [(1, {"a", "b", "c"}), (2, {"a b", "b c"}), (3, {"a b c"}), (4, {"a b c"}), (100, {"a b c"})],
)
def test_shingle_width_is_free(width: int, expected: set[str]) -> None:
    assert shingles("a b c", width) == expected


@given(ANY_TEXT)
def test_tokens_hold_only_word_characters(text: str) -> None:
    for token in tokens(text):
        assert token
        assert all(unicodedata.category(character)[0] in "LMN" for character in token)
        assert len(token) == 1 or not any(unspaced(character) for character in token)


@given(ANY_TEXT, ANY_TEXT)
def test_texts_parted_by_a_space_are_tokenised_apart(one: str, two: str) -> None:
    assert tokens(f"{one} {two}") == tokens(one) + tokens(two)


@given(ANY_TEXT)
def test_every_compatibility_form_of_a_text_has_the_same_tokens(text: str) -> None:
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert tokens(unicodedata.normalize(form, text)) == tokens(text)


@given(ANY_TEXT, st.integers(1, 6))
def test_shingles_of_a_text_equal_those_of_its_token_list(text: str, width: int) -> None:
    words = normalised(text).split(" ") if normalised(text) else []
    windows = {tuple(words[i : i + width]) for i in range(max(len(words) - width + 1, min(len(words), 1)))}
    assert shingles(text, width) == {" ".join(window) for window in windows}


def test_unspaced_ranges_are_sorted_and_apart() -> None:
    flat = [edge for pair in UNSPACED_RANGES for edge in pair]
    assert flat == sorted(flat)
    assert all(last + 1 < first for (_, last), (first, _) in pairwise(UNSPACED_RANGES))


def test_unspaced_agrees_with_the_script_property() -> None:
    regex = pytest.importorskip("regex", reason="only it knows the Script property")
    scripts = ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar")
    pattern = regex.compile("[" + "".join(f"\\p{{Script={name}}}" for name in scripts) + "]")
    # regex may know a later Unicode version: what is unassigned here is left to it.
    characters = [c for c in map(chr, range(0x110000)) if unicodedata.category(c)[0] in "LMN"]
    wrong = [f"U+{ord(c):04X}" for c in characters if unspaced(c) != bool(pattern.fullmatch(c))]
    assert len(characters) > 130_000
    assert wrong == []
