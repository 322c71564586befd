"""Tests of the parts of the peer scripts that need no peer."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from parquet_documents import (
    count_documents,
    groups_of_roots,
    link_numbered,
    read_batches,
    write_groups,
    write_kept,
)
from word_shingles import word_shingles


def test_shingles_are_of_five_words_or_the_whole_short_text() -> None:
    assert word_shingles("A b, c d_1 e F") == ["a b c d_1 e", "b c d_1 e f"]
    assert word_shingles("One two!") == ["one two"]
    assert word_shingles("...") == []


def test_groups_are_numbered_by_their_smallest_position() -> None:
    assert groups_of_roots({4: 2, 2: 2, 1: 0, 0: 0, 5: 5}, documents=7) == [0, 0, 2, -1, 2, -1, -1]


def test_files_are_read_in_order_and_nulls_as_empty(tmp_path: Path) -> None:
    paths = [tmp_path / "b.parquet", tmp_path / "a.parquet"]
    for path, texts in zip(paths, [["x", None], ["y", "z", ""]], strict=True):
        pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), path)
    assert count_documents(paths) == 5
    assert [text for batch in read_batches(paths, 2) for text in batch] == ["x", "", "y", "z", ""]
    folder = tmp_path / "links"
    folder.mkdir()
    links = link_numbered(paths, folder)
    assert sorted(links) == links
    assert count_documents(links) == 5


def test_answers_have_one_row_a_document(tmp_path: Path) -> None:
    write_groups(tmp_path / "groups.parquet", [0, 0, -1])
    write_kept(tmp_path / "kept.parquet", [])
    groups = pq.read_table(tmp_path / "groups.parquet")
    assert groups.to_pydict() == {"position": [0, 1, 2], "group": [0, 0, -1]}
    kept = pq.read_table(tmp_path / "kept.parquet")
    assert [(field.name, str(field.type)) for field in kept.schema] == [
        ("position", "int64"),
        ("kept", "bool"),
    ]
