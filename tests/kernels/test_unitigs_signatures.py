"""Signatures of what is known of texts' windows: equal where it is the same, and only there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kernels.unitigs import ALL_KNOWN, REPEATED, sign
from pipeline.kernels.windows import Runs
from tests.kernels.plain import plain_python

SETTLED, SEVERAL, SINGLE = 1, 2, 3
# What may be known of a window: nothing if it does not repeat.
STATES = st.sampled_from([0, *range(REPEATED, ALL_KNOWN + 1)])
# Of an anchor: its kind, and what is known of its windows if they are looked at one by one.
Anchor = tuple[int, list[int]]


def _states(anchor: Anchor) -> list[int]:
    """The definition: what `cut` knows of each window."""
    kind, flags = anchor
    return flags if kind >= SEVERAL else [ALL_KNOWN if kind else 0] * len(flags)


def _signed(texts: Sequence[Sequence[Anchor]], kernel: Any = sign) -> list[int]:
    anchors = [anchor for text in texts for anchor in text]
    slots, flags = [], [9]  # a slot that is nobody's
    for kind, known in anchors:
        slots.append(len(flags) if kind >= SEVERAL else -1)
        flags += known if kind >= SEVERAL else []
    runs = Runs(
        np.array([kind for kind, _ in anchors], np.uint8),
        np.array([len(known) for _, known in anchors], np.uint16),
        np.array(slots, np.int64),
        np.zeros(len(anchors), np.bool_),
    )
    ends, out = np.cumsum([0, *map(len, texts)]), np.zeros(len(texts), np.uint64)
    kernel(ends, runs, np.array(flags, np.uint8), out)
    return [int(value) for value in out]


@st.composite
def _two_judgements(draw: st.DrawFn) -> tuple[list[Anchor], list[Anchor]]:
    """What two corpora say of one text."""
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    uniform = [draw(st.sampled_from([0, ALL_KNOWN])) for _ in counts]

    def one() -> list[Anchor]:
        return [
            (
                draw(st.sampled_from([0, SETTLED, SEVERAL, SINGLE])),
                [state] * n if draw(st.booleans()) else draw(st.lists(STATES, min_size=n, max_size=n)),
            )
            for n, state in zip(counts, uniform, strict=True)
        ]

    return one(), one()


@given(_two_judgements())
@example(([(SETTLED, [0])], [(SINGLE, [ALL_KNOWN])]))
@example(([(0, [5])], [(SEVERAL, [0])]))
@example(([(SINGLE, [4, 0])], [(SINGLE, [5, 0])]))
@example(([(SINGLE, [4, 0])], [(SINGLE, [0, 4])]))
@example(([(SINGLE, [4]), (0, [0])], [(0, [0]), (SINGLE, [4])]))
def test_signatures_agree_where_every_window_is_known_alike(both: tuple[list[Anchor], list[Anchor]]) -> None:
    one, two = both
    alike = list(map(_states, one)) == list(map(_states, two))
    first, second = _signed([one, two])
    assert (first == second) == alike
    # What stands before a text says nothing about it.
    assert _signed([two, one]) == [second, first]


def test_plain_python_signs_alike() -> None:
    texts: list[list[Anchor]] = [[(SINGLE, [4, 7]), (SETTLED, [0])], [], [(0, [0]), (SEVERAL, [7, 7, 7])]]
    with plain_python():
        plain = _signed(texts, sign.py_func)
    assert plain == _signed(texts)
    assert len(set(plain)) == 3


@pytest.mark.parametrize("texts", [[], [[]]])
def test_without_anchors_there_is_nothing_to_sign(texts: list[list[Anchor]]) -> None:
    assert _signed(texts) == [0] * len(texts)
