"""Cut texts into passages: maximal unbranching paths of repeated windows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.hashing import mix64, xxh3_128
from pipeline.kernels.jit import kernel
from pipeline.kernels.predictable import predictable
from pipeline.kernels.scan import Tokeniser
from pipeline.kernels.tokens import TOKENISED, tokenise
from pipeline.kernels.windows import Places, Runs, Stretches

ENOUGH, MORE_TOKENS, MORE_SPANS = 0, 1, 2  # what `cut` needs
REPEATED, LEFT_ALIKE, RIGHT_ALIKE = 4, 2, 1  # what is known of a window, as bits
ALL_KNOWN = 7


class Spans(NamedTuple):
    """Places of passages, in the order of the texts.

    Attributes:
        stretch: int64, the stretch it lies in.
        token, tokens: int64, number in the text of its first token; how many it has.
        begin, end: int64, byte range in what was read.
        passage: uint64, low half of XXH3-128 of its normalised text.
        predictable: bool, see `kernels.predictable`.
    """

    stretch: NDArray[np.int64]
    token: NDArray[np.int64]
    tokens: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    passage: NDArray[np.uint64]
    predictable: NDArray[np.bool_]


class Memory(NamedTuple):
    """Of each slot, the passage that begins with its window, once it has been met. A path cannot
    branch, so its first window says what it is; most passages are met many times.

    Attributes:
        passage: uint64[slots], 0: not met yet. predictable: bool[slots].
    """

    passage: NDArray[np.uint64]
    predictable: NDArray[np.bool_]


def memory(slots: int) -> Memory:
    """An empty memory."""
    return Memory(np.zeros(slots, np.uint64), np.zeros(slots, np.bool_))


def spans(n: int) -> Spans:
    """Room for n spans."""
    kinds = (*(np.int64,) * 5, np.uint64, np.bool_)
    return Spans._make(np.empty(n, kind) for kind in kinds)


def roomier(small: Spans, filled: int) -> Spans:
    """The same, so far filled, with twice the room."""
    larger = spans(2 * len(small.stretch))
    for name in Spans._fields:
        getattr(larger, name)[:filled] = getattr(small, name)[:filled]
    return larger


@kernel
def _name(
    begin: int, n_tokens: int, slot: int, most_period: int, tok: Tokeniser, known: Memory
) -> tuple[np.uint64, bool]:
    # What the passage of tokens begin, ..., begin + n_tokens - 1 is called; whether it is predictable.
    if slot >= 0 and known.passage[slot]:
        return known.passage[slot], known.predictable[slot]
    start = tok.ends[begin - 1] + 1 if begin else 0
    low, _ = xxh3_128(tok.text, start, tok.ends[begin + n_tokens - 1], tok.lanes)
    dull = predictable(tok.text, tok.ends, begin, n_tokens, most_period)
    if slot >= 0:
        known.passage[slot], known.predictable[slot] = low, dull
    return low, dull


@kernel
def cut(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    first: int,
    window: int,
    most_period: int,
    runs: Runs,
    stretches: Stretches,
    flags: NDArray[np.uint8],
    tok: Tokeniser,
    place: Places,
    known: Memory,
    out: Spans,
    filled: int,
) -> tuple[int, int, int]:
    """Cut stretches first, first + 1, ... into passages.

    Two windows in a row are one path if both are repeated, the first continues alike wherever it
    stands, and so does the second to the left.

    Args:
        data, offsets: the stretches' own bytes. window: tokens in a window.
        most_period: see `predictable.predictable`.
        runs: the anchors. stretches: `first`, `stop`, `window`, `token` are read.
        flags: uint8[slots], what is known of the windows that were looked at one by one.
        tok, place, known: tables and scratch. out: spans, out, from `filled` on.

    Returns:
        (the stretch that found no room, or n; how far `out` is filled by those before it; room for
        what it needs more of).

    Cost: linear. A stretch begins at a token that shares no character with the one before it, so
    its tokens, but for what may follow its last anchor, are those of the text.
    """
    for s in range(first, len(offsets) - 1):
        outcome, _, _ = tokenise(
            data, offsets[s], offsets[s + 1], True, tok.ascii_map, tok.tables, tok.text, tok.ends,
            place.begins, place.stops,
        )  # fmt: skip
        if outcome != TOKENISED:
            return s, filled, MORE_TOKENS
        begun = filled
        skipped = stretches.window[s] - stretches.token[s]
        at, start, start_slot, before = np.int64(0), np.int64(-1), np.int64(-1), np.int64(0)
        # One step beyond the last anchor closes the last path.
        for a in range(stretches.first[s], stretches.stop[s] + 1):
            beyond = a == stretches.stop[s]
            kind, slot = (0, np.int64(-1)) if beyond else (np.int64(runs.kind[a]), runs.slot[a])
            count = np.int64(1) if beyond else np.int64(runs.windows[a])
            # Inside an anchor that is settled, or does not repeat, nothing can begin or end.
            for i in range(count if slot >= 0 else 1):
                state = np.int64(flags[slot + i]) if slot >= 0 else ALL_KNOWN if kind else 0
                repeated = state & REPEATED != 0
                joined = repeated and before & RIGHT_ALIKE and state & LEFT_ALIKE
                if start >= 0 and not joined:
                    if filled >= len(out.stretch):
                        return s, begun, MORE_SPANS
                    begin, n_tokens = start + skipped, at + i - start + window - 1
                    passage, dull = _name(begin, n_tokens, start_slot, most_period, tok, known)
                    out.stretch[filled] = s
                    out.token[filled] = stretches.token[s] + begin
                    out.tokens[filled] = n_tokens
                    out.begin[filled] = place.begins[begin]
                    out.end[filled] = place.stops[begin + n_tokens - 1]
                    out.passage[filled] = passage
                    out.predictable[filled] = dull
                    filled += 1
                    start = np.int64(-1)
                if repeated and start < 0:
                    start, start_slot = at + i, slot + i if slot >= 0 else np.int64(-1)
                before = state
            at += count
    return len(offsets) - 1, filled, ENOUGH


@kernel
def sign(ends: NDArray[np.int64], runs: Runs, flags: NDArray[np.uint8], out: NDArray[np.uint64]) -> None:
    """Of each text, a hash of all that decides how `cut` cuts it: two hashes of one text agree if
    what is known of each of its windows is the same.

    Args:
        ends: int64[texts + 1], boundaries of the texts' anchors in `runs`.
        runs: `kind`, `windows`, `slot` are read. flags: see `cut`.
        out: uint64[texts], out.

    Cost: linear. An anchor without slots counts like one whose windows are all judged alike, to which
    `cut` does the same.
    """
    for text in range(len(ends) - 1):
        value = np.uint64(0)
        for a in range(ends[text], ends[text + 1]):
            slot, state = runs.slot[a], np.uint64(ALL_KNOWN if runs.kind[a] else 0)
            if slot >= 0:
                state = np.uint64(flags[slot])
                alike = state == np.uint64(ALL_KNOWN) or state == np.uint64(0)
                for i in range(1, runs.windows[a]):
                    alike = alike and np.uint64(flags[slot + i]) == state
                if not alike:
                    state = np.uint64(0)
                    for i in range(runs.windows[a]):
                        state = mix64(np.uint64(state ^ np.uint64(flags[slot + i] + 8)))
            value = mix64(np.uint64(value ^ state))
        out[text] = value
