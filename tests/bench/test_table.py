"""Tests of table: what a reader sees."""

from __future__ import annotations

import pytest
from figures import Figures
from goals import Goal
from measure import Measurement
from score import Score
from table import HEADINGS, cells, goal_line, number, processes_lines, table, truth_line
from truth import find_pairs
from warm_start import WarmStart, warm_start_goals, warm_start_lines

SCORE = Score(findable=100, found=99, called=100, right=98, removable=1_482, true_removable=318)
OURS = Figures("dupaudit", 100.04, 20_000, 2, 2.0, 4.0, 999_600_000, groups=SCORE, removals=SCORE)
RENSA = Figures("rensa", 100.04, 20_000, 2, 1.0, 25.0, 300_000_000, removals=SCORE)
FAILED = Figures("a-tool-of-long-name", 100.04, 20_000, 2, failure="failed with exit code 1: no module")


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [(None, 1, "-"), (1234.56, 1, "1,234.6"), (0, 0, "0"), (0.98996, 4, "0.9900")],
)
def test_numbers(value: float | None, digits: int, expected: str) -> None:
    assert number(value, digits) == expected


def test_cells_are_in_the_order_of_the_headings() -> None:
    named = dict(zip(HEADINGS, cells(RENSA, OURS), strict=True))
    assert named["text", "MB"] == "100.0"
    assert named["beyond", "s"] == "24.00"
    assert named["groups:", "recall"] == "-"
    assert named["removals:", "recall"] == "0.9900"
    assert named["", "count"] == "1,482"
    assert named["", "true"] == "318"
    assert named["times", "ours"] == "12.0"
    assert cells(OURS, OURS)[9:12] == ["1,000", "0.9900", "0.9800"]


def test_lines_of_a_table_are_as_wide_as_its_rule() -> None:
    lines = table([OURS, RENSA], OURS).splitlines()
    assert len(lines) == 5
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split()[0] == "tool"
    assert lines[4].startswith("rensa ")


def test_a_failure_is_a_row_that_says_so() -> None:
    lines = table([OURS, FAILED], OURS).splitlines()
    assert lines[4] == "a-tool-of-long-name  failed with exit code 1: no module"
    assert table([FAILED], None).splitlines()[3] == lines[4]


@pytest.mark.parametrize(
    ("goal", "line"),
    [
        (
            Goal("rensa takes", 10, "times ours", 12.345),
            "yes rensa takes at least 10 times ours: 12.35 times ours",
        ),
        (Goal("peak memory", 1.5, "GB", 1.6, at_least=False), "no peak memory under 1.5 GB: 1.6 GB"),
        (Goal("recall", 0.99, "", 0.5), "no recall at least 0.99: 0.5"),
        (Goal("second run", 8, "s", None, at_least=False), "not measured second run under 8 s"),
    ],
)
def test_goal_lines(goal: Goal, line: str) -> None:
    assert " ".join(goal_line(goal).split()) == line


def test_what_brute_force_found() -> None:
    words = [f"w{i}" for i in range(30)]
    texts = [" ".join(words), " ".join([*words[:-1], "other"])]
    line = truth_line("two", find_pairs(texts))
    assert line.startswith("Brute force on two: 1 pairs of distinct texts at 0.7 or above; 1 documents")
    assert "not known" in truth_line("two", None)


def test_threads_and_processes_are_compared_where_both_ran() -> None:
    processes = Figures("dupaudit-processes", 100.0, 20_000, 2, 3.0, 6.0, 2_000_000_000)
    rows = {"dupaudit": OURS, "dupaudit-processes": processes}
    assert processes_lines(rows) == [
        "Threads or processes: threads 4.00 s wall, 1,000 MB; processes 6.00 s wall, 2,000 MB"
    ]
    assert processes_lines({"dupaudit": OURS}) == []


def test_warm_start_tells_first_second_and_later_runs() -> None:
    start = WarmStart(tuple(Measurement(wall, 300_000_000, 0, "", "") for wall in (20.0, 3.0, 2.0, 2.5)))
    lines = [" ".join(line.split()) for line in warm_start_lines(start)]
    assert lines[0] == "first ever, with compilation 20.00 s 300 MB"
    assert lines[1] == "second 3.00 s 300 MB"
    assert lines[2:] == ["later 2.00 s 300 MB", "later 2.50 s 300 MB", "median after the first 2.50 s"]
    assert [(goal.measured, goal.met) for goal in warm_start_goals(start)] == [(3.0, True), (20.0, True)]


def test_a_warm_start_that_failed_says_so() -> None:
    start = WarmStart((), "failed with exit code 2: no such option")
    assert warm_start_lines(start) == ["  failed with exit code 2: no such option"]
    assert [goal.met for goal in warm_start_goals(start)] == [None, None]
