"""Tasks that were done are not done again, unless they are other tasks or their files are damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import xxhash

from pipeline.artifacts import write_text
from pipeline.errors import InputError
from pipeline.progress import Progress
from pipeline.readers.rows import Columns
from pipeline.records import decoded, encoded
from pipeline.resuming import Here, Resuming, Tasks
from tests.audits import audit, without_dask
from tests.kill_trials import CONFIG, write_inputs
from tests.same import same

DONE: list[Any] = []


def note(item: Any, **shared: Any) -> Any:
    """Tell what was asked, and give it back."""
    DONE.append(item)
    return [item, shared]


def another(item: Any, **shared: Any) -> Any:
    """The same by another name."""
    return note(item, **shared)


def write(path: str, text: str) -> str:
    """Write two files."""
    DONE.append(text)
    write_text(text + " too", path + ".too")
    return write_text(text, path)


def fail_at_three(n: int, folder: Path) -> int:
    """Write a file, then perhaps fail."""
    DONE.append(n)
    write_text(str(n), folder / "files" / str(n))
    if n == 3:
        raise InputError("three")
    return n


class Telling(Progress):
    """Keeps what is told to be damaged."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.told: list[str] = []

    def damaged(self, words: str) -> None:
        """Tell it."""
        self.told.append(words)


@pytest.fixture
def telling() -> Telling:
    """A progress that keeps what it is told."""
    DONE.clear()
    return Telling()


@pytest.fixture
def begin(tmp_path: Path, telling: Telling) -> Callable[[], Resuming]:
    """Begin a run again, with none of its tasks asked for yet."""

    def begun() -> Resuming:
        DONE.clear()
        return Resuming(Here(), tmp_path, telling)

    return begun


def test_a_task_that_was_done_is_not_done_again(begin: Callable[[], Resuming], telling: Telling) -> None:
    results = []
    for reused in (0, 3, 3):
        tasks = begin()
        results.append(tasks.map("stage", note, [(1,), ("two",), ([3],)], costs=[1, 2, 3], with_="that"))
        assert len(DONE) == 3 - reused
        assert tasks.reused == reused
    assert results == [[[1, {"with_": "that"}], ["two", {"with_": "that"}], [[3], {"with_": "that"}]]] * 3
    assert telling.told == []


def test_only_what_was_not_done_is_done_in_the_order_and_at_the_cost_of_the_items(
    tmp_path: Path, telling: Telling
) -> None:
    asked = []

    class Costly(Here):
        def map(self, stage: str, function: Any, items: Any, costs: Any = None, **shared: Any) -> list[Any]:
            asked.append((function.__name__, costs))
            return super().map(stage, function, items, costs, **shared)

    Resuming(Costly(), tmp_path, telling).map("stage", note, [(i,) for i in range(5)], costs=[5, 6, 7, 8, 9])
    for i in (3, 1):
        (tmp_path / "done" / "001-stage" / f"{i:06d}.json").unlink()
    DONE.clear()
    tasks = Resuming(Costly(), tmp_path, telling)
    found = tasks.map("stage", note, [(i,) for i in range(5)], costs=[5, 6, 7, 8, 9])
    assert found == [[i, {}] for i in range(5)]
    assert DONE == [1, 3]
    assert asked == [("recorded", [5, 6, 7, 8, 9]), ("recall", None), ("recorded", [6, 8])]


@pytest.mark.parametrize(
    ("function", "stage", "item", "shared"),
    [
        (note, "stage", (2,), {"n": 1}),
        (note, "stage", ("1",), {"n": 1}),
        (note, "stage", (1,), {"n": 2}),
        (note, "stage", (1,), {}),
        (note, "stage", (1,), {"n": 1, "m": None}),
        (note, "another", (1,), {"n": 1}),
        (another, "stage", (1,), {"n": 1}),
    ],
)
def test_another_task_in_the_same_place_is_done(
    begin: Callable[[], Resuming], function: Any, stage: str, item: tuple[Any, ...], shared: dict[str, Any]
) -> None:
    begin().map("stage", note, [(1,)], n=1)
    assert begin().map(stage, function, [item], **shared) == [[item[0], shared]]
    assert [item[0]] == DONE


