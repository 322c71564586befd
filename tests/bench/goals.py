"""The goals of the project for speed, memory and truth, and whether figures reach them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from figures import Figures, measured_shares, times_slower
from tools import OURS

PEAK_GIGABYTES = 1.5
RECALL = 0.99
# Times the seconds of ours beyond start-up, on the part of python-code.
TIMES = {"rensa": 10.0, "text-dedup": 25.0, "datatrove": 100.0}
MEGABYTES_PER_CORE_SECOND = {"python-code": 30.0, "debian-docs": 20.0}
FIRST_EVER_SECONDS = 45.0
SECOND_RUN_SECONDS = 8.0


@dataclass(frozen=True)
class Goal:
    """A bound and what was measured; None where it was not.

    at_least: the bound is a lower one and belongs to the goal; else an upper one that does not.
    """

    what: str
    bound: float
    unit: str
    measured: float | None
    at_least: bool = True

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where nothing was measured."""
        if self.measured is None:
            return None
        return self.measured >= self.bound if self.at_least else self.measured < self.bound


def goals_of(name: str, rows: Mapping[str, Figures]) -> list[Goal]:
    """Return the goals that a table answers.

    name: of the table.
    rows: its figures by tool.
    """
    ours = rows.get(OURS)
    if ours is not None and ours.failure:
        ours = None
    goals = []
    if name == "python-code-part":
        goals += [
            Goal(f"{peer} takes", bound, "times ours", times_slower(rows.get(peer), ours))
            for peer, bound in TIMES.items()
        ]
    if name in MEGABYTES_PER_CORE_SECOND:
        speed = None if ours is None else ours.megabytes_per_core_second
        goals.append(Goal("throughput", MEGABYTES_PER_CORE_SECOND[name], "MB/s a core", speed))
    peak = None if ours is None else ours.peak_bytes / 1e9
    goals.append(Goal("peak memory", PEAK_GIGABYTES, "GB", peak, at_least=False))
    if ours is not None and ours.groups is not None:
        recall, precision = measured_shares(ours.groups)
        goals.append(Goal("recall", RECALL, "", recall))
        goals.append(Goal("precision", 1.0, "", precision))
    return goals
