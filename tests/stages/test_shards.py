"""How pieces become shards: within their size, all of them once, and alike when other files change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.readers.rows import Piece
from pipeline.stages.inputs import InputFile, Shard, ShardPiece
from pipeline.stages.shards import SMALL_FILES, piece_name, shards, unit_keys


def _file(content: str, sizes: list[int], at: int = 0) -> list[ShardPiece]:
    file = InputFile(f"/{content}.jsonl", "jsonl", sum(sizes), "")
    pieces = [Piece(file.uri, "jsonl", i, i + 1, size) for i, size in enumerate(sizes)]
    return [ShardPiece(at, file, piece, None, content) for piece in pieces]


def _files(sizes: list[list[int]]) -> list[ShardPiece]:
    return [item for i, of_file in enumerate(sizes) for item in _file(f"file {i}", of_file, i)]


def _sizes(cut: list[Shard]) -> list[list[int]]:
    return [[item.piece.size_bytes for item in shard.pieces] for shard in cut]


def _names(cut: list[Shard]) -> list[list[str]]:
    return [[piece_name(item) for item in shard.pieces] for shard in cut]


def test_pieces_of_a_large_file_fill_shards_of_its_own() -> None:
    assert _sizes(list(shards(_files([[1], [4, 4, 4, 20, 1, 0, 9, 1], [1]]), 10))) == [
        [1],
        [4, 4],
        [4],
        [20],
        [1, 0, 9],
        [1],
        [1],
    ]


def test_shard_of_one_byte_holds_one_piece() -> None:
    assert _sizes(list(shards(_files([[4], [1], [9]]), 1))) == [[4], [1], [9]]


def test_nothing_makes_no_shard() -> None:
    assert list(shards([], 10)) == []


FILES = st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=4), max_size=30)


@given(FILES, st.integers(1, 100))
def test_shards_hold_every_piece_once_in_order(sizes: list[list[int]], shard_bytes: int) -> None:
    pieces = _files(sizes)
    cut = list(shards(pieces, shard_bytes))
    assert [shard.number for shard in cut] == list(range(len(cut)))
    assert [item for shard in cut for item in shard.pieces] == pieces
    for held in _sizes(cut):
        assert held
        assert len(held) == 1 or sum(held) <= shard_bytes


@given(FILES, FILES, st.integers(1, 100))
def test_shards_of_an_earlier_run_stay_as_they_are(
    before: list[list[int]], added: list[list[int]], shard_bytes: int
) -> None:
    earlier = list(shards(_files(before), shard_bytes))
    more = [
        replace(item, content=f"new {item.content}", file_id=item.file_id + len(before))
        for item in _files(added)
    ]
    now = list(shards([*_files(before), *more], shard_bytes, _names(earlier)))
    assert _names(now)[: len(earlier)] == _names(earlier)
    assert [item for shard in now for item in shard.pieces] == [*_files(before), *more]


def test_small_files_are_gathered_into_few_shards_of_less_than_the_size() -> None:
    cut = _sizes(list(shards(_files([[1]] * 10_000), 100)))
    assert 150 < len(cut) < 400
    assert max(sum(held) for held in cut) <= 100


def test_file_put_among_small_ones_changes_few_shards() -> None:
    files = [_file(f"file {i}", [1], i) for i in range(2000)]
    before = _names(list(shards([item for of_file in files for item in of_file], 100)))
    files.insert(1000, _file("new", [1], 5000))
    after = _names(list(shards([item for of_file in files for item in of_file], 100)))
    kept = {tuple(names) for names in before} & {tuple(names) for names in after}
    assert len(kept) >= len(before) - 3


@pytest.mark.parametrize(("size", "shared"), [(100 // SMALL_FILES, True), (100 // SMALL_FILES + 1, False)])
def test_file_of_an_eighth_shares_no_shard(size: int, shared: bool) -> None:
    cut = list(shards([*_file("a", [1]), *_file("b", [size], 1), *_file("c", [1], 2)], 100))
    assert any(len({item.file_id for item in shard.pieces}) > 1 for shard in cut) == shared


def test_shard_of_an_earlier_run_counts_only_if_it_is_there_whole() -> None:
    pieces = _files([[1], [1], [1]])
    names = [piece_name(item) for item in pieces]
    assert _sizes(list(shards(pieces, 1000, [names[1:]]))) == [[1], [1, 1]]
    assert _sizes(list(shards(pieces[:2], 1000, [names[1:]]))) == [[1, 1]]


@pytest.mark.parametrize(
    "change",
    [
        {"content": "other"},
        {"source": "web"},
        {"file": InputFile("/file 0.jsonl", "csv", 1, "")},
        {"file": InputFile("/file 0.jsonl.gz", "jsonl", 1, "")},
        {"piece": Piece("/file 0.jsonl", "jsonl", 0, 2, 1)},
        {"piece": Piece("/file 0.jsonl", "jsonl", 1, 1, 1)},
    ],
)
def test_whatever_decides_what_a_scan_gives_is_in_the_name(change: dict[str, object]) -> None:
    (item,) = _file("file 0", [1])
    assert piece_name(replace(item, **change)) != piece_name(item)  # type: ignore[arg-type]


def test_where_a_file_lies_is_not_in_its_name() -> None:
    (item,) = _file("file 0", [1])
    moved = replace(item, file_id=7, file=InputFile("/elsewhere/b.jsonl", "jsonl", 1, "later"))
    assert piece_name(moved) == piece_name(item)


def test_equal_shards_have_two_keys() -> None:
    one, two, other = unit_keys([["a"], ["a"], ["a", "b"]])
    assert two == f"{one}-2"
    assert other not in (one, two)
