"""Two calls at once: what they give, how one's failure ends the other, and who is not waited for."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from pipeline.beside import Stopped, side_by_side
from tests.waiting import PATIENCE_SECONDS


def test_both_are_under_way_at_once_and_each_gives_its_own() -> None:
    met = threading.Barrier(2, timeout=PATIENCE_SECONDS)
    assert side_by_side(lambda: met.wait() >= 0, lambda: (met.wait(), "b")[1], threading.Event()) == (
        True,
        "b",
    )


@pytest.mark.parametrize("failing_first", [True, False])
def test_a_failure_stops_the_other_which_is_waited_for(failing_first: bool) -> None:
    stop, ended = threading.Event(), list[str]()

    def fail() -> None:
        raise ZeroDivisionError("a defect")

    def end_when_asked() -> None:
        assert stop.wait(PATIENCE_SECONDS)
        time.sleep(0.05)
        ended.append("ended")
        raise Stopped

    calls = (fail, end_when_asked) if failing_first else (end_when_asked, fail)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        side_by_side(*calls, stop)
    assert ended == ["ended"]


def test_of_two_failures_the_first_in_order_is_told_whichever_came_first() -> None:
    stop = threading.Event()

    def fail_late() -> None:
        assert stop.wait(PATIENCE_SECONDS)
        raise KeyError("one")

    def fail() -> None:
        raise ValueError("other")

    with pytest.raises(KeyError, match="one"):
        side_by_side(fail_late, fail, stop)


def test_an_interrupted_program_stops_both_and_waits_for_neither() -> None:
    stop, over = threading.Event(), threading.Event()

    def hold_out() -> bool:
        assert stop.wait(PATIENCE_SECONDS)
        return over.wait(PATIENCE_SECONDS)

    def interrupt() -> None:
        time.sleep(0.1)
        signal.raise_signal(signal.SIGINT)  # in a thread that is not the one that waits: it is not woken

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        side_by_side(hold_out, hold_out, stop)
    assert stop.is_set()
    over.set()
