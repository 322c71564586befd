"""The goals of the project for passages: speed and memory beside suffix arrays, the same answer, growth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from figures import Figures
from goals import Goal
from passages import PassageFigures, cost_of_passages
from tools import OURS, OURS_ONE_CORE, SUFFIX_ARRAY_BYTES, SUFFIX_ARRAY_TOKENS
from windows import Agreement

TIMES_FASTER = 6.0
SHARE_OF_MEMORY = 0.2
MEGABYTES_PER_CORE_SECOND = 20.0
PEAK_GIGABYTES = 2.0
# Of the largest audit beside the smallest, ten times as much text apart.
LEAST_SHARE_OF_SPEED = 0.8
MOST_TIMES_PEAK = 1.5
# The table that is large enough for speed and memory to mean something.
WHOLE = "passages"


def passage_goals(
    name: str, rows: Mapping[str, PassageFigures], agreement: Agreement | None, *, compared: bool
) -> list[Goal]:
    """Return the goals that a table of passages answers.

    name: of the table. rows: its figures by tool.
    agreement: of our windows with a suffix array's. compared: whether both were to run.
    """
    goals = []
    for peer in (SUFFIX_ARRAY_BYTES, SUFFIX_ARRAY_TOKENS):
        if peer in rows:
            goals += _beside(peer, rows)
    ours = _measured(rows, OURS)
    if name == WHOLE and OURS in rows:
        speed = None if ours is None else ours.megabytes_per_core_second
        goals.append(Goal("throughput of the whole audit", MEGABYTES_PER_CORE_SECOND, "MB/s a core", speed))
    if OURS in rows:
        peak = None if ours is None else ours.peak_bytes / 1e9
        goals.append(Goal("its peak memory", PEAK_GIGABYTES, "GB", peak, at_least=False))
    return [*goals, *(agreement_goals(agreement) if compared else [])]


def _measured(rows: Mapping[str, PassageFigures], tool: str) -> PassageFigures | None:
    row = rows.get(tool)
    return None if row is None or row.failure else row


def _beside(peer: str, rows: Mapping[str, PassageFigures]) -> list[Goal]:
    theirs, ours, cost = _measured(rows, peer), _measured(rows, OURS_ONE_CORE), cost_of_passages(rows)
    seconds = None if theirs is None else theirs.beyond_cpu_seconds
    times = None if seconds is None or cost is None else seconds / cost
    share = None if theirs is None or ours is None else ours.peak_bytes / theirs.peak_bytes
    return [
        Goal(f"{peer} takes", TIMES_FASTER, "times the CPU seconds of passages", times),
        Goal("the whole audit's peak memory", SHARE_OF_MEMORY, f"of {peer}'s", share, at_least=False),
    ]


def agreement_goals(agreement: Agreement | None) -> list[Goal]:
    """Return that our windows are those of a suffix array, a goal a way to differ."""
    wording = {
        "missing": "repeated windows missing",
        "extra": "windows that are not repeated",
        "distinct": "distinct windows too many or too few",
        "places": "places too many or too few by occurrences",
        "documents": "documents with other repeated tokens",
        "tokens": "tokens too many or too few",
    }
    return [
        Goal(
            wording[field.name],
            1,
            "",
            None if agreement is None else getattr(agreement, field.name),
            at_least=False,
        )
        for field in fields(Agreement)
    ]


def scaling_goals(rows: Sequence[Figures]) -> list[Goal]:
    """Return that time grows with the text and memory does not, of audits from the smallest on."""
    first, last = rows[0], rows[-1]
    both = not first.failure and not last.failure and len(rows) > 1
    share = times = None
    if both and first.megabytes_per_second and last.megabytes_per_second:
        share = last.megabytes_per_second / first.megabytes_per_second
    if both and first.peak_bytes:
        times = last.peak_bytes / first.peak_bytes
    least = f"of that on {first.megabytes:,.0f} MB"
    return [
        Goal(f"speed on {last.megabytes:,.0f} MB", LEAST_SHARE_OF_SPEED, least, share),
        Goal(
            f"peak on {last.megabytes:,.0f} MB", MOST_TIMES_PEAK, f"times {least[3:]}", times, at_least=False
        ),
        Goal("its peak memory", PEAK_GIGABYTES, "GB", None if last.failure else last.peak_bytes / 1e9, False),
    ]
