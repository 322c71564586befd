"""The verdict on a change, case by case."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.comparing.verdicts import CHANGE, judged

_NUMBERS = ["before", "after", "size_before", "size_after"]


def _verdict(*numbers: float | None, more: bool = True, less: bool = False) -> str:
    rows = pl.DataFrame(dict(zip(_NUMBERS, numbers, strict=True)), schema=dict.fromkeys(_NUMBERS, pl.Float64))
    found = judged(rows.with_columns(CHANGE), pl.lit(more), pl.lit(less))
    return str(found["verdict"].item())


@pytest.mark.parametrize(
    ("numbers", "verdict"),
    [
        ((10, 11, 100, 100), "worse"),
        ((10, 9, 100, 100), "better"),
        ((10, 10, 100, 200), "same"),  # a smaller share, but no fewer
        ((10, 20, 100, 200), "neutral"),  # as the corpus grew
        ((10, 15, 100, 200), "neutral"),  # more of it, a smaller share
        ((10, 25, 100, 200), "worse"),
        ((20, 15, 200, 100), "neutral"),  # less of it, a larger share
        ((20, 5, 200, 100), "better"),
        ((0, 1, 0, 100), "worse"),  # there was nothing
        ((1, 0, 100, 0), "better"),
        ((0, 0, 0, 100), "same"),
        ((0.1, 0.2, None, None), "worse"),  # a share itself
        ((0.2, 0.1, None, None), "better"),
        ((None, 0.1, None, None), "neutral"),
        ((5, None, 100, 100), "neutral"),
        ((None, None, 100, 100), "same"),
    ],
)
def test_more_of_it_is_worse_only_beyond_the_growth_of_the_corpus(
    numbers: tuple[float | None, ...], verdict: str
) -> None:
    assert _verdict(*numbers) == verdict


@pytest.mark.parametrize(("now", "verdict"), [(0.8, "worse"), (0.95, "better"), (0.9, "same")])
def test_less_of_what_is_good_is_worse(now: float, verdict: str) -> None:
    assert _verdict(0.9, now, None, None, more=False, less=True) == verdict


def test_what_is_neither_good_nor_bad_is_neutral() -> None:
    assert _verdict(1, 5, None, None, more=False) == "neutral"


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.integers(2, 1000))
def test_growth_in_proportion_is_never_worse(count: int, size: int, factor: int) -> None:
    assert _verdict(count, count * factor, size, size * factor) == "neutral"
