"""Where tasks run: threads and workers do the same with them."""

from __future__ import annotations

import operator
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.cluster import Cluster
from pipeline.config import ClusterConfig, parse
from pipeline.engine import open_engine
from pipeline.errors import InputError
from pipeline.progress import Progress
from pipeline.resuming import Tasks
from pipeline.threads import Threads
from tests.waiting import PATIENCE_SECONDS, until

QUIET = Progress(quiet=True)
# What tasks call is looked up in this module by workers, too: they are threads of this process.
CALLED: list[int] = []
PAIRS = threading.Barrier(2, timeout=PATIENCE_SECONDS)
# A limit of memory asks for workers.
TREES = {"threads": {"threads": 2}, "workers": {"threads": 2, "memory": "8GiB"}}


def _config(tree: object) -> ClusterConfig:
    return parse({"inputs": "x", "cluster": tree}).cluster


@pytest.fixture(scope="module", params=list(TREES))
def tasks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tasks]:
    """Two threads, without a scheduler of their own and with one."""
    config = _config({"local": TREES[request.param]})
    with open_engine(config, QUIET, tmp_path_factory.mktemp("work")) as engine:
        yield engine


@pytest.fixture(autouse=True)
def _nothing_called() -> None:
    CALLED.clear()


def _noted(value: int) -> int:
    CALLED.append(value)
    return value


def _met(value: int) -> int:
    PAIRS.wait()
    return value


def _with(item: int, other: str, *, shared: list[int], name: str) -> tuple[int, str, int, str]:
    return item, other, sum(shared), name


def _defective() -> None:
    raise ZeroDivisionError("a defect")


def _broken(value: int) -> None:
    raise InputError("it broke", where="a.jsonl", row=value, got="this", expected="that", fix="mend it")


def _list_of(words: list[str], item: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    return words, item


def test_items_run_side_by_side(tasks: Tasks) -> None:
    assert tasks.map("meet", _met, [(i,) for i in range(10)]) == list(range(10))


def test_results_are_in_the_order_of_the_items_each_called_once(tasks: Tasks) -> None:
    assert tasks.map("once", _noted, [(i,) for i in range(20)]) == list(range(20))
    assert sorted(CALLED) == list(range(20))


def test_results_are_in_the_order_of_the_items_whatever_they_cost(tasks: Tasks) -> None:
    costs = [i * 7 % 30 for i in range(30)]
    assert tasks.map("cost", _noted, [(i,) for i in range(30)], costs=costs) == list(range(30))


def test_shared_arguments_go_to_every_item(tasks: Tasks) -> None:
    found = tasks.map("share", _with, [(1, "a"), (2, "b")], shared=[5, 6], name="x")
    assert found == [(1, "a", 11, "x"), (2, "b", 11, "x")]


def test_arguments_that_look_like_names_of_tasks_are_arguments(tasks: Tasks) -> None:
    words = [f"names-{i}" for i in range(3)]
    found = tasks.map("names", _list_of, [(words, tuple(words))] * 3)
    assert found == [(words, tuple(words))] * 3


def test_no_items_are_no_results(tasks: Tasks) -> None:
    assert tasks.map("none", _noted, []) == []


def test_equal_items_are_tasks_of_their_own(tasks: Tasks) -> None:
    assert tasks.map("same", _noted, [(7,)] * 5) == [7] * 5
    assert tasks.map("same", _noted, [(7,)] * 2) == [7] * 2
    assert CALLED == [7] * 7


def test_error_of_a_task_arrives_as_it_was_raised_and_the_engine_goes_on(tasks: Tasks) -> None:
    with pytest.raises(InputError) as caught:
        tasks.map("fail", _broken, [(7,)])
    assert type(caught.value) is InputError
    error = caught.value
    assert (error.what, error.where, error.row) == ("it broke", "a.jsonl", 7)
    assert (error.got, error.expected, error.fix) == ("this", "that", "mend it")
    assert tasks.map("after", _noted, [(1,)]) == [1]


def test_defect_in_a_task_stays_a_defect(tasks: Tasks) -> None:
    with pytest.raises(ZeroDivisionError, match="a defect"):
        tasks.map("defect", _defective, [()])


@pytest.mark.parametrize("tree", TREES.values(), ids=list(TREES))
def test_progress_counts_every_task(tree: object, tmp_path: Path) -> None:
    class Counting(Progress):
        seen: list[object]

        @contextmanager
        def bar(self, stage: str, total: int) -> Iterator[Callable[[], None]]:
            self.seen = [stage, total]
            yield lambda: self.seen.append("done")

    progress = Counting(quiet=True)
    with open_engine(_config({"local": tree}), progress, tmp_path) as engine:
        engine.map("scan", operator.neg, [(i,) for i in range(4)])
    assert progress.seen == ["scan", 4, *["done"] * 4]


@pytest.mark.parametrize(
    ("tree", "kind"),
    [
        ("local", Threads),
        ({"local": {"workers": 1, "threads": 1}}, Threads),
        ({"local": {"memory": "8GiB"}}, Cluster),
        ({"local": {"processes": True, "workers": 1}}, Cluster),
        ({"class": "distributed.LocalCluster", "arguments": {"processes": False, "n_workers": 1}}, Cluster),
    ],
)
def test_workers_are_for_processes_limits_and_clusters(tree: object, kind: type, tmp_path: Path) -> None:
    with open_engine(_config(tree), QUIET, tmp_path) as engine:
        assert type(engine) is kind
        here = not (isinstance(tree, dict) and "processes" in tree.get("local", {}))
        assert (engine.map("pid", os.getpid, [()]) == [os.getpid()]) == here


BEGUN = threading.Event()  # the task that fails


def _fails_late(enough: int) -> int:
    BEGUN.set()
    until(lambda: len(CALLED) >= enough, "nothing of the other part is done")
    raise InputError("it broke")


def _noted_slowly(value: int) -> int:
    CALLED.append(value)
    time.sleep(0.02)
    return value


def test_two_ask_for_tasks_at_once(tasks: Tasks) -> None:
    # Each has one task, which waits for the other's.
    def ask(value: int) -> Callable[[Tasks], list[int]]:
        return lambda asked: asked.map("meet", _met, [(value,)])

    assert tasks.beside(ask(1), ask(2)) == ([1], [2])


@pytest.mark.parametrize("failing_first", [True, False])
def test_an_error_of_one_ends_the_other_in_the_middle_of_its_stage(tasks: Tasks, failing_first: bool) -> None:
    many, enough = 1000, 3
    BEGUN.clear()

    def fail(asked: Tasks) -> list[int]:
        return asked.map("fail", _fails_late, [(enough,)])

    def go_on(asked: Tasks) -> list[int]:
        assert BEGUN.wait(PATIENCE_SECONDS)
        return asked.map("go on", _noted_slowly, [(i,) for i in range(many)])

    calls = (fail, go_on) if failing_first else (go_on, fail)
    with pytest.raises(InputError, match="it broke"):
        tasks.beside(*calls)
    assert enough <= len(CALLED) < many / 2
    assert tasks.map("after", _noted, [(7,)]) == [7], "the engine goes on"
