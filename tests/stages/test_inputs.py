"""Which files are audited, how they are told apart, how they are cut into shards."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipeline.errors import ConfigError, InputChangedError, InputError
from pipeline.stages import inputs
from pipeline.stages.inputs import (
    EDGE_BYTES,
    InputFile,
    Listing,
    check_unchanged,
    fingerprint,
    inspect,
    list_files,
    source_of,
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of its own for input files."""
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def _fill(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f'{{"text": "{name}"}}\n'.encode())


def _names(listing: Listing, folder: Path) -> list[str]:
    return [os.path.relpath(file.uri, folder) for file in listing.files]


def _one(path: Path | str, format: str = "auto") -> InputFile:
    (file,) = list_files([str(path)], format).files
    return file


# --- listing --------------------------------------------------------------------------------------


def test_folder_gives_its_data_and_counts_what_lies_beside(data: Path) -> None:
    _fill(data, "b.jsonl", "a.parquet", "sub/deep/c.csv", "d.tsv", "e.arrow", "f.json.gz")
    _fill(data, "README.md", "sub/notes.txt", "image.png", "model.safetensors", "sub/x.parquet.gz")
    _fill(data, ".hidden.jsonl", "_SUCCESS", "sub/.cache/g.jsonl", "_temporary/h.parquet")
    listing = list_files([str(data)], "auto")
    assert _names(listing, data) == [
        "a.parquet",
        "b.jsonl",
        "d.tsv",
        "e.arrow",
        "f.json.gz",
        "sub/deep/c.csv",
    ]
    assert [file.format for file in listing.files] == ["parquet", "jsonl", "tsv", "arrow", "jsonl", "csv"]
    assert listing.passed_over == {"hidden": 3, "not text, by its name": 3, "text beside the data": 3}


def test_folder_without_data_gives_its_texts(data: Path) -> None:
    _fill(
        data, "a.py", "b.md", "LICENSE", "sub/c", "d.png", ".git/config", "pkg/__init__.py", "pkg/_private.py"
    )
    listing = list_files([str(data)], "auto")
    assert _names(listing, data) == ["LICENSE", "a.py", "b.md", "pkg/__init__.py", "pkg/_private.py", "sub/c"]
    assert {file.format for file in listing.files} == {"text"}
    assert listing.passed_over == {"hidden": 1, "not text, by its name": 1}


def test_hidden_parents_of_the_folder_do_not_hide_it(tmp_path: Path) -> None:
    _fill(tmp_path, ".cache/_x/data/a.jsonl")
    assert _names(list_files([str(tmp_path / ".cache/_x/data")], "auto"), tmp_path) == [
        ".cache/_x/data/a.jsonl"
    ]


def test_format_picks_from_a_folder(data: Path) -> None:
    _fill(data, "a.jsonl", "b.md", "c.csv")
    listing = list_files([str(data)], "csv")
    assert _names(listing, data) == ["c.csv"]
    assert listing.passed_over == {"jsonl beside the data": 1, "text beside the data": 1}
    assert _names(list_files([str(data)], "text"), data) == ["b.md"]


def test_named_file_is_taken_whatever_it_is_called(data: Path) -> None:
    _fill(data, ".hidden.jsonl", "_x.csv", "strange.data", "dump")
    assert _one(data / ".hidden.jsonl").format == "jsonl"
    assert _one(data / "_x.csv").format == "csv"
    assert _one(data / "strange.data").format == "text"
    assert _one(data / "dump", "jsonl").format == "jsonl"
    assert _one(data / "_x.csv", "text").format == "text"


def test_named_file_of_no_known_format_is_refused(data: Path) -> None:
    _fill(data, "a.png")
    with pytest.raises(ConfigError, match="not of a known format") as caught:
        list_files([str(data / "a.png")], "auto")
    assert caught.value.where == str(data / "a.png")
    assert _one(data / "a.png", "text").format == "text"


def test_glob_gives_the_files_it_matches(data: Path) -> None:
    _fill(data, "a.jsonl", "b.jsonl", "c.csv", "sub/d.jsonl", "_e.jsonl")
    (data / "folder.jsonl").mkdir()
    assert _names(list_files([str(data / "*.jsonl")], "auto"), data) == ["_e.jsonl", "a.jsonl", "b.jsonl"]
    found = _names(list_files([str(data / "**/*.jsonl")], "auto"), data)
    assert found == ["_e.jsonl", "a.jsonl", "b.jsonl", "sub/d.jsonl"]
    assert _names(list_files([str(data / "[ab].jsonl")], "auto"), data) == ["a.jsonl", "b.jsonl"]


