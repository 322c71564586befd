"""The nearest earlier documents, and the table of new repeats, from tables that are made up."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.artifacts import END_OF_KEYS, frame
from pipeline.schemas import INPUTS, NEW_REPEATS, PAIRS
from pipeline.stages.new_documents import CLUSTERED, NEW, written
from pipeline.stages.new_passages import SHARED
from pipeline.stages.new_repeats import (
    NEAREST,
    REPEATING,
    describe_new,
    find_nearest,
    list_pairs,
    write_new_repeats,
)
from tests.stages.test_new_documents import Row, rows_of, table

EVERY = (0, END_OF_KEYS)
NEW_FILE = 1 << 32


def _written(rows: list[Row], schema: pa.Schema, path: Path) -> str:
    whole = pl.DataFrame(rows, schema=frame(schema.empty_table()).schema)
    return written(whole, schema, str(path)).path


def _new(first: int, doc_id: int, earlier: int | None = None, copies: int = 0) -> Row:
    return {"first_doc": first, "doc_id": doc_id, "n_tokens": 50, "first_earlier": earlier, "earlier": copies}


def test_pairs_are_seen_from_each_end_in_a_new_file(tmp_path: Path) -> None:
    pairs = [
        {"doc_a": 0, "doc_b": 1, "jaccard": 0.9},
        {"doc_a": 0, "doc_b": NEW_FILE, "jaccard": 0.7},
        {"doc_a": 0, "doc_b": NEW_FILE + 1, "jaccard": 0.69},
        {"doc_a": NEW_FILE, "doc_b": NEW_FILE + 1, "jaccard": 0.8},
        {"doc_a": NEW_FILE, "doc_b": 2 << 32, "jaccard": 0.75},
    ]
    part = table(PAIRS, pairs, tmp_path / "p")
    found = rows_of(list_pairs(part, str(tmp_path / "o"), new_files=(1,), threshold=0.7))
    assert [tuple(row.values()) for row in found] == [
        (0, NEW_FILE, 0.7),
        (NEW_FILE, NEW_FILE + 1, 0.8),
        (NEW_FILE + 1, NEW_FILE, 0.8),
        (2 << 32, NEW_FILE, 0.75),
    ]


def test_the_most_similar_and_then_the_first_is_the_nearest(tmp_path: Path) -> None:
    doc, moved = NEW_FILE + 5, NEW_FILE + 1
    pairs = [
        {"doc_a": 3, "doc_b": doc, "jaccard": 0.8},
        {"doc_a": 9, "doc_b": doc, "jaccard": 0.9},
        # An earlier document, 4, has the text of this new one.
        {"doc_a": moved, "doc_b": doc, "jaccard": 0.9},
        {"doc_a": NEW_FILE + 2, "doc_b": doc, "jaccard": 0.95},
    ]
    paired = list_pairs(
        table(PAIRS, pairs, tmp_path / "p"), str(tmp_path / "l"), new_files=(1,), threshold=0.7
    )
    texts = [_new(moved, moved, 4, 1), _new(moved, moved + 2, 4, 1), _new(NEW_FILE + 2, NEW_FILE + 2)]
    new = _written(texts, NEW, tmp_path / "n")
    found = find_nearest(EVERY, str(tmp_path / "o"), paired=[paired.path], new=[new], new_files=(1,))
    assert {"doc_id": doc, "earlier": 4, "jaccard": 0.9} in rows_of(found)
    # In ranges of the other ends each finds its own.
    edges = [0, 9, NEW_FILE, END_OF_KEYS]
    several = [
        find_nearest((low, high), str(tmp_path / f"o{low}"), paired=[paired.path], new=[new], new_files=(1,))
        for low, high in pairwise(edges)
    ]
    assert [row for part in several for row in rows_of(part) if row["doc_id"] == doc] == [
        {"doc_id": doc, "earlier": 3, "jaccard": 0.8},
        {"doc_id": doc, "earlier": 9, "jaccard": 0.9},
        {"doc_id": doc, "earlier": 4, "jaccard": 0.9},
    ]
    nearest = [part.path for part in several]
    kwargs = {"texts": [_written([_new(doc, doc)], NEW, tmp_path / "d")], "clusters": [], "shared": None}
    (row,) = rows_of(describe_new(EVERY, str(tmp_path / "r"), nearest=nearest, **kwargs))  # type: ignore[arg-type]
    assert (row["kind"], row["earlier_doc_id"], row["jaccard"]) == ("near", 4, 0.9)


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ("exact near cluster passage", ("exact", 1, 1.0, 2, 50, None, None)),
        ("near cluster passage", ("near", 2, 0.75, 0, 30, 30, 9)),
        ("near cluster", ("near", 2, 0.75, 0, 0, None, None)),
        ("cluster passage", ("cluster", 3, None, 0, 30, 30, 9)),
        ("passage", ("passage", 4, None, 0, 30, 30, 9)),
    ],
)
def test_the_closest_kind_is_told(tmp_path: Path, known: str, expected: tuple[object, ...]) -> None:
    doc, copy = NEW_FILE, NEW_FILE + 7
    has = {kind: kind in known.split() for kind in ("exact", "near", "cluster", "passage")}
    earlier = (1, 2) if has["exact"] else (None, 0)
    texts = [_new(doc, doc, *earlier), _new(doc, copy, *earlier), _new(doc + 1, doc + 1)]
    near = [{"doc_id": doc, "earlier": 2, "jaccard": 0.75}] * has["near"]
    clusters = [{"doc_id": each, "first_earlier": 3} for each in (doc, copy)] * has["cluster"]
    shared: list[Row] = []
    if has["passage"] and not has["exact"]:
        shared = [{"doc_id": doc, "token_start": 5, "tokens": 30, "passage_id": 9, "earlier": 4}]
    found = rows_of(
        describe_new(
            EVERY,
            str(tmp_path / "o"),
            texts=[_written(texts, NEW, tmp_path / "t")],
            clusters=[_written(clusters, CLUSTERED, tmp_path / "c")],
            nearest=[_written(near, NEAREST, tmp_path / "n")],
            shared=[_written(shared, SHARED, tmp_path / "s")],
        )
    )
    # Both documents of the text, and not the one that repeats nothing.
    names = [name for name in REPEATING.names if name not in {"doc_id", "n_tokens"}]
    assert [row["doc_id"] for row in found] == [doc, copy]
    assert [tuple(row[name] for name in names) for row in found] == [expected, expected]


def test_the_table_is_in_order_whatever_the_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = table(INPUTS, [{"file_id": i, "uri": f"file{i}"} for i in range(5)], tmp_path / "i")
    rows = [
        {
            "doc_id": (i % 4 + 1) << 32 | i, "n_tokens": i, "kind": ("exact", "near")[i % 2],
            "earlier_doc_id": i, "earlier_copies": 0,
        }
        for i in range(50)
    ]  # fmt: skip
    parts = [_written(rows[i::3], REPEATING, tmp_path / f"r{i}") for i in range(3)]
    edges = [0, 2 << 32, 2 << 32 | 20, 4 << 32, END_OF_KEYS]
    ranges = list(pairwise(edges))
    monkeypatch.setattr("pipeline.stages.new_repeats.PART_ROWS", 9)
    path = tmp_path / "out.parquet"
    counts = write_new_repeats(ranges, str(path), repeating=parts, inputs=inputs)
    assert counts == {"exact": 25, "near": 25, "cluster": 0, "passage": 0}
    found = pq.read_table(path)
    assert found.schema.equals(NEW_REPEATS.arrow_schema(), check_metadata=True)
    expected = sorted(rows, key=lambda row: int(str(row["doc_id"])))
    assert [row["doc_id"] for row in found.to_pylist()] == [row["doc_id"] for row in expected]
    for row in found.to_pylist():
        assert (row["uri"], row["row"]) == (f"file{row['doc_id'] >> 32}", row["doc_id"] & 0xFFFFFFFF)
        assert (row["earlier_uri"], row["earlier_row"]) == ("file0", row["earlier_doc_id"])


def test_nothing_makes_an_empty_table(tmp_path: Path) -> None:
    inputs = table(INPUTS, [{"file_id": 0}], tmp_path / "i")
    for ranges in ([], [EVERY]):
        counts = write_new_repeats(ranges, str(tmp_path / "o"), repeating=[], inputs=inputs)
        assert set(counts.values()) == {0}
        assert pq.read_table(tmp_path / "o").schema.equals(NEW_REPEATS.arrow_schema(), check_metadata=True)
