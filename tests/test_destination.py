"""Places for a filtered copy: which are taken, and how it gets there."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from pipeline.destination import Destination, destination, placed, relative_paths
from pipeline.errors import AuditError, ConfigError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of audited data."""
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "data" / "a.jsonl").write_text("{}")
    return tmp_path / "data"


def _refused(out: Path | str, audited: list[str], ours: list[Path], words: str) -> ConfigError:
    with pytest.raises(ConfigError, match=words) as caught:
        destination(str(out), audited, ours)
    error = caught.value
    assert error.where == f"--write {out}"
    assert error.fix
    return error


def test_new_and_empty_folders_are_taken(tmp_path: Path, data: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("new/folder", "empty", "data-copy"):
        found = destination(str(tmp_path / name), [str(data)], [tmp_path / "run"])
        assert found.location == str(tmp_path / name)
        assert os.path.dirname(found.staging) == os.path.dirname(found.location)


def test_relative_place_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert destination("out/", [], []).location == str(tmp_path / "out")


@pytest.mark.parametrize("out", ["data", "data/", "data/new", "data/deep/../new", "link", "link/new"])
def test_place_among_the_audited_data_is_refused(tmp_path: Path, out: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    for audited in ("data", "link"):
        error = _refused(f"{tmp_path}/{out}", [f"{tmp_path}/{audited}"], [], "among the audited data")
        assert error.expected == f"a folder outside {tmp_path}/data"


def test_place_beside_audited_files_is_taken(data: Path) -> None:
    for pattern in (f"{data}/*.jsonl", f"{data}/a.jsonl"):
        assert destination(f"{data}/copy", [pattern], []).location == f"{data}/copy"


@pytest.mark.parametrize("out", ["runs/monday", "runs/monday/new", "runs", "lists", "lists/x/y"])
def test_place_among_the_tables_is_refused(tmp_path: Path, out: str) -> None:
    _refused(tmp_path / out, [], [tmp_path / "runs" / "monday", tmp_path / "lists" / "x"], "tables of a run")


def test_place_that_holds_something_is_refused(tmp_path: Path, data: Path) -> None:
    assert _refused(data, [], [], "is taken").got == "a folder that holds 2 files or folders"
    assert _refused(data / "a.jsonl", [], [], "is taken").got == "a file"


def test_place_that_cannot_be_looked_at_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot look") as caught:
        destination("nosuch://bucket/x", [], [])
    assert "nosuch" in str(caught.value.got)
    assert caught.value.where == "nosuch://bucket/x"


def test_place_elsewhere_is_written_to_directly() -> None:
    fs = fsspec.filesystem("memory")
    found = destination("memory://keep-test/new", [], [])
    assert found == Destination("memory:///keep-test/new", "memory:///keep-test/new")
    fs.pipe("/keep-test/in/a.txt", b"x")
    _refused("memory://keep-test/in/new", ["memory://keep-test/in"], [], "among the audited data")
    _refused("memory://keep-test/in", [], [], "is taken")
    fs.rm("/keep-test", recursive=True)


# --- how it gets there ------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [False, True])
def test_copy_appears_whole(tmp_path: Path, empty: bool) -> None:
    (tmp_path / "out").mkdir() if empty else None
    copy = destination(str(tmp_path / "out"), [], [])
    with placed(copy):
        os.makedirs(copy.staging)
        Path(copy.staging, "a").write_text("x")
        assert not (tmp_path / "out" / "a").exists()
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "a"]


def test_copy_without_files_is_an_empty_folder(tmp_path: Path) -> None:
    with placed(destination(str(tmp_path / "deep" / "out"), [], [])):
        pass
    assert list((tmp_path / "deep" / "out").iterdir()) == []


def test_nothing_is_left_after_an_error(tmp_path: Path) -> None:
    copy = destination(str(tmp_path / "out"), [], [])
    elsewhere = destination("memory://keep-test/out", [], [])
    fs = fsspec.filesystem("memory")
    for place in (copy, elsewhere):
        with pytest.raises(ValueError, match="broken"), placed(place):  # noqa: PT012
            with fsspec.open(f"{place.staging}/a", "wb", auto_mkdir=True) as file:
                file.write(b"x")
            raise ValueError("broken")
    assert list(tmp_path.iterdir()) == []
    assert not fs.exists("/keep-test/out")


def test_place_that_was_taken_meanwhile_is_told(tmp_path: Path) -> None:
    copy = destination(str(tmp_path / "out"), [], [])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "theirs").write_text("x")
    with pytest.raises(AuditError, match="in its place") as caught, placed(copy):
        pass
    assert caught.value.where == str(tmp_path / "out")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "theirs"]


# --- paths below it ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uris", "paths"),
    [
        ([], []),
        (["/a/b/c.jsonl"], ["c.jsonl"]),
        (["/a/b/c", "/a/b/d"], ["c", "d"]),
        (["/a/b/c", "/a/bb/d"], ["b/c", "bb/d"]),
        (["/a/b/c", "/a/d", "/a/b/e/f"], ["b/c", "d", "b/e/f"]),
        (["/a//b/../c/x", "/a/c/y"], ["x", "y"]),
        (["s3://one/x/a", "s3://two/a"], ["one/x/a", "two/a"]),
        (["s3://one/x/a?b", "s3://one/x/y/c#d"], ["a?b", "y/c#d"]),
        (["/one/a", "s3://two/a"], ["file/one/a", "s3/two/a"]),
        (["/d/odd\nname", "/d/\udcff", "/d/ü"], ["odd\nname", "\udcff", "ü"]),
    ],
)
def test_paths_are_relative_to_the_parent_of_all(uris: list[str], paths: list[str]) -> None:
    assert relative_paths(uris) == paths


@pytest.mark.parametrize("key", ["../x", "a/../../x", "a//x", "./x"])
def test_path_that_leads_elsewhere_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match="no place of its own") as caught:
        relative_paths(["s3://bucket/y", f"s3://bucket/{key}"])
    assert caught.value.where == f"s3://bucket/{key}"


def test_two_files_in_one_place_are_refused() -> None:
    with pytest.raises(ConfigError, match="no place of its own") as caught:
        relative_paths(["/d/a", "/d/b/../a"])
    assert caught.value.got == "the place of /d/a"
