"""Read a text file or a file of source code as one document."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.readers.opening import open_stream, reading
from pipeline.readers.records import Record, in_batches
from pipeline.readers.rows import Columns, Piece, Rows


def read(piece: Piece, columns: Columns, batch_bytes: int) -> Iterator[Rows]:
    """The whole file, byte for byte, as row 0. It has no columns, so its labels are null.

    An empty file is an empty document.
    """
    with reading(piece.uri, "a whole file, compressed as its name says"), open_stream(piece.uri) as stream:
        text = stream.read()
    yield from in_batches([Record(text, (None, None, None))], columns, batch_bytes)
