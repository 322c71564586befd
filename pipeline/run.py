"""An audit from beginning to end: the stages in order, each fed with what the one before wrote."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from pipeline import schemas
from pipeline.artifacts import ranges_for, write_output, write_text
from pipeline.config import Config
from pipeline.engine import Engine, open_engine
from pipeline.errors import AuditError, ConfigError, InputError
from pipeline.locks import locked
from pipeline.manifest import manifest_of, write_manifest
from pipeline.mixture import Epochs, epochs_of, weighted_sources
from pipeline.near import find_near
from pipeline.passages import find_passages
from pipeline.progress import Progress
from pipeline.readers.rows import Columns
from pipeline.report.page import render
from pipeline.risk import evidence
from pipeline.runs import LATEST, next_sequence, point_latest
from pipeline.scanned import Scanned
from pipeline.stages import rejects
from pipeline.stages.inputs import (
    InputFile,
    Inspected,
    Listing,
    Shard,
    ShardPiece,
    inspect,
    list_files,
    shards,
    source_of,
)
from pipeline.stages.passages import Exposing
from pipeline.stages.places import write_places
from pipeline.stages.scan import ScanParameters, ScanResult, Segment, scan
from pipeline.stages.sources import notes_on_mixture
from pipeline.stages.summary import Figures
from pipeline.stages.texts import group_texts, tokens_of_sources
from pipeline.tables import Grains, write_tables

FILES_A_TASK = 256  # files an inspecting task looks into
TEXTS_A_RANGE, MOST_TEXTS_A_RANGE = 1 << 14, 1 << 20  # about 200 bytes each, held a few times over


@dataclass(frozen=True)
class _Files:
    """The inputs of a run: what was listed, what was found inside, what is left out and why."""

    listing: Listing
    inspected: tuple[Inspected, ...]
    bad: tuple[tuple[int, InputFile, InputError], ...] = ()


@dataclass(frozen=True)
class _Scans:
    shards: tuple[Shard, ...]
    results: tuple[ScanResult, ...]
    segments: tuple[Segment, ...]


def run_audit(config: Config, name: str | None, progress: Progress) -> Path:
    """Audit what a configuration names.

    Args:
        name: of the run; by default the UTC time.

    Returns:
        The folder of the finished run, `<out>/<name>`. It appears whole or not at all.

    Raises:
        AuditError: see `errors`.
    """
    started = datetime.now(UTC)
    out = Path(config.out).resolve()
    if name is not None and (name == LATEST or "/" in name or name.startswith(".") or not name.isprintable()):
        raise ConfigError(
            "not a name for a run",
            got=repr(name),
            expected=f"the name of a folder, without /, not hidden, not {LATEST}",
        )
    run = out / (name or _free_name(out, started))
    if run.exists():
        raise ConfigError(f"there is a run {run.name} already", where=str(out), fix="choose another --name")
    listing = list_files(config.inputs, config.format)
    progress.begin(run.name, out=str(out), files=len(listing.files))
    work = out / f".work-{run.name}-{uuid.uuid4().hex[:8]}"
    try:
        work.mkdir(parents=True)
        # Whoever prunes sees whether this run is alive.
        with locked(work, f"run {run.name}"), open_engine(config.cluster, progress, work) as engine:
            figures = _Audit(config, engine, progress, work).run(listing)
        notes = notes_on_mixture(config.mixture, str(work / "run" / "summary" / "sources.parquet"))
        manifest = manifest_of(
            config,
            run.name,
            started,
            listing,
            figures,
            progress.logs,
            notes,
            sequence=next_sequence(out),
        )
        write_text(render(work / "run", manifest), work / "run" / "report.html")
        write_manifest(manifest, work / "run")
        (work / "run").rename(run)
        point_latest(out, run)
    except OSError as error:
        raise AuditError(
            "cannot write the run", where=str(out), got=error, fix="free space, or another --out"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return run


def _free_name(out: Path, now: datetime) -> str:
    name = now.strftime("%Y-%m-%dT%H-%M-%SZ")
    taken = (name if i == 1 else f"{name}-{i}" for i in range(1, 1 << 20))
    return next(candidate for candidate in taken if not (out / candidate).exists())


def scan_parameters(config: Config) -> ScanParameters:
    """What of a configuration decides the content of scan files."""
    near, (bands, rows) = config.near, config.near.banding
    source = config.source.column if config.source is not None else None
    columns = Columns(config.text_column, config.id_column, source, config.licence_column)
    passage_tokens = config.passages.min_tokens if config.passages.enabled else 0
    return ScanParameters(
        columns, near.shingle_tokens, near.permutations, near.seed, bands, rows, passage_tokens
    )


class _Audit:
    """One run's configuration, engine and folders."""

    def __init__(self, config: Config, engine: Engine, progress: Progress, work: Path) -> None:
        self.config, self.engine, self.progress = config, engine, progress
        self.work, self.output = work, work / "run"
        self.parameters = scan_parameters(config)

    def run(self, listing: Listing) -> Figures:
        files = self.inputs(listing)
        scans, files = self.scan(files)
        places = write_places(
            scans.shards, [r.piece_rows for r in scans.results], str(self.work / "places.parquet")
        )
        figures = self.rejects(scans, files, places)
        epochs = self.epochs(scans)
        scanned = self.texts(scans, places, epochs)
        figures["text_id_collisions"] = sum(result.collisions for result in scanned.texts), "texts"
        near = find_near(scanned, self.config.near, self.parameters, self.engine, self.progress, self.work)
        model = self.config.model
        exposing = Exposing(epochs, evidence(model.parameters, model.training_tokens), self.config.labelled)
        passages = None
        if self.config.passages.enabled:
            passages = find_passages(
                scanned, self.parameters, exposing, self.engine, self.progress, self.work
            )
        grains = Grains(scanned, near, passages, exposing, self.parameters)
        return write_tables(grains, self.config, figures, self.engine, self.progress, self.work)

    def inputs(self, listing: Listing) -> _Files:
        with self.progress.stage("inputs") as counts:
            files = listing.files
            chunks = [(files[i : i + FILES_A_TASK],) for i in range(0, len(files), FILES_A_TASK)]
            found = self.engine.map("inputs", inspect, chunks, shard_bytes=self.config.shard_bytes)
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
        return _Files(listing, inspected, bad)

    def _shards(self, files: _Files) -> tuple[Shard, ...]:
        expression = self.config.source.path if self.config.source is not None else None
        left_out = {bad[0] for bad in files.bad}
        return tuple(
            shards(
                (
                    ShardPiece(i, file, piece, source_of(file.uri, expression))
                    for i, (file, inspected) in enumerate(
                        zip(files.listing.files, files.inspected, strict=True)
                    )
                    if i not in left_out
                    for piece in inspected.pieces
                ),
                self.config.shard_bytes,
            )
        )

    def scan(self, files: _Files) -> tuple[_Scans, _Files]:
        with self.progress.stage("scan") as counts:
            while True:
                cut = self._shards(files)
                results = self.engine.map(
                    "scan",
                    scan,
                    [(shard,) for shard in cut],
                    costs=[shard.size_bytes for shard in cut],
                    parameters=self.parameters,
                    folder=str(self.work / f"scan-{len(files.bad)}"),
                    reject_bad_files=self.config.on_bad_file == "reject",
                )
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
        return _Scans(cut, tuple(results), segments), files

    def rejects(self, scans: _Scans, files: _Files, places: str) -> Figures:
        rows = sum(sum(result.piece_rows) for result in scans.results)
        rejected = sum(result.rejected for result in scans.results)
        share = rejected / rows if rows else 0.0
        if share > self.config.max_rejected_fraction:
            raise InputError(
                "too many input rows cannot be audited",
                where=rejects.first_reject(scans.shards, scans.results),
                got=f"{rejected:,} of {rows:,} rows rejected ({share:.1%})",
                expected=f"at most {self.config.max_rejected_fraction:.1%} (max_rejected_fraction)",
                fix="check text_column and format, or raise max_rejected_fraction",
            )
        folder = str(self.output / "rejects")
        item = (scans.shards, scans.results, places, files.bad, folder)
        written = self.engine.map("rejects", rejects.write_rejects, [item])[0]
        self._write_inputs(scans, files)
        return {
            "input_files": (len(files.listing.files), "files"),
            "input_rows": (rows, "rows"),
            "rejected_rows": (written - len(files.bad), "rows"),
            "rejected_files": (len(files.bad), "files"),
            "rejected_fraction": (share, "0 to 1"),
        }

    def _write_inputs(self, scans: _Scans, files: _Files) -> None:
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
        write_output(schemas.INPUTS, pa.table(table), self.output / "inputs.parquet")

    def epochs(self, scans: _Scans) -> Epochs:
        wanted = weighted_sources(self.config.mixture)
        tokens = dict.fromkeys(wanted, 0)
        if wanted:
            with self.progress.stage("mixture") as counts:
                items = [(segment,) for segment in scans.segments]
                for found in self.engine.map("mixture", tokens_of_sources, items, sources=wanted):
                    tokens = {source: tokens[source] + found[source] for source in wanted}
                counts["tokens"] = sum(tokens.values())
        return epochs_of(self.config.mixture, self.config.model, tokens)

    def texts(self, scans: _Scans, places: str, epochs: Epochs) -> Scanned:
        with self.progress.stage("texts") as counts:
            rows = sum(segment.documents for segment in scans.segments)
            keys = ranges_for(rows, TEXTS_A_RANGE, MOST_TEXTS_A_RANGE)
            items = [(span, str(self.work / "texts" / str(i))) for i, span in enumerate(keys)]
            found = self.engine.map(
                "texts", group_texts, items, segments=scans.segments, places=places, epochs=epochs
            )
            counts |= {"documents": rows, "texts": sum(result.distinct for result in found)}
        return Scanned(scans.shards, scans.segments, places, found, keys)
