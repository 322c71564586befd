"""Which anchors repeat in the corpus, and how much that says about their windows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.artifacts import END_OF_KEYS, KeyRange, key_ranges, table_of, uint64
from pipeline.mapped import mapped_ranges, read_mapped, write_mapped
from pipeline.stages.anchors import ANCHORS
from pipeline.stages.runs import run_starts
from pipeline.stages.scan import Segment
from pipeline.stages.survivors import (
    SETTLED,
    SEVERAL,
    SINGLE,
    SURVIVORS,
    find_survivors,
    rows_and_kinds,
    survivors_of,
)

LAST = 2**64 - 1
Row = tuple[int, int, bool]  # gram, context, whether it stands more than once in the segment
# They are hashes: those with few bits set could have one mixture, see `anchors.pair_order`.
GRAMS = st.sampled_from([0, 1, 2, 5, 0x9A3F_77C1_5E02_D4B9, LAST])
CONTEXTS = st.sampled_from([0, 2, 4, 0xC5D1_0B66_3F98_A27E, LAST - 1])
SEGMENT = st.lists(st.tuples(GRAMS, CONTEXTS, st.booleans()), max_size=8, unique_by=lambda row: row[:2])
WHOLE = (0, END_OF_KEYS)


def _segments(rows: Sequence[Sequence[Row]], folder: Path) -> list[Segment]:
    found = []
    for i, held in enumerate(rows):
        ordered = sorted(held, key=lambda row: row[0])
        gram, context = (np.array([row[j] for row in ordered], np.uint64) for j in (0, 1))
        context |= np.array([row[2] for row in ordered], np.uint64)
        write_mapped(table_of(ANCHORS, gram, context), folder / str(i) / "anchors.arrow")
        found.append(Segment(i, str(folder / str(i)), 1, len(held)))
    return found


def _found(rows: Sequence[Sequence[Row]], ranges: Sequence[KeyRange]) -> list[dict[tuple[int, int], int]]:
    """The kind of each survivor by gram and context, for each segment."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        segments = _segments(rows, folder)
        parts = [
            find_survivors(span, str(folder / f"s{i}"), segments=segments) for i, span in enumerate(ranges)
        ]
        assert sum(part.anchors for part in parts) == sum(map(len, rows))
        for part in parts:
            numbers = uint64(mapped_ranges([part.path], "survivor", WHOLE, SURVIVORS), "survivor")
            assert numbers.tolist() == sorted(set(numbers.tolist()))
            assert part.survivors == len(numbers)
        found = []
        for i, held in enumerate(rows):
            ordered = sorted(held, key=lambda row: row[0])
            numbers = uint64(
                mapped_ranges([part.path for part in parts], "survivor", survivors_of(i), SURVIVORS),
                "survivor",
            )
            places, kinds = rows_and_kinds(numbers)
            assert len(set(places.tolist())) == len(places)
            by_place = zip(places.tolist(), kinds.tolist(), strict=True)
            found.append({ordered[place][:2]: kind for place, kind in by_place})
        assert sum(map(len, found)) == sum(part.survivors for part in parts)
        return found


def _defined(rows: Sequence[Sequence[Row]]) -> list[dict[tuple[int, int], int]]:
    count: Counter[tuple[int, int]] = Counter()
    contexts = defaultdict(set)
    for held in rows:
        for gram, context, many in held:
            count[gram, context] += 1 + many
            contexts[gram].add(context)
    kinds = {}
    for gram, context in count:
        if sum(count[gram, other] for other in contexts[gram]) > 1:
            alone = len(contexts[gram]) == 1
            kinds[gram, context] = SETTLED if alone else SEVERAL if count[gram, context] > 1 else SINGLE
    return [{row[:2]: kinds[row[:2]] for row in held if row[:2] in kinds} for held in rows]


@given(st.lists(SEGMENT, max_size=5), st.integers(1, 7))
@example([], 1)
@example([[], [(5, 2, False)], []], 1)
@example([[(5, 2, False), (5, 4, False)], [(5, 2, False)]], 3)
@example([[(LAST, LAST - 1, True), (0, 0, True)]], 2)
def test_survivors_are_what_their_definition_says(rows: list[list[Row]], parts: int) -> None:
    assert _found(rows, key_ranges(parts)) == _found(rows, [WHOLE]) == _defined(rows)


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        ([[(5, 2, False)]], [{}]),
        ([[(5, 2, True)]], [{(5, 2): SETTLED}]),
        ([[(5, 2, False)], [(5, 2, False)]], [{(5, 2): SETTLED}] * 2),
        ([[(5, 2, False), (5, 4, False)]], [{(5, 2): SINGLE, (5, 4): SINGLE}]),
        ([[(5, 2, True), (5, 4, False)]], [{(5, 2): SEVERAL, (5, 4): SINGLE}]),
        ([[(5, 2, False)], [(5, 2, False), (5, 4, False)]], [{(5, 2): 2}, {(5, 2): 2, (5, 4): 3}]),
        ([[(5, 2, False)], [(6, 2, False)]], [{}, {}]),
    ],
)
def test_kind_is_what_the_contexts_of_a_gram_say(
    rows: list[list[Row]], kinds: list[dict[tuple[int, int], int]]
) -> None:
    assert (SETTLED, SEVERAL, SINGLE) == (1, 2, 3)
    assert _found(rows, [WHOLE]) == kinds


