"""Tests that an input file which changes while it is audited is told, never half counted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import run as run_module
from pipeline import scanning as scanning_module
from pipeline.errors import InputChangedError
from pipeline.readers.formats import read
from tests.audits import audit, without_dask, write_texts
from tests.stages.steps import columns_of

TEXTS = [f"one two three four five six seven {i // 2}" + " eight" * (i % 2) for i in range(20)]
Change = Callable[[Path], object]
COUNTS = ("row", "n_tokens", "copies", "near_copies", "repeated_tokens")
SHARDS = (1 << 20, 200)


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with without_dask(page=False):
        yield


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b'{"text": "one more"}\n')


def shrink(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def touch(path: Path) -> None:
    os.utime(path, (1, 1))


def rewrite_in_secret(path: Path) -> None:
    """Other words of the same length, and the old time of the last change."""
    before = path.stat()
    path.write_bytes(path.read_bytes().replace(b"three", b"eerht"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Change] = {
    "grown": grow,
    "shrunk": shrink,
    "touched": touch,
    "gone": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
}
REJECT: dict[str, Any] = {"on_bad_file": "reject", "max_rejected_fraction": 1}


def check(path: Path, **settings: Any) -> None:
    """The audit fails, says which file changed and what to do, and leaves no run behind."""
    out = path.parent / "out"
    with pytest.raises(InputChangedError) as caught:
        audit(path.parent / "*.*", out, **settings)
    error = caught.value
    assert str(path) in str(error)
    assert error.got
    assert error.expected
    assert error.fix
    assert "again" in error.fix
    assert [child.name for child in out.iterdir() if not child.name.startswith(".work-")] == []


def check_rejected(path: Path, rest: Path, **settings: Any) -> None:
    """The audit is one of the other file alone, and says which file changed."""
    found = audit([path, rest], path.parent / "out", **REJECT, **settings)
    (reject,) = found.rejects
    assert (reject["uri"], reject["row"], reject["reason"]) == (str(path), None, "unreadable_file")
    assert found.metrics["rejected_files"] == 1
    alone = audit(rest, path.parent / "out", "alone", **settings)
    assert columns_of(found.table("documents"), *COUNTS) == columns_of(alone.table("documents"), *COUNTS)
    assert [row["rows"] for row in found.rows("inputs") if row["uri"] == str(path)] == [None]


def before(
    monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[], object], module: Any = run_module
) -> None:
    """Change something right before a function of the run is called for the first time."""
    function = getattr(module, name)
    calls: list[object] = []

    def changed(*args: Any, **kwargs: Any) -> Any:
        if not calls:
            calls.append(change())
        return function(*args, **kwargs)

    monkeypatch.setattr(module, name, changed)


@pytest.mark.parametrize("shard_bytes", SHARDS)
@pytest.mark.parametrize("name", CHANGES)
def test_a_file_that_changes_between_its_two_reads_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, shard_bytes: int
) -> None:
    path = write_texts(tmp_path / "a.jsonl", TEXTS)
    write_texts(tmp_path / "b.jsonl", TEXTS)
    before(monkeypatch, "find_near", lambda: CHANGES[name](path))
    check(path, shard_bytes=shard_bytes)


@pytest.mark.parametrize("shard_bytes", SHARDS)
@pytest.mark.parametrize("name", CHANGES)
def test_a_file_that_changes_between_its_two_reads_is_left_out_as_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, shard_bytes: int
) -> None:
    path = write_texts(tmp_path / "a.jsonl", TEXTS)
    rest = write_texts(tmp_path / "b.jsonl", TEXTS)
    before(monkeypatch, "find_near", lambda: CHANGES[name](path))
    check_rejected(path, rest, shard_bytes=shard_bytes)


def test_a_file_that_is_another_once_it_was_scanned_counts_as_it_was_where_its_texts_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_texts(tmp_path / "a.jsonl", [f"{'long ' * 20_000}{text}" for text in TEXTS])
    whole: dict[str, Any] = {"fingerprint": "full"}
    index = {"index": str(tmp_path / "index"), **whole}
    before_the_change = audit(path, tmp_path / "before", **whole).bytes_of_files()
    with monkeypatch.context() as patched:
        before(patched, "find_near", lambda: rewrite_in_secret(path))
        assert audit(path, tmp_path / "out", **index).bytes_of_files() == before_the_change
    found, wanted = (
        audit(path, tmp_path / name, **more) for name, more in (("again", index), ("new", whole))
    )
    tables = {name for name in wanted.bytes_of_files() if "new_repeats" not in name}
    assert wanted.bytes_of_files() != before_the_change
    assert {name: found.bytes_of_files()[name] for name in tables} == {
        name: wanted.bytes_of_files()[name] for name in tables
    }


def test_a_file_with_other_texts_of_the_same_size_and_time_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_texts(tmp_path / "a.jsonl", TEXTS)
    before(monkeypatch, "find_near", lambda: rewrite_in_secret(path))
    check(path)


@pytest.mark.parametrize("reject", [False, True])
@pytest.mark.parametrize("name", CHANGES)
def test_a_file_that_changes_between_listing_and_scan_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reject: bool
) -> None:
    path = write_texts(tmp_path / "a.jsonl", TEXTS)
    before(monkeypatch, "shards", lambda: CHANGES[name](path), scanning_module)
    if reject:
        check_rejected(path, write_texts(tmp_path / "b.jsonl", TEXTS))
    else:
        check(path)


@pytest.mark.parametrize("reject", [False, True])
@pytest.mark.parametrize("name", ["grown", "shrunk", "touched", "emptied"])
def test_a_file_that_changes_while_it_is_scanned_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, reject: bool
) -> None:
    path = write_texts(tmp_path / "b.jsonl", TEXTS)
    rest = write_texts(tmp_path / "a.jsonl", TEXTS)

    def changing(piece: Any, columns: Any) -> Iterator[Any]:
        for rows in read(piece, columns):
            yield rows
            if piece.uri == str(path):
                CHANGES[name](path)

    monkeypatch.setattr("pipeline.stages.scan.read", changing)
    if reject:
        check_rejected(path, rest)
    else:
        check(path)


def test_a_parquet_file_replaced_by_a_shorter_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": TEXTS}), path, row_group_size=2)
    change = lambda: pq.write_table(pa.table({"text": TEXTS[:2]}), path)  # noqa: E731
    before(monkeypatch, "shards", change, scanning_module)
    check(path, shard_bytes=1)


def test_a_file_that_nothing_is_read_of_again_may_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_texts(tmp_path / "a.jsonl", TEXTS)
    path = write_texts(tmp_path / "b.jsonl", ["like no other of the texts"])
    before(monkeypatch, "find_near", lambda: grow(path))
    audited = audit(tmp_path / "*.jsonl", tmp_path / "out")
    assert [row["rows"] for row in audited.rows("inputs")] == [20, 1]
