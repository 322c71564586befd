"""Passages by their definition, on texts of any length that fits in memory, and by a suffix array.

The definition keeps every window of every document in a dictionary. The suffix array shares no step
with it (pydivsufsort sorts, Kasai's algorithm compares neighbours) and is fast enough for real data.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydivsufsort import divsufsort, kasai

from pipeline.normalise import tokens

Words = tuple[str, ...]
Place = tuple[int, int]  # number of a document, number of a token in it
Ints = NDArray[np.int64]

MOST_PERIOD = 8  # tokens in the longest cycle that makes a passage predictable
NUMBER_DIGITS = 18  # a token that ends in more has no number


def windows(words: Sequence[str], w: int) -> list[Words]:
    """Every run of `w` tokens of a document, in order."""
    return [tuple(words[i : i + w]) for i in range(len(words) - w + 1)]


def repeated_windows(texts: Sequence[str], w: int) -> dict[Words, int]:
    """Every window that stands at two places or more, with the number of its places."""
    counts = Counter(window for text in texts for window in windows(tokens(text), w))
    return {window: count for window, count in counts.items() if count > 1}


def passages(documents: Sequence[Sequence[str]], w: int) -> dict[Words, list[Place]]:
    """Every maximal unbranching path of repeated windows, as its tokens, with its places in order.

    Two windows that follow each other are joined if both repeat, if every place of the first goes on
    with the same token (a document's end is another continuation), and if every place of the second
    has the same token before it (so is a document's begin).
    """
    places: dict[Words, int] = Counter()
    after: dict[Words, set[str | None]] = defaultdict(set)
    before: dict[Words, set[str | None]] = defaultdict(set)
    for words in documents:
        for i, window in enumerate(windows(words, w)):
            places[window] += 1
            after[window].add(words[i + w] if i + w < len(words) else None)
            before[window].add(words[i - 1] if i > 0 else None)

    def joined(first: Words, second: Words) -> bool:
        repeated = places[first] > 1 and places[second] > 1
        return repeated and len(after[first]) == 1 and len(before[second]) == 1

    found: dict[Words, list[Place]] = defaultdict(list)
    for d, words in enumerate(documents):
        path = windows(words, w)
        for i, window in enumerate(path):
            if places[window] > 1 and not (i > 0 and joined(path[i - 1], window)):
                last = i
                while last + 1 < len(path) and joined(path[last], path[last + 1]):
                    last += 1
                found[tuple(words[i : last + w])].append((d, i))
    return dict(found)


def most_occurrences(found: dict[Words, list[Place]], documents: Sequence[Sequence[str]]) -> list[list[int]]:
    """How often the most frequent passage over each token of each document occurs; 1 where none is."""
    most = [[1] * len(words) for words in documents]
    for passage, places in found.items():
        for d, start in places:
            for i in range(start, start + len(passage)):
                most[d][i] = max(most[d][i], len(places))
    return most


def _step(token: str, before: str) -> int | None:
    # What a token adds to the number of another; None if it neither repeats it nor counts on.
    if token == before:
        return 0
    (stem, number), (stem_before, number_before) = (
        re.fullmatch("(.*?)([0-9]*)", each, re.DOTALL).groups()  # type: ignore[union-attr]
        for each in (token, before)
    )
    are_numbers = all(0 < len(digits) <= NUMBER_DIGITS for digits in (number, number_before))
    return int(number) - int(number_before) if are_numbers and stem == stem_before else None


def predictable(words: Sequence[str], w: int) -> bool:
    """Whether each token follows from the one a period of at most eight before it.

    It does if it adds a step to the decimal number which that one ends in, behind the same stem: one
    step for all tokens of its place in the cycle, 0 where they are equal. A window shows three periods.
    """
    for period in range(1, min(MOST_PERIOD, w // 3) + 1):
        steps = {(i % period, _step(words[i], words[i - period])) for i in range(period, len(words))}
        if len(steps) <= period and None not in {step for _, step in steps}:
            return True
    return False


@dataclass(frozen=True)
class SuffixArray:
    """All suffixes of a corpus in order, which no two documents share beyond their ends.

    numbers: int64[n], the tokens of all documents as numbers, behind each document one of its own.
    starts: int64[documents], where each begins among them.
    """

    numbers: Ints
    starts: Ints

    @cached_property
    def order(self) -> Ints:
        """int64[n], where the suffixes begin, in the order of their numbers."""
        return np.asarray(divsufsort(self.numbers), np.int64)

    @cached_property
    def common(self) -> Ints:
        """int64[n], how many numbers each suffix has in common with the next in that order; 0 at the end."""
        return np.asarray(kasai(self.numbers.astype(np.uint32), self.order.astype(np.int32)), np.int64)

    def groups(self, w: int) -> Ints:
        """int64[n], for the window at each token a number that equal windows share."""
        groups = np.empty(len(self.order), np.int64)
        groups[self.order[1:]] = np.cumsum(self.common[:-1] < w)
        groups[self.order[:1]] = 0
        return groups

    def counts(self, w: int) -> Ints:
        """int64[n], how often the window at each token stands in the corpus; 1 where it crosses an end."""
        groups = self.groups(w)
        return np.bincount(groups)[groups]


def suffix_array(documents: Sequence[Sequence[str]]) -> SuffixArray:
    """The suffix array of a corpus of one document or more."""
    number: dict[str | int, int] = {}
    flat: list[str | int] = []
    for d, words in enumerate(documents):
        flat += [*words, d]
    numbers = [number.setdefault(each, len(number)) for each in flat]
    starts = np.cumsum([0, *(len(words) + 1 for words in documents[:-1])])
    return SuffixArray(np.array(numbers, np.int64), starts)


def repeated_windows_by_suffix_array(texts: Sequence[str], w: int) -> dict[Words, int]:
    """What `repeated_windows` says, from neighbours in the suffix array."""
    documents = [tokens(text) for text in texts]
    if not documents:
        return {}
    counts = suffix_array(documents).counts(w)
    flat = [word for words in documents for word in (*words, "")]
    return {tuple(flat[i : i + w]): int(counts[i]) for i in np.flatnonzero(counts > 1).tolist()}


@dataclass(frozen=True)
class Paths:
    """Every place of every passage, in the order of the corpus: int64[places] each."""

    document: Ints
    token_start: Ints
    tokens: Ints
    occurrences: Ints


def paths(suffixes: SuffixArray, w: int) -> Paths:
    """The places of what `passages` finds, from counts alone.

    Two windows are joined where both, and the run of w + 1 tokens that they make, stand equally often.
    """
    counts, longer = suffixes.counts(w), suffixes.counts(w + 1)
    repeated = counts > 1
    joined = np.zeros(len(counts), np.bool_)  # with the next
    joined[:-1] = repeated[:-1] & (counts[:-1] == counts[1:]) & (counts[:-1] == longer[:-1])
    starts = np.flatnonzero(repeated & ~np.concatenate([[False], joined[:-1]]))
    lasts = np.flatnonzero(repeated & ~joined)
    document = np.searchsorted(suffixes.starts, starts, side="right") - 1
    return Paths(document, starts - suffixes.starts[document], lasts - starts + w, counts[starts])
