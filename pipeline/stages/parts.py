"""How documents, in the order of the corpus, are cut into the parts of output tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.artifacts import END_OF_KEYS, KeyRange
from pipeline.mapped import read_mapped
from pipeline.stages.places import Places
from pipeline.stages.scan import Segment


@dataclass(frozen=True)
class Slice:
    """Rows [first, first + rows) of an item of a sequence."""

    item: int
    first: int
    rows: int


def slices(counts: Sequence[int], part_rows: int) -> Iterator[tuple[Slice, ...]]:
    """Cut the rows of consecutive items into parts of `part_rows`, wherever the items end."""
    part: list[Slice] = []
    room = part_rows
    for item, count in enumerate(counts):
        first = 0
        while first < count:
            taken = min(room, count - first)
            part.append(Slice(item, first, taken))
            first, room = first + taken, room - taken
            if room == 0:
                yield tuple(part)
                part, room = [], part_rows
    if part:
        yield tuple(part)


def first_doc(segments: Sequence[Segment], part: Sequence[Slice], places: str) -> int:
    """The smallest doc_id of a part."""
    segment = segments[part[0].item]
    table = read_mapped(f"{segment.path}/documents.arrow", ["piece", "row"]).slice(part[0].first, 1)
    doc_id = Places(places).doc_ids(
        segment.shard, table.column("piece").to_numpy(), table.column("row").to_numpy()
    )
    return int(doc_id[0])


def doc_ranges(segments: Sequence[Segment], part_rows: int, places: str) -> list[KeyRange]:
    """Ranges of doc_id that hold `part_rows` documents each; together they hold every doc_id."""
    parts = list(slices([segment.documents for segment in segments], part_rows))
    return list(pairwise([0, *(first_doc(segments, part, places) for part in parts[1:]), END_OF_KEYS]))
