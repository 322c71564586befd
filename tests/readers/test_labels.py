from __future__ import annotations

import datetime
import decimal
import uuid

import pyarrow as pa
import pytest

from pipeline.readers.labels import label_array
from pipeline.readers.wording import listed, printable

NOON = datetime.datetime(2024, 1, 2, 12, tzinfo=datetime.UTC)
INVALID = pa.array([b"a\xff", None, b"b"]).view(pa.string())


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, None, -2]), ["1", None, "-2"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([1.5, None]), ["1.5", None]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array(["a", None, "ä"]), ["a", None, "ä"]),
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.array(["a", None], pa.string_view()), ["a", None]),
        (pa.array([b"a", b"\xff\xfe"], pa.binary_view()), ["a", "\ufffd\ufffd"]),
        (pa.array([b"a", None, b"\xc3"]), ["a", None, "\ufffd"]),
        (pa.array([b"ab", b"a\xff"], pa.binary(2)), ["ab", "a\ufffd"]),
        (INVALID, ["a\ufffd", None, "b"]),
        (INVALID.dictionary_encode(), ["a\ufffd", None, "b"]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (
            pa.DictionaryArray.from_arrays(pa.array([1, 0, None], pa.uint64()), pa.array([None, "b"])),
            ["b", None, None],
        ),
        (pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array([7])), ["7"]),
        (pa.array([datetime.date(2024, 1, 2)]), ["2024-01-02"]),
        (pa.array([NOON], pa.timestamp("s")), ["2024-01-02 12:00:00"]),
        (pa.array([NOON], pa.timestamp("s", "Asia/Tokyo")), ["2024-01-02 12:00:00"]),
        (pa.array([1], pa.int64()).cast(pa.timestamp("s", "Mars/Olympus")), ["1970-01-01 00:00:01"]),
        (pa.array([decimal.Decimal("1.20")]), ["1.20"]),
        (pa.array([uuid.UUID(int=7).bytes], pa.uuid()), [str(uuid.UUID(int=7))]),
        (pa.array([b"sixteen letters!"], pa.uuid()), [str(uuid.UUID(bytes=b"sixteen letters!"))]),
        (pa.array(['{"a":1}'], pa.json_()), ['{"a":1}']),
        (pa.nulls(2), [None, None]),
        (pa.array([[1, None], None]), ["[1,null]", None]),
        (pa.array([{"a": "ü", "b": 1}]), ['{"a":"ü","b":1}']),
        (pa.array([{"a": NOON}]), ['{"a":"2024-01-02 12:00:00+00:00"}']),
        (pa.array([{"a": b"\xff"}]), ['{"a":"b\'\\\\xff\'"}']),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())), ['[["k",1]]']),
        (pa.ListArray.from_arrays([0, 1], INVALID), ["\ufffd"]),
        (pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"]), ["a", "a", "b"]),
        (pa.array([], pa.int8()), []),
    ],
    ids=lambda value: str(value.type)[:40] if isinstance(value, pa.Array) else "",
)
def test_values_of_every_type_are_labels(values: pa.Array, expected: list[str | None]) -> None:
    labels = label_array(values)
    assert labels.type == pa.large_string()
    assert labels.to_pylist() == expected
    labels.validate(full=True)
    assert label_array(pa.concat_arrays([values, values])[len(values) :]).to_pylist() == expected


def test_durations_and_intervals_are_labels() -> None:
    assert label_array(pa.array([5], pa.duration("s"))).to_pylist() == ["5"]
    assert "months=1" in label_array(pa.array([pa.MonthDayNano((1, 2, 3))])).to_pylist()[0]


def test_a_label_does_not_depend_on_its_neighbours() -> None:
    values = pa.array([uuid.UUID(int=7).bytes, b"sixteen letters!", b"\xff" * 16], pa.uuid())
    together = label_array(values).to_pylist()
    assert together == [label_array(values[i : i + 1]).to_pylist()[0] for i in range(3)]


@pytest.mark.parametrize("hostile", ["\x1b[31m", "a\nb", "\u202eabc", "\u2028", "\ud800", "\0", "\x9b"])
def test_hostile_words_are_escaped(hostile: str) -> None:
    shown = printable(hostile)
    assert shown.isprintable()
    assert "\\" in shown


def test_long_words_are_cut() -> None:
    assert printable("x" * 200) == "x" * 200
    assert printable("x" * 201) == "x" * 197 + "..."
    assert len(printable("\n" * 150)) == 200


def test_long_lists_of_names_are_cut() -> None:
    assert listed([]) == "none"
    assert listed(["a", "b\n"]) == "'a', 'b\\n'"
    assert listed([str(i) for i in range(25)]).endswith("'19' and 5 more")
