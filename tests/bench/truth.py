"""All pairs of near-duplicate texts of a small corpus, by exact comparison of shingle sets.

Nothing is estimated or hashed: tokens and 5-grams are numbered, sets are compared element by
element, and a threshold is an exact fraction. Comparing every pair of 50,000 texts is out of reach,
so pairs that cannot reach the threshold are left out by the rules of AllPairs and PPJoin (Bayardo,
Ma, Srikant 2007; Xiao, Wang, Lin, Yu 2008), which lose nothing: in a common order of the shingles,
here rarest first, two sets that overlap enough share an element among their first few, and their
sizes differ by no more than the threshold allows.

The tests compare it with the plain definition on random corpora.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.normalise import tokens, unspaced

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SHINGLE_TOKENS = 5
# Elements expanded at a time: bounds the memory of the two steps that expand (a few 32 MB arrays).
CHUNK_ELEMENTS = 4_000_000
# Keeps the products of sizes with a threshold's numerator and denominator inside 64 bits.
MOST_THRESHOLD_PARTS = 10**6


@dataclass(frozen=True)
class Truth:
    """Which texts of a corpus are near-duplicates.

    threshold: least Jaccard similarity of a pair.
    text_of_document: (documents,) distinct normalised text of each document, numbered by first
        appearance; -1 for a document without tokens, which matches nothing.
    left, right: (pairs,) the two texts of every pair at or above the threshold, left < right,
        ascending.
    jaccard: (pairs,) their similarity.
    component: (texts,) smallest text of the connected component of the pairs.
    removable: documents with tokens minus components: the documents beyond the first of each group.
    removable_in_order: documents that have a match among the documents kept before them, what an
        exact keep-or-remove pass in input order removes; smaller, where A~B~C but A and C differ.
    """

    threshold: float
    text_of_document: Ints
    left: Ints
    right: Ints
    jaccard: Floats
    component: Ints
    removable: int
    removable_in_order: int


@dataclass(frozen=True)
class ShingleSets:
    """The shingle sets of texts, smallest set first.

    text: (sets,) text of each set; sets of equal size in the order of the texts.
    starts: (sets + 1,) set i is elements[starts[i]:starts[i + 1]].
    elements: shingles by rank of rarity, ascending in each set, unique in each set.
    documents: (shingles,) number of sets that hold each shingle; ascending, since ranks are.
    """

    text: Ints
    starts: Ints
    elements: Ints
    documents: Ints

    @property
    def sizes(self) -> Ints:
        """(sets,) number of shingles of each set, ascending."""
        return np.diff(self.starts)


class _SpacedCharacters(dict[int, str]):
    """A table for str.translate: what one character of an NFKC text adds to the spaced tokens."""

    def __missing__(self, code_point: int) -> str:
        token = "".join(tokens(chr(code_point)))
        spaced = f" {token} " if token and unspaced(token) else token or " "
        self[code_point] = spaced
        return spaced


_SPACED_CHARACTERS = _SpacedCharacters()


def fast_tokens(text: str) -> list[str]:
    """Return exactly `pipeline.normalise.tokens(text)`, 50 times faster.

    After NFKC the rule looks at one character at a time, so its answers can be tabled.
    """
    spaced = unicodedata.normalize("NFKC", text).translate(_SPACED_CHARACTERS)
    return [token for token in spaced.split(" ") if token]


def find_pairs(texts: Iterable[str], threshold: float = 0.7) -> Truth:
    """Compare all texts with each other, exactly.

    threshold: in (0, 1], taken as the decimal it is written as. Lower thresholds and corpora with
    much boilerplate cost more.
    """
    least = Fraction(str(threshold))
    if not 0 < least <= 1 or least.denominator > MOST_THRESHOLD_PARTS:
        raise ValueError(f"threshold: got {threshold}, need 0 < it <= 1 in at most 6 decimals")
    text_of_document, lengths, token_ids = number_tokens(texts)
    sets = shingle_sets(lengths, token_ids)
    del token_ids
    first, second, jaccard = compare(sets, candidates(sets, least), least)
    pairs = np.sort(np.stack([sets.text[first], sets.text[second]]), axis=0)
    order = np.lexsort((pairs[1], pairs[0]))
    left, right = pairs[:, order]
    component = components(len(lengths), left, right)
    with_tokens = int((text_of_document >= 0).sum())
    return Truth(
        threshold=threshold,
        text_of_document=text_of_document,
        left=left,
        right=right,
        jaccard=jaccard[order],
        component=component,
        removable=with_tokens - len(np.unique(component)),
        removable_in_order=count_removed_in_order(text_of_document, left, right),
    )


def number_tokens(texts: Iterable[str]) -> tuple[Ints, Ints, Ints]:
    """Number the tokens and the distinct normalised texts.

    Returns the text of each document (-1: no tokens), the number of tokens of each distinct text,
    and the token numbers of the distinct texts one after the other.
    """
    vocabulary: dict[str, int] = {}
    numbers: dict[bytes, int] = {}
    text_of_document = []
    for text in texts:
        words = [vocabulary.setdefault(token, len(vocabulary)) for token in fast_tokens(text)]
        content = np.array(words, np.int32).tobytes()
        text_of_document.append(numbers.setdefault(content, len(numbers)) if content else -1)
    lengths = np.array([len(content) // 4 for content in numbers], np.int64)
    token_ids = np.frombuffer(b"".join(numbers), np.int32).astype(np.int64)
    return np.array(text_of_document, np.int64), lengths, token_ids


def number_ngrams(token_ids: Ints) -> Ints:
    """Return a number for the 5-gram that starts at each of the first n - 4 positions, from 0.

    Equal numbers mean equal 5-grams: numbers of pairs are numbered, then pairs of those.
    """

    def dense(high: Ints, low: Ints) -> Ints:
        both = high * (low.max(initial=0) + 1) + low
        return np.unique(both, return_inverse=True)[1].astype(np.int64)

    pairs = dense(token_ids[:-1], token_ids[1:])
    fours = dense(pairs[:-2], pairs[2:])
    return dense(fours[:-1], token_ids[SHINGLE_TOKENS - 1 :])


def shingle_sets(lengths: Ints, token_ids: Ints) -> ShingleSets:
    """Return the sets of 5-grams of all texts of at least 5 tokens.

    A shorter text is left out: its one shingle is the whole text, which no other text has.
    """
    text = np.flatnonzero(lengths >= SHINGLE_TOKENS)
    windows = lengths[text] - SHINGLE_TOKENS + 1
    if not len(text):
        return ShingleSets(text, np.zeros(1, np.int64), text, text)
    starts = (np.cumsum(lengths) - lengths)[text]
    shingles = number_ngrams(token_ids)[ranges(starts, windows)]
    count = int(shingles.max()) + 1
    members = np.unique(np.repeat(np.arange(len(text)), windows) * count + shingles)
    owner, shingles = np.divmod(members, count)
    documents = np.bincount(shingles, minlength=count)
    by_rarity = np.argsort(documents, kind="stable")
    rank = np.empty(count, np.int64)
    rank[by_rarity] = np.arange(count)
    sizes = np.bincount(owner, minlength=len(text))
    by_size = np.argsort(sizes, kind="stable")
    place = np.empty(len(text), np.int64)
    place[by_size] = np.arange(len(text))
    elements = np.sort(place[owner] * count + rank[shingles]) % count
    set_starts = np.concatenate([[0], np.cumsum(sizes[by_size])])
    return ShingleSets(text[by_size], set_starts, elements, documents[by_rarity])


def ranges(starts: Ints, counts: Ints) -> Ints:
    """Return starts[0], starts[0] + 1, ... (counts[0] numbers), then the same of starts[1], ..."""
    before: Ints = np.repeat(starts - (np.cumsum(counts) - counts), counts)
    return np.arange(len(before), dtype=np.int64) + before


def ceil_of(fraction: Fraction, numbers: Ints) -> Ints:
    """Return the least whole number not below fraction * number, exactly."""
    least: Ints = -(-fraction.numerator * numbers // fraction.denominator)
    return least


def candidates(sets: ShingleSets, least: Fraction) -> Ints:
    """Return every pair of sets that may reach the similarity.

    A pair is larger * number of sets + smaller, where `larger` is the set with the higher index;
    ascending and unique.
    """
    sizes, total = sets.sizes, len(sets.text)
    # Of two sets that reach the similarity, the larger shares one of its first `probed` elements
    # with the first `indexed` elements of the smaller.
    probed = sizes - ceil_of(least, sizes) + 1
    indexed = sizes - ceil_of(2 * least / (1 + least), sizes) + 1
    owner, place = np.repeat(np.arange(total), probed), ranges(np.zeros(total, np.int64), probed)
    shingle = sets.elements[sets.starts[owner] + place]
    shared = sets.documents[shingle] > 1
    owner, place, shingle = owner[shared], place[shared], shingle[shared]
    keys = shingle * total + owner
    order = np.argsort(keys, kind="stable")
    owner, place, shingle, keys = owner[order], place[order], shingle[order], keys[order]
    in_index = np.flatnonzero(place < indexed[owner])
    index_keys = keys[in_index]
    smallest = np.searchsorted(sizes, ceil_of(least, sizes))
    first = np.searchsorted(index_keys, shingle * total + smallest[owner])
    counts = np.searchsorted(index_keys, keys) - first
    found = [np.empty(0, np.int64)]
    for part in chunks(counts):
        probe = np.repeat(np.arange(part.start, part.stop), counts[part])
        entry = in_index[ranges(first[part], counts[part])]
        larger, smaller = owner[probe], owner[entry]
        # At the first element two sets share, all that can follow must still suffice.
        needed = ceil_of(least / (1 + least), sizes[larger] + sizes[smaller])
        left = np.minimum(sizes[larger] - place[probe], sizes[smaller] - place[entry])
        enough = left >= needed
        found.append(np.unique(larger[enough] * total + smaller[enough]))
        if sum(map(len, found[1:])) > max(len(found[0]), CHUNK_ELEMENTS):
            found = [np.unique(np.concatenate(found))]
    return np.unique(np.concatenate(found))


def chunks(counts: Ints) -> Iterator[slice]:
    """Cut 0 .. len(counts) - 1 into slices whose counts sum to about CHUNK_ELEMENTS; skip empty."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, done + CHUNK_ELEMENTS, side="right"))
        stop = max(stop, start + 1)
        if ends[stop - 1] > done:
            yield slice(start, stop)
        start = stop


