"""Which files are audited: listing, fingerprints, shards."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fsspec
import xxhash
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import ConfigError, InputChangedError, InputError
from pipeline.readers.formats import format_of, pieces
from pipeline.readers.opening import open_file
from pipeline.readers.rows import Piece

EDGE_BYTES = 1 << 16  # bytes of a file's head and tail that its fingerprint covers
MAX_FILES = 1 << 32  # file_id is the high half of doc_id


@dataclass(frozen=True)
class InputFile:
    """A file as it was listed.

    `stamp` is what the store says of its last change (mtime or etag); with `size_bytes` it
    tells whether the file changed while the run read it.
    """

    uri: str
    format: str
    size_bytes: int
    stamp: str

    @property
    def shown_uri(self) -> str:
        """The URI as tables can hold it: bytes of a local name that are not UTF-8 become escapes."""
        return self.uri.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True)
class Listing:
    """The files of a run in the order of their ids, and what a folder held besides (by reason)."""

    files: tuple[InputFile, ...]
    passed_over: dict[str, int]


@dataclass(frozen=True)
class Inspected:
    """What a first look into a file found: its fingerprint and pieces, or what is wrong with it."""

    fingerprint: str
    pieces: tuple[Piece, ...]
    problem: InputError | None = None


@dataclass(frozen=True)
class ShardPiece:
    """A piece of a shard with the file it belongs to."""

    file_id: int
    file: InputFile
    piece: Piece
    source: str | None


@dataclass(frozen=True)
class Shard:
    """What one scan task reads: consecutive pieces of consecutive files."""

    number: int
    pieces: tuple[ShardPiece, ...]

    @property
    def size_bytes(self) -> int:
        """What its pieces hold, as `Piece.size_bytes` counts it."""
        return sum(item.piece.size_bytes for item in self.pieces)


def _stamp(info: dict[str, Any]) -> str:
    for key in ("mtime", "ETag", "etag", "LastModified", "updated", "last_modified"):
        if info.get(key) is not None:
            return str(info[key])
    return ""


def _hidden(path: str, root: str, kind: str | None) -> bool:
    # Names with a dot are hidden everywhere; those with an underscore are what writers of data sets
    # leave beside their data (_temporary/part-0.parquet), but quite usual for code (_utils.py).
    marks = (".",) if kind in (None, "text") else (".", "_")
    return any(part.startswith(marks) for part in path[len(root) :].split("/") if part)


def _file_system(location: str) -> tuple[Any, str]:
    # What is there as it is written is taken literally: fsspec would read "::" in it as a chain of URLs.
    if location.startswith("/") or os.path.exists(location):
        return LocalFileSystem(), LocalFileSystem._strip_protocol(location)
    return fsspec.core.url_to_fs(location)  # type: ignore[no-any-return]


def _found(pattern: str) -> tuple[Any, str, bool, dict[str, dict[str, Any]]]:
    # The files of one argument: (file system, path, whether it is a folder, info by path).
    try:
        fs, path = _file_system(pattern)
        if fs.isdir(path):
            return fs, path, True, fs.find(path, detail=True)
        if fs.exists(path):
            return fs, path, False, {path: fs.info(path)}
        matches = fs.glob(path, detail=True) if fsspec.core.has_magic(path) else {}
    except Exception as error:  # file systems raise what they like: ImportError, ClientError, ...
        raise ConfigError(
            f"cannot list {pattern}: {error}", fix="check the location and its credentials"
        ) from error
    return fs, path, False, matches


def _followed(fs: Any, name: str, info: dict[str, Any]) -> dict[str, Any]:
    # A local listing describes a link itself; type, size and last change are to be its file's.
    if not info.get("islink"):
        return info
    try:
        return dict(fs.info(name))
    except OSError:  # it leads nowhere: as a file that cannot be read it does not vanish
        return {**info, "type": "file"}


def list_files(patterns: Sequence[str], format: str) -> Listing:
    """The files that patterns (files, folders, globs, at any fsspec location) name.

    From a folder every file is taken that reads as `format`; with "auto" the data files, or, in
    a folder without any, the text files. What else it holds is counted, not read. A file named
    by itself or by a glob is always taken.

    Returns:
        The files in order of their URIs, each once.

    Raises:
        ConfigError: a pattern matches nothing, or a named file is of no known format.
    """
    files: dict[str, InputFile] = {}
    passed_over: Counter[str] = Counter()
    for pattern in patterns:
        fs, root, is_folder, found = _found(pattern)
        infos = {name: _followed(fs, name, info) for name, info in found.items()}
        named = {name: format_of(name) for name, info in infos.items() if info["type"] == "file"}
        if is_folder:
            passed_over.update(["not a file"] * (len(infos) - len(named)))
            named, others = _of_folder(named, root, format)
            passed_over.update(others)
        local = "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))
        for name, kind in named.items():
            uri = name if local else fs.unstrip_protocol(name)
            files[uri] = _input_file(uri, kind, format, infos[name])
        if not named:
            raise ConfigError(
                f"no file to audit at {pattern}",
                got=f"{len(infos)} files, none of them data" if infos else "nothing there",
                expected="a file, a folder or a glob pattern",
                fix="check the spelling, or set format: text to read files of any name as text",
            )
    if len(files) >= MAX_FILES:
        raise ConfigError(f"too many files: {len(files)}", expected=f"fewer than {MAX_FILES}")
    return Listing(tuple(files[uri] for uri in sorted(files)), dict(sorted(passed_over.items())))


def _of_folder(
    named: dict[str, str | None], root: str, format: str
) -> tuple[dict[str, str | None], Counter[str]]:
    # Runs that were written into the folder are no input of the next one.
    runs = tuple(
        name.removesuffix("run.json")
        for name in named
        if name.endswith("/run.json") and f"{name.removesuffix('run.json')}inputs.parquet" in named
    )
    audits = {name for name in named if name.startswith(runs)} if runs else set()
    visible = {
        name: kind for name, kind in named.items() if name not in audits and not _hidden(name, root, kind)
    }
    wanted = set(visible.values()) - {None, "text"} or {"text"} if format == "auto" else {format}
    taken = {name: kind for name, kind in visible.items() if kind in wanted}

    def why(name: str, kind: str | None) -> str:
        if name in audits:
            return "written by an audit"
        if name not in visible:
            return "hidden"
        return "not text, by its name" if kind is None else f"{kind} beside the data"

    return taken, Counter(why(name, kind) for name, kind in named.items() if name not in taken)


def _input_file(uri: str, kind: str | None, format: str, info: dict[str, Any]) -> InputFile:
    if format == "auto" and kind is None:
        raise ConfigError(
            "a file is not of a known format",
            where=uri,
            expected="Parquet, JSON Lines, CSV, TSV, Arrow or text",
            fix="leave it out, or say what it is with format",
        )
    return InputFile(uri, kind or format if format == "auto" else format, int(info["size"]), _stamp(info))


def inspect(files: Sequence[InputFile], shard_bytes: int) -> list[Inspected]:
    """A first look into each of some files."""
    return [_inspect(file, shard_bytes) for file in files]


def _inspect(file: InputFile, shard_bytes: int) -> Inspected:
    try:
        print_of_file = fingerprint(file)
        return Inspected(print_of_file, tuple(pieces(file.uri, file.format, file.size_bytes, shard_bytes)))
    except InputChangedError:
        raise
    except InputError as error:
        return Inspected("", (), error)


def fingerprint(file: InputFile) -> str:
    """XXH3-128, in hex, of a file's size, head and tail. The same wherever the file lies."""
    digest = xxhash.xxh3_128(file.size_bytes.to_bytes(8, "little"))
    try:
        with open_file(file.uri) as stream:
            digest.update(stream.read(EDGE_BYTES))
            if file.size_bytes > EDGE_BYTES:
                stream.seek(max(file.size_bytes - EDGE_BYTES, EDGE_BYTES))
                digest.update(stream.read(EDGE_BYTES))
    except (OSError, ValueError) as error:
        raise InputError(
            "cannot read a file", where=file.uri, got=error, fix="check its permissions"
        ) from None
    return digest.hexdigest()


