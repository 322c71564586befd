"""What tests of comparisons share: two finished runs."""

from __future__ import annotations

import pytest

from tests.audits import Audited
from tests.comparing.planted import planted_runs


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Audited, Audited]:
    """Two runs, the second of a corpus that differs as planted."""
    return planted_runs(tmp_path_factory.mktemp("compare"))
