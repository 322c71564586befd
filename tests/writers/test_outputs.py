"""Files that are written, here and elsewhere."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pipeline.errors import AuditError
from pipeline.writers import outputs
from pipeline.writers.outputs import compressed, open_output
from tests.keep_lists import copied


def test_file_appears_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"
    with open_output(str(path)) as sink:
        sink.write(b"content")
        assert not path.exists()
    assert path.read_bytes() == b"content"
    assert [found.name for found in path.parent.iterdir()] == ["file"]


def test_file_elsewhere_is_written() -> None:
    with open_output("memory://outputs-test/deep/file") as sink, compressed(sink, "zstd") as stream:
        stream.write(b"content")
    fs = fsspec.filesystem("memory")
    assert fs.cat("/outputs-test/deep/file")[:4] == b"\x28\xb5\x2f\xfd"
    fs.rm("/outputs-test", recursive=True)


@pytest.mark.parametrize("name", ["::[1]*", "q?x=#1", "ü\n'\"", "\udcff", "x" * 250])
def test_names_are_taken_literally(tmp_path: Path, name: str) -> None:
    with open_output(f"{tmp_path}/{name}") as sink:
        sink.write(b"x")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_nothing_is_left_of_a_file_that_fails(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broken"), open_output(str(tmp_path / "file")) as sink:  # noqa: PT012
        sink.write(b"x")
        raise ValueError("broken")
    assert list(tmp_path.iterdir()) == []


def test_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(AuditError, match="cannot write a file") as caught,
        open_output(str(tmp_path / "file" / "x")),
    ):
        pass
    assert caught.value.where == str(tmp_path / "file" / "x")
    assert caught.value.fix


class _Full:
    """A file on a disk without room."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_disk_that_is_full_is_no_fault_of_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    source = tmp_path / f"a.{suffix}"
    with (
        open_output(str(source)) as sink,
        compressed(sink, {"gz": "gzip", "zst": "zstd"}.get(suffix[6:])) as stream,
    ):
        stream.write(b'{"text": "a"}\n')
    original = outputs._Sink
    monkeypatch.setattr(outputs, "_Sink", lambda sink, location: original(_Full(sink), location))  # type: ignore[arg-type]
    with pytest.raises(AuditError, match="cannot write a file") as caught:
        copied(source, "jsonl", [True], tmp_path / "out" / f"b.{suffix}")
    assert "No space left" in str(caught.value.got)
    assert caught.value.where == str(tmp_path / "out" / f"b.{suffix}")
