"""Hashes are found among others as a binary search finds them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kernels.hashed_keys import _places, places

KEY = st.one_of(st.sampled_from([0, 1, 2, 2**63 - 1, 2**63, 2**64 - 1]), st.integers(0, 2**64 - 1))


@given(st.lists(KEY, max_size=40).map(sorted), st.lists(KEY, max_size=40))
@example([], [])
@example([], [0, 2**64 - 1])
@example([5], [])
@example([0], [0, 1])
@example([2**64 - 1], [0, 2**64 - 1])
@example([7] * 9, [6, 7, 8])
def test_places_are_those_of_a_binary_search(keys: list[int], wanted: list[int]) -> None:
    arrays = [np.array(values, np.uint64) for values in (keys, wanted)]
    expected = np.searchsorted(arrays[0], arrays[1]).tolist()
    assert places(*arrays).tolist() == expected
    # Columns of a table serve as well.
    assert places(*(pa.array(values).to_numpy() for values in arrays)).tolist() == expected


def test_few_are_found_among_many() -> None:
    keys = np.sort(np.random.default_rng(1).integers(0, 2**64, 1000, np.uint64))
    wanted = np.concatenate([keys[::100], keys[::100] + np.uint64(1)])
    assert places(keys, wanted).tolist() == np.searchsorted(keys, wanted).tolist()


@pytest.mark.parametrize("kernel", [_places, _places.py_func])
@pytest.mark.parametrize("bits", [1, 2, 7])
def test_tables_of_any_size_lead_to_the_same_places(kernel: Any, bits: int) -> None:
    rng = np.random.default_rng(bits)
    # Some alike in their uppermost bits, as hashes are not.
    keys = np.sort(np.concatenate([rng.integers(0, 2**64, 30, np.uint64), np.arange(9, dtype=np.uint64)]))
    wanted = np.concatenate([keys[::-1], keys + np.uint64(1), np.array([2**64 - 1], np.uint64)])
    out = np.empty(len(wanted), np.int64)
    kernel(keys, wanted, np.empty((1 << bits) + 1, np.int64), out)
    assert out.tolist() == np.searchsorted(keys, wanted).tolist()
