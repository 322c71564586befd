"""A second look, by sketches, at texts that their hubs did not lead to a near partner."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.jit import kernel

_LOW_BITS = np.uint64(0x7F7F7F7F7F7F7F7F)
_HIGH_BIT = np.uint64(0x8080808080808080)
_EACH_BYTE = np.uint64(0x0101010101010101)
_TILE = 64  # texts of which first only the most alike is looked for


def words(sketches: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], int]:
    """Sketches (uint8[n, p]) eight bytes to a word, and how many bytes of padding all agree in."""
    n, permutations = sketches.shape
    padding = -permutations % 8
    padded = np.zeros((n, permutations + padding), np.uint8)
    padded[:, :permutations] = sketches
    return padded.view(np.uint64), padding


@kernel
def agreeing(sketches: NDArray[np.uint64], one: int, two: int) -> int:
    """In how many bytes two rows of uint64[n, w] agree.

    A byte of the exclusive or is zero where they do; the sum below sets each such byte's high
    bit and no other, and the product adds the bits up. Three times as fast as byte by byte.
    """
    count = np.int64(0)
    for k in range(sketches.shape[1]):
        differing = sketches[one, k] ^ sketches[two, k]
        zero = ~(((differing & _LOW_BITS) + _LOW_BITS) | differing) & _HIGH_BIT
        count += np.int64(np.uint64((zero >> np.uint64(7)) * _EACH_BYTE) >> np.uint64(56))
    return count


@kernel
def agreements(
    columns: NDArray[np.uint8], one: int, first: int, stop: int, counts: NDArray[np.uint8 | np.uint16]
) -> None:
    """In how many places the sketch of a text agrees with each of those from `first` to `stop`.

    Args:
        columns: uint8[p, n], the n sketches, place by place: so one instruction compares a place of
            dozens of texts, and a pair takes an eighth of the time it takes with `agreeing`.
        counts: uint8 if p is below 256, else uint16, [stop - first], out.
    """
    # Slices from their beginnings: where an index might be negative, nothing is done side by side.
    odd = len(columns) & 1
    row, value = columns[0, first:stop], columns[0, one]
    for y in range(len(counts)):
        counts[y] = np.uint8(odd and row[y] == value)
    for k in range(odd, len(columns), 2):  # two at once: half as often are counts read and written
        row, value = columns[k, first:stop], columns[k, one]
        next_row, next_value = columns[k + 1, first:stop], columns[k + 1, one]
        for y in range(len(counts)):
            counts[y] += np.uint8(np.uint8(row[y] == value) + np.uint8(next_row[y] == next_value))


@kernel
def _alike(counts: NDArray[np.uint8 | np.uint16], least: int, numbers: NDArray[np.int64]) -> int:
    # Where counts are at least so high, in order, and how many they are. One in hundreds is.
    found = 0
    for begin in range(0, len(counts), _TILE):
        tile = counts[begin : begin + _TILE]
        highest = tile[0]
        for y in range(len(tile)):
            highest = max(highest, tile[y])
        if highest >= least:
            for y in range(len(tile)):
                if tile[y] >= least:
                    numbers[found] = begin + y
                    found += 1
    return found


@kernel
def _largest(labels: NDArray[np.int64], first: int, stop: int, tally: NDArray[np.int64]) -> int:
    # The label most texts of [first, stop) have; of equally frequent ones the smallest.
    for i in range(first, stop):
        tally[labels[i]] = 0
    for i in range(first, stop):
        tally[labels[i]] += 1
    best = labels[first]
    for i in range(first, stop):
        more = tally[labels[i]] - tally[best]
        if more > 0 or (more == 0 and labels[i] < best):
            best = labels[i]
    return best


@kernel
def look_again(
    columns: NDArray[np.uint8],
    starts: NDArray[np.int64],
    labels: NDArray[np.int64],
    least: int,
    tries: NDArray[np.int64],
    scouts: int,
    tries_of_scout: int,
    budget: int,
    tally: NDArray[np.int64],
    sent: NDArray[np.int64],
    alike: NDArray[np.int64],
    counts: NDArray[np.uint8 | np.uint16],
    left_out: NDArray[np.bool_],
    cut_short: NDArray[np.bool_],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
) -> int:
    """Propose, for texts outside their component's largest cluster, the best others by sketch.

    Args:
        columns: see `agreements`, the texts in order of their components.
        starts: int64[components + 1], where components begin.
        labels: int64[n], each text's cluster so far: the number of its first text.
        least: places two sketches must agree in.
        tries: int64[components], the most partners proposed for a text that is alone so far.
        scouts: how many texts look again for a cluster; tries_of_scout: partners for each.
        budget: sketches compared in a component at the most, spent in the order of the texts.
        tally, sent, alike: int64[n], scratch; counts: [n], scratch, of a type as in `agreements`.
        left_out: bool[n], in and out, set for texts left out because the budget was spent.
        cut_short: bool[n], in and out, set for texts alone that had more alike partners than tries,
            or no budget.
        left, right: int64[texts * max(tries, tries_of_scout) of each component], out, the proposed
            pairs (numbers of texts).

    Returns:
        The number of pairs.

    Cost: texts alone and scouts, times texts of the component, up to the budget.
    """
    pairs = 0
    levels = np.zeros(len(columns) + 1, np.int64)
    for c in range(len(starts) - 1):
        first, stop = starts[c], starts[c + 1]
        main, spent = _largest(labels, first, stop, tally), 0
        sent[first:stop] = 0
        for x in range(first, stop):
            cluster = labels[x]
            alone = tally[cluster] == 1
            if cluster == main or sent[cluster] >= scouts:
                continue
            sent[cluster] += 1
            if spent + stop - first > budget:
                cut_short[x] = alone
                left_out[x] = True
                continue
            spent += stop - first
            agreements(columns, x, first, stop, counts[: stop - first])
            n, levels[:] = 0, 0
            for i in range(_alike(counts[: stop - first], least, alike)):
                if labels[first + alike[i]] != cluster:
                    alike[n] = alike[i]
                    levels[counts[alike[n]]] += 1
                    n += 1
            cut, room = len(levels), tries[c] if alone else tries_of_scout
            cut_short[x] = alone and np.sum(levels) > tries[c]
            while cut > least and levels[cut - 1] <= room:
                cut -= 1
                room -= levels[cut]
            for i in range(n):
                # Of those that agree in just one place less than the cut, the first ones.
                level = counts[alike[i]]
                if level >= cut or (level == cut - 1 and room > 0):
                    room -= np.int64(level < cut)
                    left[pairs], right[pairs] = x, first + alike[i]
                    pairs += 1
    return pairs
