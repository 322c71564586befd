"""Hashes of runs of tokens, each from two prefix hashes.

A token has a 61-bit hash of its bytes, a run of tokens the polynomial of its tokens' hashes at a
fixed base modulo the prime 2**61 - 1, so that the hash of any run follows from the hashes of two
prefixes and no run is hashed twice. Two unequal runs of n tokens agree with a probability of
about n / 2**61. Modulo 2**64, which would be cheaper, runs in the Thue-Morse pattern agree
whatever the base. The hashes live inside one audit and are not part of the contract.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.jit import kernel, load64, multiply61

_BASE = np.uint64(0x0C5A7B9E3D1F6842 % ((1 << 61) - 1) | 1)
_MODULUS = np.uint64((1 << 61) - 1)
_P1 = np.uint64(0x9E3779B185EBCA87)
_P2 = np.uint64(0xC2B2AE3D27D4EB4F)
_P3 = np.uint64(0x165667B19E3779F9)


def powers(n: int) -> NDArray[np.uint64]:
    """uint64[n + 1], the base to the power of 0, 1, ..., n."""
    values = [1]
    for _ in range(n):
        values.append(values[-1] * int(_BASE) % int(_MODULUS))
    return np.array(values, np.uint64)


@kernel
def token_hash(text: NDArray[np.uint8], start: int, stop: int) -> np.uint64:
    """A 61-bit hash of the token in bytes [start, stop) of `text`, at least one.

    `text` has 7 readable bytes more. Cost: one step for up to 8 bytes, as most tokens have.
    """
    length = stop - start
    if length <= 8:
        word = np.uint64(load64(text, start) << np.uint64(64 - 8 * length))
        h = np.uint64((word ^ np.uint64(length)) * _P1)
        h = np.uint64((h ^ (h >> np.uint64(32))) * _P2)
        return np.uint64(h >> np.uint64(3))
    h = np.uint64(np.uint64(length) * _P3)
    at = start
    while at + 8 < stop:
        h = np.uint64((h ^ load64(text, at)) * _P2)
        h = np.uint64(h ^ (h >> np.uint64(29)))
        at += 8
    h = np.uint64((h ^ load64(text, stop - 8)) * _P1)
    h = np.uint64((h ^ (h >> np.uint64(32))) * _P2)
    return np.uint64(h >> np.uint64(3))


@kernel
def extended(prefix: np.uint64, token: np.uint64) -> np.uint64:
    """The hash of a prefix with one token more."""
    value = np.uint64(multiply61(prefix, _BASE) + token)
    return np.uint64(value - _MODULUS) if value >= _MODULUS else value


@kernel
def run_hash(prefix: np.uint64, longer: np.uint64, power: np.uint64) -> np.uint64:
    """The hash of the run between two prefixes; `power` is the base to the power of its length."""
    value = np.uint64(longer + _MODULUS - multiply61(prefix, power))
    return np.uint64(value - _MODULUS) if value >= _MODULUS else value
