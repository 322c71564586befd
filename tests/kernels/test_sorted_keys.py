"""Keys that stand among others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kernels.sorted_keys import _members, members

KEYS = st.lists(st.sampled_from([0, 1, 2, 5, 2**63, 2**64 - 1]), max_size=12).map(sorted)


@given(KEYS, KEYS)
@example([], [])
@example([5], [])
@example([], [5])
@example([2**64 - 1], [2**64 - 1])
def test_members_are_the_places_of_keys_that_are_wanted(keys: list[int], wanted: list[int]) -> None:
    arrays = [np.array(values, np.uint64) for values in (keys, wanted)]
    expected = [i for i, key in enumerate(keys) if key in wanted]
    assert members(*arrays).tolist() == expected
    # Columns of a table serve as well.
    assert members(*(pa.array(values).to_numpy() for values in arrays)).tolist() == expected


@pytest.mark.parametrize("kernel", [_members, _members.py_func])
def test_kernel_tells_how_many_it_found(kernel: Any) -> None:
    out = np.full(4, 9, np.int64)
    assert kernel(np.array([1, 1, 3, 7], np.uint64), np.array([1, 2, 7], np.uint64), out) == 3
    assert out.tolist() == [0, 1, 3, 9]
