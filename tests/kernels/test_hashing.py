"""The hash functions against the `xxhash` package."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernels import hashing
from pipeline.kernels.jit import multiply_wide
from tests import oracles
from tests.kernels.plain import plain_python

Hash = Callable[[bytes, int, int], int]

LANES = np.zeros(8, np.uint64)
EDGES_64 = [0, 1, 2, 0xFFFFFFFF, 1 << 32, 1 << 33, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


def _xxh32(data: bytes, start: int, stop: int) -> int:
    return int(hashing.xxh32(np.frombuffer(data, np.uint8), start, stop))


def _xxh64(data: bytes, start: int, stop: int) -> int:
    return int(hashing.xxh64(np.frombuffer(data, np.uint8), start, stop))


def _xxh3_128(data: bytes, start: int, stop: int) -> int:
    low, high = hashing.xxh3_128(np.frombuffer(data, np.uint8), start, stop, LANES)
    return int(high) << 64 | int(low)


both = pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (_xxh32, xxhash.xxh32_intdigest),
        (_xxh64, xxhash.xxh64_intdigest),
        (_xxh3_128, xxhash.xxh3_128_intdigest),
    ],
    ids=["xxh32", "xxh64", "xxh3_128"],
)


def _sample(n: int) -> list[int]:
    generator = random.Random(64)
    return EDGES_64 + [generator.getrandbits(64) for _ in range(n)]


def _unmixed(value: int) -> int:
    # mix64 backwards: every step of it can be undone.
    bits = (1 << 64) - 1
    value ^= value >> 32
    value = value * pow(0x165667B19E3779F9, -1, 1 << 64) & bits
    value ^= value >> 29 ^ value >> 58
    value = value * pow(0xC2B2AE3D27D4EB4F, -1, 1 << 64) & bits
    return value ^ value >> 33


@both
def test_hash_equals_the_package_for_every_length(ours: Hash, theirs: Callable[[bytes], int]) -> None:
    data = random.Random(1).randbytes(2400)
    wrong = [n for n in range(len(data)) if ours(data, 0, n) != theirs(data[:n])]
    assert wrong == []


@both
def test_hash_of_zero_and_of_full_bytes_equals_the_package(
    ours: Hash, theirs: Callable[[bytes], int]
) -> None:
    for byte in (b"\x00", b"\xff", b"\x80"):
        data = byte * 300
        assert [n for n in range(301) if ours(data, 0, n) != theirs(data[:n])] == []


@both
def test_hash_starts_and_stops_anywhere(ours: Hash, theirs: Callable[[bytes], int]) -> None:
    data = random.Random(2).randbytes(400)
    wrong = [
        (start, length)
        for start in range(1, 18)
        for length in [*range(70), 127, 128, 129, 239, 240, 241, 255, 256, 257, 300]
        if ours(data, start, start + length) != theirs(data[start : start + length])
    ]
    assert wrong == []


@both
def test_hash_of_long_data_equals_the_package(ours: Hash, theirs: Callable[[bytes], int]) -> None:
    data = random.Random(3).randbytes(1_000_003)
    for block in (512, 1024, 2048, 4096, 65_536, 1_000_000):
        for length in (block - 64, block - 1, block, block + 1, block + 63, block + 64, block + 65):
            assert ours(data, 3, min(3 + length, len(data))) == theirs(data[3 : 3 + length]), length


@both
@given(st.binary(max_size=600), st.binary(max_size=20), st.binary(max_size=20))
def test_hash_equals_the_package_for_any_bytes_in_any_surroundings(
    ours: Hash, theirs: Callable[[bytes], int], data: bytes, before: bytes, after: bytes
) -> None:
    assert ours(before + data + after, len(before), len(before) + len(data)) == theirs(data)


@both
def test_hash_is_the_same_as_plain_python(ours: Hash, theirs: Callable[[bytes], int]) -> None:
    data = random.Random(4).randbytes(1300)
    with plain_python():
        for length in (0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 128, 129, 240, 241, 1024, 1025, 1200):
            assert ours(data, 5, 5 + length) == theirs(data[5 : 5 + length]), length


def test_xxh3_does_not_depend_on_what_its_scratch_held() -> None:
    data = np.frombuffer(random.Random(5).randbytes(3000), np.uint8)
    used = np.full(8, 0xDEADBEEF, np.uint64)
    assert hashing.xxh3_128(data, 0, 3000, used) == hashing.xxh3_128(data, 0, 3000, LANES)


def test_halves_of_the_empty_hash_are_in_the_stated_order() -> None:
    low, high = hashing.xxh3_128(np.frombuffer(b"", np.uint8), 0, 0, LANES)
    assert (int(low), int(high)) == oracles.halves(0x99AA06D3014798D86001C324468D497F)


def test_swaps_reverse_the_bytes() -> None:
    for value in _sample(200):
        assert int(hashing._swap64(np.uint64(value))) == int.from_bytes(value.to_bytes(8, "little"), "big")
        low = value & 0xFFFFFFFF
        assert int(hashing._swap32(np.uint32(low))) == int.from_bytes(low.to_bytes(4, "little"), "big")


def test_rotations_lose_no_bit() -> None:
    for value in _sample(50):
        low = value & 0xFFFFFFFF
        for bits in range(1, 32):
            expected = (low << bits | low >> (32 - bits)) & 0xFFFFFFFF
            assert int(hashing._rotate32(np.uint32(low), bits)) == expected
        for bits in range(1, 64):
            expected = (value << bits | value >> (64 - bits)) & (1 << 64) - 1
            assert int(hashing._rotate64(np.uint64(value), bits)) == expected


def test_product_of_128_bits_is_exact() -> None:
    values = _sample(20)
    for a in values:
        for b in values:
            low, high = multiply_wide(np.uint64(a), np.uint64(b))
            assert int(high) << 64 | int(low) == a * b
            assert int(hashing._fold128(np.uint64(a), np.uint64(b))) == int(low) ^ int(high)


def test_mix64_can_be_undone() -> None:
    for value in _sample(2000):
        mixed = int(hashing.mix64(np.uint64(value)))
        assert mixed == oracles.mix64(value)
        assert _unmixed(mixed) == value


def test_every_bit_of_mix64_reaches_every_bit() -> None:
    flipped = np.zeros((64, 64), np.int64)
    values = _sample(100)
    for value in values:
        for bit in range(64):
            changed = int(hashing.mix64(np.uint64(value))) ^ int(hashing.mix64(np.uint64(value ^ 1 << bit)))
            flipped[bit] += [changed >> out & 1 for out in range(64)]
    assert flipped.min() > 0
    assert flipped.max() < len(values)


def test_fmix32_is_the_published_finalizer() -> None:
    assert int(hashing.fmix32(np.uint32(0))) == 0
    assert int(hashing.fmix32(np.uint32(1))) == 0x514E28B7
    for value in _sample(500):
        low = value & 0xFFFFFFFF
        assert int(hashing.fmix32(np.uint32(low))) == oracles.fmix32(low)


def test_mixers_are_the_same_as_plain_python() -> None:
    with plain_python():
        for value in _sample(20):
            assert int(hashing.mix64(np.uint64(value))) == oracles.mix64(value)
            low = value & 0xFFFFFFFF
            assert int(hashing.fmix32(np.uint32(low))) == oracles.fmix32(low)
