"""Records hold what tasks give, exactly; a damaged one is told, never believed."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from pipeline.config import parse
from pipeline.errors import ArtifactError, AuditError, InputChangedError, InputError
from pipeline.readers.rows import Columns, Reject
from pipeline.records import checksums, damaged, decoded, digest, encoded, read_record, write_record
from tests.same import same

BROKEN = ["<script>", '"\\', "\0", "\u202eltr", "\ud800", "\udc80", "\ud83d\ude00", "\U0001f600", "\n"]
HOSTILE = st.text(st.characters(exclude_categories=())) | st.sampled_from(BROKEN)
NUMBERS = st.integers() | st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 1 << 64])
ARRAYS = arrays_of.arrays(
    st.sampled_from(["u1", "u2", "u4", "u8", "i8", "i4", ">i8", "f8", "f4", "?"]),
    arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
ERRORS = st.builds(
    lambda kind, what, where, row, got: kind(what, where=where, row=row, got=got, fix=None),
    st.sampled_from([AuditError, InputError, InputChangedError, ArtifactError]),
    HOSTILE,
    st.none() | HOSTILE,
    st.none() | st.integers(0, 1 << 40),
    st.none() | HOSTILE | NUMBERS,
)
LEAVES = st.none() | st.booleans() | NUMBERS | HOSTILE | ARRAYS | ERRORS | HOSTILE.map(Path)
VALUES = st.recursive(
    LEAVES,
    lambda below: (
        st.lists(below)
        | st.lists(below).map(tuple)
        | st.dictionaries(HOSTILE | st.integers() | st.tuples(st.integers(), HOSTILE), below)
        | st.builds(Columns, text=below, id=below, source=below, licence=below)
    ),
    max_leaves=20,
)


def _through_json(value: Any) -> Any:
    return decoded(json.loads(json.dumps(encoded(value))))


@given(VALUES)
@example("\ud83d\ude00")
@example({"\ud83d\ude00": InputError("\ud83d\ude00", got="\ud800")})
@example([np.array([], "u8"), np.array(7), np.zeros((0, 3)), np.zeros((3, 4))[:, 1::2].T])
@example({(1, "a"): [(), [], {}], "x": "<script>" * 100_000})
def test_what_tasks_exchange_comes_back_as_it_was(value: Any) -> None:
    assert same(_through_json(value), value)


def test_what_comes_back_may_be_written_to() -> None:
    array = np.arange(3)
    array.flags.writeable = False
    found = _through_json(array)
    found[0] = 1
    assert (found.tolist(), array.tolist()) == ([1, 1, 2], [0, 1, 2])


@pytest.mark.parametrize(
    ("given", "wanted"),
    [(np.uint64(1 << 63), 1 << 63), (np.float64(0.1), 0.1), (np.str_("a"), "a"), (np.bool_(True), True)],
)
def test_a_number_of_numpy_becomes_one_of_python(given: Any, wanted: Any) -> None:
    found = _through_json(given)
    assert type(found) is type(wanted)
    assert found == wanted


def test_an_error_comes_back_with_all_it_says() -> None:
    error = InputChangedError("what", where="a\nb", row=3, got="\x1b", expected=1.5, fix="nothing")
    found = _through_json(error)
    assert type(found) is InputChangedError
    assert str(found) == str(error)
    assert found.__dict__ == error.__dict__


class _Number(int):
    """More than a number."""


@dataclasses.dataclass
class _Elsewhere:
    """A value of another program."""

    n: int = 1


@pytest.mark.parametrize(
    "value",
    [
        b"bytes",
        {1, 2},
        object(),
        print,
        _Number(1),
        ValueError("no error of ours"),
        Columns,
        1j,
        [{"deep": (1, b"")}],
        np.array([object()]),
        np.array([(1, 2.0)], [("a", "i8"), ("b", "f8")]),
    ],
)
def test_what_tasks_do_not_exchange_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="tasks do not exchange"):
        encoded(value)


@pytest.mark.parametrize(
    "made",
    [
        ["value", "os:stat_result", {}],
        ["value", "subprocess:Popen", {"args": "true"}],
        ["value", "pipeline.artifacts:write_text", {"text": "", "path": "x"}],
        ["value", "pipeline.readers.rows:Nothing", {}],
        ["value", "pipeline.readers.rows:Columns", {"another": 1}],
        ["value", "pipeline.nothing:Nothing", {}],
        ["error", "Any", {"what": ""}],
        ["error", "SystemExit", {"what": ""}],
        ["array", "|O", [1], "AAAAAAAAAAA="],
        ["array", "<i8", [2], "AAAAAAAAAAA="],
        ["unheard of", 1],
        ["list"],
        [],
        [[]],
    ],
)
def test_what_no_task_gave_is_not_made(tmp_path: Path, made: Any) -> None:
    path = tmp_path / "record.json"
    write_record(path, {}, x=1)
    body = json.dumps({"files": {}, "is": made})
    _seal(path, body)
    with pytest.raises(ArtifactError, match="a record of finished work is damaged"):
        read_record(path)


def _seal(path: Path, body: str) -> None:
    path.write_text(f"{xxhash.xxh3_64_hexdigest(body.encode())}\n{body}\n")


@pytest.mark.parametrize("body", ["", "[]", "null", "1", '{"is": 1}', '{"files": [], "is": 1}', "{", '"'])
def test_a_sealed_record_of_something_else_is_told(tmp_path: Path, body: str) -> None:
    _seal(tmp_path / "record.json", body)
    with pytest.raises(ArtifactError, match="a record of finished work is damaged"):
        read_record(tmp_path / "record.json")


def test_a_digest_tells_values_apart_and_is_the_same_elsewhere() -> None:
    columns = Columns("text", None, None, None)
    others: list[Any] = [
        None,
        0,
        False,
        0.0,
        "0",
        [],
        (),
        {},
        "",
        [0],
        (0,),
        [[0], 1],
        [[0, 1]],
        Path("0"),
        np.array([0]),
        np.array([0], "i4"),
        np.array([[0]]),
        columns,
        dataclasses.replace(columns, id="text"),
        "\ud83d\ude00",
        "\U0001f600",
        InputError("a"),
        AuditError("a"),
        parse({"inputs": "a"}),
        parse({"inputs": "b"}),
    ]
    assert len({digest(value) for value in others}) == len(others)
    assert digest(["text", columns, (1, 2.5)]) == "2eaf9d0c93d00d5168cd535ee469a077"


def _written(folder: Path) -> Path:
    (folder / "a").mkdir()
    for name in ("a/1.parquet", "2.parquet"):
        (folder / name).write_bytes(os.urandom(50) + name.encode())
    known = checksums([folder / "a/1.parquet", folder / "2.parquet"], folder)
    result = Reject(7, "text is null", "it is \ud800 null")
    write_record(folder / "record.json", known, result=result, name="task")
    return folder / "record.json"


def test_a_record_says_what_was_written(tmp_path: Path) -> None:
    found = read_record(_written(tmp_path))
    assert found is not None
    known, values = found
    assert known == checksums([tmp_path / "2.parquet", tmp_path / "a/1.parquet"], tmp_path)
    assert set(known) == {"a/1.parquet", "2.parquet"}
    assert values == {"result": Reject(7, "text is null", "it is \ud800 null"), "name": "task"}
    assert damaged(known, tmp_path) is None


def test_where_no_record_is_there_is_none(tmp_path: Path) -> None:
    assert read_record(tmp_path / "record.json") is None
    assert read_record(tmp_path / "no" / "record.json") is None


def test_a_record_cut_off_anywhere_is_told(tmp_path: Path) -> None:
    path = _written(tmp_path)
    whole = path.read_bytes()
    wanted = read_record(path)
    for length in range(len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match="a record of finished work is damaged") as caught:
            read_record(path)
        assert caught.value.where == str(path)
    path.write_bytes(whole[:-1])  # the last line's end says nothing
    assert read_record(path) == wanted


def test_a_record_with_any_bit_flipped_is_told(tmp_path: Path) -> None:
    path = _written(tmp_path)
    whole = path.read_bytes()
    for place in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(ArtifactError, match="a record of finished work is damaged"):
            read_record(path)


def test_a_folder_in_place_of_a_record_is_told(tmp_path: Path) -> None:
    (tmp_path / "record.json").mkdir()
    with pytest.raises(ArtifactError, match="damaged"):
        read_record(tmp_path / "record.json")


@pytest.mark.parametrize("name", ["a/1.parquet", "2.parquet"])
def test_a_file_that_is_not_what_it_was_is_named(tmp_path: Path, name: str) -> None:
    known, _ = read_record(_written(tmp_path)) or ({}, {})
    path = tmp_path / name
    whole = path.read_bytes()

    def told() -> str:
        found = damaged(known, tmp_path)
        assert found is not None
        assert found.startswith(f"{path}: ")
        return found.removeprefix(f"{path}: ")

    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert told() == f"{length} bytes instead of {len(whole)}"
    for place in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert told().startswith("checksum ")
    path.unlink()
    assert told() == "No such file or directory"
    path.mkdir()
    assert told() == "Is a directory"


def test_a_name_that_a_terminal_would_obey_is_told_harmlessly(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[31mred\n"
    path.write_text("")
    found = damaged({path.name: (1, "")}, tmp_path)
    assert found is not None
    assert found.isprintable()
