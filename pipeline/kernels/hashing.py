"""The hash functions of the audit, each equal to a published one.

XXH32 (seed 0) names shingles for MinHash, because that is what anyone can repeat with
datasketch and xxhash. XXH3-128 (seed 0) names texts. XXH64 (seed 0) names shingles where they
are compared exactly. Written from the xxHash specification (Collet, "xxHash fast digest
algorithm", doc/xxhash_spec.md of the xxHash repository) and property-tested against the
`xxhash` package. Little-endian machines only, like Arrow's buffers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.jit import kernel, load32, load64, multiply_wide

_P32_1 = np.uint32(0x9E3779B1)
_P32_2 = np.uint32(0x85EBCA77)
_P32_3 = np.uint32(0xC2B2AE3D)
_P32_4 = np.uint32(0x27D4EB2F)
_P32_5 = np.uint32(0x165667B1)
_P64_1 = np.uint64(0x9E3779B185EBCA87)
_P64_2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P64_3 = np.uint64(0x165667B19E3779F9)
_P64_4 = np.uint64(0x85EBCA77C2B2AE63)
_P64_5 = np.uint64(0x27D4EB2F165667C5)
_MX1 = np.uint64(0x165667919E3779F9)
_MX2 = np.uint64(0x9FB21C651E98DF25)
_P32_1_WIDE = np.uint64(0x9E3779B1)
_P32_2_WIDE = np.uint64(0x85EBCA77)
_P32_3_WIDE = np.uint64(0xC2B2AE3D)
_LOW32 = np.uint64(0xFFFFFFFF)

_SECRET = np.frombuffer(
    bytes.fromhex(
        "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
        "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
        "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
        "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
        "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
        "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
    ),
    dtype=np.uint8,
)


@kernel
def _rotate32(x: np.uint32, bits: int) -> np.uint32:
    return np.uint32(np.uint32(x << np.uint32(bits)) | np.uint32(x >> np.uint32(32 - bits)))


@kernel
def _rotate64(x: np.uint64, bits: int) -> np.uint64:
    return np.uint64((x << np.uint64(bits)) | (x >> np.uint64(64 - bits)))


@kernel
def _swap32(x: np.uint32) -> np.uint32:
    x = np.uint32(x)
    low = np.uint32((x & np.uint32(0xFF)) << np.uint32(24)) | np.uint32(
        (x & np.uint32(0xFF00)) << np.uint32(8)
    )
    high = np.uint32((x >> np.uint32(8)) & np.uint32(0xFF00)) | np.uint32(x >> np.uint32(24))
    return np.uint32(low | high)


@kernel
def _swap64(x: np.uint64) -> np.uint64:
    low = np.uint64(_swap32(np.uint32(x & _LOW32)))
    return np.uint64((low << np.uint64(32)) | np.uint64(_swap32(np.uint32(x >> np.uint64(32)))))


@kernel
def _round32(lane: np.uint32, word: np.uint32) -> np.uint32:
    return np.uint32(_rotate32(np.uint32(lane + np.uint32(word * _P32_2)), 13) * _P32_1)


@kernel
def xxh32(buffer: NDArray[np.uint8], start: int, stop: int) -> np.uint32:
    """XXH32, seed 0, of bytes [start, stop) of `buffer`.

    Reference: `xxhash.xxh32_intdigest`. Cost: one step per 16 bytes plus one per 4 and per byte.
    """
    at = start
    length = stop - start
    if length >= 16:
        v1 = np.uint32(_P32_1 + _P32_2)
        v2 = _P32_2
        v3 = np.uint32(0)
        v4 = np.uint32(np.uint32(0) - _P32_1)
        while at + 16 <= stop:
            v1 = _round32(v1, load32(buffer, at))
            v2 = _round32(v2, load32(buffer, at + 4))
            v3 = _round32(v3, load32(buffer, at + 8))
            v4 = _round32(v4, load32(buffer, at + 12))
            at += 16
        h = np.uint32(_rotate32(v1, 1) + _rotate32(v2, 7) + _rotate32(v3, 12) + _rotate32(v4, 18))
    else:
        h = _P32_5
    h = np.uint32(h + np.uint32(length))
    while at + 4 <= stop:
        h = np.uint32(_rotate32(np.uint32(h + np.uint32(load32(buffer, at) * _P32_3)), 17) * _P32_4)
        at += 4
    while at < stop:
        h = np.uint32(_rotate32(np.uint32(h + np.uint32(np.uint32(buffer[at]) * _P32_5)), 11) * _P32_1)
        at += 1
    h = np.uint32((h ^ np.uint32(h >> np.uint32(15))) * _P32_2)
    h = np.uint32((h ^ np.uint32(h >> np.uint32(13))) * _P32_3)
    return np.uint32(h ^ np.uint32(h >> np.uint32(16)))


@kernel
def fmix32(h: np.uint32) -> np.uint32:
    """MurmurHash3's 32-bit finalizer: the pre-mix of datasketch's scheme "affine32"."""
    h = np.uint32((h ^ np.uint32(h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    h = np.uint32((h ^ np.uint32(h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(h ^ np.uint32(h >> np.uint32(16)))


@kernel
def mix64(h: np.uint64) -> np.uint64:
    """A bijection of 64 bits in which every input bit reaches every output bit (XXH64's last step)."""
    h = np.uint64((h ^ (h >> np.uint64(33))) * _P64_2)
    h = np.uint64((h ^ (h >> np.uint64(29))) * _P64_3)
    return np.uint64(h ^ (h >> np.uint64(32)))


@kernel
def _round64(lane: np.uint64, word: np.uint64) -> np.uint64:
    return np.uint64(_rotate64(np.uint64(lane + word * _P64_2), 31) * _P64_1)


@kernel
def xxh64(buffer: NDArray[np.uint8], start: int, stop: int) -> np.uint64:
    """XXH64, seed 0, of bytes [start, stop) of `buffer`. Reference: `xxhash.xxh64_intdigest`."""
    at = start
    length = stop - start
    if length >= 32:
        v1 = np.uint64(_P64_1 + _P64_2)
        v2 = _P64_2
        v3 = np.uint64(0)
        v4 = np.uint64(np.uint64(0) - _P64_1)
        while at + 32 <= stop:
            v1 = _round64(v1, load64(buffer, at))
            v2 = _round64(v2, load64(buffer, at + 8))
            v3 = _round64(v3, load64(buffer, at + 16))
            v4 = _round64(v4, load64(buffer, at + 24))
            at += 32
        h = np.uint64(_rotate64(v1, 1) + _rotate64(v2, 7) + _rotate64(v3, 12) + _rotate64(v4, 18))
        h = np.uint64((h ^ _round64(np.uint64(0), v1)) * _P64_1 + _P64_4)
        h = np.uint64((h ^ _round64(np.uint64(0), v2)) * _P64_1 + _P64_4)
        h = np.uint64((h ^ _round64(np.uint64(0), v3)) * _P64_1 + _P64_4)
        h = np.uint64((h ^ _round64(np.uint64(0), v4)) * _P64_1 + _P64_4)
    else:
        h = _P64_5
    h = np.uint64(h + np.uint64(length))
    while at + 8 <= stop:
        h = np.uint64(
            _rotate64(np.uint64(h ^ _round64(np.uint64(0), load64(buffer, at))), 27) * _P64_1 + _P64_4
        )
        at += 8
    if at + 4 <= stop:
        h = np.uint64(
            _rotate64(np.uint64(h ^ (np.uint64(load32(buffer, at)) * _P64_1)), 23) * _P64_2 + _P64_3
        )
        at += 4
    while at < stop:
        h = np.uint64(_rotate64(np.uint64(h ^ (np.uint64(buffer[at]) * _P64_5)), 11) * _P64_1)
        at += 1
    return mix64(h)


@kernel
def _fold128(a: np.uint64, b: np.uint64) -> np.uint64:
    low, high = multiply_wide(a, b)
    return np.uint64(low ^ high)


@kernel
def _avalanche(x: np.uint64) -> np.uint64:
    x = np.uint64((x ^ (x >> np.uint64(37))) * _MX1)
    return np.uint64(x ^ (x >> np.uint64(32)))


@kernel
def _xxh3_tiny(buffer: NDArray[np.uint8], start: int, length: int) -> tuple[np.uint64, np.uint64]:
    # 0 to 16 bytes
    if length > 8:
        first, last = load64(buffer, start), load64(buffer, start + length - 8)
        one = np.uint64(load64(_SECRET, 32) ^ load64(_SECRET, 40) ^ first ^ last)
        two = np.uint64(load64(_SECRET, 48) ^ load64(_SECRET, 56) ^ last)
        low, high = multiply_wide(one, _P64_1)
        low = np.uint64(low + (np.uint64(length - 1) << np.uint64(54)))
        high = np.uint64(high + two + (two & _LOW32) * (_P32_2_WIDE - np.uint64(1)))
        low = np.uint64(low ^ _swap64(high))
        product_low, product_high = multiply_wide(low, _P64_2)
        return _avalanche(product_low), _avalanche(np.uint64(product_high + high * _P64_2))
    if length >= 4:
        head, tail = np.uint64(load32(buffer, start)), np.uint64(load32(buffer, start + length - 4))
        value = np.uint64(load64(_SECRET, 16) ^ load64(_SECRET, 24) ^ (head | (tail << np.uint64(32))))
        low, high = multiply_wide(value, np.uint64(_P64_1 + np.uint64(length << 2)))
        high = np.uint64(high + (low << np.uint64(1)))
        low = np.uint64(low ^ (high >> np.uint64(3)))
        low = np.uint64((low ^ (low >> np.uint64(35))) * _MX2)
        return np.uint64(low ^ (low >> np.uint64(28))), _avalanche(high)
    if length > 0:
        combined = np.uint32(
            np.uint32(buffer[start + length - 1])
            | np.uint32(np.uint32(length) << np.uint32(8))
            | np.uint32(np.uint32(buffer[start]) << np.uint32(16))
            | np.uint32(np.uint32(buffer[start + (length >> 1)]) << np.uint32(24))
        )
        low = np.uint64(load32(_SECRET, 0) ^ load32(_SECRET, 4)) ^ np.uint64(combined)
        high = np.uint64(load32(_SECRET, 8) ^ load32(_SECRET, 12)) ^ np.uint64(
            _rotate32(_swap32(combined), 13)
        )
        return mix64(np.uint64(low)), mix64(np.uint64(high))
    empty_low = np.uint64(load64(_SECRET, 64) ^ load64(_SECRET, 72))
    return mix64(empty_low), mix64(np.uint64(load64(_SECRET, 80) ^ load64(_SECRET, 88)))


@kernel
def _mix_step(buffer: NDArray[np.uint8], at: int, secret_at: int) -> np.uint64:
    return _fold128(
        np.uint64(load64(buffer, at) ^ load64(_SECRET, secret_at)),
        np.uint64(load64(buffer, at + 8) ^ load64(_SECRET, secret_at + 8)),
    )


@kernel
def _mix_two(
    low: np.uint64, high: np.uint64, buffer: NDArray[np.uint8], one: int, two: int, secret_at: int
) -> tuple[np.uint64, np.uint64]:
    low = np.uint64(low + _mix_step(buffer, one, secret_at))
    high = np.uint64(high + _mix_step(buffer, two, secret_at + 16))
    low = np.uint64(low ^ (load64(buffer, two) + load64(buffer, two + 8)))
    return low, np.uint64(high ^ (load64(buffer, one) + load64(buffer, one + 8)))


@kernel
def _xxh3_medium(buffer: NDArray[np.uint8], start: int, length: int) -> tuple[np.uint64, np.uint64]:
    # 17 to 240 bytes
    low, high = np.uint64(np.uint64(length) * _P64_1), np.uint64(0)
    if length <= 128:
        for i in range((length - 1) >> 5, -1, -1):
            low, high = _mix_two(low, high, buffer, start + i * 16, start + length - i * 16 - 16, i * 32)
    else:
        for i in range(4):
            low, high = _mix_two(low, high, buffer, start + i * 32, start + i * 32 + 16, i * 32)
        low, high = _avalanche(low), _avalanche(high)
        for i in range(4, length >> 5):
            low, high = _mix_two(low, high, buffer, start + i * 32, start + i * 32 + 16, (i - 4) * 32 + 3)
        low, high = _mix_two(low, high, buffer, start + length - 16, start + length - 32, 103)
    total = np.uint64(low * _P64_1 + high * _P64_4 + np.uint64(length) * _P64_2)
    return _avalanche(np.uint64(low + high)), np.uint64(np.uint64(0) - _avalanche(total))


@kernel
def _accumulate(lanes: NDArray[np.uint64], buffer: NDArray[np.uint8], at: int, secret_at: int) -> None:
    for i in range(8):
        word = load64(buffer, at + i * 8)
        value = np.uint64(word ^ load64(_SECRET, secret_at + i * 8))
        lanes[i ^ 1] += word
        lanes[i] += np.uint64((value & _LOW32) * (value >> np.uint64(32)))


@kernel
def _merge(lanes: NDArray[np.uint64], initial: np.uint64, secret_at: int) -> np.uint64:
    result = initial
    for i in range(4):
        result = np.uint64(
            result
            + _fold128(
                np.uint64(lanes[2 * i] ^ load64(_SECRET, secret_at + 16 * i)),
                np.uint64(lanes[2 * i + 1] ^ load64(_SECRET, secret_at + 16 * i + 8)),
            )
        )
    return _avalanche(result)


@kernel
def _xxh3_long(
    buffer: NDArray[np.uint8], start: int, length: int, lanes: NDArray[np.uint64]
) -> tuple[np.uint64, np.uint64]:
    # over 240 bytes: blocks of 16 stripes of 64 bytes
    lanes[0], lanes[1], lanes[2], lanes[3] = _P32_3_WIDE, _P64_1, _P64_2, _P64_3
    lanes[4], lanes[5], lanes[6], lanes[7] = _P64_4, _P32_2_WIDE, _P64_5, _P32_1_WIDE
    blocks = (length - 1) >> 10
    for block in range(blocks):
        for stripe in range(16):
            _accumulate(lanes, buffer, start + block * 1024 + stripe * 64, stripe * 8)
        for i in range(8):
            lane = np.uint64(lanes[i] ^ (lanes[i] >> np.uint64(47)) ^ load64(_SECRET, 128 + i * 8))
            lanes[i] = np.uint64(lane * _P32_1_WIDE)
    tail = start + blocks * 1024
    for stripe in range((length - blocks * 1024 - 1) >> 6):
        _accumulate(lanes, buffer, tail + stripe * 64, stripe * 8)
    _accumulate(lanes, buffer, start + length - 64, 121)
    low = _merge(lanes, np.uint64(np.uint64(length) * _P64_1), 11)
    return low, _merge(lanes, np.uint64(~np.uint64(np.uint64(length) * _P64_2)), 117)


@kernel
def xxh3_128(
    buffer: NDArray[np.uint8], start: int, stop: int, lanes: NDArray[np.uint64]
) -> tuple[np.uint64, np.uint64]:
    """XXH3-128, seed 0, of bytes [start, stop) of `buffer`, as (low, high) halves.

    Args:
        buffer: uint8, read only.
        start, stop: byte range; empty is allowed.
        lanes: uint64[8], scratch.

    Reference: `xxhash.xxh3_128_intdigest`, which is high << 64 | low.
    """
    length = stop - start
    if length <= 16:
        return _xxh3_tiny(buffer, start, length)
    if length <= 240:
        return _xxh3_medium(buffer, start, length)
    return _xxh3_long(buffer, start, length, lanes)
