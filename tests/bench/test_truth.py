"""Tests of truth: the pairs equal the plain definition, over random corpora and by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
import truth
from hypothesis import example, given, settings
from hypothesis import strategies as st
from truth import fast_tokens, find_pairs

from pipeline.normalise import normalised, shingles, tokens

THRESHOLDS = (0.3, 0.5, 0.7, 0.8, 0.95, 1.0)


def naive_pairs(texts: Sequence[str], threshold: float) -> dict[tuple[str, str], Fraction]:
    """Compare every two distinct normalised texts by their sets of shingles."""
    distinct = {normalised(text): shingles(text) for text in texts}
    distinct.pop("", None)
    found = {}
    ordered = list(distinct)
    for place, one in enumerate(ordered):
        for other in ordered[place + 1 :]:
            shared = len(distinct[one] & distinct[other])
            jaccard = Fraction(shared, len(distinct[one]) + len(distinct[other]) - shared)
            if jaccard >= Fraction(str(threshold)):
                found[one, other] = jaccard
    return found


def found_pairs(texts: Sequence[str], threshold: float) -> dict[tuple[str, str], Fraction]:
    """Return the pairs of find_pairs by normalised text."""
    result = find_pairs(texts, threshold)
    text_of = {}
    for text, number in zip(texts, result.text_of_document.tolist(), strict=True):
        text_of[number] = normalised(text)
    return {
        (text_of[left], text_of[right]): Fraction(jaccard).limit_denominator(10**6)
        for left, right, jaccard in zip(
            result.left.tolist(), result.right.tolist(), result.jaccard.tolist(), strict=True
        )
    }


def random_corpus(seed: int, documents: int) -> list[str]:
    """Return random texts, and edited, cut, joined and equal copies of them."""
    dice = random.Random(seed)
    words = ["a", "b", "ça", "D", "e5", "雪", "ﬁx", "x_y"][: dice.randint(2, 8)]
    texts: list[str] = []
    for _ in range(documents):
        if texts and dice.random() < 0.7:
            made = dice.choice(texts).split(" ")
            for _ in range(dice.randint(0, 3)):
                made[dice.randrange(len(made))] = dice.choice([*words, "", "new", "new words"])
            if dice.random() < 0.3:
                made = made[: dice.randint(1, len(made))] + dice.choice(texts).split(" ")
        else:
            made = dice.choices(words, k=dice.randint(0, 60)) or [""]
        texts.append(" ".join(made[:200]))
    return texts


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("seed", range(12))
def test_pairs_equal_the_definition_on_random_corpora(seed: int, threshold: float) -> None:
    texts = random_corpus(seed, documents=60)
    assert found_pairs(texts, threshold) == naive_pairs(texts, threshold)


def test_pairs_equal_the_definition_when_work_is_cut_into_many_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(truth, "CHUNK_ELEMENTS", 50)
    texts = random_corpus(seed=99, documents=80)
    expected = naive_pairs(texts, 0.5)
    assert len(expected) > 50
    assert found_pairs(texts, 0.5) == expected


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text("ab ", max_size=40), max_size=12), st.sampled_from(THRESHOLDS))
@example(["a b a b a b", "b a b a b a"], 1.0)
def test_pairs_equal_the_definition_on_tiny_alphabets(texts: list[str], threshold: float) -> None:
    assert found_pairs(texts, threshold) == naive_pairs(texts, threshold)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
@example("Straße İstanbul ǅ ﬁ x̌ 日本語ひら がな ไทย ½ x²\x1c\u00a0_-\u0345Σς")
def test_fast_tokens_equal_the_definition(text: str) -> None:
    assert fast_tokens(text) == tokens(text)


def test_a_pair_at_the_threshold_counts() -> None:
    # 9 shared of 11: between 0.81 and 0.82.
    words = [f"w{i}" for i in range(14)]
    texts = [" ".join(words), " ".join([*words[:-1], "other"])]
    assert len(find_pairs(texts, 0.81).left) == 1
    assert len(find_pairs(texts, 0.82).left) == 0
    # 7 shared of 10: exactly 0.7, which no binary fraction is.
    first, second = words[:12], [*words[:11], "x", "y"]
    assert found_pairs([" ".join(first), " ".join(second)], 0.7) == {
        (" ".join(first), " ".join(second)): Fraction(7, 10)
    }


def test_short_texts_match_their_copies_alone() -> None:
    result = find_pairs(["one two", "One, two!", "one two three", "a b c d", "a b c d e"], 0.1)
    assert result.text_of_document.tolist() == [0, 0, 1, 2, 3]
    assert len(result.left) == 0
    assert result.removable == result.removable_in_order == 1


def test_documents_without_tokens_match_nothing() -> None:
    result = find_pairs(["", "...", "", "a"], 0.5)
    assert result.text_of_document.tolist() == [-1, -1, -1, 0]
    assert result.removable == result.removable_in_order == 0


@pytest.mark.parametrize("texts", [[], [""], ["a"], ["a b c d e"]])
def test_nothing_to_compare(texts: list[str]) -> None:
    result = find_pairs(texts)
    assert len(result.text_of_document) == len(texts)
    assert len(result.left) == len(result.right) == len(result.jaccard) == 0


def test_a_chain_is_one_component_but_in_order_its_end_stays() -> None:
    words = [f"w{i}" for i in range(40)]
    chain = [words[:30], words[4:34], words[8:38]]
    result = find_pairs([" ".join(each) for each in chain], 0.7)
    assert list(zip(result.left.tolist(), result.right.tolist(), strict=True)) == [(0, 1), (1, 2)]
    assert result.component.tolist() == [0, 0, 0]
    assert (result.removable, result.removable_in_order) == (2, 1)


@pytest.mark.parametrize("threshold", [0.0, -0.5, 1.1, 1 / 3])
def test_a_threshold_out_of_range_or_not_decimal_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold: got"):
        find_pairs(["a"], threshold)


def test_order_of_documents_changes_numbers_not_pairs() -> None:
    texts = random_corpus(seed=5, documents=60)
    backward = {tuple(sorted(pair)) for pair in found_pairs(texts[::-1], 0.5)}
    assert {tuple(sorted(pair)) for pair in found_pairs(texts, 0.5)} == backward
    assert np.all(np.diff(find_pairs(texts, 0.5).left) >= 0)
