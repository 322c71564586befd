"""The detection curve, and what an audit says of its own recall."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from pipeline.recall import Findable, Recall, detection, estimate, findable, total, wilson
from tests import oracles

# Published points of the curve, as (bands, rows): P by similarity.
POINTS = {
    (14, 8): {0.7: 0.564, 0.75: 0.772, 0.8: 0.924, 0.85: 0.988},
    (450, 20): {0.7: 0.302, 0.75: 0.760, 0.8: 0.995},
    (32, 4): {0.5: 0.873, 0.7: 0.9998},
}


def _ends(found: Recall) -> tuple[float, float, float]:
    assert found.estimate is not None
    assert found.low is not None
    assert found.high is not None
    return found.low, found.estimate, found.high


@pytest.mark.parametrize(("bands", "rows"), POINTS)
def test_detection_has_its_published_points(bands: int, rows: int) -> None:
    points = POINTS[bands, rows]
    found = detection(np.array(list(points)), bands, rows)
    assert found == pytest.approx(list(points.values()), abs=6e-4)


@given(st.floats(0, 1), st.integers(1, 500), st.integers(1, 20))
def test_detection_equals_its_definition(similarity: float, bands: int, rows: int) -> None:
    found = detection(np.array([similarity]), bands, rows)[0]
    assert found == pytest.approx(oracles.detection_probability(similarity, bands, rows), abs=1e-12)


def test_text_stands_for_as_many_as_it_is_likely_to_be_found() -> None:
    p = detection(np.array([0.7, 0.8, 1.0]), 14, 8)
    found = findable(np.array([0.7, 0.8, 1.0]), 14, 8)
    assert found.found == 3
    assert found.missed == pytest.approx(sum(1 / p) - 3)
    assert found.variance == pytest.approx(sum((1 - p) / p**2))


def test_no_text_stands_for_none() -> None:
    assert findable(np.zeros(0), 14, 8) == Findable(0, 0.0, 0.0)
    assert total([]) == Findable(0, 0.0, 0.0)


def test_sum_of_parts_is_the_whole() -> None:
    best = np.random.default_rng(1).uniform(0.7, 1, 1000)
    parts = [findable(part, 14, 8) for part in np.array_split(best, 7)]
    whole = findable(best, 14, 8)
    assert total(parts).found == whole.found
    assert total(parts).missed == pytest.approx(whole.missed, rel=1e-12)
    assert estimate(parts).estimate == pytest.approx(estimate([whole]).estimate, rel=1e-12)


def test_nothing_is_said_where_nothing_was_found() -> None:
    assert estimate([]) == Recall(None, None, None)
    assert estimate([Findable(), Findable()]) == Recall(None, None, None)
    assert wilson(0, 0) == Recall(None, None, None)


def test_where_nothing_can_be_missed_up_to_four_texts_still_may_be() -> None:
    low, middle, high = _ends(estimate([findable(np.ones(1000), 32, 4)]))
    assert (middle, high) == (1.0, 1.0)
    assert low == pytest.approx(1000 / (1000 + stats.chi2.ppf(0.975, 2) / 2), abs=2e-4)


@pytest.mark.parametrize("found", [1, 3, 10, 100, 3000])
@pytest.mark.parametrize("similarity", [0.5, 0.6, 0.7, 0.75, 0.8, 0.9])
def test_interval_is_the_exact_one_for_a_poisson_number_of_misses(found: int, similarity: float) -> None:
    bands, rows = 14, 8
    p = oracles.detection_probability(similarity, bands, rows)
    missed, scale = found * (1 - p) / p, 1 / p
    events = missed / scale
    most = scale * stats.chi2.ppf(0.975, 2 * events + 2) / 2
    least = scale * stats.chi2.ppf(0.025, 2 * events) / 2
    low, middle, high = _ends(estimate([findable(np.full(found, similarity), bands, rows)]))
    assert middle == pytest.approx(p)
    # What is approximated is the number missed: within 2 %, at its lower end within 0.03 texts.
    assert found / low - found == pytest.approx(most, rel=0.02)
    assert found / high - found == pytest.approx(least, rel=0.02, abs=0.03 * scale)
    assert low <= middle <= high


def _simulated(
    rng: np.random.Generator, jaccard: NDArray[np.float64], bands: int, rows: int
) -> tuple[float, Recall]:
    # Every text has one partner, so it is found with its P and the truth is what came out.
    hit = rng.random(len(jaccard)) < detection(jaccard, bands, rows)
    return float(hit.mean()), estimate([findable(jaccard[hit], bands, rows)])


# Bandings that find a pair at the threshold of 0.7 with P = 1.00, 0.56 and 0.30. Where P there is far
# below, texts that leave no trace cannot be counted from those that do.
@pytest.mark.parametrize(("bands", "rows"), [(32, 4), (14, 8), (450, 20)])
@pytest.mark.parametrize("texts", [10, 100, 2000])
def test_lower_end_is_below_the_truth_in_95_of_100_audits(bands: int, rows: int, texts: int) -> None:
    rng = np.random.default_rng([bands, rows, texts])
    audits, held = 600, 0
    for _ in range(audits):
        truth, said = _simulated(rng, rng.uniform(0.7, 1, texts), bands, rows)
        held += said.low is None or said.low <= truth + 1e-12
    assert held >= 0.95 * audits


def test_estimate_is_right_on_average() -> None:
    rng = np.random.default_rng(5)
    errors = []
    for _ in range(300):
        truth, said = _simulated(rng, rng.uniform(0.7, 1, 3000), 14, 8)
        errors.append(_ends(said)[1] - truth)
    assert abs(float(np.mean(errors))) < 0.002


def test_unsettled_texts_count_as_missed_at_the_lower_end_alone() -> None:
    parts = [findable(np.full(100, 0.8), 14, 8)]
    low, middle, high = _ends(estimate(parts))
    lower = _ends(estimate(parts, unsettled=30))
    assert lower[1:] == (middle, high)
    assert 100 / lower[0] == pytest.approx(100 / low + 30)


def test_interval_narrows_with_more_texts() -> None:
    widths = []
    for texts in (10, 100, 1000):
        low, _, high = _ends(estimate([findable(np.full(texts, 0.75), 14, 8)]))
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 3 * widths[2]


# Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3.
NEWCOMBE = {
    (81, 263): (0.2553, 0.3662),
    (15, 148): (0.0624, 0.1605),
    (0, 20): (0.0, 0.1611),
    (1, 29): (0.0061, 0.1718),
}


@pytest.mark.parametrize(("hits", "trials"), NEWCOMBE)
def test_share_has_the_interval_of_wilson(hits: int, trials: int) -> None:
    low, middle, high = _ends(wilson(hits, trials))
    assert middle == hits / trials
    assert (low, high) == pytest.approx(NEWCOMBE[hits, trials], abs=6e-5)


@given(st.integers(1, 10_000), st.floats(0, 1))
@example(5, 0.0)
@example(6, 1.0)
@example(10_000, 0.0)
def test_share_equals_the_interval_of_scipy(trials: int, share: float) -> None:
    hits = round(share * trials)
    low, _, high = _ends(wilson(hits, trials))
    reference = stats.binomtest(hits, trials).proportion_ci(0.95, "wilson")
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=1e-6)
    assert 0 <= low <= hits / trials <= high <= 1