def test_file_named_like_a_glob_is_itself(data: Path) -> None:
    _fill(data, "a[1].jsonl", "a1.jsonl")
    assert _names(list_files([str(data / "a[1].jsonl")], "auto"), data) == ["a[1].jsonl"]


def test_any_local_name_is_taken_literally(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        " a .txt",
        "Foo::Bar.3pm",
        "b[1].txt",
        "c*.txt",
        "d?.txt",
        "e%20f.txt",
        "file:g",
        "{h}.txt",
        "~i",
    ]
    for name in names:
        (data / name).write_text(name)
    listing = list_files([str(data)], "text")
    assert _names(listing, data) == names
    assert [item.problem for item in inspect(listing.files, 10)] == [None] * len(names)
    for file in listing.files:
        check_unchanged(file)
        assert list_files([file.uri], "text").files == (file,)
    monkeypatch.chdir(data)
    assert _one("Foo::Bar.3pm", "text").uri == str(data / "Foo::Bar.3pm")


def test_files_stand_once_in_order_of_their_uris(data: Path) -> None:
    _fill(data, "b.jsonl", "a.jsonl", "ä.jsonl", "B.jsonl", "a/z.jsonl", "c.jsonl")
    patterns = [str(data / "c.jsonl"), str(data), str(data / "*.jsonl"), str(data / "a"), str(data) + "/"]
    found = [_names(list_files(order, "auto"), data) for order in (patterns, patterns[::-1])]
    assert found[0] == found[1] == ["B.jsonl", "a.jsonl", "a/z.jsonl", "b.jsonl", "c.jsonl", "ä.jsonl"]


def test_relative_path_becomes_the_whole_uri(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(data, "a.jsonl")
    monkeypatch.chdir(data.parent)
    for pattern in ("data", "data/a.jsonl", "./data/*.jsonl", f"file://{data}/a.jsonl"):
        assert _one(pattern).uri == str(data / "a.jsonl")


@pytest.mark.parametrize(
    ("pattern", "got"),
    [
        ("none", "nothing there"),
        ("none/*.jsonl", "nothing there"),
        ("empty", "nothing there"),
        ("pics", "1 files, none of them data"),
    ],
)
def test_pattern_that_finds_nothing_is_refused(data: Path, pattern: str, got: str) -> None:
    _fill(data, "a.jsonl", "pics/a.png")
    (data / "empty").mkdir()
    with pytest.raises(ConfigError, match="no file to audit at") as caught:
        list_files([str(data), str(data / pattern)], "auto")
    assert pattern in caught.value.what
    assert caught.value.got == got


@pytest.mark.parametrize("pattern", ["nosuch://bucket/a", "dir://a", "reference://", "zip://a::none.zip"])
def test_location_that_cannot_be_listed_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="cannot list"):
        list_files([pattern], "auto")


def test_too_many_files_are_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(data, "a.jsonl", "b.jsonl")
    monkeypatch.setattr(inputs, "MAX_FILES", 2)
    with pytest.raises(ConfigError, match="too many files: 2"):
        list_files([str(data)], "auto")


# --- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["links", "links/*.jsonl", "links/a.jsonl"])
def test_link_to_a_file_is_the_file(data: Path, pattern: str) -> None:
    _fill(data, "store/1f2e")
    os.utime(data / "store/1f2e", (1000, 1000))
    (data / "links").mkdir()
    (data / "links/a.jsonl").symlink_to("../store/1f2e")
    file = _one(data / pattern)
    assert (file.uri, file.format) == (str(data / "links/a.jsonl"), "jsonl")
    assert file.size_bytes == (data / "store/1f2e").stat().st_size
    check_unchanged(file)
    (data / "store/1f2e").write_bytes(b"other")
    with pytest.raises(InputChangedError):
        check_unchanged(file)


@pytest.mark.parametrize("pattern", ["links", "links/*.txt"])
def test_dangling_link_is_a_file_that_cannot_be_read(data: Path, pattern: str) -> None:
    (data / "links").mkdir()
    (data / "links/a.txt").symlink_to("nowhere")
    (found,) = inspect([_one(data / pattern)], 100)
    assert isinstance(found.problem, InputError)
    assert found.problem.where == str(data / "links/a.txt")


def test_link_to_a_folder_and_a_pipe_are_passed_over(data: Path) -> None:
    _fill(data, "store/a.txt", "links/b.txt")
    (data / "links/more").symlink_to("../store")
    os.mkfifo(data / "links/pipe.txt")
    listing = list_files([str(data / "links")], "auto")
    assert _names(listing, data) == ["links/b.txt"]
    assert listing.passed_over == {"not a file": 2}


# --- other file systems ---------------------------------------------------------------------------


