"""Whether a passage can be foretold from its own beginning.

Problem: some passages repeat although nobody had to memorize them. One token over and over, a
short cycle, a counter, a template in which only a counter changes: whoever saw three rounds can
write the rest. They are found in every corpus, often at the very top of its most repeated
passages, and would drown what a model can only know by heart.

Rule: a token is a stem, which is all of it but the ASCII decimal digits at its end, and a number,
which those digits are if there are 1 to 18 of them. Without digits there is no number; more than
18 fit no int64 and are stem too. A passage is predictable if for some period p of at most
`most_period`

- every token from the p-th on repeats the token p places before: it is equal, or both have
  numbers and the same stem;
- and what it adds to that token's number is one step for all tokens whose places are equal
  modulo p, an equal token adding 0.

Numbers are compared as numbers: `007 008 009`, `9 10 11` and `1 01 001` count by 1, 1 and 0.
Steps may be negative. The first round is free.

Limits: counters in hexadecimal, in letters or of factors are not recognised, nor is one of which
only the middle counts (`a1b a2b a3b`). A table of random numbers is not predictable, and rightly
so. A cycle of more than MOST_PERIOD tokens counts as text: a verse with a refrain is one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.jit import kernel

MOST_PERIOD = 8  # tokens: a line of a log or of a table of constants, not a sentence
ROUNDS = 3  # in which a cycle must be seen: of two, any two numbers are a counter
_MOST_DIGITS = 18  # 10**18 and its negative fit an int64
_ZERO, _NINE = 48, 57
_NO_STEP = -(1 << 62)  # beyond any difference of two numbers of that many digits


def most_period(min_tokens: int) -> int:
    """The longest period, in tokens, that a passage of `min_tokens` shows three times."""
    return min(MOST_PERIOD, min_tokens // ROUNDS)


@kernel
def _stem_end(text: NDArray[np.uint8], start: int, stop: int) -> int:
    # Where the number of the token in bytes [start, stop) begins; `stop` if it has none.
    at = stop
    while at > start and _ZERO <= text[at - 1] <= _NINE:
        at -= 1
    return at if stop - at <= _MOST_DIGITS else stop


@kernel
def _number(text: NDArray[np.uint8], start: int, stop: int) -> int:
    value = np.int64(0)
    for at in range(start, stop):
        value = value * 10 + np.int64(text[at]) - _ZERO
    return value


@kernel
def _equal(text: NDArray[np.uint8], one: int, two: int, length: int) -> bool:
    same = 0
    while same < length and text[one + same] == text[two + same]:
        same += 1
    return same == length


@kernel
def _step(text: NDArray[np.uint8], one: int, one_stop: int, two: int, two_stop: int) -> int:
    # What the second token adds to the first; _NO_STEP if it neither repeats nor counts on.
    length = one_stop - one
    if length == two_stop - two and _equal(text, one, two, length):
        return 0
    one_end, two_end = _stem_end(text, one, one_stop), _stem_end(text, two, two_stop)
    if one_end == one_stop or two_end == two_stop or one_end - one != two_end - two:
        return _NO_STEP
    if not _equal(text, one, two, one_end - one):
        return _NO_STEP
    return _number(text, two_end, two_stop) - _number(text, one_end, one_stop)


@kernel
def _has_period(
    text: NDArray[np.uint8],
    ends: NDArray[np.int64],
    first: int,
    stop: int,
    period: int,
    steps: NDArray[np.int64],
) -> bool:
    # Tokens first + period, ..., stop - 1 each against the one a period before.
    for i in range(first + period, stop):
        before = i - period
        start = ends[before - 1] + 1 if before else 0
        step = _step(text, start, ends[before], ends[i - 1] + 1, ends[i])
        place = (i - first) % period
        if i - first < 2 * period:
            steps[place] = step
        if step == _NO_STEP or step != steps[place]:
            return False
    return True


@kernel
def predictable(
    text: NDArray[np.uint8], ends: NDArray[np.int64], first: int, n_tokens: int, most_period: int
) -> bool:
    """Whether a passage is a short cycle in which at most numbers change, by constant steps.

    Args:
        text: uint8, normalised text: tokens separated by one byte each.
        ends: int64, for each token of the text the byte after its last, ascending. Token 0
            begins at byte 0, token i at ends[i - 1] + 1.
        first, n_tokens: the passage is the tokens first, ..., first + n_tokens - 1.
        most_period: the longest period tried, in tokens, see the function of that name; 0 for none.

    Returns:
        True if some period from 1 to most_period holds throughout. A passage of no more tokens
        than most_period is a cycle without a second round, so it is True.

    Cost: a period is given up at its first mismatch, so in practice a few tokens each; at the
    most `most_period` times linear. Memory: `most_period` numbers.
    """
    steps = np.empty(most_period, np.int64)
    for period in range(1, most_period + 1):
        if _has_period(text, ends, first, first + n_tokens, period, steps):
            return True
    return False
