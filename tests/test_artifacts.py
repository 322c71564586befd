"""Files between stages and files of a run: read by range, written whole or not at all."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline import schemas
from pipeline.artifacts import (
    END_OF_KEYS,
    FEW_RANGES,
    frame,
    key_ranges,
    open_parquet,
    output_ranges,
    ranges_for,
    read_output,
    table_of,
    uint64,
    write_empty,
    write_json,
    write_output,
    write_output_pieces,
    write_text,
)
from pipeline.errors import ArtifactError

LAST = END_OF_KEYS - 1
KEYED = pa.schema([("key", pa.uint64()), ("place", pa.int64()), ("word", pa.large_string())])
SPEC = schemas.Table(
    "fruit",
    "fruit.parquet",
    "a fruit",
    ("name",),
    (
        schemas.Column("name", "string", "", "its name"),
        schemas.Column("count", "int64", "fruits", "how many"),
        schemas.Column("colour", "string", "", "its colour", True),
    ),
)


def _keyed(keys: Sequence[int]) -> pa.Table:
    columns = (
        np.array(keys, np.uint64),
        np.arange(len(keys)),
        pa.array([f"w{k}" for k in keys], pa.large_string()),
    )
    return table_of(KEYED, *columns)


def _fruit(names: Sequence[str | None], colours: Sequence[str | None] | None = None) -> pa.Table:
    return pa.table({
        "name": pa.array(names, pa.large_string()),
        "count": pa.array(range(len(names)), pa.int64()),
        "colour": pa.array(colours or [None] * len(names), pa.large_string()),
    })  # fmt: skip


def _there(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# --- ranges of keys -------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 8, 1000])
def test_ranges_cover_all_keys_once(parts: int) -> None:
    ranges = key_ranges(parts)
    assert len(ranges) == parts
    assert (ranges[0][0], ranges[-1][1]) == (0, END_OF_KEYS)
    assert all(one[1] == two[0] for one, two in pairwise(ranges))
    widths = {high - low for low, high in ranges}
    assert max(widths) - min(widths) <= 1


@pytest.mark.parametrize(
    ("rows", "ranges"),
    [
        (0, 1),
        (1, 1),
        (10, 1),
        (11, 2),
        (80, FEW_RANGES),
        (81, FEW_RANGES),
        (800, FEW_RANGES),
        (801, 9),
        (10_000, 100),
    ],
)
def test_number_of_ranges_depends_on_the_rows_alone(rows: int, ranges: int) -> None:
    assert len(ranges_for(rows, wanted=10, most=100)) == ranges


# --- reading by range -----------------------------------------------------------------------------

KEYS = st.lists(st.integers(0, LAST) | st.sampled_from([0, 1, 2**63 - 1, 2**63, LAST - 1, LAST]), max_size=40)
EDGES = st.integers(0, END_OF_KEYS) | st.sampled_from([0, 1, 2**53 + 1, 2**63, LAST, END_OF_KEYS])


def _written(table: pa.Table, path: Path, row_group: int = 1000) -> str:
    pq.write_table(table, path, row_group_size=row_group, write_page_checksum=True)
    return str(path)


@given(KEYS, EDGES, EDGES, st.integers(1, 50))
@example([], 0, END_OF_KEYS, 1)
@example([0, LAST], 0, END_OF_KEYS, 1)
@example([LAST - 1, LAST, LAST], LAST, END_OF_KEYS, 2)
@example([2**61 - 1, 2**61, 2**61 + 1], 2**61, 2**61 + 1, 1)
@example([5, 5, 5, 5, 6], 5, 6, 2)
@example(list(range(20)), 15, 17, 2)
def test_range_of_a_file_is_what_a_filter_keeps(
    tmp_path_factory: pytest.TempPathFactory, keys: list[int], one: int, two: int, row_group: int
) -> None:
    low, high = sorted((one, two))
    table = _keyed(sorted(keys))
    path = _written(table, tmp_path_factory.mktemp("range") / "a.parquet", row_group)
    kept = pa.array([low <= key < high for key in sorted(keys)], pa.bool_())
    assert output_ranges([path], "key", (low, high), KEYED).equals(table.filter(kept))


def test_range_reads_only_the_row_groups_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _written(_keyed(range(100)), tmp_path / "a.parquet", 10)
    asked: list[list[int]] = []
    whole = pq.ParquetFile.read_row_groups

    def read_row_groups(file: Any, groups: list[int], *args: Any, **settings: Any) -> pa.Table:
        asked.append(groups)
        return whole(file, groups, *args, **settings)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", read_row_groups)
    for low, high in ((25, 41), (30, 40)):
        keys = uint64(output_ranges([path], "key", (low, high), KEYED), "key")
        assert keys.tolist() == list(range(low, high))
    assert asked == [[2, 3, 4], [3]]


def test_range_of_several_files_stands_one_after_the_other(tmp_path: Path) -> None:
    lists = [[1, 5, 9], [], [5, 6], [LAST]]
    paths = [_written(_keyed(keys), tmp_path / f"{i}.parquet") for i, keys in enumerate(lists)]
    whole = output_ranges(paths, "key", (5, END_OF_KEYS), KEYED)
    assert uint64(whole, "key").tolist() == [5, 9, 5, 6, LAST]
    assert whole.schema == KEYED
    some = output_ranges(paths, "key", (5, 7), pa.schema([KEYED.field("place"), KEYED.field("key")]))
    assert some.to_pydict() == {"place": [1, 0, 1], "key": [5, 5, 6]}


def test_range_of_no_file_is_an_empty_table_of_the_schema() -> None:
    assert output_ranges([], "key", (0, END_OF_KEYS), KEYED).equals(KEYED.empty_table())


# --- damage ---------------------------------------------------------------------------------------


def test_missing_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.parquet"
    reads: list[Callable[[], pa.Table]] = [
        lambda: read_output(missing),
        lambda: output_ranges([str(missing)], "key", (0, 1), KEYED),
    ]
    for read in reads:
        with pytest.raises(ArtifactError, match="missing or damaged") as caught:
            read()
        assert caught.value.where == str(missing)


@pytest.mark.parametrize("stop", [0, 3, 100, -1])
def test_truncated_file_is_named(tmp_path: Path, stop: int) -> None:
    path = tmp_path / "a.parquet"
    _written(_keyed(range(1000)), path)
    path.write_bytes(path.read_bytes()[:stop])
    with pytest.raises(ArtifactError, match="missing or damaged") as caught:
        read_output(path)
    assert caught.value.where == str(path)


def test_flipped_bit_among_the_values_is_never_read_as_another_value(tmp_path: Path) -> None:
    whole, path = _keyed(range(3000)), tmp_path / "a.parquet"
    _written(whole, path)
    good = path.read_bytes()
    footer = int.from_bytes(good[-8:-4], "little") + 8
    errors = []
    for number in random.Random(1).sample(range(len(good) - footer), 150):
        bad = bytearray(good)
        bad[number] ^= 1 << number % 8
        path.write_bytes(bad)
        try:
            assert read_output(path).equals(whole)
        except ArtifactError as error:
            errors.append(error)
    assert len(errors) > 100
    assert {error.where for error in errors} == {str(path)}


def test_defect_while_a_file_is_open_stays_a_defect(tmp_path: Path) -> None:
    path = _written(_keyed([1]), tmp_path / "a.parquet")
    with pytest.raises(ZeroDivisionError), open_parquet(path) as file:
        assert file.metadata.num_rows // 0


# --- writing --------------------------------------------------------------------------------------


def test_written_file_stands_alone_in_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    path = write_output(SPEC, _fruit(["fig"]), folder / "b.parquet")
    write_json({"a": 1}, folder / "c.json")
    assert path == str(folder / "b.parquet")
    assert _there(tmp_path) == ["b.parquet", "c.json"]


def _full_disk(table: pa.Table, where: Path, **settings: Any) -> None:
    Path(where).write_bytes(b"PAR1 and then")
    raise OSError(28, "No space left on device")


def test_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    write_output(SPEC, _fruit(["fig"]), path)
    before = path.read_bytes()
    monkeypatch.setattr(pq, "write_table", _full_disk)
    writes: list[Callable[[], str]] = [
        lambda: write_output(SPEC, _fruit(["pear"]), path),
        lambda: write_output(SPEC, _fruit(["fig"]), tmp_path / "c.parquet"),
    ]
    for write in writes:
        with pytest.raises(ArtifactError, match="cannot write a file") as caught:
            write()
        assert "No space left" in str(caught.value.got)
        assert str(caught.value.where).startswith(str(tmp_path))
    assert _there(tmp_path) == ["a.parquet"]
    assert path.read_bytes() == before


def test_defect_while_writing_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(table: pa.Table, where: Path, **settings: Any) -> None:
        Path(where).write_bytes(b"half")
        raise ZeroDivisionError

    monkeypatch.setattr(pq, "write_table", broken)
    with pytest.raises(ZeroDivisionError):
        write_output(SPEC, _fruit(["fig"]), tmp_path / "a.parquet")
    assert _there(tmp_path) == []


def test_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    with pytest.raises(ArtifactError, match="cannot write a file") as caught:
        write_output(SPEC, _fruit(["fig"]), tmp_path / "taken" / "a.parquet")
    assert caught.value.where == str(tmp_path / "taken" / "a.parquet")


def test_json_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json({"b": "ä", "a": [1, None]}, tmp_path / "x" / "a.json")
    written = (tmp_path / "x" / "a.json").read_text(encoding="utf-8")
    assert json.loads(written) == {"b": "ä", "a": [1, None]}
    assert "ä" in written
    assert written.endswith("}\n")
    with pytest.raises(TypeError):
        write_json({1, 2}, tmp_path / "b.json")

    def full(path: Path, text: str, **settings: Any) -> None:
        path.write_bytes(b"{")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ArtifactError, match="cannot write a file"):
        write_json({}, tmp_path / "c.json")
    assert _there(tmp_path) == ["a.json"]


def test_text_is_written_byte_for_byte(tmp_path: Path) -> None:
    assert write_text("ä\n\r\nb\x00", tmp_path / "x" / "a.html") == str(tmp_path / "x" / "a.html")
    assert (tmp_path / "x" / "a.html").read_bytes() == "ä\n\r\nb\x00".encode()
    with pytest.raises(UnicodeEncodeError):
        write_text("\ud800", tmp_path / "b.html")
    assert _there(tmp_path) == ["a.html"]


# --- tables of the contract -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "table",
    [
        _fruit(["fig"]).drop_columns(["colour"]),
        _fruit(["fig"]).append_column("extra", pa.array([1])),
        _fruit(["fig"]).select(["count", "name", "colour"]),
        _fruit(["fig"]).rename_columns(["name", "count", "color"]),
    ],
    ids=["missing", "extra", "order", "name"],
)
def test_wrong_columns_are_refused(tmp_path: Path, table: pa.Table) -> None:
    with pytest.raises(ArtifactError, match="wrong columns for table fruit") as caught:
        write_output(SPEC, table, tmp_path / "a.parquet")
    assert caught.value.got == str(table.column_names)
    assert caught.value.expected == "['name', 'count', 'colour']"
    assert _there(tmp_path) == []


def test_nulls_are_refused_where_the_schema_has_none(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"nulls in fruit\.name") as caught:
        write_output(SPEC, _fruit(["fig", None, None]), tmp_path / "a.parquet")
    assert caught.value.got == "2"
    assert _there(tmp_path) == []


def test_values_that_do_not_fit_the_type_are_refused(tmp_path: Path) -> None:
    table = _fruit(["fig"]).set_column(1, "count", pa.array([1.5]))
    with pytest.raises(pa.ArrowInvalid):
        write_output(SPEC, table, tmp_path / "a.parquet")
    assert _there(tmp_path) == []


def test_output_carries_the_schema(tmp_path: Path) -> None:
    narrow = _fruit(["fig"], ["green"]).set_column(1, "count", pa.array([7], pa.int8()))
    read = pq.read_table(write_output(SPEC, narrow, tmp_path / "a.parquet"))
    assert read.schema.equals(SPEC.arrow_schema(), check_metadata=True)
    assert read.to_pylist() == [{"name": "fig", "count": 7, "colour": "green"}]


def test_empty_output_has_the_schema_and_no_rows(tmp_path: Path) -> None:
    read = pq.read_table(write_empty(SPEC, tmp_path / "a.parquet"))
    assert read.schema.equals(SPEC.arrow_schema(), check_metadata=True)
    assert len(read) == 0


@given(st.lists(st.tuples(st.text(max_size=5), st.none() | st.text(max_size=5)), max_size=30), st.data())
@example([("a", None), ("b", "x"), ("c", None)], None)
def test_equal_tables_become_equal_bytes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str | None]], data: st.DataObject | None
) -> None:
    whole = _fruit([name for name, _ in rows], [colour for _, colour in rows])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4))) if data else [0, 1, 1, 2]
    pieces = [whole.slice(a, b - a) for a, b in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    chunked = pa.concat_tables(pieces)
    wider = pa.concat_tables([_fruit(["before"], ["it"]), whole, _fruit(["behind"])]).combine_chunks()
    folder = tmp_path_factory.mktemp("bytes")
    copies = [whole, chunked, wider.slice(1, len(rows)), frame(whole).to_arrow()]
    written = {
        Path(write_output(SPEC, table, folder / f"{i}.parquet")).read_bytes()
        for i, table in enumerate(copies)
    }
    assert len(written) == 1


def test_text_beyond_one_page_becomes_equal_bytes_too(tmp_path: Path) -> None:
    # More than one data page of 1 MiB: where pages end must not depend on where chunks do.
    names = [f"{i:06d}" * 20 for i in range(30_000)]
    whole = _fruit(names)
    chunked = pa.concat_tables([whole.slice(0, 777), whole.slice(777, 20_001), whole.slice(20_778)])
    one, two = (
        write_output(SPEC, table, tmp_path / f"{i}.parquet") for i, table in enumerate([whole, chunked])
    )
    assert Path(one).read_bytes() == Path(two).read_bytes()


def test_numbers_stand_by_differences_and_names_in_a_dictionary(tmp_path: Path) -> None:
    # What readers get is the same in all; how large the files are and what writing takes is not.
    names = [f"fig {i % 7}" for i in range(1000)]
    group = pq.read_metadata(write_output(SPEC, _fruit(names), tmp_path / "a.parquet")).row_group(0)
    name, count, colour = (group.column(i) for i in range(3))
    assert "DELTA_BINARY_PACKED" in count.encodings
    columns = name, count, colour
    assert [column.compression for column in columns] == ["ZSTD", "UNCOMPRESSED", "ZSTD"]
    assert [column.has_dictionary_page for column in columns] == [True, False, True]
    assert [column.is_stats_set for column in columns] == [True, False, False]


def test_every_table_begins_with_what_its_rows_are_in_the_order_of() -> None:
    # The one column of which files hold statistics.
    assert all(table.order[0] == table.columns[0].name for table in schemas.TABLES)


def test_pieces_are_written_as_the_whole_would_be(tmp_path: Path) -> None:
    pieces = [_fruit([f"fig {i}"] * n) for i, n in enumerate((5, 3, 0))]
    whole = write_output(SPEC, pa.concat_tables(pieces), tmp_path / "a.parquet")
    path = write_output_pieces(SPEC, iter(pieces), tmp_path / "b.parquet")
    assert pq.read_table(path).equals(pq.read_table(whole), check_metadata=True)
    of_pieces, of_whole = (pq.read_metadata(each).row_group(0).column(1) for each in (path, whole))
    for name in ("encodings", "compression", "is_stats_set"):
        assert getattr(of_pieces, name) == getattr(of_whole, name)
    nothing = pq.read_table(write_output_pieces(SPEC, [], tmp_path / "c.parquet"))
    assert nothing.schema.equals(SPEC.arrow_schema(), check_metadata=True)


def test_a_piece_that_is_refused_leaves_no_file(tmp_path: Path) -> None:
    pieces = [_fruit(["fig"]), _fruit([None])]
    with pytest.raises(ArtifactError, match=r"nulls in fruit\.name"):
        write_output_pieces(SPEC, pieces, tmp_path / "a.parquet")
    assert _there(tmp_path) == []


def test_disk_that_is_full_between_pieces_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: pq.ParquetWriter, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(ArtifactError, match="cannot write a file"):
        write_output_pieces(SPEC, [_fruit(["fig"])], tmp_path / "a.parquet")
    assert _there(tmp_path) == []


def test_column_is_an_array_of_its_own_type() -> None:
    values = uint64(_keyed([0, LAST]), "key")
    assert values.dtype == np.uint64
    assert values.tolist() == [0, LAST]


def test_table_of_a_schema_refuses_too_few_columns() -> None:
    with pytest.raises(ValueError, match="longer"):
        table_of(KEYED, np.zeros(1, np.uint64), np.zeros(1, np.int64))


def test_frame_keeps_64_bit_keys() -> None:
    assert frame(_keyed([LAST]))["key"].to_list() == [LAST]


def test_some_columns_are_read(tmp_path: Path) -> None:
    assert read_output(_written(_keyed([0, 7]), tmp_path / "a.parquet"), ["word"]).column_names == ["word"]
