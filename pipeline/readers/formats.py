"""Tell a file's format, cut it into pieces, read a piece: the door to all readers."""

from __future__ import annotations

import os
from collections.abc import Iterator

from pipeline.errors import ConfigError
from pipeline.readers import arrow_ipc, delimited, jsonl, parquet, text
from pipeline.readers.opening import COMPRESSIONS, file_name
from pipeline.readers.rows import Columns, Piece, Rows
from pipeline.readers.wording import printable

FORMATS = ("parquet", "jsonl", "csv", "tsv", "arrow", "text")
BATCH_BYTES = 16 * 1024 * 1024

SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}

# Names that are not text whatever they hold. Short on purpose: what it lacks is refused later,
# document by document, as not UTF-8.
BINARY_SUFFIXES = frozenset(
    suffix
    for group in (
        ".7z .bin .egg .jar .rar .tar .tbz2 .tgz .txz .whl .zip",  # archives
        ".a .class .dll .dylib .exe .lib .o .pyc .pyd .pyo .so .wasm",  # programs
        ".bmp .gif .ico .jpeg .jpg .png .tif .tiff .webp",  # images
        ".avi .flac .m4a .mkv .mov .mp3 .mp4 .ogg .wav .webm",  # sound, film
        ".doc .docx .eot .epub .odt .otf .pdf .ppt .pptx .ttf .woff .woff2 .xls .xlsx",  # documents, fonts
        ".avro .db .h5 .hdf5 .mat .npy .npz .orc .pickle .pkl .sqlite",  # data
        ".ckpt .onnx .pt .pth .safetensors",  # model weights
    )
    for suffix in group.split()
)


def format_of(uri: str) -> str | None:
    """The format a file's name tells; None for what is clearly not text.

    Args:
        uri: any path or URI. Case does not matter. One of .gz .zst .bz2 .xz behind the name is a
            compression, except of Parquet and Arrow files, which compress inside.

    Returns:
        One of FORMATS; `text` for every name that says nothing else.
    """
    name = file_name(uri)
    stem, last = os.path.splitext(name)
    compressed = last in COMPRESSIONS
    suffix = os.path.splitext(stem if compressed else name)[1]
    if suffix in BINARY_SUFFIXES:
        return None
    kind = SUFFIXES.get(suffix, "text")
    return None if compressed and kind in ("parquet", "arrow") else kind


def pieces(uri: str, format: str, size_bytes: int, shard_bytes: int) -> list[Piece]:
    """Cut a file into parts that together hold every row once, in order.

    Args:
        uri, format: the file, and one of FORMATS.
        size_bytes: its stored size.
        shard_bytes: about how much a piece is to hold, at least 1. A piece holds more where the
            format has no smaller unit.

    Returns:
        At least one piece, also for a file without rows.

    Raises:
        InputError: the file cannot be opened, or its metadata is damaged.
    """
    _check_format(format)
    if format == "parquet":
        return parquet.pieces(uri, shard_bytes)
    if format == "arrow":
        return arrow_ipc.pieces(uri, size_bytes, shard_bytes)
    if format == "jsonl":
        return jsonl.pieces(uri, size_bytes, shard_bytes)
    return [Piece(uri, format, 0, 1, size_bytes)]


def read(piece: Piece, columns: Columns, batch_bytes: int = BATCH_BYTES) -> Iterator[Rows]:
    """Stream the rows of a piece.

    Args:
        piece: one of `pieces`.
        columns: what to read. A text file has no columns: its labels are null.
        batch_bytes: about how much a batch holds. Memory is a small multiple of it and of the
            largest single document (and of the largest record batch of an Arrow file).

    Yields:
        At least one `Rows`; the last one's `n_rows` is the number of rows of the piece.

    Raises:
        InputError: the file is not there, damaged, of another format, or lacks a column.
        InputChangedError: it is shorter than when it was cut into pieces.
    """
    _check_format(piece.format)
    if piece.format == "parquet":
        return parquet.read(piece, columns, batch_bytes)
    if piece.format == "arrow":
        return arrow_ipc.read(piece, columns, batch_bytes)
    if piece.format == "jsonl":
        return jsonl.read(piece, columns, batch_bytes)
    if piece.format == "text":
        return text.read(piece, columns, batch_bytes)
    return delimited.read(piece, columns, batch_bytes)


def _check_format(format: str) -> None:
    if format not in FORMATS:
        raise ConfigError(
            "there is no reader for this format",
            got=printable(repr(format)),
            expected=f"one of {', '.join(FORMATS)}",
            fix="name one of them, or leave the format out to go by the file name",
        )
