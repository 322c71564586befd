"""How the pieces of files are gathered into shards, of which each is scanned by one task."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import xxhash

from pipeline.readers.opening import compression_of
from pipeline.stages.inputs import Shard, ShardPiece

SMALL_FILES = 8  # that fit into a shard at least, if they are to share it


def shards(
    found: Iterable[ShardPiece], shard_bytes: int, known: Iterable[Sequence[str]] = ()
) -> Iterator[Shard]:
    """Gather pieces, in order, into shards of at most `shard_bytes`, or of one piece that holds more.

    Args:
        known: shards of an earlier run, as names of their pieces. One that is found again, whole, is
            a shard of this run: files that are added beside it do not have it scanned again.
    """
    begins = {names[0]: tuple(names) for names in known}
    held: list[ShardPiece] = []
    every = list(found)
    names = [piece_name(item) for item in every]
    at = number = 0
    while at < len(every):
        again = begins.get(names[at], ())
        if again and tuple(names[at : at + len(again)]) == again:
            cut = [*_cut(held, shard_bytes), every[at : at + len(again)]]
            at, held = at + len(again), []
        else:
            cut = []
            held.append(every[at])
            at += 1
        if at == len(every):
            cut += _cut(held, shard_bytes)
        yield from (Shard(number + i, tuple(items)) for i, items in enumerate(cut))
        number += len(cut)


def _cut(found: Iterable[ShardPiece], shard_bytes: int) -> Iterator[list[ShardPiece]]:
    # A file of an eighth of a shard or more shares its shards with no other. Smaller ones share, and
    # where a shard of them ends is up to their content: so a file that is added, changed or removed
    # changes the shards around it and no others.
    held: list[ShardPiece] = []
    size, alone = 0, False
    for _, of_file in groupby(found, key=lambda item: item.file_id):
        items = list(of_file)
        large = sum(item.piece.size_bytes for item in items) * SMALL_FILES >= shard_bytes
        for i, item in enumerate(items):
            apart = i == 0 and (large or alone)
            if held and (apart or size + item.piece.size_bytes > shard_bytes):
                yield held
                held, size = [], 0
            held.append(item)
            size += item.piece.size_bytes
        alone = large
        if not large and _ends_here(items[-1], shard_bytes):
            yield held
            held, size = [], 0
    if held:
        yield held


def _ends_here(item: ShardPiece, shard_bytes: int) -> bool:
    # As often as makes shards of half the size on average.
    drawn = xxhash.xxh3_64_intdigest(item.content.encode("utf-8", "backslashreplace")) / 2**64
    return drawn * shard_bytes < 2 * item.piece.size_bytes


def piece_name(item: ShardPiece) -> str:
    """A name, in hex, for what scanning a piece depends on beside the parameters."""
    what = (
        item.content,
        item.file.format,
        compression_of(item.file.uri),
        item.piece.start,
        item.piece.stop,
        item.source,
    )
    return xxhash.xxh3_128_hexdigest(json.dumps(what).encode("ascii"))


def unit_keys(cut: Sequence[Sequence[str]]) -> list[str]:
    """A name for the content of each shard, in hex, from the names of its pieces."""
    seen: Counter[str] = Counter()
    keys = []
    for names in cut:
        key = xxhash.xxh3_128_hexdigest("".join(names).encode("ascii"))
        seen[key] += 1
        # Two shards of the same content are two: what is kept of a shard is of its place, too.
        keys.append(key if seen[key] == 1 else f"{key}-{seen[key]}")
    return keys
