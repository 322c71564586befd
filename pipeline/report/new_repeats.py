"""What has come since the last run, as far as it repeats what was there."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.figures import count, number, percent
from pipeline.report import shown, values
from pipeline.report.model import EARLIER_FILES_LISTED, NEW_REPEATS_LISTED, NewRepeats, Report, Row
from pipeline.report.values import Cell, Grid, Section

_TITLE = "New since the last run"
_KINDS = {
    "exact": "exact: same words",
    "near": "near copies",
    "cluster": "in a near cluster",
    "passage": "passages only",
}
_HINTS = (
    "exact: an earlier document has the same words; near: a verified pair; in a near cluster: only other new"
    " documents lead to an earlier one; passages: a run of words that is not predictable"
)


def new_section(report: Report) -> Section | None:
    """What new documents repeat of earlier ones; nothing if there was no earlier run."""
    if report.new is None:
        return None
    repeating = sum(row["documents"] for row in report.new.kinds.values())
    words = (_files(report), _documents(report.new, repeating, report.passages is not None))
    if not repeating:
        return Section("new", _TITLE, words)
    grids = (_by_kind(report.new), _by_file(report.new), _listed(report.new.most, repeating))
    return Section("new", _TITLE, words, grids=grids)


def _files(report: Report) -> str:
    files, earlier = report.manifest["new_files"], report.manifest.get("earlier_run")
    before = "the run before" if earlier is None else f"the run {shown.name(str(earlier))}"
    if not files:
        return f"Every file was in {before}, with the same content."
    told = count(files, "file that was", "files that were")
    return f"New are the documents of {told} not in {before}, or had another content; all others are earlier."


def _documents(new: NewRepeats, repeating: int, looked: bool) -> str:
    known = "the new documents" if new.documents is None else count(new.documents, "new document")
    if not repeating:
        return f"Of {known} none repeats an earlier one."
    share = f" ({percent(repeating / new.documents)})" if new.documents else ""
    kinds = {kind: new.kinds.get(kind, {"documents": 0})["documents"] for kind in _KINDS}
    exact, near, cluster, passage = (number(kinds[kind]) for kind in _KINDS)
    linked = f", {cluster} by way of other new documents" if kinds["cluster"] else ""
    return (
        f"Of {known} {number(repeating)}{share} repeat an earlier one:"
        f" {exact} exactly, {near} nearly{linked}{f', {passage} in passages only' if looked else ''}."
    )


def _by_kind(new: NewRepeats) -> Grid:
    columns = values.columns(
        ("kind", "repeats", _HINTS),
        ("documents", "new documents"),
        ("share", "share", "of all new documents"),
        ("n_tokens", "tokens"),
        ("repeated_tokens", "repeated tokens", "tokens in what an earlier document has, word for word"),
    )
    cells = [
        [
            values.plain(_KINDS[kind]),
            values.number(row["documents"]),
            values.percent(row["documents"] / new.documents if new.documents else None),
            values.number(row["n_tokens"]),
            values.number(row["repeated_tokens"]),
        ]
        for kind in _KINDS
        if (row := new.kinds.get(kind)) is not None
    ]
    return Grid("new-kinds", "New documents that repeat earlier ones", columns, values.rows(cells))


def _by_file(new: NewRepeats) -> Grid:
    columns = values.columns(
        ("earlier_uri", "earlier file"),
        ("documents", "new documents", "that repeat a document of it first of all"),
        *((kind, title) for kind, title in _KINDS.items()),
    )
    cells = [
        [_path(row["earlier_uri"]), *(values.number(row[name]) for name in ("documents", *_KINDS))]
        for row in new.files
    ]
    note = "A new document counts once, with the earlier one that it is most like."
    note += f" The first {EARLIER_FILES_LISTED} files." if len(cells) == EARLIER_FILES_LISTED else ""
    return Grid("new-files", "Earlier files most often repeated", columns, values.rows(cells), note)


def _listed(rows: Sequence[Row], repeating: int) -> Grid:
    columns = values.columns(
        ("uri", "new document"),
        ("kind", "repeats", _HINTS),
        ("earlier_uri", "earlier document"),
        ("jaccard", "similarity"),
        ("n_tokens", "tokens"),
        ("repeated_tokens", "repeated tokens"),
        ("passage_tokens", "longest passage", "in tokens"),
    )
    cells = [
        [
            _path(row["uri"], row["row"]),
            values.plain(_KINDS[row["kind"]]),
            _path(row["earlier_uri"], row["earlier_row"]),
            values.similarity(row["jaccard"]),
            *(values.number(row[name]) for name in ("n_tokens", "repeated_tokens", "passage_tokens")),
        ]
        for row in rows
    ]
    shown_of = f"The {NEW_REPEATS_LISTED} of which most is repeated, of {number(repeating)}"
    note = f"{shown_of}; all are in summary/new_repeats.parquet." if repeating > len(rows) else ""
    return Grid("new-repeats", "Most tokens repeated", columns, values.rows(cells), note)


def _path(uri: str, row: int | None = None) -> Cell:
    words = shown.path(uri) + ("" if row is None else f", row {number(row)}")
    return Cell(words, words, "name")
