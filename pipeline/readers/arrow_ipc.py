"""Read Arrow IPC files by runs of record batches, or Arrow IPC streams from front to back.

A record batch is the smallest part that can be read, so one is held in memory whole.

The format allows a stream to end without an end mark, and Arrow takes it as whole; but every
writer of files ends a stream with one, and a writer that was killed between two batches leaves
a file without. So a stream without end mark, or with bytes behind it, is refused. (Streams
from before 2019, whose mark is four zero bytes and looks like padding, are taken as they are.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from pipeline.errors import InputError
from pipeline.readers.arrow_rows import check_text_type, in_batches
from pipeline.readers.header import positions
from pipeline.readers.opening import file_changed, open_file, reading
from pipeline.readers.rows import Columns, Piece, Rows
from pipeline.readers.wording import printable

EXPECTED = "a complete Arrow IPC file or stream"
FILE_MAGIC = b"ARROW1"
FEATHER_V1_MAGIC = b"FEA1"
CONTINUATION = b"\xff\xff\xff\xff"
END_MARK = CONTINUATION + bytes(4)
_AS_BYTES = {
    pa.string(): pa.binary(),
    pa.large_string(): pa.large_binary(),
    pa.string_view(): pa.binary_view(),
}


def pieces(uri: str, size_bytes: int, shard_bytes: int) -> list[Piece]:
    """Runs of record batches of about `shard_bytes` as stored; a stream is one piece.

    The file does not tell the size of a batch without a read of it, so all count the same.
    """
    with reading(uri, EXPECTED), open_file(uri) as source:
        if not holds_file_format(source, uri):
            return [Piece(uri, "arrow", 0, 1, size_bytes)]
        n = ipc.open_file(source).num_record_batches
    starts = range(0, max(n, 1), max(1, shard_bytes * n // max(1, size_bytes)))
    bounds = [(start, min(start + starts.step, n)) for start in starts]
    share = size_bytes / max(n, 1)
    sizes = [round(stop * share) - round(start * share) for start, stop in bounds]
    return [Piece(uri, "arrow", *bound, size) for bound, size in zip(bounds, sizes, strict=True)]


def read(piece: Piece, columns: Columns, batch_bytes: int) -> Iterator[Rows]:
    """Rows of the record batches of a piece."""
    with reading(piece.uri, EXPECTED), open_file(piece.uri) as source:
        yield from in_batches(_batches(source, piece, columns), columns, batch_bytes)


def _batches(source: pa.NativeFile, piece: Piece, columns: Columns) -> Iterator[pa.RecordBatch]:
    if not holds_file_format(source, piece.uri):
        yield from map(checked, _opened(ipc.open_stream, source, columns, piece.uri))
        check_end(source)
        return
    file = _opened(ipc.open_file, source, columns, piece.uri)
    if file.num_record_batches < piece.stop:
        raise file_changed(piece.uri, f"{file.num_record_batches} record batches", f"at least {piece.stop}")
    for number in range(piece.start, piece.stop):
        yield checked(file.get_batch(number))


def _opened(how: Any, source: pa.NativeFile, columns: Columns, uri: str) -> Any:
    """The file or stream, opened so that only the wanted columns are read."""
    schema = how(source).schema
    places = positions(columns, schema.names, uri)
    check_text_type(schema.field(places[0] or 0).type, columns, uri)
    wanted = sorted({place for place in places if place is not None})
    source.seek(0)
    return how(source, options=ipc.IpcReadOptions(included_fields=wanted, use_threads=False))


def holds_file_format(source: pa.NativeFile, uri: str) -> bool:
    """Whether the file has the file format, not the stream format; the source stands at 0 after."""
    magic = source.read(len(FILE_MAGIC))
    source.seek(0)
    if magic.startswith(FEATHER_V1_MAGIC):
        raise InputError(
            "an input file has the outdated format Feather V1",
            where=printable(uri, 1000),
            got="Feather V1",
            expected="Arrow IPC, also called Feather V2",
            fix="write it anew with pyarrow.feather.read_table and write_feather, or take it out",
        )
    return bool(magic == FILE_MAGIC)


def check_end(source: pa.NativeFile) -> None:
    """Refuse a stream that ends without a mark or before the file does."""
    at = source.tell()
    source.seek(0)
    if source.read(len(CONTINUATION)) != CONTINUATION:
        return
    source.seek(at - len(END_MARK))
    if source.read(len(END_MARK)) != END_MARK:
        raise EOFError("the file ends without the mark that ends a stream")
    if source.read(1):
        raise EOFError(f"there are more bytes after the stream, which ends at byte {at}")


def checked(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Refuse offsets that point outside their buffers, which a damaged file may hold.

    Arrow trusts them: reading on would end the process without a word.
    """
    for column in batch.columns:
        _check(column)
    return batch


def _check(values: pa.Array) -> None:
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        _check(values.storage)
    elif pa.types.is_dictionary(kind):
        _check(values.dictionary)
        values.indices.validate(full=True)
    else:
        # As bytes, since text that is not UTF-8 is no damage but judged row by row. Inside a
        # nested label the two are not told apart.
        values.cast(_AS_BYTES.get(kind, kind)).validate(full=True)
