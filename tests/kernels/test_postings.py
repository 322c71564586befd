"""The inverted index finds exactly the sampled sets that a set is near to."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernels.postings import near_members, postings

SETS = st.lists(st.sets(st.integers(1, 12), max_size=8), max_size=6)


def _flat(sets: list[set[int]]) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([value for one in sets for value in sorted(one)], np.uint64)
    return values, np.array([len(one) for one in sets], np.int64)


@given(SETS, SETS, st.sampled_from([0.1, 0.5, 0.7, 1.0]))
def test_near_members_equals_python_sets(
    texts: list[set[int]], sample: list[set[int]], threshold: float
) -> None:
    index, counts = postings(*_flat(sample)), np.zeros(len(sample), np.int64)
    text, member, jaccard = np.empty(99, np.int64), np.empty(99, np.int64), np.empty(99)
    n = near_members(*_flat(texts), index, threshold, counts, text, member, jaccard)
    found = {(t, m): j for t, m, j in zip(text[:n], member[:n], jaccard[:n], strict=True)}
    expected = {
        (t, m): len(one & two) / len(one | two)
        for t, one in enumerate(texts)
        for m, two in enumerate(sample)
        if one & two and len(one & two) / len(one | two) >= threshold
    }
    assert found == expected
    assert not counts.any(), "the scratch must be zero again for the next batch"


def test_too_little_room_is_reported_and_leaves_the_scratch_zero() -> None:
    index, counts = postings(*_flat([{1}, {1, 2}])), np.zeros(2, np.int64)
    one = np.empty(1, np.int64), np.empty(1, np.int64), np.empty(1)
    assert near_members(*_flat([{1}, {2}]), index, 0.1, counts, *one) == -1
    assert not counts.any()
