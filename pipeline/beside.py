"""Parts of a run that do not need each other, under way at once.

Each part has a thread of its own that asks for tasks and waits for them; the tasks themselves run where
all tasks do. So while the last task of a part's stage is under way, the other part keeps the cores busy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")
AWAKE_SECONDS = 0.5  # how long a program that is told to end may not notice


class Stopped(Exception):
    """Raised in a part that is to end because another failed."""


def side_by_side(one: Callable[[], T], other: Callable[[], U], stop: threading.Event) -> tuple[T, U]:
    """What two calls give that are made at once.

    Args:
        stop: set when a call fails or this thread is interrupted: the other is to raise `Stopped` as
            soon as it can. After a failure it is waited for; an interrupted program ends at once.

    Raises:
        Whatever a call raised; if both did, the first of them.
    """
    try:
        first, second = _begun(one, stop), _begun(other, stop)
        futures: list[Future[Any]] = [first, second]
        # Again and again: a signal that comes just before a thread falls asleep does not wake it.
        while wait(futures, AWAKE_SECONDS).not_done:
            pass
    except BaseException:
        stop.set()
        raise
    for error in (first.exception(), second.exception()):
        if error is not None and not isinstance(error, Stopped):
            raise error
    return first.result(), second.result()


def _begun(call: Callable[[], T], stop: threading.Event) -> Future[T]:
    future: Future[T] = Future()
    # No thread that keeps the process: where the program is told to end, nobody waits for it.
    threading.Thread(target=_call, args=(future, call, stop), daemon=True).start()
    return future


def _call(future: Future[T], call: Callable[[], T], stop: threading.Event) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001 - whoever waits is told, whatever it is
        stop.set()
        future.set_exception(error)
