"""Shingle sets of texts, and how many shingles two of them share.

Shingles are named by XXH64 here and not by the XXH32 of the signatures: among a million texts
of one shingle each, 32 bits let about 116 unequal pairs look equal, and a "verified" pair may
not be one of those. With 64 bits a comparison is wrong with a probability around 1e-12 even
for two texts of a million words.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.hashing import xxh3_128, xxh64
from pipeline.kernels.jit import kernel
from pipeline.kernels.scan import Tokeniser
from pipeline.kernels.tokens import NO_ROOM, TOKENISED, tokenise

_FREE = np.uint64(0)


@kernel
def insert(table: NDArray[np.uint64], mask: int, value: np.uint64) -> bool:
    """Put a value other than 0 into an open-addressing table; False if it was there.

    `table` is uint64[mask + 1], a power of two with at least one free (0) slot.
    """
    slot = np.int64(value) & mask
    while table[slot] != _FREE:
        if table[slot] == value:
            return False
        slot = (slot + 1) & mask
    table[slot] = value
    return True


@kernel
def table_mask(n: int) -> int:
    """Mask of the smallest power-of-two table that n values fill at most half."""
    size = 2
    while size < 2 * n:
        size *= 2
    return size - 1


@kernel
def shingle_set(
    data: NDArray[np.uint8],
    start: int,
    stop: int,
    is_nfkc: bool,
    width: int,
    tok: Tokeniser,
    table: NDArray[np.uint64],
    out: NDArray[np.uint64],
) -> tuple[int, int, np.uint64]:
    """The distinct shingles of one text, in order of first occurrence.

    Args:
        data, start, stop, is_nfkc, tok: see `tokens.tokenise`.
        width: tokens in a shingle; a shorter text is one shingle.
        table: uint64, scratch, at least `table_mask(shingles) + 1` long.
        out: uint64, out: XXH64 of each distinct shingle (0 is written as 1).

    Returns:
        (outcome of the tokeniser, number of distinct shingles, low half of the normalised
        text's XXH3-128). NO_ROOM with a number when `table` or `out` is too small for that many
        shingles, with 0 when it was the tokeniser's.
    """
    outcome, n_tokens, _ = tokenise(
        data, start, stop, is_nfkc, tok.ascii_map, tok.tables, tok.text, tok.ends, None, None
    )
    if outcome != TOKENISED or n_tokens == 0:
        return outcome, 0, _FREE
    n_shingles = max(n_tokens - width + 1, 1)
    mask = table_mask(n_shingles)
    if mask >= len(table) or n_shingles > len(out):
        return NO_ROOM, n_shingles, _FREE
    table[: mask + 1] = _FREE
    count = 0
    for i in range(n_shingles):
        begin = tok.ends[i - 1] + 1 if i else 0
        value = max(xxh64(tok.text, begin, tok.ends[min(i + width, n_tokens) - 1]), np.uint64(1))
        if insert(table, mask, value):
            out[count] = value
            count += 1
    low, _ = xxh3_128(tok.text, 0, tok.ends[n_tokens - 1], tok.lanes)
    return TOKENISED, count, low


@kernel
def shingle_sets(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    first: int,
    is_nfkc: bool,
    width: int,
    tok: Tokeniser,
    table: NDArray[np.uint64],
    values: NDArray[np.uint64],
    filled: int,
    counts: NDArray[np.int64],
    text_ids: NDArray[np.uint64],
    outcomes: NDArray[np.int64],
) -> tuple[int, int]:
    """The shingle sets of texts first, first + 1, ..., one behind the other.

    Args:
        data, offsets: as for `scan`. first, is_nfkc, width, tok, table: as for `shingle_set`.
        values: uint64, out, from `filled` on.
        counts, text_ids, outcomes: int64[n], uint64[n], int64[n], out, what `shingle_set` returns.

    Returns:
        (the text that found no room, or n; how far `values` is filled).
    """
    for d in range(first, len(offsets) - 1):
        outcomes[d], counts[d], text_ids[d] = shingle_set(
            data, offsets[d], offsets[d + 1], is_nfkc, width, tok, table, values[filled:]
        )
        if outcomes[d] == NO_ROOM:
            return d, filled
        filled += counts[d]
    return len(offsets) - 1, filled


@kernel
def shared_counts(
    values: NDArray[np.uint64],
    offsets: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    floor: float,
    table: NDArray[np.uint64],
    shared: NDArray[np.int64],
) -> None:
    """How many values each pair of sets has in common.

    Args:
        values: uint64, the sets back to back; offsets: int64[sets + 1], their boundaries.
        left, right: int64[pairs], numbers of sets; equal `left` stand together.
        floor: pairs whose sizes alone put their Jaccard below it get -1 and are not compared.
        table: uint64, scratch, at least `table_mask(largest left set) + 1` long.
        shared: int64[pairs], out.

    Cost: one table build a run of equal `left`, one look-up a value of `right`.
    """
    current, mask = np.int64(-1), np.int64(0)
    for p in range(len(left)):
        n_left = offsets[left[p] + 1] - offsets[left[p]]
        n_right = offsets[right[p] + 1] - offsets[right[p]]
        fewer, more = min(n_left, n_right), max(n_left, n_right)
        # Divided as the Jaccard will be: 0.55 * 100 is more than 55, and 55 of 100 is not below 0.55.
        if more and fewer / more < floor:
            shared[p] = -1
            continue
        if left[p] != current:
            current, mask = left[p], table_mask(n_left)
            table[: mask + 1] = _FREE
            for i in range(offsets[current], offsets[current + 1]):
                insert(table, mask, values[i])
        count = 0
        for i in range(offsets[right[p]], offsets[right[p] + 1]):
            value = values[i]
            slot = np.int64(value) & mask
            while table[slot] != _FREE and table[slot] != value:
                slot = (slot + 1) & mask
            count += np.int64(table[slot] == value)
        shared[p] = count
