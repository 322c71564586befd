"""The bytes that the tokeniser says each token is made from, against `pipeline.normalise`."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.composing import composed
from pipeline.kernels.scan import roomier
from pipeline.kernels.tokens import INVALID_UTF8, NEEDS_NFKC, TOKENISED, tokenise
from pipeline.normalise import token_places, tokens
from tests.kernels.alphabets import ALPHABETS, any_script, changed_by_nfkc, combining, texts
from tests.kernels.plain import plain_python
from tests.kernels.tokenising import TOK, as_array, kernel_places, places, run, written

ODD = ["\u00e9", "\u6f22", "\U00020000", "\ufb01", "\u00bd", "\u3300", "\u2028", "\u0301", "\u00b4", "\u0e33"]

# Written as escapes: an editor might compose them.
BY_HAND = {
    "ASCII": ("The cat.", [("the", 0, 3), ("cat", 4, 7)]),
    "one letter": ("a", [("a", 0, 1)]),
    "separators around": ("  a-b ", [("a", 2, 3), ("b", 4, 5)]),
    "more than eight bytes": ("abcdefghij klm", [("abcdefghij", 0, 10), ("klm", 11, 14)]),
    "letter of two bytes ends a word": ("caf\u00e9 x", [("caf\u00e9", 0, 5), ("x", 6, 7)]),
    "letter of two bytes begins a word": (" \u00c9t", [("\u00e9t", 1, 4)]),
    "word ends before a long separator": ("ab\u2028c", [("ab", 0, 2), ("c", 5, 6)]),
    "Han within Latin": ("a\u6f22b", [("a", 0, 1), ("\u6f22", 1, 4), ("b", 4, 5)]),
    "half": ("\u00bd", [("1", 0, 2), ("2", 0, 2)]),
    "one and a half": ("1\u00bd", [("11", 0, 3), ("2", 1, 3)]),
    "half within digits": ("3\u00bd4 5", [("31", 0, 3), ("24", 1, 4), ("5", 5, 6)]),
    "acute accent is a space and a mark": ("a\u00b4b", [("a", 0, 1), ("\u0301b", 1, 4)]),
    "square Katakana": ("a\u3300", [("a", 0, 1), *((c, 1, 4) for c in "\u30a2\u30d1\u30fc\u30c8")]),
    "accent composes": ("cafe\u0301 x", [("caf\u00e9", 0, 6), ("x", 7, 8)]),
    "accent begins a word": ("\u0301a", [("\u0301a", 0, 3)]),
    "Hangul jamo": ("\u1112\u1161\u11ab!", [("\ud55c", 0, 9)]),
    "half-width Katakana composes": ("\uff76\uff9e\uff76", [("\u30ac", 0, 6), ("\u30ab", 6, 9)]),
    "mark after a fraction is of its piece": ("\u00bd\u0301", [("1", 0, 4), ("2\u0301", 0, 4)]),
    "mark that merges with nothing is on its own": ("e\u0301=\u0316", [("\u00e9", 0, 3), ("\u0316", 4, 6)]),
    "dotted capital I": ("\u0130s", [("\u0130s", 0, 3)]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), BY_HAND.values(), ids=BY_HAND.keys())
def test_places_are_these(text: str, expected: list[tuple[str, int, int]]) -> None:
    assert token_places(text) == expected
    assert kernel_places(text) == expected


@pytest.mark.parametrize("name", [*ALPHABETS, "mixture"])
def test_places_equal_the_definition(name: str) -> None:
    alphabet = any_script() if name == "mixture" else ALPHABETS[name]

    @given(st.text(alphabet, max_size=60))
    def agree(text: str) -> None:
        assert kernel_places(text) == token_places(text)

    agree()


@given(texts(60))
def test_definition_of_places_has_the_tokens_of_the_definition(text: str) -> None:
    assert [token for token, _, _ in token_places(text)] == tokens(text)


def test_definition_agrees_for_every_character_and_mark() -> None:
    for character in changed_by_nfkc() + combining():
        for text in (character, f"a{character}b {character}", f"{character}\u0316 \u6f22{character}"):
            assert [token for token, _, _ in token_places(text)] == tokens(text)
            assert kernel_places(text) == token_places(text)


@pytest.mark.parametrize("odd", ODD)
def test_places_are_right_wherever_a_character_stands_in_a_chunk(odd: str) -> None:
    for row in ("abcdefghijklmnopqrstuvwx", "ab cd ef gh ij kl mn op ", "        A       B       "):
        for n in range(len(row) + 1):
            for end in (n, n + 3, n + 8, len(row)):
                text = row[:n] + odd + row[n:end]
                assert kernel_places(text) == token_places(text)


def test_sequences_that_nfkc_moves_equal_the_definition() -> None:
    generator = random.Random(7)
    pools = [
        combining(),
        changed_by_nfkc(),
        "aE=1 \u00bd\u6f22\u1100\uac00\u0995\u304b",
        "\u0316\u0301\u0323",
    ]
    for _ in range(20_000):
        text = "".join(generator.choice(generator.choice(pools)) for _ in range(generator.randrange(1, 9)))
        assert kernel_places(text) == token_places(text), ascii(text)


@given(texts(60), st.booleans())
def test_tokens_are_the_same_without_places(text: str, is_nfkc: bool) -> None:
    data = text.encode()
    outcome, n_tokens, _ = run(data, is_nfkc)
    alone = written(n_tokens).split(" ") if n_tokens else []
    ends = TOK.ends[:n_tokens].tolist()
    found, placed = places(data, is_nfkc)
    assert found == outcome
    assert [token for token, _, _ in placed] == alone
    assert TOK.ends[:n_tokens].tolist() == ends


def test_outcomes_are_the_same_with_places() -> None:
    assert places(b"ab\xff") == (INVALID_UTF8, [])
    assert places(b"e\xcc\x81") == (NEEDS_NFKC, [])
    assert places(b"") == (TOKENISED, [])


@pytest.mark.parametrize("which", ["begins", "stops"])
def test_either_array_may_be_left_out(which: str) -> None:
    data = "ab \u00bd\u6f22 c".encode()
    array = np.zeros(1000, np.int64)
    pair = (array, None) if which == "begins" else (None, array)
    _, n, _ = tokenise(
        as_array(data), 0, len(data), False, TOK.ascii_map, TOK.tables, TOK.text, TOK.ends, *pair
    )
    column = 1 if which == "begins" else 2
    assert array[:n].tolist() == [place[column] for place in token_places(data.decode())]


def test_places_count_from_the_start_of_the_text() -> None:
    data = as_array("before caf\u00e9 \u6f22x after".encode())
    begins, stops = np.zeros(1000, np.int64), np.zeros(1000, np.int64)
    _, n, _ = tokenise(data, 7, 17, False, TOK.ascii_map, TOK.tables, TOK.text, TOK.ends, begins, stops)
    found = list(zip(begins[:n].tolist(), stops[:n].tolist(), strict=True))
    assert found == [(0, 5), (6, 9), (9, 10)]


@given(texts(60))
def test_places_are_in_the_text_and_in_order(text: str) -> None:
    found, length = kernel_places(text), len(text.encode())
    assert all(0 <= begin < stop <= length for _, begin, stop in found)
    for (_, begin, stop), (_, next_begin, next_stop) in pairwise(found):
        assert begin <= next_begin
        assert stop <= next_stop


@given(texts(60))
def test_bytes_of_a_token_hold_it(text: str) -> None:
    data = text.encode()
    for token, begin, stop in kernel_places(text):
        assert token in tokens(data[begin:stop].decode())


def _holds(many: list[str], few: list[str]) -> bool:
    return any(many[i : i + len(few)] == few for i in range(len(many) - len(few) + 1))


@given(texts(40), st.data())
def test_bytes_of_neighbouring_tokens_hold_just_them(text: str, data: st.DataObject) -> None:
    found = kernel_places(text)
    if not found:
        return
    a = data.draw(st.integers(0, len(found) - 1))
    b = data.draw(st.integers(a, len(found) - 1))
    begin, stop = found[a][1], found[b][2]
    wanted, got = [token for token, _, _ in found[a : b + 1]], tokens(text.encode()[begin:stop].decode())
    # Half of U+00BD brings the other half along.
    shared = (a > 0 and found[a - 1][2] > begin) or (b + 1 < len(found) and found[b + 1][1] < stop)
    assert _holds(got, wanted)
    assert shared or got == wanted


@given(texts(40), st.data())
def test_stretch_of_a_tokenised_text_is_tokenised_without_looking_for_nfkc(
    text: str, data: st.DataObject
) -> None:
    original = text.encode()
    outcome, found = places(original)
    if outcome == NEEDS_NFKC:
        original = composed(original).text
        _, found = places(original, is_nfkc=True)
    if not found:
        return
    a = data.draw(st.integers(0, len(found) - 1))
    b = data.draw(st.integers(a, len(found) - 1))
    begin, stop = found[a][1], found[b][2]
    outcome, again = places(original[begin:stop], is_nfkc=True)
    assert outcome == TOKENISED
    shared = (a > 0 and found[a - 1][2] > begin) or (b + 1 < len(found) and found[b + 1][1] < stop)
    moved = [(token, first - begin, last - begin) for token, first, last in found[a : b + 1]]
    assert shared or again == moved
    assert _holds([token for token, _, _ in again], [token for token, _, _ in moved])


def test_plain_python_gives_the_same_places() -> None:
    with plain_python():
        for text in ("Plain ASCII, longer", "a\u00bd\u6f22b caf\u00e9 \ufdfa\u0e19\u0e49\u0e33"):
            assert kernel_places(text) == token_places(text)


@pytest.mark.parametrize("decomposed", [False, True])
def test_long_text_of_many_scripts_equals_the_definition(decomposed: bool) -> None:
    generator = random.Random(3)
    parts = ["word ", "Gr\u00f6\u00dfe ", "\u6f22\u5b57", "1\u00bd ", "\u0928\u094d\u0924 ", "\ufdfa "]
    text = "".join(generator.choices([*parts, "e\u0301 "] if decomposed else parts, k=2000))
    tok = roomier(TOK, 10 * len(text))
    assert run(text.encode(), tok=tok)[0] == (NEEDS_NFKC if decomposed else TOKENISED)
    assert kernel_places(text, tok) == token_places(text)
