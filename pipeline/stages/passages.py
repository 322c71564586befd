"""The passages table: one row a distinct passage, counted over all of its places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import END_OF_KEYS, KeyRange, frame, table_of, write_output
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


def row_in_cut(rows: NDArray[np.uint64]) -> NDArray[np.int64]:
    """And its number among the passages of the cut."""
    return (rows & np.uint64((1 << _ROW_BITS) - 1)).astype(np.int64)


class _Found(NamedTuple):
    # What the segments have of the passages of a key range, one segment behind the other: the number
    # of each one's cut, its row there, and `standing.PASSAGES`.
    cut: NDArray[np.int64]
    row: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]


def _found(keys: KeyRange, cuts: Sequence[Cut]) -> _Found:
    cut, row, tables = [], [], [kept.PASSAGES.empty_table()]
    for number, part in enumerate(cuts):
        first, table = mapped_range(part.standing.passages, "passage_id", keys)
        cut.append(np.full(len(table), number))
        row.append(np.arange(first, first + len(table)))
        tables.append(table)
    nothing = np.zeros(0, np.int64)
    table = pa.concat_tables(tables)
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    return _Found(np.concatenate([nothing, *cut]), np.concatenate([nothing, *row]), columns)


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
    every = found.columns["passage_id"]
    order = np.argsort(every, kind="stable")
    starts = starts_of_runs(every[order])
    if not len(starts):
        return _nothing(path)
    sums = {
        name: np.add.reduceat(found.columns[name][order], starts)
        for name in ("occurrences", "documents", "texts")
    }
    first = order[starts]
    passages = {name: column[first] for name, column in found.columns.items()} | sums
    cut, number = found.cut[first], passages.pop("number")
    sources, weight = _of_labels(passages, cuts, keys, exposing)
    exposures = weight / MILLION
    place, passage_id = bin_of(exposures), every[first]
    predictable, tokens = passages["predictable"], passages["tokens"]
    columns = {
        **passages,
        "sources": sources,
        "exposures": exposures,
        **_judged(place, predictable, exposing.evidence),
        "text": _beginnings(keys, cuts, cut, passage_id, number),
    }
    names = PASSAGES.arrow_schema().names
    write_output(PASSAGES, pa.table({name: columns[name] for name in names}), output)
    occurrences = np.empty(len(order), np.int64)
    occurrences[order] = np.repeat(sums["occurrences"], np.diff(np.append(starts, len(order))))
    rows = found.cut.astype(np.uint64) << np.uint64(_ROW_BITS) | found.row.astype(np.uint64)
    edges = np.array([low for low, _ in BINS] + [END_OF_KEYS >> 1])
    return PassagesResult(
        write_mapped(table_of(OCCURRENCES, rows, occurrences), path),
        most_covering(passage_id, predictable, sums["occurrences"] * tokens),
        tuple(np.histogram(sums["occurrences"], edges)[0].tolist()),
        len(first),
        int(np.count_nonzero(predictable)),
        int(tokens.max()),
        int(sums["occurrences"].max()),
        *_by_exposures(place[~predictable], tokens[~predictable]),
    )


def _nothing(path: str) -> PassagesResult:
    bins = (0,) * len(BINS)
    occurrences = write_mapped(OCCURRENCES.empty_table(), path)
    return PassagesResult(occurrences, (), bins, 0, 0, 0, 0, bins, bins)


def _beginnings(
    keys: KeyRange,
    cuts: Sequence[Cut],
    cut: NDArray[np.int64],
    passage_id: NDArray[np.uint64],
    number: NDArray[np.int64],
) -> pa.Array:
    # How passages (sorted) begin in the first of their texts, which a cut and a number in it name.
    texts, rows = [pa.chunked_array([], pa.large_string())], np.full(len(passage_id), -1, np.int64)
    before = 0
    for i, part in enumerate(cuts):
        of_cut = np.flatnonzero(cut == i)
        for file in part.standing.beginnings if len(of_cut) else ():
            table = mapped_range(file, "passage_id", keys)[1]
            at, shown = kept.rows_shown(table, passage_id[of_cut], number[of_cut])
            rows[of_cut[at]] = before + shown
            texts.append(table.column("text"))
            before += len(table)
    if (rows < 0).any():
        raise ArtifactError(
            "it is not known how a passage begins",
            where=cuts[int(cut[np.argmin(rows)])].standing.passages,
            got=f"{int((rows < 0).sum())} such passages of {len(rows)}",
            fix="make the index anew with --set index_mismatch=rebuild, or name another",
        )
    every = pa.chunked_array([chunk for text in texts for chunk in text.chunks], pa.large_string())
    # In one piece: texts are taken from many half as fast (measured).
    return every.combine_chunks().take(pa.array(rows))


def _of_labels(
    passages: dict[str, NDArray[Any]], cuts: Sequence[Cut], keys: KeyRange, exposing: Exposing
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # Of each passage how many sources it has, and what training shows of it, in millionths.
    if not exposing.labelled:
        weight = passages["occurrences"] * exposing.epochs.rest
        return np.zeros(len(weight), np.int64), weight
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
    found = pl.DataFrame({"passage_id": passages["passage_id"]}).join(
        of_labels, "passage_id", "left", maintain_order="left"
    )
    return found["sources"].fill_null(0).to_numpy(), found["weight"].to_numpy()


def most_covering(
    passage_id: NDArray[np.uint64], predictable: NDArray[np.bool_], covered: NDArray[np.int64]
) -> tuple[Covering, ...]:
    """Of passages, with the tokens in all of their places, those to look at: the predictable ones last."""
    rows = np.concatenate(
        [
            _largest(passage_id, covered, np.flatnonzero(~predictable), LISTED),
            _largest(passage_id, covered, np.flatnonzero(predictable), PREDICTABLE_LISTED),
        ]
    )
    columns = (column[rows].tolist() for column in (passage_id, predictable, covered))
    return tuple(zip(*columns, strict=True))


def _largest(
    passage_id: NDArray[np.uint64], covered: NDArray[np.int64], rows: NDArray[np.int64], most: int
) -> NDArray[np.int64]:
    # Of some rows those that cover most, in order. Only what may be among them is sorted.
    if len(rows) > most:
        rows = rows[covered[rows] >= np.partition(covered[rows], -most)[-most]]
    return rows[np.lexsort((passage_id[rows], -covered[rows]))][:most]


def most_covering_of(tops: Iterable[Sequence[Covering]]) -> tuple[Covering, ...]:
    """The same of all key ranges, each given by its own."""
    every = [covering for top in tops for covering in top]
    ids, dull, covered = ([row[i] for row in every] for i in range(3))
    return most_covering(np.array(ids, np.uint64), np.array(dull, np.bool_), np.array(covered, np.int64))


def _judged(
    place: NDArray[np.int64], predictable: NDArray[np.bool_], evidence: Sequence[Evidence]
) -> dict[str, pa.Array]:
    # By bin of exposures; behind the bins is what is said of predictable passages.
    said = pa.array(np.where(predictable, len(BINS), place))
    rows = {
        "risk_tier": (*TIERS, None),
        "evidence_low": (*(known.low for known in evidence), None),
        "evidence_high": (*(known.high for known in evidence), None),
        "evidence_reason": (*(known.reason for known in evidence), PREDICTABLE),
    }
    schema = PASSAGES.arrow_schema()
    return {name: pa.array(values, schema.field(name).type).take(said) for name, values in rows.items()}


def _by_exposures(
    place: NDArray[np.int64], tokens: NDArray[np.int64]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    lengths = np.zeros(len(BINS), np.int64)
    np.add.at(lengths, place, tokens)
    return tuple(np.bincount(place, minlength=len(BINS)).tolist()), tuple(lengths.tolist())