def test_many_anchors_of_one_gram_survive_together() -> None:
    rows = [[(7, 2 * context, False) for context in range(i, i + 300)] for i in range(3)]
    rows[0] += [(gram, 2, False) for gram in range(8, 400)]
    assert _found(rows, key_ranges(5)) == _defined(rows)


# Of each segment: in which of two nights it is there, as bits.
NIGHTS = st.lists(st.tuples(SEGMENT, st.integers(1, 3)), max_size=6)


@given(NIGHTS, st.integers(1, 3))
@example([([(5, 2, False)], 3), ([(5, 4, False)], 2)], 1)
@example([([(5, 2, False)], 3), ([(5, 2, False)], 1), ([(5, 4, True)], 1)], 2)
@example([([(5, 2, False), (LAST, 2, False)], 3), ([(0, 2, False)], 3)], 1)
def test_what_was_told_before_and_what_is_told_now_is_what_the_definition_says(
    segments: list[tuple[list[Row], int]], parts: int
) -> None:
    before = [rows for rows, nights in segments if nights & 1]
    here = [(rows, nights == 3) for rows, nights in segments if nights & 2]
    kinds = _defined(before)
    told_before = [kinds[i] for i, (_, n) in enumerate(s for s in segments if s[1] & 1) if n == 3]
    with TemporaryDirectory() as name:
        folder = Path(name)
        gone = _segments([rows for rows, nights in segments if nights == 1], folder / "gone")
        now = _segments([rows for rows, _ in here], folder / "here")
        known = [there for _, there in here]
        paths = [
            find_survivors(
                span,
                str(folder / f"s{i}"),
                segments=now,
                known=known,
                gone=[f"{segment.path}/anchors.arrow" for segment in gone],
            ).path
            for i, span in enumerate(key_ranges(parts))
        ]
        found = []
        for i, (rows, there) in enumerate(here):
            kind = dict(told_before.pop(0)) if there else {}
            ordered = sorted(rows, key=lambda row: row[0])
            numbers = uint64(mapped_ranges(paths, "survivor", survivors_of(i), SURVIVORS), "survivor")
            for row, told in zip(*(column.tolist() for column in rows_and_kinds(numbers)), strict=True):
                kind[ordered[row][:2]] = told
            found.append({anchor: told for anchor, told in kind.items() if told})
    assert found == _defined([rows for rows, _ in here])


def test_rows_whose_gram_is_nowhere_else_are_not_looked_at_again(tmp_path: Path) -> None:
    rows: list[list[Row]] = [[(5, 2, True), (6, 2, True), (7, 2, False)], [(6, 4, False)]]
    found = find_survivors(
        WHOLE, str(tmp_path / "s"), segments=_segments(rows, tmp_path), known=[True, False]
    )
    assert (found.anchors, found.survivors) == (2, 2)


def test_rows_of_a_segment_are_numbered_beyond_32_bits() -> None:
    row, segment = (1 << 38) - 1, (1 << 24) - 1
    number = segment << 40 | row << 2 | SINGLE
    low, high = survivors_of(segment)
    assert low <= number < high
    rows, kinds = rows_and_kinds(np.array([number, low | SETTLED], np.uint64))
    assert (rows.tolist(), kinds.tolist()) == ([row, 0], [SINGLE, SETTLED])
    assert survivors_of(segment - 1)[1] == low


def test_file_has_the_declared_columns(tmp_path: Path) -> None:
    for i, rows in enumerate(([], [[(5, 2, True)]])):
        part = find_survivors(WHOLE, str(tmp_path / f"s{i}"), segments=_segments(rows, tmp_path / str(i)))
        assert read_mapped(part.path).schema.equals(SURVIVORS)


def test_runs_begin_where_values_change() -> None:
    assert run_starts(np.array([3, 3, 5, 5, 5, 3])).tolist() == [True, False, True, False, False, True]
    assert run_starts(np.zeros(0)).tolist() == []
