"""Signatures against datasketch, band keys and sketches against their definitions."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import xxhash
from datasketch import MinHash
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.kernels.minhash import CHUNK, SCHEME, band_keys, permutations, sign, sketch_bytes
from pipeline.kernels.tokens import TOKENISED
from pipeline.normalise import tokens
from tests import oracles
from tests.kernels.alphabets import texts, words
from tests.kernels.plain import plain_python
from tests.kernels.tokenising import TOK, run_nfkc

PARAMETERS = [(128, 1, 5), (1, 0, 5), (2, 42, 3), (7, 1, 1), (100, 2**32 - 1, 8), (256, 7, 13)]


def _signature(text: str, num_perm: int, seed: int, width: int) -> Any:
    outcome, n_tokens, _ = run_nfkc(text)
    assert outcome == TOKENISED
    assert n_tokens > 0
    a, b = permutations(num_perm, seed)
    signature = np.full(num_perm, 7, np.uint32)  # whatever the scratch held before
    sign(TOK.text, TOK.ends, n_tokens, width, a, b, np.empty(CHUNK, np.uint32), signature)
    return signature


def _keys(signature: Any, bands: int, rows: int) -> list[int]:
    keys = np.zeros(bands, np.uint64)
    band_keys(signature, rows, keys)
    return [int(key) for key in keys]


def _sketch(signature: Any) -> list[int]:
    sketch = np.zeros(len(signature), np.uint8)
    sketch_bytes(signature, sketch)
    return [int(byte) for byte in sketch]


def _random_signatures(n: int, num_perm: int) -> Any:
    return np.random.default_rng(3).integers(0, 1 << 32, (n, num_perm), np.uint32)


@given(texts(80), st.sampled_from(PARAMETERS))
def test_signature_equals_datasketch_in_every_script(text: str, parameters: tuple[int, int, int]) -> None:
    assume(tokens(text))
    num_perm, seed, width = parameters
    expected = oracles.signature(text, num_perm, seed, width)
    assert _signature(text, num_perm, seed, width).tolist() == expected.tolist()


@given(words(), st.sampled_from(PARAMETERS))
def test_signature_of_repeated_words_equals_datasketch(text: str, parameters: tuple[int, int, int]) -> None:
    assume(tokens(text))
    num_perm, seed, width = parameters
    expected = oracles.signature(text, num_perm, seed, width)
    assert _signature(text, num_perm, seed, width).tolist() == expected.tolist()


@pytest.mark.parametrize("n_tokens", [1, 2, 3, 4, 5, 6])
def test_signature_of_a_short_text_is_that_of_its_only_shingle(n_tokens: int) -> None:
    text = " ".join(["Ein", "kurzer", "TEXT", "\u6f22", "hat", "Wörter"][:n_tokens])
    expected = oracles.signature(text, 128, 1)
    assert _signature(text, 128, 1, 5).tolist() == expected.tolist()
    if n_tokens <= 5:
        only = MinHash(128, 1, scheme="affine32", hashfunc=xxhash.xxh32_intdigest)
        only.update(text.lower().encode())
        assert expected.tolist() == only.hashvalues.tolist()


@pytest.mark.parametrize("n_shingles", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1, 3 * CHUNK + 7])
@pytest.mark.parametrize("width", [1, 5])
def test_signature_is_right_across_chunks(n_shingles: int, width: int) -> None:
    # Every word is new, so that a lost or doubled shingle moves some minimum of 256.
    n_tokens = n_shingles + width - 1
    text = " ".join(f"w{(i * 2654435761) % 2**32:x}" for i in range(n_tokens))
    assert _signature(text, 256, 1, width).tolist() == oracles.signature(text, 256, 1, width).tolist()


@pytest.mark.parametrize("place", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, -1])
def test_every_shingle_counts_wherever_it_stands(place: int) -> None:
    # The one word that differs has the least hash of all, so that leaving it out shows.
    hashes = {f"z{i}": oracles.fmix32(xxhash.xxh32_intdigest(f"z{i}".encode())) for i in range(50_000)}
    least = min(hashes, key=hashes.__getitem__)
    row = ["filler"] * (2 * CHUNK + 5)
    row[place] = least
    a, b, signature = np.ones(1, np.uint32), np.zeros(1, np.uint32), np.zeros(1, np.uint32)
    _, n_tokens, _ = run_nfkc(" ".join(row))
    sign(TOK.text, TOK.ends, n_tokens, 1, a, b, np.empty(CHUNK, np.uint32), signature)
    assert signature.tolist() == [hashes[least]]


@pytest.mark.parametrize("seed", [0, 1, 42, 2**32 - 1])
@pytest.mark.parametrize("num_perm", [1, 2, 128, 1024])
def test_permutations_are_those_of_datasketch(num_perm: int, seed: int) -> None:
    a, b = permutations(num_perm, seed)
    theirs = MinHash(num_perm, seed, scheme="affine32").permutations
    assert [a.dtype.name, b.dtype.name] == ["uint32", "uint32"]
    assert a.tolist() == theirs[0].tolist()
    assert b.tolist() == theirs[1].tolist()
    assert (a % 2 == 1).all()


def test_share_of_equal_values_estimates_the_similarity() -> None:
    generator = random.Random(9)
    one = [f"w{generator.randrange(10**9)}" for _ in range(600)]
    two = one[:400] + [f"w{generator.randrange(10**9)}" for _ in range(200)]
    exact = oracles.jaccard(" ".join(one), " ".join(two))
    equal = _signature(" ".join(one), 1024, 1, 5) == _signature(" ".join(two), 1024, 1, 5)
    assert abs(float(equal.mean()) - exact) < 4 * (exact * (1 - exact) / 1024) ** 0.5


def test_scheme_names_what_the_signature_is_computed_with() -> None:
    assert SCHEME == "datasketch-2/affine32/xxh32"


@pytest.mark.parametrize(("bands", "rows"), [(1, 1), (4, 4), (16, 8), (32, 4), (25, 5), (1, 128), (128, 1)])
def test_band_keys_equal_their_definition(bands: int, rows: int) -> None:
    for signature in _random_signatures(5, 128):
        assert _keys(signature, bands, rows) == oracles.band_keys(signature, bands, rows)
    extremes = np.array([0, 0xFFFFFFFF] * 64, np.uint32)
    assert _keys(extremes, bands, rows) == oracles.band_keys(extremes, bands, rows)


def test_band_keys_are_these_numbers() -> None:
    # Keys outlive a run: the next audit compares its texts with these.
    assert _keys(np.arange(4, dtype=np.uint32), 2, 2) == [0x2477F9FEF96E9016, 0xDD5E20C23A402206]


def test_equal_rows_have_different_keys_in_different_bands() -> None:
    for value in (0, 1, 0xFFFFFFFF):
        assert len(set(_keys(np.full(128, value, np.uint32), 32, 4))) == 32


def test_band_keys_are_equal_exactly_when_the_rows_are() -> None:
    # Few values, so that many bands of four rows agree.
    signatures = np.random.default_rng(5).integers(0, 2, (200, 64), np.uint32)
    key_of: dict[tuple[int, ...], int] = {}
    for signature in signatures:
        for band, key in enumerate(_keys(signature, 16, 4)):
            rows = (band, *signature[band * 4 : band * 4 + 4].tolist())
            assert key_of.setdefault(rows, key) == key
    assert len(key_of) == 16 * 2**4
    assert len(set(key_of.values())) == len(key_of)


def test_one_changed_value_changes_the_key_of_its_band_only() -> None:
    signature = _random_signatures(1, 128)[0]
    before = _keys(signature, 16, 8)
    for k in range(128):
        changed = signature.copy()
        changed[k] ^= np.uint32(1 << (k % 32))
        differ = [band for band, key in enumerate(_keys(changed, 16, 8)) if key != before[band]]
        assert differ == [k // 8]


def test_order_of_the_rows_in_a_band_matters() -> None:
    one, two = np.array([1, 2], np.uint32), np.array([2, 1], np.uint32)
    assert _keys(one, 1, 2) != _keys(two, 1, 2)


def test_values_beyond_the_last_band_do_not_count() -> None:
    one = _random_signatures(1, 10)[0]
    two = one.copy()
    two[9] += np.uint32(1)
    assert _keys(one, 3, 3) == _keys(two, 3, 3)


def test_no_two_of_many_bands_share_a_key() -> None:
    keys = [key for signature in _random_signatures(2000, 64) for key in _keys(signature, 16, 4)]
    assert len(set(keys)) == len(keys)


def test_sketch_is_the_low_byte_of_each_mixed_value() -> None:
    for signature in _random_signatures(20, 128):
        assert _sketch(signature) == oracles.sketch(signature)
    assert _sketch(np.zeros(3, np.uint32)) == [0, 0, 0]


def test_sketch_of_small_minima_uses_the_whole_byte() -> None:
    # Long texts have small minima; unmixed low bytes would be as good, their high bytes would not.
    sketch = _sketch(np.arange(0, 1 << 20, 256, dtype=np.uint32))
    assert len(set(sketch)) == 256


@given(st.lists(st.integers(0, 2**32 - 1), min_size=12, max_size=12))
def test_plain_python_gives_the_same_keys_and_sketches(values: list[int]) -> None:
    signature = np.array(values, np.uint32)
    compiled = _keys(signature, 4, 3), _sketch(signature)
    keys, sketch = np.zeros(4, np.uint64), np.zeros(12, np.uint8)
    with plain_python():
        band_keys.py_func(signature, 3, keys)
        sketch_bytes.py_func(signature, sketch)
    assert ([int(key) for key in keys], [int(byte) for byte in sketch]) == compiled


def test_plain_python_gives_the_same_signature() -> None:
    a, b = permutations(8, 1)
    for text in ("one", "one two three four five six seven", "\u6f22\u5b57 caf\u00e9 " * 4):
        _, n_tokens, _ = run_nfkc(text)
        signature = np.zeros(8, np.uint32)
        with plain_python():
            sign.py_func(TOK.text, TOK.ends, n_tokens, 5, a, b, np.empty(CHUNK, np.uint32), signature)
        assert signature.tolist() == oracles.signature(text, 8, 1).tolist()
