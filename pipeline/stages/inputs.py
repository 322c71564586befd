"""Which files are audited: listing, fingerprints, shards."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa
import xxhash
from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import ConfigError, InputChangedError, InputError
from pipeline.readers.formats import format_of, pieces
from pipeline.readers.opening import compression_of, open_file
from pipeline.readers.rows import Piece

EDGE_BYTES = 1 << 16  # bytes of a file's head and tail that its fingerprint covers
WHOLE_BYTES = 1 << 22  # read at once of a file that is hashed whole
# How the files end that say behind their footer how long it is, and how much stands there.
_FOOTERS = {b"PAR1": 8, b"ARROW1": 10}
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
    """What a first look into a file found: its fingerprint and pieces, or what is wrong with it.

    `content` is by what an index knows the file's content: equal in two runs, the file is not read
    again. It takes in how the file is to be read, and every byte, or, of a large file, the fingerprint
    and what the store says of its last change; see `_content`.
    """

    fingerprint: str
    pieces: tuple[Piece, ...]
    problem: InputError | None = None
    content: str = ""


@dataclass(frozen=True)
class ShardPiece:
    """A piece of a shard with the file it belongs to."""

    file_id: int
    file: InputFile
    piece: Piece
    source: str | None
    content: str = ""


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
    ours = _written_by_audits(named)
    audits = {name for name in named if name.startswith(ours)} if ours else set()
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


def _written_by_audits(names: Iterable[str]) -> tuple[str, ...]:
    # Folders of runs, and of what runs keep for later ones, are no input of the next run.
    runs, indexes, scans, tables = set(), set(), set(), set()
    for name in names:
        folder, _, last = name.rpartition("/")
        if last == "run.json":
            runs.add(folder)
        elif last == "inputs.parquet":
            tables.add(folder)
        elif last == "index.json":
            indexes.add(folder)
        scans |= {name[: found.start()] for found in re.finditer("(?=/scan/)", name)}
    return tuple(f"{folder}/" for folder in sorted(runs & tables | indexes & scans))


def _input_file(uri: str, kind: str | None, format: str, info: dict[str, Any]) -> InputFile:
    if format == "auto" and kind is None:
        raise ConfigError(
            "a file is not of a known format",
            where=uri,
            expected="Parquet, JSON Lines, CSV, TSV, Arrow or text",
            fix="leave it out, or say what it is with format",
        )
    return InputFile(uri, kind or format if format == "auto" else format, int(info["size"]), _stamp(info))


def inspect(files: Sequence[InputFile], shard_bytes: int, whole: bool = False) -> list[Inspected]:
    """A first look into each of some files; with `whole` all of it is read, for its content."""
    return [_inspect(file, shard_bytes, whole) for file in files]


def _inspect(file: InputFile, shard_bytes: int, whole: bool) -> Inspected:
    try:
        print_of_file = fingerprint(file)
        content = _content(file, print_of_file, whole)
        found = tuple(pieces(file.uri, file.format, file.size_bytes, shard_bytes))
        return Inspected(print_of_file, found, content=content)
    except InputError as error:
        return Inspected("", (), error)


def fingerprint(file: InputFile) -> str:
    """XXH3-128, in hex, of a file's size, head and tail. The same wherever the file lies.

    The tail takes in the footer of a Parquet or Arrow file, which tells its parts.
    """
    digest = xxhash.xxh3_128(file.size_bytes.to_bytes(8, "little"))
    with _readable(file), open_file(file.uri) as stream:
        digest.update(stream.read(EDGE_BYTES))
        if file.size_bytes > EDGE_BYTES:
            digest.update(_tail(stream, file.size_bytes))
    return digest.hexdigest()


def _content(file: InputFile, print_of_file: str, whole: bool) -> str:
    kind = f"{file.format} {compression_of(file.uri)} {file.size_bytes}"
    # A fingerprint of head and tail that meet has seen every byte: such a file may be touched or copied.
    if file.size_bytes <= 2 * EDGE_BYTES:
        return f"{kind} {print_of_file}"
    # Where a store tells no time of the last change, nothing else tells of one in the middle.
    if whole or not file.stamp:
        return f"{kind} whole {_hash_of_all(file)}"
    return f"{kind} {print_of_file} {file.stamp}"


def _hash_of_all(file: InputFile) -> str:
    digest = xxhash.xxh3_128()
    with _readable(file), open_file(file.uri) as stream:
        while block := stream.read(WHOLE_BYTES):
            digest.update(block)
    check_unchanged(file)
    return digest.hexdigest()


@contextmanager
def _readable(file: InputFile) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise InputError(
            "cannot read a file", where=file.uri, got=error, fix="check its permissions"
        ) from None


def _tail(stream: pa.NativeFile, size_bytes: int) -> bytes:
    # What follows the head, EDGE_BYTES of it or as much as the footer takes.
    stream.seek(max(size_bytes - EDGE_BYTES, EDGE_BYTES))
    tail: bytes = stream.read(EDGE_BYTES)
    footer = next((n for magic, n in _FOOTERS.items() if tail.endswith(magic)), None)
    if footer is None or len(tail) < footer:
        return tail
    n_bytes = int.from_bytes(tail[-footer : 4 - footer], "little", signed=True) + footer
    if n_bytes <= len(tail) or n_bytes > size_bytes - EDGE_BYTES:
        return tail
    stream.seek(size_bytes - n_bytes)
    whole: bytes = stream.read(n_bytes)
    return whole


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
