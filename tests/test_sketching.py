"""What sketches are taken to say, and how often a limit of three standard errors drops a pair."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pipeline.sketching import (
    BY_CHANCE,
    CHANCE,
    estimated,
    least_above_chance,
    least_agreeing,
    least_estimate,
)


def test_estimates_are_unbiased_for_sketches_of_one_byte() -> None:
    rng = np.random.default_rng(7)
    for jaccard in (0.0, 0.3, 0.5, 0.7, 1.0):
        equal = rng.random((20_000, 128)) < jaccard
        by_chance = rng.random((20_000, 128)) < CHANCE
        agreeing = np.count_nonzero(equal | by_chance, axis=1)
        assert estimated(agreeing, 128).mean() == pytest.approx(jaccard, abs=0.002)


def test_the_limit_is_three_standard_errors_below() -> None:
    assert least_estimate(0.5, 128) == pytest.approx(0.5 - 3 * (0.25 / 128) ** 0.5)
    assert least_estimate(1.0, 128) == 1.0


@pytest.mark.parametrize("limit", [0.1, 0.5, 0.7, 0.95, 1.0])
@pytest.mark.parametrize("permutations", [8, 100, 128, 1024])
def test_the_number_of_agreeing_places_says_the_same_as_the_estimate(limit: float, permutations: int) -> None:
    least = least_agreeing(limit, permutations)
    counts = np.arange(permutations + 1)
    passing = estimated(counts, permutations) >= least_estimate(limit, permutations) - 1e-12
    assert (counts >= least).tolist() == passing.tolist()


@pytest.mark.parametrize("permutations", [8, 64, 128, 256, 1024])
def test_fewer_agreeing_places_than_chance_may_give_say_nothing(permutations: int) -> None:
    least = least_above_chance(permutations)
    chance = stats.binom(permutations, CHANCE)
    assert chance.sf(least - 1) < BY_CHANCE <= chance.sf(least - 2)
