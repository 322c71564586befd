"""Copy Arrow IPC files and streams, record batch by record batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import ipc

from pipeline.readers.arrow_ipc import FILE_MAGIC, check_end, checked, holds_file_format
from pipeline.readers.opening import open_file
from pipeline.writers.arrow_columns import filtered, with_cuts
from pipeline.writers.verdicts import Verdicts

_CODECS = {0: "lz4", 1: "zstd"}  # enum CompressionType of Arrow's Message.fbs
_BATCHES, _HEADER, _COMPRESSION, _CODEC = (
    3,
    2,
    3,
    0,
)  # fields of Footer, Message, RecordBatch, BodyCompression


def write(uri: str, text_column: str, verdicts: Verdicts, sink: BinaryIO, cuts: bool) -> None:
    """Write the rows of a file that stay; batches of which none stays are left out.

    Args:
        cuts: whether texts are cut, so that a file's dictionary of them may have to grow.
    """
    with open_file(uri) as source:
        is_file = holds_file_format(source, uri)
        options = ipc.IpcWriteOptions(
            compression=_compression(source, is_file), emit_dictionary_deltas=cuts and is_file
        )
        reader = (ipc.open_file if is_file else ipc.open_stream)(source)
        with _new(reader, is_file, sink, options) as writer:
            grown: list[bytes] = []
            for batch, metadata in _batches(reader, is_file):
                first_row, ruling = verdicts.rows, verdicts.following(batch.num_rows)
                added = grown if is_file else []  # in a stream a batch may have its own dictionary
                cut = with_cuts(checked(batch), text_column, ruling.cuts, added, uri, first_row)
                left = filtered(cut, ruling.keep)
                if left.num_rows or not batch.num_rows:
                    writer.write_batch(left, metadata)
        if not is_file:
            check_end(source)


def _new(reader: Any, is_file: bool, sink: BinaryIO, options: ipc.IpcWriteOptions) -> Any:
    if is_file:
        return ipc.new_file(sink, reader.schema, options=options, metadata=reader.metadata)
    return ipc.new_stream(sink, reader.schema, options=options)


def _batches(reader: Any, is_file: bool) -> Iterator[tuple[pa.RecordBatch, Any]]:
    """The record batches, each with the metadata of its own that it may have."""
    if is_file:
        yield from (reader.get_batch_with_custom_metadata(i) for i in range(reader.num_record_batches))
    else:
        yield from reader.iter_batches_with_custom_metadata()


def _compression(source: pa.NativeFile, is_file: bool) -> str | None:
    """The compression of the first record batch, which Arrow reads but does not tell.

    The source stands at 0 after.
    """
    source.seek(0)
    message = _first_of_file(source) if is_file else _first_of_stream(source)
    source.seek(0)
    return None if message is None else _codec(bytes(message.metadata))


def _first_of_stream(source: pa.NativeFile) -> ipc.Message | None:
    messages = ipc.MessageReader.open_stream(source)
    return next((message for message in messages if message.type == "record batch"), None)


def _first_of_file(source: pa.NativeFile) -> ipc.Message | None:
    # By the footer: writers differ in how far behind the magic the first message stands.
    end = source.size() - len(FILE_MAGIC) - 4
    source.seek(end)
    size = int.from_bytes(source.read(4), "little")
    source.seek(end - size)
    footer = source.read(size)
    field = _field(footer, _follow(footer, 0), _BATCHES)
    blocks = _follow(footer, field) if field else 0
    if not blocks or not int.from_bytes(footer[blocks : blocks + 4], "little"):
        return None
    source.seek(int.from_bytes(footer[blocks + 4 : blocks + 12], "little"))
    return ipc.read_message(source)


def _codec(message: bytes) -> str | None:
    """The codec that a message of a record batch names, read by the layout of FlatBuffers."""
    batch = _follow(message, _field(message, _follow(message, 0), _HEADER))
    compression = _field(message, batch, _COMPRESSION)
    if compression == 0:
        return None
    codec = _field(message, _follow(message, compression), _CODEC)
    return _CODECS[message[codec] if codec else 0]


def _follow(message: bytes, at: int) -> int:
    return at + int.from_bytes(message[at : at + 4], "little")


def _field(message: bytes, table: int, number: int) -> int:
    """Where a field of a table stands; 0 for one that has its default."""
    fields = table - int.from_bytes(message[table : table + 4], "little", signed=True)
    size = int.from_bytes(message[fields : fields + 2], "little")
    entry = 4 + 2 * number
    if entry >= size:
        return 0
    offset = int.from_bytes(message[fields + entry : fields + entry + 2], "little")
    return table + offset if offset else 0
