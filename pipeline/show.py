"""A finished run in words and tables, for a terminal."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Any

import polars as pl
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.figures import number, percent, size
from pipeline.lookup import require_passages
from pipeline.manifest import read_manifest
from pipeline.readers.wording import printable

GRAINS = {"raw": "same bytes", "exact": "same words", "near": "near"}
SOURCES_SHOWN = 8


def _table(*columns: str, left: int = 1) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < left else "right", no_wrap=True)
    return table


def _one_line(text: str, room: int) -> Text:
    # Text of a data set may hold anything: controls, direction marks, markup.
    line = Text(printable(" ".join(text.split())))
    line.truncate(room, overflow="ellipsis")
    return line


def summary(run: Path, clusters: int, passages: int = 0) -> str:
    """What `dupaudit show` prints.

    Args:
        clusters, passages: how many to list at most.

    Raises:
        ArtifactError: `run` is not a finished run, or passages are asked for and it has none.
    """
    manifest = read_manifest(run)
    if passages:
        require_passages(run)
    metrics = manifest["metrics"]
    buffer = io.StringIO()
    width = shutil.get_terminal_size((110, 40)).columns if sys.stdout.isatty() else 110
    console = Console(file=buffer, width=width, force_terminal=sys.stdout.isatty(), highlight=False)
    console.print(Text(f"\nRun {manifest['run']}", style="bold"))
    console.print(_corpus(manifest, metrics))
    console.print(_grains(metrics, manifest["config"]))
    console.print(_passages(metrics))
    console.print(_exposures(run, metrics))
    for note in manifest["notes"]:
        console.print(Text(f"Note: {note}"))
    console.print(_certainty(metrics))
    console.print(_histogram(run))
    _print_sources(console, run)
    _print_clusters(console, run, clusters)
    _print_passages(console, run, passages)
    return buffer.getvalue()


def _corpus(manifest: dict[str, Any], metrics: dict[str, Any]) -> str:
    words = (
        f"{number(metrics['documents'])} documents, {size(metrics['bytes'])},"
        f" {number(metrics['tokens'])} tokens in {number(manifest['files'])} files; of them"
        f" {number(metrics['short_documents'])} short,"
        f" {number(metrics['empty_documents'])} empty\n"
        f"Rejected: {number(metrics['rejected_rows'])} of {number(metrics['input_rows'])} rows"
    )
    if metrics["rejected_files"]:
        words += f", and {number(metrics['rejected_files'])} whole files"
    others = ", ".join(f"{count:,} {why}" for why, count in manifest["passed_over"].items())
    return words + (f"\nFiles passed over: {others}\n" if others else "\n")


def _grains(metrics: dict[str, Any], config: dict[str, Any]) -> Table:
    table = _table(
        "repeated", "groups", "documents in them", "surplus", "surplus share", "tokens repeated", "largest"
    )
    for grain, label in GRAINS.items():
        table.add_row(
            f"near (Jaccard {config['near']['threshold']:g}+)" if grain == "near" else label,
            *(
                number(metrics[f"{grain}_{name}"])
                for name in ("groups", "grouped_documents", "surplus_documents")
            ),
            *(
                percent(metrics[f"{grain}_{name}"])
                for name in ("surplus_fraction", "repeated_tokens_fraction")
            ),
            number(metrics[f"{grain}_largest_group"]),
        )
    if _has_passages(metrics):
        # Places of one passage may be in one document, so there is no surplus of documents.
        table.add_row(
            f"passage ({config['passages']['min_tokens']}+ tokens)",
            *(number(metrics[name]) for name in ("passages", "passage_repeated_documents")),
            *("-", "-"),
            percent(metrics["passage_repeated_tokens_fraction"]),
            number(metrics["passage_most_occurrences"]),
        )
    return table


def _has_passages(metrics: dict[str, Any]) -> bool:
    return metrics.get("passages") is not None


def _passages(metrics: dict[str, Any]) -> str:
    if not _has_passages(metrics):
        return "Repeated passages: not looked for."
    if not metrics["passages"]:
        return "Repeated passages: none."
    return (
        f"Repeated passages: {number(metrics['passages'])}, of which"
        f" {number(metrics['predictable_passages'])} predictable (a word or a short cycle over and over,"
        f" a counter).\nThe most frequent occurs {number(metrics['passage_most_occurrences'])} times,"
        f" the longest has {number(metrics['passage_most_tokens'])} tokens."
    )


def _exposures(run: Path, metrics: dict[str, Any]) -> str:
    rows = pl.read_parquet(run / "summary" / "risk.parquet").filter(
        (pl.col("grain") == "document") & pl.col("risk_tier").is_in(["high", "very high"])
    )
    words = (
        f"Exposures: training shows the most exposed text about {number(metrics['max_exposures'])} times,"
        f" and {number(int(rows['documents'].sum()))} documents more than 20 times."
    )
    if metrics["cross_source_texts"] is not None:
        passages = metrics["cross_source_passages"]
        words += (
            f"\nIn more than one source: {number(metrics['cross_source_texts'])} texts,"
            f" {number(metrics['cross_source_clusters'])} clusters"
            + (f", {number(passages)} passages." if passages is not None else ".")
        )
    return words


def _certainty(metrics: dict[str, Any]) -> str:
    if metrics["recall"] is None:
        recall = "Recall of the near grain: nothing near was found, so nothing can be said."
    else:
        recall = (
            f"Recall of the near grain: {percent(metrics['recall'])} estimated, 95 % interval"
            f" {percent(metrics['recall_low'])} to {percent(metrics['recall_high'])}"
            f" (dupaudit calibrate measures it)."
        )
    return (
        f"{recall}\nEvery reported pair was compared exactly:"
        f" {number(metrics['candidate_pairs'])} candidates,"
        f" {number(metrics['pairs_dropped_by_sketch'])} dropped by their sketches,"
        f" {number(metrics['pairs_compared'])} compared, {number(metrics['pairs_at_threshold'])} near.\n"
    )


def _histogram(run: Path) -> Table:
    rows = pl.read_parquet(run / "summary" / "histogram.parquet")
    shown = [(label, grain, "documents") for grain, label in GRAINS.items()]
    shown += [("near", "near", "surplus_documents"), ("near", "near", "tokens")]
    if "passage" in rows["grain"]:
        shown += [("passage", "passage", "documents"), ("passage", "passage", "tokens")]
    table = _table("occurs", *(f"{label}:\n{name.split('_')[0]}" for label, _, name in shown))
    for name in rows["bin"].unique(maintain_order=True):
        of_bin = {row["grain"]: row for row in rows.filter(pl.col("bin") == name).iter_rows(named=True)}
        table.add_row(name, *(number(of_bin[grain][column]) for _, grain, column in shown))
    return table


def _print_sources(console: Console, run: Path) -> None:
    rows = pl.read_parquet(run / "summary" / "sources.parquet")
    tokens = (
        pl.sum("tokens"),
        (pl.col("near_repeated_tokens_fraction") * pl.col("tokens")).sum().alias("repeated"),
    )
    by_source = (
        rows.filter(pl.col("source").is_not_null())
        .group_by("source")
        .agg(pl.sum("documents", "near_repeated_documents"), *tokens)
        .sort(["repeated", "source"], descending=[True, False])
    )
    if by_source.is_empty():
        return
    table = _table(
        "source (most repeated tokens first)", "documents", "near repeated", "tokens", "repeated share"
    )
    for row in by_source.head(SOURCES_SHOWN).iter_rows(named=True):
        share = row["repeated"] / row["tokens"] if row["tokens"] else None
        numbers = (number(row[name]) for name in ("documents", "near_repeated_documents", "tokens"))
        table.add_row(Text(printable(row["source"], 40)), *numbers, percent(share))
    if len(by_source) > SOURCES_SHOWN:
        table.add_row(f"and {len(by_source) - SOURCES_SHOWN:,} more", "", "", "", "")
    console.print("")
    console.print(table)


def _print_clusters(console: Console, run: Path, count: int) -> None:
    largest = pl.scan_parquet(run / "clusters" / "*.parquet").sort(
        ["documents", "tokens", "cluster_id"], descending=[True, True, False]
    )
    rows = largest.head(count).collect()
    if rows.is_empty():
        return
    table = _table("documents", "texts", "sources", "min J", "mean J", left=0)
    table.add_column("largest clusters: how they begin", no_wrap=True)
    room = max(console.width - 50, 20)
    for row in rows.iter_rows(named=True):
        numbers = (number(row[name]) for name in ("documents", "distinct_texts", "sources"))
        similar = f"{row['min_jaccard']:.2f}", f"{row['mean_jaccard']:.2f}"
        table.add_row(*numbers, *similar, _one_line(row["sample"], room))
    console.print("")
    console.print(table)


def _print_passages(console: Console, run: Path, count: int) -> None:
    if not count:
        return
    passages = pl.scan_parquet(run / "passages" / "*.parquet")
    rank = (pl.col("occurrences") * pl.col("tokens")).alias("rank")
    # The texts of the others stay unread.
    top = (
        passages.select("passage_id", rank).sort(["rank", "passage_id"], descending=[True, False]).head(count)
    )
    rows = top.join(passages, "passage_id", maintain_order="left").collect()
    if rows.is_empty():
        return
    numbers = ("occurrences", "documents", "texts", "sources", "tokens")
    table = _table(*numbers, left=0)
    table.add_column("predictable", no_wrap=True)
    table.add_column("passage", no_wrap=True)
    room = max(console.width - 68, 10)
    for row in rows.iter_rows(named=True):
        text = _one_line(row["text"], room)
        table.add_row(*(number(row[name]) for name in numbers), "yes" if row["predictable"] else "", text)
    console.print("")
    console.print(table)
