"""MinHash signatures, bit for bit those of datasketch's scheme "affine32".

A signature holds, for each permutation k, the minimum over the shingles of
a_k * fmix32(XXH32(shingle)) + b_k in 32-bit arithmetic. The scheme keeps 32-bit hashes: sets
beyond about 1e8 shingles saturate it, and one document does not come near that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.hashing import fmix32, mix64, xxh32
from pipeline.kernels.jit import kernel

SCHEME = "datasketch-2/affine32/xxh32"
CHUNK = 512  # shingle hashes held at once: 2 KiB, well inside the L1 cache


def permutations(num_perm: int, seed: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """The multipliers a (odd) and offsets b, uint32[num_perm] each, as datasketch draws them."""
    generator = np.random.RandomState(seed)
    a = generator.randint(0, 1 << 31, num_perm, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return a, generator.randint(0, 1 << 32, num_perm, dtype=np.uint32)


@kernel
def _lower_minima(
    hashes: NDArray[np.uint32],
    count: int,
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    signature: NDArray[np.uint32],
) -> None:
    for k in range(len(a)):
        least, factor, offset = signature[k], a[k], b[k]
        for i in range(count):
            value = np.uint32(factor * hashes[i] + offset)
            least = value if value < least else least
        signature[k] = least


@kernel
def sign(
    text: NDArray[np.uint8],
    ends: NDArray[np.int64],
    n_tokens: int,
    width: int,
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    hashes: NDArray[np.uint32],
    signature: NDArray[np.uint32],
) -> None:
    """The signature of a tokenised text.

    Args:
        text, ends, n_tokens: as `tokens.tokenise` leaves them; n_tokens is at least 1.
        width: tokens in a shingle; a shorter text is one shingle.
        a, b: uint32[p], from `permutations`.
        hashes: uint32[CHUNK], scratch.
        signature: uint32[p], out.

    Cost: one XXH32 and p multiply-adds a token. Reference: datasketch 2, `MinHash(p, seed,
    scheme="affine32", hashfunc=xxhash.xxh32_intdigest)`.
    """
    signature[:] = np.uint32(0xFFFFFFFF)
    last = max(n_tokens - width, 0)
    first = 0
    while first <= last:
        count = min(CHUNK, last + 1 - first)
        for i in range(count):
            shingle = first + i
            start = ends[shingle - 1] + 1 if shingle else 0
            stop = ends[min(shingle + width, n_tokens) - 1]
            hashes[i] = fmix32(xxh32(text, start, stop))
        _lower_minima(hashes, count, a, b, signature)
        first += count


@kernel
def band_keys(signature: NDArray[np.uint32], rows: int, keys: NDArray[np.uint64]) -> None:
    """Fold each band of `rows` signature values into one key that also tells which band it is.

    Args:
        signature: uint32[p].
        keys: uint64[bands], out; bands * rows is at most p.
    """
    for band in range(len(keys)):
        key = mix64(np.uint64(band + 1))
        for row in range(rows):
            key = mix64(np.uint64(key ^ np.uint64(signature[band * rows + row])) + np.uint64(row + 1))
        keys[band] = key


@kernel
def sketch_bytes(signature: NDArray[np.uint32], sketch: NDArray[np.uint8]) -> None:
    """One byte of each signature value (b-bit minwise hashing, Li and Koenig 2010, with b = 8).

    Minima are small numbers where a text is long, so they are mixed before the cut.
    """
    for k in range(len(signature)):
        sketch[k] = np.uint8(fmix32(signature[k]) & np.uint32(0xFF))
