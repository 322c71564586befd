"""Compile or load every kernel, by running the stages' own code on a few texts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.kernels.buffers import binary_of, read_only, uint64_values
from pipeline.kernels.cover import covers
from pipeline.kernels.exposures import add_worth, number_links
from pipeline.kernels.hashed_keys import places
from pipeline.kernels.minimizers import sampler
from pipeline.kernels.overlap import shared
from pipeline.kernels.resemblance import look_again, low_bits, words
from pipeline.kernels.sets import shared_counts, table_mask
from pipeline.kernels.slots import mark_slots
from pipeline.kernels.sorted_keys import members
from pipeline.kernels.stars import stars
from pipeline.kernels.tally import empty_tally, tally
from pipeline.kernels.unitigs import sign
from pipeline.kernels.windows import Runs
from pipeline.readers.rows import Columns
from pipeline.stages.chosen import Anchored, Chosen, Looked, chosen_of, with_new_slots
from pipeline.stages.components import components, spanning
from pipeline.stages.scan import ScanParameters, Scratch, scan_texts
from pipeline.stages.sets import SetScratch
from pipeline.stages.stretches import TextScratch, read_part, wanted_of
from pipeline.stages.survivors import SINGLE
from pipeline.stages.unitigs import Cutter, cut_table

_TEXTS = ("one two three four five six", "ﬁne Größe 東京 e\u0301", "")


def warm() -> None:
    """Run each kernel once, with arguments of the types the stages give it."""
    texts = pa.array([text.encode() for text in _TEXTS], pa.large_binary())
    scan_texts(texts, Scratch(ScanParameters(Columns(), 5, 8, 1, 2, 4, 8)))
    SetScratch.new().sets(texts.slice(0, 1), False, 5)
    ids = np.array([1, 2], np.uint64)
    stars(ids, ids, ids > 0, ids.copy(), ids.copy(), np.empty(2, np.int64))
    components(ids[:1], ids[1:])
    places(ids, ids)
    spanning(ids[:1], ids[1:])
    values, offsets = uint64_values(pa.chunked_array([binary_of([ids[:1], ids[1:]])]))
    first, table = np.zeros(1, np.int64), np.zeros(table_mask(1) + 1, np.uint64)
    shared_counts(values, offsets, first, first + 1, 0.5, table, np.zeros(1, np.int64))
    sketches, numbers = words(np.zeros((2, 8), np.uint8))[0], np.arange(2)
    tally, sent, *others, left, right = (np.zeros(2, np.int64) for _ in range(6))
    flags, starts, tries = np.zeros(2, np.bool_), np.array([0, 2]), np.ones(1, np.int64)
    scratch = tally, sent, np.empty(2, np.uint16), *others, flags, flags.copy(), left, right
    low = low_bits(np.zeros((2, 8), np.uint8))
    look_again(sketches, low, starts, numbers, 0, tries, 1, 1, 1, *scratch)
    _warm_sums(sketches, starts)
    _warm_passages(texts.slice(0, 1))


def _warm_sums(sketches: NDArray[np.uint64], starts: NDArray[np.int64]) -> None:
    # Columns of a table cannot be written to, those of a table without rows can.
    column, links, worth = pa.array([1, 1]).to_numpy(), np.zeros(0, np.int64), np.zeros((3, 9))
    number_links(starts, *(np.ones(2, np.uint64) for _ in range(5)))
    ends = (np.zeros(2, np.int64), links, links, worth[:, :0].copy(), worth)
    add_worth(starts, sketches, 0, column, *ends, np.zeros((2, 2), np.int32), np.zeros((3, 2)))
    for counts in (column, np.ones(2, np.int64)):
        shared(starts, np.array([0, 1]), counts, counts, np.zeros((3, 2, 2), np.int64))


def _warm_passages(texts: pa.LargeBinaryArray) -> None:
    (text_id,) = scan_texts(texts, Scratch(ScanParameters(Columns(), 5, 8, 1, 2, 4)))[0].normalised[:, 0]
    ends, one, rows = np.array([0, 1]), np.ones(1, np.int64), np.zeros(1, np.uint32)
    runs = Runs(np.full(1, SINGLE, np.uint8), np.ones(1, np.uint16), np.zeros(1, np.int64), one > 0)
    chosen = Chosen(np.array([text_id]), np.array([text_id]), ends, runs, rows)
    scratch = TextScratch(sampler(6))
    table = read_part(texts, np.zeros(1, np.int64), wanted_of(chosen, 6, 1, ""), scratch)
    flags = np.full(1, 4, np.uint8)
    sign(ends, runs, flags, np.array([text_id]))
    cut_table(table, runs, Cutter(6, flags, scratch))
    members(np.array([text_id]), np.array([text_id]))
    named = pa.table({"text_id": [text_id]})
    anchored = Anchored(read_only(rows), read_only(runs.windows), ends, named)
    anchored.holding(one > 0)
    looked = Looked(rows, runs.kind, runs.windows, 0)
    slots = looked.slot_of_row(1)
    anchored.fates(runs.kind, runs.kind, slots, one > 0, flags.copy())
    with_new_slots(chosen_of(anchored, ends[:1], chosen.doc_id, runs.kind, slots), looked, runs.kind, slots)
    mark_slots(runs.kind, read_only(runs.kind), runs.windows, read_only(flags), 1, (1, 2, 4), flags.copy())
    tally(rows, rows, one, empty_tally(1))
    # Columns of a table cannot be written to, the sum of two can.
    column, edges = pa.array(ends).to_numpy(), np.ones(1, np.int64)
    for stops in (column[1:], ends[1:]):
        covers(ends, column[:1], stops, column[1:], edges, np.zeros((1, 1), np.int64), np.zeros(1, np.int64))
