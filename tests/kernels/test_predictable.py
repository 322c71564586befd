"""Passages that can be foretold: examples by hand, and agreement with the rule on strings."""

from __future__ import annotations

import random
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.kernels.predictable import MOST_PERIOD, most_period, predictable
from tests.kernels.plain import plain_python


def _arrays(tokens: list[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    text = np.frombuffer(" ".join(tokens).encode(), np.uint8)
    return text, np.cumsum([len(token.encode()) + 1 for token in tokens], dtype=np.int64) - 1


def _found(tokens: list[str], longest: int = MOST_PERIOD) -> bool:
    return bool(predictable(*_arrays(tokens), 0, len(tokens), longest))


# --- the definition, on strings ---------------------------------------------------------------


def _parts(token: str) -> tuple[str, int | None]:
    match = re.fullmatch(r"(.*?)([0-9]*)", token, re.DOTALL)
    assert match is not None
    stem, digits = match.groups()
    return (stem, int(digits)) if 1 <= len(digits) <= 18 else (token, None)


def _steps(tokens: list[str]) -> set[int | None]:
    steps: set[int | None] = set()
    for one, two in pairwise(tokens):
        (stem, number), (next_stem, next_number) = _parts(one), _parts(two)
        if one == two:
            steps.add(0)
        elif stem == next_stem and number is not None and next_number is not None:
            steps.add(next_number - number)
        else:
            steps.add(None)
    return steps


def _expected(tokens: list[str], longest: int) -> bool:
    """Each period deals the tokens out into rows; a row must go on by one step."""
    return any(
        all(None not in steps and len(steps) <= 1 for steps in (_steps(tokens[k::p]) for k in range(p)))
        for p in range(1, longest + 1)
    )


TOKEN = st.sampled_from(
    ["a", "b", "é", "漢", "1", "2", "3", "01", "a1", "a2", "b1", "10", "9" * 18, "9" * 19, "1" + "0" * 18]
)


@st.composite
def _nearly_periodic(draw: st.DrawFn) -> list[str]:
    """A cycle with counters, some rounds of it, and perhaps a token that breaks it."""
    stems = draw(st.lists(st.sampled_from(["", "a", "bc", "é", "a1b"]), min_size=1, max_size=9))
    starts = [draw(st.none() | st.integers(0, 120)) for _ in stems]
    steps = [draw(st.sampled_from([0, 0, 1, 2, 9, -1])) for _ in stems]
    rounds = draw(st.integers(1, 5))
    tokens = [
        stem + ("" if start is None else str(max(start + step * k, 0))) or "x"
        for k in range(rounds)
        for stem, start, step in zip(stems, starts, steps, strict=True)
    ]
    for place in draw(st.lists(st.integers(0, len(tokens) - 1), max_size=1)):
        tokens[place] = draw(TOKEN)
    return tokens[: draw(st.integers(1, len(tokens)))]


@given(st.lists(TOKEN, max_size=12) | _nearly_periodic(), st.integers(0, 9))
@example(["a"] * 25, 8)
@example(["1", "01", "001", "0001"], 1)
@example(["a1", "a1", "a2"], 1)
@example(["1", "2", "4"], 1)
def test_predictable_is_what_the_rule_says(tokens: list[str], longest: int) -> None:
    assert _found(tokens, longest) == _expected(tokens, longest)


@given(_nearly_periodic(), st.lists(TOKEN, max_size=4), st.lists(TOKEN, max_size=4), st.integers(1, 8))
def test_tokens_around_a_passage_do_not_matter(
    passage: list[str], before: list[str], after: list[str], longest: int
) -> None:
    text, ends = _arrays(before + passage + after)
    assert predictable(text, ends, len(before), len(passage), longest) == _found(passage, longest)


@given(st.lists(TOKEN, max_size=8) | _nearly_periodic(), st.integers(0, 8))
def test_plain_python_says_the_same(tokens: list[str], longest: int) -> None:
    compiled = _found(tokens, longest)
    with plain_python():
        assert bool(predictable.py_func(*_arrays(tokens), 0, len(tokens), longest)) == compiled


# --- by hand ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        "la " * 25,
        "to be or not " * 8,
        " ".join(map(str, range(1, 26))),
        " ".join(map(str, range(50, 0, -2))),
        " ".join(f"{i:03}" for i in range(95, 120)),
        " ".join(f"case {i} return error_{i}".replace("_", " ") for i in range(8)),
        " ".join(f"item{i} value{3 * i}" for i in range(13)),
        " ".join(f"0 0 {i} 1 1 {2 * i} x y" for i in range(4)),
    ],
    ids=["one token", "cycle", "counter", "countdown", "leading zeros", "template", "two counters", "eight"],
)
def test_what_nobody_has_to_memorize_is_predictable(words: str) -> None:
    assert _found(words.split()[:25], most_period(25))


@pytest.mark.parametrize(
    "words",
    [
        "la " * 24 + "lo",
        "lo " + "la " * 24,
        " ".join(f"{i:x}" for i in range(5, 30)),
        " ".join(str(random.Random(i).randrange(1000)) for i in range(25)),
        " ".join(map(str, [*range(1, 25), 26])),
        " ".join(str(i * i) for i in range(25)),
        " ".join(f"a{i}b" for i in range(25)),
        "one two three four five six seven eight nine " * 3,
        " ".join(str(10**18 + i) for i in range(25)),
        " ".join(["x"] * 12 + ["x1"] + ["x"] * 12),
        "x " + " ".join(f"x{i}" for i in range(1, 25)),
        " ".join("a" * (i + 1) + str(i) for i in range(25)),
        " ".join(chr(ord("a") + i) + str(i) for i in range(25)),
    ],
    ids=[
        "last token differs",
        "first token differs",
        "hexadecimal",
        "random numbers",
        "one number left out",
        "squares",
        "counter in the middle",
        "nine in a cycle",
        "nineteen digits",
        "with and without a number",
        "first without a number",
        "stems that grow",
        "stems of one length",
    ],
)
def test_what_changes_otherwise_is_not(words: str) -> None:
    assert not _found(words.split(), most_period(25))


def test_numbers_of_eighteen_digits_are_numbers() -> None:
    top = 10**18 - 1
    assert _found([str(top - i) for i in range(25)])
    assert _found([str(top if i % 2 else 0) for i in range(25)])
    assert not _found([str(top if i % 2 else 0) for i in range(25)], 1)


def test_number_of_nineteen_digits_is_equal_to_itself_alone() -> None:
    assert _found(["9" * 19] * 25)
    assert not _found(["0" * 18 + "1", "0" * 17 + "1"] + ["1"] * 23)


def test_a_cycle_is_seen_three_times() -> None:
    assert [most_period(tokens) for tokens in (8, 12, 23, 24, 25, 1000)] == [2, 4, 7, 8, 8, 8]
    for tokens in range(8, 60):
        assert 3 * most_period(tokens) <= tokens


def test_passage_without_a_second_round_is_predictable() -> None:
    assert _found(["a", "b"], 2)
    assert _found([], 1)
    assert not _found(["a", "b"], 1)
    assert not _found(["a"] * 9, 0)


def test_a_million_tokens_take_no_memory_of_their_own() -> None:
    tokens = ["ab"] * 999_999
    assert _found(tokens)
    assert not _found([*tokens, "b"])
