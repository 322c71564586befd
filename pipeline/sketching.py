"""What two sketches say about the similarity of their texts.

A sketch keeps one byte of each signature value, so two unequal values agree by chance once in
256 (Li and Koenig 2010, b-bit minwise hashing).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

STANDARD_ERRORS = 3.0  # a pair whose estimate lies this far under a limit is not compared
CHANCE = 1 / 256
BY_CHANCE = 1 / 500


def estimated(agreeing: NDArray[np.int64], permutations: int) -> NDArray[np.float64]:
    """The Jaccard that numbers of agreeing places estimate, without bias."""
    return (agreeing / permutations - CHANCE) / (1 - CHANCE)


def least_above_chance(permutations: int) -> int:
    """The fewest places in which sketches must agree to say that their texts share anything.

    Two texts that share nothing agree in so many with a probability under `BY_CHANCE`. Where many
    small similarities are added up, as exposures are, what chance alone gives would add up, too.
    """
    at_least, place = 1.0, 0
    while at_least >= BY_CHANCE:
        at_least -= math.comb(permutations, place) * CHANCE**place * (1 - CHANCE) ** (permutations - place)
        place += 1
    return place


def least_estimate(limit: float, permutations: int) -> float:
    """The smallest estimate a pair may have and still be compared with a limit exactly."""
    return limit - STANDARD_ERRORS * math.sqrt(limit * (1 - limit) / permutations)


def least_agreeing(limit: float, permutations: int) -> int:
    """The same as a number of places in which the sketches agree."""
    share = least_estimate(limit, permutations) * (1 - CHANCE) + CHANCE
    return max(math.ceil(share * permutations), 0)
