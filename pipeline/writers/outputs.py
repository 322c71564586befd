"""Open files to write, here or at any fsspec location, compressed as their inputs are."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast

import fsspec
import pyarrow as pa
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import AuditError
from pipeline.readers.opening import COMPRESSIONS
from pipeline.readers.wording import described, printable

GZIP_LEVEL = 6  # what gzip itself takes; Python's default of 9 takes twice as long


def file_system(location: str) -> tuple[Any, str]:
    """The file system of a location, and its path there. A plain path is taken literally."""
    if "://" not in location:
        return LocalFileSystem(), os.path.abspath(location)
    return fsspec.core.url_to_fs(location)  # type: ignore[no-any-return]


@contextmanager
def open_output(location: str) -> Iterator[BinaryIO]:
    """A new file; on this machine it appears whole or not at all.

    Raises:
        AuditError: it cannot be written.
    """
    fs, path = file_system(location)
    try:
        if isinstance(fs, LocalFileSystem):
            with _replacing(path) as sink:
                yield cast(BinaryIO, _Sink(sink, location))
        else:
            fs.makedirs(fs._parent(path), exist_ok=True)
            with fs.open(path, "wb") as sink:
                yield cast(BinaryIO, _Sink(sink, location))
    except OSError as error:
        raise _cannot_write(location, error) from error


class _Sink(io.RawIOBase):
    """A file to write whose errors are told from those of the file that is read meanwhile."""

    def __init__(self, sink: BinaryIO, location: str) -> None:
        self._sink, self._location = sink, location

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        try:
            return self._sink.write(data)
        except OSError as error:
            raise _cannot_write(self._location, error) from error


def _cannot_write(location: str, error: OSError) -> AuditError:
    return AuditError(
        "cannot write a file of the filtered data",
        where=printable(location, 1000),
        got=described(error),
        fix="free space, or check the access to the folder that --write names",
    )


@contextmanager
def _replacing(path: str) -> Iterator[BinaryIO]:
    # Two tries of one task may run at once, with one name each. The name is short: names have a
    # longest length, and the file's own may be that long.
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f".{uuid.uuid4().hex[:16]}")
    try:
        with open(temporary, "wb") as sink:
            yield sink
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            os.unlink(temporary)


@contextmanager
def compressed(sink: BinaryIO, kind: str | None) -> Iterator[BinaryIO]:
    """What is written goes into `sink` compressed: gzip, zstd, bz2, xz or as it is."""
    if kind is None:
        yield sink
        return
    with _compressor(sink, kind) as stream:
        yield stream


def _compressor(sink: BinaryIO, kind: str) -> Any:
    if kind == "gzip":  # without a name and a time, so that equal content becomes equal bytes
        return gzip.GzipFile("", "wb", GZIP_LEVEL, sink, mtime=0)
    if kind == "bz2":
        return bz2.BZ2File(sink, "wb")
    if kind == "xz":
        return lzma.LZMAFile(sink, "wb")
    return pa.CompressedOutputStream(pa.PythonFile(sink, "w"), COMPRESSIONS[".zst"])
