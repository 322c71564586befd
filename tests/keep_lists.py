"""Keep lists written by hand, and files copied by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from pipeline.artifacts import write_output
from pipeline.list_schemas import CUTS, KEEP
from pipeline.writers.cutting import Range
from pipeline.writers.formats import Copied, write
from pipeline.writers.verdicts import ListPart, Verdicts

Verdict = bool | None  # stays, goes, was not audited


def list_of(
    folder: Path,
    files: Mapping[int, Sequence[Verdict]],
    cuts: Mapping[tuple[int, int], Sequence[Range]] | None = None,
    part_rows: int = 3,
) -> list[ListPart]:
    """A keep list of files by their file_id, in parts of a few documents; cuts by file_id and row."""
    rows = [
        {"doc_id": file_id << 32 | row, "uri": f"f{file_id}", "row": row, "keep": keep, "reason": "said so"}
        for file_id, verdicts in sorted(files.items())
        for row, keep in enumerate(verdicts)
        if keep is not None
    ]
    places = [
        {"doc_id": file_id << 32 | row, "byte_start": start, "byte_end": end}
        for (file_id, row), ranges in sorted((cuts or {}).items())
        for start, end in ranges
    ]
    parts = []
    for number, first in enumerate(range(0, max(len(rows), 1), part_rows)):
        held = rows[first : first + part_rows]
        ids = {row["doc_id"] for row in held}
        inside = [place for place in places if place["doc_id"] in ids]
        documents, cut = f"{folder}/documents/{number}", f"{folder}/cuts/{number}"
        write_output(KEEP, pa.Table.from_pylist(held, KEEP.arrow_schema()), documents)
        write_output(CUTS, pa.Table.from_pylist(inside, CUTS.arrow_schema()), cut)
        first_doc = int(str(held[0]["doc_id"])) if held else 0
        parts.append(ListPart(first_doc, documents, None if cuts is None else cut))
    return parts


def copied(
    source: Path,
    format: str,
    verdicts: Sequence[Verdict],
    out: Path,
    cuts: Mapping[int, Sequence[Range]] | None = None,
    text_column: str = "text",
) -> Copied:
    """Copy a file by the verdicts on its rows, and cuts by row."""
    of_file = None if cuts is None else {(0, row): ranges for row, ranges in cuts.items()}
    parts = list_of(out.parent / f"list-of-{out.name}", {0: verdicts}, of_file)
    return write(str(source), format, text_column, Verdicts(parts), str(out), cuts is not None)
