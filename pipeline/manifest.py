"""The manifest of a run, written last: no manifest, no run."""

from __future__ import annotations

import json
import platform
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.artifacts import FORMAT_VERSION, write_json
from pipeline.config import Config, resolved
from pipeline.errors import ArtifactError
from pipeline.kernels.minhash import SCHEME
from pipeline.progress import StageLog
from pipeline.risk import LABELS
from pipeline.schemas import TABLES
from pipeline.stages.inputs import Listing

PACKAGES = (
    "dupaudit",
    "pyarrow",
    "polars",
    "dask",
    "distributed",
    "numba",
    "numpy",
    "xxhash",
    "fsspec",
    "Jinja2",
    "vl-convert-python",
)


def manifest_of(
    config: Config,
    name: str,
    started: datetime,
    listing: Listing,
    figures: Mapping[str, tuple[float | None, str]],
    logs: Sequence[StageLog],
    notes: Sequence[str],
    *,
    sequence: int,
) -> dict[str, Any]:
    """What was audited, how, with what, the headline figures, and what they do not say.

    Args:
        notes: sentences that whoever reads the figures should read, too. sequence: the place of the
            run among those of its folder, see `runs`.
    """
    return {
        "run": name,
        "sequence": sequence,
        "format_version": FORMAT_VERSION,
        "table_versions": {table.name: table.version for table in TABLES},
        "signature_scheme": SCHEME,
        "unicode_version": unicodedata.unidata_version,
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": resolved(config),
        "files": len(listing.files),
        "passed_over": listing.passed_over,
        "metrics": {key: value for key, (value, _) in sorted(figures.items())},
        "stages": [
            {
                "stage": log.stage,
                "counts": dict(log.counts),
                "seconds": log.seconds,
                "peak_bytes": log.peak_bytes,
            }
            for log in logs
        ],
        "notes": list(notes),
        "labels": dict(LABELS),
        "python": platform.python_version(),
        "packages": dict(package_versions()),
    }


@cache
def package_versions() -> Mapping[str, str]:
    """The versions of the packages that decide what a run writes, as this process found them at first."""
    return {package: version(package) for package in PACKAGES}


def write_manifest(manifest: Mapping[str, Any], folder: Path) -> None:
    """Write run.json, which makes a folder a run."""
    write_json(manifest, folder / "run.json")


def _found(run: Path, error: Exception) -> str:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return str(error)
    if not run.exists():
        return "nothing there"
    return "a folder without one" if run.is_dir() else "a file"


def read_manifest(run: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        ArtifactError: the folder is no finished run, or one of another format.
    """
    try:
        manifest = json.loads((run / "run.json").read_text(encoding="utf-8"))
        if not isinstance(manifest, dict):
            raise ValueError(f"run.json holds a {type(manifest).__name__}")
    except (OSError, ValueError) as error:
        raise ArtifactError(
            "not a finished run",
            where=str(run),
            got=_found(run, error),
            expected="a folder with a run.json",
            fix="name one of the runs in it" if any(run.glob("*/run.json")) else "name another run",
        ) from None
    if manifest.get("format_version") != FORMAT_VERSION:
        raise ArtifactError(
            "a run of another format",
            where=str(run),
            got=f"format_version {manifest.get('format_version')}",
            expected=f"format_version {FORMAT_VERSION}",
            fix="audit again with this version",
        )
    return manifest
