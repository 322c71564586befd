"""Tables in files that are mapped."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.artifacts import END_OF_KEYS, written_files
from pipeline.errors import ArtifactError
from pipeline.mapped import mapped_range, mapped_ranges, read_mapped, write_mapped

SCHEMA = pa.schema([("key", pa.uint64()), ("n", pa.int64()), ("text", pa.large_string())])
KEYS = st.lists(st.sampled_from([0, 1, 5, 2**63, 2**64 - 1]), max_size=8).map(sorted)
EDGES = st.sampled_from([0, 1, 4, 5, 6, 2**63, 2**64 - 1, END_OF_KEYS])


def _table(keys: list[int]) -> pa.Table:
    rows = [{"key": key, "n": i, "text": "é" * i} for i, key in enumerate(keys)]
    return pa.Table.from_pylist(rows, SCHEMA)


@given(KEYS, EDGES, EDGES)
@example([], 0, END_OF_KEYS)
@example([2**64 - 1], 2**64 - 1, END_OF_KEYS)
def test_range_is_the_rows_with_keys_in_it_and_the_number_of_the_first(
    keys: list[int], one: int, other: int
) -> None:
    low, high = sorted((one, other))
    table = _table(keys)
    with TemporaryDirectory() as name:
        path = write_mapped(table, Path(name) / "deep" / "t.arrow")
        first, found = mapped_range(path, "key", (low, high))
        _, some = mapped_range(path, "key", (low, high), ["text"])
        whole = read_mapped(path)
    # The file is gone: what was mapped of it is not.
    assert whole.equals(table)
    assert first == sum(key < low for key in keys)
    wanted = [row for row in table.to_pylist() if low <= row["key"] < high]
    assert found.to_pylist() == wanted
    assert some.to_pylist() == [{"key": row["key"], "text": row["text"]} for row in wanted]


def test_chunks_are_written_as_one_and_columns_are_chosen(tmp_path: Path) -> None:
    parts = [_table([1, 2]), _table([]), _table([3])]
    path = write_mapped(pa.concat_tables(parts), tmp_path / "t.arrow")
    assert read_mapped(path, ["n", "key"]).to_pydict() == {"n": [0, 1, 0], "key": [1, 2, 3]}
    assert read_mapped(path).column("key").num_chunks == 1


def test_equal_tables_become_equal_bytes_whatever_their_chunks(tmp_path: Path) -> None:
    one = write_mapped(_table([1, 2, 3]), tmp_path / "a")
    other = write_mapped(pa.concat_tables([_table([1, 2, 3])[:1], _table([1, 2, 3])[1:]]), tmp_path / "b")
    assert Path(one).read_bytes() == Path(other).read_bytes()


def test_file_is_told_to_whoever_records_it(tmp_path: Path) -> None:
    with written_files() as written:
        path = write_mapped(_table([1]), tmp_path / "t.arrow")
    assert written == [path]
    assert os.listdir(tmp_path) == ["t.arrow"]


def test_columns_serve_as_arrays_without_a_copy(tmp_path: Path) -> None:
    keys = read_mapped(write_mapped(_table([1, 2, 3]), tmp_path / "t.arrow")).column("key").to_numpy()
    assert keys.dtype == np.uint64
    assert not keys.flags.writeable
    assert not keys.flags.owndata


@pytest.mark.parametrize("left", [0, 7, 100, -1])
def test_missing_and_short_files_are_told(tmp_path: Path, left: int) -> None:
    path = tmp_path / "t.arrow"
    with pytest.raises(ArtifactError, match="missing or damaged") as caught:
        read_mapped(path)
    assert caught.value.where == str(path)
    write_mapped(_table(list(range(50))), path)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ArtifactError, match="missing or damaged"):
        mapped_range(path, "key", (0, END_OF_KEYS))


def test_disk_that_is_full_is_told(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.write_text("a file where the folder should be")
    with pytest.raises(ArtifactError, match="cannot write a file"):
        write_mapped(_table([1]), target / "t.arrow")


def test_ranges_of_several_files_stand_one_after_the_other(tmp_path: Path) -> None:
    paths = [write_mapped(_table(keys), tmp_path / f"{i}") for i, keys in enumerate(([1, 5, 9], [], [5, 6]))]
    whole = mapped_ranges(paths, "key", (5, END_OF_KEYS), SCHEMA)
    assert whole.schema == SCHEMA
    assert whole.column("key").to_pylist() == [5, 9, 5, 6]
    assert mapped_ranges(paths, "key", (5, 7), SCHEMA, ["n"]).to_pydict() == {
        "key": [5, 5, 6],
        "n": [1, 0, 1],
    }
    assert mapped_ranges(paths, "key", (5, 7), SCHEMA, ["n", "key"]).column_names == ["n", "key"]
    assert mapped_ranges([], "key", (0, 1), SCHEMA).equals(SCHEMA.empty_table())
    assert mapped_ranges([], "key", (0, 1), SCHEMA, ["n"]).column_names == ["key", "n"]


def test_packed_table_is_smaller_and_the_same(tmp_path: Path) -> None:
    table = _table([7] * 2000)
    plain, packed = (write_mapped(table, tmp_path / str(i), packed=bool(i)) for i in range(2))
    assert Path(packed).stat().st_size < Path(plain).stat().st_size / 4
    assert read_mapped(packed).equals(table)
