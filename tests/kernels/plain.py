"""Runs kernels as the plain Python they are written in."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import pipeline.kernels
from tests.kernels import tokenising

_NAMES = [f"pipeline.kernels.{module.name}" for module in pkgutil.iter_modules(pipeline.kernels.__path__)]


@contextmanager
def plain_python() -> Iterator[None]:
    """Replace every compiled function that a kernel may call by its plain Python.

    Compiled functions hand plain Python ints to their callers, which would then overflow
    differently, so it is all or nothing. Unsigned arithmetic wraps on purpose.
    """
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore"):
        for module in (*map(importlib.import_module, _NAMES), tokenising):
            for name, value in vars(module).items():
                if hasattr(value, "py_func"):
                    patch.setattr(module, name, value.py_func)
        yield
