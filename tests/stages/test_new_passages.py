"""Passages that new documents share with earlier ones, from tables that are made up."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipeline.artifacts import END_OF_KEYS, frame
from pipeline.schemas import PASSAGES, SPANS
from pipeline.stages.new_documents import NEW, written
from pipeline.stages.new_passages import SHARED, described, place_passages, share_passages
from tests.stages.test_new_documents import Row, rows_of, sieve_of, table

EVERY = (0, END_OF_KEYS)


def _new(folder: Path, *known: tuple[int, int | None]) -> str:
    """`NEW` by text: first documents with the first earlier ones."""
    rows = [
        {"first_doc": first, "doc_id": first, "n_tokens": 9, "first_earlier": earlier, "earlier": 1}
        for first, earlier in known
    ]
    return written(pl.DataFrame(rows, schema=frame(NEW.empty_table()).schema), NEW, str(folder / "new")).path


def _span(doc_id: int, start: int, tokens: int, passage: int) -> Row:
    return {"doc_id": doc_id, "token_start": start, "tokens": tokens, "passage_id": passage}


def test_places_of_new_texts_and_the_first_of_earlier_ones(tmp_path: Path) -> None:
    new, later = 1 << 32, 2 << 32
    spans = [
        _span(3, 0, 30, 5),
        _span(4, 0, 30, 5),
        _span(4, 40, 31, 6 << 60),
        _span(new, 2, 30, 5),
        _span(new, 50, 33, 8),
        _span(new + 1, 0, 33, 8),
    ]
    sieve, known = sieve_of([5, 8], tmp_path), _new(tmp_path, (new, None), (new + 1, later))
    part = table(SPANS, spans, tmp_path / "s")
    found = place_passages(part, str(tmp_path / "p"), new=[known], new_files=(1,), sieve=sieve)
    nowhere = {"doc_id": None, "token_start": None, "tokens": None}
    assert rows_of(found) == [
        {"passage_id": 5, "earlier": None, "doc_id": new, "token_start": 2, "tokens": 30},
        {"passage_id": 5, "earlier": 3, **nowhere},
        {"passage_id": 8, "earlier": None, "doc_id": new, "token_start": 50, "tokens": 33},
        {"passage_id": 8, "earlier": later, **nowhere},
    ]


def test_only_passages_that_are_shared_and_tell_something_are_kept(tmp_path: Path) -> None:
    new = 1 << 32
    parts = [
        [_span(0, 0, 30, 5), _span(0, 30, 30, 6), _span(7, 0, 30, 5)],
        [_span(new, 9, 30, 5), _span(new, 1, 30, 6), _span(new, 40, 31, 7), _span(new + 1, 0, 31, 7)],
        [_span(2 << 32, 0, 30, 5)],
    ]
    known, sieve = _new(tmp_path, (new, None), (new + 1, None)), sieve_of([5, 6, 7], tmp_path)
    placed = [
        place_passages(
            table(SPANS, spans, tmp_path / f"s{i}"),
            str(tmp_path / f"p{i}"),
            new=[known],
            new_files=(1,),
            sieve=sieve,
        ).path
        for i, spans in enumerate(parts)
    ]
    passages = [{"passage_id": i, "predictable": i == 6} for i in (5, 6, 7)]
    path = table(PASSAGES, passages, tmp_path / "passages")
    found = share_passages(EVERY, str(tmp_path / "o"), placed=placed, passages=[path])
    assert rows_of(found) == [{"doc_id": new, "token_start": 9, "tokens": 30, "passage_id": 5, "earlier": 0}]


PLACE = st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(1, 6), st.integers(0, 2))


@given(st.lists(PLACE, max_size=15))
def test_documents_are_told_by_their_longest_passage_and_what_all_cover(
    places: list[tuple[int, int, int, int]],
) -> None:
    rows = [
        {"doc_id": doc, "token_start": start, "tokens": tokens, "passage_id": i // 2, "earlier": earlier}
        for i, (doc, start, tokens, earlier) in enumerate(places)
    ]
    expected = []
    for doc in sorted({row["doc_id"] for row in rows}):
        own = [row for row in rows if row["doc_id"] == doc]
        best = min(own, key=lambda row: (-row["tokens"], row["earlier"], row["passage_id"]))
        covered = {row["token_start"] + i for row in own for i in range(row["tokens"])}
        expected.append(
            {
                "doc_id": doc,
                "passage_tokens": best["tokens"],
                "passage_id": best["passage_id"],
                "passage_earlier": best["earlier"],
                "passage_repeated": len(covered),
            }
        )
    shared = pl.DataFrame(rows, schema=frame(SHARED.empty_table()).schema)
    assert described(shared).sort("doc_id").to_dicts() == expected
