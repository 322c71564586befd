"""An audit from beginning to end: the stages in order, each fed with what the one before wrote.

A run works in a folder named by its configuration, which stays when the run is killed or fails. The
same command finds it there and does again only what was not done (see `resuming`), unless the inputs
or the program are others by now: then what was scanned is used again and the rest is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.artifacts import ranges_for, write_text
from pipeline.config import Config
from pipeline.engine import open_engine
from pipeline.errors import AuditError, ConfigError, InputChangedError
from pipeline.index import index_parameters, open_index, segment_folder
from pipeline.keeping import Earlier, Leaving, earlier_of, leave, leaving
from pipeline.locks import locked
from pipeline.manifest import manifest_of, package_versions, write_manifest
from pipeline.mixture import Epochs, epochs_of, weighted_sources
from pipeline.near import find_near
from pipeline.passages import Before, find_passages
from pipeline.progress import Progress
from pipeline.readers.rows import Columns
from pipeline.records import Checksum, digest
from pipeline.removal import remove
from pipeline.report.page import render
from pipeline.resuming import Here, Resuming, Tasks
from pipeline.risk import evidence
from pipeline.runs import LATEST, next_sequence, point_latest
from pipeline.scanned import Scanned
from pipeline.scanning import Files, Scanning, Scans, write_rejects
from pipeline.stages.inputs import Listing, list_files
from pipeline.stages.passages import Exposing
from pipeline.stages.places import write_places
from pipeline.stages.scan import ScanParameters
from pipeline.stages.sources import notes_on_mixture
from pipeline.stages.summary import Figures
from pipeline.stages.texts import group_texts, tokens_of_sources
from pipeline.tables import Grains, write_tables
from pipeline.workplace import Workplace, code_digest, decisive, settle, workplace

TEXTS_A_RANGE, MOST_TEXTS_A_RANGE = 1 << 14, 1 << 20  # about 200 bytes each, held a few times over


@dataclass(frozen=True)
class _Done:
    """What the stages made: figures, the scans, and tables for the next run's use, by name.

    `written` holds the checksums of the tables' files, and of others, by path. `since` tells the
    manifest the name of the earlier run and how many files that one had not.
    """

    figures: Figures
    files: Files
    scans: Scans
    kept: dict[str, list[str]]
    written: Mapping[str, Checksum]
    since: dict[str, Any]


def run_audit(config: Config, name: str | None, progress: Progress) -> Path:
    """Audit what a configuration names.

    Args:
        name: of the run; by default the UTC time.

    Returns:
        The folder of the finished run, `<out>/<name>`. It appears whole or not at all.

    Raises:
        AuditError: see `errors`. What was done until then is used by the next call.
    """
    started = datetime.now(UTC)
    out = Path(config.out).resolve()
    run = out / _name(name, out, started)
    listing = list_files(config.inputs, config.format)
    progress.begin(run.name, out=str(out), files=len(listing.files))
    try:
        with ExitStack() as held:
            index = None if config.index is None else Path(config.index).resolve()
            if index is not None:
                held.enter_context(locked(index, f"run {run.name}"))
            place = held.enter_context(workplace(config, out, f"run {run.name}", progress.damaged))
            ended = place.ended()
            if run.exists() and (ended is None or ended[0] != run.name):
                raise ConfigError(
                    f"there is a run {run.name} already", where=str(out), fix="choose another --name"
                )
            if ended is not None:
                _end(out / ended[0], ended[1], index, place, Here())
                place.clear()
            if not run.exists():
                _audit(config, run, started, listing, index, place, progress)
            remove(place.folder)
    except OSError as error:
        raise AuditError(
            "cannot write the run",
            where=str(out),
            got=error,
            fix="free disk space or make the folder writable, then start the same command again",
        ) from error
    return run


def _audit(
    config: Config,
    run: Path,
    started: datetime,
    listing: Listing,
    index: Path | None,
    place: Workplace,
    progress: Progress,
) -> None:
    parameters = scan_parameters(config)
    own = place.index if index is None else index
    own.mkdir(exist_ok=True)
    _open(own, index_parameters(parameters), config.index_mismatch == "rebuild", index is None)
    with open_engine(config.cluster, progress, place.folder) as engine:
        earlier = earlier_of(own, config, engine, progress)
        done = _Attempts(config, parameters, engine, progress, place, own, earlier).run(listing)
        _write(config, run.name, started, listing, done, progress, place.run)
        left = leaving(config, run.name, done.files, done.scans, done.kept, done.written)
        place.ends(run.name, left)
        settle(place.run)
        place.run.rename(run)
        _end(run, left, index, place, engine)


def _open(index: Path, parameters: dict[str, object], rebuild: bool, of_work: bool) -> None:
    try:
        open_index(index, parameters, rebuild)
    except ConfigError:
        # Nobody can be asked about what a killed run left in its work folder.
        if not of_work:
            raise
        remove(index)
        index.mkdir()
        open_index(index, parameters, rebuild)


def _end(run: Path, left: Leaving, index: Path | None, place: Workplace, tasks: Tasks) -> None:
    # What follows when a run stands under its name; done by the next process if this one is killed.
    settle(run.parent, deep=False)
    point_latest(run.parent, run)
    if index is not None:
        leave(index, left, tasks)


def _name(name: str | None, out: Path, started: datetime) -> str:
    if name is None:
        return _free_name(out, started)
    if name == LATEST or "/" in name or name.startswith(".") or not name.isprintable():
        raise ConfigError(
            "not a name for a run",
            got=repr(name),
            expected=f"the name of a folder, without /, not hidden, not {LATEST}",
        )
    return name


def _free_name(out: Path, now: datetime) -> str:
    name = now.strftime("%Y-%m-%dT%H-%M-%SZ")
    taken = (name if i == 1 else f"{name}-{i}" for i in range(1, 1 << 20))
    return next(candidate for candidate in taken if not (out / candidate).exists())


def _write(
    config: Config,
    name: str,
    started: datetime,
    listing: Listing,
    done: _Done,
    progress: Progress,
    folder: Path,
) -> None:
    notes = notes_on_mixture(config.mixture, str(folder / "summary" / "sources.parquet"))
    sequence = next_sequence(Path(config.out).resolve())
    manifest = (
        manifest_of(config, name, started, listing, done.figures, progress.logs, notes, sequence=sequence)
        | done.since
    )
    write_text(render(folder, manifest), folder / "report.html")
    write_manifest(manifest, folder)


def scan_parameters(config: Config) -> ScanParameters:
    """What of a configuration decides the content of scan files."""
    near, (bands, rows) = config.near, config.near.banding
    source = config.source.column if config.source is not None else None
    columns = Columns(config.text_column, config.id_column, source, config.licence_column)
    passage_tokens = config.passages.min_tokens if config.passages.enabled else 0
    return ScanParameters(
        columns,
        near.shingle_tokens,
        near.permutations,
        near.seed,
        bands,
        rows,
        passage_tokens,
        config.index is not None,
    )


@dataclass(frozen=True)
class _Attempts:
    """Tries to audit the files that are there: once, or again without those that change meanwhile."""

    config: Config
    parameters: ScanParameters
    engine: Tasks
    progress: Progress
    place: Workplace
    index: Path
    earlier: Earlier

    def run(self, listing: Listing) -> _Done:
        last = self.earlier.last
        known = [unit.pieces for unit in last.units] if last is not None else []
        scanning = Scanning(self.config, self.parameters, self.engine, self.progress, self.index, known)
        files = scanning.inspect(listing)
        stages = len(self.progress.logs)
        while True:
            try:
                return self._attempt(scanning, files)
            except InputChangedError as error:
                fewer = files.without(error) if self.config.on_bad_file == "reject" else None
                if fewer is None:
                    raise
                files = fewer
                del self.progress.logs[stages:]

    def _attempt(self, scanning: Scanning, files: Files) -> _Done:
        scans, files = scanning.scan(files)
        self.place.holds(self._content(files))
        tasks = Resuming(self.engine, self.place.work, self.progress)
        audit = _Audit(
            self.config, self.parameters, tasks, self.progress, self.place, self.index, self.earlier
        )
        try:
            figures, kept = audit.run(scans, files)
        except InputChangedError as error:
            scanning.forget(scans, error)
            raise
        written = {**self.earlier.kept.checksums, **tasks.written}
        return _Done(figures, files, scans, kept, written, self._since(files))

    def _since(self, files: Files) -> dict[str, Any]:
        last, new = self.earlier.last, self.earlier.new_files(files)
        return {
            "earlier_run": None if last is None else last.run,
            "new_files": None if new is None else len(new),
        }

    def _content(self, files: Files) -> str:
        # All that decides what the tasks behind the scan are given and what they make of it.
        listed = [
            (file.uri, file.format, inspected.content)
            for file, inspected in zip(files.listing.files, files.inspected, strict=True)
        ]
        bad = [(i, str(error)) for i, _, error in files.bad]
        config = decisive(self.config)
        return digest([code_digest(), package_versions(), config, listed, bad, self.earlier, str(self.index)])


class _Audit:
    """One run's configuration, tasks and folders, behind the scan."""

    def __init__(
        self,
        config: Config,
        parameters: ScanParameters,
        tasks: Tasks,
        progress: Progress,
        place: Workplace,
        index: Path,
        earlier: Earlier,
    ) -> None:
        self.config, self.engine, self.progress, self.earlier = config, tasks, progress, earlier
        self.work, self.output, self.parameters, self.index = place.work, place.run, parameters, index

    def run(self, scans: Scans, files: Files) -> tuple[Figures, dict[str, list[str]]]:
        places = write_places(
            scans.shards, [r.piece_rows for r in scans.results], str(self.work / "places.arrow")
        )
        figures = write_rejects(self.config, scans, files, places, self.output, self.engine)
        epochs = self.epochs(scans)
        scanned = self.texts(scans, places, epochs)
        figures["text_id_collisions"] = sum(result.collisions for result in scanned.texts), "texts"
        tables = self.earlier.kept.tables
        near = find_near(
            scanned, self.config.near, self.parameters, self.engine, self.progress, self.work, tables
        )
        model = self.config.model
        exposing = Exposing(epochs, evidence(model.parameters, model.training_tokens), self.config.labelled)
        passages = None
        if self.config.passages.enabled:
            before = Before(tables, partial(segment_folder, self.index))
            passages = find_passages(
                scanned, self.parameters, exposing, self.engine, self.progress, self.work, before
            )
        grains = Grains(
            scanned,
            near,
            passages,
            exposing,
            self.parameters,
            tables,
            self.earlier.new_files(files),
        )
        figures, texts = write_tables(grains, self.config, figures, self.engine, self.progress, self.work)
        return figures, near.kept | texts | ({} if passages is None else passages.kept)

    def epochs(self, scans: Scans) -> Epochs:
        wanted = weighted_sources(self.config.mixture)
        tokens = dict.fromkeys(wanted, 0)
        if wanted:
            with self.progress.stage("mixture") as counts:
                items = [(segment,) for segment in scans.segments]
                for found in self.engine.map("mixture", tokens_of_sources, items, sources=wanted):
                    tokens = {source: tokens[source] + found[source] for source in wanted}
                counts["tokens"] = sum(tokens.values())
        return epochs_of(self.config.mixture, self.config.model, tokens)

    def texts(self, scans: Scans, places: str, epochs: Epochs) -> Scanned:
        with self.progress.stage("texts") as counts:
            rows = sum(segment.documents for segment in scans.segments)
            keys = ranges_for(rows, TEXTS_A_RANGE, MOST_TEXTS_A_RANGE)
            items = [(span, str(self.work / "texts" / str(i))) for i, span in enumerate(keys)]
            found = self.engine.map(
                "texts", group_texts, items, segments=scans.segments, places=places, epochs=epochs
            )
            counts |= {"documents": rows, "texts": sum(result.distinct for result in found)}
        return Scanned(scans.shards, scans.segments, places, found, keys)
