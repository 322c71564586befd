"""The passages of a segment, cut anew where its windows are judged otherwise than in an earlier run.

How a text is cut follows from what is known of each of its windows. A text that holds none about which
something else is known than was is cut as it was. Of the others a signature of all that is known was
kept: where it is the same, too, the cuts hold. All that are left are cut from their stretches, which
are read here if they were not when windows were hashed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import frame, table_of, uint64
from pipeline.kernels.minimizers import sampler
from pipeline.kernels.tally import Tally, empty_tally, tally
from pipeline.kernels.unitigs import REPEATED, sign
from pipeline.mapped import mapped_ranges, read_mapped, write_mapped
from pipeline.stages import standing as kept
from pipeline.stages.bodies import bodies_of
from pipeline.stages.chosen import Chosen, anchored_of, chosen_of
from pipeline.stages.hashed import FLAGS, STATES, Hashed, known_rows
from pipeline.stages.inputs import Shard
from pipeline.stages.placed import Part, Placed, joined, part_of
from pipeline.stages.places import Places
from pipeline.stages.scan import ScanParameters
from pipeline.stages.standing import Standing, signed_table, write_beginnings
from pipeline.stages.stretches import TextScratch, gathered, read_wanted, wanted_of
from pipeline.stages.texts import TEXT_LABELS
from pipeline.stages.unitigs import Cutter, cut_table, judged_of
from pipeline.stages.windows import Chunk

# How many places of a passage are in documents with which source and licence (hashes, 0: none).
PASSAGE_LABELS = pa.schema(
    [
        ("passage_id", pa.uint64()),
        ("source", pa.uint64()),
        ("licence", pa.uint64()),
        ("tokens", pa.int64()),
        ("places", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Cut:
    """What a segment was cut into.

    Attributes:
        standing: its passages. texts: a table of `chosen.CHOSEN`. labels: sources and licences of
            passages, by passage_id.
        kinds, flags, hashed: what the next run is to know, see `windows.Known`.
        docs: the first document with a chosen text, and the one after the last.
        count: how many places there are. repeated: windows that were looked at and repeat.
        read, reused: how many texts were read here, and how many are cut as they were.
    """

    standing: Standing
    texts: str
    labels: str
    kinds: str
    flags: str
    hashed: Hashed
    docs: tuple[int, int]
    count: int
    repeated: int
    read: int
    reused: int


class _Segment:
    """The chosen texts of a chunk while they are cut."""

    def __init__(
        self, number: int, chunk: Chunk, shard: Shard, judged: Sequence[str], parameters: ScanParameters
    ) -> None:
        self.chunk, self.shard, self.parameters = chunk, shard, parameters
        self.texts = read_mapped(chunk.texts)
        self.number, self.doc_id, self.copies, self.held = (
            self.texts.column(name).to_numpy() for name in ("number", "doc_id", "copies", "held")
        )
        self.anchored = anchored_of(chunk.segment)
        self.kind = read_mapped(chunk.kinds).column("kind").to_numpy()
        self.rows = known_rows(chunk.held.hashed)
        self.slot_of_row = self.rows.slot_of_row(len(self.kind))
        self.flags = read_mapped(chunk.held.states).column("state").to_numpy() & np.uint8(FLAGS)
        slots, found = judged_of(number, judged)
        self.flags[slots] = found
        self._sign(slots)

    def _sign(self, judged: NDArray[np.int64]) -> None:
        # Which texts are cut now, and the signatures of all.
        changed = self.texts.column("changed").to_numpy() | self._holding(judged)
        self.signature = np.zeros(len(self.number), np.uint64)
        if self.chunk.known is not None:
            table = read_mapped(self.chunk.known.standing.signed)
            at = np.searchsorted(table.column("number").to_numpy(), self.number[~self.held])
            # Texts that the earlier run did not cut are all held.
            self.signature[~self.held] = uint64(table, "signature")[at]
        before = self.signature.copy()
        self._resign(np.flatnonzero(self.held))
        self._resign(np.flatnonzero(changed & ~self.held))
        self.unread = np.flatnonzero(~self.held & (self.signature != before))

    def _holding(self, judged: NDArray[np.int64]) -> NDArray[np.bool_]:
        # Of the chosen texts, those with a window in one of these slots.
        marked = np.zeros(len(self.kind), np.bool_)
        marked[self.rows.row[np.searchsorted(self.rows.begins, judged, side="right") - 1]] = True
        return np.asarray(self.anchored.holding(marked)[self.number])

    def _resign(self, at: NDArray[np.int64]) -> None:
        chosen, found = self._chosen(at), np.empty(len(at), np.uint64)
        sign(chosen.ends, chosen.runs, self.flags, found)
        self.signature[at] = found

    def _chosen(self, at: NDArray[np.int64]) -> Chosen:
        return chosen_of(self.anchored, self.number[at], self.doc_id[at], self.kind, self.slot_of_row)

    def parts(self, places: str) -> Iterator[Part]:
        """The texts that are cut now: those that were read before, and others."""
        window = self.parameters.passage_tokens
        if self.held.any():
            held = np.flatnonzero(self.held)
            cutter = Cutter(window, self._chosen(held).runs, self.flags)
            for path in self.chunk.stretches:
                table = read_mapped(path).combine_chunks()
                yield part_of(table, cut_table(table, cutter), self.number[held])
        if len(self.unread):
            chosen = self._chosen(self.unread)
            cutter = Cutter(window, chosen.runs, self.flags)
            scratch = TextScratch(sampler(window))
            wanted = iter([wanted_of(chosen, window, 0, bodies_of(self.chunk.segment))])
            for table in gathered(read_wanted(self.shard, Places(places), wanted, self.parameters, scratch)):
                yield part_of(table, cut_table(table, cutter), self.number[self.unread])

    def holds(self) -> NDArray[np.bool_]:
        """bool[anchored texts], those that are cut as they were."""
        found = np.zeros(len(self.anchored.ends) - 1, np.bool_)
        found[self.number[~self.held]] = True
        found[self.number[self.unread]] = False
        return found

    def text_of(self, placed: Placed) -> NDArray[np.int64]:
        """int64[places], the number of each one's text among those chosen."""
        of_number = np.full(len(self.anchored.ends) - 1, -1, np.int64)
        of_number[self.number] = np.arange(len(self.number))
        return of_number[placed.spans.number.astype(np.int64)]


