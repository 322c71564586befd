"""The shingle sets of a run's shards: which are kept from an earlier run, and which are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.resuming import Tasks
from pipeline.scanned import Scanned
from pipeline.stages.known_sets import ShardTexts, find_sets
from pipeline.stages.scan import ScanParameters, Segment

SHARDS_A_TASK = 8  # whose sets are kept: little is left to be read of them


@dataclass(frozen=True)
class Found:
    """Tables of texts by block with sets or their places, those of known components by root with
    their sources, and how many texts were read."""

    sets: list[str]
    named: list[str]
    read: int


class Shingles:
    """Finds the sets of wanted texts, shard by shard, and knows which files hold them."""

    def __init__(
        self,
        scanned: Scanned,
        parameters: ScanParameters,
        engine: Tasks,
        work: Path,
        earlier: Mapping[str, Sequence[str]],
    ) -> None:
        self._scanned, self._parameters, self._engine, self._work = scanned, parameters, engine, work
        self._segments: dict[int, list[Segment]] = {shard.number: [] for shard in scanned.shards}
        for segment in scanned.segments:
            self._segments[segment.shard].append(segment)
        self._kept = [tuple(earlier.get(name, ())) for name in self._names()]

    def _names(self) -> list[str]:
        # Under which names the sets of each shard are kept, "" if they are not. A shard is known by its
        # first segment: texts that it has not cannot be found there.
        firsts = (self._segments[shard.number][:1] for shard in self._scanned.shards)
        return ["".join(f"sets-{segment.name}" for segment in first if segment.name) for first in firsts]

    def to_keep(self) -> dict[str, list[str]]:
        """The files of sets by name, those of named shards."""
        named = zip(self._names(), self._kept, strict=True)
        return {name: list(files) for name, files in named if name and files}

    def find(self, stage: str, wanted: Sequence[str], known: Sequence[str] = ()) -> Found:
        """The sets of wanted texts, and the sources of known ones; see `components.Assigned`."""
        if not wanted and not known:
            return Found([], [], 0)
        shards = self._scanned.shards
        asked = [
            ShardTexts(
                shard,
                tuple(self._segments[shard.number]),
                kept,
                str(self._work / f"{stage}-sets" / f"{shard.number:016x}"),
            )
            for shard, kept in zip(shards, self._kept, strict=True)
        ]
        groups = _grouped(asked)
        found = self._engine.map(
            stage,
            find_sets,
            [(group, f"{group[0].path}-all") for group in groups],
            costs=[sum(item.shard.size_bytes for item in group) for group in groups],
            places=self._scanned.places,
            wanted=wanted,
            known=known,
            parameters=self._parameters,
        )
        kept = {
            item.shard.number: files
            for group, part in zip(groups, found, strict=True)
            for item, files in zip(group, part.kept, strict=True)
        }
        self._kept = [kept[shard.number] for shard in shards]
        return Found(
            [path for part in found for path in part.sets],
            [path for part in found for path in part.named],
            sum(part.read for part in found),
        )


def _grouped(asked: Sequence[ShardTexts]) -> list[tuple[ShardTexts, ...]]:
    # Those of which much is to be read one by one, the others in groups of about equally many that stand
    # together: what is wanted of all is read at once.
    alone, others = ([item for item in asked if bool(item.kept) == kept] for kept in (False, True))
    n = len(others)
    groups = -(-n // SHARDS_A_TASK)
    return [
        *((item,) for item in alone),
        *(tuple(others[i * n // groups : (i + 1) * n // groups]) for i in range(groups)),
    ]
