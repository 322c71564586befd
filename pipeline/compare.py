"""Compare two finished runs: what became better or worse, in Parquet tables beside words.

Only what was measured in the same way is compared: see `comparing.definitions`. The tables go into
the folder of the second run and can be written again at any time; runs are only read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import polars as pl

from pipeline.artifacts import write_json, write_output
from pipeline.comparing.changes import changes
from pipeline.comparing.definitions import Manifest, comparable
from pipeline.comparing.groups import changed_clusters, changed_passages, no_passages
from pipeline.comparing.tables import COMPARISONS
from pipeline.comparing.words import Compared, in_words
from pipeline.destination import check_apart
from pipeline.errors import ArtifactError, ConfigError
from pipeline.manifest import read_manifest
from pipeline.readers.wording import printable

MANIFEST = "compare.json"


def compare_runs(a: Path, b: Path, out: Path | None, least: int) -> str:
    """Compare run `b` with run `a` before it.

    Args:
        out: folder of the tables; by default `compare/<name of a>` in `b`.
        least: clusters of so many documents, and passages of so many places, are listed one by one.

    Returns:
        What `dupaudit compare` prints.

    Raises:
        ArtifactError: one is no finished run or misses a table, or what they count is not defined
            alike; or the tables cannot be written. ConfigError: the runs are one, or `out` is no
            place for a comparison.
    """
    before, after = a.resolve(), b.resolve()
    manifests = read_manifest(before), read_manifest(after)
    if before == after:
        raise ConfigError("a run is not compared with itself", where=str(after), fix="name two runs")
    allowed = comparable(*manifests, after)
    target = after / "compare" / before.name if out is None else out
    if out is not None:
        _check_target(out, manifests)
    try:
        compared = Compared(
            before.name,
            after.name,
            changes(before, after, allowed),
            changed_clusters(before, after, least),
            changed_passages(before, after, least) if allowed.passages else no_passages(),
            least,
            allowed.notes,
            target,
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ArtifactError(
            "a table of a run cannot be read",
            where=f"{before} or {after}",
            got=error,
            fix="restore it, or audit again",
        ) from error
    _write(compared, before)
    return in_words(compared)


def _check_target(out: Path, manifests: Sequence[Manifest]) -> None:
    # Tables are replaced by those of the same names: they had better be of a comparison, and of no data.
    audited = [pattern for manifest in manifests for pattern in manifest["config"]["inputs"]]
    local = [pattern for pattern in audited if "://" not in pattern]
    check_apart(os.path.realpath(out), local, f"--out {out}")
    names = set(os.listdir(out)) if out.is_dir() else set()
    ours = {MANIFEST, *(Path(table.path).name for table in COMPARISONS)}
    if (names and MANIFEST not in names) or names - ours or (out.exists() and not out.is_dir()):
        others = ", ".join(printable(repr(name), 80) for name in sorted(names - ours)[:3])
        raise ConfigError(
            "the place for the comparison is taken",
            where=printable(str(out), 1000),
            got=others or ("tables without a compare.json" if names else "a file"),
            expected="nothing, or an earlier comparison",
            fix="name another folder with --out, or remove this one",
        )


def _write(compared: Compared, before: Path) -> None:
    # The manifest is written last, so that tables of two comparisons do not pass for one.
    with suppress(OSError):
        (compared.target / MANIFEST).unlink()
    figures = compared.figures
    frames = (
        figures.metrics,
        figures.sources,
        figures.overlap,
        figures.histogram,
        figures.similarity,
        compared.clusters,
        compared.passages,
    )
    for table, rows in zip(COMPARISONS, frames, strict=True):
        write_output(table, rows.to_arrow(), compared.target / Path(table.path).name)
    manifest = {
        "before": str(before),
        "after": compared.after,
        "least": compared.least,
        "notes": list(compared.notes),
        "table_versions": {table.name: table.version for table in COMPARISONS},
    }
    write_json(manifest, compared.target / MANIFEST)
