"""`dupaudit keep`: list, or write, what stays of an audited data set by a policy."""

from __future__ import annotations

import json
import shutil
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from pipeline.artifacts import open_parquet, ranges_for, write_json
from pipeline.config import Config, parse
from pipeline.destination import Destination, check_apart, destination, placed, relative_paths
from pipeline.engine import open_engine
from pipeline.errors import ArtifactError, AuditError, ConfigError
from pipeline.kept import Kept, Written, in_words
from pipeline.list_schemas import LISTS
from pipeline.locks import locked
from pipeline.lookup import require_passages
from pipeline.manifest import read_manifest
from pipeline.mapped import read_mapped
from pipeline.progress import Progress
from pipeline.readers.wording import printable
from pipeline.resuming import Tasks
from pipeline.stages.copies import ToCopy, copy_files, tasks
from pipeline.stages.cuts import mark_places, sort_places
from pipeline.stages.keep import (
    Listed,
    Policy,
    Sizes,
    all_sizes,
    count_groups,
    find_first,
    parse_policy,
    write_first,
    write_list,
)
from pipeline.writers.verdicts import ListPart

MANIFEST = "keep.json"
ROWS_A_RANGE, MOST_ROWS_A_RANGE = 1 << 16, 1 << 22  # of 24 to 48 bytes each
_ENTRIES = {"documents", "cuts", MANIFEST}


@dataclass(frozen=True)
class _Job:
    """A run, what to keep of it, and where things go."""

    run: Path
    config: Config
    policy: Policy
    work: Path
    target: Path


def write_keep(run: Path, policy: str, out: Path | None, write: str | None, progress: Progress) -> str:
    """Write the keep list of a run and, to the folder `write`, a copy of the data without the rest.

    Args:
        policy: see `parse_policy`. out: folder of the list; by default keep/<policy> in the run. An
            earlier list of the same policy there is replaced.

    Returns:
        What to print: the numbers before and after.

    Raises:
        ConfigError: there is no such policy, or a folder is not one to write to. ArtifactError: the
            run is not finished, or lacks what the policy needs. InputError: the data is not there,
            or not what the run read.
    """
    chosen = parse_policy(policy)
    manifest = read_manifest(run)
    if chosen.cuts:
        require_passages(run)
    tree = manifest["config"] | {"near": {**manifest["config"]["near"], "recall": None}}
    config = parse(tree, str(run / "run.json"))
    target = (out or run / "keep" / chosen.folder).resolve()
    if not target.is_relative_to(run.resolve()):  # audits know their runs, and pass them over
        check_apart(str(target), config.inputs, f"--out {out}")
    _check_target(target, chosen)
    goes_to = None if write is None else destination(write, config.inputs, [run, target])
    job = _Job(run, config, chosen, target.parent / f".keep-{uuid.uuid4().hex[:12]}", target)
    try:
        job.work.mkdir(parents=True)
        # Whoever prunes sees whether this is alive.
        with locked(job.work, f"keep list {policy} of run {manifest['run']}"), placed(goes_to):
            with open_engine(config.cluster, progress, job.work) as engine:
                listed, kept = _list(job, engine, progress)
                written = None if goes_to is None else _write(job, listed, goes_to, engine, progress)
            _put_in_place(job, manifest["run"], kept)
    except OSError as error:
        raise AuditError(
            "cannot write the keep list", where=str(target), got=error, fix="free space, or another --out"
        ) from error
    finally:
        shutil.rmtree(job.work, ignore_errors=True)
        if out is None:
            with suppress(OSError):  # it stays where it holds a list
                target.parent.rmdir()
    return in_words(run, chosen.name, target, manifest["metrics"], kept, written)


def _check_target(target: Path, policy: Policy) -> None:
    if not target.exists():
        return
    names = {path.name for path in target.iterdir()} if target.is_dir() else {target.name}
    found = _policy_of(target) if MANIFEST in names else None
    if target.is_dir() and (not names or (found == policy.name and names <= _ENTRIES)):
        return
    others = ", ".join(printable(repr(name), 80) for name in sorted(names - _ENTRIES)[:3])
    raise ConfigError(
        "the place for the keep list is taken",
        where=str(target),
        got=others or f"a list of the policy {found}",
        expected=f"nothing, or an earlier list of the policy {policy.name}",
        fix="name another folder with --out, or remove this one",
    )


