"""Compile or load every kernel, by running the stages' own code on a few texts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from pipeline.kernels.buffers import binary_of, uint64_values
from pipeline.kernels.resemblance import look_again, words
from pipeline.kernels.sets import shared_counts, table_mask
from pipeline.kernels.stars import stars
from pipeline.readers.rows import Columns
from pipeline.stages.components import components
from pipeline.stages.scan import ScanParameters, Scratch, scan_texts
from pipeline.stages.sets import SetScratch

_TEXTS = ("one two three four five six", "ﬁne Größe 東京 e\u0301", "")


def warm() -> None:
    """Run each kernel once, with arguments of the types the stages give it."""
    texts = pa.array([text.encode() for text in _TEXTS], pa.large_binary())
    scan_texts(texts, Scratch(ScanParameters(Columns(), 5, 8, 1, 2, 4)))
    SetScratch.new().sets(texts.slice(0, 1), False, 5)
    ids = np.array([1, 2], np.uint64)
    stars(ids, ids, np.empty(2, np.uint64), np.empty(2, np.uint64))
    components(ids[:1], ids[1:])
    values, offsets = uint64_values(pa.chunked_array([binary_of([ids[:1], ids[1:]])]))
    first, table = np.zeros(1, np.int64), np.zeros(table_mask(1) + 1, np.uint64)
    shared_counts(values, offsets, first, first + 1, 0.5, table, np.zeros(1, np.int64))
    sketches, numbers = words(np.zeros((2, 8), np.uint8))[0], np.arange(2)
    tally, sent, agreement, left, right = (np.zeros(2, np.int64) for _ in range(5))
    flags, starts = np.zeros(2, np.bool_), np.array([0, 2])
    look_again(sketches, starts, numbers, 0, 1, 1, 1, 1, tally, sent, agreement, flags, left, right)
