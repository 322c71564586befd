"""Which words of two texts differ."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pipeline.normalise import lower, unspaced


@dataclass(frozen=True)
class Part:
    """A stretch of a text, and whether the other text lacks its words."""

    text: str
    differs: bool


@dataclass(frozen=True)
class Differing:
    """Two texts cut into parts; joined, the parts are the texts."""

    left: tuple[Part, ...]
    right: tuple[Part, ...]

    @property
    def same(self) -> bool:
        """Whether no word differs."""
        return not any(part.differs for part in (*self.left, *self.right))


def differing(left: str, right: str, left_cut: bool = False, right_cut: bool = False) -> Differing:
    """Mark the words that a longest common subsequence of the two leaves out.

    Words are those of the audit: case and punctuation do not count.

    Args:
        left_cut, right_cut: more of that text follows, so the other's last words may be in it, and
            are not marked.

    Cost: of words x words bits; 2,000 characters a side take a few milliseconds whatever they are.
    """
    words = list(_words(left)), list(_words(right))
    same = _common([word for word, _, _ in words[0]], [word for word, _, _ in words[1]])
    last = max(same, default=(-1, -1))
    sides = []
    for side, whole, other_is_cut in ((0, left, right_cut), (1, right, left_cut)):
        partners = {pair[side] for pair in same}
        marked = [
            i not in partners and not (other_is_cut and i > last[side]) for i in range(len(words[side]))
        ]
        sides.append(_parts(whole, [(begin, end) for _, begin, end in words[side]], marked))
    return Differing(*sides)


def _words(text: str) -> Iterator[tuple[str, int, int]]:
    # Words as they are compared, with the characters [begin, end) they stand in.
    begin = -1
    for i, character in enumerate(text):
        inside, alone = _kind(character)
        if begin >= 0 and (alone or not inside):
            yield _compared(text[begin:i]), begin, i
            begin = -1
        if alone:
            yield _compared(character), i, i + 1
        elif inside and begin < 0:
            begin = i
    if begin >= 0:
        yield _compared(text[begin:]), begin, len(text)


@lru_cache(1 << 12)
def _kind(character: str) -> tuple[bool, bool]:
    # Whether it stands in words, and whether it is one by itself.
    inside = unicodedata.category(character)[0] in "LMN"
    return inside, inside and unspaced(character)


def _compared(word: str) -> str:
    if word.isascii():
        return word.lower()
    return "".join(map(lower, unicodedata.normalize("NFKC", word)))


def _common(left: Sequence[str], right: Sequence[str]) -> list[tuple[int, int]]:
    """A longest common subsequence as pairs of places.

    Hyyrö's bit-parallel rows: a zero at bit i of row j says that left[i] makes the subsequence with
    right[: j + 1] longer. Unlike difflib it cannot be slow.
    """
    places: dict[str, int] = {}
    for i, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << i
    everything = (1 << len(left)) - 1
    rows, row = [], everything
    for word in right:
        hits = row & places.get(word, 0)
        row = ((row + hits) | (row - hits)) & everything
        rows.append(row)
    found = []
    i, j = len(left), len(right)
    while i and j:
        if rows[j - 1] >> (i - 1) & 1:
            i -= 1
            continue
        j -= 1
        if j == 0 or rows[j - 1] >> (i - 1) & 1:
            i -= 1
            found.append((i, j))
    return found[::-1]


def _parts(text: str, places: Sequence[tuple[int, int]], marked: Sequence[bool]) -> tuple[Part, ...]:
    # Neighbouring words that differ are one part, with what stands between them.
    parts: list[Part] = []
    at = 0
    for i, (begin, end) in enumerate(places):
        if not marked[i]:
            continue
        joined = i > 0 and marked[i - 1]
        if joined:
            parts[-1] = Part(text[at - len(parts[-1].text) : end], True)
        else:
            parts += [Part(text[at:begin], False)] if begin > at else []
            parts.append(Part(text[begin:end], True))
        at = end
    return (*parts, Part(text[at:], False)) if at < len(text) else tuple(parts)
