"""From pieces and rows to doc_ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.mapped import read_mapped
from pipeline.readers.rows import Piece
from pipeline.stages.inputs import InputFile, Shard, ShardPiece
from pipeline.stages.places import Places, write_places
from tests.stages.steps import doc, scanned


def _shard(number: int, *file_ids: int) -> Shard:
    return Shard(
        number,
        tuple(
            ShardPiece(i, InputFile(f"/{i}", "jsonl", 1, ""), Piece(f"/{i}", "jsonl", 0, 1, 1), None)
            for i in file_ids
        ),
    )


def test_rows_are_numbered_through_the_pieces_of_a_file(tmp_path: Path) -> None:
    cut = [_shard(0, 0, 0), _shard(1, 0), _shard(2, 0, 2, 2), _shard(3, 5)]
    places = Places(write_places(cut, [(10, 20), (5,), (0, 7, 3), (1,)], str(tmp_path / "p")))
    firsts = [places.first_docs(shard).tolist() for shard in range(4)]
    assert firsts == [[0, 10], [30], [35, doc(2, 0), doc(2, 7)], [doc(5, 0)]]
    assert [places.rows(shard).tolist() for shard in range(4)] == [[10, 20], [5], [0, 7, 3], [1]]


def test_doc_ids_are_those_of_pieces_and_rows(tmp_path: Path) -> None:
    places = Places(write_places([_shard(0, 0, 0), _shard(1, 0, 4)], [(10, 20), (5, 9)], str(tmp_path / "p")))
    found = places.doc_ids(1, np.array([0, 1, 1]), np.array([4, 0, 8]))
    assert found.dtype == np.uint64
    assert found.tolist() == [34, doc(4, 0), doc(4, 8)]
    assert places.doc_ids(0, np.zeros(0, np.int64), np.zeros(0, np.int64)).tolist() == []


def test_high_file_ids_keep_all_their_bits(tmp_path: Path) -> None:
    last = (1 << 32) - 1
    places = Places(write_places([_shard(0, last)], [(3,)], str(tmp_path / "p")))
    assert places.doc_ids(0, np.zeros(1, np.int64), np.array([2])).tolist() == [doc(last, 2)]


def test_no_shard_is_no_place(tmp_path: Path) -> None:
    path = write_places([], [], str(tmp_path / "p"))
    assert read_mapped(path).num_rows == 0
    Places(path)


def test_doc_ids_do_not_depend_on_how_files_are_cut(tmp_path: Path) -> None:
    texts = {
        "a": [f"text number {i} of a" for i in range(9)],
        "b": [],
        "c": [f"and {i} of c" for i in range(5)],
    }
    found = []
    for shard_bytes in (1, 60, 100, 1 << 20):
        corpus = scanned(tmp_path / str(shard_bytes), texts, shard_bytes=shard_bytes)
        places = Places(corpus.places)
        found.append([
            number + row
            for shard in range(len(corpus.shards))
            for number, n in zip(places.first_docs(shard).tolist(), places.rows(shard).tolist(), strict=True)
            for row in range(n)
        ])  # fmt: skip
    assert found == [sorted(corpus.texts)] * 4
