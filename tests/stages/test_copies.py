"""Filtered copies of files, and what is refused as another file than the run read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputChangedError, InputError
from pipeline.stages.copies import ToCopy, copy_files, tasks
from pipeline.stages.inputs import fingerprint, list_files
from pipeline.writers.formats import Copied, write
from tests.keep_lists import list_of


def _file(path: Path, file_id: int, rows: int, location: Path) -> ToCopy:
    (file,) = list_files([str(path)], "auto").files
    return ToCopy(file_id, file.uri, file.format, file.size_bytes, fingerprint(file), rows, str(location))


@pytest.fixture
def files(tmp_path: Path) -> list[ToCopy]:
    """Three files of two rows."""
    found = []
    for number, name in enumerate(("a.jsonl", "b.jsonl", "c.jsonl")):
        (tmp_path / name).write_text(f'{{"text": "{name} one"}}\n{{"text": "{name} two"}}\n' * 30_000)
        found.append(_file(tmp_path / name, number, 60_000, tmp_path / "out" / name))
    return found


def test_files_are_copied_by_their_own_verdicts(tmp_path: Path, files: list[ToCopy]) -> None:
    verdicts = {0: [True] * 60_000, 1: [False] * 60_000, 2: [False, True] * 30_000}
    parts = list_of(tmp_path / "list", verdicts, part_rows=50_000)
    done = copy_files(files, parts=parts, text_column="text", cuts=False)
    assert [copied.kept for copied in done] == [60_000, 0, 30_000]
    a, c = ((tmp_path / name).read_text().splitlines() for name in ("a.jsonl", "c.jsonl"))
    out = [(tmp_path / "out" / name).read_text().splitlines() for name in ("a.jsonl", "b.jsonl", "c.jsonl")]
    assert out == [a, [], c[1::2]]


def _touch_later(path: Path) -> None:
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000_000))


def _append(path: Path) -> None:
    with path.open("a") as file:
        file.write("{}\n")


def _lose_a_row(path: Path) -> None:
    # Where no fingerprint looks, and of the same size.
    text = path.read_text()
    middle = text.index("\n", len(text) // 2)
    path.write_text(f"{text[:middle]} {text[middle + 1 :]}")


CHANGES: list[tuple[Callable[[Path], None], type[InputError], str]] = [
    (Path.unlink, InputError, "is gone"),
    (_append, InputChangedError, "not what the run read"),
    (_lose_a_row, InputChangedError, "not what the run read"),
]


@pytest.mark.parametrize(("change", "kind", "words"), CHANGES)
def test_file_that_changed_is_refused(
    tmp_path: Path, files: list[ToCopy], change: Callable[[Path], None], kind: type[InputError], words: str
) -> None:
    change(tmp_path / "b.jsonl")
    with pytest.raises(kind, match=words) as caught:
        copy_files(files, parts=list_of(tmp_path / "list", {}), text_column="text", cuts=False)
    assert type(caught.value) is kind
    assert caught.value.where == str(tmp_path / "b.jsonl")
    assert caught.value.fix


def test_number_of_rows_is_told(tmp_path: Path, files: list[ToCopy]) -> None:
    with pytest.raises(InputChangedError, match="not what the run read") as caught:
        copy_files([replace(files[0], rows=59_999)], parts=[], text_column="text", cuts=False)
    assert (caught.value.got, caught.value.expected) == ("60000 rows", "59999 rows")


@pytest.mark.parametrize("change", [_touch_later, _append])
def test_file_that_changes_while_it_is_copied_is_refused(
    tmp_path: Path, files: list[ToCopy], change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(*arguments: Any) -> Copied:
        copied = write(*arguments)
        change(tmp_path / "a.jsonl")
        return copied

    monkeypatch.setattr("pipeline.stages.copies.write", slowly)
    with pytest.raises(InputChangedError, match="changed while"):
        copy_files(files[:1], parts=[], text_column="text", cuts=False)


@given(sizes=st.lists(st.integers(0, 50), max_size=20), task_bytes=st.integers(1, 60))
def test_tasks_hold_every_file_once_in_order(sizes: list[int], task_bytes: int) -> None:
    made = [ToCopy(i, "", "text", size, "", 1, "") for i, size in enumerate(sizes)]
    found = list(tasks(made, task_bytes))
    assert [file for task in found for file in task] == made
    for task in found:
        assert len(task) == 1 or sum(file.size_bytes for file in task) <= task_bytes


def test_tasks_of_empty_files_are_not_endless() -> None:
    made = [ToCopy(i, "", "text", 0, "", 1, "") for i in range(1000)]
    assert [len(task) for task in tasks(made, 1 << 30)] == [256, 256, 256, 232]
