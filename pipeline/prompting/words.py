"""Where the words of a text stand: the compiled tokeniser over one text at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.composing import composed
from pipeline.kernels.predictable import most_period, predictable
from pipeline.kernels.scan import roomier, tokeniser
from pipeline.kernels.tokens import NO_ROOM, TOKENISED, tokenise


@dataclass(frozen=True)
class Words:
    """The words (the audit's tokens) of a text.

    Attributes:
        text: uint8, the normalised text: each word with a space behind it.
        ends: int64[n], the byte after each word in `text`.
        begins, stops: int64[n], where each word stands in the original, as
            `normalise.token_places` says. Neither ever decreases.
    """

    text: NDArray[np.uint8]
    ends: NDArray[np.int64]
    begins: NDArray[np.int64]
    stops: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def normalised(self, first: int, stop: int) -> bytes:
        """Words [first, stop), at least one, joined by one space."""
        return self.text[self._begin(first) : int(self.ends[stop - 1])].tobytes()

    def _begin(self, word: int) -> int:
        return int(self.ends[word - 1]) + 1 if word else 0

    def borders(self) -> NDArray[np.bool_]:
        """bool[n + 1], whether the original can be cut before each word, and at last behind them.

        It cannot where one character of the original lies in two words.
        """
        inside = self.stops[:-1] <= self.begins[1:]
        return np.concatenate([[True], inside, [True]]) if len(self) else np.ones(1, np.bool_)

    def predictable(self, first: int, stop: int, window: int) -> bool:
        """Whether words [first, stop) foretell themselves, as the passages of a run do or do not."""
        return bool(predictable(self.text, self.ends, first, stop - first, most_period(window)))


class Reader:
    """The tokeniser with its memory, which grows with the texts."""

    def __init__(self) -> None:
        self._tok = tokeniser()
        self._places = self._room()

    def _room(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return np.empty(len(self._tok.ends), np.int64), np.empty(len(self._tok.ends), np.int64)

    def words(self, text: bytes) -> Words:
        """The words of a text.

        Raises:
            UnicodeDecodeError: it is not UTF-8.
        """
        outcome, n = self._tokenise(text, False)
        if outcome == TOKENISED:
            return self._found(n)
        whole = composed(text)
        found = self._found(self._tokenise(whole.text, True)[1])
        # A character's bytes, or those of the whole piece that NFKC changes it with.
        return replace(found, begins=whole.first[found.begins], stops=whole.last[found.stops - 1])

    def _tokenise(self, text: bytes, is_nfkc: bool) -> tuple[int, int]:
        data = np.frombuffer(text, np.uint8)
        while True:
            tok = self._tok
            outcome, n, _ = tokenise(
                data, 0, len(data), is_nfkc, tok.ascii_map, tok.tables, tok.text, tok.ends, *self._places
            )
            if outcome != NO_ROOM:
                return outcome, n
            self._tok = roomier(tok, len(data))
            self._places = self._room()

    def _found(self, n: int) -> Words:
        ends = self._tok.ends[:n].copy()
        text = self._tok.text[: int(ends[-1]) + 1 if n else 0].copy()
        return Words(text, ends, *(places[:n].copy() for places in self._places))
