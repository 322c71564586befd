"""The second look proposes what its documented rule says, and nothing that it need not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.kernels.resemblance import _ones, agreeing, alike, look_again, low_bits, words

Pairs = set[tuple[int, int]]


def _look(
    sketches: NDArray[np.uint8],
    starts: list[int],
    labels: list[int],
    least: int,
    tries: int | list[int] = 100,
    scouts: int = 100,
    budget: int = 1 << 40,
) -> tuple[Pairs, int]:
    """The proposed pairs, and how many texts were left out; `tries` of every component or of each."""
    n = len(sketches)
    left, right = np.empty(n * n, np.int64), np.empty(n * n, np.int64)
    tally, sent, *others = (np.empty(n, np.int64) for _ in range(4))
    left_out = np.zeros(n, np.bool_)
    found = look_again(
        words(sketches)[0],
        low_bits(sketches),
        np.array(starts),
        np.array(labels),
        sketches.shape[1] - least,
        np.broadcast_to(np.array(tries, np.int64), len(starts) - 1).copy(),
        scouts,
        100,
        budget,
        tally,
        sent,
        np.empty(n, np.uint16),
        *others,
        left_out,
        np.zeros(n, np.bool_),
        left,
        right,
    )
    pairs = set(zip(left[:found].tolist(), right[:found].tolist(), strict=True))
    return pairs, int(np.count_nonzero(left_out))


@given(st.integers(1, 40), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_agreement_equals_a_count_of_equal_bytes(width: int, n: int, seed: int) -> None:
    sketches = np.random.default_rng(seed).integers(0, 4, (n, width)).astype(np.uint8)
    sketches[0] ^= np.uint8(0x80)
    packed, padding = words(sketches)
    for one in range(n):
        for two in range(n):
            expected = np.count_nonzero(sketches[one] == sketches[two])
            assert agreeing(packed, one, two) - padding == expected
            with np.errstate(over="ignore"):  # wraps on purpose
                assert agreeing.py_func(packed, one, two) - padding == expected


@given(st.integers(1, 600), st.integers(1, 6), st.data())
def test_texts_are_alike_that_differ_in_few_bytes(width: int, n: int, data: st.DataObject) -> None:
    # More places than a byte can count; values of which many agree in their lowest bits only.
    values = np.array(data.draw(st.sampled_from([[0], [0, 255], [0, 4, 8], [1, 2, 3, 5], range(256)])))
    sketches = values[np.random.default_rng(width).integers(0, len(values), (n, width))].astype(np.uint8)
    first = data.draw(st.integers(0, n - 1))
    stop = data.draw(st.integers(first, n))
    most = data.draw(st.integers(0, width))
    packed, padding = words(sketches)
    equal = np.count_nonzero(sketches == sketches[n - 1], axis=1)
    expected = [i for i in range(first, stop) if width - equal[i] <= most]
    for run in (alike, alike.py_func):
        numbers, agreement = np.empty(n, np.int64), np.empty(n, np.int64)
        scratch = np.empty(n, np.uint16), numbers, agreement
        found = run(packed, low_bits(sketches), n - 1, first, stop, most, *scratch)
        assert numbers[:found].tolist() == expected
        assert (agreement[:found] - padding).tolist() == equal[expected].tolist()


@given(st.integers(0, 2**64 - 1))
@example(0)
@example(2**64 - 1)
def test_ones_are_the_bits_that_are_set(word: int) -> None:
    with np.errstate(over="ignore"):  # wraps on purpose
        assert _ones(np.uint64(word)) == _ones.py_func(np.uint64(word)) == word.bit_count()


def _expected(sketches: NDArray[np.uint8], starts: list[int], labels: list[int], least: int) -> Pairs:
    pairs = set()
    for first, stop in pairwise(starts):
        sizes = {label: labels[first:stop].count(label) for label in labels[first:stop]}
        main = min(sizes, key=lambda label: (-sizes[label], label))
        for x in range(first, stop):
            for y in range(first, stop):
                alike = np.count_nonzero(sketches[x] == sketches[y]) >= least
                if labels[x] != main and labels[x] != labels[y] and alike:
                    pairs.add((x, y))
    return pairs


@given(st.data())
def test_every_alike_pair_with_an_end_outside_the_largest_cluster_is_proposed(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    starts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    labels: list[int] = []
    for first, size in zip(starts, sizes, strict=False):
        drawn = [data.draw(st.integers(0, size - 1)) for _ in range(size)]
        labels += [first + drawn.index(label) for label in drawn]
    seed = data.draw(st.integers(0, 1000))
    sketches = np.random.default_rng(seed).integers(0, 2, (len(labels), 16)).astype(np.uint8)
    pairs, left_out = _look(sketches, starts, labels, least=9)
    assert pairs == _expected(sketches, starts, labels, least=9)
    assert left_out == 0


@pytest.mark.parametrize("width", [64, 300])
def test_the_rule_holds_in_components_of_hundreds_of_texts(width: int) -> None:
    # Few are alike, so most texts are passed over by their lowest bits.
    rng = np.random.default_rng(width)
    sketches = rng.integers(0, 4, (300, width)).astype(np.uint8)
    for one, two in rng.integers(0, 300, (60, 2)):
        sketches[one, : width // 2] = sketches[two, : width // 2]
    starts = [0, 130, 131, 300]
    labels = [first + i // 2 * 2 for first, stop in pairwise(starts) for i in range(stop - first)]
    pairs, _ = _look(sketches, starts, labels, least=width * 11 // 20)
    assert pairs == _expected(sketches, starts, labels, least=width * 11 // 20)
    assert 30 < len(pairs) < 1000


def test_a_text_proposes_its_most_alike_first_when_tries_are_few() -> None:
    sketches = np.zeros((6, 8), np.uint8)
    for other, differing in ((1, 3), (2, 1), (3, 2), (4, 1), (5, 0)):
        sketches[other, :differing] = other
    # 1 to 5 are one cluster; 0 is alone. Nearest: 5 (0 differ), 2 and 4 (1), 3 (2), 1 (3).
    labels = [0, 1, 1, 1, 1, 1]
    assert _look(sketches, [0, 6], labels, least=1, tries=3)[0] == {(0, 5), (0, 2), (0, 4)}
    assert _look(sketches, [0, 6], labels, least=1, tries=2)[0] == {(0, 5), (0, 2)}
    assert _look(sketches, [0, 6], labels, least=1, tries=1)[0] == {(0, 5)}


def test_tries_are_those_of_the_component() -> None:
    # Two components of six equal sketches; the first text of each is alone.
    sketches, labels = np.zeros((12, 8), np.uint8), [0, *[1] * 5, 6, *[7] * 5]
    for tries in ([1, 3], [4, 2]):
        pairs, _ = _look(sketches, [0, 6, 12], labels, least=8, tries=tries)
        assert [sum(x == alone for x, _ in pairs) for alone in (0, 6)] == tries


def test_only_so_many_texts_of_a_cluster_look_again() -> None:
    sketches = np.zeros((7, 8), np.uint8)
    labels = [0, 0, 0, 0, 4, 4, 4]
    for scouts in (1, 2, 3):
        pairs, _ = _look(sketches, [0, 7], labels, least=8, scouts=scouts)
        assert {x for x, _ in pairs} == set(range(4, 4 + scouts))


@pytest.mark.parametrize(("budget", "left_out"), [(0, 4), (5, 3), (19, 1), (20, 0)])
def test_texts_beyond_the_budget_are_counted(budget: int, left_out: int) -> None:
    pairs, counted = _look(np.zeros((5, 8), np.uint8), [0, 5], [0, 1, 2, 3, 4], least=8, budget=budget)
    assert counted == left_out
    assert {x for x, _ in pairs} == set(range(1, 5 - left_out))
