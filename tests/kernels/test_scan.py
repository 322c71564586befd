"""One pass over a batch of texts, each compared with its slow definition."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernels.minimizers import room, sampler
from pipeline.kernels.scan import (
    BAD_UTF8,
    DECOMPOSED,
    EMPTY,
    OK,
    SHORT,
    Scanned,
    Tokeniser,
    roomier,
    scan,
    scanned,
    signer,
    tokeniser,
)
from pipeline.normalise import tokens
from tests import oracles
from tests.kernels.alphabets import texts, words
from tests.kernels.plain import plain_python

NUM_PERM, BANDS, ROWS, WIDTH, SEED = 24, 5, 4, 5, 1
TOK = tokeniser()
SIGNING = signer(NUM_PERM, SEED)
SAMPLING = sampler(0)
ROOM = room(0)


def _batch(raw: Sequence[bytes]) -> tuple[Any, Any]:
    return np.frombuffer(b"".join(raw), np.uint8), np.cumsum([0, *map(len, raw)])


def _scan(raw: Sequence[bytes], is_nfkc: bool = False, tok: Tokeniser = TOK) -> Scanned:
    data, offsets = _batch(raw)
    out = scanned(len(raw), BANDS, NUM_PERM)
    assert scan(data, offsets, 0, is_nfkc, WIDTH, ROWS, tok, SIGNING, out, SAMPLING, ROOM, 0) == len(raw)
    return out


def _row(found: Scanned, d: int) -> dict[str, Any]:
    return {name: getattr(found, name)[d].tolist() for name in Scanned._fields}


def _expected(text: str) -> dict[str, Any]:
    n_tokens = len(tokens(text))
    row = {
        "status": EMPTY if n_tokens == 0 else SHORT if n_tokens < WIDTH else OK,
        "n_tokens": n_tokens,
        "raw": list(oracles.halves(oracles.raw_hash(text.encode()))),
        "normalised": list(oracles.halves(oracles.normalised_hash(text))),
        "keys": [0] * BANDS,
        "sketches": [0] * NUM_PERM,
        "n_anchors": 0,
    }
    if n_tokens:
        signature = oracles.signature(text, NUM_PERM, SEED, WIDTH)
        row |= {"keys": oracles.band_keys(signature, BANDS, ROWS), "sketches": oracles.sketch(signature)}
    return row


def _check(batch: Sequence[str]) -> None:
    found = _scan([text.encode() for text in batch])
    for d, text in enumerate(batch):
        row, expected = _row(found, d), _expected(text)
        if row["status"] == DECOMPOSED:
            assert row["raw"] == expected["raw"]
            assert row["n_tokens"] == 0
            again = _scan([unicodedata.normalize("NFKC", text).encode()], is_nfkc=True)
            row = _row(again, 0) | {"raw": row["raw"]}
        assert row == expected, ascii(text)


@given(st.lists(st.one_of(texts(), words()), max_size=8))
def test_every_text_of_a_batch_equals_its_definition(batch: list[str]) -> None:
    _check(batch)


def test_batch_of_plain_cases_equals_the_definition() -> None:
    _check([
        "",
        "one",
        "one two three four",
        "One two, three four FIVE!",
        "",
        "?!",
        "cafe\u0301 au lait",
        "\u0301",
        "\u6f22\u5b57\u304b\u306a",
        "  \u2028 ",
        "a" * 300,
        "word " * 2000,
        "x",
    ])  # fmt: skip


def test_text_composed_before_and_after_scanning_agree_in_all_but_the_raw_hash() -> None:
    one, two = _scan(["caf\u00e9 au lait ou th\u00e9".encode()]), _scan([b"x"])
    two = _scan([unicodedata.normalize("NFKC", "cafe\u0301 au lait ou the\u0301").encode()], is_nfkc=True)
    assert _row(one, 0) | {"raw": None} == _row(two, 0) | {"raw": None}
    assert two.raw.tolist() == [[0, 0]]


def test_second_reading_leaves_the_raw_hash_alone() -> None:
    data, offsets = _batch([b"abc"])
    out = scanned(1, BANDS, NUM_PERM)
    out.raw[:] = 12345
    assert scan(data, offsets, 0, True, WIDTH, ROWS, TOK, SIGNING, out, SAMPLING, ROOM, 0) == 1
    assert out.raw.tolist() == [[12345, 12345]]


def test_empty_batch_is_done_at_once() -> None:
    found = _scan([])
    assert [len(column) for column in found] == [0] * len(Scanned._fields)


def test_batch_of_empty_texts_has_only_empty_texts() -> None:
    found = _scan([b"", b"", b""])
    assert found.status.tolist() == [EMPTY] * 3
    assert found.raw.tolist() == [list(oracles.halves(oracles.raw_hash(b"")))] * 3
    assert not found.keys.any()
    assert not found.sketches.any()


BAD = {
    "at the start": b"\xffabc def",
    "at the end": b"abc def\xff",
    "in the middle of ASCII": b"abcdefgh ijk\x80lmnop qrstuvwx",
    "lone continuation": b"abc \xbf def",
    "cut off at the end": "abc \u6f22".encode()[:-1],
    "cut off before ASCII": b"\xe6\xbcabc",
    "surrogate": b"abc \xed\xa0\x80 def",
    "overlong": b"abc \xc0\xaf def",
    "above the last code point": b"\xf4\x90\x80\x80",
    "after a character of a fast script": "漢字 ".encode() + b"\xfe",
    "only byte": b"\x80",
    "Latin-1": "Café au lait".encode("latin-1"),
    "UTF-16": "\ufeffabc".encode("utf-16-le"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_bad_bytes_are_reported_at_their_offset_and_spoil_no_other_text(bad: bytes) -> None:
    with pytest.raises(UnicodeDecodeError) as error:
        bad.decode()
    good = "a good text of six words"
    found = _scan([good.encode(), bad, good.encode(), bad])
    for d in (1, 3):
        assert found.status[d] == BAD_UTF8
        assert found.n_tokens[d] == error.value.start
        assert not found.keys[d].any()
        assert not found.sketches[d].any()
        assert not found.normalised[d].any()
    assert _row(found, 0) == _row(found, 2) == _expected(good)


def test_bad_byte_behind_a_decomposed_character_is_left_to_whoever_composes() -> None:
    found = _scan([b"cafe\xcc\x81 \xff", b"\xff cafe\xcc\x81"])
    assert found.status.tolist() == [DECOMPOSED, BAD_UTF8]


def test_text_cut_by_the_boundary_of_the_next_is_bad() -> None:
    data = np.frombuffer("a\u00e9".encode(), np.uint8)
    out = scanned(2, BANDS, NUM_PERM)
    assert scan(data, np.array([0, 2, 3]), 0, False, WIDTH, ROWS, TOK, SIGNING, out, SAMPLING, ROOM, 0) == 2
    assert out.status.tolist() == [BAD_UTF8, BAD_UTF8]
    assert out.n_tokens.tolist() == [1, 0]


def test_bytes_outside_the_offsets_are_not_read() -> None:
    out = scanned(1, BANDS, NUM_PERM)
    data = np.frombuffer(b"\xff\xffone two\xff", np.uint8)
    assert scan(data, np.array([2, 9]), 0, False, WIDTH, ROWS, TOK, SIGNING, out, SAMPLING, ROOM, 0) == 1
    assert _row(out, 0) == _expected("one two")


def test_scan_goes_on_from_the_text_that_found_no_room() -> None:
    batch = [
        "short",
        "",
        "a b c d e f " * 60,
        "x",
        "\u6f22" * 900,
        "tail one two three four",
        "\ufdfa " * 400,
    ]
    data, offsets = _batch([text.encode() for text in batch])
    out, tok, at = scanned(len(batch), BANDS, NUM_PERM), tokeniser(64), 0
    stops = []
    while at < len(batch):
        at = scan(data, offsets, at, False, WIDTH, ROWS, tok, SIGNING, out, SAMPLING, ROOM, 0)
        if at < len(batch):
            stops.append(at)
            # What is done is done, and what is not has not been touched.
            assert [_row(out, d) for d in range(at)] == [_expected(text) for text in batch[:at]]
            assert not out.raw[at:].any()
            tok = roomier(tok, int(offsets[at + 1] - offsets[at]))
    assert sorted(set(stops)) == [2, 4, 6]
    assert [_row(out, d) for d in range(len(batch))] == [_expected(text) for text in batch]


def test_scan_from_the_middle_leaves_the_first_texts_alone() -> None:
    data, offsets = _batch([b"one", b"two", b"three"])
    out = scanned(3, BANDS, NUM_PERM)
    assert scan(data, offsets, 2, False, WIDTH, ROWS, TOK, SIGNING, out, SAMPLING, ROOM, 0) == 3
    assert not out.raw[:2].any()
    assert _row(out, 2) == _expected("three")


def test_result_does_not_depend_on_what_else_is_in_the_batch() -> None:
    batch = [" ".join(random.Random(n).choices("abcdefgh", k=n)) for n in range(40)] + ["\u6f22\u5b57" * 300]
    order = random.Random(1).sample(range(len(batch)), len(batch))
    straight = _scan([text.encode() for text in batch])
    shuffled = _scan([batch[d].encode() for d in order])
    alone = [_scan([text.encode()]) for text in batch]
    for place, d in enumerate(order):
        assert _row(shuffled, place) == _row(straight, d) == _row(alone[d], 0)


@pytest.mark.parametrize("width", [1, 2, 5, 9])
def test_status_is_short_below_the_width(width: int) -> None:
    texts_of = [" ".join(["w"] * n) for n in range(12)]
    data, offsets = _batch([text.encode() for text in texts_of])
    out = scanned(12, BANDS, NUM_PERM)
    scan(data, offsets, 0, False, width, ROWS, TOK, SIGNING, out, SAMPLING, ROOM, 0)
    assert out.status.tolist() == [EMPTY if n == 0 else SHORT if n < width else OK for n in range(12)]
    assert out.n_tokens.tolist() == list(range(12))


def test_roomier_at_least_doubles_and_keeps_the_tables() -> None:
    small = tokeniser(100)
    large = roomier(small, 1000)
    assert len(large.text) >= max(2 * len(small.text), 1000)
    assert len(large.ends) >= 2 * len(small.ends)
    assert large.tables is small.tables
    assert len(roomier(small, 0).text) >= 2 * len(small.text)


def test_plain_python_finds_the_same() -> None:
    batch = ["", "one", "One two three four five six", "\u6f22\u5b57 \ufb01", "z" * 20]
    data, offsets = _batch([text.encode() for text in batch] + [b"\xff"])
    out = scanned(6, BANDS, NUM_PERM)
    with plain_python():
        assert scan.py_func(data, offsets, 0, False, WIDTH, ROWS, TOK, SIGNING, out, SAMPLING, ROOM, 0) == 6
    assert [_row(out, d) for d in range(5)] == [_expected(text) for text in batch]
    assert out.status[5] == BAD_UTF8
