"""What a run leaves in an index is what the next one finds; which files are new to it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import index as index_module
from pipeline.config import Config, parse
from pipeline.errors import ArtifactError, InputError
from pipeline.index import Kept, LastRun, Unit, last_runs
from pipeline.keeping import Earlier, Leaving, earlier_of, leave, leaving
from pipeline.mapped import read_mapped, write_mapped
from pipeline.progress import Progress
from pipeline.readers.rows import Piece
from pipeline.records import Checksums, checksums
from pipeline.resuming import Here
from pipeline.scanning import Files, Scans
from pipeline.stages.inputs import InputFile, Inspected, Listing, Shard, ShardPiece
from pipeline.stages.shards import piece_name

NOTHING = Kept("", {})


def input_file(name: str, stamp: str = "1") -> InputFile:
    return InputFile(f"/data/{name}", "jsonl", 5, stamp)


def files(contents: Sequence[str], bad: Sequence[int] = ()) -> Files:
    """Files of these contents, of which some turned out bad."""
    listed = tuple(input_file(f"{i:04d}.jsonl") for i in range(len(contents)))
    inspected = tuple(Inspected("", (), content=content) for content in contents)
    left_out = tuple((i, listed[i], InputError("bad")) for i in bad)
    return Files(Listing(listed, {}), inspected, left_out)


def earlier(*contents: str) -> Earlier:
    return Earlier(NOTHING, LastRun("monday", contents, ()))


# --- new files ------------------------------------------------------------------------------------


def test_first_run_has_no_new_files() -> None:
    assert Earlier().new_files(files(["a"])) is None
    assert earlier().new_files(files([])) == []


@pytest.mark.parametrize(
    ("last", "now", "bad", "new"),
    [
        ("ab", "ab", [], []),
        ("ab", "ba", [], []),  # renamed
        ("ab", "abc", [], [2]),
        ("ab", "cab", [], [0]),
        ("ab", "b", [], []),  # removed
        ("ab", "aB", [], [1]),  # changed
        ("ab", "aab", [], [1]),  # copied: there was one, so one of both is new
        ("aab", "ab", [], []),
        ("aab", "aaab", [], [2]),
        ("", "ab", [], [0, 1]),
        ("ab", "abc", [2], []),  # bad
        ("ab", "aab", [0], []),  # the copy is good
        ("b", "ab", [0], []),
        ("ab", "ab", [0, 1], []),
    ],
)
def test_file_is_new_if_the_last_run_had_none_of_its_content(
    last: str, now: str, bad: list[int], new: list[int]
) -> None:
    assert earlier(*last).new_files(files(list(now), bad)) == new


def test_file_that_could_not_be_looked_into_is_not_new() -> None:
    assert earlier("a").new_files(files(["a", "", ""], [1, 2])) == []


CONTENTS = st.lists(st.sampled_from("abcd"), max_size=12)


@given(CONTENTS, CONTENTS, st.sets(st.integers(0, 11)))
def test_new_files_are_those_of_today_less_those_of_the_last_run(
    last: list[str], now: list[str], bad: set[int]
) -> None:
    left_out = [i for i in sorted(bad) if i < len(now)]
    new = earlier(*last).new_files(files(now, left_out))
    assert new is not None
    assert new == sorted(set(new) - set(left_out))
    good = Counter(content for i, content in enumerate(now) if i not in left_out)
    assert Counter(now[i] for i in new) == good - Counter(last)


# --- from one run to the next ---------------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path) -> Path:
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, list[str]]:
    """Tables of a run; two names share a file, and one has none."""
    paths = [write_mapped(pa.table({"n": [i]}), tmp_path / f"work/{i}/table.arrow") for i in range(3)]
    return {"near-compared": paths[:2], "near-links": paths[1:], "near-none": []}


def config(**more: Any) -> Config:
    return parse({"inputs": ["data"], **more})


def found(index: Path, of: Config | None = None) -> tuple[Earlier, list[str]]:
    """What the next run finds, and what it tells of damage."""
    progress, told = Progress(quiet=True), list[str]()
    with patch.object(progress, "damaged", told.append):
        return earlier_of(index, of or config(), Here(), progress), told


def piece(file: InputFile, start: int) -> ShardPiece:
    return ShardPiece(0, file, Piece(file.uri, "jsonl", start, start + 1, 1), None, "a")


SHARDS = (
    Shard(0, (piece(input_file("a.jsonl"), 0), piece(input_file("a.jsonl"), 1))),
    Shard(1, (piece(input_file("a.jsonl"), 2), piece(input_file("b.jsonl", "2"), 0))),
)
SCANS = Scans(SHARDS, ("key1", "key2"), (), ())


def written(tables: dict[str, list[str]]) -> Checksums:
    """The checksums of the tables' files."""
    known = checksums([path for paths in tables.values() for path in paths], Path("/"))
    return {f"/{name}": checksum for name, checksum in known.items()}


def left(index: Path, tables: dict[str, list[str]], run: str = "monday", **more: Any) -> Leaving:
    leaves = leaving(config(**more), run, files(["a", "b", "c"], [1]), SCANS, tables, written(tables))
    leave(index, leaves, Here())
    return leaves


def rows(earlier: Earlier) -> dict[str, list[int]]:
    """What the kept tables hold, by name."""
    of_name = earlier.kept.tables.items()
    return {
        name: [n for path in paths for n in read_mapped(path)["n"].to_pylist()] for name, paths in of_name
    }


def test_new_index_has_nothing(index: Path) -> None:
    assert found(index) == (Earlier(NOTHING, None), [])


