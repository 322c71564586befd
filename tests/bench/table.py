"""Figures as lines of text: a table with one row a tool, and one line a goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from figures import Figures, times_slower
from goals import Goal
from tools import OURS, OURS_PROCESSES
from truth import Truth

NOTHING = "-"

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
    groups, removals = row.groups, row.removals
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
        number(groups and groups.recall, 4),
        number(groups and groups.precision, 4),
        number(removals and removals.recall, 4),
        number(removals and removals.precision, 4),
        number(removals and removals.removable, 0),
        number(removals and removals.true_removable, 0),
        number(times_slower(row, ours)),
    ]


def table(rows: Sequence[Figures], ours: Figures | None) -> str:
    """Return the rows under their headings; a tool that failed has its reason for cells."""
    filled = [cells(row, ours) for row in rows if not row.failure]
    names = max(len(row.tool) for row in rows) if rows else 0
    widths = [
        max(len(cell) for cell in column)
        for column in zip(*(heading for heading in zip(*HEADINGS, strict=True)), *filled, strict=True)
    ]
    widths[0] = max(widths[0], names)
    lines = [_line(heading, widths) for heading in zip(*HEADINGS, strict=True)]
    lines.append("─" * len(lines[-1]))
    lines += [
        f"{row.tool:{widths[0]}}  {row.failure}" if row.failure else _line(cells(row, ours), widths)
        for row in rows
    ]
    return "\n".join(lines)


def _line(words: Sequence[str], widths: Sequence[int]) -> str:
    rest = [f"{word:>{width}}" for word, width in zip(words[1:], widths[1:], strict=True)]
    return "  ".join([f"{words[0]:{widths[0]}}", *rest])


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
        f" {truth.removable:,} documents beyond the first of their group, {truth.removable_in_order:,} by keeping or"
        " removing one after the other"
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
