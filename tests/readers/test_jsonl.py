from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.errors import InputChangedError
from pipeline.readers import formats, jsonl
from pipeline.readers.rows import Columns, Piece

Read = Callable[..., Any]

LABELS = Columns(id="id", source="source", licence="licence")


@pytest.fixture
def read(tmp_path: Path, read_file: Read) -> Read:
    def read(data: bytes, columns: Columns | None = None, **options: Any) -> Any:
        path = tmp_path / "a.jsonl"
        path.write_bytes(data)
        return read_file(path, columns, **options)

    return read


def test_a_line_is_a_row(read: Read) -> None:
    content = read(b'{"text": "a"}\n{"text": "\\u00e4", "x": [1]}\n{"text": ""}\n')
    assert content.texts == [b"a", "ä".encode(), b""]
    assert content.rows == [0, 1, 2]
    assert content.n_rows == 3
    assert content.batches[0].ids is None


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n \t\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_a_file_without_rows_yields_one_empty_batch(read: Read, data: bytes) -> None:
    content = read(data, LABELS)
    assert content.n_rows == 0
    assert len(content.batches) == 1
    assert content.batches[0].ids.to_pylist() == []


def test_blank_lines_are_no_rows(read: Read) -> None:
    content = read(b'\n{"text": "a"}\n\r\n  \n[]\n{"text": "b"}\n\n')
    assert content.rows == [0, 2]
    assert content.reasons() == [(1, "not_an_object")]


def test_the_last_line_needs_no_end(read: Read) -> None:
    assert read(b'{"text": "a"}\n{"text": "b"}').texts == [b"a", b"b"]


def test_lines_may_end_as_on_windows(read: Read) -> None:
    assert read(b'{"text": "a"}\r\n{"text": "b"}\r\n').texts == [b"a", b"b"]


def test_only_a_line_feed_ends_a_line(read: Read) -> None:
    text = "a\u2028b\u2029c\x85d\x0be"
    data = json.dumps({"text": text}, ensure_ascii=False).encode()
    assert read(data + b"\n" + data).texts == [text.encode()] * 2
    assert read(b'{"text":\r"a"}\n').texts == [b"a"]


def test_a_byte_order_mark_is_dropped_at_the_start_only(read: Read) -> None:
    mark = b"\xef\xbb\xbf"
    content = read(mark + b'{"text": "a"}\n' + mark + b'{"text": "b"}\n')
    assert content.texts == [b"a"]
    assert content.reasons() == [(1, "malformed_json")]
    assert read(b'{"text": "\xef\xbb\xbfa"}').texts == [mark + b"a"]


@pytest.mark.parametrize(
    ("line", "reason", "detail"),
    [
        (b'{"txt": "a"}', "null_text", "there is no field 'text'"),
        (b"{}", "null_text", "there is no field 'text'"),
        (b'{"text": null}', "null_text", "field 'text' holds null"),
        (b'{"text": 1}', "text_not_string", "field 'text' holds a number"),
        (b'{"text": 1.5}', "text_not_string", "field 'text' holds a number"),
        (b'{"text": true}', "text_not_string", "field 'text' holds a boolean"),
        (b'{"text": ["a"]}', "text_not_string", "field 'text' holds a list"),
        (b'{"text": {"a": 1}}', "text_not_string", "field 'text' holds an object"),
        (b"[1]", "not_an_object", "the line holds a list"),
        (b'"text"', "not_an_object", "the line holds a string"),
        (b"null", "not_an_object", "the line holds null"),
        (b"1", "not_an_object", "the line holds a number"),
        (b"1e999", "not_an_object", "the line holds a number"),
        (b"true", "not_an_object", "the line holds a boolean"),
        (b'{"text": "a"', "malformed_json", "line 1 column"),
        (b'{"text": "a"} x', "malformed_json", "line 1 column"),
        (b'{"text": NaN}', "malformed_json", "line 1 column"),
        (b'{"text": "a", "x": Infinity}', "malformed_json", "line 1 column"),
        (b"\x0c", "malformed_json", "line 1 column"),
        (b"\x00", "malformed_json", "line 1 column"),
        (b"[" * 100_000, "malformed_json", ""),
        (b'{"text": "a\xff"}', "invalid_utf8", ""),
        (b'{"text": "\xed\xa0\x80"}', "invalid_utf8", ""),
        (b'{"text": "a\\ud800"}', "invalid_utf8", "broken character at 1"),
        (b'{"text": "\\udc00\\ud800"}', "invalid_utf8", "broken character at 0"),
        (b'{"text": "a\xff"', "invalid_utf8", ""),
    ],
)
def test_a_line_without_usable_text_is_refused_with_a_reason(
    read: Read, line: bytes, reason: str, detail: str
) -> None:
    content = read(b'{"text": "before"}\n' + line + b'\n{"text": "after"}\n')
    assert content.texts == [b"before", b"after"]
    assert content.rows == [0, 2]
    assert content.reasons() == [(1, reason)]
    assert detail in content.rejects[0][2]


