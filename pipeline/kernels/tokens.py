"""The tokeniser: UTF-8 in, normalised UTF-8 and the places of its tokens out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.char_tables import (
    BOUNDARY,
    CLASS_SHIFT,
    COMPOSES,
    EXPANDS,
    MAPPED,
    STABLE,
    UNSPACED,
    WORD,
    CharTables,
)
from pipeline.kernels.jit import kernel, load64

TOKENISED, INVALID_UTF8, NEEDS_NFKC, NO_ROOM = 0, 1, 2, 3
# The most bytes and token ends one step of the loop below writes: the longest expansion is 18
# characters, and each may be written with a space on either side.
HEADROOM = 128

_SPACE = np.uint8(0x20)
_NOT_ASCII = np.uint64(0x8080808080808080)
_EACH_BYTE = np.uint64(0x0101010101010101)
_ASCII = 0x80


@kernel
def _ascii_run(data: NDArray[np.uint8], at: int, stop: int) -> int:
    # How many of the next eight bytes, up to the first that is not ASCII, are ASCII.
    if at + 8 > stop:
        return np.int64(data[at] < _ASCII)
    high = load64(data, at) & _NOT_ASCII
    if high == np.uint64(0):
        return 8
    # Below the lowest of these bits lie whole bytes of ones and one byte less its high bit.
    below = np.uint64((high & (~high + np.uint64(1))) - np.uint64(1))
    return np.int64(np.uint64((below & _EACH_BYTE) * _EACH_BYTE) >> np.uint64(56)) - 1


@kernel
def decode(data: NDArray[np.uint8], at: int, stop: int) -> tuple[int, int]:
    """The code point at byte `at`, which is not ASCII, and its length in bytes; length 0 if invalid.

    Accepts what RFC 3629 does: no overlong forms, no surrogates, nothing above U+10FFFF.
    """
    first = np.int64(data[at])
    length = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
    if first < 0xC2 or first > 0xF4 or at + length > stop:
        return 0, 0
    if length == 2:  # most of what is not ASCII in Latin, Greek, Cyrillic, Hebrew and Arabic texts
        second = np.int64(data[at + 1])
        return ((first & 0x1F) << 6 | (second & 0x3F), 2) if second & 0xC0 == 0x80 else (0, 0)
    point = first & (0x7F >> length)
    for i in range(1, length):
        following = np.int64(data[at + i])
        if following & 0xC0 != 0x80:
            return 0, 0
        point = point << 6 | (following & 0x3F)
    overlong_or_surrogate = point < 0x800 or 0xD800 <= point < 0xE000
    if overlong_or_surrogate or (length == 4 and (point < 0x10000 or point > 0x10FFFF)):
        return 0, 0
    return point, length


@kernel
def encode(point: int, out: NDArray[np.uint8], at: int) -> int:
    """Write a code point as UTF-8 at byte `at` and return the byte after it."""
    if point < 0x80:
        out[at] = np.uint8(point)
        return at + 1
    if point < 0x800:
        out[at] = np.uint8(0xC0 | point >> 6)
        out[at + 1] = np.uint8(0x80 | point & 0x3F)
        return at + 2
    if point < 0x10000:
        out[at] = np.uint8(0xE0 | point >> 12)
        out[at + 1] = np.uint8(0x80 | (point >> 6) & 0x3F)
        out[at + 2] = np.uint8(0x80 | point & 0x3F)
        return at + 3
    out[at] = np.uint8(0xF0 | point >> 18)
    out[at + 1] = np.uint8(0x80 | (point >> 12) & 0x3F)
    out[at + 2] = np.uint8(0x80 | (point >> 6) & 0x3F)
    out[at + 3] = np.uint8(0x80 | point & 0x3F)
    return at + 4


@kernel
def _write(
    kind: int, point: int, in_word: int, o: int, t: int, out: NDArray[np.uint8], ends: NDArray[np.int64]
) -> tuple[int, int, int]:
    # One mapped character: (in_word, bytes written, tokens ended) after it.
    if kind == WORD:
        return 1, encode(point, out, o), t
    if in_word:
        ends[t] = o
        out[o] = _SPACE
        o += 1
        t += 1
    if kind == UNSPACED:
        o = encode(point, out, o)
        ends[t] = o
        out[o] = _SPACE
        o += 1
        t += 1
    return 0, o, t


@kernel
def _merges(starter: int, point: int, partners: NDArray[np.int64]) -> bool:
    # Whether `point` may compose with the last starter before it.
    pair = starter << 21 | point
    low, high = 0, len(partners)
    while low < high:
        middle = (low + high) >> 1
        if partners[middle] < pair:
            low = middle + 1
        else:
            high = middle
    return low < len(partners) and partners[low] == pair


# Numba compiles nothing for a branch on an argument that is None.
@kernel
def _room(ends: NDArray[np.int64], begins: NDArray[np.int64] | None, stops: NDArray[np.int64] | None) -> int:
    # How many tokens they have room for.
    room = len(ends)
    if begins is not None:
        room = min(room, len(begins))
    if stops is not None:
        room = min(room, len(stops))
    return room


@kernel
def _put(places: NDArray[np.int64] | None, token: int, place: int) -> None:
    if places is not None:
        places[token] = place


@kernel
def tokenise(
    data: NDArray[np.uint8],
    start: int,
    stop: int,
    is_nfkc: bool,
    ascii_map: NDArray[np.uint8],
    tables: CharTables,
    out: NDArray[np.uint8],
    ends: NDArray[np.int64],
    begins: NDArray[np.int64] | None,
    stops: NDArray[np.int64] | None,
) -> tuple[int, int, int]:
    """Normalise and tokenise one text.

    Args:
        data: uint8, UTF-8 (unchecked); bytes [start, stop) are the text.
        is_nfkc: the text went through `unicodedata.normalize("NFKC", ...)` already.
        ascii_map: uint8[128], lower case of a word character, 0 for a separator.
        tables: see `char_tables`.
        out: uint8, out: the tokens, a space after each (`out[:ends[-1]]` is the normalised text).
        ends: int64, out: for each token the byte after its last in `out`.
        begins, stops: int64, out, as long as `ends`: for each token the first byte in the text of
            the first character that it is made from, and the byte after the last such character's
            last; or None. A character that becomes several tokens lends each its whole range.

    Returns:
        (TOKENISED, tokens, 0); (INVALID_UTF8, 0, byte offset in the text); (NEEDS_NFKC, 0, 0)
        when the text has to be composed first; (NO_ROOM, 0, 0) when an array is too small.

    Cost: linear. References: `pipeline.normalise.tokens` and `token_places`.
    """
    room = _room(ends, begins, stops)
    at, o, t, in_word = start, 0, 0, 0
    stretch_is_stable, last_class, starter = True, 0, np.int64(0)
    while at < stop:
        if o >= len(out) - HEADROOM or t >= room - HEADROOM:
            return NO_ROOM, 0, 0
        run = _ascii_run(data, at, stop)
        if run:
            # Without a branch per byte: every byte is written, the place moves on where it counts.
            for i in range(run):
                small = ascii_map[data[at + i]]
                is_word = np.int64(small != 0)
                out[o] = small if is_word else _SPACE
                ends[t] = o
                # Outside a word, where token t begins is overwritten until it has begun; inside
                # one, that of t + 1 is. Where t stops moves on with each of its bytes.
                _put(begins, t + in_word, at + i - start)
                _put(stops, t, at + i - start + is_word)
                t += in_word & ~is_word
                o += in_word | is_word
                in_word = is_word
            at += run
            stretch_is_stable, last_class, starter = True, 0, np.int64(data[at - 1])
            continue
        point, length = decode(data, at, stop)
        if length == 0:
            return INVALID_UTF8, 0, at - start
        first = at - start
        at += length
        entry = np.int64(tables.entry[point])
        if not is_nfkc:
            stable = entry & STABLE != 0 or (
                entry & COMPOSES != 0 and not _merges(starter, point, tables.partners)
            )
            combining = np.int64(tables.combining[point])
            if entry & BOUNDARY:
                stretch_is_stable = stable
            elif not (stable and stretch_is_stable) or (combining != 0 and combining < last_class):
                return NEEDS_NFKC, 0, 0
            last_class = combining
            if combining == 0:
                starter = point
        kind = (entry >> CLASS_SHIFT) & 3
        if kind != EXPANDS:
            # As above. A character that is a token ends the one before it, which has its place.
            _put(begins, t + in_word, first)
            _put(stops, t + (in_word & np.int64(kind != WORD)), at - start)
            in_word, o, t = _write(kind, entry & MAPPED, in_word, o, t, out, ends)
        else:
            number = entry & MAPPED
            for i in range(tables.expansion_start[number], tables.expansion_start[number + 1]):
                written = np.int64(tables.expansion[i])
                kind = written >> CLASS_SHIFT
                _put(begins, t + in_word, first)
                _put(stops, t + (in_word & np.int64(kind != WORD)), at - start)
                in_word, o, t = _write(kind, written & MAPPED, in_word, o, t, out, ends)
    if in_word:
        ends[t] = o
        out[o] = _SPACE
        t += 1
    return TOKENISED, t, 0