def test_run_finds_what_the_last_one_left(index: Path, tables: dict[str, list[str]], tmp_path: Path) -> None:
    left(index, tables)
    for path in (tmp_path / "work").rglob("*.parquet"):  # as when the work folder is removed
        path.unlink()
    earlier, told = found(index)
    assert told == []
    assert rows(earlier) == {"near-compared": [0, 1], "near-links": [1, 2], "near-none": []}
    assert earlier.last == LastRun(
        "monday",
        ("a", "c"),
        (
            Unit("key1", tuple(map(piece_name, SHARDS[0].pieces)), (("/data/a.jsonl", 5, "1"),)),
            Unit(
                "key2",
                tuple(map(piece_name, SHARDS[1].pieces)),
                (("/data/a.jsonl", 5, "1"), ("/data/b.jsonl", 5, "2")),
            ),
        ),
    )


def test_tables_are_copied_where_there_are_no_hard_links(
    index: Path, tables: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", refused)
    left(index, tables)
    earlier, told = found(index)
    assert (rows(earlier)["near-links"], told) == ([1, 2], [])
    kept = earlier.kept.tables["near-links"][0]
    assert os.stat(kept).st_ino != os.stat(tables["near-links"][0]).st_ino


def test_next_run_replaces_what_is_kept(index: Path, tables: dict[str, list[str]]) -> None:
    left(index, tables)
    before = found(index)[0].kept.generation
    left(index, {"near-links": tables["near-links"][:1]}, "tuesday")
    earlier, told = found(index)
    assert (rows(earlier), told) == ({"near-links": [1]}, [])
    assert earlier.last is not None
    assert earlier.last.run == "tuesday"
    assert earlier.kept.generation != before
    assert os.listdir(index / "kept") == [earlier.kept.generation]


def test_files_are_known_as_they_were_written_and_not_as_they_are_adopted(
    index: Path, tables: dict[str, list[str]]
) -> None:
    leaves = leaving(config(), "monday", files(["a"], []), SCANS, tables, written(tables))
    damaged = Path(tables["near-links"][1])
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    with patch("pipeline.records._checksum", side_effect=AssertionError("read again")):
        leave(index, leaves, Here())
    earlier, told = found(index)
    assert earlier.kept == NOTHING
    assert [words.partition(": ")[2].partition(" ")[0] for words in told] == ["checksum"]


def test_leaving_may_be_done_once_more(index: Path, tables: dict[str, list[str]]) -> None:
    leaves = left(index, tables)
    leave(index, leaves, Here())
    assert rows(found(index)[0])["near-links"] == [1, 2]
    assert len(os.listdir(index / "kept")) == len(last_runs(index)) == 1


def test_leaving_is_finished_when_what_it_took_over_is_half_removed(
    index: Path, tables: dict[str, list[str]]
) -> None:
    left(index, tables)
    taken_over = {name: list(paths) for name, paths in found(index)[0].kept.tables.items()}
    old = index / "kept" / found(index)[0].kept.generation
    with patch("pipeline.keeping.remove_others"):
        leaves = left(index, taken_over, "tuesday")
    next(old.iterdir()).unlink()  # the process was killed while it removed the generation before
    leave(index, leaves, Here())
    earlier, told = found(index)
    assert (rows(earlier)["near-links"], told) == ([1, 2], [])
    assert os.listdir(index / "kept") == [earlier.kept.generation] != [old.name]


def test_what_another_run_left_meanwhile_stays(index: Path, tables: dict[str, list[str]]) -> None:
    left(index, tables)
    taken_over = {name: list(paths) for name, paths in found(index)[0].kept.tables.items()}
    leaves = leaving(config(), "tuesday", files(["a"], []), SCANS, taken_over, written(taken_over))
    left(index, {"near-links": tables["near-links"][:1]}, "of another configuration")
    leave(index, leaves, Here())
    earlier, told = found(index)
    assert (rows(earlier), told) == ({"near-links": [1]}, [])
    assert earlier.last is not None
    assert earlier.last.run == "tuesday"


@pytest.mark.parametrize(
    ("more", "tables_too", "last_too"),
    [
        ({"near": {"threshold": 0.8}}, False, True),
        ({"near": {"floor": 0.6}}, False, True),
        ({"passages": {"enabled": False}}, False, True),
        ({"inputs": ["other"]}, True, False),
        ({"inputs": ["data", "other"]}, True, False),
        ({"format": "jsonl"}, True, False),
        ({"shard_bytes": 99, "out": "other", "fingerprint": "full"}, True, True),
        ({"cluster": {"local": {"workers": 1}}}, True, True),
    ],
)
def test_other_configuration_finds_what_is_of_its_kind(
    index: Path, tables: dict[str, list[str]], more: dict[str, Any], tables_too: bool, last_too: bool
) -> None:
    left(index, tables)
    earlier, told = found(index, config(**more))
    assert (earlier.kept != NOTHING, earlier.last is not None, told) == (tables_too, last_too, [])


def test_order_of_inputs_makes_no_other_ones(index: Path) -> None:
    left(index, {}, inputs=["a", "b"])
    assert found(index, config(inputs=["b", "a"]))[0].last is not None


@pytest.fixture
def no_space(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A full disk, without hard links."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", full)
        patched.setattr(index_module.shutil, "copyfile", full)  # type: ignore[attr-defined]
        yield


@pytest.mark.usefixtures("no_space")
def test_index_that_cannot_be_written_is_told_and_stays(index: Path, tables: dict[str, list[str]]) -> None:
    with pytest.raises(ArtifactError, match="cannot write into the index") as caught:
        left(index, tables)
    assert str(index) in str(caught.value)
    assert found(index) == (Earlier(NOTHING, None), [])
