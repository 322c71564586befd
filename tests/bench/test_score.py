"""Tests of score: answers whose recall, precision and counts are known by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from score import kept_of_groups, read_answer, recall_precision
from truth import Truth, find_pairs

WORDS = [f"w{i}" for i in range(30)]
NEAR_A = " ".join(WORDS)
NEAR_B = " ".join([*WORDS[:-1], "other"])
ALONE = " ".join(reversed(WORDS))
# Documents 0 and 1 are near, 2 is a copy of 1 after normalising, 3 is alone, 4 and 5 are empty.
TEXTS = [NEAR_A, NEAR_B, NEAR_B.upper(), ALONE, "", "?"]


@pytest.fixture
def truth() -> Truth:
    return find_pairs(TEXTS, 0.7)


def score(answer: list[int] | list[bool], truth: Truth) -> tuple[float, float, int, int]:
    """Return recall, precision, removable of the tool, removable in truth."""
    result = recall_precision(np.array(answer), truth)
    return result.recall, result.precision, result.removable, result.true_removable


def test_the_true_groups_score_one(truth: Truth) -> None:
    assert score([7, 7, 7, -1, -1, -1], truth) == (1, 1, 2, 2)


def test_no_group_finds_nothing_and_is_never_wrong(truth: Truth) -> None:
    assert score([-1] * 6, truth) == (0, 1, 0, 2)
    assert score([0, 1, 2, 3, 4, 5], truth) == (0, 1, 0, 2)


def test_copies_alone_are_right_but_not_the_partner(truth: Truth) -> None:
    assert score([-1, 1, 1, -1, -1, -1], truth) == (0, 1, 1, 2)


def test_one_document_of_a_text_is_enough_to_find_it(truth: Truth) -> None:
    assert score([1, 1, -1, -1, -1, -1], truth) == (1, 1, 1, 2)


def test_a_stranger_in_a_group_costs_precision(truth: Truth) -> None:
    assert score([1, 1, 1, 1, -1, -1], truth) == (1, 2 / 3, 3, 2)


def test_a_group_of_strangers_is_wrong_for_each(truth: Truth) -> None:
    assert score([0, -1, -1, 0, -1, -1], truth) == (0, 0, 1, 2)


def test_empty_documents_are_never_right(truth: Truth) -> None:
    assert score([-1, -1, -1, -1, 4, 4], truth) == (0, 0, 1, 2)


def test_a_text_in_two_groups_is_judged_in_each(truth: Truth) -> None:
    assert score([1, 1, 2, 2, -1, -1], truth) == (1, 2 / 4, 2, 2)


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ([True, False, False, True, True, True], (1, 1, 2, 2)),
        ([False, True, False, True, True, True], (1, 1, 2, 2)),
        ([True, True, False, True, True, True], (1 / 2, 1, 1, 2)),
        ([False, False, False, True, True, True], (1, 1, 3, 2)),
        ([True, True, True, False, True, False], (0, 0, 2, 2)),
        ([True] * 6, (0, 1, 0, 2)),
    ],
)
def test_kept_documents(kept: list[bool], expected: tuple[float, float, int, int], truth: Truth) -> None:
    assert score(kept, truth) == expected


def test_the_first_of_each_group_is_kept() -> None:
    groups = np.array([-1, 5, 3, 5, 3, 9])
    assert kept_of_groups(groups).tolist() == [True, True, True, False, False, True]


def test_nothing_to_find_is_all_found() -> None:
    nothing = find_pairs([])
    assert score([], nothing) == (1, 1, 0, 0)
    assert recall_precision(np.array([], bool), nothing).recall == 1


def test_an_answer_of_another_length_is_refused(truth: Truth) -> None:
    with pytest.raises(ValueError, match="answer: got"):
        recall_precision(np.array([1, 1]), truth)


@pytest.mark.parametrize(("name", "values"), [("group", [3, 3, -1]), ("kept", [True, False, True])])
def test_answers_are_read_back(tmp_path: Path, name: str, values: list[int]) -> None:
    path = tmp_path / "answer.parquet"
    pq.write_table(pa.table({"position": [0, 1, 2], name: values}), path)
    assert read_answer(path).tolist() == values


def test_an_answer_in_another_order_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "answer.parquet"
    pq.write_table(pa.table({"position": [1, 0], "group": [3, 3]}), path)
    with pytest.raises(ValueError, match="positions"):
        read_answer(path)