def test_the_same_task_in_another_place_is_done(begin: Callable[[], Resuming]) -> None:
    begin().map("stage", note, [(1,)])
    tasks = begin()
    tasks.map("stage", note, [])
    tasks.map("stage", note, [(1,)])
    assert DONE == [1]


@pytest.mark.parametrize("first", [0, 1], ids=["one first", "other first"])
def test_tasks_of_two_parts_are_known_by_their_place_in_their_part(
    tmp_path: Path, telling: Telling, first: int
) -> None:
    class Turned(Here):
        """Does the other part first, as may happen where both are under way at once."""

        def beside(self, one: Any, other: Any) -> Any:
            gives = {i: (one, other)[i](self) for i in (first, 1 - first)}
            return gives[0], gives[1]

    def ask(word: str, fails: bool) -> Callable[[Tasks], list[Any]]:
        def asking(tasks: Tasks) -> list[Any]:
            path = str(tmp_path / word)
            found = tasks.map("stage", note, [(word,)]) + tasks.map("stage", write, [(path, word)])
            if fails:
                raise InputError(word)
            return found

        return asking

    begun = Resuming(Here(), tmp_path, telling)
    begun.map("stage", note, [("before",)])
    with pytest.raises(InputError, match="b"):
        begun.beside(ask("a", False), ask("b", True))
    DONE.clear()
    again = Resuming(Turned(), tmp_path, telling)
    again.map("stage", note, [("before",)])
    found = again.beside(ask("a", False), ask("b", False))
    assert found == tuple([[word, {}], str(tmp_path / word)] for word in "ab")
    assert again.map("stage", note, [("after",)]) == [["after", {}]]
    assert DONE == ["after"]
    assert again.reused == 5
    assert {Path(path).name for path in again.written} == {"a", "a.too", "b", "b.too"}


def test_without_items_nothing_is_asked_for(begin: Callable[[], Resuming], tmp_path: Path) -> None:
    assert begin().map("stage", note, []) == []
    assert list(tmp_path.iterdir()) == []


def test_a_task_that_failed_is_done_again_and_those_before_it_are_not(
    begin: Callable[[], Resuming], tmp_path: Path, telling: Telling
) -> None:
    with pytest.raises(InputError, match="three"):
        begin().map("stage", fail_at_three, [(n, tmp_path) for n in range(6)])
    records = tmp_path / "done" / "001-stage"
    assert sorted(path.name for path in records.iterdir()) == ["000000.json", "000001.json", "000002.json"]
    with pytest.raises(InputError):
        begin().map("stage", fail_at_three, [(n, tmp_path) for n in range(6)])
    assert DONE == [3]
    assert telling.told == []


def test_a_task_that_gives_what_cannot_be_kept_is_a_defect(begin: Callable[[], Resuming]) -> None:
    with pytest.raises(TypeError, match="tasks do not exchange a set"):
        begin().map("stage", note, [({1},)])
    assert DONE == []


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_cut, _flip, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", ["1", "1.too"])
def test_a_damaged_file_is_named_and_made_anew(
    begin: Callable[[], Resuming], tmp_path: Path, telling: Telling, damage: Any, name: str
) -> None:
    items = [(str(tmp_path / str(i)), f"the text of {i}") for i in range(3)]
    wanted = begin().map("stage", write, items)
    damage(tmp_path / name)
    tasks = begin()
    assert tasks.map("stage", write, items) == wanted
    assert (DONE, tasks.reused) == (["the text of 1"], 2)
    assert len(telling.told) == 1
    assert telling.told[0].startswith(f"{tmp_path / name}: ")
    assert (tmp_path / "1").read_text() == "the text of 1"
    assert (tmp_path / "1.too").read_text() == "the text of 1 too"
    begin().map("stage", write, items)
    assert DONE == []


