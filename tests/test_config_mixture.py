"""The configuration of sources, their epochs and the model: short forms, and what has to go together."""

from __future__ import annotations

import pytest
import yaml

from pipeline.config import parse, resolved
from pipeline.errors import ConfigError

BOTH = {"inputs": "data", "source": {"column": "a"}, "source_column": "b"}
MEANT = "a source or source_column besides, to know which documents are meant"
# What concerns several sections: what is written, the problem.
ACROSS = [
    (
        "source: {column: a}\nsource_column: b",
        f"config: got {BOTH!r}, need source or source_column, not both",
    ),
    (
        "mixture: {web: 2}",
        f"mixture: got {{'web': 2}}, need {MEANT}",
    ),
    (
        "mixture: {weights: {web: 2}}",
        f"mixture: got {{'weights': {{'web': 2}}}}, need {MEANT}",
    ),
    (
        "source_column: a\nmixture: {weights: {web: 2}}",
        "model: got nothing, need training_tokens, so that mixture.weights become epochs",
    ),
    (
        "source_column: a\nmodel: {parameters: 7e9}\nmixture: {weights: {web: 2}}",
        "model: got {'parameters': '7e9'}, need training_tokens, so that mixture.weights become epochs",
    ),
]


@pytest.mark.parametrize(("written", "problem"), ACROSS, ids=[written for written, _ in ACROSS])
def test_problem_of_several_sections_says_what_is_needed(written: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"inputs": "data"} | yaml.safe_load(written))
    assert str(caught.value).splitlines() == ["1 problem(s) in the configuration:", f"  {problem}"]


def test_a_wrong_source_is_told_once() -> None:
    with pytest.raises(ConfigError, match=r"1 problem\(s\) in the configuration:\n  source: got"):
        parse({"inputs": "data", "source": {}, "mixture": {"web": 2}})


def test_problem_of_short_epochs_names_the_source() -> None:
    with pytest.raises(ConfigError, match=r"mixture\.epochs\.web: got -1, need greater than or equal to 0"):
        parse({"inputs": "data", "source_column": "from", "mixture": {"web": -1}})


def test_source_may_be_a_column_in_short() -> None:
    config = parse({"inputs": "a", "source_column": "from"})
    assert config == parse({"inputs": "a", "source": {"column": "from"}})
    assert config == parse({"inputs": "a", "source": None, "source_column": "from"})
    assert (config.labelled, parse({"inputs": "a"}).labelled) == (True, False)
    assert parse({"inputs": "a", "licence_column": "terms"}).labelled


@pytest.mark.parametrize(
    ("written", "epochs"),
    [
        ("{wikipedia: 3, books: 1.5}", {"wikipedia": 3.0, "books": 1.5}),
        ("{epochs: {wikipedia: 3}}", {"wikipedia": 3.0}),
        ("{epochs: {epochs: 2}}", {"epochs": 2.0}),
        ("{epochs: 2, weights: 3}", {"epochs": 2.0, "weights": 3.0}),
        ("{web: 0}", {"web": 0.0}),
        ("{web: 1000000}", {"web": 1e6}),
        ("{}", {}),
    ],
)
def test_epochs_may_be_said_in_short(written: str, epochs: dict[str, float]) -> None:
    config = parse({"inputs": "a", "source_column": "from", "mixture": yaml.safe_load(written)})
    assert (config.mixture.epochs, config.mixture.weights) == (epochs, None)
    assert parse(resolved(config)).mixture == config.mixture


def test_weights_may_have_any_scale() -> None:
    weights = {"web": 90, "wikipedia": 0, "epochs": 1e300}
    model = {"training_tokens": 1e12}
    config = parse({"inputs": "a", "source_column": "b", "mixture": {"weights": weights}, "model": model})
    assert (config.mixture.epochs, config.mixture.weights) == ({}, weights)
    assert parse(resolved(config)).mixture == config.mixture


def test_model_is_what_was_said_and_no_more() -> None:
    model = parse({"inputs": "a"}).model
    assert (model.parameters, model.training_tokens, model.tokens_per_word, model.curve) == (
        None,
        None,
        2.0,
        None,
    )
    written = "{parameters: 7.0e+9, training_tokens: 2e12, tokens_per_word: 1.3, curve: inserted}"
    model = parse({"inputs": "a", "model": yaml.safe_load(written)}).model
    assert (model.parameters, model.training_tokens) == (7e9, 2e12)
    assert (model.tokens_per_word, model.curve) == (1.3, "inserted")
