"""Tests of the tables of passages: what is compared with what, and when a goal is reached."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from measure import Measurement
from passage_goals import passage_goals, scaling_goals
from passages import (
    HEADINGS,
    PassageFigures,
    agreement_of_trials,
    cells,
    cost_lines,
    cost_of_passages,
    passage_figures_of,
    passage_table,
)
from plan import Extent
from scaling import QUICK_SIZES_BYTES, scaling_entries
from sets import Documents
from tools import TOOLS, Job
from trials import Entry, Trial
from windows import Agreement, Repeats

ALL = PassageFigures("dupaudit", 100.0, 20_000, 2, 2.0, 4.0, 1_900_000_000)
ONE = PassageFigures(
    "dupaudit-one-core", 100.0, 20_000, 1, 2.0, 8.0, 1_000_000_000, None, None, "", 1.5, 7.5, 33, 11, 0.25
)
WITHOUT = replace(ONE, tool="dupaudit-no-passages", cpu_seconds=5.5, peak_bytes=900_000_000)
TOKENS = replace(ONE, tool="suffix-array-tokens", cpu_seconds=13.5, peak_bytes=4_000_000_000)
BYTES = replace(ONE, tool="suffix-array-bytes", cpu_seconds=13.4, peak_bytes=6_000_000_000)
ROWS = {row.tool: row for row in (ALL, ONE, WITHOUT, TOKENS, BYTES)}
SAME = Agreement(*[0] * len(fields(Agreement)))
DOCUMENTS = Documents("some", (), np.array([100_000_000]), "")


def trial(tool: str, windows: int, failure: str = "") -> Trial:
    """Return a trial that found one run of windows in a text of 100 tokens."""
    answer = Repeats(25, 100, np.array([0]), np.array([5]), np.array([windows]), distinct=2)
    done = Trial(Entry(TOOLS[tool], DOCUMENTS, DOCUMENTS), answer=answer, failure=failure)
    done.start_ups.append(Measurement(1.0, 10, 0, "", "", 2.0))
    done.runs.append(Measurement(3.0, 20, 0, "", "", 6.0))
    return done


def met(name: str, rows: dict[str, PassageFigures], agreement: Agreement | None = SAME) -> list[bool | None]:
    """Return the answers to the goals of a table, in order."""
    return [goal.met for goal in passage_goals(name, rows, agreement, compared=True)]


def test_what_passages_cost_is_a_difference_of_processor_time() -> None:
    assert cost_of_passages(ROWS) == 2.0
    assert cost_lines(ROWS) == ["Passages cost: 2.00 CPU s, 50.0 MB a CPU s; the peak moves by +100 MB"]


@pytest.mark.parametrize(
    "rows",
    [
        {},
        {ONE.tool: ONE},
        {ONE.tool: ONE, WITHOUT.tool: replace(WITHOUT, cpu_seconds=7.5)},
        {ONE.tool: ONE, WITHOUT.tool: replace(WITHOUT, failure="failed")},
    ],
)
def test_no_cost_where_nothing_is_left(rows: dict[str, PassageFigures]) -> None:
    assert cost_of_passages(rows) is None
    assert cost_lines(rows) == []


def test_goals_beside_suffix_arrays() -> None:
    goals = passage_goals("passages", ROWS, SAME, compared=True)
    assert [(goal.measured, goal.met) for goal in goals[:4]] == [
        (pytest.approx(5.95), False),
        (pytest.approx(1 / 6), True),
        (6.0, True),
        (0.25, False),
    ]
    assert [(goal.measured, goal.met) for goal in goals[4:6]] == [(25.0, True), (1.9, True)]
    assert [goal.met for goal in goals[6:]] == [True] * len(fields(Agreement))


def test_windows_that_differ_are_a_goal_missed() -> None:
    assert met("passages", ROWS, replace(SAME, missing=1))[6] is False
    assert met("passages", ROWS, None)[6:] == [None] * len(fields(Agreement))


def test_throughput_is_a_goal_of_the_whole_set_alone() -> None:
    assert len(met("passages", ROWS)) == len(met("passages-part", ROWS)) + 1


def test_nothing_is_reached_where_a_tool_failed() -> None:
    failed = {tool: replace(row, failure="failed") for tool, row in ROWS.items()}
    assert set(met("passages", failed, None)) == {None}


def test_only_what_ran_has_goals() -> None:
    assert passage_goals("passages", {ONE.tool: ONE}, None, compared=False) == []


def test_figures_are_of_what_was_found() -> None:
    row = passage_figures_of(trial("suffix-array-tokens", 6), 2)
    assert (row.windows, row.distinct, row.repeated_fraction) == (6, 2, 0.3)
    assert (row.cores, row.beyond_seconds, row.beyond_cpu_seconds) == (1, 2.0, 4.0)
    assert row.megabytes_per_cpu_second == 25.0


def test_cells_are_in_the_order_of_the_headings() -> None:
    named = dict(zip(HEADINGS, cells(ONE), strict=True))
    assert (named["CPU", "s"], named["beyond", "CPU s"], named["MB a", "CPU s"]) == ("7.50", "6.00", "16.7")
    assert (named["repeated", "windows"], named["", "distinct"], named["", "share"]) == ("33", "11", "0.2500")
    assert cells(ALL)[-3:] == ["-"] * 3
    lines = passage_table([ONE, replace(ALL, failure="failed with exit code 1: no")]).splitlines()
    assert lines[-1].split(maxsplit=1)[1] == "failed with exit code 1: no"


def test_our_windows_are_compared_with_those_of_tokens() -> None:
    trials = [trial("dupaudit-one-core", 6), trial("suffix-array-tokens", 7), trial("suffix-array-bytes", 9)]
    agreement = agreement_of_trials(trials)
    assert agreement is not None
    assert (agreement.missing, agreement.extra) == (1, 0)
    assert agreement_of_trials(trials[1:]) is None
    assert agreement_of_trials([trials[0], trial("suffix-array-tokens", 7, "failed")]) is None


def test_audits_run_with_one_worker_and_without_passages() -> None:
    job = Job((), Path("scratch"), 1, Path("python"))
    one, without = (TOOLS[row.tool].command(job) for row in (ONE, WITHOUT))
    assert one[-2:] == ["--workers", "1"]
    assert without == [*one, "--set", "passages.enabled=false"]


def test_growth_is_of_the_largest_beside_the_smallest() -> None:
    large = replace(ALL, megabytes=1000.0, wall_seconds=27.0, peak_bytes=2_900_000_000)
    goals = scaling_goals([ALL, replace(ALL, megabytes=200.0), large])
    assert [(goal.measured, goal.met) for goal in goals] == [
        (pytest.approx(0.8), True),
        (pytest.approx(2.9 / 1.9), False),
        (2.9, False),
    ]
    assert {goal.met for goal in scaling_goals([ALL, replace(large, failure="failed")])} == {None}


def test_growth_is_measured_on_larger_and_larger_sets(tmp_path: Path) -> None:
    assert scaling_entries(tmp_path, Extent(quick=True, all_tools=False), tmp_path) is None
    folder = tmp_path / "python-code"
    folder.mkdir()
    texts = [f"line {i} of some program\n" * 200 for i in range(1000)]
    pq.write_table(pa.table({"id": [str(i) for i in range(1000)], "text": texts}), folder / "part-0.parquet")
    entries = scaling_entries(tmp_path, Extent(quick=True, all_tools=False), tmp_path)
    assert entries is not None
    sizes = [int(entry.documents.lengths.sum()) for entry in entries]
    assert [size // 100_000 for size in sizes] == [size // 100_000 for size in QUICK_SIZES_BYTES]
    assert {entry.few.count for entry in entries} == {1}
