"""What audits keep for the next ones: scanned shards, and tables of what was compared and cut.

    index.json        format and parameters; an index of others is refused, or made anew if asked
    scan/KEY/         what came of a shard, by a hash of the content of its pieces, with a record
    kept/NAME/        tables that the near and passage grains left, as kept.json tells
    runs/NAME.json    which files and units the last run of each set of inputs had

A unit counts when its record is there, which is written last. Of `kept` there is one generation, that
of the last finished run: the next one is put beside it, then kept.json is replaced. Whatever is damaged
is told by name and made anew from the inputs.

What is kept depends on inputs only through their content, so any run with the same parameters may use
it, whatever its files are called.
"""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.artifacts import FORMAT_VERSION, write_json, written_files
from pipeline.errors import ArtifactError, ConfigError
from pipeline.kernels.minhash import SCHEME
from pipeline.readers.wording import described, printable
from pipeline.records import Checksum, Checksums, checksums, damaged, read_record, write_record
from pipeline.removal import remove
from pipeline.stages.inputs import Shard
from pipeline.stages.scan import ScanParameters, ScanResult, scan

INDEX_VERSION = 3  # to be raised when anything in an index comes to mean something else
_OF_NOTHING: dict[str, object] = {"index_version": None}  # while it is emptied
_FOLDERS, _KEPT = ("scan", "kept", "runs"), "kept.json"
Tables = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Kept:
    """Tables an earlier run left, by name; `generation` names them, and is empty if there are none.

    `checksums` are of their files by path, as they were written.
    """

    generation: str
    tables: Tables
    checksums: Mapping[str, Checksum] = field(default_factory=dict)


def open_index(folder: Path, parameters: Mapping[str, object], rebuild: bool) -> None:
    """Make an index, or make sure that it is of this format and these parameters.

    Args:
        rebuild: whether one of others is emptied, rather than refused. What is no index never is.

    Raises:
        ConfigError: it is of others, or the folder holds something else.
    """
    wanted = {"index_version": INDEX_VERSION, "format_version": FORMAT_VERSION, **parameters}
    path = folder / "index.json"
    found, problem = _described(folder)
    if found == wanted:
        return
    if problem is not None and not (rebuild and _is_damaged(folder)):
        raise _not_ours(folder, problem)
    if found is not None and not rebuild:
        raise _refused(folder, found, wanted)
    if found is not None or problem is not None:
        # Its description goes first: a kill half-way leaves an index of nothing.
        write_json(_OF_NOTHING, path)
        for name in _FOLDERS:
            if (folder / name).exists():
                remove(folder / name)
        (folder / _KEPT).unlink(missing_ok=True)
    write_json(wanted, path)


def _described(folder: Path) -> tuple[dict[str, object] | None, str | None]:
    """What an index says of itself, None if it is new; and why a folder seems to be none."""
    path = folder / "index.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
    except (OSError, ValueError, RecursionError) as error:
        return None, described(error)
    if found is None:
        others = sorted(child.name for child in folder.iterdir() if not child.name.startswith("."))
        return None, f"{printable(others[0])} and no index.json" if others else None
    # Other programs, too, put an index.json into their folders.
    if not isinstance(found, dict) or "index_version" not in found:
        return None, "an index.json without index_version"
    return found, None


def _is_damaged(folder: Path) -> bool:
    # An index that lost its description, and nothing else: it may be emptied if that is asked for.
    names = {child.name for child in folder.iterdir() if not child.name.startswith(".")}
    if not names <= {"index.json", _KEPT, *_FOLDERS}:
        return False
    return (folder / _KEPT).exists() or any(folder.glob("scan/??/*/unit.json"))


def _not_ours(folder: Path, got: str) -> ConfigError:
    return ConfigError(
        "the folder of the index is no index",
        where=printable(str(folder), 1000),
        got=got,
        expected="a new or empty folder, or one that audits made",
        fix="name another folder as index; remove this one only if it is an index that was damaged",
    )


def _refused(folder: Path, found: Mapping[str, object], wanted: Mapping[str, object]) -> ConfigError:
    names = [name for name in wanted if found.get(name) != wanted[name]]
    names += [name for name in found if name not in wanted]
    got = ", ".join(f"{name} {json.dumps(found.get(name))}" for name in names)
    return ConfigError(
        "the index was made with other parameters",
        where=printable(str(folder), 1000),
        got="one that was emptied and not made anew" if found == _OF_NOTHING else printable(got, 1000),
        expected=", ".join(f"{name} {json.dumps(wanted.get(name))}" for name in names),
        fix="name another index, or make this one anew with --set index_mismatch=rebuild",
    )


def unit_folder(index: Path, key: str) -> Path:
    """Where what came of a shard is, or is to be."""
    return index / "scan" / key[:2] / key


def segment_folder(index: Path, name: str) -> Path:
    """Where the segment of a name is, or was, as `placed` names it."""
    key, _, inside = name.partition("-")
    return unit_folder(index, key) / inside


def recall_unit(folder: str) -> tuple[ScanResult | None, str | None]:
    """What came of a shard that was scanned before, or None; and what is wrong with it, to be told."""
    place = Path(folder)
    try:
        found = read_record(place / "unit.json")
    except ArtifactError as error:
        return None, f"{error.where}: {error.got}"
    if found is None:
        return None, None
    problem = damaged(found[0], place)
    return (None, problem) if problem is not None else (found[1]["result"], None)


