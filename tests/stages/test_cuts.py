"""What drop-passages cuts, against a slow definition and by hand."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.artifacts import frame, key_ranges, write_output
from pipeline.errors import ArtifactError
from pipeline.mapped import read_mapped
from pipeline.schemas import PASSAGES, SPANS
from pipeline.stages.cuts import mark_places, sort_places, stretches

Row = dict[str, object]
PLACE = st.tuples(st.integers(0, 3), st.integers(0, 12), st.integers(1, 6), st.booleans())


@given(st.lists(PLACE, max_size=12))
def test_stretches_are_what_is_covered_and_belongs_to_no_first_place(
    places: list[tuple[int, int, int, bool]],
) -> None:
    doc, start, length, first = (np.array(column) for column in zip(*places, strict=True)) if places else [
        np.zeros(0, int)
    ] * 4  # fmt: skip
    found = stretches(doc.astype(np.uint64), start, start + length, first.astype(bool))
    later, kept = set[tuple[int, int]](), set[tuple[int, int]]()
    for d, s, n, is_first in places:
        (kept if is_first else later).update((d, s + i) for i in range(n))
    rows = found.rows()
    assert {(d, at) for d, s, e in rows for at in range(s, e)} == later - kept
    assert rows == sorted(rows)
    for (d, _, end), (next_d, next_start, _) in pairwise(rows):
        assert d != next_d or end < next_start


def _run(folder: Path, spans: list[Row], passages: list[Row]) -> tuple[str, str]:
    def whole(rows: list[Row], schema: pa.Schema) -> pa.Table:
        blank = {pa.large_string(): "-", pa.bool_(): False}
        return pa.Table.from_pylist(
            [{f.name: row.get(f.name, blank.get(f.type, 1)) for f in schema} for row in rows], schema
        )

    return (
        write_output(SPANS, whole(spans, SPANS.arrow_schema()), folder / "spans"),
        write_output(PASSAGES, whole(passages, PASSAGES.arrow_schema()), folder / "passages"),
    )


def _span(doc_id: int, byte_start: int, passage_id: int) -> Row:
    return {"doc_id": doc_id, "byte_start": byte_start, "byte_end": byte_start + 9, "token_start": byte_start,
            "tokens": 3, "passage_id": passage_id}  # fmt: skip


def test_places_of_passages_are_marked_by_document(tmp_path: Path) -> None:
    big = (1 << 64) - 5
    spans, passages = _run(
        tmp_path,
        [_span(1, 0, big), _span(1, 30, 7), _span(1, 90, 7), _span(2, 5, big), _span(2, 50, 9),
         _span(2, 70, big), _span(3, 0, 7), _span(3, 20, 11), _span(4, 0, 9)],
        [{"passage_id": 7, "doc_id": 1, "byte_start": 30}, {"passage_id": 9, "doc_id": 2, "byte_start": 50,
         "predictable": True}, {"passage_id": 11, "doc_id": 3, "byte_start": 20},
         {"passage_id": big, "doc_id": 1, "byte_start": 0}],
    )  # fmt: skip
    placed = [sort_places(spans, str(tmp_path / "placed"))]
    rows = []
    for i, keys in enumerate(key_ranges(3)):
        path = mark_places(keys, str(tmp_path / f"marked{i}"), placed=placed, passages=[passages])
        table = frame(read_mapped(path))
        assert table["doc_id"].is_sorted()
        rows += table.select("doc_id", "byte_start", "byte_end", "first").rows()
    # 9 is predictable, 11 stands in one text only.
    assert sorted(rows) == [
        (1, 0, 9, True), (1, 30, 39, True), (1, 90, 99, False), (2, 5, 14, False),
        (2, 70, 79, False), (3, 0, 9, False),
    ]  # fmt: skip


@pytest.mark.parametrize("known", [[], [7, 7]])
def test_spans_that_do_not_fit_the_passages_are_refused(tmp_path: Path, known: list[int]) -> None:
    spans, passages = _run(tmp_path, [_span(1, 0, 7)], [{"passage_id": p} for p in known])
    placed = [sort_places(spans, str(tmp_path / "placed"))]
    with pytest.raises(ArtifactError, match="do not fit") as caught:
        mark_places(key_ranges(1)[0], str(tmp_path / "marked"), placed=placed, passages=[passages])
    assert caught.value.got
    assert caught.value.fix


def test_run_without_spans_marks_nothing(tmp_path: Path) -> None:
    spans, passages = _run(tmp_path, [], [])
    placed = [sort_places(spans, str(tmp_path / "placed"))]
    path = mark_places(key_ranges(1)[0], str(tmp_path / "marked"), placed=placed, passages=[passages])
    assert len(read_mapped(path)) == 0
