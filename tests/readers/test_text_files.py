from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.readers.rows import Columns

Read = Callable[..., Any]
Compression = tuple[str, Callable[[bytes], bytes]]


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"a\r\nb\n", b"\xef\xbb\xbfa", b"\xff\xfe\0\0", b"x" * 3_000_000]
)
def test_a_file_is_one_document_byte_for_byte(tmp_path: Path, read_file: Read, data: bytes) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    content = read_file(path, batch_bytes=64 * 1024)
    assert content.texts == [data]
    assert content.rows == [0]
    assert content.n_rows == 1
    assert len(content.batches) == 1


def test_a_text_file_has_no_labels(tmp_path: Path, read_file: Read) -> None:
    path = tmp_path / "README"
    path.write_bytes(b"text")
    content = read_file(path, Columns(text="body", id="id", source="source"))
    assert content.ids == [None]
    assert content.sources == [None]
    assert content.batches[0].licences is None


def test_a_compressed_text_file_is_one_document(
    tmp_path: Path, read_file: Read, compression: Compression
) -> None:
    suffix, compress = compression
    path = tmp_path / f"a.py{suffix}"
    path.write_bytes(compress(b"import this\n" * 100_000))
    assert read_file(path).texts == [b"import this\n" * 100_000]
    path.write_bytes(compress(b""))
    assert read_file(path).texts == [b""]
