from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.readers import formats
from pipeline.readers.rows import Columns, Piece


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.parquet", "parquet"),
        ("a.pq", "parquet"),
        ("A.PARQUET", "parquet"),
        ("a.jsonl", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("a.json", "jsonl"),
        ("a.jsonl.gz", "jsonl"),
        ("a.json.zst", "jsonl"),
        ("a.csv", "csv"),
        ("a.csv.bz2", "csv"),
        ("a.tsv", "tsv"),
        ("a.tsv.XZ", "tsv"),
        ("a.arrow", "arrow"),
        ("a.feather", "arrow"),
        ("a.ipc", "arrow"),
        ("a.txt", "text"),
        ("a.txt.gz", "text"),
        ("a.py", "text"),
        ("README", "text"),
        (".gitignore", "text"),
        ("notes.gz", "text"),
        ("a.b.c", "text"),
        ("folder.parquet/a.txt", "text"),
        ("s3://bucket/key/part-0.parquet", "parquet"),
        ("https://host/a.jsonl.gz?download=true#x", "jsonl"),
        ("/data/what?.csv", "csv"),
    ],
)
def test_the_name_tells_the_format(name: str, expected: str) -> None:
    assert formats.format_of(name) == expected


@pytest.mark.parametrize(
    "name",
    ["m.pyc", "lib.so", "x.PNG", "p.whl", "a.zip", "a.tar", "a.tar.gz", "a.tgz", "w.safetensors", "a.pdf"],
)
def test_binary_names_have_no_format(name: str) -> None:
    assert formats.format_of(name) is None


@pytest.mark.parametrize("name", ["a.parquet.gz", "a.arrow.zst", "a.feather.xz"])
def test_formats_that_compress_inside_are_not_compressed_outside(name: str) -> None:
    assert formats.format_of(name) is None


def test_every_format_that_a_name_can_tell_has_a_reader() -> None:
    assert set(formats.SUFFIXES.values()) | {"text"} == set(formats.FORMATS)


def test_a_format_without_reader_is_refused() -> None:
    with pytest.raises(ConfigError, match="no reader") as caught:
        formats.pieces("a", "orc\x1b", 1, 1)
    assert "parquet" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    with pytest.raises(ConfigError):
        formats.read(Piece("a", "orc", 0, 1, 1), Columns())


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt", "a.csv.gz", "a.jsonl.gz"])
def test_a_format_that_cannot_be_entered_in_the_middle_is_one_piece(name: str) -> None:
    kind = formats.format_of(name)
    assert kind is not None
    assert formats.pieces(name, kind, 100, 1) == [Piece(name, kind, 0, 1, 100)]


def test_pieces_and_rows_can_be_pickled(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "id": 1}\n[]\n')
    (piece,) = formats.pieces(str(path), "jsonl", path.stat().st_size, 1000)
    (rows,) = formats.read(pickle.loads(pickle.dumps(piece)), Columns(id="id"))
    assert pickle.loads(pickle.dumps(rows)) == rows