def scan_unit(shard: Shard, folder: str, parameters: ScanParameters, reject_bad_files: bool) -> ScanResult:
    """Scan a shard into its folder of the index; see `stages.scan.scan`.

    Returns:
        The same as `recall_unit`: with paths inside the folder.
    """
    place = Path(folder)
    with written_files() as written:
        result = _inside(scan(shard, parameters, folder, reject_bad_files), place)
    if not result.problems:
        write_record(place / "unit.json", checksums(written, place), result=result)
    return result


def _inside(result: ScanResult, folder: Path) -> ScanResult:
    def short(path: str) -> str:
        return str(Path(path).relative_to(folder)) if path else ""

    segments = tuple(replace(segment, path=short(segment.path), shard=0) for segment in result.segments)
    return replace(result, segments=segments, rejects=short(result.rejects), shard=0)


def placed(result: ScanResult, shard: int, folder: Path) -> ScanResult:
    """What came of a shard, as this run names the shard and finds the files."""
    segments = tuple(
        replace(segment, shard=shard, path=str(folder / segment.path), name=f"{folder.name}-{segment.path}")
        for segment in result.segments
    )
    rejects = str(folder / result.rejects) if result.rejects else ""
    return replace(result, shard=shard, segments=segments, rejects=rejects)


def kept_tables(index: Path, parameters: str) -> Kept:
    """What the last finished run left, of which the checksums are to be compared before it is used.

    Args:
        parameters: a digest of what it depends on beside those of the index.

    Raises:
        ArtifactError: kept.json is damaged.
    """
    found = read_kept(index)
    if found is None or found[1]["parameters"] != parameters:
        return Kept("", {})
    known, values = found
    tables = {name: [str(index / path) for path in paths] for name, paths in values["tables"].items()}
    return Kept(values["generation"], tables, {str(index / path): known[path] for path in known})


def read_kept(index: Path) -> tuple[Checksums, dict[str, Any]] | None:
    """The record of what the last finished run left, if there is one."""
    return read_record(index / _KEPT)


def adopt(files: Sequence[tuple[str, str]]) -> None:
    """Put files of a run into the index, where they stay when the run's work is removed.

    They are not read: what is known of them is their checksums of when they were written.

    Args:
        files: each with where it is to go.
    """
    for path, target in files:
        place = Path(target)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        try:
            try:
                os.link(path, place)
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(path, place)
        except OSError as error:
            raise ArtifactError(
                "cannot write into the index",
                where=printable(target, 1000),
                got=described(error),
                fix="free disk space or make the folder writable, then start the same command again",
            ) from error


def adoption(index: Path, generation: str, tables: Tables) -> list[tuple[str, str]]:
    """The files of a new generation, with where each is to go."""
    paths = dict.fromkeys(path for of_name in tables.values() for path in of_name)
    folder = index / "kept" / generation
    return [(path, str(folder / f"{i:06d}{Path(path).suffix}")) for i, path in enumerate(paths)]


def write_kept(
    index: Path,
    generation: str,
    tables: Tables,
    adopted: Sequence[tuple[str, str]],
    known: Mapping[str, Checksum],
    parameters: str,
) -> None:
    """Let an adopted generation be the one that counts.

    Args:
        adopted: see `adoption`. known: checksums of its files, by the paths they were adopted from.
    """
    at = {path: str(Path(target).relative_to(index)) for path, target in adopted}
    named = {name: [at[path] for path in paths] for name, paths in tables.items()}
    files = {at[path]: known[path] for path in at}
    write_record(index / _KEPT, files, generation=generation, tables=named, parameters=parameters)


def generation_of(index: Path) -> str | None:
    """The name of the generation that counts, if there is one."""
    try:
        found = read_kept(index)
    except ArtifactError:
        return None
    return None if found is None else str(found[1]["generation"])


def remove_others(index: Path) -> None:
    """Remove all generations but the one that counts."""
    generation = generation_of(index)
    with suppress(FileNotFoundError):
        for folder in sorted((index / "kept").iterdir()):
            if folder.name != generation:
                remove(folder)


@dataclass(frozen=True)
class Unit:
    """A scanned shard that a run had: its key, the names of its pieces, and their files.

    Files are (uri, size in bytes, time of the last change).
    """

    key: str
    pieces: tuple[str, ...]
    files: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True)
class LastRun:
    """What the last run of some inputs had: its name, the contents of its files, its units."""

    run: str
    contents: tuple[str, ...]
    units: tuple[Unit, ...]


def last_run(index: Path, inputs: str) -> LastRun | None:
    """The last finished run of a set of inputs (a digest); None if there is none to know of."""
    found = read_record(index / "runs" / f"{inputs}.json")
    last: LastRun | None = None if found is None else found[1]["last"]
    return last


def write_last_run(index: Path, inputs: str, last: LastRun) -> None:
    """Keep it for the next run."""
    write_record(index / "runs" / f"{inputs}.json", {}, last=last)


def last_runs(index: Path) -> list[LastRun]:
    """The last run of every set of inputs."""
    found = [last_run(index, path.stem) for path in sorted((index / "runs").glob("*.json"))]
    return [last for last in found if last is not None]


def index_parameters(parameters: ScanParameters) -> dict[str, object]:
    """What scanned shards depend on, by the names of the configuration."""
    columns = parameters.columns
    return {
        "signature_scheme": SCHEME,
        "unicode_version": unicodedata.unidata_version,
        "text_column": columns.text,
        "id_column": columns.id,
        "source.column": columns.source,
        "licence_column": columns.licence,
        "near.shingle_tokens": parameters.shingle_tokens,
        "near.permutations": parameters.permutations,
        "near.seed": parameters.seed,
        "near.bands": parameters.bands,
        "near.rows": parameters.rows,
        "passages.min_tokens": parameters.passage_tokens,
    }
