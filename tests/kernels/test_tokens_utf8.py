"""The tokeniser's UTF-8 against Python's codec."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kernels.jit import kernel
from pipeline.kernels.tokens import INVALID_UTF8, NEEDS_NFKC, decode, encode, tokenise
from tests.kernels.tokenising import TOK, as_array, run, run_each

SCALARS = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]


@kernel
def _decode_all(data: Any, points: Any) -> int:
    at, n = 0, 0
    while at < len(data):
        point, length = decode(data, at, len(data))
        if length == 0:
            return n
        points[n] = point
        n += 1
        at += length
    return n


@kernel
def _encode_all(points: Any, out: Any) -> int:
    at = 0
    for point in points:
        at = encode(point, out, at)
    return at


def test_every_code_point_is_decoded_as_the_codec_does() -> None:
    expected = SCALARS[0x80:]
    points = np.zeros(len(expected), np.int64)
    assert _decode_all(as_array("".join(map(chr, expected)).encode()), points) == len(expected)
    assert points.tolist() == expected


def test_every_code_point_is_encoded_as_the_codec_does() -> None:
    out = np.zeros(4 * len(SCALARS), np.uint8)
    length = _encode_all(np.array(SCALARS), out)
    assert out[:length].tobytes() == "".join(map(chr, SCALARS)).encode()


def _first_bad_byte(data: bytes) -> int | None:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def _misjudged(texts: list[bytes]) -> list[bytes]:
    outcomes, _, bad_at = run_each(texts, is_nfkc=True)
    got = [
        at if o == INVALID_UTF8 else None for o, at in zip(outcomes.tolist(), bad_at.tolist(), strict=True)
    ]
    return [text for text, place in zip(texts, got, strict=True) if place != _first_bad_byte(text)][:20]


def test_every_two_bytes_are_valid_exactly_when_the_codec_says_so() -> None:
    assert _misjudged([bytes(pair) for pair in product(range(256), repeat=2)]) == []


@pytest.mark.parametrize("length", [1, 3, 4])
def test_edge_bytes_are_valid_exactly_when_the_codec_says_so(length: int) -> None:
    # The first and last byte of every row of RFC 3629's table, and their neighbours.
    edges = bytes.fromhex("00417f808f909fa0bfc0c1c2dfe0e1eceeedeff0f1f3f4f5ff")
    assert _misjudged([bytes(sequence) for sequence in product(edges, repeat=length)]) == []


def test_first_bad_byte_of_random_bytes_is_where_the_codec_finds_it() -> None:
    generator = random.Random(8)
    texts = [generator.randbytes(generator.randrange(40)) for _ in range(3000)]
    for _ in range(3000):
        valid = bytearray("".join(generator.choices("aé漢\U0001f600", k=20)).encode())
        valid[generator.randrange(len(valid))] ^= 1 << generator.randrange(8)
        texts.append(bytes(valid))
    assert _misjudged(texts) == []


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.binary(max_size=6),
    st.binary(max_size=20),
)
@example("", b"\xed\xa0\x80", b"")  # a surrogate
@example("a", b"\xc0\x80", b"")  # NUL, overlong
@example("", b"\xf4\x90\x80\x80", b"")  # above U+10FFFF
@example("eight by", b"\xe2\x82", b"")  # cut off
def test_validity_and_offset_agree_with_the_codec(text: str, odd: bytes, tail: bytes) -> None:
    data = text.encode() + odd + tail
    outcome, _, bad_at = run(data, is_nfkc=True)
    assert (bad_at if outcome == INVALID_UTF8 else None) == _first_bad_byte(data)
    outcome, _, bad_at = run(data)
    if outcome != NEEDS_NFKC:
        assert (bad_at if outcome == INVALID_UTF8 else None) == _first_bad_byte(data)


def test_character_cut_off_by_the_end_is_invalid_whatever_bytes_follow() -> None:
    for character in "é漢\U0001f600":
        data = ("abc " + character).encode()
        for stop in range(5, len(data)):
            outcome, n_tokens, bad_at = tokenise(
                as_array(data), 0, stop, False, TOK.ascii_map, TOK.tables, TOK.text, TOK.ends, None, None
            )
            assert (outcome, n_tokens, bad_at) == (INVALID_UTF8, 0, 4)


def test_offset_of_a_bad_byte_counts_from_the_start_of_the_text() -> None:
    data = as_array(b"before abc\xff")
    found = tokenise(data, 7, len(data), False, TOK.ascii_map, TOK.tables, TOK.text, TOK.ends, None, None)
    assert found == (INVALID_UTF8, 0, 3)
