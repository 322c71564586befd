"""Which places the filtered copy of a data set may be written to, or is refused.

On this machine it is written beside its place and renamed, so that it appears whole or not at all.
Elsewhere nothing can be renamed: there its files appear one by one, and are removed after an error.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from pipeline.errors import AuditError, ConfigError
from pipeline.readers.wording import described, printable
from pipeline.writers.outputs import file_system


@dataclass(frozen=True)
class Destination:
    """`location` is where the copy will be, `staging` where it is written."""

    location: str
    staging: str

    def finish(self) -> None:
        """Put the copy in its place.

        Raises:
            AuditError: that cannot be done.
        """
        if self.staging == self.location:
            return
        try:
            os.makedirs(self.staging, exist_ok=True)
            os.rename(self.staging, self.location)
        except OSError as error:
            raise AuditError(
                "cannot put the filtered data in its place",
                where=printable(self.location, 1000),
                got=described(error),
                fix="name a folder that is not there yet, on a disk that can be written to",
            ) from error

    def abandon(self) -> None:
        """Remove what was written."""
        fs, path = file_system(self.staging)
        if isinstance(fs, LocalFileSystem):
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                fs.rm(path, recursive=True)


@contextmanager
def placed(copy: Destination | None) -> Iterator[None]:
    """What is written to a copy's staging comes into its place at the end, or is removed after an error."""
    try:
        yield
        if copy is not None:
            copy.finish()
    except BaseException:
        if copy is not None:
            copy.abandon()
        raise


def destination(out: str, audited: Sequence[str], ours: Sequence[Path]) -> Destination:
    """Where to write, if that is a place that may be written to.

    Args:
        out: a folder that is new or empty. audited: what the run was told to audit. ours: folders
            of the run and the list.

    Raises:
        ConfigError: it is none, or lies where it would become part of something else.
    """
    fs, path = _found(out)
    local = isinstance(fs, LocalFileSystem)
    location = os.path.realpath(path) if local else str(fs.unstrip_protocol(path))
    check_apart(location, audited, f"--write {out}")
    for folder in (str(path.resolve()) for path in ours):
        if _within(location, folder) or _within(folder, location):
            raise _refused(
                "the filtered data would lie among the tables of a run",
                f"--write {out}",
                f"a folder apart from {folder}",
            )
    if not local:
        return Destination(location, location)
    return Destination(location, f"{os.path.dirname(location)}/.dupaudit-{uuid.uuid4().hex[:12]}")


def _found(out: str) -> tuple[Any, str]:
    try:
        fs, path = file_system(out)
        there = fs.exists(path)
        is_file, inside = there and fs.isfile(path), fs.ls(path, detail=False) if there else []
    except Exception as error:  # file systems raise what they like: ImportError, ClientError, ...
        raise ConfigError(
            "cannot look at the folder for the filtered data",
            where=printable(out, 1000),
            got=described(error),
            fix="check the location and its credentials",
        ) from error
    if is_file or inside:
        got = "a file" if is_file else f"a folder that holds {len(inside)} files or folders"
        what = "the place for the filtered data is taken"
        raise _refused(what, f"--write {out}", "a folder that is new or empty", got)
    return fs, path


def check_apart(location: str, audited: Sequence[str], option: str) -> None:
    """Refuse a place in a folder that was audited: a new file there is data to its next audit.

    Raises:
        ConfigError: it lies in one. A pattern of names is no folder.
    """
    for folder in filter(None, map(_folder, audited)):
        if _within(location, folder):
            raise _refused(
                "what is written would lie among the audited data", option, f"a folder outside {folder}"
            )


def _refused(what: str, option: str, expected: str, got: str | None = None) -> ConfigError:
    return ConfigError(
        what,
        where=printable(option, 1000),
        got=got,
        expected=printable(expected, 1000),
        fix="name another folder",
    )


def _folder(pattern: str) -> str | None:
    fs, path = file_system(pattern)
    if isinstance(fs, LocalFileSystem):
        return os.path.realpath(path) if os.path.isdir(path) else None
    return str(fs.unstrip_protocol(path)).rstrip("/") if fs.isdir(path) else None


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def relative_paths(uris: Sequence[str]) -> list[str]:
    """The paths of files below the folder that is the parent of all of them.

    Raises:
        ConfigError: one of them leads out of that folder, or into another file's place.
    """
    names = [_parts(uri) for uri in uris]
    folders = [parts[:-1] for parts in names]
    # What the first and the last in order have in common, all have.
    edges = zip(min(folders, default=[]), max(folders, default=[]), strict=False)
    common = list(takewhile(lambda pair: pair[0] == pair[1], edges))
    paths = ["/".join(parts[len(common) :]) for parts in names]
    taken: dict[str, str] = {}
    for uri, path, parts in zip(uris, paths, names, strict=True):
        other = taken.setdefault(path, uri)
        if other != uri or not {"", ".", ".."}.isdisjoint(parts[len(common) :]):
            raise ConfigError(
                "an input has no place of its own below the parent of all inputs",
                where=printable(uri, 1000),
                got=printable(path if other == uri else f"the place of {other}", 1000),
                expected="paths without empty parts, . and ..",
                fix="write the inputs of such names by themselves",
            )
    return paths


def _parts(uri: str) -> list[str]:
    scheme, found, path = uri.partition("://")
    if not found:
        return ["file", *posixpath.normpath(uri).split("/")[1:]]
    return [scheme, *path.split("/")]
