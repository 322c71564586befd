"""The spans table: where passages stand, in the order of the documents; and what that makes of each.

Segments hold their places in this order, so nothing is sorted: a part takes from each segment what
lies in its documents, and looks up how often the passages there occur in the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, frame, read_output, table_of, uint64, write_output
from pipeline.kernels.cover import covers
from pipeline.kernels.sorted_keys import members
from pipeline.mapped import mapped_ranges, read_mapped, write_mapped
from pipeline.schemas import BINS, SPANS
from pipeline.schemas import PLACES as OUTPUT
from pipeline.stages.cutting import Cut
from pipeline.stages.passages import OCCURRENCES, cut_of_row, row_in_cut, rows_of_cut
from pipeline.stages.runs import starts_of_runs
from pipeline.stages.standing import places_within

# A text that holds repeated passages, named by its first document, by text_id.
REPEATING = pa.schema(
    [
        ("text_id", pa.uint64()),
        ("doc_id", pa.uint64()),
        ("repeated_tokens", pa.int64()),
        ("passage_max_occurrences", pa.int64()),
    ]
)
# First places of the passages that cover most tokens, in the order of the documents.
TOP = pa.schema(
    [
        ("passage_id", pa.uint64()),
        ("doc_id", pa.uint64()),
        *((name, pa.int64()) for name in ("copies", "token_start", "byte_start", "byte_end")),
    ]
)
PLACES_LISTED = 5  # of each of them
_EDGES = np.array([low for low, _ in BINS[1:]])


@dataclass(frozen=True)
class SpansResult:
    """One part of the spans table: its texts; first places of the passages to look at; tokens and bytes
    of the corpus inside passages, copies of texts counted, by the repeat bin (from the second) of the
    most frequent passage there."""

    texts: str
    top: str
    tokens: tuple[int, ...]
    bytes: tuple[int, ...]
    rows: int


def write_spans(
    span: KeyRange,
    output: str,
    path: str,
    *,
    cuts: Sequence[Cut],
    occurrences: Sequence[str],
    top: Sequence[int],
) -> SpansResult:
    """Write the spans of the documents of one range, if there are any.

    Args:
        span: range of doc_id. output: the part's file. path: what the names of other files begin with.
        cuts: see `cutting.cut_stretches`. occurrences: see `passages.write_passages`.
        top: the passages of which places are to be looked at.
    """
    here = [i for i, cut in enumerate(cuts) if cut.docs[0] < span[1] and span[0] < cut.docs[1]]
    wanted = np.sort(np.array(top, np.uint64))
    pieces = [
        _of_cut(cuts[i], span, known, wanted)
        for i, known in zip(here, _occurrences(here, cuts, occurrences), strict=True)
    ]
    rows = pa.concat_tables(
        [SPANS.arrow_schema().remove_metadata().empty_table(), *(piece for piece, _ in pieces)]
    ).combine_chunks()
    before = np.cumsum([0, *(len(piece) for piece, _ in pieces)])
    shown = [at + first for (_, at), first in zip(pieces, before[:-1], strict=True)]
    first_places = write_mapped(_first_places(rows, shown), f"{path}-top.arrow")
    repeating = f"{path}-texts.arrow"
    if not len(rows):
        nothing = (0,) * len(_EDGES)
        texts = write_mapped(REPEATING.empty_table(), repeating)
        return SpansResult(texts, first_places, nothing, nothing, 0)
    write_output(SPANS, rows, output)
    doc_id = uint64(rows, "doc_id")
    starts = starts_of_runs(doc_id)
    offsets = np.append(starts, len(doc_id))
    of_row, token, tokens = (
        rows.column(name).to_numpy() for name in ("occurrences", "token_start", "tokens")
    )
    copies = rows.column("copies").to_numpy()[starts]
    in_tokens, covered = _covered(offsets, token, token + tokens, of_row)
    byte_start, byte_end = (rows.column(name).to_numpy() for name in ("byte_start", "byte_end"))
    in_bytes, _ = _covered(offsets, byte_start, byte_end, of_row)
    text_id = uint64(rows, "text_id")[starts]
    order = np.argsort(text_id)
    most = np.maximum.reduceat(of_row, starts)
    table = table_of(REPEATING, *(c[order] for c in (text_id, doc_id[starts], covered, most)))
    return SpansResult(
        write_mapped(table, repeating),
        first_places,
        tuple((copies @ in_tokens).tolist()),
        tuple((copies @ in_bytes).tolist()),
        len(rows),
    )


def _occurrences(
    here: Sequence[int], cuts: Sequence[Cut], occurrences: Sequence[str]
) -> Iterator[NDArray[np.int64]]:
    # Of the passages of some cuts, one cut after the other, how often each occurs in the corpus.
    if not here:
        return
    rows = rows_of_cut(here[0])[0], rows_of_cut(here[-1])[1]
    known = mapped_ranges(occurrences, "row", rows, OCCURRENCES)
    of_cut, row = cut_of_row(uint64(known, "row")), row_in_cut(uint64(known, "row"))
    # Of one cut they come in order: ranges of passages do, and rows of a range.
    sizes = np.bincount(of_cut - here[0], minlength=here[-1] - here[0] + 1)
    begins = np.cumsum(sizes) - sizes
    every = np.empty(len(row), np.int64)
    every[begins[of_cut - here[0]] + row] = known.column("occurrences").to_numpy()
    for i in here:
        first = begins[i - here[0]]
        yield every[first : first + sizes[i - here[0]]]


def _of_cut(
    cut: Cut, span: KeyRange, occurrences: NDArray[np.int64], top: NDArray[np.uint64]
) -> tuple[pa.Table, NDArray[np.int64]]:
    # The rows of the documents of a segment that lie in a range, and which of them are of passages to be
    # looked at (sorted); occurrences: of its passages.
    texts = read_mapped(cut.texts, ["number", "doc_id", "text_id", "copies"])
    numbers, doc_id = texts.column("number").to_numpy(), uint64(texts, "doc_id")
    low, high = np.searchsorted(doc_id, np.array([span[0], min(span[1], cut.docs[1])], np.uint64))
    inside = (int(numbers[low]), int(numbers[high - 1]) + 1) if low < high else (0, 0)
    places = places_within(cut.standing, *inside)
    of_number = np.zeros(int(numbers[-1]) + 1 if len(numbers) else 0, np.int64)
    of_number[numbers] = np.arange(len(numbers))
    text, passage = of_number[places.column("number").to_numpy()], places.column("passage").to_numpy()
    passage_id = uint64(read_mapped(cut.standing.passages, ["passage_id"]), "passage_id")
    columns: dict[str, Any] = {
        name: places.column(name).to_numpy() for name in ("token_start", "tokens", "byte_start", "byte_end")
    }
    columns |= {name: texts.column(name).to_numpy()[text] for name in ("doc_id", "text_id", "copies")}
    columns |= {"passage_id": passage_id[passage], "occurrences": occurrences[passage]}
    schema = SPANS.arrow_schema().remove_metadata()
    listed = np.zeros(len(passage_id), np.bool_)
    listed[members(passage_id, top)] = True
    return table_of(schema, *(columns[name] for name in schema.names)), np.flatnonzero(listed[passage])


def _first_places(rows: pa.Table, shown: Sequence[NDArray[np.int64]]) -> pa.Table:
    # Of the rows that are of passages to be looked at (ascending), the first of each passage.
    at = np.concatenate([np.zeros(0, np.int64), *shown])
    passage_id = rows.column("passage_id").take(pa.array(at)).to_numpy()
    order = np.argsort(passage_id, kind="stable")
    starts = starts_of_runs(passage_id[order])
    sizes = np.diff(np.append(starts, len(order)))
    rank = np.arange(len(order)) - np.repeat(starts, sizes)
    at = np.sort(at[order[rank < PLACES_LISTED]])
    return rows.select(TOP.names).take(pa.array(at)).cast(TOP)


def write_places(tops: Sequence[str], inputs: str, path: str) -> int:
    """Write the first places of the passages that cover most tokens; returns how many rows.

    Args:
        tops: of each part, in order. inputs: the inputs table.
    """
    rows = frame(pa.concat_tables([TOP.empty_table(), *(read_mapped(part) for part in tops)]))
    uris = frame(read_output(inputs, ["file_id", "uri"]))
    table = (
        rows.group_by("passage_id", maintain_order=True)
        .head(PLACES_LISTED)
        .with_columns(file_id=pl.col("doc_id") // 2**32, row=(pl.col("doc_id") % 2**32).cast(pl.Int64))
        .join(uris, "file_id")
        .sort("passage_id", "doc_id", "token_start")
    )
    write_output(OUTPUT, table.select(OUTPUT.arrow_schema().names).to_arrow(), path)
    return len(table)


def _covered(
    offsets: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    occurrences: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    # Of each document, by repeat bin and in all.
    sums = np.zeros((len(offsets) - 1, len(_EDGES)), np.int64)
    covered = np.zeros(len(offsets) - 1, np.int64)
    covers(offsets, starts, stops, occurrences, _EDGES, sums, covered)
    return sums, covered