def cut_stretches(
    number: int,
    chunk: Chunk,
    shard: Shard,
    path: str,
    *,
    judged: Sequence[str],
    places: str,
    text_labels: Sequence[str] | None,
    parameters: ScanParameters,
) -> Cut:
    """Cut the texts of a chunk into passages.

    Args:
        number: of the chunk. shard: what it was read from. path: what the written files' names begin
            with.
        judged: see `unitigs.judge_windows`.
        text_labels: see `texts`; None where no document has a source or a licence.

    Raises:
        InputChangedError: a file is not what the scan read.
    """
    segment = _Segment(number, chunk, shard, judged, parameters)
    before = None if chunk.known is None else chunk.known.standing
    parts = list(segment.parts(places))
    placed = joined(parts, before, segment.holds())
    text = segment.text_of(placed)
    counted = empty_tally(len(placed.passage_id))
    tally(_writable(placed.passage), text, _writable(segment.copies), counted)
    standing = _standing(segment, parts, placed, counted, path)
    labels = PASSAGE_LABELS.empty_table()
    if text_labels is not None and len(text):
        labels = _labels(segment, placed, text, text_labels)
    docs = segment.doc_id[[0, -1]].tolist() if len(segment.doc_id) else [0, -1]
    return Cut(
        standing,
        chunk.texts,
        write_mapped(labels, f"{path}-labels.arrow"),
        chunk.kinds,
        write_mapped(table_of(STATES, segment.flags), f"{path}-flags.arrow"),
        chunk.held.hashed,
        (docs[0], docs[1] + 1),
        len(text),
        int(np.count_nonzero(segment.flags & REPEATED)),
        len(segment.unread),
        len(segment.number) - int(segment.held.sum()) - len(segment.unread),
    )


def _writable(column: NDArray[np.generic]) -> NDArray[np.generic]:
    # To Numba, columns of a table, which cannot be written to, are of another type.
    return column if column.flags.writeable else column.copy()


def _standing(
    segment: _Segment, parts: Sequence[Part], placed: Placed, counted: Tally, path: str
) -> Standing:
    before = None if segment.chunk.known is None else segment.chunk.known.standing
    spans, first = placed.spans, counted.first
    number = spans.number[first].astype(np.int64)
    passages = table_of(
        kept.PASSAGES,
        placed.passage_id,
        placed.predictable,
        *(counted.occurrences, counted.documents, counted.texts),
        segment.doc_id[segment.text_of(placed)[first]],
        number,
        *(spans.tokens[first], spans.begin[first], spans.end[first]),
    )
    if before is not None and placed.same:
        places = before.places
    else:
        table = table_of(kept.PLACES, *spans, placed.passage)
        places = write_mapped(table, f"{path}-places.arrow")
    beginnings = write_beginnings(
        () if before is None else before.beginnings,
        _new_beginnings(parts, placed, number),
        passages,
        f"{path}-beginnings.arrow",
    )
    return Standing(
        write_mapped(signed_table(segment.number, segment.signature), f"{path}-signed.arrow"),
        places,
        write_mapped(passages, f"{path}-passages.arrow"),
        beginnings,
    )


def _new_beginnings(parts: Sequence[Part], placed: Placed, number: NDArray[np.int64]) -> pa.Table:
    # How passages begin in what is their first place now, where that is not known.
    every = pa.concat_tables([kept.BEGINNINGS.empty_table(), *(part.beginnings for part in parts)])
    at = np.searchsorted(placed.passage_id, uint64(every, "passage_id"))
    told = every.column("number").to_numpy()
    rows = np.flatnonzero((number[at] == told) & (placed.told[at] != told))
    rows = rows[np.argsort(at[rows])]
    return every.take(pa.array(rows)) if len(parts) > 1 or len(rows) < len(every) else every


def _labels(
    segment: _Segment, placed: Placed, text: NDArray[np.int64], text_labels: Sequence[str]
) -> pa.Table:
    names = ("doc_id", "source", "licence", "copies")
    columns = {name: segment.texts.column(name).to_numpy()[text] for name in names}
    passage_id, tokens = placed.passage_id[placed.passage], placed.spans.tokens
    places = pl.DataFrame({"passage_id": passage_id, "tokens": tokens, **columns})
    of_single = places.filter(pl.col("copies") == 1).with_columns(places=pl.col("copies"))
    span = int(columns["doc_id"].min()), int(columns["doc_id"].max()) + 1
    others = frame(mapped_ranges(text_labels, "doc_id", span, TEXT_LABELS)).select(
        "doc_id", "source", "licence", places="documents"
    )
    of_several = places.filter(pl.col("copies") > 1).select("passage_id", "tokens", "doc_id")
    keys = ["passage_id", "source", "licence"]
    every = pl.concat(
        part.select(PASSAGE_LABELS.names) for part in (of_single, of_several.join(others, "doc_id"))
    )
    counted = every.group_by(keys).agg(pl.col("tokens").first(), pl.col("places").sum())
    return counted.sort(keys).select(PASSAGE_LABELS.names).to_arrow().cast(PASSAGE_LABELS)
