"""How much of what is near an audit finds: the detection curve and what it says of a run.

A pair of similarity J shares a band with probability P(J) = 1 - (1 - J^rows)^bands. A text
whose best verified similarity is J was findable with at least that probability, so it stands
for at most 1 / P(J) texts (the estimator of Horvitz and Thompson, 1952), and of all texts with
a near partner the share found is at least found / sum(1 / P). Conservative, because a text
with several partners had several chances and is counted as if it had one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_Z = 1.959964  # two-sided 95 %
# What is summed is rounded to multiples of this: up to 2**23 such sums are exact, and so the same
# however texts are divided into ranges.
_QUANTUM = 2.0**-30


@dataclass(frozen=True)
class Findable:
    """Sums over the texts found: how many, how many they stand for beyond themselves, and the
    variance of that."""

    found: int = 0
    missed: float = 0.0
    variance: float = 0.0


@dataclass(frozen=True)
class Recall:
    """A recall with its 95 % interval; None where nothing was found, so nothing can be said."""

    estimate: float | None
    low: float | None
    high: float | None


def detection(jaccard: NDArray[np.float64], bands: int, rows: int) -> NDArray[np.float64]:
    """Probability that a pair of each similarity shares at least one band."""
    return 1.0 - (1.0 - jaccard**rows) ** bands


def findable(best: NDArray[np.float64], bands: int, rows: int) -> Findable:
    """What texts with these best similarities stand for."""
    p = detection(best, bands, rows)
    return Findable(len(best), _sum((1 - p) / p), _sum((1 - p) / p**2))


def _sum(values: NDArray[np.float64]) -> float:
    return float(np.sum(np.rint(values / _QUANTUM))) * _QUANTUM


def total(parts: Iterable[Findable]) -> Findable:
    """The sum of parts, in their order."""
    held = list(parts)
    return Findable(
        sum(part.found for part in held),
        math.fsum(part.missed for part in held),
        math.fsum(part.variance for part in held),
    )


def _chi_square_quantile(z: float, degrees: float) -> float:
    # Wilson and Hilferty (1931); within 2 % for the degrees that occur here (2 and more).
    spread = 2.0 / (9.0 * degrees)
    return degrees * max(1.0 - spread + z * math.sqrt(spread), 0.0) ** 3


def estimate(parts: Iterable[Findable], unsettled: int = 0) -> Recall:
    """The recall of a run, from all texts that it found a partner for.

    `unsettled` texts are those that may have a partner which was proposed to nobody, see
    `stages.second_look`; the lower end counts each of them as missed.

    The number missed is taken as Poisson, stretched by the ratio of its variance to its mean,
    with the exact interval for that (Garwood 1936): where nothing is expected to be missed, up
    to 3.7 texts still may be.
    """
    sums = total(parts)
    if not sums.found:
        return Recall(None, None, None)
    scale = sums.variance / sums.missed if sums.missed > 0 else 1.0
    events = sums.missed / scale
    most = scale * _chi_square_quantile(_Z, 2 * events + 2) / 2
    least = scale * _chi_square_quantile(-_Z, 2 * events) / 2 if events > 0 else 0.0
    return Recall(
        sums.found / (sums.found + sums.missed),
        sums.found / (sums.found + most + unsettled),
        sums.found / (sums.found + least),
    )


def wilson(hits: int, trials: int) -> Recall:
    """A share with the 95 % interval of Wilson (1927)."""
    if trials == 0:
        return Recall(None, None, None)
    share, square = hits / trials, _Z * _Z
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = (
        _Z / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    )
    # Where all or none are hits, rounding would leave the end a little beside the share.
    return Recall(share, min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share))
