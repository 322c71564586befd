"""Hashes of tokens, and of runs of tokens from two prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product as product_of
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kernels.jit import kernel, multiply61
from pipeline.kernels.rolling import extended, powers, run_hash, token_hash
from tests.kernels.plain import plain_python

MODULUS = (1 << 61) - 1
EDGES = [0, 1, 2, 3, 7, 8, 2**30, 2**31 - 1, 2**32, 2**32 + 1, 2**60 - 1, 2**60, MODULUS - 2, MODULUS - 1]
FACTORS = st.integers(0, MODULUS - 1) | st.sampled_from(EDGES)
TOKENS = st.lists(st.binary(min_size=1, max_size=20), max_size=30)
PADDING = 7  # readable bytes behind a token


@kernel
def _multiply(a: Any, b: Any) -> Any:
    return multiply61(a, b)


def product(a: int, b: int) -> int:
    """The compiled product."""
    return int(_multiply(np.uint64(a), np.uint64(b)))


def hash_of(token: bytes, before: bytes = b"", behind: bytes = bytes(PADDING)) -> int:
    """The hash of a token between other bytes."""
    text = np.frombuffer(before + token + behind, np.uint8)
    return int(token_hash(text, len(before), len(before) + len(token)))


def prefixes_of(tokens: Sequence[bytes]) -> list[np.uint64]:
    """The hashes of the first 0, 1, ... tokens."""
    found = [np.uint64(0)]
    for token in tokens:
        found.append(np.uint64(extended(found[-1], np.uint64(hash_of(token)))))
    return found


def polynomial(tokens: Sequence[bytes]) -> int:
    """The hash of a run by its definition."""
    base = int(powers(1)[1])
    value = 0
    for token in tokens:
        value = (value * base + hash_of(token)) % MODULUS
    return value


# --- multiplication -------------------------------------------------------------------------------


@given(FACTORS, FACTORS)
def test_product_is_that_of_integers(a: int, b: int) -> None:
    assert product(a, b) == a * b % MODULUS
    assert int(multiply61(np.uint64(a), np.uint64(b))) == a * b % MODULUS


def test_product_at_the_edges_is_below_the_modulus() -> None:
    for a in EDGES:
        for b in EDGES:
            assert product(a, b) == a * b % MODULUS < MODULUS
    # The low and the high part add up to the modulus: zero, not the modulus itself.
    assert product(2, MODULUS - 1) == MODULUS - 2
    assert product(0, MODULUS - 1) == 0


def test_product_that_is_a_multiple_of_the_modulus_is_zero() -> None:
    # Factors up to the modulus itself, as no hash below it has them: the remainder still is one.
    assert product(MODULUS, MODULUS) == product(MODULUS, 1) == product(5, MODULUS) == 0


@pytest.mark.parametrize("n", [0, 1, 5, 2001])
def test_powers_are_those_of_the_base(n: int) -> None:
    found = powers(n)
    assert found.dtype == np.uint64
    base = int(powers(1)[1])
    assert 2**32 < base < MODULUS
    assert found.tolist() == [pow(base, i, MODULUS) for i in range(n + 1)]


# --- tokens ---------------------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=40), st.binary(max_size=9), st.binary(min_size=7, max_size=16))
def test_token_hash_is_of_its_bytes_alone(token: bytes, before: bytes, behind: bytes) -> None:
    assert hash_of(token, before, behind) == hash_of(token) < 2**61


@pytest.mark.parametrize("length", range(1, 34))
def test_bytes_around_a_token_are_not_read(length: int) -> None:
    token = bytes(range(97, 97 + length))
    surroundings = [(b"", bytes(PADDING)), (b"x", b"\xff" * PADDING), (b"\xff" * 8, b" nextwor")]
    assert len({hash_of(token, *around) for around in surroundings}) == 1


@pytest.mark.parametrize("length", range(1, 34))
def test_tokens_that_differ_in_one_byte_have_unequal_hashes(length: int) -> None:
    token = b"k" * length
    others = [token[:i] + bytes([byte]) + token[i + 1 :] for i in range(length) for byte in b"ajlzKAZ019\xc3"]
    found = {hash_of(other) for other in (token, *others)}
    assert len(found) == len(others) + 1


def test_tokens_that_differ_in_their_length_have_unequal_hashes() -> None:
    for byte in (b"a", b"0", b"\xe4", b"\x00"):
        assert len({hash_of(byte * length) for length in range(1, 200)}) == 199


def test_swapped_words_of_eight_bytes_have_another_hash() -> None:
    one, two, three = b"abcdefgh", b"ijklmnop", b"qrstuvwx"
    orders = [one + two + three, two + one + three, three + two + one, one + three + two, two + three + one]
    assert len({hash_of(token) for token in orders}) == len(orders)


def test_short_words_have_unequal_hashes() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["".join(word) for n in (1, 2, 3) for word in product_of(letters, repeat=n)]
    words += [f"{stem}{i}" for stem in ("word", "a_longer_stem") for i in range(3000)]
    assert len({hash_of(word.encode()) for word in words}) == len(words)


# --- runs -----------------------------------------------------------------------------------------


@given(TOKENS, st.data())
@example([b"a"] * 30, None)
def test_hash_of_a_run_is_that_of_the_run_alone(tokens: list[bytes], data: st.DataObject | None) -> None:
    first = data.draw(st.integers(0, len(tokens))) if data else 3
    stop = data.draw(st.integers(first, len(tokens))) if data else 17
    prefixes, power = prefixes_of(tokens), powers(30)
    alone = prefixes_of(tokens[first:stop])[-1]
    assert int(run_hash(prefixes[first], prefixes[stop], power[stop - first])) == int(alone)
    assert int(alone) == polynomial(tokens[first:stop])


def test_hash_of_a_run_is_that_of_the_run_alone_for_prefixes_at_the_edges() -> None:
    power = powers(1)[1]
    for prefix in EDGES:
        for token in [*EDGES, MODULUS]:  # the largest token hash has all 61 bits
            longer = extended(np.uint64(prefix), np.uint64(token))
            assert int(longer) == (prefix * int(power) + token) % MODULUS
            assert int(run_hash(np.uint64(prefix), longer, power)) == token % MODULUS


def test_runs_in_the_thue_morse_pattern_have_unequal_hashes() -> None:
    # Modulo 2**64 these two are equal whatever the base.
    pattern = [b"a"]
    for _ in range(11):
        pattern += [b"b" if token == b"a" else b"a" for token in pattern]
    swapped = [b"b" if token == b"a" else b"a" for token in pattern]
    assert prefixes_of(pattern)[-1] != prefixes_of(swapped)[-1]


def test_plain_python_finds_the_same() -> None:
    tokens = [b"a", b"eight...", b"nine bytes", b"\xff" * 17]
    compiled = [hash_of(token) for token in tokens]
    whole = prefixes_of(tokens)
    power = powers(4)
    with plain_python():
        for token, found in zip(tokens, compiled, strict=True):
            text = np.frombuffer(token + bytes(PADDING), np.uint8)
            assert int(token_hash.py_func(text, 0, len(token))) == found
        prefix = np.uint64(0)
        for found, longer in zip(compiled, whole[1:], strict=True):
            prefix = extended.py_func(prefix, np.uint64(found))
            assert prefix == longer
        for first in range(5):
            run = run_hash.py_func(whole[first], whole[4], power[4 - first])
            assert int(run) == polynomial(tokens[first:])
