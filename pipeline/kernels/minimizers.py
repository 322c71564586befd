"""The anchors of a text: the minimizer of each of its windows, and the run of windows that share it.

A window is `window` consecutive tokens. Its minimizer is, of the grams of `gram` consecutive
tokens in it, the one with the smallest hash, of equal ones the last. Equal windows have equal
minimizers at the same place, so a window can only occur twice where its minimizer does: that is
what makes anchors a filter without loss. (Schleimer, Wilkerson and Aiken, "Winnowing", 2003;
Roberts et al., "Reducing storage requirements for biological sequence comparison", 2004.)

An anchor is a run of consecutive windows with one minimizer, about one in (window - gram + 2) / 2
tokens. Its `context` hashes all tokens of these windows and the token (or the text's border)
on either side. Where all anchors of one gram have the same context, all their windows occur
equally often and continue alike, and need not be looked at one by one: measured on 445 MB of
Python source, 42 % of the repeated windows are settled so.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.hashing import mix64
from pipeline.kernels.jit import kernel
from pipeline.kernels.rolling import extended, powers, run_hash, token_hash

NO_ROOM = -1
# Of a gram's hash. That two grams share one in a trillion hashes costs time and changes no result:
# their anchors look unsettled.
GRAM_BITS = 40
_GRAM = np.uint64((1 << 64) - (1 << (64 - GRAM_BITS)))
_NONE = np.uint64(0xFFFFFFFFFFFFFFFF)


class Sampler(NamedTuple):
    """Parameters and scratch of `anchors`.

    Attributes:
        sizes: int64[2], tokens in a window (0: no anchors are wanted) and in a gram.
        powers: uint64[2 * window + 2], see `rolling.powers`.
        prefixes, grams: uint64[ring], scratch, rings that hold what one anchor can reach back to.
    """

    sizes: NDArray[np.int64]
    powers: NDArray[np.uint64]
    prefixes: NDArray[np.uint64]
    grams: NDArray[np.uint64]


class Anchors(NamedTuple):
    """Anchors back to back, in the order of the text.

    Attributes:
        gram: uint64, hash of the minimizer in the highest GRAM_BITS; the others are 0.
        context: uint64, hash of what stands there and beside it; an even number.
        windows: uint16, how many windows share the minimizer.
    """

    gram: NDArray[np.uint64]
    context: NDArray[np.uint64]
    windows: NDArray[np.uint16]


def sampler(window: int) -> Sampler:
    """The sampler of windows of so many tokens; the gram is half a window. 0: no anchors."""
    ring = 1 << (2 * window + 4).bit_length()
    scratch = np.zeros(ring, np.uint64), np.zeros(ring, np.uint64)
    return Sampler(np.array([window, (window + 1) // 2], np.int64), powers(2 * window + 1), *scratch)


def room(n: int) -> Anchors:
    """Room for n anchors."""
    return Anchors(np.empty(n, np.uint64), np.empty(n, np.uint64), np.empty(n, np.uint16))


def roomier(small: Anchors, filled: int) -> Anchors:
    """The same, so far filled, with twice the room."""
    larger = room(2 * len(small.gram))
    for name in Anchors._fields:
        getattr(larger, name)[:filled] = getattr(small, name)[:filled]
    return larger


@kernel
def _context(sampling: Sampler, first: int, last: int, n_tokens: int) -> np.uint64:
    # Of windows [first, last]: their tokens and one more on either side, where there is one.
    mask = len(sampling.prefixes) - 1
    begin = max(first - 1, 0)
    end = min(last + sampling.sizes[0] + 1, n_tokens)
    value = run_hash(
        sampling.prefixes[begin & mask], sampling.prefixes[end & mask], sampling.powers[end - begin]
    )
    borders = np.uint64(first == 0) << np.uint64(61) | np.uint64(
        end == last + sampling.sizes[0]
    ) << np.uint64(62)
    # The length is told apart from the value by a step of its own.
    value = mix64(np.uint64(mix64(np.uint64(value | borders)) + np.uint64(end - begin)))
    return np.uint64(value & np.uint64(0xFFFFFFFFFFFFFFFE))


@kernel
def anchors(
    text: NDArray[np.uint8],
    ends: NDArray[np.int64],
    n_tokens: int,
    sampling: Sampler,
    out: Anchors,
    filled: int,
) -> int:
    """The anchors of one tokenised text, behind `filled` others.

    Args:
        text, ends, n_tokens: as `tokens.tokenise` leaves them.
        sampling: see `Sampler`. out: anchors, out, from `filled` on.

    Returns:
        How far `out` is filled then, or NO_ROOM. A text shorter than a window has no anchors.

    Cost: linear; a window whose minimizer has just left it looks at its grams anew, which
    happens about twice in window - gram + 2 tokens.
    """
    window, gram = sampling.sizes[0], sampling.sizes[1]
    if n_tokens < window:
        return filled
    prefixes, grams = sampling.prefixes, sampling.grams
    mask, reach, power = len(prefixes) - 1, window - gram, sampling.powers[gram]
    prefix, begin = np.uint64(0), np.int64(0)
    prefixes[0] = prefix
    least, place = _NONE, np.int64(-1)  # the minimizer of the last window looked at, and where it is
    first = np.int64(0)  # the first window of the anchor
    for token in range(n_tokens):
        prefix = extended(prefix, token_hash(text, begin, ends[token]))
        begin = ends[token] + 1
        prefixes[(token + 1) & mask] = prefix
        at = token + 1 - gram
        if at < 0:
            continue
        value = run_hash(prefixes[at & mask], prefix, power)
        grams[at & mask] = value
        current = at - reach  # the window that ends with this token
        if current <= 0:
            if value <= least:
                least, place = value, at
            continue
        if value <= least:
            before, least, new = least, value, at
        elif place < current:
            before, least, new = least, grams[current & mask], current
            for other in range(current + 1, at + 1):
                if grams[other & mask] <= least:
                    least, new = grams[other & mask], other
        else:
            continue
        if filled >= len(out.gram):
            return NO_ROOM
        out.gram[filled] = mix64(before) & _GRAM
        out.context[filled] = _context(sampling, first, current - 1, n_tokens)
        out.windows[filled] = current - first
        filled += 1
        first, place = current, new
    if filled >= len(out.gram):
        return NO_ROOM
    out.gram[filled] = mix64(least) & _GRAM
    out.context[filled] = _context(sampling, first, n_tokens - window, n_tokens)
    out.windows[filled] = n_tokens - window + 1 - first
    return filled + 1
