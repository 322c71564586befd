"""Tasks in threads of this process: how many, in which order, and how they end."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import LocalConfig
from pipeline.errors import InputError
from pipeline.progress import Progress
from pipeline.threads import Threads, cores, open_threads
from tests.waiting import PATIENCE_SECONDS, until

QUIET = Progress(quiet=True)


@pytest.mark.parametrize(
    ("config", "threads"),
    [
        (LocalConfig(), cores()),
        (LocalConfig(threads=3), 3),
        (LocalConfig(workers=3, threads=1), 3),
        (LocalConfig(workers=2, threads=2), 4),
    ],
)
def test_there_are_as_many_threads_as_configured_one_a_core_by_default(
    config: LocalConfig, threads: int
) -> None:
    # All of them are held at once, and no further one is begun.
    met, begun = threading.Barrier(threads, timeout=PATIENCE_SECONDS), list[int]()

    def meet(_: int) -> int:
        begun.append(1)
        met.wait()
        most = len(begun)
        met.wait()
        return most

    with open_threads(config, QUIET) as tasks:
        found = tasks.map("meet", meet, [(i,) for i in range(3 * threads)])
    assert found == [n for total in accumulate([threads] * 3) for n in [total] * threads]


def test_a_thread_a_core_is_of_the_cores_this_process_may_use() -> None:
    assert cores() == len(os.sched_getaffinity(0))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30))
def test_most_costly_items_are_begun_first_equal_ones_in_their_order(costs: list[int]) -> None:
    begun: list[int] = []
    with open_threads(LocalConfig(threads=1), QUIET) as tasks:
        tasks.map("cost", begun.append, [(i,) for i in range(len(costs))], costs=costs)
        assert begun == sorted(range(len(costs)), key=lambda i: -costs[i])
        begun.clear()
        tasks.map("free", begun.append, [(i,) for i in range(len(costs))])
    assert begun == list(range(len(costs)))


def test_nothing_is_begun_after_an_error() -> None:
    begun: list[int] = []

    def fail_third(value: int) -> None:
        begun.append(value)
        if value == 2:
            raise InputError("it broke")

    with open_threads(LocalConfig(threads=1), QUIET) as tasks:
        with pytest.raises(InputError, match="it broke"):
            tasks.map("fail", fail_third, [(i,) for i in range(100)])
        assert tasks.map("after", abs, [(-1,)]) == [1]
    assert begun == [0, 1, 2]


def test_an_error_waits_for_what_was_begun_before_the_engine_is_left() -> None:
    # Whoever takes the lock of the folder next must not meet a task that writes there.
    started, ended = threading.Event(), list[bool]()

    def fail_or_take_long(value: int) -> None:
        if value == 0:
            assert started.wait(PATIENCE_SECONDS)
            raise InputError("it broke")
        started.set()
        time.sleep(0.5)
        ended.append(True)

    with pytest.raises(InputError), open_threads(LocalConfig(threads=2), QUIET) as tasks:
        tasks.map("fail", fail_or_take_long, [(0,), (1,)])
    assert ended == [True]


def test_a_program_that_is_told_to_end_does_not_wait_for_its_tasks() -> None:
    released, ended = threading.Event(), list[int]()

    def wait_but_first(value: int) -> None:
        if value:
            released.wait(PATIENCE_SECONDS)
        ended.append(value)

    class Interrupted(Progress):
        @contextmanager
        def bar(self, stage: str, total: int) -> Iterator[Callable[[], None]]:
            def interrupt() -> None:
                raise KeyboardInterrupt

            yield interrupt

    with (
        pytest.raises(KeyboardInterrupt),
        open_threads(LocalConfig(threads=2), Interrupted(quiet=True)) as tasks,
    ):
        tasks.map("wait", wait_but_first, [(0,), (1,)])
    assert ended == [0]
    released.set()
    until(lambda: ended == [0, 1], "the task does not end")


def test_threads_end_with_the_engine_and_do_not_hold_up_the_process() -> None:
    with open_threads(LocalConfig(threads=2), QUIET) as tasks:
        tasks.map("one", abs, [(1,)])
        ours = [thread for thread in threading.enumerate() if thread.name.startswith("tasks-")]
        assert len(ours) == 2
        assert all(thread.daemon for thread in ours)
    until(lambda: not any(thread.is_alive() for thread in ours), "the threads do not end")


def test_what_libraries_warn_of_in_tasks_is_not_for_users(recwarn: pytest.WarningsRecorder) -> None:
    with open_threads(LocalConfig(threads=1), QUIET) as tasks:
        tasks.map("warn", warnings.warn, [("of a library",)])
    assert not list(recwarn)


def test_two_may_ask_for_tasks_at_once_each_told_of_its_own() -> None:
    class Counting(Progress):
        done: dict[str, int]

        @contextmanager
        def bar(self, stage: str, total: int) -> Iterator[Callable[[], None]]:
            self.done[stage] = 0

            def advance() -> None:
                self.done[stage] += 1

            yield advance

    met = threading.Barrier(2, timeout=PATIENCE_SECONDS)
    progress = Counting(quiet=True)
    progress.done = {}
    found: dict[str, list[int]] = {}

    def ask(tasks: Threads, stage: str, items: int) -> None:
        def meet(value: int) -> int:
            if value == 0:
                met.wait()
            return value

        found[stage] = tasks.map(stage, meet, [(i,) for i in range(items)])

    with open_threads(LocalConfig(threads=2), progress) as tasks:
        asking = [threading.Thread(target=ask, args=(tasks, f"of {n}", n)) for n in (5, 9)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(PATIENCE_SECONDS)
    assert found == {f"of {n}": list(range(n)) for n in (5, 9)}
    assert progress.done == {"of 5": 5, "of 9": 9}
