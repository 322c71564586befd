"""The windows of anchors about which their contexts do not say enough, hashed one by one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.hashing import mix64, xxh3_128
from pipeline.kernels.jit import kernel
from pipeline.kernels.minimizers import Sampler
from pipeline.kernels.rolling import extended, run_hash, token_hash
from pipeline.kernels.scan import Tokeniser
from pipeline.kernels.tokens import NO_ROOM, TOKENISED, tokenise

CHANGED = 4  # beside the tokeniser's outcomes: the text has another hash than it had
_BORDER = np.uint64(0xFFFFFFFFFFFFFFFF)  # no token hash: they have 61 bits
_MANY = np.uint64(1)


class Places(NamedTuple):
    """Scratch: where each token stands in the text as it was given.

    Attributes:
        begins, stops: int64, see `tokens.tokenise`.
    """

    begins: NDArray[np.int64]
    stops: NDArray[np.int64]


class Runs(NamedTuple):
    """Anchors of texts, back to back, with what is known of them.

    Attributes:
        kind: uint8, see `stages.survivors`.
        windows: uint16, how many windows the anchor has.
        slot: int64, where its windows begin among those looked at one by one; -1 if they are not.
        emits: bool, whether it is the first with that slot, and so the one to be looked at.
    """

    kind: NDArray[np.uint8]
    windows: NDArray[np.uint16]
    slot: NDArray[np.int64]
    emits: NDArray[np.bool_]


class Stretches(NamedTuple):
    """Parts of texts that hold repeated windows; parts of one text do not overlap.

    Attributes:
        text: int64, number of the text.
        first, stop: int64, its anchors are [first, stop) of `Runs`.
        window: int64, number in the text of its first window.
        token: int64, out: number in the text of the first token read again, at most `window`.
        begin, end: int64, out: byte range in the text.
    """

    text: NDArray[np.int64]
    first: NDArray[np.int64]
    stop: NDArray[np.int64]
    window: NDArray[np.int64]
    token: NDArray[np.int64]
    begin: NDArray[np.int64]
    end: NDArray[np.int64]


def places(tok: Tokeniser) -> Places:
    """Scratch for as many tokens as a tokeniser has room for."""
    return Places(np.empty(len(tok.ends), np.int64), np.empty(len(tok.ends), np.int64))


def stretches(n: int) -> Stretches:
    """Room for n stretches."""
    return Stretches._make(np.zeros(n, np.int64) for _ in Stretches._fields)


@kernel
def plan_stretches(offsets: NDArray[np.int64], runs: Runs, window: int, out: Stretches) -> int:
    """Cut texts into stretches: a gap of a window's length without a survivor parts two.

    Args:
        offsets: int64[texts + 1], boundaries of the texts' anchors in `runs`.
        out: at least as many as anchors; `text`, `first`, `stop`, `window` are filled.

    Returns:
        The number of stretches. Cost: linear.
    """
    count = 0
    for text in range(len(offsets) - 1):
        place, gap = np.int64(0), np.int64(-1)  # -1: no stretch is open
        for a in range(offsets[text], offsets[text + 1]):
            if runs.kind[a]:
                if gap < 0 or gap >= window:
                    out.text[count], out.first[count], out.window[count] = text, a, place
                    count += 1
                out.stop[count - 1], gap = a + 1, 0
            elif gap >= 0:
                gap += runs.windows[a]
            place += runs.windows[a]
    return count


@kernel
def _emit(
    text: NDArray[np.uint8],
    ends: NDArray[np.int64],
    n_tokens: int,
    first: int,
    count: int,
    many: np.uint64,
    sampling: Sampler,
    hashes: NDArray[np.uint64],
    beside: NDArray[np.uint64],
) -> None:
    # Windows first, ..., first + count - 1 of a tokenised text.
    window, prefixes = sampling.sizes[0], sampling.prefixes
    power = sampling.powers[window]
    prefix = np.uint64(0)
    prefixes[0] = prefix
    for i in range(count + window - 1):
        at = first + i
        prefix = extended(prefix, token_hash(text, ends[at - 1] + 1 if at else 0, ends[at]))
        prefixes[i + 1] = prefix
    for i in range(count):
        at = first + i
        value = mix64(run_hash(prefixes[i], prefixes[i + window], power))
        left, right = _BORDER, _BORDER
        if at > 0:
            left = token_hash(text, ends[at - 2] + 1 if at > 1 else 0, ends[at - 1])
        if at + window < n_tokens:
            right = token_hash(text, ends[at + window - 1] + 1, ends[at + window])
        hashes[i] = value
        left_half = mix64(np.uint64(left ^ value)) & np.uint64(0xFFFFFFFF00000000)
        right_half = (mix64(np.uint64(right ^ value)) >> np.uint64(32)) & np.uint64(0xFFFFFFFE)
        beside[i] = np.uint64(left_half | right_half | many)


@kernel
def read_windows(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    first: int,
    is_nfkc: bool,
    text_ids: NDArray[np.uint64],
    anchors: NDArray[np.int64],
    several: int,
    runs: Runs,
    cuts: NDArray[np.int64],
    out: Stretches,
    sampling: Sampler,
    tok: Tokeniser,
    place: Places,
    hashes: NDArray[np.uint64],
    beside: NDArray[np.uint64],
    outcomes: NDArray[np.int64],
) -> int:
    """Find the bytes of texts' stretches, and hash the windows that are to be looked at.

    Args:
        data: uint8; starts, ends: int64[n], byte ranges of the texts in it.
        first, is_nfkc, tok: see `scan.scan`. place: scratch.
        text_ids: uint64[n], the hashes the texts must have.
        anchors: int64[n + 1], boundaries of their anchors in `runs`.
        several: the kind of an anchor whose windows are known to occur twice.
        cuts: int64[n + 1], boundaries of their stretches in `out`, which gets tokens and bytes.
        hashes: uint64[slots], out: hash of each window. beside: uint64[slots], out: the tokens
            beside it, 32 bits of a hash of the left, 31 of the right one, and whether it is known
            to occur twice. Two unequal neighbours of a window look equal once in 2**31 cases.
        outcomes: int64[n], out, the tokeniser's or CHANGED.

    Returns:
        n, or the text that found no room. Cost: linear; a window is hashed from two prefixes.
    """
    window = sampling.sizes[0]
    for d in range(first, len(starts)):
        outcome, n_tokens, _ = tokenise(
            data, starts[d], ends[d], is_nfkc, tok.ascii_map, tok.tables, tok.text, tok.ends,
            place.begins, place.stops,
        )  # fmt: skip
        outcomes[d] = outcome
        if outcome == NO_ROOM:
            return d
        if outcome != TOKENISED:
            continue
        total, most = np.int64(0), np.int64(0)
        for a in range(anchors[d], anchors[d + 1]):
            total += runs.windows[a]
            most = max(most, np.int64(runs.windows[a]))
        low, _ = xxh3_128(tok.text, 0, tok.ends[n_tokens - 1] if n_tokens else 0, tok.lanes)
        # No anchor has more windows than reach to its gram, for which the sampler has room.
        longest = window - sampling.sizes[1] + 1
        if low != text_ids[d] or total != n_tokens - window + 1 or most > longest:
            outcomes[d] = CHANGED
            continue
        at = np.int64(0)
        for a in range(anchors[d], anchors[d + 1]):
            if runs.emits[a]:
                slot, count = runs.slot[a], np.int64(runs.windows[a])
                many = _MANY if runs.kind[a] == several else np.uint64(0)
                _emit(
                    tok.text, tok.ends, n_tokens, at, count, many, sampling,
                    hashes[slot : slot + count], beside[slot : slot + count],
                )  # fmt: skip
            at += runs.windows[a]
        for c in range(cuts[d], cuts[d + 1]):
            token = out.window[c]
            # A token that shares a character with the one before it cannot be read again without it.
            while token > 0 and place.stops[token - 1] > place.begins[token]:
                token -= 1
            last = out.window[c] + window - 2
            for a in range(out.first[c], out.stop[c]):
                last += runs.windows[a]
            out.token[c], out.begin[c], out.end[c] = token, place.begins[token], place.stops[last]
    return len(starts)


@kernel
def copy_ranges(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """Copy byte ranges of `data` one behind the other into `out`, which is as long as all of them."""
    at = np.int64(0)
    for i in range(len(begins)):
        length = ends[i] - begins[i]
        out[at : at + length] = data[begins[i] : ends[i]]
        at += length
