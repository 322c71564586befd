"""Cut text into a prefix and the suffix that follows it.

Both are pieces of the original: the prefix begins with its first token and ends behind its last;
what separates the two (spaces, punctuation) begins the suffix, which ends behind its last token.
So prefix + suffix is the original text, and no prompt ends in a space, which many models' tokens
begin with.

In words, each holds 50 of the audit's. With a tokenizer, each holds 50 of its tokens, and they may
begin and end within a word. Then the prefix must hold a window of whole words, as many as the
shortest passage has: only of windows does the audit know how often they occur and that they all
go on alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.prompting.words import Words

PREFIX_TOKENS = 50
STRETCH_TOKENS = 100  # prefix and suffix
MOST_BYTES = 1 << 16  # of prefix and suffix; "words" of a megabyte are no prompt

TOO_FEW = f"fewer than {STRETCH_TOKENS} tokens in a row"
FEW_WORDS = "no prefix with as many whole words as the shortest passage"
NO_CUT = "nowhere to cut: characters that are part of several tokens"
TOO_LONG = f"longer than {MOST_BYTES // 1024} KiB"
PROBLEMS = (TOO_LONG, FEW_WORDS, NO_CUT, TOO_FEW)  # the first that any region has is told

# The ids of a text's tokens, and the characters [begin, stop) of each.
Encode = Callable[[str], tuple[Sequence[int], Sequence[tuple[int, int]]]]
Region = tuple[int, int]  # numbers of its first word and of the word behind it


@dataclass(frozen=True)
class Stretch:
    """A prefix with its suffix.

    Attributes:
        prefix_ids, suffix_ids: of their tokens, if a tokenizer was given.
        place: bytes [begin, end) of the original that the two are.
        words: words [first, stop) of the original of which anything is in there.
        whole: the normalised words that are in there as a whole, joined by spaces.
    """

    prefix: str
    suffix: str
    prefix_ids: tuple[int, ...] | None
    suffix_ids: tuple[int, ...] | None
    place: Region
    words: Region
    whole: str
    predictable: bool


class _Cuts(NamedTuple):
    # Where stretches may begin, be cut in two, and end, in bytes, by where they begin; their tokens.
    begin: NDArray[np.int64]
    middle: NDArray[np.int64]
    end: NDArray[np.int64]
    ids: list[tuple[int, ...]]
    problem: str = TOO_FEW  # why there are none, if there are none


@dataclass(frozen=True)
class Cutter:
    """How to cut.

    Attributes:
        window: words of the shortest passage.
        encode: of the tokenizer; None for words.
        most: stretches to take from one text's regions at most.
    """

    window: int
    encode: Encode | None
    most: int

    @property
    def fewest_words(self) -> int:
        """Words that a region must have so that there may be a stretch in it."""
        return STRETCH_TOKENS if self.encode is None else self.window

    def cut(
        self, text: bytes, words: Words, regions: Sequence[Region], key: int
    ) -> tuple[list[Stretch], str | None]:
        """Stretches within regions of a text that do not overlap.

        Args:
            regions: of words, ascending and apart.
            key: decides which stretch comes first, and so where the others are.

        Returns:
            The stretches; if there are none, why.
        """
        parts = [self._cuts(text, words, region, key) for region in regions]
        begin, middle, end = (np.concatenate([np.zeros(0, np.int64), *c]) for c in _columns(parts))
        if not len(begin):
            return [], min((part.problem for part in parts), key=PROBLEMS.index, default=TOO_FEW)
        ids = [each for part in parts for each in part.ids]
        chosen = _apart(begin, end, key, self.most)
        return [
            self._stretch(text, words, (int(begin[i]), int(middle[i]), int(end[i])), ids[i] if ids else None)
            for i in chosen
        ], None

    def _cuts(self, text: bytes, words: Words, region: Region, key: int) -> _Cuts:
        borders = words.borders()
        first, stop = self._part(region, key)
        # A character that reaches into the region from without does not count as part of it.
        while first < stop and not borders[first]:
            first += 1
        while first < stop and not borders[stop]:
            stop -= 1
        if stop - first < self.fewest_words:
            return _none(TOO_FEW)
        if self.encode is None:
            return _in_words(words, borders, first, stop)
        return _in_tokens(text, words, (first, stop), self.encode, self.window)

    def _part(self, region: Region, key: int) -> Region:
        # Of a passage as long as a book a part is enough, and quicker to encode.
        first, stop = region
        room = 4 * STRETCH_TOKENS * max(self.most, 8)
        if stop - first <= room:
            return region
        first += key % (stop - first - room)
        return first, first + room

    def _stretch(
        self, text: bytes, words: Words, at: tuple[int, int, int], ids: tuple[int, ...] | None
    ) -> Stretch:
        begin, middle, end = at
        touched = _number(words.stops, begin, "right"), _number(words.begins, end, "left")
        first, stop = _number(words.begins, begin, "left"), _number(words.stops, end, "right")
        return Stretch(
            text[begin:middle].decode(),
            text[middle:end].decode(),
            None if ids is None else ids[:PREFIX_TOKENS],
            None if ids is None else ids[PREFIX_TOKENS:],
            (begin, end),
            touched,
            words.normalised(first, stop).decode(),
            words.predictable(first, stop, self.window),
        )


def _columns(parts: Sequence[_Cuts]) -> tuple[list[NDArray[np.int64]], ...]:
    return [p.begin for p in parts], [p.middle for p in parts], [p.end for p in parts]


def _none(problem: str) -> _Cuts:
    nothing = np.zeros(0, np.int64)
    return _Cuts(nothing, nothing, nothing, [], problem)


def _number(values: NDArray[np.int64], value: int, side: str) -> int:
    return int(np.searchsorted(values, value, side="left" if side == "left" else "right"))


def _in_words(words: Words, borders: NDArray[np.bool_], first: int, stop: int) -> _Cuts:
    at = np.arange(first, stop - STRETCH_TOKENS + 1)
    at = at[borders[at] & borders[at + PREFIX_TOKENS] & borders[at + STRETCH_TOKENS]]
    cuts = _Cuts(
        words.begins[at], words.stops[at + PREFIX_TOKENS - 1], words.stops[at + STRETCH_TOKENS - 1], []
    )
    return _short_enough(cuts) if len(at) else _none(NO_CUT)


def _in_tokens(text: bytes, words: Words, region: Region, encode: Encode, window: int) -> _Cuts:
    base, limit = int(words.begins[region[0]]), int(words.stops[region[1] - 1])
    part = text[base:limit].decode()
    ids, offsets = encode(part)
    if len(ids) < STRETCH_TOKENS:
        return _none(TOO_FEW)
    # From characters to bytes.
    points = np.frombuffer(part.encode("utf-32-le"), np.dtype("<u4"))
    n_bytes = 1 + sum((points >= least).astype(np.int64) for least in (0x80, 0x800, 0x10000))
    byte_at = base + np.append(0, np.cumsum(n_bytes))
    begins, stops = (byte_at[column] for column in np.array(offsets, np.int64).reshape(-1, 2).T)
    at = np.flatnonzero(_whole(begins, stops))
    if not len(at):
        return _none(NO_CUT)
    cuts = _Cuts(begins[at], stops[at + PREFIX_TOKENS - 1], stops[at + STRETCH_TOKENS - 1], [])
    in_prefix = np.searchsorted(words.stops, cuts.middle, "right") - np.searchsorted(words.begins, cuts.begin)
    kept = in_prefix >= window
    if not kept.any():
        return _none(FEW_WORDS)
    tokens = [tuple(ids[i : i + STRETCH_TOKENS]) for i in at[kept].tolist()]
    return _short_enough(_Cuts(cuts.begin[kept], cuts.middle[kept], cuts.end[kept], tokens))


def _whole(begins: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.bool_]:
    # For each token but the last 99, whether a stretch may begin with it: it, its suffix and what
    # follows begin between characters, its tokens stand in order, and its suffix is not empty.
    n = len(begins) - STRETCH_TOKENS + 1
    border = np.concatenate([[True], stops[:-1] <= begins[1:], [True]])
    disorder = (begins[1:] < begins[:-1]) | (stops[1:] < stops[:-1])
    before = np.append(0, np.cumsum(disorder))
    at = np.arange(n)
    in_order = before[at + STRETCH_TOKENS - 1] == before[at]
    filled = stops[at + STRETCH_TOKENS - 1] > stops[at + PREFIX_TOKENS - 1]
    cut = border[at] & border[at + PREFIX_TOKENS] & border[at + STRETCH_TOKENS]
    return np.asarray(cut & in_order & filled)


def _short_enough(cuts: _Cuts) -> _Cuts:
    kept = cuts.end - cuts.begin <= MOST_BYTES
    if not kept.any():
        return _none(TOO_LONG)
    ids = [each for each, keep in zip(cuts.ids, kept, strict=True) if keep] if cuts.ids else []
    return _Cuts(cuts.begin[kept], cuts.middle[kept], cuts.end[kept], ids)


def _apart(begin: NDArray[np.int64], end: NDArray[np.int64], key: int, most: int) -> list[int]:
    # Numbers of cuts that do not overlap: one by the key, those behind it, then those before it.
    at = key % len(begin)
    chosen = [at]
    while len(chosen) < most and (at := _number(begin, int(end[at]), "left")) < len(begin):
        chosen.append(at)
    at = chosen[0]
    while len(chosen) < most and (at := _number(end, int(begin[at]), "right") - 1) >= 0:
        chosen.append(at)
    return chosen
