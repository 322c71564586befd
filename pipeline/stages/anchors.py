"""What a segment keeps of its texts' anchors, so that those that repeat can be found.

`anchors` is exchanged: a row a distinct pair of gram and context, sorted by gram. `anchored` is
not: for each text, which of those rows its anchors are, in the order of the text. A text that
occurs several times in the segment is held once, in its first document; the lowest bit of a
context tells whether it occurs more than once there, copies counted.

Measured on 445 MB of Python source (50.8 million tokens): 0.14 anchors a token, 1.5 bytes of
`anchors` and 0.6 bytes of `anchored` a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import table_of
from pipeline.kernels.buffers import binary_slices
from pipeline.kernels.minimizers import GRAM_BITS, Anchors
from pipeline.mapped import write_mapped
from pipeline.stages.runs import run_starts, starts_of_runs

ANCHORS = pa.schema([("gram", pa.uint64()), ("context", pa.uint64())])
ANCHORED = pa.schema(
    [
        ("piece", pa.int64()),
        ("row", pa.int64()),
        ("text_id", pa.uint64()),
        ("source", pa.uint64()),
        ("licence", pa.uint64()),
        ("anchors", pa.large_binary()),
        ("windows", pa.large_binary()),
    ]
)
MOST_ANCHORS = 1 << 22  # anchors a segment holds, about 70 MB, if its documents do not fill it before
_MANY = np.uint64(1)
_ODD = np.uint64(0x9E3779B97F4A7C15)


def joined_anchors(parts: Sequence[Anchors]) -> Anchors:
    """Anchors one behind the other."""
    return Anchors._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


def write_anchors(texts: pa.Table, anchors: Anchors, counts: NDArray[np.int64], folder: Path) -> int:
    """Write the anchors of a segment's texts; returns how many distinct ones there are.

    Args:
        texts: text_id, text_high, source, licence, piece, row of every document with a token, in order.
        anchors: theirs, back to back. counts: int64[texts], how many each has.
        folder: of the segment.
    """
    first, many = _distinct(texts)
    kept = np.zeros(len(texts), np.bool_)
    kept[first] = counts[first] > 0
    wanted = np.repeat(kept, counts)
    several = np.zeros(len(texts), np.bool_)
    several[first] = many
    gram, context = anchors.gram[wanted], anchors.context[wanted]
    row, rows = _rows(gram, context, np.repeat(several[kept], counts[kept]))
    write_mapped(rows, folder / "anchors.arrow")
    places = np.flatnonzero(kept)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[places])])
    held = texts.select(["piece", "row", "text_id", "source", "licence"]).take(pa.array(places))
    table = held.append_column("anchors", binary_slices(row, ends))
    table = table.append_column("windows", binary_slices(anchors.windows[wanted], ends))
    write_mapped(table.cast(ANCHORED), folder / "anchored.arrow")
    return len(rows)


def _distinct(texts: pa.Table) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    # The first document of each distinct text, and whether there are others.
    low, high = texts.column("text_id").to_numpy(), texts.column("text_high").to_numpy()
    order = np.lexsort((high, low))
    starts = starts_of_runs(low[order], high[order])
    # lexsort is stable: the first of a run is the first in the segment.
    return order[starts], np.diff(np.append(starts, len(order))) > 1


def pair_order(gram: NDArray[np.uint64], context: NDArray[np.uint64]) -> NDArray[np.int64]:
    """An order in which equal pairs stand together.

    By one 64-bit mixture of the two: sorting by both takes five times as long. Two unequal pairs
    with one mixture could part equal ones, once in about 2**64 / n**2 cases.
    """
    return np.argsort(gram + context * _ODD)


def _rows(
    gram: NDArray[np.uint64], context: NDArray[np.uint64], several: NDArray[np.bool_]
) -> tuple[NDArray[np.uint32], pa.Table]:
    # The row of every anchor, and the rows: pairs by gram. One sort does for both, because a gram
    # leaves room for the beginning of a context. Where two contexts begin alike a pair may get two
    # rows, which says as much as one that is marked.
    order = np.argsort(gram | context >> np.uint64(GRAM_BITS))
    gram, context = gram[order], context[order]
    new = run_starts(gram, context)
    starts = np.flatnonzero(new)
    rank = (np.cumsum(new) - 1).astype(np.uint32)
    many = np.diff(np.append(starts, len(order))) > 1
    many[rank[several[order]]] = True
    row = np.empty(len(order), np.uint32)
    row[order] = rank
    return row, table_of(ANCHORS, gram[starts], context[starts] | many.astype(np.uint64))