def compare(sets: ShingleSets, codes: Ints, least: Fraction) -> tuple[Ints, Ints, Floats]:
    """Compare candidate pairs exactly; return both sets and similarity of those that reach it."""
    sizes, total = sets.sizes, max(1, len(sets.text))
    larger, smaller = np.divmod(codes, total)
    shared = np.zeros(len(codes), np.int64)
    marked = np.zeros(len(sets.documents), bool)
    groups = np.flatnonzero(np.diff(larger, prepend=-1, append=-1))
    for start, stop in pairwise(groups.tolist()):
        one = larger[start]
        own = sets.elements[sets.starts[one] : sets.starts[one + 1]]
        marked[own] = True
        for part in chunks(sizes[smaller[start:stop]]):
            others = smaller[start:stop][part]
            hits = marked[sets.elements[ranges(sets.starts[others], sizes[others])]]
            firsts = np.cumsum(sizes[others]) - sizes[others]
            shared[start:stop][part] = np.add.reduceat(hits, firsts, dtype=np.int64)
        marked[own] = False
    united = sizes[larger] + sizes[smaller] - shared
    enough = shared * least.denominator >= united * least.numerator
    return larger[enough], smaller[enough], shared[enough] / united[enough]


def components(texts: int, left: Ints, right: Ints) -> Ints:
    """Return the smallest text of the connected component of each text."""
    graph = coo_array((np.ones(len(left), bool), (left, right)), shape=(texts, texts))
    labels = connected_components(graph, directed=False)[1]
    firsts = np.unique(labels, return_index=True)[1]
    return np.asarray(firsts[labels], np.int64)


def count_removed_in_order(text_of_document: Ints, left: Ints, right: Ints) -> int:
    """Count the documents that match a document kept before them, in input order."""
    partners: dict[int, list[int]] = {}
    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        partners.setdefault(one, []).append(other)
        partners.setdefault(other, []).append(one)
    kept: set[int] = set()
    removed = 0
    for text in text_of_document.tolist():
        if text in kept or not kept.isdisjoint(partners.get(text, ())):
            removed += 1
        elif text >= 0:
            kept.add(text)
    return removed
