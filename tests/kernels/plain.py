"""Runs kernels as the plain Python they are written in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np
import pytest

from pipeline.kernels import hashing, minhash, scan, sets, stars, tokens, union_find
from tests.kernels import tokenising

_MODULES: tuple[ModuleType, ...] = (hashing, tokens, minhash, scan, sets, stars, union_find, tokenising)


@contextmanager
def plain_python() -> Iterator[None]:
    """Replace every compiled function that a kernel may call by its plain Python.

    Compiled functions hand plain Python ints to their callers, which would then overflow
    differently, so it is all or nothing. Unsigned arithmetic wraps on purpose.
    """
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore"):
        for module in _MODULES:
            for name, value in vars(module).items():
                if hasattr(value, "py_func"):
                    patch.setattr(module, name, value.py_func)
        yield
