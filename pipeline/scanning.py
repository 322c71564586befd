"""From the files of a run to its scanned shards: those that the index has are not read again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from pipeline import schemas
from pipeline.artifacts import write_output
from pipeline.config import Config
from pipeline.errors import InputChangedError, InputError
from pipeline.index import placed, unit_folder, unit_of
from pipeline.progress import Progress
from pipeline.readers.wording import printable
from pipeline.removal import remove
from pipeline.resuming import Tasks
from pipeline.stages import rejects
from pipeline.stages.inputs import InputFile, Inspected, Listing, Shard, ShardPiece, inspect, source_of
from pipeline.stages.scan import ScanParameters, ScanResult, Segment
from pipeline.stages.shards import piece_name, shards, unit_keys
from pipeline.stages.summary import Figures

FILES_A_TASK = 256  # files an inspecting task looks into


@dataclass(frozen=True)
class Files:
    """The inputs of a run: what was listed, what was found inside, what is left out and why."""

    listing: Listing
    inspected: tuple[Inspected, ...]
    bad: tuple[tuple[int, InputFile, InputError], ...] = ()

    def without(self, error: InputChangedError) -> Files | None:
        """The same without the file that an error names; None if it names none of them."""
        left_out = {bad[0] for bad in self.bad}
        for i, file in enumerate(self.listing.files):
            if _names(error, file) and i not in left_out:
                return replace(self, bad=(*self.bad, (i, file, error)))
        return None


def _names(error: InputChangedError, file: InputFile) -> bool:
    return error.where in (file.uri, printable(file.uri, 1000))


@dataclass(frozen=True)
class Scans:
    """The scanned shards: as they were cut, the units of the index that hold them, what came of them."""

    shards: tuple[Shard, ...]
    units: tuple[str, ...]
    results: tuple[ScanResult, ...]
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Scanning:
    """How a run scans: with what, and where what comes of it is kept.

    `known` are shards of an earlier run, as names of their pieces.
    """

    config: Config
    parameters: ScanParameters
    tasks: Tasks
    progress: Progress
    index: Path
    known: Sequence[Sequence[str]] = ()

    def inspect(self, listing: Listing) -> Files:
        """Look into every file.

        Raises:
            InputError: one cannot be read, and is not to be left out.
        """
        with self.progress.stage("inputs") as counts:
            files, whole = listing.files, self.config.fingerprint == "full"
            chunks = [(files[i : i + FILES_A_TASK],) for i in range(0, len(files), FILES_A_TASK)]
            found = self.tasks.map(
                "inputs", inspect, chunks, shard_bytes=self.config.shard_bytes, whole=whole
            )
            inspected = tuple(item for chunk in found for item in chunk)
            bad = tuple(
                (i, files[i], item.problem) for i, item in enumerate(inspected) if item.problem is not None
            )
            if bad and self.config.on_bad_file == "error":
                raise bad[0][2]
            counts |= {
                "files": len(files),
                "bytes": sum(file.size_bytes for file in files),
                "rejected": len(bad),
            }
        return Files(listing, inspected, bad)

    def _shards(self, files: Files) -> tuple[Shard, ...]:
        expression = self.config.source.path if self.config.source is not None else None
        left_out = {bad[0] for bad in files.bad}
        found = zip(files.listing.files, files.inspected, strict=True)
        return tuple(
            shards(
                (
                    ShardPiece(i, file, piece, source_of(file.uri, expression), inspected.content)
                    for i, (file, inspected) in enumerate(found)
                    if i not in left_out
                    for piece in inspected.pieces
                ),
                self.config.shard_bytes,
                self.known,
            )
        )

    def scan(self, files: Files) -> tuple[Scans, Files]:
        """Scan the shards that the index does not hold; the scans, and the files without bad ones."""
        with self.progress.stage("scan") as counts:
            counts["bytes_read"] = 0
            while True:
                cut = self._shards(files)
                keys = unit_keys([[piece_name(item) for item in shard.pieces] for shard in cut])
                results, scanned = self._results(cut, keys)
                counts["bytes_read"] += sum(shard.size_bytes for shard in scanned)
                # A file that turned out bad half-way must not count by half: again without it. Of
                # several things wrong with it the first is told, wherever shards begin.
                bad: dict[int, tuple[int, InputFile, InputError]] = {}
                for shard, result in zip(cut, results, strict=True):
                    for at, error in result.problems:
                        item = shard.pieces[at]
                        bad.setdefault(item.file_id, (item.file_id, item.file, error))
                if not bad:
                    break
                files = replace(files, bad=(*files.bad, *bad.values()))
            segments = tuple(segment for result in results for segment in result.segments)
            counts["rows"] = sum(sum(result.piece_rows) for result in results)
            counts["documents"] = sum(segment.documents for segment in segments)
            counts["rejected"] = sum(result.rejected for result in results)
        return Scans(cut, tuple(keys), tuple(results), segments), files

    def forget(self, scans: Scans, error: InputChangedError) -> None:
        """Have the shards of a file that turned out to be another scanned again, by whatever run."""
        for unit, shard in zip(scans.units, scans.shards, strict=True):
            folder = unit_folder(self.index, unit)
            if any(_names(error, item.file) for item in shard.pieces) and folder.exists():
                remove(folder)

    def _results(self, cut: Sequence[Shard], keys: Sequence[str]) -> tuple[list[ScanResult], list[Shard]]:
        folders = [unit_folder(self.index, key) for key in keys]
        there = [(folder / "unit.json").exists() for folder in folders]
        for folder, is_there in zip(folders, there, strict=True):
            if not is_there and folder.exists():  # by half
                remove(folder)
        # At once: what is to be scanned is begun first, and the files of the others are looked at meanwhile.
        found = self._units(cut, folders, there)
        again = [i for i, (result, _) in enumerate(found) if result is None]
        for i in again:
            problem = found[i][1]
            if problem is not None:
                self.progress.damaged(problem)
            if folders[i].exists():
                remove(folders[i])
        made = self._units([cut[i] for i in again], [folders[i] for i in again], [False] * len(again))
        results = {i: result for i, (result, _) in enumerate(found) if result is not None}
        results |= {i: result for i, (result, _) in zip(again, made, strict=True) if result is not None}
        scanned = [shard for i, shard in enumerate(cut) if i in again or not there[i]]
        return [placed(results[i], shard.number, folders[i]) for i, shard in enumerate(cut)], scanned

    def _units(
        self, cut: Sequence[Shard], folders: Sequence[Path], there: Sequence[bool]
    ) -> list[tuple[ScanResult | None, str | None]]:
        return self.tasks.map(
            "scan",
            unit_of,
            [
                (shard, str(folder), is_there)
                for shard, folder, is_there in zip(cut, folders, there, strict=True)
            ],
            costs=[0 if is_there else shard.size_bytes for shard, is_there in zip(cut, there, strict=True)],
            parameters=self.parameters,
            reject_bad_files=self.config.on_bad_file == "reject",
        )


def write_rejects(
    config: Config, scans: Scans, files: Files, places: str, output: Path, tasks: Tasks
) -> Figures:
    """Write the tables `rejects` and `inputs`; what they come to, as figures.

    Raises:
        InputError: too large a share of the rows was rejected.
    """
    rows = sum(sum(result.piece_rows) for result in scans.results)
    rejected = sum(result.rejected for result in scans.results)
    share = rejected / rows if rows else 0.0
    if share > config.max_rejected_fraction:
        raise InputError(
            "too many input rows cannot be audited",
            where=rejects.first_reject(scans.shards, scans.results),
            got=f"{rejected:,} of {rows:,} rows rejected ({share:.1%})",
            expected=f"at most {config.max_rejected_fraction:.1%} (max_rejected_fraction)",
            fix="check text_column and format, or raise max_rejected_fraction",
        )
    item = (scans.shards, scans.results, places, files.bad, str(output / "rejects"))
    written = tasks.map("rejects", rejects.write_rejects, [item])[0]
    _write_inputs(scans, files, output)
    return {
        "input_files": (len(files.listing.files), "files"),
        "input_rows": (rows, "rows"),
        "rejected_rows": (written - len(files.bad), "rows"),
        "rejected_files": (len(files.bad), "files"),
        "rejected_fraction": (share, "0 to 1"),
    }


def _write_inputs(scans: Scans, files: Files, output: Path) -> None:
    left_out = {bad[0] for bad in files.bad}
    rows = [None if i in left_out else 0 for i in range(len(files.listing.files))]
    for shard, result in zip(scans.shards, scans.results, strict=True):
        for item, n in zip(shard.pieces, result.piece_rows, strict=True):
            rows[item.file_id] = (rows[item.file_id] or 0) + n
    table = {
        "file_id": pa.array(range(len(rows)), pa.uint64()),
        "uri": pa.array([f.shown_uri for f in files.listing.files], pa.large_string()),
        "format": pa.array([f.format for f in files.listing.files], pa.large_string()),
        "size_bytes": pa.array([f.size_bytes for f in files.listing.files], pa.int64()),
        "fingerprint": pa.array([i.fingerprint for i in files.inspected], pa.large_string()),
        "rows": pa.array(rows, pa.int64()),
    }
    write_output(schemas.INPUTS, pa.table(table), output / "inputs.parquet")
