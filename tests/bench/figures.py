"""The figures of one row of a table, from what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import numpy as np
from score import Score, kept_of_groups, recall_precision
from trials import Trial
from truth import Truth


@dataclass(frozen=True)
class Figures:
    """A tool on some documents; seconds and memory are medians.

    cores: how many it was given.
    start_up_seconds: its wall time for next to no documents.
    start_up_cpu_seconds, cpu_seconds: what all cores together spent.
    groups: its answer beside the truth, if it names groups and there is a truth.
    removals: the same of the documents it removes: all beyond the first of each group.
    failure: why there are no figures; empty if there are.
    """

    tool: str
    megabytes: float
    documents: int
    cores: int
    start_up_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_bytes: int = 0
    groups: Score | None = None
    removals: Score | None = None
    failure: str = ""
    start_up_cpu_seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def beyond_seconds(self) -> float | None:
        """Wall time beyond the start-up; None where noise leaves nothing."""
        beyond = self.wall_seconds - self.start_up_seconds
        return beyond if beyond > 0 and not self.failure else None

    @property
    def beyond_cpu_seconds(self) -> float | None:
        """Processor time beyond the start-up; None where noise leaves nothing."""
        beyond = self.cpu_seconds - self.start_up_cpu_seconds
        return beyond if beyond > 0 and not self.failure else None

    @property
    def megabytes_per_second(self) -> float | None:
        """Text a second beyond the start-up."""
        return self.megabytes / self.beyond_seconds if self.beyond_seconds else None

    @property
    def documents_per_second(self) -> float | None:
        """Documents a second beyond the start-up."""
        return self.documents / self.beyond_seconds if self.beyond_seconds else None

    @property
    def megabytes_per_core_second(self) -> float | None:
        """Text a second, a core."""
        return self.megabytes_per_second / self.cores if self.megabytes_per_second else None


def times_slower(peer: Figures | None, ours: Figures | None) -> float | None:
    """Return how many times the seconds of `ours` beyond start-up `peer` takes for as much text."""
    if peer is None or ours is None:
        return None
    if peer.megabytes_per_second is None or ours.megabytes_per_second is None:
        return None
    return ours.megabytes_per_second / peer.megabytes_per_second


def measured_shares(score: Score | None) -> tuple[float | None, float | None]:
    """Return recall and precision; None where there was nothing to find, or nothing was called so."""
    if score is None:
        return None, None
    return (score.recall if score.findable else None), (score.precision if score.called else None)


def figures_of(trial: Trial, cores: int, truth: Truth | None) -> Figures:
    """Return the figures of a trial.

    cores: what a tool that can use them was given.
    truth: of the trial's documents.
    """
    entry = trial.entry
    figures = Figures(
        tool=entry.tool.name,
        megabytes=entry.documents.megabytes,
        documents=entry.documents.count,
        cores=1 if entry.tool.one_core else cores,
        failure=trial.failure or ("" if trial.runs else "was not run"),
    )
    if figures.failure:
        return figures
    groups, removals = scores_of(trial, truth)
    return Figures(
        tool=figures.tool,
        megabytes=figures.megabytes,
        documents=figures.documents,
        cores=figures.cores,
        start_up_seconds=median(run.wall_seconds for run in trial.start_ups),
        wall_seconds=median(run.wall_seconds for run in trial.runs),
        peak_bytes=int(median(run.peak_tree_bytes for run in trial.runs)),
        groups=groups,
        removals=removals,
        start_up_cpu_seconds=median(run.cpu_seconds for run in trial.start_ups),
        cpu_seconds=median(run.cpu_seconds for run in trial.runs),
    )


def scores_of(trial: Trial, truth: Truth | None) -> tuple[Score | None, Score | None]:
    """Return the scores of a trial's groups and of its removals, where they can be had."""
    if truth is None or not isinstance(trial.answer, np.ndarray):
        return None, None
    if trial.answer.dtype == bool:
        return None, recall_precision(trial.answer, truth)
    kept = kept_of_groups(trial.answer.astype(np.int64))
    return recall_precision(trial.answer, truth), recall_precision(kept, truth)
