"""What must hold of every exported prompt, checked against the texts of the corpus alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.normalise import normalised, token_places, tokens
from pipeline.prompts import Prompts
from tests.passage_tables import BINS, bin_of

Line = dict[str, Any]
FIELDS = [
    "prompt_id",
    "prefix",
    "suffix",
    "tokenizer",
    "prefix_ids",
    "suffix_ids",
    "predictable",
    "count",
    "bin",
    "exposures",
    "control",
    "passage_id",
    "places",
    "n_places",
]


def lines_of(prompts: Prompts) -> list[Line]:
    """The prompts as a reader of JSON Lines gets them, whatever it takes for the end of a line."""
    text = "".join(prompts.lines)
    assert text.isascii()
    assert text.endswith("\n") or not text
    return [json.loads(line) for line in text.splitlines()]


@dataclass(frozen=True)
class Corpus:
    """The texts of a corpus, by the row of its one file."""

    texts: Sequence[str]

    @cached_property
    def words(self) -> list[str]:
        """The normalised texts, a space on either side of each word."""
        return [f" {normalised(text)} " for text in self.texts]

    def places(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        """Every row and number of a word at which a run of words begins."""
        wanted = f" {' '.join(words)} "
        for row, text in enumerate(self.words):
            at = text.find(wanted)
            while at >= 0:
                yield row, text[: at + 1].count(" ") - 1
                at = text.find(wanted, at + 1)

    def count(self, words: Sequence[str]) -> int:
        """How often a run of words occurs."""
        return sum(1 for _ in self.places(words))

    def whole_words(self, row: int, begin: int, end: int) -> list[str]:
        """The words of a text that lie in some of its bytes as a whole."""
        return [word for word, first, stop in token_places(self.texts[row]) if begin <= first and stop <= end]

    def bytes_of(self, row: int, first: int, n_words: int) -> tuple[int, int]:
        """The bytes of a run of words of a text."""
        places = token_places(self.texts[row])[first : first + n_words]
        return places[0][1], places[-1][2]

    def check(self, line: Line, window: int) -> None:
        """A prompt that stands in the corpus is what it says."""
        assert list(line) == FIELDS
        first = line["places"][0]
        begin, end = first["byte_start"], first["byte_end"]
        stands = self.texts[first["row"]].encode()[begin:end].decode()
        assert stands == line["prefix"] + line["suffix"]
        middle = begin + len(line["prefix"].encode())
        prefix = self.whole_words(first["row"], begin, middle)
        both = self.whole_words(first["row"], begin, end)
        assert len(prefix) >= window
        assert line["count"] == line["n_places"] == self.count(both)
        # Wherever the prefix stands, it goes on with the suffix.
        assert self.count(prefix) == self.count(both)
        assert line["bin"] == BINS[bin_of(line["count"])]
        assert (line["control"], line["passage_id"] is None) == (None, line["count"] == 1)
        if line["tokenizer"] == "words":
            self._check_words(line, both)

    def _check_words(self, line: Line, both: list[str]) -> None:
        assert both == tokens(line["prefix"] + line["suffix"])
        assert [len(tokens(line[name])) for name in ("prefix", "suffix")] == [50, 50]
        assert both == tokens(line["prefix"]) + tokens(line["suffix"])
        assert line["prefix_ids"] is line["suffix_ids"] is None
        expected = [(row, *self.bytes_of(row, word, 100)) for row, word in self.places(both)]
        places = [(place["row"], place["byte_start"], place["byte_end"]) for place in line["places"]]
        assert places == expected[:10]

    def check_control(self, line: Line, window: int) -> None:
        """A control stands nowhere."""
        assert list(line) == FIELDS
        assert (line["count"], line["bin"], line["exposures"], line["n_places"]) == (0, "0", 0, 0)
        assert (line["places"], line["passage_id"]) == ([], None)
        words = tokens(line["prefix"] + line["suffix"])
        if line["tokenizer"] != "words":
            words = words[1:-1]  # they may have been cut
        if line["control"] == "held-out":
            for i in range(len(words) - window + 1):
                assert not self.count(words[i : i + window])
        else:
            assert line["control"] == "spliced"
            assert not self.count(words)

    def check_all(self, lines: Sequence[Line], window: int = 25) -> None:
        """Every line is what it says, and none is there twice."""
        for line in lines:
            if line["control"] is None:
                self.check(line, window)
            else:
                self.check_control(line, window)
        assert len({line["prompt_id"] for line in lines}) == len(lines)
