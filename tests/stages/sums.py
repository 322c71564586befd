"""Writes the sums of a part of the documents table by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.label_hashes import name_hash
from pipeline.mapped import write_mapped
from pipeline.schemas import BINS
from pipeline.stages.documents import BY_COPIES, BY_SOURCE, DocumentsResult

NOTHING = (0,) * len(BINS)
_LABELS = ("source", "licence")


def part(
    folder: Path, number: int, copies: Sequence[tuple[str, int, int]] = (), **sources: Any
) -> DocumentsResult:
    """The sums of a part; copies: (grain, copies, documents), 3 tokens and 5 bytes a document.

    A keyword is the name of a source, unless its sums say another.
    """
    folder.mkdir(exist_ok=True)
    by_copies = [
        {"grain": grain, "copies": n, "documents": documents, "tokens": 3 * documents, "bytes": 5 * documents}
        for grain, n, documents in copies
    ]
    by_source = [_sums({"source": name} | counts) for name, counts in sources.items()]
    copied = write_mapped(pa.Table.from_pylist(by_copies, BY_COPIES), folder / f"copies-{number}")
    sourced = write_mapped(pa.Table.from_pylist(by_source, BY_SOURCE), folder / f"sources-{number}")
    return DocumentsResult("", copied, sourced, 0, NOTHING, NOTHING, 0.0)


def _sums(counts: dict[str, Any]) -> dict[str, Any]:
    names = {label: counts.get(label) for label in _LABELS}
    hashes = {f"{label}_hash": 0 if name is None else name_hash(name) for label, name in names.items()}
    return dict.fromkeys(BY_SOURCE.names, 0) | counts | names | hashes
