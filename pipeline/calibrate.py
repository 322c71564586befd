"""`dupaudit calibrate`: measure a run's recall and print it beside the run's own estimate."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.artifacts import write_json
from pipeline.config import Config, parse
from pipeline.engine import open_engine
from pipeline.errors import ConfigError, InputChangedError
from pipeline.manifest import read_manifest
from pipeline.progress import Progress
from pipeline.readers.rows import Piece
from pipeline.recall import Recall
from pipeline.resuming import Tasks
from pipeline.run import scan_parameters
from pipeline.stages.calibration import draw, find_partners, measured
from pipeline.stages.inputs import InputFile, Shard, ShardPiece, inspect, list_files
from pipeline.stages.places import write_places
from pipeline.stages.scan import ScanParameters
from pipeline.stages.sets import read_sets
from pipeline.stages.shards import shards


@dataclass(frozen=True)
class _Input:
    file_id: int
    file: InputFile
    pieces: tuple[Piece, ...]
    rows: int


WHOLE_FILE = 1 << 62  # shard size that leaves every file in one piece


def calibrate(run: Path, size: int, seed: int, progress: Progress) -> str:
    """Compare `size` random texts of a run exactly with its whole corpus.

    Writes calibration.json beside run.json and returns what to print.

    Raises:
        InputChangedError: the audited files are not what the run read.
    """
    if size < 1:
        raise ConfigError("a sample needs a text", got=f"--sample {size}", expected="1 or more")
    manifest = read_manifest(run)
    # Bands and rows are in there as resolved, which excludes the recall they may come from.
    tree = manifest["config"] | {"near": {**manifest["config"]["near"], "recall": None}}
    config = parse(tree, str(run / "run.json"))
    files = list_files(config.inputs, config.format).files
    work = run / f".calibration-{uuid.uuid4().hex[:8]}"
    try:
        work.mkdir()
        with open_engine(config.cluster, progress, work) as engine:
            inputs = _inputs(run, files, config, engine)
            parameters = scan_parameters(config)
            with progress.stage("sample") as counts:
                wanted, drawn = draw(str(run), size, seed, parameters.permutations, str(work / "wanted"))
                sets = _sample_sets(wanted, inputs, parameters, engine, work)
                counts["texts"] = drawn
            with progress.stage("compare") as counts:
                partners = _partners(sets, inputs, config, engine, work)
                result, partnered = measured(str(run), partners)
                counts["with_partner"] = partnered
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return _report(run, manifest["metrics"], drawn, result, partnered, seed)


def _inputs(run: Path, files: tuple[InputFile, ...], config: Config, engine: Tasks) -> list[_Input]:
    # The files the run read, checked to be the same.
    inspected = engine.map("inputs", inspect, [((file,),) for file in files], shard_bytes=config.shard_bytes)
    table = pl.read_parquet(run / "inputs.parquet")
    if table["uri"].to_list() != [file.uri for file in files]:
        raise InputChangedError(
            "the inputs are not those of the run",
            where=str(run),
            got=f"{len(files)} files",
            expected=f"the {len(table)} files in inputs.parquet",
            fix="audit again, then calibrate",
        )
    found = []
    for (i, file), [item], row in zip(enumerate(files), inspected, table.iter_rows(named=True), strict=True):
        if row["rows"] is None:
            continue  # the run rejected it
        if item.fingerprint != row["fingerprint"]:
            raise InputChangedError(
                "an input file is not what the run read",
                where=file.uri,
                got=f"fingerprint {item.fingerprint}",
                expected=row["fingerprint"],
                fix="audit again, then calibrate",
            )
        found.append(_Input(i, file, item.pieces, row["rows"]))
    return found


def _sample_sets(
    wanted: str, inputs: list[_Input], parameters: ScanParameters, engine: Tasks, work: Path
) -> list[str]:
    # Sampled rows are numbered from the beginning of their file, so files are read whole.
    whole = [(item, inspect([item.file], WHOLE_FILE)[0].pieces[0]) for item in inputs]
    one_each = [
        Shard(n, (ShardPiece(item.file_id, item.file, piece, None),)) for n, (item, piece) in enumerate(whole)
    ]
    places = write_places(one_each, [[item.rows] for item in inputs], str(work / "places"))
    items = [(shard, str(work / "sets" / str(shard.number))) for shard in one_each]
    sets = engine.map("sample", read_sets, items, places=places, wanted=[wanted], parameters=parameters)
    return [path for paths in sets for path in paths]


def _partners(sets: list[str], inputs: list[_Input], config: Config, engine: Tasks, work: Path) -> list[str]:
    pieces = (ShardPiece(item.file_id, item.file, piece, None) for item in inputs for piece in item.pieces)
    cut = shards(pieces, config.shard_bytes)
    return engine.map(
        "compare",
        find_partners,
        [(shard, str(work / "partners" / str(shard.number))) for shard in cut],
        sets=sets,
        threshold=config.near.threshold,
        parameters=scan_parameters(config),
    )


def _percent(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.2%}"


def _report(
    run: Path, metrics: Mapping[str, Any], drawn: int, result: Recall, partnered: int, seed: int
) -> str:
    write_json(
        {
            "sample": drawn,
            "seed": seed,
            "with_partner": partnered,
            "recall": result.estimate,
            "recall_low": result.low,
            "recall_high": result.high,
        },
        run / "calibration.json",
    )
    return (
        f"Estimated by the run from what it found: {_percent(metrics['recall'])}"
        f" (95 % interval {_percent(metrics['recall_low'])} to {_percent(metrics['recall_high'])})\n"
        f"Measured on {drawn:,} random texts, {partnered:,} of them with a near partner:"
        f" {_percent(result.estimate)} (95 % interval {_percent(result.low)} to {_percent(result.high)})\n"
        f"Written to {run / 'calibration.json'}"
    )
