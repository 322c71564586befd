"""Copies of JSON Lines files."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputChangedError, InputError
from pipeline.readers.formats import read
from pipeline.readers.rows import Columns, Piece
from tests.keep_lists import copied

LINES = [
    b'{"text": "one", "big": 123456789012345678901234567890, "price": 1.10}\n',
    b'{"b":2,"a":1,"b":3,"text":"caf\\u00e9 \xc3\xa9","nested":{"z":[1.0,{"y":null}]}}\r\n',
    b"\n",
    b'  {"text" :"three"}  \n',
    b"not json\n",
    b" \t\r\n",
    b'{"text": null}\n',
    b'{"text": "last \xe2\x80\xa8 one"}',
]
ROWS = [0, 1, None, 2, 3, None, 4, 5]
STORED: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "": (bytes, bytes),
    ".gz": (gzip.compress, gzip.decompress),
    ".bz2": (bz2.compress, bz2.decompress),
    ".xz": (lzma.compress, lzma.decompress),
    ".zst": (zstandard.compress, lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
}


def _left(keep: set[int]) -> bytes:
    return b"".join(line for line, row in zip(LINES, ROWS, strict=True) if row is None or row in keep)


@pytest.mark.parametrize("suffix", STORED)
@pytest.mark.parametrize("keep", [{0, 1, 2, 3, 4, 5}, {0, 3, 4, 5}, {1, 2, 3, 4}, {3, 4}])
def test_lines_that_stay_are_the_same_bytes(tmp_path: Path, suffix: str, keep: set[int]) -> None:
    pack, unpack = STORED[suffix]
    source, out = tmp_path / f"a.jsonl{suffix}", tmp_path / f"b.jsonl{suffix}"
    source.write_bytes(pack(b"".join(LINES)))
    verdicts = [row in keep if row not in (3, 4) else None for row in range(6)]
    counts = copied(source, "jsonl", verdicts, out)
    assert unpack(out.read_bytes()) == _left(keep)
    assert (counts.rows, counts.kept, counts.dropped, counts.passed) == (6, len(keep) - 2, 6 - len(keep), 2)


@pytest.mark.parametrize("suffix", STORED)
def test_same_lines_become_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    source = tmp_path / f"a.jsonl{suffix}"
    source.write_bytes(STORED[suffix][0](b"".join(LINES)))
    for out in ("b", "c"):
        copied(source, "jsonl", [True] * 6, tmp_path / f"{out}.jsonl{suffix}")
    assert (tmp_path / f"b.jsonl{suffix}").read_bytes() == (tmp_path / f"c.jsonl{suffix}").read_bytes()


def test_gzip_tells_neither_time_nor_name(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"{}\n"))
    copied(tmp_path / "a.jsonl.gz", "jsonl", [True], tmp_path / "b.jsonl.gz")
    assert (tmp_path / "b.jsonl.gz").read_bytes()[3:8] == bytes(5)


@pytest.mark.parametrize("keep", [[True, False], [False, True], [False, False]])
def test_byte_order_mark_stays(tmp_path: Path, keep: list[bool]) -> None:
    lines = [b'{"text":"a"}\n', b'{"text":"b"}\n']
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + b"".join(lines))
    copied(tmp_path / "a.jsonl", "jsonl", keep, tmp_path / "b.jsonl")
    left = [line for line, stays in zip(lines, keep, strict=True) if stays]
    assert (tmp_path / "b.jsonl").read_bytes() == b"\xef\xbb\xbf" + b"".join(left)


@given(
    lines=st.lists(
        st.sampled_from([*(line.rstrip(b"\n") for line in LINES), b"{}", b"x" * 600_000]), max_size=8
    ),
    ends=st.booleans(),
)
def test_rows_are_those_of_the_reader(scratch: Path, lines: list[bytes], ends: bool) -> None:
    source = scratch / "rows.jsonl"
    source.write_bytes(b"\n".join(lines) + b"\n" * ends)
    *_, last = read(Piece(str(source), "jsonl", 0, source.stat().st_size, 1), Columns())
    counts = copied(source, "jsonl", [], scratch / "copy.jsonl")
    assert counts.rows == counts.passed == last.n_rows
    assert (scratch / "copy.jsonl").read_bytes() == source.read_bytes()


def test_cut_changes_the_text_and_no_other_byte(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"".join(LINES))
    copied(tmp_path / "a.jsonl", "jsonl", [True, True, True, None, None, True], tmp_path / "b.jsonl",
           {1: [(0, 3)], 5: [(0, 5), (8, 12)]})  # fmt: skip
    expected = LINES.copy()
    expected[1] = expected[1].replace(b"caf\\u00e9", b"\\u00e9")
    expected[7] = b'{"text": "\xe2\x80\xa8"}'
    assert (tmp_path / "b.jsonl").read_bytes() == b"".join(expected)


def test_line_of_many_megabytes_is_cut(tmp_path: Path) -> None:
    text = '"\\ é' * 300_000
    line = json.dumps({"x": [text], "text": text}).encode()
    (tmp_path / "a.jsonl").write_bytes(line)
    copied(tmp_path / "a.jsonl", "jsonl", [True], tmp_path / "b.jsonl", {0: [(0, len(text.encode()) - 5)]})
    assert json.loads((tmp_path / "b.jsonl").read_bytes()) == {"x": [text], "text": text[-4:]}


@pytest.mark.parametrize(
    "line", [b'{"text": "tiny"}', b'{"text": 7}', b'{"text"', b"{}", b"[1]", b'{"text": "\xff67890123"}']
)
def test_text_that_is_not_what_was_cut_is_refused(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "x"}\n' + line)
    with pytest.raises(InputChangedError, match="not what the run read") as caught:
        copied(tmp_path / "a.jsonl", "jsonl", [True, True], tmp_path / "b.jsonl", {1: [(5, 8)]})
    assert caught.value.row == 1
    assert not (tmp_path / "b.jsonl").exists()


def test_damaged_file_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"".join(LINES))[:-9])
    with pytest.raises(InputError, match="cannot be read"):
        copied(tmp_path / "a.jsonl.gz", "jsonl", [True] * 6, tmp_path / "out" / "b.jsonl.gz")
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "list-of-b.jsonl.gz"]
