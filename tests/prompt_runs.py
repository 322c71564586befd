"""Runs over planted corpora, and the prompts exported from them, read back and checked."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pipeline.prompts import Prompts, export_prompts
from tests import corpus as planted
from tests.audits import audit_texts, without_dask
from tests.prompt_oracle import Corpus, Line, lines_of


@dataclass(frozen=True)
class Run:
    """A finished run and the texts it audited."""

    folder: Path
    corpus: Corpus

    def prompts(
        self, per_bin: int = 3, held_out: Sequence[Path] = (), tokenizer: Path | None = None, seed: int = 0
    ) -> Prompts:
        """Its prompts."""
        return export_prompts(self.folder, per_bin, [str(path) for path in held_out], tokenizer, seed)

    def lines(self, *args: Any, **kwargs: Any) -> list[Line]:
        """Its prompts, read back and checked."""
        lines = lines_of(self.prompts(*args, **kwargs))
        window = json.loads((self.folder / "run.json").read_text())["config"]["passages"]["min_tokens"]
        self.corpus.check_all(lines, window)
        return lines


@contextmanager
def here() -> Iterator[None]:
    """Run tasks in this thread."""
    with without_dask(page=False):
        engine = import_module("pipeline.run").open_engine
        with patch("pipeline.prompting.presence.open_engine", engine):
            yield


def audited(texts: Sequence[str], folder: Path, **config: Any) -> Run:
    """A run over texts."""
    return Run(audit_texts(texts, folder, **config).folder, Corpus(texts))


def corpus_with(rng: random.Random, counts: Sequence[int], n_words: int = 130, once: int = 6) -> list[str]:
    """Documents that each hold a passage in a disguise, passages planted `counts` times, and others."""
    texts = [planted.joined(planted.fresh(rng, n_words + 7)) for _ in range(once)]
    for count in counts:
        passage = planted.fresh(rng, n_words)
        for _ in range(count):
            around = planted.fresh(rng, 4)
            texts.append(planted.disguised(rng, [*around[:2], *passage, *around[2:]]))
    rng.shuffle(texts)
    return texts


def of_bin(lines: Sequence[Line], label: str) -> list[Line]:
    """The prompts of a bin."""
    return [line for line in lines if line["bin"] == label]
