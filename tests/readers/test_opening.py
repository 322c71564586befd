from __future__ import annotations

import bz2
import io
import lzma
import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pytest
import zstandard

from pipeline.errors import InputError
from pipeline.readers import formats, members, opening
from pipeline.readers.rows import Columns, Piece

Write = Callable[..., bytes]
Compression = tuple[str, Callable[[bytes], bytes]]

LINE = b'{"text": "some text that repeats"}\n'
ROWS = 30_000


def read_texts(uri: str) -> list[bytes]:
    piece = Piece(uri, formats.format_of(uri) or "", 0, 1, 0)
    return [text for rows in formats.read(piece, Columns()) for text in rows.texts.to_pylist()]


def xz(data: bytes) -> members.MembersStream:
    return members.MembersStream(io.BytesIO(data), "xz")


def test_a_compressed_file_is_read_whole(tmp_path: Path, compression: Compression) -> None:
    suffix, compress = compression
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(compress(LINE * ROWS))
    assert len(read_texts(str(path))) == ROWS


def test_every_member_of_a_compressed_file_is_read(tmp_path: Path, compression: Compression) -> None:
    suffix, compress = compression
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(compress(LINE * ROWS) + compress(b"") + compress(b'{"text"') + compress(b':"end"}'))
    texts = read_texts(str(path))
    assert len(texts) == ROWS + 1
    assert texts[-1] == b"end"


def test_a_zstandard_file_may_hold_skippable_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    skip = struct.pack("<II", 0x184D2A50, 5) + b"-----"
    frame = zstandard.ZstdCompressor().compress(LINE)
    path.write_bytes(skip + frame + skip + frame + skip)
    assert len(read_texts(str(path))) == 2


def test_a_zstandard_window_beyond_the_limit_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.zst"
    options = zstandard.ZstdCompressionParameters.from_level(1, window_log=28, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=options).compressobj()
    path.write_bytes(compressor.compress(LINE) + compressor.flush())
    with pytest.raises(InputError) as caught:
        read_texts(str(path))
    assert "--long" in str(caught.value.fix)


def test_a_truncated_compressed_file_is_an_error_wherever_it_was_cut(
    tmp_path: Path, compression: Compression
) -> None:
    suffix, compress = compression
    path = tmp_path / f"a.jsonl{suffix}"
    data = compress(LINE * 3)
    for kept in range(len(data)):
        path.write_bytes(data[:kept])
        with pytest.raises(InputError, match="cannot be read") as caught:
            read_texts(str(path))
        assert str(path) in str(caught.value)
        assert "restore" in str(caught.value.fix)


def test_a_file_cut_in_its_last_member_is_an_error(tmp_path: Path, compression: Compression) -> None:
    suffix, compress = compression
    path = tmp_path / f"a.txt{suffix}"
    first, second = compress(LINE), compress(LINE)
    for kept in range(1, len(second)):
        path.write_bytes(first + second[:kept])
        with pytest.raises(InputError):
            read_texts(str(path))


@pytest.mark.parametrize("kind", ["jsonl", "csv", "txt"])
def test_a_file_that_is_not_compressed_as_named_is_an_error(
    tmp_path: Path, compression: Compression, kind: str
) -> None:
    path = tmp_path / f"a.{kind}{compression[0]}"
    path.write_bytes(b'text\n{"text": "plain text, not compressed at all"}\n' * 10)
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_texts(str(path))
    assert "compressed as its name says" in str(caught.value.expected)
    assert caught.value.got


def test_bytes_after_the_last_member_are_an_error(tmp_path: Path, compression: Compression) -> None:
    suffix, compress = compression
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(compress(LINE) + b"these bytes are nothing that was compressed")
    with pytest.raises(InputError):
        read_texts(str(path))


def test_damage_in_the_middle_is_an_error(tmp_path: Path, compression: Compression) -> None:
    suffix, compress = compression
    path = tmp_path / f"a.jsonl{suffix}"
    data = bytearray(compress(b"".join(b'{"text": "%d"}\n' % i for i in range(20_000))))
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    if suffix == ".zst":  # without a checksum, zstandard may decode damage to other content
        data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
        path.write_bytes(data)
    with pytest.raises(InputError):
        read_texts(str(path))


@pytest.mark.parametrize("n_members", [2, 3, 1000])
def test_many_members_are_read(tmp_path: Path, compression: Compression, n_members: int) -> None:
    suffix, compress = compression
    path = tmp_path / f"a.txt{suffix}"
    member = compress(b"0123456789")
    path.write_bytes(member * n_members + compress(b""))
    assert read_texts(str(path)) == [b"0123456789" * n_members]


