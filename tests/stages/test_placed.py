"""Places of a segment's passages, joined from parts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.artifacts import table_of
from pipeline.stages.placed import BEGINNINGS, Part, Placed, joined

# A place: its passage, its text, its first token. A text is in the part that its number says.
PLACES = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 8), st.integers(0, 3)), max_size=20, unique=True
)


def _part(places: list[tuple[int, int, int]], shown: bool) -> Part:
    """Sorted as a part is, with the beginning of the first place of each passage if it is shown."""
    places = sorted(places)
    passage, chosen, token = (np.array([p[i] for p in places], np.int64) for i in range(3))
    first = {place[0]: place for place in reversed(places)} if shown else {}
    rows = [first[number] for number in sorted(first)]
    beginnings = table_of(
        BEGINNINGS,
        np.array([row[0] for row in rows], np.uint64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[0] == 2 for row in rows], np.bool_),
        pa.array([f"text {row[:2]}" for row in rows], pa.large_string()),
    )
    return Part(Placed(passage.astype(np.uint64), chosen, token, token + 1, token + 2, token + 3), beginnings)


@given(PLACES, st.lists(st.integers(0, 2), min_size=9, max_size=9), st.permutations(range(3)), st.booleans())
@example([(1, 0, 0), (1, 1, 0), (1, 2, 0)], [0, 1, 0] + [0] * 6, [1, 0, 2], True)
@example([(1, 0, 0), (1, 1, 0)], [0, 1] + [0] * 7, [0, 1, 2], False)
def test_joined_places_are_sorted_and_begin_as_in_the_first_of_them(
    places: list[tuple[int, int, int]], part_of_text: list[int], order: list[int], all_shown: bool
) -> None:
    # One part may not know how its passages begin.
    by_part = [[p for p in places if part_of_text[p[1]] == number] for number in range(3)]
    parts = [_part(by_part[number], all_shown or number > 0) for number in order]
    placed, beginnings = joined(parts)
    rows = list(zip(*(column.tolist() for column in placed), strict=True))
    assert rows == [(p, c, t, t + 1, t + 2, t + 3) for p, c, t in sorted(places)]
    first = {p: c for p, c, _ in sorted(places, reverse=True)}
    assert beginnings.to_pylist() == [
        {"passage_id": p, "chosen": c, "predictable": p == 2, "text": f"text {p, c}"}
        for p, c in sorted(first.items())
        if all_shown or part_of_text[c] > 0
    ]


def test_one_part_is_the_whole() -> None:
    part = _part([(1, 0, 0), (1, 0, 2), (2, 0, 1)], True)
    placed, beginnings = joined([part])
    assert all(map(np.array_equal, placed, part.placed))
    assert beginnings.equals(part.beginnings)
