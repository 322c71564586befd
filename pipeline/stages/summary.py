"""The summaries: partial sums of the parts merged into histogram, sources and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from pipeline.artifacts import PART_ROWS, frame, read_work, write_output
from pipeline.errors import InputError
from pipeline.recall import Findable, estimate
from pipeline.schemas import BINS, HISTOGRAM, METRICS, REJECTS, SOURCES
from pipeline.stages.documents import BY_COPIES, BY_SOURCE, GRAINS, DocumentsResult
from pipeline.stages.inputs import InputFile, Shard
from pipeline.stages.places import Places
from pipeline.stages.scan import STATUS, ScanResult

Figures = dict[str, tuple[float | None, str]]  # value and unit by name


def _merged(paths: Sequence[str], schema: pa.Schema, by: Sequence[str]) -> pl.DataFrame:
    # A corpus without a document has no parts, and still a summary.
    rows = frame(pa.concat_tables([schema.empty_table(), *(read_work(path).cast(schema) for path in paths)]))
    return rows.group_by(by).agg(pl.exclude(by).sum()).sort(by, nulls_last=False)


@dataclass(frozen=True)
class PassageTotals:
    """The passage grain of a corpus by repeat bin: distinct passages, and (from the second bin) the
    tokens and bytes that lie in them."""

    passages: tuple[int, ...]
    tokens: tuple[int, ...]
    bytes: tuple[int, ...]


def _by_copies(parts: Sequence[DocumentsResult]) -> pl.DataFrame:
    # One row a grain and number of copies; copies divide documents, so groups are whole.
    return _merged([part.by_copies for part in parts], BY_COPIES, ["grain", "copies"]).with_columns(
        (pl.col("documents") // pl.col("copies")).alias("groups")
    )


def write_histogram(parts: Sequence[DocumentsResult], totals: PassageTotals | None, path: str) -> None:
    """Write documents, groups, tokens and bytes by grain and repeat bin, empty bins included.

    Args:
        totals: of the passage grain, if passages were looked for.
    """
    edges = [low for low, _ in BINS]
    bins = pl.DataFrame(
        {"copies_min": edges, "bin": [name for _, name in BINS]}, schema_overrides={"copies_min": pl.Int64}
    )
    grains = [*GRAINS, *(() if totals is None else ("passage",))]
    every = pl.DataFrame({"grain": grains}).join(bins, how="cross")
    reached = [pl.when(pl.col("copies") >= low).then(pl.lit(low, pl.Int64)) for low in edges]
    counted = (
        _by_copies(parts)
        .with_columns(pl.max_horizontal(reached).alias("copies_min"))
        .group_by("grain", "copies_min")
        .agg(pl.col("documents", "groups", "tokens", "bytes").sum())
        .with_columns((pl.col("documents") - pl.col("groups")).alias("surplus_documents"))
    )
    table = every.join(counted, ["grain", "copies_min"], "left").with_columns(
        pl.col("documents", "groups", "surplus_documents", "tokens", "bytes").fill_null(0),
        pl.lit(None, pl.Int64).alias("passages"),
    )
    if totals is not None:
        table = pl.concat([table.filter(pl.col("grain") != "passage"), _of_passages(table, totals)])
    names = HISTOGRAM.arrow_schema().names
    write_output(HISTOGRAM, table.sort("grain", "copies_min").select(names).to_arrow(), path)


def _of_passages(table: pl.DataFrame, totals: PassageTotals) -> pl.DataFrame:
    # Of tokens and bytes, those that lie in no passage are in the first bin.
    rows = table.filter(pl.col("grain") == "passage").sort("copies_min")
    columns = {}
    for name, inside in (("tokens", totals.tokens), ("bytes", totals.bytes)):
        outside = max(_sum(rows, name) - sum(inside), 0)
        columns[name] = pl.Series(name, [outside, *inside], pl.Int64)
    nothing = pl.lit(None, pl.Int64)
    return rows.with_columns(
        nothing.alias("groups"),
        nothing.alias("surplus_documents"),
        pl.Series("passages", totals.passages, pl.Int64),
        **columns,
    )


def write_sources(parts: Sequence[DocumentsResult], passages: bool, path: str) -> None:
    """Write documents, tokens and repeated shares by source and licence.

    Args:
        passages: whether they were looked for.
    """
    rows = _merged([part.by_source for part in parts], BY_SOURCE, ["source", "licence"])
    tokens = pl.max_horizontal(pl.col("tokens"), pl.lit(1))
    table = rows.select(
        "source",
        "licence",
        "documents",
        "tokens",
        "bytes",
        *(pl.col(f"{grain}_documents").alias(f"{grain}_repeated_documents") for grain in GRAINS),
        *(
            (pl.col(f"{grain}_tokens") / tokens).alias(f"{grain}_repeated_tokens_fraction")
            for grain in GRAINS
        ),
        *(
            pl.when(pl.lit(passages)).then(value).alias(name)
            for name, value in (
                ("passage_repeated_documents", pl.col("passage_documents")),
                ("passage_repeated_tokens_fraction", pl.col("passage_tokens") / tokens),
            )
        ),
        pl.col("kept").alias("kept_documents"),
    )
    write_output(SOURCES, table.to_arrow(), path)


def _sum(rows: pl.DataFrame, column: str) -> int:
    return int(rows[column].sum())


def grain_figures(parts: Sequence[DocumentsResult]) -> Figures:
    """The headline figures of each grain: distinct, groups of two or more, surplus, largest."""
    rows = _by_copies(parts)
    figures: Figures = {}
    for grain in GRAINS:
        mine = rows.filter(pl.col("grain") == grain)
        again = mine.filter(pl.col("copies") > 1)
        documents, groups, tokens = (_sum(mine, name) for name in ("documents", "groups", "tokens"))
        surplus = documents - groups
        figures[f"{grain}_distinct"] = groups, "texts"
        figures[f"{grain}_groups"] = _sum(again, "groups"), "groups"
        figures[f"{grain}_grouped_documents"] = _sum(again, "documents"), "documents"
        figures[f"{grain}_surplus_documents"] = surplus, "documents"
        figures[f"{grain}_surplus_fraction"] = surplus / documents if documents else None, "0 to 1"
        share = _sum(again, "tokens") / tokens if tokens else None
        figures[f"{grain}_repeated_tokens_fraction"] = share, "0 to 1"
        figures[f"{grain}_largest_group"] = max(mine["copies"].to_list(), default=None), "documents"
    return figures


def passage_figures(parts: Sequence[DocumentsResult]) -> Figures:
    """The headline figures of the passage grain that come from documents."""
    rows = _merged([part.by_source for part in parts], BY_SOURCE, ["source", "licence"])
    repeated, tokens = _sum(rows, "passage_tokens"), _sum(rows, "tokens")
    return {
        "passage_repeated_documents": (_sum(rows, "passage_documents"), "documents"),
        "passage_repeated_tokens": (repeated, "tokens"),
        "passage_repeated_tokens_fraction": (repeated / tokens if tokens else None, "0 to 1"),
    }


def corpus_figures(parts: Sequence[DocumentsResult]) -> Figures:
    """Size of the corpus, and its documents by status."""
    rows = _merged([part.by_source for part in parts], BY_SOURCE, ["source", "licence"])
    figures: Figures = {}
    for name in ("documents", "tokens", "bytes"):
        figures[name] = _sum(rows, name), name
    for status in STATUS:
        figures[f"{status}_documents"] = _sum(rows, status), "documents"
    return figures


def write_metrics(figures: Figures, path: str) -> None:
    """Write named figures with their units."""
    names = sorted(figures)
    columns = {
        "name": pa.array(names, pa.large_string()),
        "value": pa.array(
            [None if figures[n][0] is None else float(figures[n][0] or 0) for n in names], pa.float64()
        ),
        "unit": pa.array([figures[n][1] for n in names], pa.large_string()),
    }
    write_output(METRICS, pa.table(columns), path)


def write_summary(
    parts: Sequence[DocumentsResult],
    found: Sequence[Findable],
    totals: PassageTotals | None,
    figures: Figures,
    folder: str,
) -> Figures:
    """Write histogram, sources and metrics.

    Args:
        found: what each key range says about recall. totals: of the passage grain, if passages were
            looked for. figures: those known from earlier stages.

    Returns:
        All figures.
    """
    write_histogram(parts, totals, f"{folder}/histogram.parquet")
    write_sources(parts, totals is not None, f"{folder}/sources.parquet")
    recall = estimate(found, int(figures["unsettled_texts"][0] or 0))
    every = {
        **figures,
        **corpus_figures(parts),
        **grain_figures(parts),
        **({} if totals is None else passage_figures(parts)),
        "near_findable_texts": (sum(part.found for part in found), "texts"),
        "recall": (recall.estimate, "0 to 1"),
        "recall_low": (recall.low, "0 to 1"),
        "recall_high": (recall.high, "0 to 1"),
    }
    write_metrics(every, f"{folder}/metrics.parquet")
    return every


def write_rejects(
    shards: Sequence[Shard],
    results: Sequence[ScanResult],
    places: str,
    bad_files: Sequence[tuple[int, InputFile, InputError]],
    folder: str,
) -> int:
    """Write every rejected row and file, in order of file and row; returns their number.

    One file is written even when nothing was rejected, so that a query over the folder works.
    """
    located = Places(places)
    waiting = sorted(bad_files, key=lambda bad: bad[0])
    held: list[pl.DataFrame] = []
    parts = total = 0
    schema = {
        "file_id": pl.UInt64,
        "uri": pl.String,
        "row": pl.Int64,
        "reason": pl.String,
        "detail": pl.String,
    }

    def flush(least: int) -> None:
        nonlocal held, parts
        rows = pl.concat([pl.DataFrame(schema=schema), *held])
        while len(rows) >= least:
            part = rows.head(PART_ROWS).select(REJECTS.arrow_schema().names)
            write_output(REJECTS, part.to_arrow(), f"{folder}/part-{parts:05d}.parquet")
            rows, parts = rows.slice(PART_ROWS), parts + 1
            if least == 0:
                break
        held = [rows]

    for number, (shard, result) in enumerate(zip(shards, results, strict=True)):
        rows = _rejected(shard, result, located)
        last = number + 1 == len(shards)
        due = [bad for bad in waiting if last or bad[0] <= shard.pieces[-1].file_id]
        waiting = waiting[len(due) :]
        files = [(i, f.shown_uri, None, "unreadable_file", _one_line(e)) for i, f, e in due]
        rows = pl.concat([rows, pl.DataFrame(files, schema=schema, orient="row")]).sort(
            "file_id", "row", nulls_last=False
        )
        held.append(rows)
        total += len(rows)
        if sum(len(part) for part in held) >= PART_ROWS:
            flush(PART_ROWS)
    if not shards:
        files = [(i, f.shown_uri, None, "unreadable_file", _one_line(e)) for i, f, e in waiting]
        held, total = [pl.DataFrame(files, schema=schema, orient="row")], len(files)
        flush(PART_ROWS)
    if parts == 0 or any(not part.is_empty() for part in held):
        flush(0)
    return total


def first_reject(shards: Sequence[Shard], results: Sequence[ScanResult]) -> str:
    """The first rejected row, in words; there is one."""
    shard, result = next(pair for pair in zip(shards, results, strict=True) if pair[1].rejected)
    row = read_work(result.rejects).slice(0, 1).to_pylist()[0]
    piece = shard.pieces[row["piece"]]
    place = (
        f"row {row['row']}"
        if piece.piece.start == 0
        else f"row {row['row']} of the part from {piece.piece.start}"
    )
    return f"{piece.file.uri}, {place}: {row['reason']} ({row['detail']})"


def _one_line(error: InputError) -> str:
    return " ".join(str(error).split())


def _rejected(shard: Shard, result: ScanResult, places: Places) -> pl.DataFrame:
    table = read_work(result.rejects)
    piece, row = table.column("piece").to_numpy(), table.column("row").to_numpy()
    doc_id = places.doc_ids(shard.number, piece, row)
    rows = frame(table)
    return pl.DataFrame(
        {
            "file_id": doc_id >> 32,
            "uri": pl.Series([shard.pieces[i].file.uri for i in piece.tolist()], dtype=pl.String),
            "row": (doc_id & 0xFFFFFFFF).astype("int64"),
            "reason": rows["reason"],
            "detail": rows["detail"],
        }
    )