@pytest.mark.parametrize("block_bytes", [1, 2, 7, 50])
@pytest.mark.parametrize("kind", ["bz2", "xz"])
def test_members_do_not_depend_on_how_the_file_is_read(
    monkeypatch: pytest.MonkeyPatch, kind: str, block_bytes: int
) -> None:
    monkeypatch.setattr(members, "READ_BYTES", block_bytes)
    compress = bz2.compress if kind == "bz2" else lzma.compress
    data = compress(b"a" * 5000) + compress(b"") + compress(b"b")
    stream = io.BufferedReader(members.MembersStream(io.BytesIO(data), kind), block_bytes)
    assert stream.read() == b"a" * 5000 + b"b"


@pytest.mark.parametrize("padding", [0, 4, 8, 600_000])
def test_xz_members_may_be_padded(padding: int) -> None:
    data = lzma.compress(b"a" * 100_000) + bytes(padding) + lzma.compress(b"b") + bytes(padding)
    assert io.BufferedReader(xz(data)).read() == b"a" * 100_000 + b"b"


def test_an_xz_file_of_zeros_alone_is_an_error() -> None:
    with pytest.raises(lzma.LZMAError):
        xz(bytes(1000)).read()


def test_xz_content_comes_out_in_bounded_pieces() -> None:
    stream = xz(lzma.compress(bytes(10_000_000)))
    sizes = []
    while block := stream.read(1000):
        sizes.append(len(block))
    assert sum(sizes) == 10_000_000
    assert max(sizes) <= 1000


@pytest.mark.parametrize("kind", formats.FORMATS)
def test_a_missing_file_is_an_error(tmp_path: Path, kind: str) -> None:
    uri = str(tmp_path / "gone")
    with pytest.raises(InputError, match="cannot be opened") as caught:
        list(formats.read(Piece(uri, kind, 0, 1, 1), Columns()))
    assert uri in str(caught.value)
    assert "no such file" in str(caught.value.got)
    assert caught.value.fix


@pytest.mark.parametrize("uri", ["nope://bucket/a.txt", "/"])
def test_a_location_that_cannot_be_read_is_an_error(uri: str) -> None:
    with pytest.raises(InputError) as caught:
        list(formats.read(Piece(uri, "text", 0, 1, 1), Columns()))
    assert uri in str(caught.value)


def test_errors_survive_pickling(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_texts(str(tmp_path / "gone.txt"))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_failure_while_reading_is_an_error_with_a_printable_cause() -> None:
    with pytest.raises(InputError) as caught, opening.reading("a\x1b.txt", "a file"):
        raise OSError("device \x1b[31m failed\n" + "x" * 1000)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value.got)) <= 200


def test_a_defect_is_not_called_a_damaged_file() -> None:
    with pytest.raises(KeyError), opening.reading("a.txt", "a file"):
        raise KeyError("x")


@pytest.mark.parametrize("name", ["a b.txt", "a::b.txt", "a#b?c.txt", "a%20b.txt", "[a]*.txt", "ä.txt"])
def test_a_local_path_is_taken_literally(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"content")
    assert read_texts(str(path)) == [b"content"]
    assert read_texts(f"file://{path}") == [b"content"]


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/readers", recursive=True)


def test_every_fsspec_location_is_read(
    memory: Any, parquet_bytes: Write, arrow_bytes: Write, compression: Compression
) -> None:
    suffix, compress = compression
    table = pa.table({"text": ["a", "b"]})
    contents = {
        f"a.jsonl{suffix}": compress(b'{"text": "a"}\n{"text": "b"}'),
        "a.jsonl": b'{"text": "a"}\n{"text": "b"}',
        "a.csv": b"text\na\nb",
        f"a.tsv{suffix}": compress(b"text\na\nb"),
        "a.parquet": parquet_bytes(table),
        "a.arrow": arrow_bytes(table),
        "b.arrow": arrow_bytes(table, stream=True),
    }
    for name, data in contents.items():
        uri = f"memory://readers/{name}"
        memory.pipe(uri, data)
        texts = []
        for piece in formats.pieces(uri, formats.format_of(uri) or "", len(data), 1):
            texts += [t for rows in formats.read(piece, Columns()) for t in rows.texts.to_pylist()]
        assert texts == [b"a", b"b"], name


def test_a_file_is_closed_also_where_reading_stops_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINE * 1000)
    opened: list[pa.NativeFile] = []
    plain = opening._open

    def noted(uri: str) -> pa.NativeFile:
        opened.append(plain(uri))
        return opened[-1]

    monkeypatch.setattr(opening, "_open", noted)
    batches: Any = formats.read(Piece(str(path), "jsonl", 0, path.stat().st_size, 0), Columns(), 100)
    next(batches)
    assert not opened[0].closed
    batches.close()
    assert opened[0].closed
