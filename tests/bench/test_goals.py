"""Tests of figures and goals: what is divided by what, and when a goal is reached."""

from __future__ import annotations

from dataclasses import replace

import pytest
from figures import Figures, times_slower
from goals import Goal, goals_of
from score import Score

OURS = Figures("dupaudit", 100.0, 20_000, 2, start_up_seconds=2.0, wall_seconds=4.0, peak_bytes=10**9)
RENSA = Figures("rensa", 100.0, 20_000, 2, start_up_seconds=1.0, wall_seconds=25.0)
SMALL = Figures("datasketch", 5.0, 1_000, 1, start_up_seconds=1.0, wall_seconds=6.0)


def met(name: str, *rows: Figures) -> dict[str, bool | None]:
    """Return the answer to each goal of a table."""
    return {goal.what: goal.met for goal in goals_of(name, {row.tool: row for row in rows})}


def test_speed_is_of_the_time_beyond_start_up() -> None:
    assert OURS.beyond_seconds == 2
    assert OURS.megabytes_per_second == 50
    assert OURS.megabytes_per_core_second == 25
    assert OURS.documents_per_second == 10_000


def test_times_are_of_the_seconds_beyond_start_up() -> None:
    assert times_slower(RENSA, OURS) == 12
    assert times_slower(OURS, OURS) == 1


def test_times_on_a_smaller_part_are_for_as_much_text() -> None:
    assert times_slower(SMALL, OURS) == 50


@pytest.mark.parametrize("wall_seconds", [1.0, 0.5])
def test_no_speed_where_the_start_up_is_all(wall_seconds: float) -> None:
    lost = replace(RENSA, wall_seconds=wall_seconds)
    assert lost.beyond_seconds is lost.megabytes_per_second is lost.megabytes_per_core_second is None
    assert times_slower(lost, OURS) is times_slower(OURS, lost) is None


def test_a_failed_tool_has_no_speed() -> None:
    failed = replace(RENSA, failure="failed with exit code 1")
    assert failed.megabytes_per_second is times_slower(failed, OURS) is None


@pytest.mark.parametrize(
    ("measured", "at_least", "expected"),
    [(1.5, True, True), (1.5, False, False), (1.4, True, False), (1.4, False, True), (None, True, None)],
)
def test_a_goal_is_reached(measured: float | None, at_least: bool, expected: bool | None) -> None:
    assert Goal("it", 1.5, "s", measured, at_least).met is expected


def test_goals_of_the_part_are_times_of_each_peer() -> None:
    answers = met("python-code-part", OURS, RENSA)
    assert answers["rensa takes"] is True
    assert answers["text-dedup takes"] is answers["datatrove takes"] is None
    assert met("python-code-part", OURS, replace(RENSA, wall_seconds=20.9))["rensa takes"] is False
    assert "rensa takes" not in met("python-code", OURS, RENSA)


@pytest.mark.parametrize(("name", "expected"), [("python-code", False), ("debian-docs", True)])
def test_throughput_goals_differ_by_set(name: str, expected: bool) -> None:
    assert met(name, OURS)["throughput"] is expected


def test_memory_is_a_goal_everywhere() -> None:
    assert met("eltec-novels", OURS) == {"peak memory": True}
    assert met("eltec-novels", replace(OURS, peak_bytes=1_500_000_000)) == {"peak memory": False}


def test_recall_and_precision_are_goals_where_there_is_a_truth() -> None:
    score = Score(findable=100, found=99, called=100, right=99, removable=50, true_removable=51)
    answers = met("eltec-novels", replace(OURS, groups=score))
    assert (answers["recall"], answers["precision"]) == (True, False)


def test_recall_of_nothing_is_not_a_goal_reached() -> None:
    nothing = Score(findable=0, found=0, called=0, right=0, removable=0, true_removable=0)
    answers = met("eltec-novels", replace(OURS, groups=nothing))
    assert answers["recall"] is answers["precision"] is None


def test_nothing_is_reached_where_ours_failed_or_did_not_run() -> None:
    failed = replace(OURS, failure="failed with exit code 1")
    assert set(met("python-code-part", failed, RENSA).values()) == {None}
    assert set(met("python-code", RENSA).values()) == {None}
