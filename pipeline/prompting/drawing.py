"""Draw passages, or documents with text that occurs once, from the tables of a run by repeat bin.

An order that depends on content and seed alone decides, so equal seeds draw equally whatever the
order of the files was. Those that may hold no stretch come last: predictable passages, documents
in which passages have to be avoided, and what is shorter than a stretch of words but may, with a
tokenizer, be long enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest

from pipeline.prompting.cutting import STRETCH_TOKENS
from pipeline.schemas import BINS

TRIES = 20  # candidates drawn for each prompt that is wanted; reading them is what takes the time
_LOWS = np.array([low for low, _ in BINS], np.int64)


@dataclass(frozen=True)
class Candidate:
    """Where stretches are to be looked for.

    Attributes:
        low: lower end of its repeat bin.
        passage_id: None for a document.
        doc_id: the document itself, or the first that holds the passage.
        order: its place in the order that the seed makes.
        count: how often it occurs.
        words: in the passage, or in the document outside of passages.
    """

    low: int
    passage_id: int | None
    doc_id: int
    order: int
    count: int
    exposures: float
    words: int


@dataclass(frozen=True)
class Drawn:
    """Candidates by the lower end of their bin, in the order in which they are to be tried; how many
    passages (in bin 1 documents) were too short, and how many were not drawn."""

    candidates: dict[int, list[Candidate]]
    short: Counter[int]
    beyond: Counter[int]


def scrambled(values: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """An order of hashes that has nothing to do with their own; the finalizer of MurmurHash3."""
    mixed = values ^ np.uint64(xxh3_64_intdigest(str(seed).encode()))
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(factor)
    return np.asarray(mixed ^ (mixed >> np.uint64(33)))


def draw(run: Path, per_bin: int, seed: int, fewest_words: int) -> Drawn:
    """Candidates for `per_bin` prompts a bin.

    Args:
        fewest_words: of a candidate.
    """
    once = _drawn(run, "documents", _once, per_bin, seed, fewest_words)
    repeated = _drawn(run, "passages", _repeated, per_bin, seed, fewest_words)
    return Drawn(
        repeated.candidates | once.candidates, repeated.short + once.short, repeated.beyond + once.beyond
    )


def _once(part: Path) -> pl.DataFrame:
    # Of a text with a near copy few stretches occur once, and more than the count was trained on.
    columns = ["doc_id", "text_id", "n_tokens", "copies", "near_copies", "repeated_tokens", "exposures"]
    rows = pl.read_parquet(part, columns=columns).filter(pl.col("copies") == 1)
    return rows.select(
        key="text_id",
        doc_id="doc_id",
        count="copies",
        exposures="exposures",
        words=pl.col("n_tokens") - pl.col("repeated_tokens"),
        later=2 * (pl.col("repeated_tokens") > 0).cast(pl.Int64) + (pl.col("near_copies") > 1),
    )


def _repeated(part: Path) -> pl.DataFrame:
    columns = ["passage_id", "doc_id", "occurrences", "exposures", "tokens", "predictable"]
    return pl.read_parquet(part, columns=columns).select(
        key="passage_id",
        doc_id="doc_id",
        count="occurrences",
        exposures="exposures",
        words="tokens",
        later=pl.col("predictable").cast(pl.Int64),
    )


def _drawn(
    run: Path, table: str, rows_of: Callable[[Path], pl.DataFrame], per_bin: int, seed: int, fewest_words: int
) -> Drawn:
    short, eligible = Counter[int](), Counter[int]()
    kept: pl.DataFrame | None = None
    for part in sorted((run / table).glob("part-*.parquet")):
        rows = rows_of(part)
        order = scrambled(rows["key"].to_numpy(), seed)
        low = _LOWS[np.searchsorted(_LOWS, rows["count"].to_numpy(), side="right") - 1]
        rows = rows.with_columns(order=pl.Series(order), low=pl.Series(low))
        enough = rows.filter(pl.col("words") >= fewest_words)
        eligible.update(_sizes(enough))
        short.update(_sizes(rows.filter(pl.col("words") < fewest_words)))
        # Part by part, so that of a table of any size only the first of the order are held.
        kept = _first(enough if kept is None else pl.concat([kept, enough]), TRIES * per_bin)
    by_bin: dict[int, list[Candidate]] = {}
    for row in () if kept is None else kept.iter_rows(named=True):
        by_bin.setdefault(row["low"], []).append(_candidate(row, table))
    beyond = Counter({low: eligible[low] - len(each) for low, each in by_bin.items()})
    return Drawn(by_bin, short, beyond)


def _sizes(rows: pl.DataFrame) -> dict[int, int]:
    return dict(rows["low"].value_counts().iter_rows())


def _first(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    # Of those shorter than a stretch of words the longest come first: they are likeliest to do.
    missing = (STRETCH_TOKENS - pl.col("words")).clip(lower_bound=0)
    in_order = rows.sort("low", "later", missing, "order", "key")
    return in_order.filter(pl.int_range(pl.len()).over("low") < most)


def _candidate(row: dict[str, int], table: str) -> Candidate:
    passage_id = row["key"] if table == "passages" else None
    names: Iterable[str] = ("doc_id", "order", "count", "exposures", "words")
    return Candidate(row["low"], passage_id, *(row[name] for name in names))
