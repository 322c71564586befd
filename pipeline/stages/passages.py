"""The passages table: one row a distinct passage, counted over all of its places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.artifacts import (
    END_OF_KEYS,
    KeyRange,
    frame,
    read_ranges,
    read_work,
    uint64,
    write_output,
    write_work,
)
from pipeline.mixture import MILLION, Epochs
from pipeline.risk import PREDICTABLE, TIERS, Evidence, bin_of
from pipeline.schemas import BINS, PASSAGES
from pipeline.schemas import PLACES as OUTPUT
from pipeline.stages.cutting import EXAMPLES, PASSAGE_LABELS, PLACES, Cut
from pipeline.stages.runs import starts_of_runs

LISTED, PREDICTABLE_LISTED, PLACES_LISTED = 25, 10, 5  # passages with places to look at
TOP = pa.schema(
    [
        ("passage_id", pa.uint64()),
        ("predictable", pa.bool_()),
        ("covered", pa.int64()),
        ("doc_id", pa.uint64()),
        *((name, pa.int64()) for name in ("copies", "token_start", "byte_start", "byte_end")),
    ]
)
COUNTED = pa.schema([*PLACES, ("occurrences", pa.int64())])


@dataclass(frozen=True)
class PassagesResult:
    """One key range of passages.

    Attributes:
        places: their places with their occurrences, sorted by doc_id.
        top: the first places of those that cover most tokens.
        by_bin: how many passages there are in each repeat bin.
        passages, predictable, spans: how many there are.
        most_tokens, most_occurrences: of the longest and of the most frequent; 0 without any.
        exposed, exposed_tokens: passages that are not predictable, and their lengths together, by bin
            of exposures.
    """

    places: str
    top: str
    by_bin: tuple[int, ...]
    passages: int
    predictable: int
    spans: int
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


def write_passages(
    keys: KeyRange, output: str, path: str, *, cuts: Sequence[Cut], exposing: Exposing
) -> PassagesResult:
    """Count the passages whose ids lie in a key range, and write them as one output file.

    Nothing is written to `output` without passages.

    Args:
        output: the part's file. path: of their places.
        cuts: see `cutting.cut_stretches`.
    """
    # In one piece: rows are taken from several three times as slowly (measured).
    places = read_ranges([c.places for c in cuts], "passage_id", keys, PLACES).combine_chunks()
    # Cuts come in the order of the documents, and so do the places of a passage in each.
    places = places.take(pa.array(np.argsort(uint64(places, "passage_id"), kind="stable")))
    passage, doc_id = uint64(places, "passage_id"), uint64(places, "doc_id")
    copies = places.column("copies").to_numpy()
    starts = starts_of_runs(passage)
    if not len(starts):
        return _nothing(path)
    occurrences = np.add.reduceat(copies, starts)
    new_text = np.zeros(len(passage), np.bool_)
    new_text[starts_of_runs(passage, doc_id)] = True
    counted = {
        "passage_id": passage[starts],
        "occurrences": occurrences,
        "documents": np.add.reduceat(np.where(new_text, copies, 0), starts),
        "texts": np.add.reduceat(new_text.astype(np.int64), starts),
        **{
            name: places.column(name).to_numpy()[starts]
            for name in ("tokens", "doc_id", "byte_start", "byte_end")
        },
    }
    passages = _judged(_described(pl.DataFrame(counted), cuts, keys, exposing), exposing.evidence)
    write_output(PASSAGES, passages.select(PASSAGES.arrow_schema().names).to_arrow(), output)
    of_place = np.repeat(occurrences, np.diff(np.append(starts, len(passage))))
    annotated = places.append_column("occurrences", pa.array(of_place)).take(pa.array(np.argsort(doc_id)))
    edges = np.array([low for low, _ in BINS] + [END_OF_KEYS >> 1])
    return PassagesResult(
        write_work(annotated.cast(COUNTED), path, "doc_id"),
        write_work(_top(passages, places), f"{path}-top"),
        tuple(np.histogram(occurrences, edges)[0].tolist()),
        len(passages),
        int(passages["predictable"].sum()),
        len(annotated),
        int(counted["tokens"].max()),
        int(occurrences.max()),
        *_by_exposures(passages),
    )


def _nothing(path: str) -> PassagesResult:
    bins = (0,) * len(BINS)
    top = write_work(TOP.empty_table(), f"{path}-top")
    nothing = (top, bins, 0, 0, 0, 0, 0, bins, bins)
    return PassagesResult(write_work(COUNTED.empty_table(), path, "doc_id"), *nothing)


def _described(
    passages: pl.DataFrame, cuts: Sequence[Cut], keys: KeyRange, exposing: Exposing
) -> pl.DataFrame:
    # With sources, exposures, and the text of the first place.
    labels = frame(read_ranges([c.labels for c in cuts], "passage_id", keys, PASSAGE_LABELS))
    epochs = pl.Series("epochs", exposing.epochs.of(labels["source"].to_numpy()))
    of_labels = (
        labels.with_columns(epochs * labels["places"])
        .group_by("passage_id")
        .agg(
            pl.col("source").filter(pl.col("source") != 0).n_unique().cast(pl.Int64).alias("sources"),
            pl.col("epochs").sum().alias("weight"),
        )
    )
    examples = frame(read_ranges([c.examples for c in cuts], "passage_id", keys, EXAMPLES))
    weight = "weight" if exposing.labelled else pl.col("occurrences") * exposing.epochs.rest
    found = (
        passages.join(of_labels, "passage_id", "left")
        .join(examples, ["passage_id", "doc_id"], "left")
        .with_columns(pl.col("sources").fill_null(0), weight=weight)
        .sort("passage_id")
    )
    # By NumPy: polars multiplies by the reciprocal, which is not quite the same.
    return found.with_columns(pl.Series("exposures", found["weight"].to_numpy() / MILLION))


def most_covering(passages: pl.DataFrame) -> pl.DataFrame:
    """Of passages (passage_id, predictable, covered: tokens in all places) those to look at."""
    ranked = passages.sort("covered", "passage_id", descending=[True, False])
    risky = ranked.filter(~pl.col("predictable")).head(LISTED)
    return pl.concat([risky, ranked.filter("predictable").head(PREDICTABLE_LISTED)])


def _top(passages: pl.DataFrame, places: pa.Table) -> pa.Table:
    covered = passages.select("passage_id", "predictable", covered=pl.col("occurrences") * pl.col("tokens"))
    chosen = most_covering(covered)
    here = np.isin(uint64(places, "passage_id"), chosen["passage_id"].to_numpy())
    rows = frame(places.filter(pa.array(here))).join(chosen, "passage_id")
    first = rows.sort("passage_id", "doc_id", "token_start").group_by("passage_id", maintain_order=True)
    return first.head(PLACES_LISTED).select(TOP.names).to_arrow().cast(TOP)


def write_places(tops: Sequence[str], inputs: str, path: str) -> int:
    """Write the first places of the passages that cover most tokens; returns how many rows.

    Args:
        tops: of each key range. inputs: the inputs table.
    """
    rows = frame(pa.concat_tables([TOP.empty_table(), *(read_work(part) for part in tops)]))
    chosen = most_covering(rows.unique("passage_id").select("passage_id", "predictable", "covered"))
    uris = frame(read_work(inputs, ["file_id", "uri"]))
    table = (
        rows.join(chosen.select("passage_id"), "passage_id", "semi")
        .with_columns(file_id=pl.col("doc_id") // 2**32, row=(pl.col("doc_id") % 2**32).cast(pl.Int64))
        .join(uris, "file_id")
        .sort("passage_id", "doc_id", "token_start")
    )
    write_output(OUTPUT, table.select(OUTPUT.arrow_schema().names).to_arrow(), path)
    return len(table)


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