def check_unchanged(file: InputFile) -> None:
    """Compare a file with what it was when it was listed.

    Raises:
        InputChangedError: it changed, or is gone.
    """
    try:
        fs, path = _file_system(file.uri)
        fs.invalidate_cache()
        info = fs.info(path)
        now = (int(info["size"]), _stamp(info))
    except OSError as error:
        raise InputChangedError(
            "an input file is gone",
            where=file.uri,
            got=error,
            expected=f"{file.size_bytes} bytes",
            fix="run again",
        ) from None
    if now != (file.size_bytes, file.stamp):
        raise InputChangedError(
            "an input file changed while it was being audited",
            where=file.uri,
            got=f"{now[0]} bytes, last change {now[1]}",
            expected=f"{file.size_bytes} bytes, last change {file.stamp}",
            fix="run again when nothing writes to it",
        )


def source_of(uri: str, expression: str | None) -> str | None:
    """The source that a path expression finds in a URI, None if it does not match."""
    match = re.search(expression, uri) if expression is not None else None
    return match[1] if match else None


def shards(found: Iterable[ShardPiece], shard_bytes: int) -> Iterator[Shard]:
    """Gather pieces, in order, into shards of about `shard_bytes` (at least one piece each)."""
    number, held, size = 0, list[ShardPiece](), 0
    for item in found:
        if held and size + item.piece.size_bytes > shard_bytes:
            yield Shard(number, tuple(held))
            number, held, size = number + 1, [], 0
        held.append(item)
        size += item.piece.size_bytes
    if held:
        yield Shard(number, tuple(held))
