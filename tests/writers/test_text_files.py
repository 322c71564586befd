"""Copies of text files."""

from __future__ import annotations

import gzip
from pathlib import Path

from tests.keep_lists import copied


def test_file_that_stays_is_the_same_bytes(tmp_path: Path) -> None:
    data = gzip.compress(b"a text\r\n\xff", mtime=7)  # not audited, since it is no UTF-8
    (tmp_path / "a.txt.gz").write_bytes(data)
    counts = copied(tmp_path / "a.txt.gz", "text", [None], tmp_path / "b.txt.gz")
    assert (counts.written, counts.rows, counts.kept, counts.passed) == (True, 1, 0, 1)
    assert (tmp_path / "b.txt.gz").read_bytes() == data


def test_file_that_goes_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a text")
    counts = copied(tmp_path / "a.txt", "text", [False], tmp_path / "b.txt")
    assert (counts.written, counts.rows, counts.dropped) == (False, 1, 1)
    assert not (tmp_path / "b.txt").exists()


def test_file_is_cut(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress("één twee\r\ndrie".encode()))
    copied(tmp_path / "a.txt.gz", "text", [True], tmp_path / "b.txt.gz", {0: [(0, 6)]})
    assert gzip.decompress((tmp_path / "b.txt.gz").read_bytes()) == b"twee\r\ndrie"
