"""Tests of the definition of a passage itself: two ways to count windows, two ways to join them."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.normalise import tokens
from tests import corpus
from tests import passage_oracle as oracle

Documents = list[list[str]]

W = st.sampled_from([1, 2, 3, 5, 8])
alphabets = st.sampled_from(["a", "ab", "abcd"])


@st.composite
def documents(draw: st.DrawFn, w: int) -> Documents:
    """Documents of few words: at random, periodic, cut out of one another, copied, about a window long."""
    words = st.sampled_from(draw(alphabets))
    blocks = draw(st.lists(st.lists(words, max_size=3 * w), min_size=1, max_size=3))
    block = st.sampled_from(blocks)
    part = st.one_of(
        block,
        st.builds(lambda b, i, n: b[i : i + n], block, st.integers(0, w), st.integers(0, 2 * w)),
        st.builds(lambda b, n: (b * n)[:60], block, st.integers(1, 5)),
        st.lists(words, max_size=4),
        st.builds(lambda n: list("abcd" * n)[:n], st.integers(max(w - 1, 0), w + 1)),
    )
    document = st.lists(part, max_size=4).map(lambda parts: [word for each in parts for word in each])
    return draw(st.lists(document, max_size=6))


cases = W.flatmap(lambda w: st.tuples(documents(w), st.just(w)))


def joined(found: Documents) -> list[str]:
    return [corpus.joined(words) for words in found]


@given(cases)
@example(([], 8))
@example(([[]], 8))
@example(([["a"] * 100], 25))
@example(([list("abcdefg"), list("abcdefg")], 8))
@example(([list("abcdefgh"), list("abcdefgh")], 8))
@example(([list("abcdefghi"), list("abcdefghi"), list("bcdefghi")], 8))
def test_the_dictionary_and_the_suffix_array_find_the_same_windows(case: tuple[Documents, int]) -> None:
    found, w = case
    texts = joined(found)
    assert oracle.repeated_windows(texts, w) == oracle.repeated_windows_by_suffix_array(texts, w)


@given(cases)
@example(([["a"] * 40, ["a"] * 9], 8))
@example(([list("abababababab"), list("bababababa")], 3))
def test_paths_joined_by_neighbours_are_those_joined_by_counts(case: tuple[Documents, int]) -> None:
    found, w = case
    by_definition = sorted(
        (d, start, len(words), len(places))
        for words, places in oracle.passages(found, w).items()
        for d, start in places
    )
    if not found:
        assert by_definition == []
        return
    by_counts = oracle.paths(oracle.suffix_array(found), w)
    columns = (by_counts.document, by_counts.token_start, by_counts.tokens, by_counts.occurrences)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == by_definition


@given(cases)
def test_the_places_of_passages_are_all_places_of_all_repeated_windows(case: tuple[Documents, int]) -> None:
    found, w = case
    passages = oracle.passages(found, w)
    inside: Counter[oracle.Words] = Counter()
    for words, places in passages.items():
        for window in oracle.windows(words, w):
            assert inside[window] == 0, "a window belongs to one passage, and stands in it once"
            inside[window] = len(places)
    assert inside == oracle.repeated_windows(joined(found), w)


@given(cases)
def test_a_passage_stands_at_its_places_and_nowhere_else(case: tuple[Documents, int]) -> None:
    found, w = case
    for words, places in oracle.passages(found, w).items():
        assert len(words) >= w
        assert places == sorted(places)
        assert places == [
            (d, i) for d, document in enumerate(found) for i, _ in enumerate(document)
            if tuple(document[i : i + len(words)]) == words
        ]  # fmt: skip


@given(cases, st.randoms(use_true_random=False))
def test_the_order_of_documents_changes_no_passage(case: tuple[Documents, int], rng: random.Random) -> None:
    found, w = case
    shuffled = rng.sample(found, len(found))
    one, other = oracle.passages(found, w), oracle.passages(shuffled, w)
    assert {words: len(places) for words, places in one.items()} == {
        words: len(places) for words, places in other.items()
    }


@given(cases)
def test_neighbouring_passages_overlap_by_less_than_a_window(case: tuple[Documents, int]) -> None:
    found, w = case
    spans = sorted(
        (d, start, start + len(words))
        for words, places in oracle.passages(found, w).items()
        for d, start in places
    )
    for (d, first, end), (other, next_first, next_end) in pairwise(spans):
        if d == other:
            assert first < next_first
            assert end < next_end
            assert end - next_first <= w - 1


def test_one_word_a_hundred_times_is_one_passage_of_a_window() -> None:
    (found,) = oracle.passages([["a"] * 100], 25).items()
    assert found == (("a",) * 25, [(0, i) for i in range(76)])
    assert oracle.repeated_windows(["a " * 100], 25) == {("a",) * 25: 76}


@pytest.mark.parametrize(("length", "count"), [(7, 0), (8, 1), (9, 1)])
def test_only_documents_of_a_window_or_more_hold_one(length: int, count: int) -> None:
    words = list("abcdefghi")[:length]
    assert len(oracle.passages([words, words], 8)) == count


def test_a_branch_ends_a_passage() -> None:
    p, q = list("abcdefgh"), list("ijklmnop")
    found = oracle.passages([[*p, *q], ["x", *p, *q, "y"], [*p, "z"]], 8)
    assert {"".join(words): len(places) for words, places in found.items()} == {
        "abcdefgh": 3,
        "bcdefghijklmnop": 2,
    }


def test_the_end_of_a_document_is_a_branch() -> None:
    found = oracle.passages([list("abcdefghi"), list("abcdefgh")], 8)
    assert {"".join(words): len(places) for words, places in found.items()} == {"abcdefgh": 2}
    found = oracle.passages([list("xabcdefgh"), list("abcdefgh")], 8)
    assert {"".join(words): len(places) for words, places in found.items()} == {"abcdefgh": 2}


def counted(pattern: str, times: int = 9) -> str:
    """A pattern over and over, its names replaced by numbers that count up."""
    return " ".join(pattern.format(i=i, ten=10 * i, down=99 - i, big=10**17 + i) for i in range(times))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (counted("a", 25), True),
        (counted("a b", 13), True),
        (counted("a b c d e f g h", 4), True),
        (counted("a b c d e f g h i", 4), False),
        (counted("{i}", 25), True),
        (counted("{down}", 25), True),
        (counted("row{i}", 25), True),
        (counted("row{i}", 24) + " row99", False),
        (counted("row{i}", 24) + " col24", False),
        (counted("item {i} price"), True),
        (counted("item {i} costs {ten}"), True),
        (counted("item {i} costs {ten}") + " item 9 costs 91", False),
        (counted("x{i:03} y{down:03}", 13), True),
        (counted("x{i} z x{i} y", 8), True),
        (counted("v{big}", 25), True),
        (counted("v{big}9", 25), False),
        (counted("{i} {i:02} {i:03}", 9), True),
        (counted("1") + " " + counted("{i}", 16), False),
        (corpus.joined(corpus.fresh(random.Random(1), 25)), False),
    ],
)
def test_a_passage_that_follows_from_its_begin_is_predictable(text: str, wanted: bool) -> None:
    words = tokens(text)
    assert len(words) >= 25
    assert oracle.predictable(words, 25) is wanted


def test_a_period_is_at_most_a_third_of_a_window() -> None:
    cycle = tokens("a b c " * 5)
    assert not oracle.predictable(cycle, 8)
    assert oracle.predictable(cycle, 9)
