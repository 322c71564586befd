"""What `dupaudit keep` prints: a data set in numbers before and after."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pipeline.artifacts import read_output
from pipeline.figures import count
from pipeline.readers.wording import printable
from pipeline.risk import SENTENCES
from pipeline.schemas import BINS
from pipeline.stages.keep import Sizes
from pipeline.writers.formats import Copied

WIDTH = 110
FILES_NAMED = 5


@dataclass(frozen=True)
class Kept:
    """What a policy keeps: documents, their tokens and bytes less what is cut, all documents by
    reason, and the sizes of the groups that are left by grain."""

    documents: int
    tokens: int
    bytes: int
    reasons: dict[str, int]
    sizes: dict[str, Sizes]


@dataclass(frozen=True)
class Written:
    """The filtered copy: where it is, its files, and the inputs that the run rejected whole."""

    location: str
    files: tuple[Copied, ...]
    rejected: tuple[str, ...]


def in_words(
    run: Path, policy: str, target: Path, metrics: Mapping[str, Any], kept: Kept, written: Written | None
) -> str:
    """The numbers before and after, what removal can do to a model, and where things lie."""
    buffer = io.StringIO()
    console = Console(file=buffer, width=WIDTH, force_terminal=False, highlight=False, markup=False)
    console.print(f"\nKeep by {policy}, run {printable(run.name)}\n")
    console.print(_figures(metrics, kept))
    console.print("")
    console.print(_bins(run, kept))
    console.print("")
    console.print(_reasons(kept))
    console.print(f"\n{_how_sure(policy)}\n\n{SENTENCES['keep']}\n")
    console.print(_places(target, kept), soft_wrap=True)
    if written is not None:
        console.print(_written(written), soft_wrap=True)
    return buffer.getvalue()


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", no_wrap=True)
    return table


def _figures(metrics: Mapping[str, Any], kept: Kept) -> Table:
    table = _table("", "before", "after", "change")
    for name in ("documents", "tokens", "bytes"):
        _add(table, name, metrics[name], getattr(kept, name))
    for grain, label in (("exact", "exact copies"), ("near", "near copies")):
        sizes = kept.sizes[grain]
        before = [
            metrics[f"{grain}_{name}"] for name in ("grouped_documents", "surplus_documents", "largest_group")
        ]
        after = sizes.grouped, sizes.grouped - sizes.groups, sizes.largest
        names = "documents in groups of 2 or more", "surplus documents", "largest group"
        for name, was, now in zip(names, before, after, strict=True):
            _add(table, f"{label}: {name}", was, now)
    return table


def _add(table: Table, label: str, before: float | None, after: int) -> None:
    was = int(before or 0)
    change = f"{(after - was) / was:+.2%}" if was else "-"
    table.add_row(label, f"{was:,}", f"{after:,}", change)


def _bins(run: Path, kept: Kept) -> Table:
    histogram = pl.DataFrame(pl.from_arrow(read_output(run / "summary" / "histogram.parquet")))
    table = _table(
        "occurs", *(f"{grain}: {when}" for grain in ("exact", "near") for when in ("before", "after"))
    )
    before = {
        (grain, low): n for grain, low, n in histogram.select("grain", "copies_min", "documents").iter_rows()
    }
    for number, (low, name) in enumerate(BINS):
        numbers = []
        for grain in ("exact", "near"):
            numbers += [before.get((grain, low), 0), kept.sizes[grain].by_bin[number]]
        table.add_row(name, *(f"{n:,}" for n in numbers))
    return table


def _reasons(kept: Kept) -> Table:
    table = _table("reason", "documents")
    for reason, n in kept.reasons.items():
        table.add_row(reason, f"{n:,}")
    return table


def _how_sure(policy: str) -> str:
    words = "The numbers after come from the tables of the run; an audit of the result is the proof."
    if policy == "drop-passages":
        words += (
            " Groups are counted by the texts as they were before the cuts; what is left of several may be"
            " the same."
        )
    return words


def _places(target: Path, kept: Kept) -> str:
    total = sum(kept.reasons.values())
    return f"Keep list: {printable(str(target), 1000)} ({kept.documents:,} of {total:,} documents stay)"


def _written(written: Written) -> str:
    files = written.files
    here, out = sum(file.written for file in files), sum(not file.written for file in files)
    kept, passed = sum(file.kept for file in files), sum(file.passed for file in files)
    where = printable(written.location, 1000)
    lines = [
        f"Written: {count(here, 'file')} with {count(kept, 'document')} to {where}",
        f"Text files left out: {out:,}" if out else "",
        f"Rows that could not be audited, written as they are: {passed:,}" if passed else "",
        _not_written(written.rejected),
        _other_layouts(sum(not file.same_layout for file in files)),
    ]
    return "\n".join(filter(None, lines))


def _not_written(rejected: tuple[str, ...]) -> str:
    if not rejected:
        return ""
    named = ", ".join(printable(uri, 200) for uri in rejected[:FILES_NAMED])
    more = len(rejected) - FILES_NAMED
    return f"Files that could not be audited, not written: {named}" + (
        f" and {more:,} more" if more > 0 else ""
    )


def _other_layouts(files: int) -> str:
    if not files:
        return ""
    return (
        "Parquet files with other annotations, or other names of the levels inside lists and maps, than"
        f" their inputs (types and values are the same): {files:,}"
    )
