"""Which windows repeat, how they continue, and what a cut writes."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.artifacts import END_OF_KEYS, KeyRange, key_ranges, read_work, table_of, uint64, write_work
from pipeline.kernels.unitigs import LEFT_ALIKE, RIGHT_ALIKE
from pipeline.label_hashes import name_hash
from pipeline.normalise import normalised
from pipeline.stages.cutting import NUMBERED_EXAMPLES, NUMBERED_PLACES, PASSAGE_LABELS
from pipeline.stages.hashed import ROWS, WINDOWS, Hashed
from pipeline.stages.survivors import NONE, SEVERAL, SINGLE
from pipeline.stages.unitigs import JUDGED, judge_windows
from pipeline.stages.windows import Chunk, Known
from tests import corpus as planted
from tests.stages.passage_steps import Passaged, passaged, passages_of
from tests.stages.steps import all_rows, rows_of
from tests.stages.test_passages import texts

LAST = 2**64 - 1
WHOLE = (0, END_OF_KEYS)
# Of a window: its hash, the halves that tell its neighbours, what is known of its row.
Row = tuple[int, int, int, int]
SIDES = st.sampled_from([0, 1, 2**31 - 1])
HASHES = st.sampled_from([0, 1, 2, 2**63, LAST])
CHUNK = st.lists(st.tuples(HASHES, SIDES, SIDES, st.sampled_from([NONE, SEVERAL, SINGLE])), max_size=8)


def _chunks(rows: Sequence[Sequence[Row]], folder: Path, files: int) -> list[Chunk]:
    found = []
    for i, held in enumerate(rows):
        places = np.arange(len(held), dtype=np.uint32)
        kinds = np.array([row[3] for row in held], np.uint8)
        listed = table_of(ROWS, places, np.ones(len(held), np.uint16), kinds)
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
            paths.append(write_work(table, folder / f"{i}-{part}", "window"))
        hashed = Hashed(write_work(listed, folder / f"{i}-rows"), tuple(paths))
        n = len(held)
        found.append(Chunk(0, "", Known(), "", (), hashed, n, n, 1, new_windows=n, read=1))
    return found


def _judged(
    rows: Sequence[Sequence[Row]], ranges: Sequence[KeyRange], files: int = 1
) -> dict[tuple[int, int], int]:
    """What is known of each repeated window, by chunk and slot."""
    with TemporaryDirectory() as folder:
        chunks = _chunks(rows, Path(folder), files)
        parts = [judge_windows(span, f"{folder}/j{i}", chunks=chunks) for i, span in enumerate(ranges)]
        assert sum(looked_at for _, looked_at, _ in parts) == sum(
            row[3] != NONE for held in rows for row in held
        )
        found: dict[tuple[int, int], int] = {}
        for path, _, repeated in parts:
            table = read_work(path)
            assert table.schema.equals(JUDGED)
            numbers = uint64(table, "window").tolist()
            assert numbers == sorted(set(numbers))
            assert len(numbers) == repeated
            found |= {(n >> 40, (n & (1 << 40) - 1) >> 2): n & 3 for n in numbers}
        assert len(found) == sum(repeated for _, _, repeated in parts)
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


# --- cuts -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Passaged:
    """A corpus with a repeat of every kind."""
    return passages_of(tmp_path_factory.mktemp("unitigs"), texts(), shard_bytes=900)


def test_cut_has_the_declared_files_sorted_by_passage(found: Passaged) -> None:
    assert len(found.cuts) > 3
    for cut in found.cuts:
        for path, schema in (
            (cut.places, NUMBERED_PLACES),
            (cut.examples, NUMBERED_EXAMPLES),
            (cut.labels, PASSAGE_LABELS),
        ):
            assert pq.read_schema(path).equals(schema)
            ids = [row["passage_id"] for row in rows_of(path)]
            assert ids == sorted(ids)
        assert cut.count == len(rows_of(cut.places))


def test_cut_shows_each_of_its_passages_once_with_the_text_of_its_first_place(found: Passaged) -> None:
    texts_of = found.survived.corpus.texts
    for cut in found.cuts:
        first: dict[int, str] = {}
        for row in rows_of(cut.places):
            held = (texts_of[row["doc_id"]] or "").encode()[row["byte_start"] : row["byte_end"]].decode()
            first.setdefault(row["passage_id"], held)
        examples = [(row["passage_id"], row["text"]) for row in rows_of(cut.examples)]
        assert examples == [(passage, text[:500]) for passage, text in sorted(first.items())]


def test_places_of_a_passage_stand_in_the_order_of_the_documents(found: Passaged) -> None:
    rows = [row for cut in found.cuts for row in rows_of(cut.places)]
    by_passage = defaultdict(list)
    for row in rows:
        by_passage[row["passage_id"]].append((row["doc_id"], row["token_start"]))
    assert all(places == sorted(places) for places in by_passage.values())


def test_labels_count_the_places_in_all_copies_of_the_texts(found: Passaged) -> None:
    # The text in `a` stands in `b` too, which is scanned elsewhere.
    corpus = found.survived.corpus
    wanted: Counter[tuple[int, int, int]] = Counter()
    for cut in found.cuts:
        for row in rows_of(cut.places):
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