def test_checksums_of_all_files_are_told_of_those_that_were_done_before_too(
    begin: Callable[[], Resuming], tmp_path: Path
) -> None:
    items = [(str(tmp_path / str(i)), f"the text of {i}") for i in range(3)]
    wanted = {
        path: (len(content), xxhash.xxh3_64_hexdigest(content))
        for name, text in items
        for path, content in ((name, text.encode()), (f"{name}.too", f"{text} too".encode()))
    }
    for reused in (0, 2, 3):
        tasks = begin()
        tasks.map("nothing", note, [(1,)])
        assert tasks.written == {}
        tasks.map("stage", write, items[:2] if reused == 0 else items)
        first = tasks.written
        tasks.map("nothing more", note, [(1,)])
        assert tasks.written == first == {path: wanted[path] for path in wanted if path in first}
        assert len(first) == (4 if reused == 0 else 6)


@pytest.mark.parametrize("damage", [_cut, _flip, lambda path: path.write_bytes(b"")])
def test_a_damaged_record_is_named_and_its_task_done_again(
    begin: Callable[[], Resuming], tmp_path: Path, telling: Telling, damage: Any
) -> None:
    begin().map("stage", note, [(1,), (2,)])
    record = tmp_path / "done" / "001-stage" / "000001.json"
    _cut(record)  # the end of its last line says nothing
    damage(record)
    assert begin().map("stage", note, [(1,), (2,)]) == [[1, {}], [2, {}]]
    assert DONE == [2]
    assert len(telling.told) == 1
    assert telling.told[0].startswith(f"{record}: ")


def test_a_file_a_later_task_wrote_again_is_told_and_not_trusted(
    begin: Callable[[], Resuming], tmp_path: Path, telling: Telling
) -> None:
    items = [(str(tmp_path / "same"), "first"), (str(tmp_path / "same"), "second")]
    begin().map("stage", write, items)
    begin().map("stage", write, items)
    assert DONE == ["first"]
    assert len(telling.told) == 1


RESULTS = [
    1,
    2.5,
    None,
    "\ud800",
    (1, [2]),
    {"a": (1,), (2, 3): {}},
    np.arange(3, dtype="u8"),
    Columns("text", None, "s", None),
    InputError("a", got="b"),
    Path("a"),
]


@pytest.mark.parametrize("value", RESULTS, ids=lambda value: type(value).__name__)
def test_a_result_is_the_same_whether_done_or_recalled(begin: Callable[[], Resuming], value: Any) -> None:
    first = begin().map("stage", note, [(value,)])
    second = begin().map("stage", note, [(value,)])
    assert DONE == []
    assert same(first, second)


def test_all_that_stages_are_given_and_give_comes_back_as_it_was(tmp_path: Path) -> None:
    """A whole audit whose tasks get and give only what has been through a record."""
    kinds = set()

    def through(value: Any) -> Any:
        found = decoded(json.loads(json.dumps(encoded(value))))
        assert same(found, value)
        return found

    class Recording(Here):
        def map(self, stage: str, function: Any, items: Any, costs: Any = None, **shared: Any) -> list[Any]:
            kinds.add(stage)
            found = super().map(stage, function, items, costs, **shared)
            return [through(result) for result in found]

    write_inputs(tmp_path / "in", 4)
    (tmp_path / "in" / "4.jsonl").write_text('{"text": null}\n{"text": "\\ud800 x", "from": "\\ud800"}\n{')
    (tmp_path / "in" / "5.parquet").write_text("none")
    bad = {"on_bad_file": "reject", "max_rejected_fraction": 1}
    with patch("tests.audits.Here", Recording), without_dask(page=False):
        recorded = audit(tmp_path / "in", tmp_path / "out", "recorded", **CONFIG, **bad)
    with without_dask(page=False):
        plain = audit(tmp_path / "in", tmp_path / "out", "plain", **CONFIG, **bad)
    assert recorded.bytes_of_files() == plain.bytes_of_files()
    assert len(plain.rejects) == 4
    assert len(kinds) > 20
