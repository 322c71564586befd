"""What a segment keeps of its texts' anchors."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kernels.buffers import flat_values
from pipeline.kernels.minimizers import Anchors
from pipeline.stages.anchors import ANCHORED, ANCHORS, joined_anchors, pair_order, write_anchors
from tests.stages.steps import rows_of, table_at

Pair = tuple[int, int]  # gram and context
LAST = 2**64 - 1


class Text(NamedTuple):
    """A document of a segment: its hash and its anchors."""

    low: int
    high: int
    anchors: tuple[Pair, ...]


# A gram leaves room for 24 bits of a context; some of these begin alike.
GRAMS = st.sampled_from([0, 1 << 24, 2 << 24, 0x9A3F_77C1_5E00_0000, LAST >> 24 << 24])
CONTEXTS = st.sampled_from([0, 2, 4, 1 << 40, 0xC5D1_0B66_3F98_A27E, 0xC5D1_0B66_3F98_A270, LAST - 1])
DISTINCT = st.lists(
    st.builds(
        Text,
        st.sampled_from([0, 1, LAST]),
        st.sampled_from([0, 1, LAST]),
        st.lists(st.tuples(GRAMS, CONTEXTS), max_size=5).map(tuple),
    ),
    max_size=5,
    unique_by=lambda text: text[:2],
)
DOCUMENTS = DISTINCT.flatmap(
    lambda texts: st.lists(st.sampled_from(texts), max_size=8) if texts else st.just([])
)


def _anchors(pairs: Sequence[Pair]) -> Anchors:
    gram, context = (np.array([pair[i] for pair in pairs], np.uint64) for i in (0, 1))
    return Anchors(gram, context, ((gram >> np.uint64(24)) % np.uint64(7) + np.uint64(1)).astype(np.uint16))


def _write(documents: Sequence[Text], folder: Path) -> int:
    n = len(documents)
    table = pa.table({
        "text_id": pa.array([text.low for text in documents], pa.uint64()),
        "text_high": pa.array([text.high for text in documents], pa.uint64()),
        "source": pa.array([10 + i for i in range(n)], pa.uint64()),
        "licence": pa.array([90 + i for i in range(n)], pa.uint64()),
        "piece": pa.array([i // 3 for i in range(n)], pa.int64()),
        "row": pa.array([i % 3 for i in range(n)], pa.int64()),
    })  # fmt: skip
    pairs = [pair for text in documents for pair in text.anchors]
    counts = np.array([len(text.anchors) for text in documents], np.int64)
    return write_anchors(table, _anchors(pairs), counts, folder)


def _check(documents: Sequence[Text], folder: Path) -> None:
    written = _write(documents, folder)
    copies = Counter(text[:2] for text in documents)
    first = {text[:2]: i for i, text in reversed(list(enumerate(documents)))}
    places: Counter[Pair] = Counter()
    for i in first.values():
        for pair in documents[i].anchors:
            places[pair] += copies[documents[i][:2]]

    rows = [(row["gram"], row["context"]) for row in rows_of(folder / "anchors.arrow")]
    assert written == len(rows)
    assert [gram for gram, _ in rows] == sorted(gram for gram, _ in rows)
    # Where two contexts begin alike, a pair that stands twice may have two rows instead of a mark.
    told: Counter[Pair] = Counter()
    for gram, context in rows:
        told[gram, context & ~1] += 1 + (context & 1)
    assert {pair: n > 1 for pair, n in told.items()} == {pair: n > 1 for pair, n in places.items()}

    held = table_at(folder / "anchored.arrow")
    kept = [i for i in sorted(first.values()) if documents[i].anchors]
    columns = [(i // 3, i % 3, documents[i].low, 10 + i, 90 + i) for i in kept]
    names = ("piece", "row", "text_id", "source", "licence")
    assert [tuple(row[name] for name in names) for row in held.to_pylist()] == columns
    row, ends = flat_values(held.column("anchors"), np.uint32)
    windows, _ = flat_values(held.column("windows"), np.uint16)
    for place, i in enumerate(kept):
        mine = row[ends[place] : ends[place + 1]].tolist()
        assert [(rows[at][0], rows[at][1] & ~1) for at in mine] == list(documents[i].anchors)
        lengths = [(gram >> 24) % 7 + 1 for gram, _ in documents[i].anchors]
        assert windows[ends[place] : ends[place + 1]].tolist() == lengths


def pair(gram: int, context: int) -> Pair:
    """A gram and a context that begins unlike others."""
    return gram << 24, context << 40


ONE = Text(1, 1, (pair(5, 2), pair(7, 4)))


@given(DOCUMENTS)
@example([])
@example([Text(1, 1, ()), Text(1, 1, ())])
@example([ONE, Text(1, 2, (pair(5, 2),)), Text(2, 1, (pair(5, 4),))])
@example([ONE, Text(1, 2, (pair(9, 8),)), ONE])
def test_files_are_what_their_definition_says(documents: list[Text]) -> None:
    with TemporaryDirectory() as folder:
        _check(documents, Path(folder))


def _told(folder: Path) -> list[tuple[int, int, int]]:
    rows = [(row["gram"], row["context"]) for row in rows_of(folder / "anchors.arrow")]
    return [(gram >> 24, context >> 40, context & 1) for gram, context in rows]


def test_text_that_stands_again_counts_twice_and_is_held_once(tmp_path: Path) -> None:
    assert _write([ONE, ONE, Text(3, 3, (pair(9, 2),))], tmp_path) == 3
    assert _told(tmp_path) == [(5, 2, 1), (7, 4, 1), (9, 2, 0)]
    assert [row["row"] for row in rows_of(tmp_path / "anchored.arrow")] == [0, 2]


def test_texts_with_half_a_hash_in_common_are_two_texts(tmp_path: Path) -> None:
    # What stands once in each of two texts stands twice, what stands in one of them once.
    others = [Text(1, 2, (pair(5, 2), pair(8, 6))), Text(2, 1, (pair(9, 2),))]
    documents = [ONE, *others]
    assert _write(documents, tmp_path) == 4
    assert _told(tmp_path) == [(5, 2, 1), (7, 4, 0), (8, 6, 0), (9, 2, 0)]
    assert len(rows_of(tmp_path / "anchored.arrow")) == 3


def test_files_have_the_declared_columns(tmp_path: Path) -> None:
    for folder, documents in (("some", [ONE]), ("none", [])):
        _write(documents, tmp_path / folder)
        assert table_at(tmp_path / folder / "anchors.arrow").schema.equals(ANCHORS)
        assert table_at(tmp_path / folder / "anchored.arrow").schema.equals(ANCHORED)


def test_anchors_stand_one_behind_the_other() -> None:
    joined = joined_anchors([_anchors([pair(1, 2)]), _anchors([]), _anchors([pair(3, 4), pair(5, 6)])])
    assert [column.tolist() for column in joined] == [
        [1 << 24, 3 << 24, 5 << 24],
        [2 << 40, 4 << 40, 6 << 40],
        [2, 4, 6],
    ]
    assert [column.dtype for column in joined] == [np.uint64, np.uint64, np.uint16]


@given(st.lists(st.tuples(st.integers(0, 3) | st.integers(0, LAST), st.integers(0, 3)), max_size=40))
def test_equal_pairs_stand_together(pairs: list[Pair]) -> None:
    gram, context = (np.array([pair[i] for pair in pairs], np.uint64) for i in (0, 1))
    order = pair_order(gram, context)
    assert sorted(order.tolist()) == list(range(len(pairs)))
    places = defaultdict(list)
    for place, i in enumerate(order.tolist()):
        places[pairs[i]].append(place)
    assert all(found[-1] - found[0] == len(found) - 1 for found in places.values())
