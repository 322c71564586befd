"""The texts of a segment themselves, kept in an index so that some can be read without their files.

A night wants a few texts in a hundred again, all over the files of a corpus, and most formats can only
be read from the beginning of a row group, or of the whole file. The copy is cut into row groups so
small that a text costs little more than itself. Of equal texts in a segment the first is kept.

Measured on 445 MB of Python source: 0.20 bytes a byte of text. Of 104 MB, in row groups of 256 KB, which
are larger than these, 60 texts were read in a tenth of the time that the Parquet file took they came from
(0.02 and 0.17 s); such groups were written at 310 MB/s a core.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.artifacts import open_parquet, table_of, uint64, write_bytes
from pipeline.errors import ArtifactError
from pipeline.readers.rows import Rows
from pipeline.stages.places import Places
from pipeline.stages.runs import starts_of_runs

# `place`: piece of the shard << 40 | row of the piece, ascending.
BODIES = pa.schema([("place", pa.uint64()), ("source", pa.large_string()), ("text", pa.large_binary())])
NAME = "bodies.parquet"
_GROUP_BYTES = 1 << 16
_READ_BYTES = 8 << 20  # text that is given at once, where a reader asks for as much
_PIECE_BITS = 40


def bodies_of(segment: str) -> str:
    """The file of a segment, named by its folder; empty if its texts were not kept."""
    path = Path(segment) / NAME
    return str(path) if path.exists() else ""


class Bodies:
    """Collects the texts of a segment, compressed, until they are written."""

    def __init__(self) -> None:
        self._buffer = pa.BufferOutputStream()
        self._file = pq.ParquetWriter(
            self._buffer,
            BODIES,
            compression="zstd",
            compression_level=1,
            use_dictionary=["source"],
            write_statistics=["place"],
            version="2.6",
            data_page_version="1.0",
            write_page_checksum=True,
        )
        self._seen: list[NDArray[np.uint64]] = []

    def add(
        self,
        pieces: NDArray[np.int64],
        rows: Rows,
        sources: pa.Array,
        text_ids: NDArray[np.uint64],
        chosen: NDArray[np.int64],
    ) -> None:
        """Add those of some texts that are not there yet: two of one text_id are one.

        Args:
            pieces, rows, sources, text_ids: of all texts, which come in order. chosen: some, ascending.
        """
        text_id = text_ids[chosen]
        order = np.argsort(text_id, kind="stable")
        new = np.sort(order[starts_of_runs(text_id[order])])
        if self._seen:
            new = new[~np.isin(text_id[new], np.concatenate(self._seen))]
        if len(new):
            self._seen.append(text_id[new])
            at = chosen[new]
            place = (pieces[at] << _PIECE_BITS | rows.rows.to_numpy()[at]).astype(np.uint64)
            table = table_of(BODIES, place, sources.take(pa.array(at)), rows.texts.take(pa.array(at)))
            group = max(1, len(table) * _GROUP_BYTES // max(table.nbytes, 1))
            self._file.write_table(table, row_group_size=group)

    def write(self, folder: Path) -> None:
        """Write the file of the segment."""
        self._file.close()
        write_bytes(self._buffer.getvalue(), folder / NAME)


def read_bodies(
    path: str, shard: int, located: Places, doc_id: NDArray[np.uint64]
) -> Iterator[tuple[NDArray[np.int64], pa.Table]]:
    """Some texts of a segment, by their documents, ascending; in tables of a few megabytes.

    Args:
        path: see `bodies_of`. shard: of the segment.

    Yields:
        Where in `doc_id` the texts are, ascending; and `BODIES` of them.

    Raises:
        ArtifactError: one is not there.
    """
    firsts = located.first_docs(shard)
    piece = np.searchsorted(firsts, doc_id, side="right") - 1
    place = piece.astype(np.uint64) << np.uint64(_PIECE_BITS) | (doc_id - firsts[piece])
    done = 0
    with open_parquet(path) as file:
        ends = _last_places(file)
        group = np.searchsorted(ends, place)
        while done < len(place):
            groups, size, stop = list[int](), 0, done
            while stop < len(place) and size < _READ_BYTES and group[stop] < len(ends):
                if not groups or groups[-1] != group[stop]:
                    groups.append(int(group[stop]))
                    size += file.metadata.row_group(groups[-1]).total_byte_size
                stop = int(np.searchsorted(group, group[stop], side="right"))
            table = file.read_row_groups(groups, use_threads=False)
            there = uint64(table, "place")
            at = np.searchsorted(there, place[done:stop])
            if stop == done or not np.array_equal(there[np.minimum(at, len(there) - 1)], place[done:stop]):
                raise other_texts(path)
            yield np.arange(done, stop), table.take(pa.array(at)).combine_chunks()
            done = stop


def read_shard(
    paths: Sequence[str], shard: int, located: Places, doc_id: NDArray[np.uint64]
) -> Iterator[tuple[NDArray[np.int64], pa.Table]]:
    """The same for texts of a shard, of whose segments these are the files, in order."""
    firsts, begin = located.first_docs(shard), 0
    for number, path in enumerate(paths, 1):
        if begin == len(doc_id):
            break
        stop = len(doc_id)
        if number < len(paths):
            with open_parquet(path) as file:
                last = int(_last_places(file)[-1]) if file.metadata.num_rows else 0
            end = int(firsts[last >> _PIECE_BITS]) + (last & (1 << _PIECE_BITS) - 1) + 1
            stop = int(np.searchsorted(doc_id, np.uint64(end)))
        for at, table in read_bodies(path, shard, located, doc_id[begin:stop]):
            yield at + begin, table
        begin = max(begin, stop)
    if begin < len(doc_id):
        raise other_texts(paths[-1])


def other_texts(path: str) -> ArtifactError:
    """The error of a file that does not hold the texts that were scanned."""
    return ArtifactError(
        "the texts of an index are not those of its scans",
        where=path,
        fix="make the index anew with --set index_mismatch=rebuild",
    )


def _last_places(file: pq.ParquetFile) -> NDArray[np.uint64]:
    groups = (file.metadata.row_group(i).column(0).statistics for i in range(file.metadata.num_row_groups))
    return np.array([span.max for span in groups], np.uint64)
