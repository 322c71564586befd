"""Documents of new files, and the groups they are in, from tables that are made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.artifacts import END_OF_KEYS, key_ranges, table_of, write_output
from pipeline.errors import ArtifactError
from pipeline.mapped import read_mapped, write_mapped
from pipeline.schemas import DOCUMENTS, SPANS, Table
from pipeline.stages.new_documents import (
    FEWEST_BITS,
    KEYS,
    MEMBERS,
    MOST_BITS,
    Sieve,
    Written,
    find_clustered,
    find_copies,
    group_documents,
    is_new,
    list_passages,
    list_texts,
    write_sieve,
)

Row = dict[str, Any]
HASHES = st.one_of(st.integers(0, END_OF_KEYS - 1), st.integers(0, 3), st.just(END_OF_KEYS - 1))


def table(spec: Table, rows: Sequence[Mapping[str, Any]], path: Path) -> str:
    """A table of the contract; what a row leaves out is null where that may be, else a plain value."""
    plain = {"string": "ok", "bool": False}
    whole = [
        {c.name: row.get(c.name, None if c.nullable else plain.get(c.type, 1)) for c in spec.columns}
        for row in rows
    ]
    return write_output(spec, pa.Table.from_pylist(whole, spec.arrow_schema()), path)


def doc(file: int, row: int, text: int, copies: int = 1, cluster: int | None = None, **more: Any) -> Row:
    """A row of the documents table."""
    known = {"doc_id": file << 32 | row, "text_id": text, "copies": copies, "cluster_id": cluster}
    return {**known, "n_tokens": 10, **more}


def sieve_of(keys: Sequence[int], folder: Path) -> str:
    """A sieve of keys, from two tables of them."""
    parts = []
    for i, some in enumerate((keys[::2], keys[1::2])):
        values = np.unique(np.array(some, np.uint64))
        parts.append(Written(write_mapped(table_of(KEYS, values), folder / f"k{i}"), len(values)))
    return write_sieve(parts, str(folder / "sieve"))


def rows_of(written: Written) -> list[Row]:
    """The rows of an intermediate table."""
    found = read_mapped(written.path).to_pylist()
    assert len(found) == written.rows
    return list(found)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1 << 31))), st.lists(st.integers(0, 9)))
@example([((1 << 32) - 1, 0)], [(1 << 32) - 1])
def test_a_document_is_new_if_its_file_is(docs: list[tuple[int, int]], files: list[int]) -> None:
    doc_id = np.array([file << 32 | row for file, row in docs], np.uint64)
    assert is_new(doc_id, files).tolist() == [file in files for file, _ in docs]


@given(st.lists(HASHES, max_size=40), st.lists(HASHES, max_size=40))
def test_a_sieve_holds_what_it_was_made_of(
    tmp_path_factory: pytest.TempPathFactory, keys: list[int], others: list[int]
) -> None:
    sieve = Sieve(sieve_of(keys, tmp_path_factory.mktemp("sieve")))
    assert sieve.holds(pl.Series(keys, dtype=pl.UInt64)).all()
    asked = sieve.holds(pl.Series([*others, None], dtype=pl.UInt64)).to_list()
    top = {key >> (64 - FEWEST_BITS) for key in keys}
    assert asked == [*(other >> (64 - FEWEST_BITS) in top for other in others), False]


def test_a_sieve_lets_few_others_pass(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    keys, others = (rng.integers(0, END_OF_KEYS, 50_000, np.uint64, endpoint=False) for _ in range(2))
    sieve = Sieve(sieve_of(keys.tolist(), tmp_path))
    assert sieve.holds(pl.Series(keys)).all()
    assert 0.02 < sieve.holds(pl.Series(others)).sum() / len(others) < 0.07


def test_a_sieve_has_a_greatest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_BITS == 28
    monkeypatch.setattr("pipeline.stages.new_documents.MOST_BITS", 14)
    keys = np.random.default_rng(2).integers(0, END_OF_KEYS, 5000, np.uint64, endpoint=False)
    path = sieve_of(keys.tolist(), tmp_path)
    assert len(read_mapped(path)) == 1 << 14 >> 3
    assert Sieve(path).holds(pl.Series(keys)).all()


def test_keys_are_those_of_new_documents_in_groups(tmp_path: Path) -> None:
    part = table(
        DOCUMENTS,
        [
            doc(0, 0, 5, 2, 5),
            doc(1, 0, 9),
            doc(1, 2, 8, 2, 2),
            doc(1, 3, 7, cluster=3),
            doc(1, 4, 6, 3, None, status="empty"),
            doc(2, 0, 4, 2, 4),
        ],
        tmp_path / "d",
    )
    found = list_texts(part, str(tmp_path / "k"), new_files=(1, 7))
    assert [row["key"] for row in rows_of(found.keys)] == [2, 3, 8]
    assert (found.documents, found.first_doc) == (4, 0)
    last = list_texts(part, str(tmp_path / "k"), new_files=(2,))
    assert ([row["key"] for row in rows_of(last.keys)], last.documents) == ([4], 1)


def test_passages_are_those_of_new_documents(tmp_path: Path) -> None:
    spans = [
        {"doc_id": file << 32, "passage_id": passage} for file, passage in ((0, 9), (1, 7), (1, 5), (2, 3))
    ]
    part = table(SPANS, spans, tmp_path / "s")
    found = list_passages(part, str(tmp_path / "k"), new_files=(1, 2))
    assert [row["key"] for row in rows_of(found)] == [3, 5, 7]


@pytest.mark.parametrize("files", [(0,), (4,), (0, 2, 4), (1 << 31,)])
def test_a_part_without_new_files_is_not_read(tmp_path: Path, files: tuple[int, ...]) -> None:
    path = tmp_path / "d"
    table(DOCUMENTS, [doc(1, 3, 5, 2), doc(3, 0, 5, 2)], path)
    data = bytearray(path.read_bytes())
    data[4:200] = bytes(196)  # its pages are gone; what tells of them stands at its end
    path.write_bytes(data)
    if set(files) & {2}:
        with pytest.raises(ArtifactError, match="damaged"):
            list_texts(str(path), str(tmp_path / "k"), new_files=files)
    else:
        found = list_texts(str(path), str(tmp_path / "k"), new_files=files)
        assert (found.documents, found.keys.rows, found.first_doc) == (0, 0, 1 << 32 | 3)


def test_an_empty_part_has_nothing_new(tmp_path: Path) -> None:
    found = list_texts(table(DOCUMENTS, [], tmp_path / "d"), str(tmp_path / "k"), new_files=(0,))
    assert (found.documents, found.keys.rows, found.first_doc) == (0, 0, 0)


def test_of_earlier_documents_only_the_first_of_a_group_goes_on(tmp_path: Path) -> None:
    part = table(
        DOCUMENTS,
        [
            doc(0, 1, 5, 4, 3),
            doc(0, 2, 5, 4, 3),
            doc(0, 3, 5 << 60, 4, 5 << 60),
            doc(1, 0, 5, 4, 3),
            doc(1, 1, 5, 4, 3),
            doc(1, 2, 2, 1, 3),
            doc(1, 3, 5, 1, status="empty"),
        ],
        tmp_path / "d",
    )
    sieve = sieve_of([5, 3], tmp_path)
    found = group_documents(part, str(tmp_path / "g"), new_files=(1,), sieve=sieve)
    first, new = {"is_new": False, "documents": 2}, {"is_new": True, "documents": 1}
    text, cluster = {"key": 5, "n_tokens": 10}, {"key": 3, "n_tokens": 0}
    later = 1 << 32
    assert rows_of(found.texts) == [
        {**text, "doc_id": 1, **first},
        {**text, "doc_id": later, **new},
        {**text, "doc_id": later + 1, **new},
    ]
    assert rows_of(found.clusters) == [
        {**cluster, "doc_id": 1, **first},
        *({**cluster, "doc_id": later + i, **new} for i in range(3)),
    ]
    alone = {"n_tokens": 10, "first_earlier": None, "earlier": 0}
    assert rows_of(found.alone) == [{"first_doc": later + 2, "doc_id": later + 2, **alone}]


MEMBER = st.tuples(st.integers(0, 3), st.integers(0, 1), st.booleans(), st.integers(1, 4))


@given(st.lists(MEMBER, max_size=20), st.integers(1, 3))
def test_groups_tell_their_first_documents(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, bool, int]], parts: int
) -> None:
    folder = tmp_path_factory.mktemp("groups")
    rows = [
        {"key": key << 62, "n_tokens": tokens, "doc_id": i, "is_new": new, "documents": 1 if new else many}
        for i, (key, tokens, new, many) in enumerate(drawn)
    ]
    members = []
    for i in range(parts):
        some = pl.DataFrame(rows[i::parts], schema=pl.from_arrow(MEMBERS.empty_table()).schema)  # type: ignore[union-attr]
        members.append(write_mapped(some.sort("key").to_arrow().cast(MEMBERS), folder / f"m{i}"))
    expected = []
    for row in rows:
        group = [one for one in rows if all(one[name] == row[name] for name in ("key", "n_tokens"))]
        earlier = [one for one in group if not one["is_new"]]
        first = {"first_earlier": min((one["doc_id"] for one in earlier), default=None)}
        counts = {"n_tokens": row["n_tokens"], "earlier": sum(one["documents"] for one in earlier)}
        if row["is_new"]:
            expected.append(
                {"first_doc": min(one["doc_id"] for one in group), "doc_id": row["doc_id"], **counts, **first}
            )
    found: list[Row] = []
    clustered: list[Row] = []
    for i, keys in enumerate(key_ranges(3)):
        copies = rows_of(find_copies(keys, str(folder / f"c{i}"), members=members))
        assert copies == sorted(copies, key=lambda row: (row["first_doc"], row["doc_id"]))
        found += copies
        clustered += rows_of(find_clustered(keys, str(folder / f"t{i}"), members=members))
    assert sorted(found, key=lambda row: row["doc_id"]) == expected
    assert sorted(clustered, key=lambda row: row["doc_id"]) == [
        {name: row[name] for name in ("doc_id", "first_earlier")}
        for row in expected
        if row["first_earlier"] is not None
    ]
