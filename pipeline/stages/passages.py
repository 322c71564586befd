"""The passages table: one row a distinct passage, counted over all of its places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline.artifacts import END_OF_KEYS, KeyRange, frame, read_ranges, uint64, write_output, write_work
from pipeline.schemas import BINS, PASSAGES
from pipeline.stages.runs import starts_of_runs
from pipeline.stages.unitigs import EXAMPLES, PASSAGE_SOURCES, PLACES, Cut

COUNTED = pa.schema([*PLACES, ("occurrences", pa.int64())])


@dataclass(frozen=True)
class PassagesResult:
    """One key range of passages.

    Attributes:
        places: their places with their occurrences, sorted by doc_id.
        by_bin: how many passages there are in each repeat bin.
        passages, predictable, spans: how many there are.
        most_tokens, most_occurrences: of the longest and of the most frequent; 0 without any.
    """

    places: str
    by_bin: tuple[int, ...]
    passages: int
    predictable: int
    spans: int
    most_tokens: int
    most_occurrences: int


def write_passages(keys: KeyRange, output: str, path: str, *, cuts: Sequence[Cut]) -> PassagesResult:
    """Count the passages whose ids lie in a key range, and write them as one output file.

    Nothing is written to `output` without passages.

    Args:
        output: the part's file. path: of their places.
        cuts: see `unitigs.cut_stretches`.
    """
    places = read_ranges([c.places for c in cuts], "passage_id", keys, PLACES)
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
    passages = _described(pl.DataFrame(counted), cuts, keys)
    write_output(PASSAGES, passages.select(PASSAGES.arrow_schema().names).to_arrow(), output)
    of_place = np.repeat(occurrences, np.diff(np.append(starts, len(passage))))
    annotated = places.append_column("occurrences", pa.array(of_place)).take(pa.array(np.argsort(doc_id)))
    edges = np.array([low for low, _ in BINS] + [END_OF_KEYS >> 1])
    return PassagesResult(
        write_work(annotated.cast(COUNTED), path, "doc_id"),
        tuple(np.histogram(occurrences, edges)[0].tolist()),
        len(passages),
        int(passages["predictable"].sum()),
        len(annotated),
        int(counted["tokens"].max()),
        int(occurrences.max()),
    )


def _nothing(path: str) -> PassagesResult:
    return PassagesResult(write_work(COUNTED.empty_table(), path, "doc_id"), (0,) * len(BINS), 0, 0, 0, 0, 0)


def _described(passages: pl.DataFrame, cuts: Sequence[Cut], keys: KeyRange) -> pl.DataFrame:
    # With sources, and the text of the first place: cuts come in the order of the documents.
    sources = frame(read_ranges([c.sources for c in cuts], "passage_id", keys, PASSAGE_SOURCES))
    by_source = sources.unique().group_by("passage_id").agg(pl.len().cast(pl.Int64).alias("sources"))
    examples = frame(read_ranges([c.examples for c in cuts], "passage_id", keys, EXAMPLES))
    return (
        passages.join(by_source, "passage_id", "left")
        .join(examples.unique("passage_id", keep="first", maintain_order=True), "passage_id", "left")
        .with_columns(pl.col("sources").fill_null(0))
        .sort("passage_id")
    )
