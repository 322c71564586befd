"""Candidate pairs: texts that share a band key.

A group of n texts gives n - 1 edges to a hub, not n(n - 1)/2 pairs, so the cost is linear in
the group and the most repeated text needs no cap. The hub differs from band to band.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, read_ranges, table_of, uint64, write_work
from pipeline.kernels.stars import stars
from pipeline.stages.runs import starts_of_runs
from pipeline.stages.scan import BANDS, Segment

EDGES = pa.schema([("left", pa.uint64()), ("right", pa.uint64())])


def distinct_edges(
    left: NDArray[np.uint64], right: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Each edge once, in order of (left, right)."""
    order = np.lexsort((right, left))
    left, right = left[order], right[order]
    once = starts_of_runs(left, right)
    return left[once], right[once]


def propose(keys: KeyRange, path: str, *, segments: Sequence[Segment]) -> tuple[str, int]:
    """The star edges of all band groups in a range of band keys.

    Returns:
        The path of a table of distinct edges (two text_ids, left < right) sorted by left, and
        how many star edges there were before equal ones were merged.
    """
    bands = read_ranges((f"{s.path}/bands.parquet" for s in segments), "key", keys, BANDS)
    key, text = uint64(bands, "key"), uint64(bands, "text_id")
    order = np.argsort(key)
    key, text = key[order], text[order]
    shared = np.zeros(len(key), np.bool_)
    same = key[1:] == key[:-1]
    shared[1:] |= same
    shared[:-1] |= same
    key, text = key[shared], text[shared]
    order = np.lexsort((text, key))
    key, text = key[order], text[order]
    once = starts_of_runs(key, text)
    key, text = key[once], text[once]
    left, right = np.empty(len(key), np.uint64), np.empty(len(key), np.uint64)
    n = stars(key, text, left, right)
    distinct = distinct_edges(left[:n], right[:n])
    return write_work(table_of(EDGES, *distinct), path, "left"), int(n)
