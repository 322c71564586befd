r"""Word 5-grams as a plain Python script makes them, from ``re.findall(r"\w+", text.lower())``."""

from __future__ import annotations

import re

WORDS_PER_SHINGLE = 5
_WORD = re.compile(r"\w+")


def word_shingles(text: str) -> list[str]:
    """Return the word 5-grams of a text, with repeats.

    A text of 1 to 4 words is one shingle; a text without words has none.
    """
    words = _WORD.findall(text.lower())
    if len(words) < WORDS_PER_SHINGLE:
        return [" ".join(words)] if words else []
    return [" ".join(words[i : i + WORDS_PER_SHINGLE]) for i in range(len(words) - WORDS_PER_SHINGLE + 1)]
