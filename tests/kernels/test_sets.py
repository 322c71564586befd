"""Shingle sets and their intersections against Python's own sets."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kernels import sets
from pipeline.kernels.scan import Tokeniser, tokeniser
from pipeline.kernels.sets import insert, shingle_set, shingle_sets, table_mask
from pipeline.kernels.tokens import INVALID_UTF8, NEEDS_NFKC, NO_ROOM, TOKENISED
from pipeline.normalise import shingles
from tests import oracles
from tests.kernels.alphabets import texts, words
from tests.kernels.plain import plain_python
from tests.kernels.tokenising import TOK, as_array

SETS = st.lists(
    st.sets(st.integers(1, 2**64 - 1), max_size=12) | st.sets(st.integers(1, 9)), min_size=1, max_size=6
)


def _table(size: int = 1 << 12) -> Any:
    # New for each call: a kernel that forgot to clear it would fill it in the end, and never return.
    return np.zeros(size, np.uint64)


def _xxh64(shingle: str) -> int:
    return xxhash.xxh64_intdigest(shingle.encode())


def _hashes(text: str, width: int = 5) -> set[int]:
    return {max(_xxh64(shingle), 1) for shingle in shingles(text, width)}


def _shingle_set(
    data: bytes,
    is_nfkc: bool = False,
    width: int = 5,
    tok: Tokeniser = TOK,
    room: int = 2000,
    table: Any = None,
) -> tuple[int, list[int], int]:
    table, out = _table() if table is None else table, np.zeros(room, np.uint64)
    outcome, count, text_id = shingle_set(as_array(data), 0, len(data), is_nfkc, width, tok, table, out)
    assert not out[count:].any()
    return int(outcome), [int(value) for value in out[:count]], int(text_id)


def _shared(
    numbers: Sequence[Iterable[int]], pairs: Sequence[tuple[int, int]], floor: float = 0.0, table: Any = None
) -> list[int]:
    lists = [list(group) for group in numbers]
    values = np.array([value for group in lists for value in group], np.uint64)
    offsets = np.cumsum([0, *map(len, lists)])
    left, right = (np.array(side, np.int64) for side in (zip(*pairs, strict=True) if pairs else ((), ())))
    table, shared = _table() if table is None else table, np.full(len(pairs), -99, np.int64)
    sets.shared_counts(values, offsets, left, right, floor, table, shared)
    return [int(count) for count in shared]


# --- shingle_set ---------------------------------------------------------------------------------


@given(st.one_of(words(), texts()), st.integers(1, 7))
@example("", 5)
@example("one two", 5)
@example("a a a a a a a a", 5)
def test_shingle_set_equals_the_set_of_hashed_shingles(text: str, width: int) -> None:
    outcome, found, text_id = _shingle_set(text.encode(), width=width)
    if outcome == NEEDS_NFKC:
        assert (found, text_id) == ([], 0)
        composed = unicodedata.normalize("NFKC", text).encode()
        outcome, found, text_id = _shingle_set(composed, is_nfkc=True, width=width)
    assert outcome == TOKENISED
    assert len(found) == len(set(found))
    assert set(found) == _hashes(text, width)
    assert text_id == (oracles.text_id(text) if found else 0)


def test_shingles_stand_in_order_of_first_occurrence() -> None:
    _, found, _ = _shingle_set(b"b a b c a b a b c", width=2)
    assert found == [_xxh64(pair) for pair in ("b a", "a b", "b c", "c a")]


def test_text_without_tokens_has_an_empty_set() -> None:
    assert _shingle_set(b"") == (TOKENISED, [], 0)
    assert _shingle_set(b" ?! ", room=0, table=_table(0)) == (TOKENISED, [], 0)


def test_text_that_cannot_be_tokenised_has_the_outcome_of_the_tokeniser() -> None:
    assert _shingle_set(b"abc \xff") == (INVALID_UTF8, [], 0)
    assert _shingle_set("e\u0301".encode()) == (NEEDS_NFKC, [], 0)
    assert _shingle_set(b"a b c", tok=tokeniser(0)) == (NO_ROOM, [], 0)


def test_too_small_a_table_or_output_is_no_room() -> None:
    text = " ".join(f"w{i}" for i in range(104)).encode()  # 100 shingles
    mask = table_mask(100)
    small = np.zeros(99, np.uint64)
    for table, out in ((_table(mask + 1), small), (_table(mask), np.zeros(100, np.uint64))):
        outcome, wanted, _ = shingle_set(as_array(text), 0, len(text), False, 5, TOK, table, out)
        assert (outcome, wanted) == (NO_ROOM, 100)
    outcome, found, _ = _shingle_set(text, room=100, table=_table(mask + 1))
    assert (outcome, len(found)) == (TOKENISED, 100)


def test_table_is_used_again_after_a_larger_text() -> None:
    # Each text holds some of the shingles of the one before: what was left behind would hide them.
    table = _table()
    for n in (400, 300, 3, 5, 200, 1):
        text = " ".join(f"w{i}" for i in range(n))
        assert set(_shingle_set(text.encode(), table=table)[1]) == _hashes(text)


def test_shingle_that_hashes_to_zero_is_written_as_one() -> None:
    out = np.zeros(4, np.uint64)
    with plain_python(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sets, "xxh64", lambda *_: np.uint64(0))
        outcome, count, _ = shingle_set.py_func(
            as_array(b"a b"), 0, 3, False, 1, TOK, np.zeros(16, np.uint64), out
        )
    assert (outcome, count, out.tolist()) == (TOKENISED, 1, [1, 0, 0, 0])


def test_sets_of_a_batch_stand_behind_each_other() -> None:
    batch = ["one two three four five six", "", "e\u0301", "x y", "one two three four five six"]
    raw = [text.encode() for text in batch] + [b"\xff"]
    data, offsets = as_array(b"".join(raw)), np.cumsum([0, *map(len, raw)])
    values = np.zeros(40, np.uint64)
    counts, ids, outcomes = np.zeros(6, np.int64), np.zeros(6, np.uint64), np.zeros(6, np.int64)
    done = shingle_sets(data, offsets, 0, False, 5, TOK, _table(), values, 3, counts, ids, outcomes)
    assert done == (6, 8)
    assert counts.tolist() == [2, 0, 0, 1, 2, 0]
    assert outcomes.tolist() == [TOKENISED, TOKENISED, NEEDS_NFKC, TOKENISED, TOKENISED, INVALID_UTF8]
    assert [int(i) for i in ids] == [
        oracles.text_id(text) if n else 0 for text, n in zip([*batch, ""], counts, strict=True)
    ]
    assert values[:3].tolist() == [0, 0, 0]
    assert set(values[3:5].tolist()) == set(values[6:8].tolist()) == _hashes(batch[0])
    assert values[5] == _xxh64("x y")


def test_batch_goes_on_from_the_text_that_found_no_room() -> None:
    raw = [b"a b c", b"a b c d e f g", b"x"]
    data, offsets = as_array(b"".join(raw)), np.cumsum([0, *map(len, raw)])
    counts, ids, outcomes = np.zeros(3, np.int64), np.zeros(3, np.uint64), np.zeros(3, np.int64)
    values = np.zeros(8, np.uint64)
    at, filled = shingle_sets(data, offsets, 0, False, 2, TOK, _table(), values[:6], 0, counts, ids, outcomes)
    assert (at, filled, outcomes[1], counts[1]) == (1, 2, NO_ROOM, 6)
    at, filled = shingle_sets(
        data, offsets, at, False, 2, TOK, _table(), values, filled, counts, ids, outcomes
    )
    assert (at, filled, outcomes[2]) == (2, 8, NO_ROOM)
    values = np.concatenate([values, np.zeros(4, np.uint64)])
    at, filled = shingle_sets(
        data, offsets, at, False, 2, TOK, _table(), values, filled, counts, ids, outcomes
    )
    assert (at, filled) == (3, 9)
    assert set(values[:2].tolist()) == _hashes("a b c", 2)
    assert set(values[2:8].tolist()) == _hashes("a b c d e f g", 2)
    assert values[8] == _xxh64("x")


# --- shared_counts -------------------------------------------------------------------------------


def test_set_after_another_meets_a_clean_table() -> None:
    numbers = [range(1, 5), range(5, 8), range(1, 3)]
    assert _shared(numbers, [(0, 2), (1, 2), (1, 0), (0, 1)]) == [2, 0, 0, 0]
    table = _table(16)
    for _ in range(3):
        assert _shared(numbers, [(0, 2)], table=table) == [2]
        assert _shared(numbers, [(1, 2)], table=table) == [0]


@given(SETS)
def test_shared_counts_equal_those_of_python_sets(numbers: list[set[int]]) -> None:
    pairs = [(i, j) for i in range(len(numbers)) for j in range(len(numbers))]
    assert _shared(numbers, pairs) == [len(numbers[i] & numbers[j]) for i, j in pairs]


@given(SETS, st.integers(0, 100).map(lambda percent: percent / 100))
def test_pair_is_skipped_exactly_when_its_size_ratio_is_below_the_floor(
    numbers: list[set[int]], floor: float
) -> None:
    pairs = [(i, j) for i in range(len(numbers)) for j in range(len(numbers))]
    for (i, j), count in zip(pairs, _shared(numbers, pairs, floor), strict=True):
        small, large = sorted((len(numbers[i]), len(numbers[j])))
        below = large > 0 and small / large < floor
        assert count == (-1 if below else len(numbers[i] & numbers[j]))


def test_set_that_is_just_the_floor_of_the_other_is_compared() -> None:
    # 0.55 * 100 is 55.00000000000001 in floating point, and so for many a floor and size.
    large = range(1, 101)
    for percent in range(1, 101):
        numbers = [large, range(1, percent + 1)]
        assert _shared(numbers, [(0, 1), (1, 0)], percent / 100) == [percent, percent]
        assert _shared(numbers, [(0, 1), (1, 0)], percent / 100 + 1e-9) == [-1, -1]


def test_empty_sets_share_nothing() -> None:
    numbers: list[list[int]] = [[], [1, 2], []]
    pairs = [(0, 2), (0, 1), (1, 0), (0, 0), (1, 1)]
    assert _shared(numbers, pairs, 0.0) == [0, 0, 0, 0, 2]
    assert _shared(numbers, pairs, 0.5) == [0, -1, -1, 0, 2]


def test_no_pairs_and_no_sets_are_no_work() -> None:
    assert _shared([[1], [2]], []) == []
    assert _shared([], []) == []


def test_runs_of_equal_left_sets_share_a_table() -> None:
    generator = random.Random(2)
    numbers = [set(generator.sample(range(1, 60), generator.randrange(1, 40))) for _ in range(8)]
    pairs = [(i, j) for i in (3, 0, 7, 3, 1) for j in range(8)]
    assert _shared(numbers, pairs) == [len(numbers[i] & numbers[j]) for i, j in pairs]
    # A skipped pair inside a run, before it and between two runs leaves the table right.
    floor = 0.6
    expected = [
        len(numbers[i] & numbers[j])
        if min(len(numbers[i]), len(numbers[j])) / max(len(numbers[i]), len(numbers[j])) >= floor
        else -1
        for i, j in pairs
    ]
    assert -1 in expected
    assert _shared(numbers, pairs, floor) == expected


def test_values_that_meet_in_one_slot_are_told_apart() -> None:
    # Equal low bits: every one of them starts its search in the same slot, at the end of the table.
    mask = table_mask(8)
    crowd = [(i << 32) | mask for i in range(1, 9)]
    high = [2**64 - 1 - (i << 40) for i in range(8)]
    strangers = [(i << 32) | mask for i in range(5, 13)]
    numbers = [crowd, strangers, high]
    assert _shared(numbers, [(0, 1), (0, 2), (2, 2), (0, 0)], table=_table(mask + 1)) == [4, 0, 8, 8]


def test_insert_tells_whether_the_value_is_new() -> None:
    table = np.zeros(8, np.uint64)
    values = [8, 16, 24, 2**64 - 1, 2**63, 7, 15]
    assert [bool(insert(table, 7, np.uint64(value))) for value in values] == [True] * 7
    assert [bool(insert(table, 7, np.uint64(value))) for value in values] == [False] * 7
    assert sorted(int(value) for value in table) == sorted([0, *values])


def test_table_is_the_smallest_power_of_two_that_is_at_most_half_full() -> None:
    for n in (0, 1, 2, 3, 4, 5, 7, 8, 9, 1000, 1024, 1025):
        size = table_mask(n) + 1
        assert size & (size - 1) == 0
        assert size >= max(2 * n, 2)
        assert size == 2 or size // 2 < 2 * n


def test_plain_python_counts_the_same() -> None:
    numbers = [[1, 2, 3, 2**64 - 1], [2, 3, 4, 2**64 - 1], []]
    pairs = [(0, 1), (0, 2), (1, 0), (1, 1)]
    out = np.zeros(9, np.uint64)
    with plain_python():
        assert _shared(numbers, pairs) == [3, 0, 3, 4]
        found = shingle_set.py_func(as_array(b"a b a b"), 0, 7, False, 2, TOK, np.zeros(64, np.uint64), out)
    assert (int(found[0]), int(found[1])) == (TOKENISED, 2)
    assert out[:2].tolist() == [_xxh64("a b"), _xxh64("b a")]