@pytest.fixture
def memory() -> Iterator[str]:
    """The URL of an empty folder in fsspec's memory."""
    files, name = fsspec.filesystem("memory"), f"/{uuid.uuid4().hex}"
    files.mkdir(name)
    yield f"memory:/{name}"
    files.rm(name, recursive=True)


def test_any_file_system_is_listed_and_inspected(memory: str) -> None:
    files = fsspec.filesystem("memory")
    for name in ("b.jsonl", "sub/a.jsonl", "notes.txt", ".c.jsonl"):
        files.pipe(f"{memory}/{name}", b'{"text": "x"}\n' * 3)
    listing = list_files([memory], "auto")
    root = memory.replace("memory://", "memory:///")
    assert [file.uri for file in listing.files] == [f"{root}/b.jsonl", f"{root}/sub/a.jsonl"]
    assert listing.passed_over == {"hidden": 1, "text beside the data": 1}
    assert list_files([f"{memory}/*.jsonl", f"{memory}/sub/a.jsonl"], "auto").files == (
        _one(f"{memory}/.c.jsonl"),
        *listing.files,
    )
    found = inspect(listing.files, 20)
    assert [[piece.start for piece in item.pieces] for item in found] == [[0, 20, 40], [0, 20, 40]]
    check_unchanged(listing.files[0])
    files.pipe(f"{memory}/b.jsonl", b'{"text": "y"}\n' * 4)
    with pytest.raises(InputChangedError):
        check_unchanged(listing.files[0])