def _policy_of(target: Path) -> str | None:
    try:
        return str(json.loads((target / MANIFEST).read_text(encoding="utf-8"))["policy"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _parts(run: Path, table: str) -> list[str]:
    found = sorted(str(path) for path in (run / table).glob("part-*.parquet"))
    if not found and not (run / table).is_dir():
        raise ArtifactError(
            "a folder of the run is missing", where=str(run / table), fix="restore it, or audit again"
        )
    return found


def _rows(paths: Sequence[str]) -> int:
    total = 0
    for path in paths:
        with open_parquet(path) as file:
            total += file.metadata.num_rows
    return total


def _list(job: _Job, engine: Tasks, progress: Progress) -> tuple[list[Listed], Kept]:
    parts = _parts(job.run, "documents")
    first = _first(job, parts, engine, progress)
    places = _places(job, engine, progress) if job.policy.cuts else []
    with progress.stage("list") as counts:
        items = [
            (part, number, str(job.work / "list"), str(job.work / "groups" / str(number)))
            for number, part in enumerate(parts)
        ]
        listed = engine.map(
            "list",
            write_list,
            items,
            policy=job.policy,
            first=first,
            places=places,
            min_tokens=job.config.passages.min_tokens,
        )
        counts |= {"documents": sum(part.rows for part in listed), "kept": sum(part.kept for part in listed)}
    with progress.stage("groups"):
        sizes = {grain: _sizes(listed, grain, engine) for grain in ("exact", "near")}
    return listed, _kept(listed, sizes)


def _first(job: _Job, parts: list[str], engine: Tasks, progress: Progress) -> list[str]:
    if job.policy.given:
        return []
    with progress.stage("choose"):
        items = [(part, str(job.work / "members" / str(i))) for i, part in enumerate(parts)]
        members = engine.map("choose", write_first, items, policy=job.policy)
        keys = ranges_for(sum(len(read_mapped(path)) for path in members), ROWS_A_RANGE, MOST_ROWS_A_RANGE)
        ranges = [(span, str(job.work / "first" / str(i))) for i, span in enumerate(keys)]
        return engine.map("choose", find_first, ranges, first=members, policy=job.policy)


def _places(job: _Job, engine: Tasks, progress: Progress) -> list[str]:
    with progress.stage("places") as counts:
        spans = _parts(job.run, "spans")
        counts["places"] = _rows(spans)
        placed = engine.map(
            "places", sort_places, [(part, str(job.work / "placed" / str(i))) for i, part in enumerate(spans)]
        )
        keys = ranges_for(counts["places"], ROWS_A_RANGE, MOST_ROWS_A_RANGE)
        ranges = [(span, str(job.work / "places" / str(i))) for i, span in enumerate(keys)]
        passages = _parts(job.run, "passages")
        return engine.map("places", mark_places, ranges, placed=placed, passages=passages)


def _sizes(listed: Sequence[Listed], grain: str, engine: Tasks) -> Sizes:
    groups = [part.groups[grain] for part in listed]
    keys = ranges_for(sum(len(read_mapped(path)) for path in groups), ROWS_A_RANGE, MOST_ROWS_A_RANGE)
    parts = engine.map("groups", count_groups, [(span,) for span in keys], groups=groups)
    return all_sizes(parts, sum(part.alone[grain] for part in listed))


def _kept(listed: Sequence[Listed], sizes: Mapping[str, Sizes]) -> Kept:
    reasons = Counter[str]()
    for part in listed:
        reasons.update(part.reasons)
    return Kept(
        sum(part.kept for part in listed),
        sum(part.tokens for part in listed),
        sum(part.bytes for part in listed),
        dict(sorted(reasons.items())),
        dict(sizes),
    )


def _write(
    job: _Job, listed: Sequence[Listed], goes_to: Destination, engine: Tasks, progress: Progress
) -> Written:
    inputs = pl.read_parquet(job.run / "inputs.parquet")
    paths = relative_paths(inputs["uri"].to_list())
    files = [
        ToCopy(
            row["file_id"],
            row["uri"],
            row["format"],
            row["size_bytes"],
            row["fingerprint"],
            row["rows"],
            f"{goes_to.staging}/{path}",
        )
        for row, path in zip(inputs.iter_rows(named=True), paths, strict=True)
        if row["rows"] is not None
    ]
    with progress.stage("write") as counts:
        items = list(tasks(files, job.config.shard_bytes))
        copied = engine.map(
            "write",
            copy_files,
            [(item,) for item in items],
            costs=[sum(file.size_bytes for file in item) for item in items],
            parts=[ListPart(part.first_doc, part.documents, part.cuts) for part in listed],
            text_column=job.config.text_column,
            cuts=job.policy.cuts,
        )
        every = [file for item in copied for file in item]
        counts |= {"files": sum(file.written for file in every), "rows": sum(file.kept for file in every)}
    rejected = inputs.filter(pl.col("rows").is_null())["uri"].to_list()
    return Written(goes_to.location, tuple(every), tuple(rejected))


def _put_in_place(job: _Job, run: str, kept: Kept) -> None:
    write_json(
        {
            "run": run,
            "policy": job.policy.name,
            "table_versions": {table.name: table.version for table in LISTS},
            "documents": sum(kept.reasons.values()),
            "kept": kept.documents,
            "reasons": kept.reasons,
        },
        job.work / "list" / MANIFEST,
    )
    if job.target.exists():
        job.target.rename(job.work / "earlier")
    (job.work / "list").rename(job.target)
