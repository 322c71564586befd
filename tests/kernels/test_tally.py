"""How often passages stand in texts, against the same in plain Python."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kernels import tally as kernels
from pipeline.kernels.tally import empty_tally, tally

PLACES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=20)
COPIES = [1, 7, 2, 1, 1_000_000_000_000]


@pytest.fixture(params=["compiled", "plain"], autouse=True)
def _kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "plain":
        monkeypatch.setattr(kernels, "_tally", kernels._tally.py_func)


@given(PLACES)
@example([])
@example([(0, 2), (0, 2), (0, 2)])
@example([(0, 0), (1, 1), (1, 0), (4, 0)])
def test_counts_are_what_their_definition_says(places: list[tuple[int, int]]) -> None:
    places = sorted(places, key=lambda place: place[0])
    text, passage = (np.array([place[i] for place in places], np.uint32) for i in (0, 1))
    found = empty_tally(5)
    tally(passage, text, np.array(COPIES), found)
    for p in range(5):
        here = [t for t, q in places if q == p]
        assert found.occurrences[p] == sum(COPIES[t] for t in here)
        assert found.documents[p] == sum(COPIES[t] for t in set(here))
        assert found.texts[p] == len(set(here))
        assert found.first[p] == next((i for i, (_, q) in enumerate(places) if q == p), -1)
