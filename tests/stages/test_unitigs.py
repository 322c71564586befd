"""Which windows repeat, how they continue, and what a cut writes."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.artifacts import END_OF_KEYS, KeyRange, key_ranges, table_of, uint64
from pipeline.kernels.unitigs import LEFT_ALIKE, REPEATED, RIGHT_ALIKE
from pipeline.label_hashes import name_hash
from pipeline.mapped import read_mapped, write_mapped
from pipeline.normalise import normalised
from pipeline.stages import standing
from pipeline.stages.cutting import PASSAGE_LABELS, Cut
from pipeline.stages.hashed import CHANGED, LIVE, MANY, ROWS, STATES, WINDOWS, Hashed, Held
from pipeline.stages.standing import Standing
from pipeline.stages.survivors import NONE, SEVERAL, SINGLE
from pipeline.stages.unitigs import JUDGED, judge_windows
from pipeline.stages.windows import Chunk, Known
from tests import corpus as planted
from tests.stages.passage_steps import Passaged, passaged, passages_of
from tests.stages.steps import all_rows, rows_of, table_at
from tests.stages.test_passages import texts

LAST = 2**64 - 1
WHOLE = (0, END_OF_KEYS)
# Of a window: its hash, the halves that tell its neighbours, what is known of its row.
Row = tuple[int, int, int, int]
SIDES = st.sampled_from([0, 1, 2**31 - 1])
HASHES = st.sampled_from([0, 1, 2, 2**63, LAST])
CHUNK = st.lists(st.tuples(HASHES, SIDES, SIDES, st.sampled_from([NONE, SEVERAL, SINGLE])), max_size=8)


def _chunks(
    rows: Sequence[Sequence[Row]], folder: Path, files: int, states: Sequence[Sequence[int]] = ()
) -> list[Chunk]:
    """Chunks with these windows, a slot each.

    states: what is known of each slot, see `hashed`; by default all are new.
    """
    found = []
    for i, held in enumerate(rows):
        places = np.arange(len(held), dtype=np.uint32)
        kinds = [row[3] for row in held]
        state = states[i] if states else [_state(kind, NONE, 0) for kind in kinds]
        listed = table_of(ROWS, places, np.ones(len(held), np.uint16), np.array(kinds, np.uint8))
        paths = []
        for part in range(files):
            here = places[part::files].tolist()
            window, beside = (
                np.array(column, np.uint64)
                for column in (
                    [held[n][0] for n in here],
                    [held[n][1] << 32 | held[n][2] << 1 for n in here],
                )
            )
            table = table_of(WINDOWS, window, beside, places[part::files])
            paths.append(write_mapped(table, folder / f"{i}-{part}.arrow"))
        hashed = Hashed(write_mapped(listed, folder / f"{i}-rows.arrow"), tuple(paths))
        known = write_mapped(table_of(STATES, np.array(state, np.uint8)), folder / f"{i}-states.arrow")
        n = len(held)
        before = Known("", "", hashed, Standing("", "", "", ())) if states else None
        found.append(Chunk(0, "", "", before, "", "", (), Held(hashed, n, known, ""), n, 1, n, 1))
    return found


def _state(kind: int, before: int, flags: int) -> int:
    """What is known of a slot whose row was of one kind and is of another."""
    live = 0 if kind == NONE else flags | LIVE | MANY * (kind == SEVERAL)
    return live | CHANGED * (kind != before)


def _judged(
    rows: Sequence[Sequence[Row]], ranges: Sequence[KeyRange], files: int = 1
) -> dict[tuple[int, int], int]:
    """What is known of each repeated window, by chunk and slot."""
    with TemporaryDirectory() as folder:
        chunks = _chunks(rows, Path(folder), files)
        parts = [judge_windows(span, f"{folder}/j{i}", chunks=chunks) for i, span in enumerate(ranges)]
        assert sum(judged for _, judged in parts) == sum(row[3] != NONE for held in rows for row in held)
        found = _told([path for path, _ in parts])
        assert all(flags & REPEATED for flags in found.values())
        return {place: flags & ~REPEATED for place, flags in found.items()}


def _told(paths: Sequence[str]) -> dict[tuple[int, int], int]:
    """What tables of `JUDGED` say, by chunk and slot."""
    found: dict[tuple[int, int], int] = {}
    for path in paths:
        table = read_mapped(path)
        assert table.schema.equals(JUDGED)
        numbers = uint64(table, "window").tolist()
        assert numbers == sorted(set(numbers))
        told = {(n >> 40, (n & (1 << 40) - 1) >> 3): n & 7 for n in numbers}
        assert len(told) == len(numbers)
        assert not found.keys() & told.keys()
        found |= told
    return found


def _defined(rows: Sequence[Sequence[Row]]) -> dict[tuple[int, int], int]:
    places = defaultdict(list)
    for chunk, held in enumerate(rows):
        for i, (window, left, right, kind) in enumerate(held):
            if kind != NONE:
                places[window].append((chunk, i, left, right, kind == SEVERAL))
    found: dict[tuple[int, int], int] = {}
    for here in places.values():
        if len(here) + any(many for *_, many in here) > 1:
            lefts, rights = {place[2] for place in here}, {place[3] for place in here}
            known = LEFT_ALIKE * (len(lefts) == 1) | RIGHT_ALIKE * (len(rights) == 1)
            found |= {(chunk, i): known for chunk, i, *_ in here}
    return found


@given(st.lists(CHUNK.map(sorted), max_size=4), st.integers(1, 7), st.integers(0, 3))
@example([], 1, 1)
@example([[], []], 2, 0)
@example([[(5, 1, 1, SINGLE)], [(5, 1, 2, SINGLE)], [(5, 2, 1, SINGLE)]], 1, 2)
@example([[(LAST, 0, 0, SEVERAL)], [(0, 0, 0, SEVERAL)]], 3, 1)
def test_judgements_are_what_their_definition_says(rows: list[list[Row]], parts: int, files: int) -> None:
    rows = rows if files else [[] for _ in rows]
    assert _judged(rows, key_ranges(parts), files) == _judged(rows, [WHOLE], files) == _defined(rows)


@pytest.mark.parametrize(
    ("rows", "known"),
    [
        ([[(5, 1, 1, SINGLE)]], {}),
        ([[(5, 1, 1, SEVERAL)]], {(0, 0): LEFT_ALIKE | RIGHT_ALIKE}),
        ([[(5, 1, 1, SINGLE), (5, 1, 1, SINGLE)]], {(0, 0): 3, (0, 1): 3}),
        ([[(5, 1, 1, SINGLE)], [(5, 1, 2, SINGLE)]], {(0, 0): LEFT_ALIKE, (1, 0): LEFT_ALIKE}),
        ([[(5, 1, 1, SINGLE)], [(5, 2, 1, SINGLE)]], {(0, 0): RIGHT_ALIKE, (1, 0): RIGHT_ALIKE}),
        ([[(5, 1, 1, SEVERAL)], [(5, 2, 2, SINGLE)]], {(0, 0): 0, (1, 0): 0}),
        ([[(5, 1, 1, SINGLE), (6, 1, 1, SINGLE)]], {}),
        ([[(5, 1, 1, SINGLE), (5, 1, 1, NONE)]], {}),
        ([[(5, 1, 1, NONE), (5, 2, 2, SEVERAL)]], {(0, 1): 3}),
    ],
)
def test_window_repeats_and_continues_as_all_of_its_places_say(
    rows: list[list[Row]], known: dict[tuple[int, int], int]
) -> None:
    assert _judged(rows, [WHOLE]) == known


KIND = st.sampled_from([NONE, SEVERAL, SINGLE])
# Of a chunk: in which of two nights it is there, as bits; its windows with their kinds in both.
CHANGING = st.tuples(st.integers(1, 3), st.lists(st.tuples(HASHES, SIDES, SIDES, KIND, KIND), max_size=6))


@given(st.lists(CHANGING.map(lambda c: (c[0], sorted(c[1]))), max_size=4), st.integers(1, 3))
@example([(3, [(5, 1, 1, SINGLE, SINGLE)]), (2, [(5, 1, 2, NONE, SINGLE)])], 1)
@example([(3, [(5, 1, 1, SINGLE, SINGLE)]), (1, [(5, 1, 1, SINGLE, NONE)])], 1)
@example([(3, [(5, 1, 1, SEVERAL, SINGLE), (6, 0, 0, SINGLE, NONE), (6, 0, 0, SINGLE, SINGLE)])], 2)
@example([(3, [(5, 1, 1, SINGLE, SINGLE)]), (3, [(5, 1, 0, NONE, SINGLE)])], 3)
def test_what_was_known_and_what_is_told_now_is_what_the_definition_says(
    chunks: list[tuple[int, list[tuple[int, int, int, int, int]]]], parts: int
) -> None:
    nights = [
        [[(*row[:3], row[3 + night]) for row in rows] for there, rows in chunks if there & 1 << night]
        for night in (0, 1)
    ]
    before, now = ({place: 4 | known for place, known in _defined(rows).items()} for rows in nights)
    number_before = {i: n for n, i in enumerate(i for i, (there, _) in enumerate(chunks) if there & 1)}
    states, flags = list[list[int]](), dict[tuple[int, int], int]()
    for i, (there, rows) in enumerate(chunks):
        if there & 2:
            known = [before.get((number_before.get(i, -1), slot), 0) for slot in range(len(rows))]
            kinds = [row[3] if there & 1 else NONE for row in rows]
            flags |= {(len(states), slot): value for slot, value in enumerate(known)}
            states.append([_state(row[4], kinds[s], known[s]) for s, row in enumerate(rows)])
    with TemporaryDirectory() as name:
        folder = Path(name)
        gone = [[row[:4] for row in rows] for there, rows in chunks if there == 1]
        lost = [path for chunk in _chunks(gone, folder / "gone", 1) for path in chunk.held.hashed.windows]
        here = _chunks(nights[1], folder / "here", 1, states) if states else []
        paths = [
            judge_windows(span, f"{folder}/j{i}", chunks=here, gone=lost)[0]
            for i, span in enumerate(key_ranges(parts))
        ]
        told = _told(paths)
    assert all(flags[place] != value for place, value in told.items())
    flags |= told
    # Nothing is known of a window that is not looked at, whatever was.
    live = {place for place in flags if nights[1][place[0]][place[1]][3] != NONE}
    assert {place: flags[place] for place in live if flags[place]} == now


# --- cuts -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Passaged:
    """A corpus with a repeat of every kind."""
    return passages_of(tmp_path_factory.mktemp("unitigs"), texts(), shard_bytes=900)


def _places(cut: Cut) -> list[dict[str, Any]]:
    """The places of a cut, with their passages and texts."""
    passages = rows_of(cut.standing.passages)
    texts = {row["number"]: row for row in rows_of(cut.texts)}
    return [
        row | {"passage_id": passages[row["passage"]]["passage_id"]} | texts[row["number"]]
        for row in rows_of(cut.standing.places)
    ]


def test_cut_has_the_declared_files_sorted_by_their_keys(found: Passaged) -> None:
    assert len(found.cuts) > 3
    for cut in found.cuts:
        kept = cut.standing
        for path, schema, key in (
            (kept.places, standing.PLACES, "number"),
            (kept.passages, standing.PASSAGES, "passage_id"),
            (*kept.beginnings, standing.BEGINNINGS, "passage_id"),
            (kept.signed, standing.SIGNED, "number"),
            (cut.labels, PASSAGE_LABELS, "passage_id"),
        ):
            assert table_at(path).schema.equals(schema)
            keys = [row[key] for row in rows_of(path)]
            assert keys == sorted(keys)
        places = [(row["number"], row["token_start"]) for row in rows_of(kept.places)]
        assert places == sorted(places)
        assert cut.count == len(places)


def test_cut_counts_its_passages_and_shows_each_once_as_in_its_first_place(found: Passaged) -> None:
    texts_of = found.survived.corpus.texts
    for cut in found.cuts:
        places = defaultdict(list)
        for row in _places(cut):
            places[row["passage_id"]].append(row)
        passages, beginnings = rows_of(cut.standing.passages), rows_of(cut.standing.beginnings[0])
        assert [row["passage_id"] for row in passages] == sorted(places)
        assert [row["passage_id"] for row in beginnings] == sorted(places)
        for row, begins in zip(passages, beginnings, strict=True):
            first, *_ = here = places[row["passage_id"]]
            copies = {place["number"]: place["copies"] for place in here}
            assert row["occurrences"] == sum(place["copies"] for place in here)
            assert (row["documents"], row["texts"]) == (sum(copies.values()), len(copies))
            for name in ("doc_id", "number", "tokens", "byte_start", "byte_end"):
                assert row[name] == first[name]
            text = (texts_of[first["doc_id"]] or "").encode()[first["byte_start"] : first["byte_end"]]
            assert (begins["number"], begins["text"]) == (first["number"], text.decode()[:500])


def test_labels_count_the_places_in_all_copies_of_the_texts(found: Passaged) -> None:
    # The text in `a` stands in `b` too, which is scanned elsewhere.
    corpus = found.survived.corpus
    wanted: Counter[tuple[int, int, int]] = Counter()
    for cut in found.cuts:
        for row in _places(cut):
            text = normalised(corpus.texts[row["doc_id"]] or "")
            same = [n >> 32 for n, other in corpus.texts.items() if normalised(other or "") == text]
            assert row["copies"] == len(same)
            for file in same:
                wanted[row["passage_id"], name_hash("abcde"[file]), row["tokens"]] += 1
    counted: Counter[tuple[int, int, int]] = Counter()
    for cut in found.cuts:
        rows = rows_of(cut.labels)
        assert len({(row["passage_id"], row["source"]) for row in rows}) == len(rows)
        for row in rows:
            assert row["licence"] == 0
            counted[row["passage_id"], row["source"], row["tokens"]] += row["places"]
    assert counted == wanted
    assert len(counted) > len({passage for passage, _, _ in counted})


def test_nothing_is_labelled_where_no_document_can_be(tmp_path: Path, found: Passaged) -> None:
    elsewhere = replace(found.survived.corpus, folder=tmp_path)
    other = passaged(replace(found.survived, corpus=elsewhere, labelled=False))
    assert [rows_of(cut.labels) for cut in other.cuts] == [[]] * len(found.cuts)
    rows = all_rows(other.outputs)
    assert rows == [row | {"sources": 0} for row in all_rows(found.outputs)]


def test_survivor_whose_windows_do_not_repeat_gives_no_cut(tmp_path: Path) -> None:
    # Seven words stand in all texts: grams of four repeat, windows of eight do not.
    rng = random.Random(5)
    shared = planted.fresh(rng, 7)
    many = [planted.joined([*planted.fresh(rng, 9), *shared, *planted.fresh(rng, 9)]) for _ in range(9)]
    found = passages_of(tmp_path, many)
    assert sum(chunk.n_windows for chunk in found.chunks) > 0
    assert (found.cuts, found.outputs, found.span_outputs) == ([], [], [])
