from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError
from pipeline.readers.rows import Columns

Read = Callable[..., Any]


@pytest.fixture
def read(tmp_path: Path, read_file: Read) -> Read:
    def read(data: bytes, columns: Columns | None = None, name: str = "a.csv", **options: Any) -> Any:
        path = tmp_path / name
        path.write_bytes(data)
        return read_file(path, columns, **options)

    return read


def test_a_record_after_the_header_is_a_row(read: Read) -> None:
    content = read(b"id,text\n1,a\n2,b\n", Columns(id="id"))
    assert content.texts == [b"a", b"b"]
    assert content.ids == ["1", "2"]
    assert content.rows == [0, 1]


def test_tabs_delimit_tsv_files(read: Read) -> None:
    content = read(b'text\tid\na,b\t1\n"c\td"\t2\n', Columns(id="id"), name="a.tsv")
    assert content.texts == [b"a,b", b"c\td"]
    assert content.ids == ["1", "2"]


def test_quoted_fields_keep_line_ends_delimiters_and_quotes(read: Read) -> None:
    content = read(b'text,id\r\n"a\r\nb\nc\rd,""e""",1\r\nlast,2', Columns(id="id"))
    assert content.texts == [b'a\r\nb\nc\rd,"e"', b"last"]
    assert content.ids == ["1", "2"]


def test_line_ends_of_all_systems_end_records(read: Read) -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        assert read(end.join([b"text,x", b"a,1", b"b,2", b""])).texts == [b"a", b"b"]


def test_blank_lines_are_no_records(read: Read) -> None:
    content = read(b"\n\ntext\n\na\n\r\nb\n\n")
    assert content.texts == [b"a", b"b"]
    assert content.rows == [0, 1]


def test_an_empty_field_is_an_empty_text(read: Read) -> None:
    content = read(b"text,id\n,1\nb,\n", Columns(id="id"))
    assert content.texts == [b"", b"b"]
    assert content.ids == ["1", ""]
    assert read(b'text\n""\n').texts == [b""]


def test_a_byte_order_mark_is_dropped(read: Read) -> None:
    assert read(b"\xef\xbb\xbftext,x\n\xef\xbb\xbfa,1\n").texts == [b"\xef\xbb\xbfa"]
    assert read(b'\xef\xbb\xbf"text"\na\n').texts == [b"a"]


def test_bytes_that_are_not_utf8_survive_in_texts(read: Read) -> None:
    content = read(b"text,id\na\xff\xfeb\xc3,x\xff\n\xed\xa0\x80,\xc3\xa4\n", Columns(id="id"))
    assert content.texts == [b"a\xff\xfeb\xc3", b"\xed\xa0\x80"]
    assert content.ids == ["x\ufffd", "ä"]


def test_nul_bytes_do_no_harm(read: Read) -> None:
    assert read(b'text,id\na\0b,\0\n"\0",2\n', Columns(id="id")).texts == [b"a\0b", b"\0"]


def test_a_record_of_another_width_is_refused(read: Read) -> None:
    content = read(b"text,id\na\nb,2\nc,3,4\nd,5\n")
    assert content.texts == [b"b", b"d"]
    assert content.rejects == [
        (0, "wrong_field_count", "got 1 fields, expected 2"),
        (2, "wrong_field_count", "got 3 fields, expected 2"),
    ]


def test_a_quote_left_open_at_the_end_is_refused(read: Read) -> None:
    content = read(b'text,id\na,1\n2,"b\nc,3\n')
    assert content.texts == [b"a"]
    assert content.reasons() == [(1, "unclosed_quote")]
    assert read(b'text\na\n"b"').reasons() == []


def test_a_file_with_a_header_alone_has_no_rows(read: Read) -> None:
    content = read(b"text,id\n", Columns(id="id"))
    assert content.n_rows == 0
    assert len(content.batches) == 1


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_a_file_without_header_is_an_error(read: Read, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError, match="no header") as caught:
        read(data)
    assert str(tmp_path / "a.csv") in str(caught.value)
    assert "header" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("columns", "setting"),
    [
        (Columns(text="body"), "text_column"),
        (Columns(text="a", id="body"), "id_column"),
        (Columns(text="a", source="body"), "source_column"),
        (Columns(text="a", licence="body"), "licence_column"),
    ],
)
def test_a_missing_column_is_an_error_that_names_file_columns_and_setting(
    read: Read, tmp_path: Path, columns: Columns, setting: str
) -> None:
    with pytest.raises(InputError, match="no column 'body'") as caught:
        read(b"a,b\x1b\n1,2\n", columns)
    message = str(caught.value)
    assert str(tmp_path / "a.csv") in message
    assert "'a', 'b\\x1b'" in message
    assert f"set {setting}" in str(caught.value.fix)


def test_a_column_that_is_there_twice_is_an_error(read: Read) -> None:
    with pytest.raises(InputError, match="has 2 columns named 'text'"):
        read(b"text,text\na,b\n")


def test_a_field_longer_than_a_batch_comes_out_whole(read: Read) -> None:
    long = b'y""\n' * 1_000_000
    content = read(b'text,id\na,1\n"' + long + b'",2\nb,3\n', batch_bytes=64 * 1024)
    assert content.texts == [b"a", long.replace(b'""', b'"'), b"b"]


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(st.binary(max_size=12), st.text(max_size=5)), max_size=6),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    delimiter=st.sampled_from([",", "\t"]),
    batch_bytes=st.integers(1, 500),
)
def test_what_was_written_is_read(
    scratch: Path,
    read_file: Read,
    rows: list[tuple[bytes, str]],
    quoting: Any,
    delimiter: str,
    batch_bytes: int,
) -> None:
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, quoting=quoting, delimiter=delimiter)
    writer.writerow(["id", "text"])
    for text, label in rows:
        writer.writerow([label, text.decode("utf-8", "surrogateescape")])
    path = scratch / "written"
    path.write_bytes(sink.getvalue().encode("utf-8", "surrogateescape"))
    kind = "csv" if delimiter == "," else "tsv"
    content = read_file(path, Columns(id="id"), kind=kind, batch_bytes=batch_bytes)
    assert content.texts == [text for text, _ in rows]
    assert content.ids == [label for _, label in rows]
