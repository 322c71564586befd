"""Shingle sets that an earlier run read, found again by text_id.

A set is a function of the normalised text, and so of the text_id. What a run reads of a shard it
leaves for the next, which reads only the texts that are not there. It does not copy the others either:
it tells where they are, and only those are read of which a pair has yet to be compared. On 445 MB of
Python code, where 1 % more documents touch components of 78 % of the texts, that takes a fifth of the
CPU time that reading all of them takes, half of it for texts that had no candidate before. Sets take
118 MB, 2.3 bytes a token of all texts. Those of a shard go where the shard goes, so those of removed
files do not pile up; a text whose first document is now in another shard is read there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.artifacts import uint64
from pipeline.mapped import read_mapped, write_mapped
from pipeline.stages.bodies import bodies_of
from pipeline.stages.components import KNOWN, wanted_schema
from pipeline.stages.inputs import Shard
from pipeline.stages.known import Sources
from pipeline.stages.places import Places
from pipeline.stages.scan import ScanParameters, Segment
from pipeline.stages.sets import PLACE, read_wanted_sets, rows_of_shards

MOST_FILES = 8  # of a shard, beside large ones
LARGE_BYTES = 8 << 20  # files that are not merged with others
KEPT_SETS = pa.schema(
    [("text_id", pa.uint64()), ("shingle_count", pa.int64()), ("shingles", pa.large_binary())]
)


@dataclass(frozen=True)
class ShardTexts:
    """A shard with its segments, tables of `KEPT_SETS` at least, and what written files' names begin with."""

    shard: Shard
    segments: tuple[Segment, ...]
    kept: tuple[str, ...]
    path: str


@dataclass(frozen=True)
class FoundSets:
    """Of some shards: files by block with wanted texts and their sets or the places of these, the file
    of known texts by root (see `known`), how many texts were read, and of each shard the files that
    spare the next run to read those and all texts known before."""

    sets: tuple[str, ...]
    named: tuple[str, ...]
    read: int
    kept: tuple[tuple[str, ...], ...]


def find_sets(
    shards: Sequence[ShardTexts],
    path: str,
    *,
    places: str,
    wanted: Sequence[str],
    known: Sequence[str],
    parameters: ScanParameters,
) -> FoundSets:
    """Read those of some shards' wanted texts whose sets are not kept, and tell where the others' are.

    Args:
        path: what the names of files begin with that are of all these shards.
        wanted, known: tables sorted by doc_id, see `components.assign`.

    Raises:
        InputChangedError: a file is not what the scan read.
    """
    located = Places(places)
    sets, placed, named, kept, read = list[str](), list[pa.Table](), list[pa.Table](), [], 0
    tables = (
        rows_of_shards([item.shard for item in shards], located, paths, schema)
        for paths, schema in ((wanted, wanted_schema(parameters.permutations)), (known, KNOWN))
    )
    for item, rows, others in zip(shards, *tables, strict=True):
        sources = Sources(item.shard, item.segments, located)
        if len(others):
            named.append(others.append_column("source", sources.of(uint64(others, "doc_id"))))
        missing, names = rows, rows.column_names
        if item.kept and len(rows):
            sourced = rows.append_column("source", sources.of(uint64(rows, "doc_id")))
            missing, table = _placed(sourced, item.kept)
            placed.append(table)
        bodies = [bodies_of(segment.path) for segment in item.segments]
        fresh = read_wanted_sets(
            item.shard, missing.select(names), item.path, located, parameters, list(filter(None, bodies))
        )
        if item.kept and fresh:
            # A few texts: they go where the others are, so that fewer files are opened.
            placed.append(_placed(missing, fresh)[1])
        else:
            sets += fresh
        kept.append(tuple(_merged([*item.kept, *fresh], f"{item.path}-merged.arrow")) if fresh else item.kept)
        read += len(missing)
    sets += _written(placed, "block", f"{path}-placed.arrow")
    return FoundSets(tuple(sets), tuple(_written(named, "root", f"{path}-named.arrow")), read, tuple(kept))


def _placed(rows: pa.Table, kept: Sequence[str]) -> tuple[pa.Table, pa.Table]:
    # Those rows whose sets no file has, and the others with the places of theirs.
    text_id, n = uint64(rows, "text_id"), len(rows)
    count, file, at = np.zeros(n, np.int64), np.full(n, -1), np.zeros(n, np.int64)
    for i, name in enumerate(kept):
        table = read_mapped(name, ["text_id", "shingle_count"])
        held = uint64(table, "text_id")
        order = np.argsort(held)
        place = order[np.minimum(np.searchsorted(held[order], text_id), len(held) - 1)]
        here = (file < 0) & (held[place] == text_id)
        count[here] = table.column("shingle_count").to_numpy()[place[here]]
        file[here], at[here] = i, place[here]
    found = np.flatnonzero(file >= 0)
    table = rows.take(pa.array(found)).append_column("shingle_count", pa.array(count[found]))
    files = pa.array(kept, pa.large_string()).take(pa.array(file[found]))
    for field, column in zip(PLACE, (files, pa.array(at[found])), strict=True):
        table = table.append_column(field, column)
    return rows.filter(pa.array(file < 0)), table


def _written(tables: Sequence[pa.Table], key: str, path: str) -> list[str]:
    # In one file by a key, if there is a row.
    if not any(map(len, tables)):
        return []
    table = pa.concat_tables(tables)
    return [write_mapped(table.take(pa.array(np.argsort(uint64(table, key), kind="stable"))), path)]


def _merged(files: Sequence[str], path: str) -> list[str]:
    # The same sets in few files. Large ones stay as they are, so that this writes little.
    small = [file for file in files if Path(file).stat().st_size < LARGE_BYTES]
    if len(small) <= MOST_FILES:
        return list(files)
    table = pa.concat_tables([read_mapped(file, KEPT_SETS.names) for file in small])
    table = table.take(pa.array(np.argsort(uint64(table, "text_id"))))
    return [*(file for file in files if file not in small), write_mapped(table, path)]
