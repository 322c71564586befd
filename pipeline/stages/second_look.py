"""The second look at a block: pairs of texts that sketches suggest and no candidate led to.

A hub can hide a pair. Where hundreds of texts made from one template resemble each other a
little less than the threshold, few of them are near to the hub, and two that are near to each
other were never proposed: on tldr-pages 50 of 2,728 texts with a partner were missed so, and
eight hubs a group still missed 31. So a block is looked at again: each text outside its
component's largest cluster is compared by sketch with all others of the component, and the
most alike are compared exactly. Components are made of pairs that passed the sketch filter, so
this costs little: sketches are 128 bytes, in memory, and `BUDGET` bounds a component.

What is found in a component depends on nothing but the component: the next run may take it over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import uint64
from pipeline.config import NearConfig
from pipeline.kernels.buffers import rows_of_binary
from pipeline.kernels.resemblance import look_again, low_bits, words
from pipeline.kernels.union_find import unite
from pipeline.sketching import least_agreeing
from pipeline.stages.blocks import Blocks, compare, names_of, places_among
from pipeline.stages.comparison import Comparison
from pipeline.stages.runs import starts_of_runs

# Exact comparisons that a text alone is given on the second look: as many as this number of
# shingles allows in sets of its component's mean size, within limits. 64 left 15 of the 50.
SHINGLES_A_TEXT, FEWEST_TRIES, MOST_TRIES = 1 << 18, 128, 1024
SCOUTS, TRIES_OF_SCOUT = 4, 8  # texts that look again for a cluster that may belong to another
BUDGET = 1 << 28  # sketches compared in a component on the second look: about two seconds


@dataclass(frozen=True)
class Again:
    """What a second look gave.

    Attributes:
        found: the pairs beyond those compared before.
        left_out: numbers of texts that there was no budget for.
        cut_short: numbers of texts alone that had more alike partners than were compared.
    """

    found: Comparison
    left_out: NDArray[np.int64]
    cut_short: NDArray[np.int64]


def second_look(sets: Blocks, found: Comparison, near: NearConfig) -> Again:
    """Compare the pairs that the sketches of a block's components suggest beyond those compared."""
    root = uint64(sets.rows, "root")
    order = np.lexsort((sets.text_id, root))
    labels = _clusters(order, found, near.threshold)
    starts = np.append(starts_of_runs(root[order]), len(order))
    sketches = rows_of_binary(sets.rows.column("sketch"), near.permutations)[order]
    tries = _tries(sets.sizes[order], starts)
    counts = np.diff(starts)
    room = int(np.sum(counts * np.minimum(np.maximum(tries, TRIES_OF_SCOUT), counts)))
    left, right = np.empty(room, np.int64), np.empty(room, np.int64)
    tally, sent, numbers, agreement = (np.empty(len(order), np.int64) for _ in range(4))
    left_out, cut_short = (np.zeros(len(order), np.bool_) for _ in range(2))
    n = look_again(
        words(sketches)[0],
        low_bits(sketches),
        starts,
        labels,
        near.permutations - least_agreeing(near.threshold, near.permutations),
        tries,
        SCOUTS,
        TRIES_OF_SCOUT,
        BUDGET,
        tally,
        sent,
        np.empty(len(order), np.uint16),
        numbers,
        agreement,
        left_out,
        cut_short,
        left,
        right,
    )
    one, two = order[np.minimum(left[:n], right[:n])], order[np.maximum(left[:n], right[:n])]
    known = np.sort(names_of(found.left, found.right, len(order)))
    fresh, first = np.unique(names_of(one, two, len(order)), return_index=True)
    first = first[places_among(known, fresh) < 0]
    return Again(compare(sets, one[first], two[first], near.floor), order[left_out], order[cut_short])


def _clusters(order: NDArray[np.int64], found: Comparison, threshold: float) -> NDArray[np.int64]:
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    close = found.jaccard >= threshold
    labels, joins = np.empty(len(order), np.int64), np.empty(np.count_nonzero(close), np.bool_)
    unite(rank[found.left[close]], rank[found.right[close]], labels, joins)
    return labels


def _tries(sizes: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    # For each component (in an oversized one, its part in this block). Of its own sets, not the
    # block's: what shares the block with it changes from run to run.
    shingles = np.maximum(np.add.reduceat(sizes, starts[:-1]) // np.diff(starts), 1)
    tries: NDArray[np.int64] = np.clip(SHINGLES_A_TEXT // shingles, FEWEST_TRIES, MOST_TRIES)
    return tries
