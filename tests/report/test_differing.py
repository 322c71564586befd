"""Which words of two texts are marked."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.normalise import tokens
from pipeline.report.differing import Part, _common, _words, differing

TEXTS = st.text(st.sampled_from(list("ab Ab,.\n漢字é\u0301ก１")), max_size=40)


def marked(parts: tuple[Part, ...]) -> list[str]:
    return [part.text for part in parts if part.differs]


def longest(left: list[str], right: list[str]) -> int:
    """Length of a longest common subsequence, by the textbook's table."""
    row = [0] * (len(right) + 1)
    for word in left:
        last = row[:]
        for j, other in enumerate(right):
            row[j + 1] = last[j] + 1 if word == other else max(last[j + 1], row[j])
    return row[-1]


@given(st.lists(st.sampled_from("abcd"), max_size=30), st.lists(st.sampled_from("abcd"), max_size=30))
@example([], ["a"])
@example(list("abcbdab"), list("bdcaba"))
def test_common_words_are_a_longest_common_subsequence(left: list[str], right: list[str]) -> None:
    found = _common(left, right)
    assert all(left[i] == right[j] for i, j in found)
    assert [i for i, _ in found] == sorted({i for i, _ in found})
    assert [j for _, j in found] == sorted({j for _, j in found})
    assert len(found) == longest(left, right)


@given(TEXTS, TEXTS, st.booleans(), st.booleans())
def test_parts_joined_are_the_texts(left: str, right: str, left_cut: bool, right_cut: bool) -> None:
    found = differing(left, right, left_cut, right_cut)
    assert "".join(part.text for part in found.left) == left
    assert "".join(part.text for part in found.right) == right
    assert all(part.text for part in (*found.left, *found.right))


@given(TEXTS, TEXTS)
def test_no_mark_means_the_same_words(left: str, right: str) -> None:
    words = [[word for word, _, _ in _words(text)] for text in (left, right)]
    assert differing(left, right).same == (words[0] == words[1])


@given(st.text(st.sampled_from(list("ab Ab,.\n漢字ก")), max_size=40))
def test_words_are_the_tokens_of_the_audit(text: str) -> None:
    assert [word for word, _, _ in _words(text)] == tokens(text)


def test_words_that_the_other_lacks_are_marked() -> None:
    found = differing("The quick brown fox, jumps", "the slow brown fox jumps high")
    assert marked(found.left) == ["quick"]
    assert marked(found.right) == ["slow", "high"]


def test_neighbouring_words_are_one_mark() -> None:
    found = differing("a new and longer b", "a b")
    assert found.left == (Part("a ", False), Part("new and longer", True), Part(" b", False))
    assert found.right == (Part("a b", False),)


def test_case_and_punctuation_do_not_count() -> None:
    assert differing("Hello, WORLD!", "hello world").same


def test_words_of_scripts_without_spaces_are_marked_alone() -> None:
    found = differing("漢字仮名", "漢語仮名")
    assert marked(found.left) == ["字"]
    assert marked(found.right) == ["語"]


@pytest.mark.parametrize(("cut", "expected"), [(False, ["tail words"]), (True, [])])
def test_last_words_are_not_marked_where_the_other_goes_on(cut: bool, expected: list[str]) -> None:
    found = differing("a b tail words", "new a b", right_cut=cut)
    assert marked(found.left) == expected
    assert marked(found.right) == ["new"]


def test_texts_on_which_difflib_is_cubic_are_compared() -> None:
    left = " ".join(f"a {'xy'[i % 2]}" for i in range(1000))
    right = " ".join(f"a {'zw'[i % 2]}" for i in range(1000))
    assert len(marked(differing(left, right).left)) == 1000
