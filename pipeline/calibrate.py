"""`dupaudit calibrate`: measure a run's recall and print it beside the run's own estimate."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.artifacts import write_json
from pipeline.config import Config, parse
from pipeline.engine import Engine, open_engine
from pipeline.errors import ConfigError, InputChangedError
from pipeline.manifest import read_manifest
from pipeline.progress import Progress
from pipeline.recall import Recall
from pipeline.run import scan_parameters
from pipeline.stages.calibration import draw, find_partners, measured
from pipeline.stages.inputs import InputFile, Inspected, Shard, ShardPiece, inspect, list_files, shards
from pipeline.stages.places import write_places
from pipeline.stages.sets import read_sets

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
            drawn, result, partnered = _measure(run, config, inputs, size, seed, engine, progress, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return _report(run, manifest["metrics"], drawn, result, partnered, seed)


def _inputs(
    run: Path, files: tuple[InputFile, ...], config: Config, engine: Engine
) -> list[tuple[int, InputFile, Inspected, int]]:
    # The files the run read, checked to be the same: id, file, pieces, rows.
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
        found.append((i, file, item, row["rows"]))
    return found


def _measure(
    run: Path,
    config: Config,
    inputs: list[tuple[int, InputFile, Inspected, int]],
    size: int,
    seed: int,
    engine: Engine,
    progress: Progress,
    work: Path,
) -> tuple[int, Recall, int]:
    parameters = scan_parameters(config)
    with progress.stage("sample") as counts:
        wanted, drawn = draw(str(run), size, seed, parameters.permutations, str(work / "wanted"))
        # Sampled rows are numbered from the beginning of their file, so files are read whole.
        whole = [(i, file, inspect([file], WHOLE_FILE)[0], rows) for i, file, _, rows in inputs]
        one_each = [
            Shard(number, (ShardPiece(i, file, item.pieces[0], None),))
            for number, (i, file, item, _) in enumerate((w for w in whole if w[2].pieces))
        ]
        counted = [[rows] for _, _, item, rows in whole if item.pieces]
        places = write_places(one_each, counted, str(work / "places"))
        items = [(shard, str(work / "sets" / str(shard.number))) for shard in one_each]
        sets = engine.map("sample", read_sets, items, places=places, wanted=[wanted], parameters=parameters)
        counts["texts"] = drawn
    with progress.stage("compare") as counts:
        pieces = (ShardPiece(i, file, piece, None) for i, file, item, _ in inputs for piece in item.pieces)
        items = [(shard, str(work / "partners" / str(shard.number))) for shard in shards(pieces, config.shard_bytes)]
        partners = engine.map(
            "compare",
            find_partners,
            items,
            sets=[path for paths in sets for path in paths],
            threshold=config.near.threshold,
            parameters=parameters,
        )
        result, partnered = measured(str(run), partners)
        counts["with_partner"] = partnered
    return drawn, result, partnered


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
