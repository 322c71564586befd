"""The passages of a segment, cut anew where its windows are judged otherwise than in an earlier run.

How a text is cut follows from what is known of each of its windows. A signature of that is kept with
the cuts: where an earlier run saw the same, in whatever corpus, its cuts hold. All other texts are
cut from their stretches, which are read here if they were not when windows were hashed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import frame, read_ranges, read_work, table_of, uint64, write_work
from pipeline.kernels.minimizers import sampler
from pipeline.kernels.unitigs import sign
from pipeline.stages.chosen import Chosen, chosen_of
from pipeline.stages.inputs import Shard
from pipeline.stages.placed import Part, Placed, joined, part_before, part_of
from pipeline.stages.places import Places
from pipeline.stages.scan import ScanParameters
from pipeline.stages.stretches import TextScratch, gathered, read_wanted, wanted_of
from pipeline.stages.texts import TEXT_LABELS
from pipeline.stages.unitigs import Cutter, cut_table, flags_of
from pipeline.stages.windows import Chunk

PLACES = pa.schema(
    [
        ("passage_id", pa.uint64()),
        ("doc_id", pa.uint64()),
        ("text_id", pa.uint64()),
        ("copies", pa.int64()),
        ("token_start", pa.int64()),
        ("tokens", pa.int64()),
        ("byte_start", pa.int64()),
        ("byte_end", pa.int64()),
    ]
)
EXAMPLES = pa.schema(
    [
        ("passage_id", pa.uint64()),
        ("doc_id", pa.uint64()),
        ("predictable", pa.bool_()),
        ("text", pa.large_string()),
    ]
)
# The same with the number of the text among the segment's anchored ones: so a later run knows it.
NUMBERED_PLACES = PLACES.append(pa.field("number", pa.int64()))
NUMBERED_EXAMPLES = EXAMPLES.append(pa.field("number", pa.int64()))
# What decided how a text was cut.
SIGNED = pa.schema([("number", pa.int64()), ("signature", pa.uint64())])
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
        places: of passages. examples: how passages begin in their first place, see `placed`. labels:
            sources and licences of passages. All sorted by passage_id.
        signed: the texts by number. count: how many places there are.
        read, reused: how many texts were read here, and how many are cut as they were.
    """

    places: str
    examples: str
    labels: str
    signed: str
    count: int
    read: int
    reused: int

    @property
    def kept(self) -> tuple[str, str, str]:
        """What spares the next run to cut the same again."""
        return self.signed, self.places, self.examples


class _Segment:
    """The chosen texts of a chunk while they are cut."""

    def __init__(
        self, number: int, chunk: Chunk, shard: Shard, judged: Sequence[str], parameters: ScanParameters
    ) -> None:
        self.chunk, self.shard, self.parameters = chunk, shard, parameters
        self.chosen, self.held = chosen_of(read_work(chunk.chosen))
        flags = flags_of(number, chunk, judged)
        self.cutter = Cutter(parameters.passage_tokens, self.chosen.runs, flags)
        self.signature = np.empty(len(self.chosen), np.uint64)
        sign(self.chosen.ends, self.chosen.runs, flags, self.signature)
        self.reused = self._as_before()

    def _as_before(self) -> NDArray[np.bool_]:
        number, same = self.chosen.number, np.zeros(len(self.chosen), np.bool_)
        if self.chunk.known.cut:
            table = read_work(self.chunk.known.cut[0])
            before = table.column("number").to_numpy()
            here = np.flatnonzero(~self.held)
            # Texts that the earlier run did not cut are all held.
            at = np.searchsorted(before, number[here])
            same[here] = uint64(table, "signature")[at] == self.signature[here]
        return same

    def part(self, table: pa.Table) -> Part:
        """A table of stretches, cut."""
        return part_of(table, cut_table(table, self.cutter))

    def parts_held(self) -> Iterator[Part]:
        """What was read before, cut."""
        return (self.part(read_work(path).combine_chunks()) for path in self.chunk.stretches)

    def parts_read(self, at: NDArray[np.int64], places: str) -> Iterator[Part]:
        """Texts that have not been read, read and cut."""
        if len(at):
            window = self.parameters.passage_tokens
            wanted = iter([wanted_of(self.chosen, at, window, 0)])
            scratch = TextScratch(sampler(window))
            tables = read_wanted(self.shard, Places(places), wanted, self.parameters, scratch)
            yield from (self.part(table) for table in gathered(tables))

    def part_before(self) -> list[Part]:
        """What an earlier run cut in the same way."""
        if not self.reused.any():
            return []
        _, places, examples = self.chunk.known.cut
        return [part_before(places, examples, self.chosen, self.reused)]

    def whole(self, places: str) -> Part:
        """All of it, in order."""
        unread = np.flatnonzero(~self.held & ~self.reused)
        return joined([*self.parts_held(), *self.parts_read(unread, places), *self.part_before()])


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
    part = segment.whole(places)
    chosen, placed = segment.chosen, part.placed
    labels = PASSAGE_LABELS.empty_table()
    if text_labels is not None and len(placed.chosen):
        labels = _labels(chosen, placed, text_labels)
    shown = part.beginnings
    passage_id, dull, beginning = (shown.column(name) for name in ("passage_id", "predictable", "text"))
    text = shown.column("chosen").to_numpy()
    examples = table_of(
        NUMBERED_EXAMPLES, passage_id, chosen.doc_id[text], dull, beginning, chosen.number[text]
    )
    signed = table_of(SIGNED, chosen.number, segment.signature)
    return Cut(
        write_work(_places(chosen, placed), f"{path}-places.parquet", "passage_id"),
        write_work(examples, f"{path}-examples.parquet", "passage_id"),
        write_work(labels, f"{path}-labels.parquet", "passage_id"),
        write_work(signed, f"{path}-signed.parquet"),
        len(placed.passage),
        int((~segment.held & ~segment.reused).sum()),
        int(segment.reused.sum()),
    )


def _places(chosen: Chosen, placed: Placed) -> pa.Table:
    text = placed.chosen
    return table_of(
        NUMBERED_PLACES,
        placed.passage,
        *(column[text] for column in (chosen.doc_id, chosen.text_id, chosen.copies)),
        *(placed.token, placed.tokens, placed.begin, placed.end),
        chosen.number[text],
    )


def _labels(chosen: Chosen, placed: Placed, text_labels: Sequence[str]) -> pa.Table:
    names = ("doc_id", "source", "licence", "copies")
    columns = {name: getattr(chosen, name)[placed.chosen] for name in names}
    places = pl.DataFrame({"passage_id": placed.passage, "tokens": placed.tokens, **columns})
    of_single = places.filter(pl.col("copies") == 1).with_columns(places=pl.col("copies"))
    span = int(columns["doc_id"].min()), int(columns["doc_id"].max()) + 1
    others = frame(read_ranges(text_labels, "doc_id", span, TEXT_LABELS)).select(
        "doc_id", "source", "licence", places="documents"
    )
    of_several = places.filter(pl.col("copies") > 1).select("passage_id", "tokens", "doc_id")
    keys = ["passage_id", "source", "licence"]
    every = pl.concat(
        part.select(PASSAGE_LABELS.names) for part in (of_single, of_several.join(others, "doc_id"))
    )
    counted = every.group_by(keys).agg(pl.col("tokens").first(), pl.col("places").sum())
    return counted.sort(keys).select(PASSAGE_LABELS.names).to_arrow().cast(PASSAGE_LABELS)
