"""The table of repeated passages: our audit with and without them beside suffix arrays.

Processor time, not wall time, is compared: all of these run on one core, but what Arrow and polars do
beside the one worker of an audit would count for nothing otherwise.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from figures import Figures, figures_of
from table import WIDTH, aligned, number
from tools import OURS_ONE_CORE, OURS_WITHOUT_PASSAGES, SUFFIX_ARRAY_TOKENS
from trials import Trial
from windows import Agreement, Repeats, agreement_of

HEADINGS = (
    ("", "tool"),
    ("text", "MB"),
    ("docu-", "ments"),
    ("", "cores"),
    ("start-up", "s"),
    ("wall", "s"),
    ("beyond", "s"),
    ("", "MB/s"),
    ("CPU", "s"),
    ("beyond", "CPU s"),
    ("MB a", "CPU s"),
    ("peak", "MB"),
    ("repeated", "windows"),
    ("", "distinct"),
    ("", "share"),
)
MEANING = textwrap.fill(
    "Beyond: without the start-up, the same on next to no documents. CPU: of all cores together. Repeated:"
    " places where a window of 25 tokens (suffix-array-bytes: of 100 bytes) begins that occurs at least twice"
    " in the corpus; distinct windows; share of the tokens (bytes) that lie in one. Passages cost: the audit"
    " on one core less the same without passages. A dash: nothing to measure.",
    WIDTH,
)


@dataclass(frozen=True)
class PassageFigures(Figures):
    """Figures of a tool that may tell repeated windows.

    windows: places where one begins. distinct: different ones.
    repeated_fraction: share of tokens or bytes in one.
    """

    windows: int | None = None
    distinct: int | None = None
    repeated_fraction: float | None = None

    @property
    def megabytes_per_cpu_second(self) -> float | None:
        """Text a second of processor time beyond the start-up."""
        return self.megabytes / self.beyond_cpu_seconds if self.beyond_cpu_seconds else None


def passage_figures_of(trial: Trial, cores: int) -> PassageFigures:
    """Return the figures of a trial. cores: what a tool that can use them was given."""
    figures = PassageFigures(**vars(figures_of(trial, cores, None)))
    if figures.failure or not isinstance(trial.answer, Repeats):
        return figures
    found = trial.answer
    facts = {"windows": found.count, "distinct": found.distinct, "repeated_fraction": found.repeated_fraction}
    return PassageFigures(**{**vars(figures), **facts})


def passage_table(rows: Sequence[PassageFigures]) -> str:
    """Return the rows under their headings."""
    return aligned(HEADINGS, rows, [cells(row) for row in rows])


def cells(row: PassageFigures) -> list[str]:
    """Return the cells of a tool's row, as many as there are headings."""
    return [
        row.tool,
        number(row.megabytes),
        number(row.documents, 0),
        number(row.cores, 0),
        number(row.start_up_seconds, 2),
        number(row.wall_seconds, 2),
        number(row.beyond_seconds, 2),
        number(row.megabytes_per_second),
        number(row.cpu_seconds, 2),
        number(row.beyond_cpu_seconds, 2),
        number(row.megabytes_per_cpu_second),
        number(row.peak_bytes / 1e6, 0),
        number(row.windows, 0),
        number(row.distinct, 0),
        number(row.repeated_fraction, 4),
    ]


def cost_of_passages(rows: Mapping[str, PassageFigures]) -> float | None:
    """Return the processor seconds that passages add to an audit; None where noise leaves nothing."""
    whole, without = (
        row.beyond_cpu_seconds if (row := rows.get(tool)) else None
        for tool in (OURS_ONE_CORE, OURS_WITHOUT_PASSAGES)
    )
    if whole is None or without is None or whole <= without:
        return None
    return whole - without


def cost_lines(rows: Mapping[str, PassageFigures]) -> list[str]:
    """Return what passages cost, if it was measured."""
    cost = cost_of_passages(rows)
    if cost is None:
        return []
    row = rows[OURS_ONE_CORE]
    more = (row.peak_bytes - rows[OURS_WITHOUT_PASSAGES].peak_bytes) / 1e6
    speed = row.megabytes / cost
    return [f"Passages cost: {cost:.2f} CPU s, {speed:,.1f} MB a CPU s; the peak moves by {more:+,.0f} MB"]


def agreement_of_trials(trials: Sequence[Trial]) -> Agreement | None:
    """Compare our windows with the suffix array's of the same tokens; None where one is missing."""
    answers = {trial.entry.tool.name: trial.answer for trial in trials if not trial.failure}
    ours, theirs = answers.get(OURS_ONE_CORE), answers.get(SUFFIX_ARRAY_TOKENS)
    if not isinstance(ours, Repeats) or not isinstance(theirs, Repeats):
        return None
    return agreement_of(ours, theirs)
