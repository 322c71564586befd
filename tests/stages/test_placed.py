"""Places of a segment's passages: what was cut now, joined with what held before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.artifacts import table_of
from pipeline.kernels import unitigs as kernel
from pipeline.kernels.tally import empty_tally, tally
from pipeline.mapped import write_mapped
from pipeline.stages import standing
from pipeline.stages.placed import Part, Placed, Spans, joined, part_of, told_of
from pipeline.stages.standing import BEGINNINGS, Standing
from pipeline.stages.stretches import STRETCHES

TEXTS = 6
# A place: its text, its first token, its passage. A place has one passage.
PLACES = st.lists(
    st.tuples(st.integers(0, TEXTS - 1), st.integers(0, 3), st.sampled_from([1, 2, 7, 2**63, 2**64 - 1])),
    max_size=14,
    unique_by=lambda place: place[:2],
).map(sorted)
Places = list[tuple[int, int, int]]


def _spans(places: Places) -> Spans:
    number, token = (np.array([place[i] for place in places], np.uint32) for i in (0, 1))
    return Spans(number, token, token + 10, token + 20, token + 30)


def _part(places: Places) -> Part:
    passage = np.array([place[2] for place in places], np.uint64)
    return Part(_spans(places), passage, passage == np.uint64(7), BEGINNINGS.empty_table())


def _standing(places: Places, folder: Path) -> Standing:
    """What a night with these places keeps."""
    ids = sorted({place[2] for place in places})
    row = np.array([ids.index(place[2]) for place in places], np.uint32)
    first = [min(place for place in places if place[2] == passage) for passage in ids]
    no = np.zeros(len(ids), np.int64)
    passages = table_of(
        standing.PASSAGES,
        np.array(ids, np.uint64),
        np.array(ids, np.uint64) == np.uint64(7),
        *(no, no, no, no.astype(np.uint64)),
        np.array([place[0] for place in first], np.int64),
        *(no, no, no),
    )
    cut = np.array(sorted({place[0] for place in places}), np.int64)
    signed = standing.signed_table(cut, np.zeros(len(cut), np.uint64))
    return Standing(
        write_mapped(signed, folder / "signed.arrow"),
        write_mapped(table_of(standing.PLACES, *_spans(places), row), folder / "places.arrow"),
        write_mapped(passages, folder / "passages.arrow"),
        (),
    )


def _rows(placed: Placed) -> list[tuple[Any, ...]]:
    ids = placed.passage_id[placed.passage].tolist()
    columns = (column.tolist() for column in placed.spans)
    return [(*row, passage) for *row, passage in zip(*columns, ids, strict=True)]


@given(PLACES, PLACES, st.lists(st.integers(0, 3), min_size=TEXTS, max_size=TEXTS))
@example([], [], [0] * TEXTS)
@example([(0, 0, 1), (1, 0, 2)], [(0, 0, 1)], [1] + [0] * 5)
@example([(0, 0, 1), (1, 0, 1)], [], [2] + [0] * 5)
def test_places_are_those_of_before_in_texts_where_they_hold_and_those_cut_now(
    before: Places, now: Places, fates: list[int]
) -> None:
    # Of a text the places of before hold (0), it is cut in the one part or the other (1, 3), or gone (2).
    parts = [_part([place for place in now if fates[place[0]] == part]) for part in (3, 1)]
    parts = [part for part in parts if len(part.passage)]
    wanted = sorted(
        [place for place in before if fates[place[0]] == 0] + [p for p in now if fates[p[0]] in (1, 3)]
    )
    with TemporaryDirectory() as name:
        kept = _standing(before, Path(name))
        placed = joined(parts, kept, np.array([fate == 0 for fate in fates]))
        assert _rows(placed) == [(n, t, t + 10, t + 20, t + 30, p) for n, t, p in wanted]
    assert placed.passage_id.tolist() == sorted({place[2] for place in wanted})
    assert placed.predictable.tolist() == [passage == 7 for passage in placed.passage_id.tolist()]
    held = {place[2] for place in before if fates[place[0]] == 0}
    told = [
        min(place for place in before if place[2] == passage)[0] if passage in held else -1
        for passage in placed.passage_id.tolist()
    ]
    assert placed.told.tolist() == told
    assert placed.same == (not parts and all(fates[place[0]] == 0 for place in before))


@given(PLACES, PLACES, st.lists(st.integers(0, 2), min_size=TEXTS, max_size=TEXTS))
@example([(1, 0, 7)], [(2, 0, 7)], [2] * 6)
@example([(1, 0, 7)], [(2, 0, 7)], [0, 0, 1, 0, 0, 0])
@example([(3, 0, 7)], [(2, 0, 7)], [0, 0, 1, 0, 0, 0])
@example([(2, 0, 7)], [(2, 0, 7)], [1] * 6)
def test_beginnings_are_taken_where_they_may_be_asked_for_and_not_known(
    before: Places, now: Places, fates: list[int]
) -> None:
    # Of a text the places of before hold (0), it is cut anew (1), or gone (2).
    now = [place for place in now if fates[place[0]] == 1]
    every = [place for place in before if fates[place[0]] == 0] + now
    ids = sorted({place[2] for place in now})
    number, shown, known = (
        {passage: min(place[0] for place in places if place[2] == passage) for passage in of}
        for places, of in ((now, ids), (every, ids), (before, {place[2] for place in before}))
    )
    with TemporaryDirectory() as name:
        told = told_of(_standing(before, Path(name)), np.array([fate == 0 for fate in fates]))
        wanted = told.wanted(np.array(ids, np.uint64), np.array([number[p] for p in ids], np.int64))
        for passage, taken in zip(ids, wanted.tolist(), strict=True):
            if shown[passage] == number[passage] and known.get(passage) != number[passage]:
                assert taken
            elif passage in known and (known[passage] == number[passage] or shown[passage] == known[passage]):
                assert not taken
    assert (
        told_of(None, np.ones(TEXTS, np.bool_))
        .wanted(np.array(ids, np.uint64), np.zeros(len(ids), np.int64))
        .all()
    )


def test_places_of_a_text_over_4_gb_are_as_they_are(tmp_path: Path) -> None:
    far = 2**32 + 5
    where = kernel.spans(1)
    for column, value in zip(where, (0, 3, 30, far, far + 200, 7, False), strict=True):
        column[:] = value
    table = table_of(STRETCHES, *(np.zeros(1, np.int64),) * 6, np.zeros(1, np.bool_), pa.array([b"x" * 300]))
    table = table.set_column(5, "begin", pa.array([far]))
    part = part_of(table, where, np.array([4]), told_of(None, np.zeros(TEXTS, np.bool_)))
    kept = _standing([(0, 1, 7), (5, 1, 7)], tmp_path)
    placed = joined([part], kept, np.array([True] * 4 + [False, True]))
    path = write_mapped(standing.places_table(*placed.spans, placed.passage), tmp_path / "wide.arrow")
    assert _rows(placed) == [(0, 1, 11, 21, 31, 7), (4, 3, 30, far, far + 200, 7), (5, 1, 11, 21, 31, 7)]
    found = standing.places_within(replace(kept, places=path), 1, 5)
    assert found.to_pylist() == [dict(zip(standing.PLACES.names, (4, 3, 30, far, far + 200, 0), strict=True))]


def test_first_night_has_what_was_cut() -> None:
    places = [(0, 0, 2), (0, 2, 1), (3, 1, 2)]
    placed = joined([_part(places)], None, np.zeros(TEXTS, np.bool_))
    assert _rows(placed) == [(n, t, t + 10, t + 20, t + 30, p) for n, t, p in places]
    counted = empty_tally(2)
    tally(placed.passage, placed.spans.number, np.array([5, 1, 1, 2]), counted)
    assert (counted.occurrences.tolist(), counted.first.tolist()) == ([5, 7], [1, 0])
