"""How often training shows the documents of each source, in millionths of an epoch.

Whole numbers, because sums of them are the same in every order; an epoch of 3 or of 1.5 is kept
exactly. With weights, a source's epochs are the training tokens drawn from it over its own tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.config import MixtureConfig, ModelConfig
from pipeline.errors import ConfigError
from pipeline.label_hashes import name_hash

MILLION = 1_000_000
MOST_EPOCHS = 1e6  # as in the configuration: sums of millionths stay far below 2**63


@dataclass(frozen=True)
class Epochs:
    """Millionths of an epoch by source.

    Attributes:
        sources: hashes of the sources that have epochs of their own, ascending.
        millionths: theirs. rest: of all other documents.
    """

    sources: tuple[int, ...] = ()
    millionths: tuple[int, ...] = ()
    rest: int = MILLION

    def of(self, sources: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Millionths of an epoch of documents with these sources (hashes, 0: none)."""
        found = np.full(len(sources), self.rest, np.int64)
        if self.sources:
            known, own = np.array(self.sources, np.uint64), np.array(self.millionths, np.int64)
            at = np.minimum(np.searchsorted(known, sources), len(known) - 1)
            here = known[at] == sources
            found[here] = own[at[here]]
        return found


def weighted_sources(mixture: MixtureConfig) -> tuple[int, ...]:
    """Hashes of the sources whose tokens have to be known before epochs are."""
    return tuple(sorted(name_hash(name) for name in mixture.weights or {}))


def epochs_of(mixture: MixtureConfig, model: ModelConfig, tokens: Mapping[int, int]) -> Epochs:
    """The epochs that a configured mixture means.

    Args:
        tokens: in the corpus, by hash, of the sources that weights name.

    Raises:
        ConfigError: weights show a source more often than a million times.
    """
    if mixture.weights is None:
        by_hash = {name_hash(name): epochs for name, epochs in mixture.epochs.items()}
        rest = MILLION
    else:
        drawn = (model.training_tokens or 0.0) / sum(mixture.weights.values()) / model.tokens_per_word
        by_hash = {}
        for name, weight in mixture.weights.items():
            own = tokens.get(name_hash(name), 0)
            epochs = by_hash[name_hash(name)] = weight * drawn / own if own else 0.0
            if epochs > MOST_EPOCHS:
                raise ConfigError(
                    "mixture.weights show a source too often",
                    where=repr(name)[:80],
                    got=f"{epochs:,.0f} epochs of {own:,} tokens",
                    expected=f"at most {MOST_EPOCHS:,.0f}",
                    fix="check its weight, and model.training_tokens",
                )
        rest = 0
    ordered = sorted(by_hash.items())
    return Epochs(
        tuple(source for source, _ in ordered), tuple(round(epochs * MILLION) for _, epochs in ordered), rest
    )
