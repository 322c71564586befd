"""Corpora with planted repeats: seeded, and of counts and similarities that are known by design.

A planted text is a run of words that occur nowhere else, each drawn from 2**40, so texts that
were not made from each other share no shingle. A text of n + 4 words has n shingles of five;
cutting d words off one end and adding d fresh ones to the other leaves n - d of n + d.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

WIDTH = 5  # words in a shingle

Words = list[str]


def fresh(rng: random.Random, n: int) -> Words:
    """`n` words that no other text has."""
    return [f"w{rng.getrandbits(40):x}" for _ in range(n)]


def joined(words: Sequence[str]) -> str:
    """The text of some words."""
    return " ".join(words)


def text(rng: random.Random, shingles: int) -> str:
    """A text with that many shingles, like no other."""
    return joined(fresh(rng, shingles + WIDTH - 1))


def window(words: Sequence[str], start: int, shingles: int) -> str:
    """The text with that many shingles that begins at a word of a longer one."""
    return joined(words[start : start + shingles + WIDTH - 1])


def window_jaccard(distance: int, shingles: int) -> float:
    """The similarity of two windows that begin `distance` words apart."""
    shared = max(shingles - distance, 0)
    return shared / (2 * shingles - shared)


def disguised(rng: random.Random, words: Sequence[str]) -> str:
    """Words in other letter cases and with other separators: another text, but equal if normalised."""
    separators = (" ", "  ", ", ", "; ", " - ", "\n", "\t", "... ", " / ", "\u00a0", "\u3000")
    cases = (str.upper, str.lower, str.title)
    return "".join(rng.choice(cases)(word) + rng.choice(separators) for word in words) + rng.choice(
        (".", "!", "")
    )


def edited(rng: random.Random, words: Sequence[str], changes: int) -> str:
    """Words of which some, at places all over the text, are others."""
    changed = list(words)
    for place in rng.sample(range(len(words)), changes):
        changed[place] = fresh(rng, 1)[0]
    return joined(changed)


def copies(rng: random.Random, counts: Sequence[int], shingles: int = 6) -> tuple[list[str], list[int]]:
    """Texts planted `counts` times each, shuffled, and for every document its planted count."""
    planted = []
    for count in counts:
        planted += [(text(rng, shingles), count)] * count
    rng.shuffle(planted)
    return [each for each, _ in planted], [count for _, count in planted]


def twins_in_a_family(
    rng: random.Random, pairs: int, family: int, shared: int, own: int
) -> tuple[list[str], list[tuple[int, int]]]:
    """Pairs of twins that all begin alike, as pages made from one template do.

    All texts share `family` shingles, twins `shared` more, and each has `own` besides.

    Returns:
        The texts and, for every pair of twins, their places.
    """
    head = fresh(rng, family + WIDTH - 1)
    texts = []
    for _ in range(pairs):
        both = head + fresh(rng, shared)
        texts += [joined(both + fresh(rng, own)) for _ in range(2)]
    return texts, [(2 * i, 2 * i + 1) for i in range(pairs)]
