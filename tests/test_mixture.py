"""Epochs of sources: as given, or as shares of the training tokens mean."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.config import MixtureConfig, ModelConfig
from pipeline.errors import ConfigError
from pipeline.label_hashes import name_hash
from pipeline.mixture import MILLION, MOST_EPOCHS, Epochs, epochs_of, weighted_sources

NAMES = st.sampled_from(["web", "books", "", "é", "0"])


def _of(epochs: Epochs, *names: str | None) -> list[int]:
    hashes = np.array([0 if name is None else name_hash(name) for name in names], np.uint64)
    found = epochs.of(hashes)
    assert found.dtype == np.int64
    return [int(millionths) for millionths in found]


def _weighted(weights: dict[str, float], tokens: dict[str, int], **model: float) -> Epochs:
    by_hash = {name_hash(name): count for name, count in tokens.items()}
    return epochs_of(MixtureConfig(weights=weights), ModelConfig.model_validate(model), by_hash)


def test_without_a_mixture_everything_is_shown_once() -> None:
    epochs = epochs_of(MixtureConfig(), ModelConfig(), {})
    assert epochs == Epochs()
    assert _of(epochs, "web", None, "books") == [MILLION] * 3
    assert _of(epochs) == []


@given(st.dictionaries(NAMES, st.sampled_from([0.0, 0.1, 1.0, 1.5, 3.0, 1e6])))
@example({"web": 0.0})
def test_epochs_are_those_that_are_given_and_one_elsewhere(given_epochs: dict[str, float]) -> None:
    epochs = epochs_of(MixtureConfig(epochs=given_epochs), ModelConfig(), {})
    assert list(epochs.sources) == sorted(epochs.sources)
    names = ["web", "books", "", "é", "0", "other", None]
    wanted = [MILLION if name is None else round(given_epochs.get(name, 1.0) * MILLION) for name in names]
    assert _of(epochs, *names) == wanted


def test_hash_beyond_all_known_ones_is_not_known() -> None:
    epochs = Epochs((5, 2**63), (2, 3), 7)
    hashes = np.array([0, 4, 5, 6, 2**63 - 1, 2**63, 2**64 - 1], np.uint64)
    assert epochs.of(hashes).tolist() == [7, 7, 2, 7, 7, 3, 7]


def test_epochs_are_millionths_rounded() -> None:
    epochs = epochs_of(MixtureConfig(epochs={"a": 1e-7, "b": 5.1e-7, "c": 1 / 3}), ModelConfig(), {})
    assert _of(epochs, "a", "b", "c") == [0, 1, 333_333]


def test_weights_are_tokens_drawn_over_tokens_there_by_hand() -> None:
    # 900 of 1,000 tokens are 450 words of 300, and 100 are 50 of 200.
    epochs = _weighted({"web": 9, "books": 1}, {"web": 300, "books": 200}, training_tokens=1000)
    assert _of(epochs, "web", "books") == [1_500_000, 250_000]
    epochs = _weighted({"web": 9}, {"web": 300}, training_tokens=1000, tokens_per_word=1)
    assert _of(epochs, "web") == [3_333_333]


def test_source_that_no_weight_names_is_not_trained_on() -> None:
    epochs = _weighted({"web": 1, "books": 0}, {"web": 10, "books": 10}, training_tokens=20)
    assert _of(epochs, "web", "books", "other", None) == [MILLION, 0, 0, 0]


def test_source_without_a_token_has_no_epochs() -> None:
    epochs = _weighted({"web": 1, "none": 1}, {"web": 10, "none": 0}, training_tokens=40)
    assert _of(epochs, "web", "none") == [MILLION, 0]


@given(
    st.dictionaries(NAMES, st.tuples(st.floats(0, 1e9), st.integers(0, 10**9)), min_size=1),
    st.floats(1, 1e9),
    st.floats(0.1, 100),
)
def test_weights_give_the_epochs_of_exact_fractions(
    known: dict[str, tuple[float, int]], training_tokens: float, tokens_per_word: float
) -> None:
    weights = {name: weight for name, (weight, _) in known.items()}
    whole = sum(map(Fraction, weights.values()))
    if not sum(weights.values()) > 0:
        return
    wanted = {}
    for name, (weight, own) in known.items():
        drawn = Fraction(weight) / whole * Fraction(training_tokens) / Fraction(tokens_per_word)
        wanted[name] = float(drawn / own) if own else 0.0
    tokens = {name: own for name, (_, own) in known.items()}
    model = {"training_tokens": training_tokens, "tokens_per_word": tokens_per_word}
    most = max(wanted.values())
    if most > MOST_EPOCHS * (1 + 1e-9):
        with pytest.raises(ConfigError, match="too often"):
            _weighted(weights, tokens, **model)
    elif most < MOST_EPOCHS * (1 - 1e-9):
        found = _of(_weighted(weights, tokens, **model), *known)
        for millionths, epochs in zip(found, wanted.values(), strict=True):
            assert math.isclose(millionths, epochs * MILLION, rel_tol=1e-12, abs_tol=0.5 + 1e-6)


@given(st.dictionaries(NAMES, st.floats(0.1, 1e3), min_size=1), st.integers(-100, 100))
def test_scale_of_the_weights_changes_nothing(weights: dict[str, float], power: int) -> None:
    tokens = dict.fromkeys(weights, 1000)
    scaled = {name: weight * 2.0**power for name, weight in weights.items()}
    one, two = (_weighted(each, tokens, training_tokens=5e5) for each in (weights, scaled))
    assert one == two


def test_weights_that_show_a_source_too_often_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"mixture\.weights show a source too often") as caught:
        _weighted({"web": 1, "x" * 500: 1}, {"web": 10**9, "x" * 500: 1}, training_tokens=4e6 + 8)
    error = caught.value
    assert error.where == repr("x" * 500)[:80]
    assert (error.got, error.expected) == ("1,000,002 epochs of 1 tokens", "at most 1,000,000")
    assert error.fix == "check its weight, and model.training_tokens"
    # Just as often as is allowed.
    assert _of(_weighted({"web": 1}, {"web": 1}, training_tokens=2e6), "web") == [10**12]


def test_sources_whose_tokens_count_are_those_with_a_weight() -> None:
    assert weighted_sources(MixtureConfig()) == ()
    assert weighted_sources(MixtureConfig(epochs={"web": 2})) == ()
    named = weighted_sources(MixtureConfig(weights={"web": 1, "books": 0, "": 2}))
    assert named == tuple(sorted(map(name_hash, ("web", "books", ""))))
