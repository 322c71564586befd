"""The rejects table: every input row, and every file, that could not be audited."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from pipeline.artifacts import PART_ROWS, frame, write_output
from pipeline.errors import InputError
from pipeline.mapped import read_mapped
from pipeline.schemas import REJECTS
from pipeline.stages.inputs import InputFile, Shard
from pipeline.stages.places import Places
from pipeline.stages.scan import ScanResult


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
    row = read_mapped(result.rejects).slice(0, 1).to_pylist()[0]
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
    table = read_mapped(result.rejects)
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
