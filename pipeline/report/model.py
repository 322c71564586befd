"""What the page needs of a run's tables, read within bounds.

Summaries are small and read whole. Of clusters and passages only the columns that rank them are read
in full, in a stream; then the rows of the few that are shown. Documents, pairs and spans, which grow
with the corpus, are never read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline import schemas
from pipeline.errors import ArtifactError
from pipeline.stages.new_repeats import KINDS, STAGE
from pipeline.stages.passages import LISTED, PREDICTABLE_LISTED

CLUSTERS_LISTED = 25
FILES_LISTED = 100
REJECTS_LISTED = 20
EARLIER_FILES_LISTED = 10
NEW_REPEATS_LISTED = 20

Row = dict[str, Any]


@dataclass(frozen=True)
class Inputs:
    """The first files of a run, and all of them by format."""

    files: list[Row]
    formats: list[Row]
    count: int


@dataclass(frozen=True)
class Rejects:
    """The first rejects, and all of them by reason."""

    first: list[Row]
    reasons: list[Row]


@dataclass(frozen=True)
class NewRepeats:
    """What the documents of new files repeat of those that were there before.

    Attributes:
        documents: how many are new; None if the run does not say.
        kinds: of those that repeat, by kind. files: the earlier files most often repeated.
        most: those of which most tokens are repeated.
    """

    documents: int | None
    kinds: Mapping[str, Row]
    files: list[Row]
    most: list[Row]


@dataclass(frozen=True)
class Report:
    """All that the page shows, as rows of the contract's columns."""

    manifest: Mapping[str, Any]
    inputs: Inputs
    rejects: Rejects
    histogram: list[Row]
    similarity: list[Row]
    risk: list[Row]
    clusters: list[Row]
    loose: list[Row]
    examples: Mapping[int, list[Row]]
    passages: list[Row] | None
    predictable: list[Row]
    places: Mapping[int, list[Row]]
    sources: pl.LazyFrame
    overlap: pl.LazyFrame
    new: NewRepeats | None

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved configuration."""
        return self.manifest["config"]  # type: ignore[no-any-return]

    def metric(self, name: str) -> float | None:
        """A headline figure; None if this run has none of that name, or it is not defined."""
        value: float | None = self.manifest["metrics"].get(name)
        return value


def read_report(run: Path, manifest: Mapping[str, Any]) -> Report:
    """Read what the page shows.

    Raises:
        ArtifactError: a table is missing, damaged, or of another version.
    """
    _check_versions(run, manifest)
    try:
        return _read(run, manifest)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ArtifactError(
            "cannot read the tables of a run", where=str(run), got=error, fix="restore them, or audit again"
        ) from None


def _read(run: Path, manifest: Mapping[str, Any]) -> Report:
    looked = manifest["config"].get("passages", {}).get("enabled", False)
    passages, predictable = _passages(run) if looked else (None, list[Row]())
    return Report(
        manifest=manifest,
        inputs=_inputs(scan(run, "inputs")),
        rejects=_rejects(scan(run, "rejects")),
        histogram=_rows(scan(run, "histogram")),
        similarity=_rows(scan(run, "similarity")),
        risk=_rows(scan(run, "risk")),
        clusters=_largest_clusters(run),
        loose=_loosest_clusters(run),
        examples=_by("cluster_id", scan(run, "examples")),
        passages=passages,
        predictable=predictable,
        places=_by("passage_id", scan(run, "places")),
        sources=scan(run, "sources"),
        overlap=scan(run, "source_overlap"),
        # Without an earlier run there is nothing that could be new.
        new=None if manifest.get("new_files") is None else _new(scan(run, "new_repeats"), manifest),
    )


def scan(run: Path, name: str) -> pl.LazyFrame:
    """A table of a run, unread.

    Raises:
        ArtifactError: it is missing.
    """
    (table,) = (table for table in schemas.TABLES if table.name == name)
    # Not by polars, since the run's own folder may be named like a pattern.
    paths = sorted(run.glob(table.path))
    if not paths:
        raise ArtifactError(
            "a table of the run is missing", where=str(run / table.path), fix="restore it, or audit again"
        )
    return pl.scan_parquet(paths, glob=False)


def collected(frame: pl.LazyFrame) -> pl.DataFrame:
    """The rows of a query, worked through in pieces rather than at once."""
    return frame.collect(engine="streaming")


def _rows(frame: pl.LazyFrame) -> list[Row]:
    return collected(frame).to_dicts()


def _check_versions(run: Path, manifest: Mapping[str, Any]) -> None:
    written = manifest.get("table_versions", {})
    for table in schemas.TABLES:
        found = written.get(table.name, table.version)
        if found != table.version:
            raise ArtifactError(
                f"table {table.name} is of another version",
                where=str(run),
                got=f"version {found}",
                expected=f"version {table.version}",
                fix="audit again with this version",
            )


def _top(frame: pl.LazyFrame, ranks: Mapping[str, pl.Expr], count: int) -> pl.Series:
    # The first rows by ranks in ascending order, by the last of these, which is the key. A sort that ends
    # in a head keeps no more than that: of 20 million passages it takes a second and 0.2 GB.
    return collected(frame.select(**ranks).sort([*ranks]).head(count))[[*ranks][-1]]


def _found(frame: pl.LazyFrame, tops: Sequence[pl.Series]) -> list[list[Row]]:
    # The rows of some keys, for all lists of these at once: the others' texts are decompressed, too.
    key = tops[0].name
    rows = {row[key]: row for row in _rows(frame.filter(pl.col(key).is_in(pl.concat(tops).implode())))}
    return [[rows[number] for number in top] for top in tops]


def _first(frame: pl.LazyFrame, ranks: Mapping[str, pl.Expr], count: int) -> list[Row]:
    return _found(frame, [_top(frame, ranks, count)])[0]


def _largest_clusters(run: Path) -> list[Row]:
    documents, tokens = -pl.col("documents"), -pl.col("tokens")
    ranks = {"documents": documents, "tokens": tokens, "cluster_id": pl.col("cluster_id")}
    return _first(scan(run, "clusters"), ranks, CLUSTERS_LISTED)


def _loosest_clusters(run: Path) -> list[Row]:
    similar, documents = pl.col("min_jaccard"), -pl.col("documents")
    ranks = {"min_jaccard": similar, "documents": documents, "cluster_id": pl.col("cluster_id")}
    return _first(scan(run, "clusters").filter(pl.col("chained") > 0), ranks, CLUSTERS_LISTED)


def _passages(run: Path) -> tuple[list[Row], list[Row]]:
    # Those that are not predictable, and those that are.
    frame, covered = scan(run, "passages"), pl.col("occurrences") * pl.col("tokens")
    ranks = {"covered": -covered, "passage_id": pl.col("passage_id")}
    kinds = (~pl.col("predictable"), LISTED), (pl.col("predictable"), PREDICTABLE_LISTED)
    passages, predictable = _found(frame, [_top(frame.filter(kind), ranks, n) for kind, n in kinds])
    return passages, predictable


def _by(key: str, frame: pl.LazyFrame) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in _rows(frame):
        found.setdefault(row[key], []).append(row)
    return found


def _inputs(frame: pl.LazyFrame) -> Inputs:
    by_format = (
        frame.group_by("format")
        .agg(
            pl.len().alias("files"),
            pl.sum("size_bytes", "rows"),
            pl.col("rows").null_count().alias("rejected"),
        )
        .sort("size_bytes", "format", descending=[True, False])
    )
    formats = _rows(by_format)
    return Inputs(_rows(frame.head(FILES_LISTED)), formats, sum(row["files"] for row in formats))


def _new(frame: pl.LazyFrame, manifest: Mapping[str, Any]) -> NewRepeats:
    logs = [log["counts"] for log in manifest.get("stages", []) if log["stage"] == STAGE]
    known = pl.when(pl.col("repeated_tokens").count() > 0).then(pl.sum("repeated_tokens"))
    kinds = frame.group_by("kind").agg(pl.len().alias("documents"), pl.sum("n_tokens"), known)
    files = frame.group_by("earlier_uri").agg(
        pl.len().alias("documents"), *((pl.col("kind") == kind).sum().alias(kind) for kind in KINDS)
    )
    most = pl.coalesce("repeated_tokens", "n_tokens")  # all that is known without the passage grain
    ranked = files.sort("documents", "earlier_uri", descending=[True, False]).head(EARLIER_FILES_LISTED)
    return NewRepeats(
        logs[-1].get("documents") if logs else None,
        {row["kind"]: row for row in _rows(kinds)},
        _rows(ranked),
        _first(frame, {"most": -most, "doc_id": pl.col("doc_id")}, NEW_REPEATS_LISTED),
    )


def _rejects(frame: pl.LazyFrame) -> Rejects:
    reasons = (
        frame.group_by("reason").agg(pl.len().alias("rows")).sort("rows", "reason", descending=[True, False])
    )
    return Rejects(_rows(frame.head(REJECTS_LISTED)), _rows(reasons))
