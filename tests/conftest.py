"""What every test shares: how Hypothesis searches, where the big data sets are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# No deadline: the first example of a kernel compiles it. Derandomized, so that a run in CI fails
# for a change and not by chance; `make test-slow` is where new examples are looked for.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=50, print_blob=True)
settings.register_profile("slow", deadline=None, derandomize=False, max_examples=1000, print_blob=True)
settings.load_profile("default")


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Return the folder of a data set by name; skip the test where the data sets are not at hand."""

    def folder(name: str) -> Path:
        if not SHARED_DATA.is_dir():
            pytest.skip("the shared data sets are not beside this repository (../shared/data)")
        assert (SHARED_DATA / name).is_dir(), f"no data set is called {name!r}: a typing error in the test?"
        return SHARED_DATA / name

    return folder
