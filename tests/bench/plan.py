"""Which tools run on which documents, and how much of each data set."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sets import Documents, cut, first_rows, read_documents, spread_rows
from tools import (
    OURS,
    OURS_ONE_CORE,
    OURS_PROCESSES,
    OURS_WITHOUT_PASSAGES,
    SUFFIX_ARRAY_BYTES,
    SUFFIX_ARRAY_TOKENS,
    TOOLS,
)
from trials import Entry

PLAIN_PYTHON = "datasketch"
# Keep compiled code on disk.
COMPILED = (OURS, OURS_PROCESSES, OURS_ONE_CORE, OURS_WITHOUT_PASSAGES, SUFFIX_ARRAY_TOKENS)


@dataclass(frozen=True)
class Plan:
    """One table.

    name: of the table and of the option that asks for it.
    data_set: the folder the documents are in.
    part_bytes: text of the part that is measured; None for all of it.
    tools: what runs by default; `more` besides, if all are wanted.
    truth: whether brute force fits; if all is wanted it is tried anyway.
    passages: whether it is about passages, whose truth a suffix array tells.
    """

    name: str
    data_set: str
    tools: tuple[str, ...]
    more: tuple[str, ...] = ()
    part_bytes: int | None = None
    quick_bytes: int = 2_000_000
    truth: bool = True
    passages: bool = False


_PASSAGES = (OURS, OURS_ONE_CORE, OURS_WITHOUT_PASSAGES, SUFFIX_ARRAY_TOKENS, SUFFIX_ARRAY_BYTES)
_OTHERS = ("text-dedup", "datatrove", PLAIN_PYTHON)
PLANS = (
    # The others would take from a quarter of an hour to hours, for three runs each.
    Plan("python-code", "python-code", (OURS, OURS_PROCESSES, "rensa"), quick_bytes=4_000_000, truth=False),
    Plan("python-code-part", "python-code", (OURS, "rensa", *_OTHERS), part_bytes=100_000_000),
    Plan("debian-docs", "debian-docs", (OURS, "rensa"), _OTHERS),
    Plan("eltec-novels", "eltec-novels", (OURS, "rensa"), _OTHERS),
    Plan("passages", "python-code", _PASSAGES, quick_bytes=4_000_000, truth=False, passages=True),
    Plan("passages-part", "python-code", _PASSAGES, part_bytes=100_000_000, truth=False, passages=True),
    # In 20 languages, with the documents that have to go through NFKC first.
    Plan("passages-small", "debian-docs", _PASSAGES, part_bytes=20_000_000, truth=False, passages=True),
)
# What the plain loop gets of each table's documents.
PLAIN_BYTES = 5_000_000
PLAIN_QUICK_BYTES = 500_000


@dataclass(frozen=True)
class Extent:
    """How much is measured: tiny parts only, and every tool on every set."""

    quick: bool
    all_tools: bool


def entries_of(
    plan: Plan, data: Path, wanted: Collection[str], extent: Extent, work: Path
) -> list[Entry] | None:
    """Return the entries of a table, their documents cut and written; None where the set is absent.

    wanted: names of tools; of these, the plan's run.
    """
    whole = read_documents(plan.data_set, data / plan.data_set)
    if whole is None:
        return None
    documents = _part(whole, plan.name, plan.quick_bytes if extent.quick else plan.part_bytes, work)
    entries = []
    for name in (*plan.tools, *(plan.more if extent.all_tools else ())):
        if name in wanted:
            tool, own = TOOLS[name], documents
            if name == PLAIN_PYTHON:
                small_bytes = PLAIN_QUICK_BYTES if extent.quick else PLAIN_BYTES
                own = _part(documents, f"{plan.name}-small", small_bytes, work)
            few = first_rows(whole.lengths, tool.start_up_documents)
            entries.append(Entry(tool, own, cut(whole, f"{plan.data_set}-few", few, work), name in COMPILED))
    return entries


def _part(whole: Documents, name: str, part_bytes: int | None, work: Path) -> Documents:
    return whole if part_bytes is None else cut(whole, name, spread_rows(whole.lengths, part_bytes), work)
