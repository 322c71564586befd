"""Which held-out stretches have a window in common with the audited corpus.

One pass over the corpus, by the anchors that find its passages: two equal windows have the same
minimizer, so a text that shares no minimizer with a stretch shares no window with it. The few texts
that do are searched for the very words of the stretch's windows. So nothing is missed, and nothing
is called present on the word of a hash.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.config import Config
from pipeline.engine import open_engine
from pipeline.lookup import same_file
from pipeline.mapped import read_mapped, write_mapped
from pipeline.progress import Progress
from pipeline.prompting.cutting import Stretch
from pipeline.prompting.words import Reader
from pipeline.readers.formats import pieces, read
from pipeline.readers.rows import Columns
from pipeline.resuming import Tasks
from pipeline.stages.inputs import Shard, ShardPiece, check_unchanged
from pipeline.stages.scan import ScanParameters, Scratch, scan_texts
from pipeline.stages.shards import shards

STRETCHES = pa.schema([("text", pa.large_binary()), ("words", pa.large_binary())])


def present(run: Path, config: Config, stretches: Sequence[Stretch], progress: Progress) -> set[int]:
    """Numbers of the stretches of which a window of words stands in the corpus of a run.

    Args:
        config: of the run.

    Raises:
        InputError: the audited files cannot be read, are gone, or are not what the run read.
    """
    work = run / f".prompts-{uuid.uuid4().hex[:8]}"
    try:
        work.mkdir()
        table = pa.table(
            [
                [(each.prefix + each.suffix).encode() for each in stretches],
                [each.whole.encode() for each in stretches],
            ],
            schema=STRETCHES,
        )
        written = write_mapped(table, work / "stretches.arrow")
        with open_engine(config.cluster, progress, work) as engine, progress.stage("held-out") as counts:
            items = [(shard,) for shard in _shards(run, config, engine)]
            found = engine.map(
                "held-out",
                find_present,
                items,
                stretches=written,
                text_column=config.text_column,
                window=config.passages.min_tokens,
            )
            counts["stretches"], counts["present"] = len(stretches), len(set().union(*found))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return set().union(*found)


def _shards(run: Path, config: Config, engine: Tasks) -> list[Shard]:
    # What the run read.
    table = pl.read_parquet(run / "inputs.parquet").filter(pl.col("rows").is_not_null())
    items = [(row,) for row in table.iter_rows(named=True)]
    found = engine.map("inputs", pieces_of, items, shard_bytes=config.shard_bytes)
    return list(shards((piece for each in found for piece in each), config.shard_bytes))


def pieces_of(row: Mapping[str, Any], shard_bytes: int) -> list[ShardPiece]:
    """The pieces of a file of a run, given by its row of `inputs`.

    Raises:
        InputError: it cannot be read, is gone, or is not what the run read.
    """
    file = same_file(row)
    cut = pieces(file.uri, file.format, file.size_bytes, shard_bytes)
    return [ShardPiece(row["file_id"], file, piece, None) for piece in cut]


def find_present(shard: Shard, *, stretches: str, text_column: str, window: int) -> set[int]:
    """Numbers of the stretches that share a window of words with a text of a shard.

    Args:
        stretches: the path of a table of `STRETCHES`.

    Raises:
        InputError: a file cannot be read, or is not what it was when it was listed.
    """
    columns = Columns(text=text_column)
    # Of all that a scan finds only the anchors are of use here: the least of everything else.
    scratch = Scratch(ScanParameters(columns, 5, 8, 1, 1, 1, window))
    table = read_mapped(stretches)
    grams, owners = _minimizers(table.column("text").combine_chunks(), scratch)
    words_of = table.column("words").to_pylist()
    reader, found = Reader(), set[int]()
    for text, suspects in _suspects(shard, columns, scratch, grams, owners):
        missing = suspects - found
        if missing:
            words = b" " + reader.words(text).text.tobytes()
            runs = {each: _windows(words_of[each], window) for each in missing}
            found |= {each for each in missing if any(run in words for run in runs[each])}
    return found


def _minimizers(texts: pa.Array, scratch: Scratch) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    # The minimizers of all windows, sorted, and the number of the stretch each is from.
    found, anchors = scan_texts(texts, scratch)
    order = np.argsort(anchors.gram, kind="stable")
    return anchors.gram[order], np.repeat(np.arange(len(texts)), found.n_anchors)[order]


def _windows(words: bytes, window: int) -> list[bytes]:
    each = words.split(b" ")
    return [b" %b " % b" ".join(each[i : i + window]) for i in range(len(each) - window + 1)]


def _suspects(
    shard: Shard,
    columns: Columns,
    scratch: Scratch,
    grams: NDArray[np.uint64],
    owners: NDArray[np.int64],
) -> Iterator[tuple[bytes, set[int]]]:
    # Texts that share a minimizer with a stretch, and with which.
    for item in shard.pieces:
        check_unchanged(item.file)
        for rows in read(item.piece, columns):
            found, anchors = scan_texts(rows.texts, scratch)
            first, stop = (np.searchsorted(grams, anchors.gram, side) for side in ("left", "right"))
            text = np.repeat(np.arange(len(rows.texts)), found.n_anchors)
            by_text = dict[int, set[int]]()
            for anchor in np.flatnonzero(stop > first):
                mine = owners[first[anchor] : stop[anchor]].tolist()
                by_text.setdefault(int(text[anchor]), set()).update(mine)
            for number, suspects in by_text.items():
                yield rows.texts[number].as_py(), suspects
        check_unchanged(item.file)
