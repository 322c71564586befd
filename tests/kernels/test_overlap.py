"""What labels share, against counting group by group in plain Python."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kernels.overlap import shared
from tests.kernels.plain import plain_python

LABELS = 4
COUNTS = st.tuples(st.integers(1, 3), st.integers(0, 2**40))
# Documents and tokens of each label of each group.
Groups = list[dict[int, tuple[int, int]]]
GROUPS = st.lists(st.dictionaries(st.integers(0, LABELS - 1), COUNTS, min_size=1), max_size=6)


def _sums(groups: Groups, plain: bool = False, passes: int = 1) -> list[list[list[int]]]:
    starts = np.cumsum([0, *map(len, groups)])
    rows = [(label, *counts) for group in groups for label, counts in sorted(group.items())]
    columns = [np.array([row[i] for row in rows], np.int64) for i in range(3)]
    sums = np.zeros((3, LABELS, LABELS), np.int64)
    for _ in range(passes):
        if plain:
            with plain_python():
                shared.py_func(starts, *columns, sums)
        else:
            shared(starts, *columns, sums)
    found: list[list[list[int]]] = sums.tolist()
    return found


def _slow(groups: Groups) -> list[list[list[int]]]:
    counts = [Counter[tuple[int, int]]() for _ in range(3)]
    for group in groups:
        for one, (documents, tokens) in group.items():
            for two in group:
                if one != two or documents > 1:
                    for counted, more in zip(counts, (1, documents, tokens), strict=True):
                        counted[one, two] += more
    return [[[counted[i, j] for j in range(LABELS)] for i in range(LABELS)] for counted in counts]


@given(GROUPS)
@example([])
@example([{0: (1, 5)}, {0: (2, 5)}])
def test_sums_are_those_of_counting_group_by_group(groups: Groups) -> None:
    assert _sums(groups) == _slow(groups)


@given(GROUPS)
def test_plain_python_gives_the_same_sums(groups: Groups) -> None:
    assert _sums(groups, plain=True) == _sums(groups)


@given(GROUPS)
def test_sums_go_on_from_what_is_there(groups: Groups) -> None:
    assert _sums(groups, passes=2) == _slow([*groups, *groups])


def test_groups_of_one_label_are_inside_it_and_of_two_are_between_them() -> None:
    groups, documents, tokens = _sums([{1: (1, 10)}, {1: (3, 30)}, {0: (1, 7), 2: (2, 14)}])
    assert {(i, j): n for i, row in enumerate(groups) for j, n in enumerate(row) if n} == {
        (1, 1): 1,
        (0, 2): 1,
        (2, 0): 1,
        (2, 2): 1,
    }
    assert (documents[1][1], documents[0][2], documents[2][0], documents[2][2]) == (3, 1, 2, 2)
    assert (tokens[1][1], tokens[0][2], tokens[2][0], tokens[2][2]) == (30, 7, 14, 14)
