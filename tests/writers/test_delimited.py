"""Copies of CSV and TSV files."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.errors import InputChangedError
from pipeline.readers.formats import read
from pipeline.readers.rows import Columns, Piece
from pipeline.writers.cutting import cut_text
from pipeline.writers.delimited import field_range
from tests.keep_lists import copied

RECORDS = [
    b'"id",text\r\n',
    b"1,plain text\r\n",
    b"\r\n",
    b'2,"quoted, with\nline ends\r\nand ""quotes"""\n',
    b"wrong\n",
    b"3,\xe9\xff not UTF-8\r",
    b' "4" ,odd "quotes" inside\n',
    b'5,"',
]
ROWS = [None, 0, None, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("keep", [{0, 1, 2, 3, 4, 5}, {1, 2, 4}, {0, 3, 5}, set[int]()])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_records_that_stay_are_the_same_bytes(tmp_path: Path, keep: set[int], mark: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(mark + b"".join(RECORDS))
    counts = copied(tmp_path / "a.csv", "csv", [row in keep for row in range(6)], tmp_path / "b.csv")
    left = [line for line, row in zip(RECORDS, ROWS, strict=True) if row is None or row in keep]
    assert (tmp_path / "b.csv").read_bytes() == mark + b"".join(left)
    assert (counts.rows, counts.kept, counts.dropped) == (6, len(keep), 6 - len(keep))


def test_compressed_tsv_is_copied_compressed(tmp_path: Path) -> None:
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(b"id\ttext\n1\ta,b\n2\tc"))
    copied(tmp_path / "a.tsv.gz", "tsv", [False, True], tmp_path / "b.tsv.gz")
    assert gzip.decompress((tmp_path / "b.tsv.gz").read_bytes()) == b"id\ttext\n2\tc"


@given(
    data=st.text('a",\r\n é\ufeff\x00', max_size=40),
    header=st.sampled_from(["text\n", 'x,"text"\r', "\n\ntext"]),
)
def test_rows_are_those_of_the_reader(scratch: Path, data: str, header: str) -> None:
    source = scratch / "rows.csv"
    source.write_bytes((header + data).encode())
    try:
        *_, last = read(Piece(str(source), "csv", 0, 1, 1), Columns())
    except Exception:  # noqa: BLE001 - no file that was audited
        return
    counts = copied(source, "csv", [], scratch / "copy.csv")
    assert counts.rows == counts.passed == last.n_rows
    assert (scratch / "copy.csv").read_bytes() == source.read_bytes()


FIELDS = st.text('ab",\t \n\ré', max_size=6)


@given(
    rows=st.lists(st.lists(FIELDS, min_size=3, max_size=3), min_size=1, max_size=4),
    place=st.integers(0, 2),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    format=st.sampled_from(["csv", "tsv"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_cut_changes_one_field(
    scratch: Path, rows: list[list[str]], place: int, quoting: int, format: str, end: str
) -> None:
    header = ["x", "y"]
    header.insert(place, "text")
    delimiter = {"csv": ",", "tsv": "\t"}[format]
    held = io.StringIO(newline="")
    csv.writer(held, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows([header, *rows])  # type: ignore[arg-type]
    assume(quoting == csv.QUOTE_ALL or not any(c in "\r\n" for row in rows for field in row for c in field))
    source = scratch / f"cut.{format}"
    source.write_bytes(held.getvalue().encode())
    cuts = {i: [(0, 1)] for i, row in enumerate(rows) if row[place] and row[place][0] != "é"}
    copied(source, format, [True] * len(rows), scratch / f"cut-copy.{format}", cuts)
    expected = [row.copy() for row in rows]
    for i in cuts:
        expected[i][place] = cut_text(expected[i][place].encode(), [(0, 1)]).decode()
    with (scratch / f"cut-copy.{format}").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file, delimiter=delimiter)) == [header, *expected]


@pytest.mark.parametrize(
    ("record", "place", "field"),
    [
        ("a,b,c\r\n", 0, "a"),
        ("a,b,c\r\n", 2, "c"),
        (",,\n", 1, ""),
        (",,", 2, ""),
        ('"a,""b""\n",c\n', 0, '"a,""b""\n"'),
        ('"a,""b""\n",c\n', 1, "c"),
        ('"","x"', 0, '""'),
        ('"","x"', 1, '"x"'),
        ('""""," ",', 1, '" "'),
        ('"a"b"c,d', 0, '"a"b"c'),
        ('a"b,c"d,e', 1, 'c"d'),
        ('x,"a\n"\n', 1, '"a\n"'),
    ],
)
def test_field_is_where_a_parser_finds_it(record: str, place: int, field: str) -> None:
    start, end = field_range(record, ",", place)
    assert record[start:end] == field
    (fields,) = csv.reader([record])
    assert next(csv.reader([field + ","])) == [fields[place], ""]


def test_fields_beside_the_cut_one_keep_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'"x" ,text,"y"\r\n"1",abc def,\xff"z"\r\n')
    copied(tmp_path / "a.csv", "csv", [True], tmp_path / "b.csv", {0: [(0, 4)]})
    assert (tmp_path / "b.csv").read_bytes() == b'"x" ,text,"y"\r\n"1","def",\xff"z"\r\n'


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"x,text\n1\n", "not what the run read"), (b"x,body\n1,abc\n", "another header"),
     (b"x,text\n1,a\n", "not what the run read")],
)  # fmt: skip
def test_file_that_is_not_what_was_cut_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputChangedError, match=words) as caught:
        copied(tmp_path / "a.csv", "csv", [True], tmp_path / "b.csv", {0: [(0, 2)]})
    assert caught.value.where == str(tmp_path / "a.csv")
    assert not (tmp_path / "b.csv").exists()
