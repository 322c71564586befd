"""Slow, obvious definitions that the fast code is compared with.

Everything starts from the text itself: `pipeline.normalise` for the rule, datasketch and xxhash
for what they compute, plain Python for the rest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from fractions import Fraction
from itertools import combinations
from math import comb
from typing import TypeVar

import numpy as np
import xxhash
from datasketch import MinHash
from numpy.typing import NDArray

from pipeline.normalise import normalised, shingles

Node = TypeVar("Node", bound=Hashable)
_BITS64 = (1 << 64) - 1


def raw_hash(data: bytes) -> int:
    """XXH3-128 of the bytes of a text as they are."""
    return xxhash.xxh3_128_intdigest(data)


def normalised_hash(text: str) -> int:
    """XXH3-128 of the normalised text."""
    return xxhash.xxh3_128_intdigest(normalised(text).encode())


def text_id(text: str) -> int:
    """The low half of the normalised hash."""
    return normalised_hash(text) & _BITS64


def halves(digest: int) -> tuple[int, int]:
    """A 128-bit number as its low and high 64 bits: the order in which the kernels write it."""
    return digest & _BITS64, digest >> 64


def signature(text: str, num_perm: int, seed: int, width: int = 5) -> NDArray[np.uint32]:
    """The MinHash signature of a text as datasketch computes it, uint32[num_perm]."""
    sketch = MinHash(num_perm, seed, scheme="affine32", hashfunc=xxhash.xxh32_intdigest)
    for shingle in shingles(text, width):
        sketch.update(shingle.encode())
    return np.asarray(sketch.hashvalues, np.uint32)


def mix64(value: int) -> int:
    """The last step of XXH64, from its specification."""
    value = (value ^ value >> 33) * 0xC2B2AE3D27D4EB4F & _BITS64
    value = (value ^ value >> 29) * 0x165667B19E3779F9 & _BITS64
    return value ^ value >> 32


def fmix32(value: int) -> int:
    """MurmurHash3's 32-bit finalizer, from its source."""
    value = (value ^ value >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    value = (value ^ value >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return value ^ value >> 16


def band_keys(values: Iterable[int], bands: int, rows: int) -> list[int]:
    """One key for each band of `rows` signature values."""
    flat = [int(value) for value in values]
    keys = []
    for band in range(bands):
        key = mix64(band + 1)
        for row in range(rows):
            key = mix64(((key ^ flat[band * rows + row]) + row + 1) & _BITS64)
        keys.append(key)
    return keys


def sketch(values: Iterable[int]) -> list[int]:
    """The low byte of each signature value after mixing."""
    return [fmix32(int(value)) & 0xFF for value in values]


def least_above_chance(permutations: int) -> int:
    """The fewest equal bytes of two sketches that unlike texts have less often than once in 500."""
    same = Fraction(1, 256)

    def just(places: int) -> Fraction:
        return comb(permutations, places) * same**places * (1 - same) ** (permutations - places)

    return next(n for n in range(permutations + 2) if 1 - sum(map(just, range(n))) < Fraction(1, 500))


def estimated(equal: int, permutations: int) -> float:
    """The similarity that equal bytes of two sketches stand for: 0 where chance gives as many."""
    if equal < least_above_chance(permutations):
        return 0.0
    return (equal / permutations - 1 / 256) / (1 - 1 / 256)


def jaccard(text_a: str, text_b: str, width: int = 5) -> float:
    """Shared shingles by all shingles of two texts; 0 where neither has any: empty matches nothing."""
    a, b = shingles(text_a, width), shingles(text_b, width)
    return len(a & b) / len(a | b) if a or b else 0.0


def containment(text_a: str, text_b: str, width: int = 5) -> float:
    """The share of text_a's shingles that text_b has too; 0 where text_a has none."""
    a, b = shingles(text_a, width), shingles(text_b, width)
    return len(a & b) / len(a) if a else 0.0


def near_pairs(texts: Iterable[str], threshold: float, width: int = 5) -> dict[tuple[str, str], float]:
    """Every pair of distinct normalised texts whose Jaccard similarity is at least `threshold`.

    Keys are (smaller, larger) normalised texts, values the similarity.
    """
    sets = {normalised(text): shingles(text, width) for text in texts}
    found = {}
    for a, b in combinations(sorted(text for text in sets if sets[text]), 2):
        similarity = len(sets[a] & sets[b]) / len(sets[a] | sets[b])
        if similarity >= threshold:
            found[a, b] = similarity
    return found


def components(pairs: Iterable[tuple[Node, Node]], nodes: Iterable[Node] = ()) -> list[set[Node]]:
    """The connected components of `pairs`, and of `nodes` that are in no pair, largest first."""
    neighbours: dict[Node, set[Node]] = defaultdict(set)
    for node in nodes:
        neighbours[node] |= set()
    for a, b in pairs:
        neighbours[a].add(b)
        neighbours[b].add(a)
    seen: set[Node] = set()
    found = []
    for node in neighbours:
        if node not in seen:
            component, frontier = {node}, [node]
            while frontier:
                fresh = neighbours[frontier.pop()] - component
                component |= fresh
                frontier += fresh
            seen |= component
            found.append(component)
    return sorted(found, key=len, reverse=True)


def detection_probability(similarity: float, bands: int, rows: int) -> float:
    """The chance that two texts of this Jaccard similarity agree in at least one band."""
    return float(1 - (1 - similarity**rows) ** bands)
