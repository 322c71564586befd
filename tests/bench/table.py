"""Figures as lines of text: a table with one row a tool, and one line a goal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from figures import Figures, measured_shares, times_slower
from goals import Goal
from score import Score
from tools import OURS, OURS_PROCESSES, Tool
from truth import Truth

NOTHING = "-"
WIDTH = 110
MEANING = textwrap.fill(
    "Recall and precision are against this project's definition of token and of shingle, at a Jaccard"
    " similarity of 0.7; tools that cut text otherwise answer a slightly different question. Groups: the"
    " share of texts with a partner that share a group with one, and of members of groups that belong"
    " there. Removals: the same of the documents beyond the first of each group. Times ours: the seconds"
    " beyond start-up, beside those of ours, for as much text. A dash: nothing to measure.",
    WIDTH,
)

# Two lines a heading; the unit is in the lower one.
HEADINGS = (
    ("", "tool"),
    ("text", "MB"),
    ("docu-", "ments"),
    ("start-up", "s"),
    ("wall", "s"),
    ("beyond", "s"),
    ("", "MB/s"),
    ("", "docs/s"),
    ("MB/s", "a core"),
    ("peak", "MB"),
    ("groups:", "recall"),
    ("", "precision"),
    ("removals:", "recall"),
    ("", "precision"),
    ("", "count"),
    ("", "true"),
    ("times", "ours"),
)


def number(value: float | None, digits: int = 1) -> str:
    """Return a number with thousands separated, or a dash for none."""
    return NOTHING if value is None else f"{value:,.{digits}f}"


def cells(row: Figures, ours: Figures | None) -> list[str]:
    """Return the cells of a tool's row, as many as there are headings."""
    removals = row.removals
    return [
        row.tool,
        number(row.megabytes),
        number(row.documents, 0),
        number(row.start_up_seconds, 2),
        number(row.wall_seconds, 2),
        number(row.beyond_seconds, 2),
        number(row.megabytes_per_second),
        number(row.documents_per_second, 0),
        number(row.megabytes_per_core_second),
        number(row.peak_bytes / 1e6, 0),
        *_shares(row.groups),
        *_shares(removals),
        number(None if removals is None else removals.removable, 0),
        number(None if removals is None else removals.true_removable, 0),
        number(times_slower(row, ours)),
    ]


def _shares(score: Score | None) -> list[str]:
    return [number(share, 4) for share in measured_shares(score)]


def table(rows: Sequence[Figures], ours: Figures | None) -> str:
    """Return the rows under their headings; a tool that failed has its reason for cells."""
    return aligned(HEADINGS, rows, [cells(row, ours) for row in rows])


def aligned(
    named: Sequence[tuple[str, str]], rows: Sequence[Figures], cells_of_rows: Sequence[list[str]]
) -> str:
    """Return cells under headings of two lines, the tool's name first; the reason where one failed."""
    headings = list(zip(*named, strict=True))
    lines = [
        [row.tool, row.failure] if row.failure else of_row
        for row, of_row in zip(rows, cells_of_rows, strict=True)
    ]
    whole = [*headings, *(line for line, row in zip(lines, rows, strict=True) if not row.failure)]
    widths = [max(map(len, column)) for column in zip(*whole, strict=True)]
    widths[0] = max([widths[0], *(len(row.tool) for row in rows)])
    top = [_line(heading, widths) for heading in headings]
    rule = "─" * len(top[-1])
    return "\n".join([*top, rule, *(_line(line, widths) for line in lines)])


def _line(words: Sequence[str], widths: Sequence[int]) -> str:
    # A failure is a single long cell.
    rest = [f"{word:>{width}}" for word, width in zip(words[1:], widths[1:], strict=False)]
    return "  ".join([f"{words[0]:{widths[0]}}", *rest])


def note(tool: Tool) -> str:
    """Return what to know about a tool."""
    return textwrap.fill(f"{tool.name}: {tool.note}", WIDTH, initial_indent="  ", subsequent_indent="    ")


def goal_line(goal: Goal) -> str:
    """Return a goal, what was measured, and whether that is enough."""
    answer = {True: "yes", False: "no", None: "not measured"}[goal.met]
    measured = "" if goal.measured is None else f": {goal.measured:.4g} {goal.unit}".rstrip()
    bound = f"{'at least' if goal.at_least else 'under'} {goal.bound:g} {goal.unit}".rstrip()
    return f"  {answer:12}  {goal.what} {bound}{measured}"


def truth_line(name: str, truth: Truth | None) -> str:
    """Return what brute force found."""
    if truth is None:
        return f"Brute force on {name}: failed or took too long, so recall and precision are not known"
    return (
        f"Brute force on {name}: {len(truth.left):,} pairs of distinct texts at {truth.threshold:g} or above;"
        f" {truth.removable:,} documents beyond the first of their group,"
        f" {truth.removable_in_order:,} by keeping or removing one after the other"
    )


def processes_lines(rows: Mapping[str, Figures]) -> list[str]:
    """Return the comparison of threads with processes, if both were measured."""
    both = [("threads", rows.get(OURS)), ("processes", rows.get(OURS_PROCESSES))]
    measured = [
        f"{kind} {row.wall_seconds:.2f} s wall, {row.peak_bytes / 1e6:,.0f} MB"
        for kind, row in both
        if row is not None and not row.failure
    ]
    return [f"Threads or processes: {'; '.join(measured)}"] if len(measured) == 2 else []