def test_a_hostile_field_name_is_escaped_and_cut_in_a_detail(read: Read) -> None:
    name = "\x1b[31m\u202e\n" + "x" * 1000
    content = read(b"{}", Columns(text=name))
    assert content.reasons() == [(0, "null_text")]
    assert "\\x1b" in content.rejects[0][2]
    assert read(json.dumps({name: "a"}).encode(), Columns(text=name)).texts == [b"a"]


def test_what_is_broken_outside_the_text_does_not_cost_the_row(read: Read) -> None:
    lines = [
        b'{"text": "a", "id": "\\ud800x"}',
        b'{"text": "b", "id": "x\xffy"}',
        b'{"text": "c", "other": "\xff"}',
        b'{"text": "d", "other": 1e999, "id": 1e999}',
    ]
    content = read(b"\n".join(lines), LABELS)
    assert content.texts == [b"a", b"b", b"c", b"d"]
    assert content.ids == ["\ufffdx", "x\ufffdy", None, "1e999"]


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ('"a"', "a"),
        ('"\\u00e4\\u0000\\u202e"', "ä\0\u202e"),
        ("null", None),
        ("true", "true"),
        ("false", "false"),
        ("7", "7"),
        ("-7", "-7"),
        ("1.50", "1.50"),
        ("1E5", "1E5"),
        ("18446744073709551615", "18446744073709551615"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ('[1, "a", null, {"b": 1.5}]', '[1,"a",null,{"b":1.5}]'),
        ('{"b": "ü", "a": []}', '{"b":"ü","a":[]}'),
        ("[" * 500 + "]" * 500, "[" * 500 + "]" * 500),
    ],
)
def test_a_label_is_the_json_text_of_any_value(read: Read, value: str, label: str) -> None:
    content = read(f'{{"text": "t", "id": {value}}}\n{{"text": "t"}}'.encode(), LABELS)
    assert content.ids == [label, None]
    assert content.sources == [None, None]
    assert content.licences == [None, None]


def test_a_label_nested_too_deep_does_not_cost_the_row(read: Read) -> None:
    deep = b"[" * 1020 + b"0.5" + b"]" * 1020
    assert read(b'{"text": "t", "id": ' + deep + b"}", LABELS).texts == [b"t"]


def test_a_float_label_survives_a_deeply_nested_neighbour(read: Read) -> None:
    deep = b"[" * 1020 + b"]" * 1020
    assert read(b'{"text": "t", "x": ' + deep + b', "id": 0.5}', LABELS).ids == ["0.5"]


def test_the_text_column_may_be_a_label_too(read: Read) -> None:
    assert read(b'{"text": "t"}', Columns(id="text")).ids == ["t"]


def test_batches_hold_about_the_asked_bytes(read: Read) -> None:
    data = b'{"text": "%s"}\n' % (b"x" * 1000) * 100
    content = read(data, batch_bytes=10_000)
    assert content.n_rows == 100
    assert all(len(batch.texts) == 10 for batch in content.batches)


def test_batches_of_rejects_and_of_empty_texts_are_bounded_too(read: Read) -> None:
    assert len(read(b"[]\n" * 10_000, batch_bytes=64 * 1024).batches) > 5
    assert len(read(b'{"text":""}\n' * 10_000, batch_bytes=64 * 1024).batches) > 5


