"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_SECONDS = 60  # a busy machine passes, a defect is told before pytest's own limit


def until(reached: Callable[[], bool], words: str) -> None:
    """Wait until something is so; if it is not for long, fail with these words."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline, words
        time.sleep(0.005)
