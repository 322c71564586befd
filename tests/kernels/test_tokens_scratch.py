"""The tokeniser's scratch, the ends it writes, and its eight ASCII bytes at a time."""

from __future__ import annotations

import unicodedata
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernels.scan import roomier, tokeniser
from pipeline.kernels.tokens import NEEDS_NFKC, NO_ROOM, TOKENISED, tokenise
from pipeline.normalise import normalised, tokens
from tests.kernels.alphabets import any_script
from tests.kernels.tokenising import TOK, as_array, kernel_tokens, run, written, wrong_ones

CROWDED = {
    "letters": "abcdefghij" * 40,
    "ends": "a b c d " * 40,
    "separators": " ,.; \n" * 40,
    "Han": "\u6f22" * 200,
    "Han outside the BMP": "\U00020000" * 200,
    "the longest expansion": "\ufdfa" * 40,
    "square Katakana": "\u3316" * 60,
    "mixture": "a\ufdfa\u6f22 b1\u3316" * 30,
}


@pytest.mark.parametrize("text", CROWDED.values(), ids=CROWDED.keys())
def test_small_scratch_is_reported_and_never_overrun(text: str) -> None:
    expected = tokens(text)
    data = as_array(text.encode())
    tried = [*range(0, 420, 3), 1000, 3000, 6000]
    outcomes = set()
    for out_length, ends_length in (
        [(n, 6000) for n in tried] + [(6000, n) for n in tried] + [(n, n) for n in tried]
    ):
        out, ends = np.full(12_000, 0xEE, np.uint8), np.full(12_000, -7, np.int64)
        scratch = out[:out_length], ends[:ends_length]
        outcome, n_tokens, _ = tokenise(
            data, 0, len(data), False, TOK.ascii_map, TOK.tables, *scratch, None, None
        )
        outcomes.add(outcome)
        assert (out[out_length:] == 0xEE).all()
        assert (ends[ends_length:] == -7).all()
        if outcome == TOKENISED:
            length = ends[n_tokens - 1] if n_tokens else 0
            assert out[:length].tobytes().decode() == " ".join(expected)
        else:
            assert (outcome, n_tokens) == (NO_ROOM, 0)
    assert outcomes == {TOKENISED, NO_ROOM}


@pytest.mark.parametrize("text", CROWDED.values(), ids=CROWDED.keys())
@pytest.mark.parametrize("short", [(1,), (2,), (0, 1, 2)], ids=["begins", "stops", "ends, begins, stops"])
def test_small_arrays_of_places_are_reported_and_never_overrun(text: str, short: tuple[int, ...]) -> None:
    data, outcomes = as_array(text.encode()), set()
    for length in (0, 1, *range(120, 420, 3), 1000):
        arrays = [np.full(2000, -7, np.int64) for _ in range(3)]
        places = [array[: length if i in short else 2000] for i, array in enumerate(arrays)]
        found = tokenise(data, 0, len(data), False, TOK.ascii_map, TOK.tables, TOK.text, *places)
        outcomes.add(found[0])
        assert found in ((TOKENISED, len(tokens(text)), 0), (NO_ROOM, 0, 0))
        assert all((arrays[i][length:] == -7).all() for i in short)
    assert outcomes == {TOKENISED, NO_ROOM}


def test_empty_text_needs_no_room() -> None:
    none = np.zeros(0, np.uint8)
    found = tokenise(none, 0, 0, False, TOK.ascii_map, TOK.tables, none, np.zeros(0, np.int64), None, None)
    assert found == (TOKENISED, 0, 0)


def test_roomier_scratch_is_enough_in_the_end() -> None:
    for text in CROWDED.values():
        tok, data = tokeniser(0), text.encode()
        for _ in range(8):
            if run(data, tok=tok)[0] != NO_ROOM:
                break
            tok = roomier(tok, len(data))
        assert kernel_tokens(text, tok) == tokens(text)


@given(st.text(any_script(), max_size=60))
def test_ends_are_the_last_bytes_of_tokens_with_a_space_after_each(text: str) -> None:
    outcome, n_tokens, _ = run(unicodedata.normalize("NFKC", text).encode(), is_nfkc=True)
    assert outcome == TOKENISED
    found, begin = [], 0
    for end in TOK.ends[:n_tokens].tolist():
        assert TOK.text[end] == ord(" ")
        found.append(TOK.text[begin:end].tobytes().decode())
        begin = end + 1
    assert found == tokens(text)


def test_every_pattern_of_words_across_chunks_is_right() -> None:
    patterns = ["".join(pattern) for length in range(14) for pattern in product("a ", repeat=length)]
    assert wrong_ones(patterns)[0] == []


@pytest.mark.parametrize(
    "odd", ["\u00e9", "\u6f22", "\U00020000", "\ufb01", "\ufdfa", "\u2028", "\u0301", "\u0316", "\u1161"]
)
def test_character_at_every_place_of_a_chunk_is_right(odd: str) -> None:
    rows = (
        "abcdefghijklmnopqrstuvwx",
        "ab cd ef gh ij kl mn op ",
        "        A       B       ",
        "aeoaeoae oaeo aeoa oeaeo",
    )
    texts = [
        row[:n] + odd + row[n:end]
        for row in rows
        for n in range(len(row) + 1)
        for end in (n, n + 3, n + 8, len(row))
    ]
    assert wrong_ones(texts)[0] == []


def test_mark_after_a_chunk_composes_with_its_last_letter() -> None:
    for n in range(25):
        text = "x" * n + "e\u0301"
        assert run(text.encode())[0] == NEEDS_NFKC
        assert kernel_tokens(text) == [unicodedata.normalize("NFC", text)]


def test_chunk_forgets_what_stood_before_it() -> None:
    # An unstable character or a high combining class must not reach over plain ASCII.
    for n in range(1, 20):
        gap = "x" * n
        assert run(f"\ufb01{gap}\u0316".encode())[0] == TOKENISED
        assert run(f"e\u0487{gap}\u0316".encode())[0] == TOKENISED
        assert wrong_ones([f"\ufb01{gap}\u0316", f"e\u0487{gap}\u0316"]) == ([], 0)


def test_text_is_read_between_its_bounds_only() -> None:
    data = as_array(b"zzzzzzzzAbc dEf-ghi jklm\xc3\xa9zzzzzzzz")
    for start in range(8, 24):
        for stop in range(start, 24):
            _, n_tokens, _ = tokenise(
                data, start, stop, False, TOK.ascii_map, TOK.tables, TOK.text, TOK.ends, None, None
            )
            assert written(n_tokens) == normalised(data[start:stop].tobytes().decode())
