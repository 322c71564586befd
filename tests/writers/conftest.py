"""Fixtures for writer tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for files that each example of a property overwrites."""
    return tmp_path_factory.mktemp("scratch")
