"""Where passages and documents of a run stand, and their texts, for many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from pipeline.lookup import document_texts

MOST_PLACES = 10  # of a prompt that its line lists
TEXT_BYTES = 1 << 28  # texts held at a time, or one longer text


@dataclass(frozen=True)
class Place:
    """Where a passage begins: its document, that document's text, its first word there."""

    doc_id: int
    text_id: int
    word: int


def _parts(run: Path, table: str) -> list[Path]:
    return sorted((run / table).glob("part-*.parquet"))


def _ids(values: Iterable[int]) -> pl.Expr:
    return pl.lit(pl.Series(sorted(values), dtype=pl.UInt64).implode())


def _first(rows: pl.DataFrame, key: str) -> pl.DataFrame:
    # Of each key, in the order that the rows are in.
    return rows.filter(pl.int_range(pl.len()).over(key) < MOST_PLACES)


def first_places(run: Path, passages: Iterable[int]) -> dict[int, list[Place]]:
    """The first places of passages in texts that differ, at most `MOST_PLACES` of each, in order."""
    wanted = _ids(passages)
    kept = pl.DataFrame(schema={"passage_id": pl.UInt64, "doc_id": pl.UInt64, "text_id": pl.UInt64,
                                "token_start": pl.Int64})  # fmt: skip
    for part in _parts(run, "spans"):
        rows = pl.read_parquet(part, columns=kept.columns).select(kept.columns)
        more = rows.filter(pl.col("passage_id").is_in(wanted))
        # Parts are in order, and so are their rows.
        kept = _first(pl.concat([kept, more]), "passage_id")
    found: dict[int, list[Place]] = {}
    for passage_id, doc_id, text_id, word in kept.iter_rows():
        found.setdefault(passage_id, []).append(Place(doc_id, text_id, word))
    return found


def with_copies(run: Path, places: Sequence[Sequence[Place]]) -> list[list[Place]]:
    """For the first places of each passage, the first ones with the copies of their texts counted in."""
    texts = {place.text_id for each in places for place in each}
    kept = pl.DataFrame(schema={"text_id": pl.UInt64, "doc_id": pl.UInt64})
    wanted = _ids(texts)
    for part in _parts(run, "documents"):
        rows = pl.read_parquet(part, columns=kept.columns).select(kept.columns)
        more = rows.filter(pl.col("text_id").is_in(wanted))
        kept = _first(pl.concat([kept, more]), "text_id")
    copies: dict[int, list[int]] = {}
    for text_id, doc_id in kept.iter_rows():
        copies.setdefault(text_id, []).append(doc_id)

    def first(each: Sequence[Place]) -> list[Place]:
        every = (Place(doc_id, at.text_id, at.word) for at in each for doc_id in copies[at.text_id])
        return sorted(every, key=lambda at: (at.doc_id, at.word))[:MOST_PLACES]

    return [first(each) for each in places]


def covered_words(run: Path, doc_ids: Iterable[int]) -> dict[int, list[tuple[int, int]]]:
    """The words [first, stop) of each passage in some documents, ascending."""
    spans = pl.scan_parquet([*_parts(run, "spans")]).filter(pl.col("doc_id").is_in(_ids(doc_ids)))
    rows = spans.select("doc_id", "token_start", stop=pl.col("token_start") + pl.col("tokens"))
    found: dict[int, list[tuple[int, int]]] = {}
    for doc_id, first, stop in rows.sort("doc_id", "token_start").collect().iter_rows():
        found.setdefault(doc_id, []).append((first, stop))
    return found


def documents(run: Path, doc_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """uri, row, id and n_bytes of documents by their doc_id, in order."""
    columns = ("doc_id", "uri", "row", "id", "n_bytes")
    rows = pl.scan_parquet(_parts(run, "documents")).select(columns)
    found = rows.filter(pl.col("doc_id").is_in(_ids(doc_ids))).sort("doc_id").collect()
    return {row["doc_id"]: row for row in found.iter_rows(named=True)}


def texts(run: Path, doc_ids: Iterable[int]) -> Iterator[tuple[int, bytes]]:
    """The texts of documents, in order; each file is read once while they fit in memory.

    Raises:
        InputError: see `lookup.document_texts`.
    """
    held, size = list[int](), 0
    for doc_id, row in documents(run, doc_ids).items():
        if held and size + row["n_bytes"] > TEXT_BYTES:
            yield from _texts(run, held)
            held, size = [], 0
        held.append(doc_id)
        size += row["n_bytes"]
    if held:
        yield from _texts(run, held)


def _texts(run: Path, doc_ids: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    for doc_id, text in document_texts(run, doc_ids).items():
        yield doc_id, text.encode()
