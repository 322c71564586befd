"""Open input files by URI, and say in the user's terms why one cannot be read."""

from __future__ import annotations

import io
import lzma
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, cast

import pyarrow as pa
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import InputChangedError, InputError
from pipeline.readers.members import MembersStream
from pipeline.readers.wording import described, printable

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}

# What a damaged file makes the libraries raise. Nothing wider: a defect must stay visible as one.
READ_ERRORS = (OSError, EOFError, lzma.LZMAError, pa.ArrowException, UnicodeDecodeError)

RESTORE = "restore the file from where it came and run again, or take it out of the inputs"
RECOMPRESS = "compress the file anew, by zstd without --long or with at most --long=27"


class Stream(Protocol):
    """A decompressed file, read from front to back."""

    def read(self, n: int = -1, /) -> bytes:
        """Up to `n` bytes, all that are left for -1; empty at the end."""
        ...


def file_name(uri: str) -> str:
    """The last part of a URI's path, in lower case; a web address's query is not part of it."""
    if uri.lower().startswith(("http://", "https://")):
        uri = uri.partition("?")[0].partition("#")[0]
    return uri.rstrip("/").rpartition("/")[2].lower()


def compression_of(uri: str) -> str | None:
    """The compression a file's name tells: gzip, zstd, bz2, xz or none."""
    name = file_name(uri)
    return next((kind for suffix, kind in COMPRESSIONS.items() if name.endswith(suffix)), None)


@contextmanager
def reading(uri: str, expected: str) -> Iterator[None]:
    """Turn what a damaged file raises into an InputError that names the file."""
    try:
        yield
    except READ_ERRORS as error:
        raise InputError(
            "an input file cannot be read to its end",
            where=printable(uri, 1000),
            got=described(error),
            expected=expected,
            fix=RECOMPRESS if "too much memory for decoding" in str(error) else RESTORE,
        ) from error


@contextmanager
def open_file(uri: str) -> Iterator[pa.NativeFile]:
    """The stored bytes of a file, seekable where the file system is."""
    file = _open(uri)
    with file:
        yield file


@contextmanager
def open_stream(uri: str) -> Iterator[Stream]:
    """The content of a file, decompressed as its name tells."""
    kind = compression_of(uri)
    with open_file(uri) as file:
        if kind is None:
            yield file
            return
        _refuse_no_bytes(file, kind)
        if kind in ("bz2", "xz"):
            yield cast(Stream, io.BufferedReader(MembersStream(file, kind), buffer_size=1 << 20))
        else:
            with pa.CompressedInputStream(file, kind) as stream:
                yield stream


def file_changed(uri: str, got: str, expected: str) -> InputChangedError:
    """The error for a file that is shorter than it was when it was cut into pieces."""
    return InputChangedError(
        "an input file is shorter than it was when it was listed",
        where=printable(uri, 1000),
        got=got,
        expected=expected,
        fix="run again when nothing writes to the inputs any more",
    )


def _open(uri: str) -> pa.NativeFile:
    try:
        # A plain path is taken literally: fsspec would read "::" in it as a chain of URLs.
        if uri.startswith(("/", "file://")):
            return pa.OSFile(LocalFileSystem._strip_protocol(uri))
        files, path = url_to_fs(uri)
        if isinstance(files, LocalFileSystem):
            return pa.OSFile(path)
        return pa.PythonFile(files.open(path, "rb"), mode="r")
    except FileNotFoundError as error:
        raise _cannot_open(uri, "there is no such file", RESTORE) from error
    except Exception as error:  # file systems raise what they like: ImportError, ClientError, ...
        raise _cannot_open(uri, described(error), "check the location and the access to it") from error


def _cannot_open(uri: str, got: str, fix: str) -> InputError:
    return InputError(
        "an input file cannot be opened",
        where=printable(uri, 1000),
        got=got,
        expected="a readable file at a location that fsspec knows",
        fix=fix,
    )


def _refuse_no_bytes(file: pa.NativeFile, kind: str) -> None:
    # Arrow takes no bytes at all for an empty file, but no compressor writes that: it is what
    # a full disk leaves behind.
    if file.seekable() and file.size() == 0:
        raise EOFError(f"the file has no bytes, so it is not a {kind} file")