def test_store_that_remembers_its_listing_is_asked_anew(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files, kept = fsspec.filesystem("memory"), dict[str, Any]()
    ask = MemoryFileSystem.info

    def remembered(self: Any, path: str, **options: Any) -> Any:
        return kept.setdefault(path, ask(self, path, **options))

    monkeypatch.setattr(MemoryFileSystem, "info", remembered)
    monkeypatch.setattr(MemoryFileSystem, "invalidate_cache", lambda *_: kept.clear())
    files.pipe(f"{memory}/a.txt", b"before")
    file = _one(f"{memory}/a.txt")
    check_unchanged(file)
    files.pipe(f"{memory}/a.txt", b"before and after")
    with pytest.raises(InputChangedError):
        check_unchanged(file)


# --- fingerprints ---------------------------------------------------------------------------------


def _print(path: Path) -> str:
    return fingerprint(_one(path, "text"))


def test_fingerprint_stays_when_a_file_moves(data: Path) -> None:
    _fill(data, "a.jsonl")
    before = _print(data / "a.jsonl")
    assert len(before) == 32
    (data / "sub").mkdir()
    shutil.copy(data / "a.jsonl", data / "sub" / "other name.txt")
    os.utime(data / "sub" / "other name.txt", (1, 1))
    assert _print(data / "sub" / "other name.txt") == before


@pytest.mark.parametrize("size", [0, 1, 1000, EDGE_BYTES, EDGE_BYTES + 1, 2 * EDGE_BYTES, 3 * EDGE_BYTES])
def test_fingerprint_tells_files_apart_by_head_tail_and_size(data: Path, size: int) -> None:
    content = bytearray(os.urandom(size))
    variants = [bytes(content), bytes(content) + b"\0"]
    for place in sorted({0, min(size, EDGE_BYTES) - 1, max(size - EDGE_BYTES, 0), size - 1}) if size else []:
        changed = bytearray(content)
        changed[place] ^= 1
        variants.append(bytes(changed))
    prints = []
    for number, variant in enumerate(variants):
        (data / str(number)).write_bytes(variant)
        prints.append(_print(data / str(number)))
    assert len(set(prints)) == len(variants)


@pytest.mark.parametrize(("magic", "width"), [(b"PAR1", 4), (b"ARROW1", 4)])
def test_fingerprint_covers_a_footer_of_any_length(data: Path, magic: bytes, width: int) -> None:
    footer = os.urandom(3 * EDGE_BYTES)
    body = os.urandom(2 * EDGE_BYTES)
    prints = set()
    for place in (None, 0, EDGE_BYTES, 3 * EDGE_BYTES - 1):
        changed = bytearray(footer)
        if place is not None:
            changed[place] ^= 1
        content = body + bytes(changed) + len(footer).to_bytes(width, "little") + magic
        (data / "file").write_bytes(content)
        prints.add(_print(data / "file"))
    assert len(prints) == 4
    (data / "file").write_bytes(body[:-1] + b"x" + footer + len(footer).to_bytes(width, "little") + magic)
    assert len(prints | {_print(data / "file")}) == 4, "what lies before the footer is not covered"


@pytest.mark.parametrize("length", [0, 5, -7, 2**31 - 1])
@pytest.mark.parametrize("magic", [b"PAR1", b"ARROW1"])
def test_fingerprint_of_a_file_that_lies_about_its_footer_covers_its_tail(
    data: Path, magic: bytes, length: int
) -> None:
    content = bytearray(os.urandom(3 * EDGE_BYTES) + length.to_bytes(4, "little", signed=True) + magic)
    (data / "file").write_bytes(content)
    before = _print(data / "file")
    content[-EDGE_BYTES] ^= 1
    (data / "file").write_bytes(content)
    assert _print(data / "file") != before


def test_fingerprint_of_a_parquet_file_covers_its_whole_footer(data: Path) -> None:
    columns = {f"a column of this long name, {i}": [1] for i in range(2000)}
    prints = []
    for name in ("first", "other"):
        table = pa.table({**columns, "text": ["x" * 5]}).replace_schema_metadata({"name": name * 3})
        pq.write_table(table, data / "a.parquet", compression="none", write_statistics=False)
        prints.append(_print(data / "a.parquet"))
    assert pq.read_metadata(data / "a.parquet").serialized_size > EDGE_BYTES
    assert prints[0] != prints[1]


def test_content_is_the_fingerprint_with_the_time_or_a_hash_of_everything(data: Path) -> None:
    path = data / "a.txt"
    content = bytearray(os.urandom(4 * EDGE_BYTES))
    path.write_bytes(content)
    os.utime(path, (1, 1))
    (edges,) = inspect([_one(path)], 100)
    (whole,) = inspect([_one(path)], 100, whole=True)
    os.utime(path, (2, 2))
    assert inspect([_one(path)], 100)[0].content != edges.content
    assert inspect([_one(path)], 100, whole=True)[0].content == whole.content
    content[2 * EDGE_BYTES] ^= 1
    path.write_bytes(content)
    os.utime(path, (1, 1))
    assert inspect([_one(path)], 100)[0].content == edges.content, "neither edge nor time tells it"
    assert inspect([_one(path)], 100, whole=True)[0].content != whole.content
    assert inspect([_one(path)], 100)[0].fingerprint == edges.fingerprint == whole.fingerprint


def test_fingerprint_of_a_file_that_cannot_be_read_names_it(data: Path) -> None:
    gone = InputFile(str(data / "gone"), "text", 5, "")
    with pytest.raises(InputError, match="cannot be opened") as caught:
        fingerprint(gone)
    assert caught.value.where == str(data / "gone")


# --- inspection -----------------------------------------------------------------------------------


def test_inspection_gives_pieces_or_a_problem(data: Path) -> None:
    _fill(data, "a.jsonl", "b.txt")
    (data / "c.parquet").write_bytes(b"PAR1 but no more")
    (data / "d.parquet").write_bytes(b"")
    listed = [_one(data / name) for name in ("a.jsonl", "b.txt", "c.parquet", "d.parquet")]
    good, text, *bad = inspect(listed, 10)
    assert [piece.start for piece in good.pieces] == [0, 10]
    assert sum(piece.size_bytes for piece in good.pieces) == listed[0].size_bytes
    assert [(piece.start, piece.stop) for piece in text.pieces] == [(0, 1)]
    for item, file in zip(bad, listed[2:], strict=True):
        assert item.pieces == ()
        assert item.problem is not None
        assert item.problem.where == file.uri


# --- files that change ----------------------------------------------------------------------------


def test_file_as_it_was_is_unchanged(data: Path) -> None:
    _fill(data, "a.jsonl")
    check_unchanged(_one(data / "a.jsonl"))


@pytest.mark.parametrize("change", ["longer", "same size", "touched", "gone"])
def test_changed_file_is_told(data: Path, change: str) -> None:
    path = data / "a.txt"
    path.write_bytes(b"before")
    os.utime(path, (1000, 1000))
    file = _one(path)
    if change == "gone":
        path.unlink()
    elif change == "touched":
        os.utime(path, (1000, 1001))
    else:
        path.write_bytes(b"before and after" if change == "longer" else b"behind")
    with pytest.raises(InputChangedError, match="is gone" if change == "gone" else "changed") as caught:
        check_unchanged(file)
    assert caught.value.where == str(path)
    assert str(caught.value.expected).startswith("6 bytes")


# --- sources --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "source"),
    [
        (None, None),
        ("site-packages/([^/]+)", "numpy"),
        ("([a-z]+)$", "py"),
        ("nowhere/(x)", None),
        ("numpy/(missing)?", None),
        ("^/venv(.*?)/numpy", "/lib/site-packages"),
    ],
)
def test_source_is_what_the_expression_finds_in_the_path(expression: str | None, source: str | None) -> None:
    assert source_of("/venv/lib/site-packages/numpy/core.py", expression) == source
