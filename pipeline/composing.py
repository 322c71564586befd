"""NFKC of a text, with the place in the original of every byte.

`unicodedata.normalize` says nothing about places, and each mark that it puts in order it moves
past one mark at a time: a megabyte of marks takes minutes. Here a text is cut into the pieces
that NFKC treats on their own (`normalise.pieces` is the definition), a NUL is put before each,
all is normalised by one call, and what lies between these NULs afterwards tells what became of
each piece. Long runs of marks are put in order beforehand.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.char_tables import BOUNDARY, STABLE, char_tables

# NFKC keeps each NUL, makes none, and merges nothing with or across one: the k-th stays the k-th.
_CUT = 0
# The longest piece whose marks `unicodedata` may put in order. Text for interchange has at most 30
# marks in a row (Unicode Standard Annex 15, section 13).
_LONG_PIECE = 32


class Composed(NamedTuple):
    """A text in NFKC and where its bytes come from.

    Attributes:
        text: UTF-8, equal to `unicodedata.normalize("NFKC", original.decode()).encode()`.
        first, last: int64[len(text)]; byte i comes from bytes [first[i], last[i]) of the original:
            its character's, or where NFKC changes that character or merges it with others, those
            of the whole piece. Both never decrease. The bytes [begin, stop) of `text` come from
            [first[begin], last[stop - 1]).
    """

    text: bytes
    first: NDArray[np.int64]
    last: NDArray[np.int64]


def _points(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le"), np.dtype("<u4"))


def _string(points: NDArray[np.uint32]) -> str:
    return points.astype("<u4", copy=False).tobytes().decode("utf-32-le")


def _piece_starts(points: NDArray[np.uint32]) -> NDArray[np.int64]:
    boundary = char_tables().entry[points] & BOUNDARY != 0
    boundary[:1] = True
    return np.flatnonzero(boundary)


def _ordered(piece: str) -> str:
    # The piece decomposed, the marks after each starter sorted by combining class.
    decomposed = _points("".join(unicodedata.normalize("NFKD", character) for character in piece))
    classes = char_tables().combining[decomposed]
    return _string(decomposed[np.lexsort((classes, np.cumsum(classes == 0)))])


def nfkc(text: str) -> str:
    """`unicodedata.normalize("NFKC", text)` in linear time, however many marks stand in a row."""
    starts = _piece_starts(_points(text))
    stops = np.append(starts[1:], len(text))
    parts, at = list[str](), 0
    for piece in np.flatnonzero(stops - starts > _LONG_PIECE):
        start, stop = int(starts[piece]), int(stops[piece])
        parts += [text[at:start], _ordered(text[start:stop])]
        at = stop
    return unicodedata.normalize("NFKC", "".join([*parts, text[at:]]))


def _segment_starts(points: NDArray[np.uint32]) -> NDArray[np.int64]:
    # Of the pieces, and where several in a row are single characters that NFKC keeps, of their row.
    starts = _piece_starts(points)
    single = np.diff(starts, append=len(points)) == 1
    kept = single & (char_tables().entry[points[starts]] & STABLE != 0)
    return np.delete(starts, np.flatnonzero(kept[1:] & kept[:-1]) + 1)


def _n_bytes(points: NDArray[np.uint32]) -> NDArray[np.int64]:
    # Of each code point in UTF-8.
    found = np.ones(len(points), np.int64)
    for limit in (0x80, 0x800, 0x10000):
        found += points >= limit
    return found


def _segments(
    points: NDArray[np.uint32], starts: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    # The text in NFKC, and for each of its characters the number of the segment it comes from.
    separated = np.insert(points, starts, _CUT)
    inserted = np.zeros(len(separated), np.bool_)
    inserted[starts + np.arange(len(starts))] = True
    written = _points(nfkc(_string(separated)))
    is_cut = written == _CUT
    is_cut[is_cut] = inserted[separated == _CUT]
    return written[~is_cut], (np.cumsum(is_cut) - 1)[~is_cut]


def composed(text: bytes) -> Composed:
    """Bring UTF-8 text into NFKC.

    Cost: linear. Raises UnicodeDecodeError as `bytes.decode` does.
    """
    points = _points(text.decode())
    starts = _segment_starts(points)
    written, segment = _segments(points, starts)
    counts_before = np.diff(starts, append=len(points))
    counts_after = np.bincount(segment)  # no piece becomes nothing
    # The character that each comes from if its segment is unchanged.
    own = np.arange(len(written)) + (starts - np.cumsum(counts_after) + counts_after)[segment]
    unchanged = counts_before == counts_after
    differs = points[np.minimum(own, len(points) - 1)] != written
    unchanged[segment[differs]] = False
    kept = unchanged[segment]
    begin = np.where(kept, own, starts[segment])
    stop = np.where(kept, own + 1, (starts + counts_before)[segment])
    byte_at = np.append(0, np.cumsum(_n_bytes(points)))
    n_bytes = _n_bytes(written)
    utf8 = _string(written).encode()
    return Composed(utf8, np.repeat(byte_at[begin], n_bytes), np.repeat(byte_at[stop], n_bytes))
