"""The corpus as the grains see it: scanned, and its documents grouped by text."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.artifacts import KeyRange
from pipeline.stages.inputs import Shard
from pipeline.stages.scan import Segment
from pipeline.stages.texts import TextsResult


@dataclass(frozen=True)
class Scanned:
    """What scan and texts made of the inputs.

    Attributes:
        shards: as they were read. segments: what came of them, in the order of the documents.
        places: see `stages.places`. texts: by ranges of text_id, which are `keys`.
    """

    shards: tuple[Shard, ...]
    segments: tuple[Segment, ...]
    places: str
    texts: list[TextsResult]
    keys: list[KeyRange]

    @property
    def documents(self) -> int:
        """How many documents there are."""
        return sum(segment.documents for segment in self.segments)

    @property
    def anchors(self) -> int:
        """How many distinct anchors the segments hold together."""
        return sum(segment.anchors for segment in self.segments)