def test_a_line_longer_than_a_batch_comes_out_whole(read: Read) -> None:
    long = b"y" * 3_000_000
    data = b'{"text": "a"}\n{"text": "%s"}\n{"text": "b"}\n' % long
    content = read(data, batch_bytes=64 * 1024, shard_bytes=1_000_000)
    assert content.texts == [b"a", long, b"b"]
    assert read(data, batch_bytes=64 * 1024).values() == content.values()


def test_pieces_cover_the_file(tmp_path: Path) -> None:
    pieces = formats.pieces("a.jsonl", "jsonl", 10, 4)
    assert [(p.start, p.stop) for p in pieces] == [(0, 4), (4, 8), (8, 10)]
    assert sum(p.size_bytes for p in pieces) == 10
    assert formats.pieces("a.jsonl", "jsonl", 0, 4) == [Piece("a.jsonl", "jsonl", 0, 0, 0)]


def test_a_piece_in_the_middle_of_a_line_looks_no_further_than_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "' + b"x" * 1000 + b'"}\n')
    monkeypatch.setattr(jsonl, "_lines", lambda stream, begin, stop, uri: iter([b""] * (stop - begin)))
    (rows,) = formats.read(Piece(str(path), "jsonl", 100, 200, 100), Columns())
    assert rows.n_rows == 0


@pytest.mark.parametrize(("start", "stop"), [(0, 100), (20, 100), (90, 100)])
def test_a_file_that_shrank_since_it_was_listed_is_refused(tmp_path: Path, start: int, stop: int) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n' * 2)
    with pytest.raises(InputChangedError, match="shorter") as caught:
        list(formats.read(Piece(str(path), "jsonl", start, stop, 1), Columns()))
    assert str(path) in str(caught.value)
    assert caught.value.fix


LINES = st.one_of(
    st.sampled_from([b"", b"\r", b" ", b"[]", b"{", b'{"text": null}', b'{"text":"\xff"}']),
    st.sampled_from([b"\xef\xbb\xbf", b'\xef\xbb\xbf{"text":"a"}']),
    st.text(max_size=8).map(lambda text: json.dumps({"text": text, "id": 1.5}, ensure_ascii=False).encode()),
    st.binary(max_size=6),
)


@settings(max_examples=150, deadline=None)
@given(
    lines=st.lists(LINES, max_size=8),
    end=st.sampled_from([b"", b"\n", b"\r\n"]),
    shard_bytes=st.integers(1, 90),
    batch_bytes=st.integers(1, 300),
    block_bytes=st.integers(1, 50),
)
@example([b'{"text":"a"}', b'{"text":"b"}'], b"\n", 12, 1, 1)
@example([b'{"text":"a"}', b'{"text":"b"}'], b"\n", 13, 1, 50)
@example([b'\xef\xbb\xbf{"text":"a"}'], b"", 1, 1, 1)
def test_however_a_file_is_cut_it_reads_the_same(
    scratch: Path,
    read_file: Read,
    lines: list[bytes],
    end: bytes,
    shard_bytes: int,
    batch_bytes: int,
    block_bytes: int,
) -> None:
    path = scratch / "cut.jsonl"
    path.write_bytes(b"\n".join(lines) + end)
    columns = Columns(id="id")
    whole = read_file(path, columns).values()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jsonl, "BLOCK_BYTES", block_bytes)
        assert read_file(path, columns, shard_bytes=shard_bytes, batch_bytes=batch_bytes).values() == whole


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.text(max_size=30), max_size=10), ascii_only=st.booleans())
def test_what_was_written_is_read(scratch: Path, read_file: Read, texts: list[str], ascii_only: bool) -> None:
    path = scratch / "written.jsonl"
    lines = [json.dumps({"id": text, "text": text}, ensure_ascii=ascii_only) for text in texts]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="")
    content = read_file(path, Columns(id="id"))
    assert content.texts == [text.encode() for text in texts]
    assert content.ids == texts
