"""The passages table: one row a distinct passage, counted over all of its places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import END_OF_KEYS, KeyRange, frame, table_of, uint64, write_output
from pipeline.errors import ArtifactError
from pipeline.mapped import mapped_range, mapped_ranges, write_mapped
from pipeline.mixture import MILLION, Epochs
from pipeline.risk import PREDICTABLE, TIERS, Evidence, bin_of
from pipeline.schemas import BINS, PASSAGES
from pipeline.stages import standing as kept
from pipeline.stages.cutting import PASSAGE_LABELS, Cut
from pipeline.stages.runs import starts_of_runs

LISTED, PREDICTABLE_LISTED = 25, 10  # passages with places to look at
# How often the passages of a segment occur in the corpus: the number of its cut and the row there.
OCCURRENCES = pa.schema([("row", pa.uint64()), ("occurrences", pa.int64())])
_ROW_BITS = 40
Covering = tuple[int, bool, int]  # passage_id, whether predictable, tokens in all of its places


@dataclass(frozen=True)
class PassagesResult:
    """One key range of passages.

    Attributes:
        occurrences: a table of `OCCURRENCES`, sorted.
        top: those that cover most tokens, see `most_covering`.
        by_bin: how many passages there are in each repeat bin.
        passages, predictable: how many there are.
        most_tokens, most_occurrences: of the longest and of the most frequent; 0 without any.
        exposed, exposed_tokens: passages that are not predictable, and their lengths together, by bin
            of exposures.
    """

    occurrences: str
    top: tuple[Covering, ...]
    by_bin: tuple[int, ...]
    passages: int
    predictable: int
    most_tokens: int
    most_occurrences: int
    exposed: tuple[int, ...]
    exposed_tokens: tuple[int, ...]


@dataclass(frozen=True)
class Exposing:
    """What decides the exposures and the risk of a passage.

    epochs: how often training shows each source. evidence: by bin of exposures, for the configured
    model. labelled: whether documents have sources or licences.
    """

    epochs: Epochs
    evidence: tuple[Evidence, ...]
    labelled: bool


def rows_of_cut(number: int) -> KeyRange:
    """The rows of `OCCURRENCES` that are of a cut."""
    return number << _ROW_BITS, (number + 1) << _ROW_BITS


def cut_of_row(rows: NDArray[np.uint64]) -> NDArray[np.int64]:
    """The inverse: of each row, the number of its cut."""
    return (rows >> np.uint64(_ROW_BITS)).astype(np.int64)


class _Found(NamedTuple):
    # What the segments have of the passages of a key range, one segment behind the other: the number
    # of each one's cut, its row there, and `standing.PASSAGES`.
    cut: NDArray[np.int64]
    row: NDArray[np.int64]
    table: pa.Table


def _found(keys: KeyRange, cuts: Sequence[Cut]) -> _Found:
    cut, row, tables = [], [], [kept.PASSAGES.empty_table()]
    for number, part in enumerate(cuts):
        first, table = mapped_range(part.standing.passages, "passage_id", keys)
        cut.append(np.full(len(table), number))
        row.append(np.arange(first, first + len(table)))
        tables.append(table)
    nothing = np.zeros(0, np.int64)
    # In one piece: rows are taken from several three times as slowly (measured).
    table = pa.concat_tables(tables).combine_chunks()
    return _Found(np.concatenate([nothing, *cut]), np.concatenate([nothing, *row]), table)


def write_passages(
    keys: KeyRange, output: str, path: str, *, cuts: Sequence[Cut], exposing: Exposing
) -> PassagesResult:
    """Count the passages whose ids lie in a key range, and write them as one output file.

    Nothing is written to `output` without passages.

    Args:
        output: the part's file. path: of how often they occur.
        cuts: see `cutting.cut_stretches`.
    """
    found = _found(keys, cuts)
    # Cuts come in the order of the documents: the first of a passage has its first place.
    order = np.argsort(uint64(found.table, "passage_id"), kind="stable")
    starts = starts_of_runs(uint64(found.table, "passage_id")[order])
    if not len(starts):
        return _nothing(path)
    sums = {
        name: np.add.reduceat(found.table.column(name).to_numpy()[order], starts)
        for name in ("occurrences", "documents", "texts")
    }
    first = order[starts]
    table = found.table.take(pa.array(first))
    text = _beginnings(keys, cuts, found.cut[first], table)
    of_first = table.select(["passage_id", "predictable", "tokens", "doc_id", "byte_start", "byte_end"])
    counted = frame(of_first.append_column("text", text)).with_columns(**sums)
    passages = _judged(_described(counted, cuts, keys, exposing), exposing.evidence)
    write_output(PASSAGES, passages.select(PASSAGES.arrow_schema().names).to_arrow(), output)
    occurrences = np.empty(len(order), np.int64)
    occurrences[order] = np.repeat(sums["occurrences"], np.diff(np.append(starts, len(order))))
    rows = found.cut.astype(np.uint64) << np.uint64(_ROW_BITS) | found.row.astype(np.uint64)
    edges = np.array([low for low, _ in BINS] + [END_OF_KEYS >> 1])
    covered = passages["occurrences"].to_numpy() * passages["tokens"].to_numpy()
    return PassagesResult(
        write_mapped(table_of(OCCURRENCES, rows, occurrences), path),
        most_covering(passages["passage_id"].to_numpy(), passages["predictable"].to_numpy(), covered),
        tuple(np.histogram(sums["occurrences"], edges)[0].tolist()),
        len(passages),
        int(passages["predictable"].sum()),
        int(passages["tokens"].to_numpy().max()),
        int(sums["occurrences"].max()),
        *_by_exposures(passages),
    )


def _nothing(path: str) -> PassagesResult:
    bins = (0,) * len(BINS)
    occurrences = write_mapped(OCCURRENCES.empty_table(), path)
    return PassagesResult(occurrences, (), bins, 0, 0, 0, 0, bins, bins)


def _beginnings(
    keys: KeyRange, cuts: Sequence[Cut], cut: NDArray[np.int64], passages: pa.Table
) -> pa.ChunkedArray:
    # How passages (sorted) begin in the first of their texts, which the cut of each names.
    texts, places = [pa.chunked_array([], pa.large_string())], [np.zeros(0, np.int64)]
    passage_id, number = uint64(passages, "passage_id"), passages.column("number").to_numpy()
    for i in np.unique(cut).tolist():
        wanted = np.where(cut == i, number, -1)
        for file in cuts[i].standing.beginnings:
            table = mapped_range(file, "passage_id", keys)[1]
            at, rows = kept.rows_shown(table, passage_id, wanted)
            texts.append(table.column("text").take(pa.array(rows)))
            places.append(at)
    place = np.concatenate(places)
    row = np.full(len(passage_id), -1, np.int64)
    row[place] = np.arange(len(place))
    if (row < 0).any():
        raise ArtifactError(
            "it is not known how a passage begins",
            where=cuts[int(cut[np.argmin(row)])].standing.passages,
            got=f"{int((row < 0).sum())} such passages of {len(row)}",
            fix="make the index anew with --set index_mismatch=rebuild, or name another",
        )
    every = pa.chunked_array([chunk for text in texts for chunk in text.chunks], pa.large_string())
    return every.combine_chunks().take(pa.array(row))


def _described(
    passages: pl.DataFrame, cuts: Sequence[Cut], keys: KeyRange, exposing: Exposing
) -> pl.DataFrame:
    # With sources and exposures.
    labels = frame(mapped_ranges([c.labels for c in cuts], "passage_id", keys, PASSAGE_LABELS))
    epochs = pl.Series("epochs", exposing.epochs.of(labels["source"].to_numpy()))
    of_labels = (
        labels.with_columns(epochs * labels["places"])
        .group_by("passage_id")
        .agg(
            pl.col("source").filter(pl.col("source") != 0).n_unique().cast(pl.Int64).alias("sources"),
            pl.col("epochs").sum().alias("weight"),
        )
    )
    weight = "weight" if exposing.labelled else pl.col("occurrences") * exposing.epochs.rest
    found = (
        passages.join(of_labels, "passage_id", "left")
        .with_columns(pl.col("sources").fill_null(0), weight=weight)
        .sort("passage_id")
    )
    # By NumPy: polars multiplies by the reciprocal, which is not quite the same.
    return found.with_columns(pl.Series("exposures", found["weight"].to_numpy() / MILLION))


def most_covering(
    passage_id: NDArray[np.uint64], predictable: NDArray[np.bool_], covered: NDArray[np.int64]
) -> tuple[Covering, ...]:
    """Of passages, with the tokens in all of their places, those to look at: the predictable ones last."""
    order = np.lexsort((passage_id, -covered))
    risky, dull = order[~predictable[order]], order[predictable[order]]
    rows = np.concatenate([risky[:LISTED], dull[:PREDICTABLE_LISTED]])
    columns = (column[rows].tolist() for column in (passage_id, predictable, covered))
    return tuple(zip(*columns, strict=True))


def most_covering_of(tops: Iterable[Sequence[Covering]]) -> tuple[Covering, ...]:
    """The same of all key ranges, each given by its own."""
    every = [covering for top in tops for covering in top]
    ids, dull, covered = ([row[i] for row in every] for i in range(3))
    return most_covering(np.array(ids, np.uint64), np.array(dull, np.bool_), np.array(covered, np.int64))


def _judged(passages: pl.DataFrame, evidence: Sequence[Evidence]) -> pl.DataFrame:
    place = pl.Series(bin_of(passages["exposures"].to_numpy()))
    risky = ~pl.col("predictable")
    low, high = ([getattr(known, name) for known in evidence] for name in ("low", "high"))
    reasons = pl.Series([known.reason for known in evidence], dtype=pl.String)
    return passages.with_columns(
        pl.when(risky).then(pl.Series(TIERS).gather(place)).alias("risk_tier"),
        pl.when(risky).then(pl.Series(low, dtype=pl.Float64).gather(place)).alias("evidence_low"),
        pl.when(risky).then(pl.Series(high, dtype=pl.Float64).gather(place)).alias("evidence_high"),
        pl.when(risky).then(reasons.gather(place)).otherwise(pl.lit(PREDICTABLE)).alias("evidence_reason"),
    )


def _by_exposures(passages: pl.DataFrame) -> tuple[tuple[int, ...], tuple[int, ...]]:
    risky = passages.filter(~pl.col("predictable"))
    place, tokens = bin_of(risky["exposures"].to_numpy()), risky["tokens"].to_numpy()
    counts, lengths = np.zeros(len(BINS), np.int64), np.zeros(len(BINS), np.int64)
    np.add.at(counts, place, 1)
    np.add.at(lengths, place, tokens)
    return tuple(counts.tolist()), tuple(lengths.tolist())
