"""Anchors: which windows share a minimizer, and what tells equal ones apart."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kernels.hashing import mix64
from pipeline.kernels.minimizers import GRAM_BITS, NO_ROOM, Anchors, anchors, room, roomier, sampler
from pipeline.kernels.rolling import powers
from pipeline.kernels.scan import tokeniser
from tests import corpus as planted
from tests.kernels.plain import plain_python
from tests.kernels.test_rolling import MODULUS, hash_of
from tests.kernels.tokenising import run, written

TOK = tokeniser(1 << 17)
WORDS = st.lists(st.sampled_from(["a", "b", "c", "longerthaneight", "漢"]), max_size=60)
SIZES = st.integers(8, 30)
SIZES_BY_HAND = [8, 9, 25, 26, 100, 1000]


class Anchor(NamedTuple):
    """What the definition says of an anchor: what it is the same as others by, and where it is."""

    gram: tuple[str, ...]
    around: tuple[tuple[str, ...], bool, bool]
    first: int
    windows: int


def _found(words: Sequence[str], window: int, out: Anchors | None = None, filled: int = 0) -> tuple[int, Any]:
    """What the kernel returns, and the anchors."""
    outcome, n, _ = run(" ".join(words).encode(), tok=TOK)
    assert (outcome, n, written(n, TOK)) == (0, len(words), " ".join(words))
    out = room(len(words) + 1) if out is None else out
    stop = anchors(TOK.text, TOK.ends, n, sampler(window), out, filled)
    return stop, [column[filled:stop].tolist() for column in out] if stop != NO_ROOM else None


def gram_hash(gram: Sequence[str]) -> int:
    """The hash of a gram by its definition."""
    value, base = 0, int(powers(1)[1])
    for word in gram:
        value = (value * base + _hash_of(word)) % MODULUS
    return value


@cache
def _hash_of(word: str) -> int:
    return hash_of(word.encode())


def defined(words: Sequence[str], window: int) -> list[Anchor]:
    """The anchors by their definition."""
    size = (window + 1) // 2
    grams = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
    known = {gram: gram_hash(gram) for gram in set(grams)}
    hashes = [known[gram] for gram in grams]
    places = [
        min(range(i, i + window - size + 1), key=lambda at: (hashes[at], -at))
        for i in range(len(words) - window + 1)
    ]
    found = []
    for first, place in enumerate(places):
        if first == 0 or places[first - 1] != place:
            last = max(i for i, other in enumerate(places) if other == place)
            around = tuple(words[max(first - 1, 0) : last + window + 1])
            borders = first == 0, last + window == len(words)
            found.append(Anchor(grams[place], (around, *borders), first, last - first + 1))
    return found


def _shortened(value: int) -> int:
    return int(mix64(np.uint64(value))) >> 64 - GRAM_BITS << 64 - GRAM_BITS


def _check(texts: Sequence[Sequence[str]], window: int) -> None:
    known: dict[Any, set[int]] = {}
    total = 0
    for words in texts:
        stop, columns = _found(words, window)
        wanted = defined(words, window)
        assert stop == len(wanted)
        gram, context, windows = columns
        assert gram == [int(mix64(np.uint64(gram_hash(anchor.gram)))) >> 24 << 24 for anchor in wanted]
        assert windows == [anchor.windows for anchor in wanted]
        assert sum(windows) == max(len(words) - window + 1, 0)
        assert max(windows, default=1) <= window - (window + 1) // 2 + 1
        assert all(value % 2 == 0 for value in context)
        for anchor, value in zip(wanted, context, strict=True):
            known.setdefault(anchor.around, set()).add(value)
        total += len(wanted)
    values = [value for found in known.values() for value in found]
    assert len(values) == len(set(values)) == len(known)


@given(st.lists(WORDS, max_size=5), SIZES)
@example([["a"] * 60, ["a"] * 61, ["a"] * 8], 8)
@example([["a", "b"] * 30, ["b", "a"] * 30], 9)
@example([[], ["a"]], 8)
def test_anchors_are_what_their_definition_says(texts: list[list[str]], window: int) -> None:
    _check(texts, window)


@pytest.mark.parametrize("window", SIZES_BY_HAND)
def test_anchors_of_long_texts_are_what_their_definition_says(window: int) -> None:
    # Longer than the rings that hold the hashes of what an anchor can reach back to.
    rng = random.Random(window)
    words = [f"w{rng.randrange(1 << 20)}" for _ in range(400 + 4 * window)]
    few = rng.choices("abcd", k=300 + 3 * window)
    _check([words, words[200 : 200 + 2 * window], few, words[: window + 1], ["x"] * (window + 50)], window)


@pytest.mark.parametrize("window", [8, 9, 25])
def test_of_equal_grams_behind_a_smaller_one_the_last_is_the_minimizer(window: int) -> None:
    # When the smallest gram leaves the windows, the next is looked for among grams that repeat.
    rng = random.Random(window)
    texts = []
    for _ in range(150):
        before, block, after = (planted.fresh(rng, n) for n in (window, rng.randint(1, window // 4), 3))
        texts.append([*before, *block * (3 * window // len(block)), *after])
    for words in texts:
        _check([words], window)


@pytest.mark.parametrize("window", SIZES_BY_HAND)
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_text_of_about_one_window_has_so_many_windows(window: int, more: int) -> None:
    words = [f"w{i}" for i in range(window + more)]
    stop, columns = _found(words, window)
    assert sum(columns[2]) == more + 1
    assert (stop > 0) == (more >= 0)
    _check([words], window)


def test_of_equal_grams_the_last_is_the_minimizer() -> None:
    # All grams are equal, so the minimizer moves on with each window.
    stop, (gram, context, windows) = _found(["a"] * 40, 8)
    assert stop == 33
    assert windows == [1] * 33
    assert len(set(gram)) == 1
    # The first and the last window stand at a border, all others look alike.
    assert len(set(context)) == 3
    assert len(set(context[1:-1])) == 1


@given(WORDS, st.integers(8, 12), st.data())
def test_equal_windows_have_equal_minimizers(words: list[str], window: int, data: st.DataObject) -> None:
    if len(words) < window:
        return
    at = data.draw(st.integers(0, len(words) - window))
    around = data.draw(WORDS), data.draw(WORDS)
    other = [*around[0], *words[at : at + window], *around[1]]
    pairs = [(words, at), (other, len(around[0]))]
    grams = []
    for text, place in pairs:
        _, (gram, _, windows) = _found(text, window)
        grams.append(np.repeat(np.array(gram, np.uint64), windows)[place])
    assert grams[0] == grams[1]


def test_context_tells_the_border_from_any_token() -> None:
    words = [f"w{i}" for i in range(8)]
    texts = [words, [*words, "x"], ["x", *words], ["x", *words, "x"], ["y", *words, "x"], [*words, "y"]]
    contexts = set()
    for text in texts:
        _, (_, context, windows) = _found(text, 8)
        contexts |= set(zip(context, windows, strict=True))
    wanted = {anchor.around for text in texts for anchor in defined(text, 8)}
    assert len(contexts) == len(wanted)


def test_anchors_follow_those_that_are_there() -> None:
    words = random.Random(1).choices("abcdef", k=50)
    _, alone = _found(words, 8)
    n = len(alone[0])
    out = room(n + 7)
    for column in out:
        column[:] = 77
    stop, behind = _found(words, 8, out, 5)
    assert stop == n + 5
    assert behind == alone
    assert all(set(column[:5].tolist()) == set(column[stop:].tolist()) == {77} for column in out)


def test_too_little_room_is_reported_and_never_overrun() -> None:
    words = random.Random(2).choices("abcdef", k=50)
    n, alone = _found(words, 8)
    for size in range(n + 3):
        held = room(n + 3)
        for column in held:
            column[:] = 77
        stop, found = _found(words, 8, Anchors._make(column[:size] for column in held))
        assert (stop, found) == ((NO_ROOM, None) if size < n else (n, alone))
        assert all((column[size:] == 77).all() for column in held)
    assert _found(words, 8, room(n + 4), 5) == (NO_ROOM, None)
    assert _found(words[:7], 8, room(0), 0) == (0, [[], [], []])


def test_roomier_keeps_what_is_there() -> None:
    small = Anchors(
        np.arange(4, dtype=np.uint64), np.arange(4, 8, dtype=np.uint64), np.arange(4).astype("u2")
    )
    large = roomier(small, 3)
    assert [len(column) for column in large] == [8] * 3
    assert [column[:3].tolist() for column in large] == [[0, 1, 2], [4, 5, 6], [0, 1, 2]]
    assert [column.dtype for column in large] == [column.dtype for column in small]


@pytest.mark.parametrize("window", [0, 8, 9, 25, 1000])
def test_sampler_has_grams_of_half_a_window(window: int) -> None:
    made = sampler(window)
    assert made.sizes.tolist() == [window, (window + 1) // 2]
    assert len(made.powers) == 2 * window + 2
    assert len(made.prefixes) == len(made.grams) > 2 * window + 2
    assert len(made.prefixes) & (len(made.prefixes) - 1) == 0


def test_plain_python_finds_the_same() -> None:
    words = ["a"] * 12 + random.Random(3).choices(["b", "c", "a", "longerthaneight"], k=60)
    n, compiled = _found(words, 8)
    out, tight = room(n), room(n - 1)
    run(" ".join(words).encode(), tok=TOK)
    with plain_python():
        assert anchors.py_func(TOK.text, TOK.ends, len(words), sampler(8), out, 0) == n
        assert anchors.py_func(TOK.text, TOK.ends, len(words), sampler(8), tight, 0) == NO_ROOM
        assert anchors.py_func(TOK.text, TOK.ends, 7, sampler(8), out, 3) == 3
    assert [column.tolist() for column in out] == compiled
