"""What tests share: how Hypothesis searches, on how many cores they run, which data and audits they have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:  # kernels must not be loaded before it is known where the compiled ones are
    from tests.dying import Audits
    from tests.kill_trials import Trials

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# No deadline: the first example of a kernel compiles it. Derandomized, so that a run in CI fails
# for a change and not by chance; `make test-slow` is where new examples are looked for.
settings.register_profile("default", deadline=None, derandomize=True, max_examples=50, print_blob=True)
settings.register_profile("slow", deadline=None, derandomize=False, max_examples=1000, print_blob=True)
settings.load_profile("default")

MOST_WORKERS = 8  # each collects all tests, ten seconds' work, before it runs its share of them
KERNELS = pytest.StashKey[str]()  # the folder of compiled kernels
WARM = "from pipeline.stages.warm import warm; warm(); import numba; print(numba.config.CACHE_DIR)"


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return a process a core; none but this one for tests that were named by their files."""
    if not all(Path(name).is_dir() for name in config.args):
        return 0
    return min(os.cpu_count() or 1, MOST_WORKERS)


def pytest_configure(config: pytest.Config) -> None:
    """Compile the kernels before there are workers; in a worker, use a copy of them.

    Numba's cache mixes up the signatures of a kernel when two processes add to it at once, so each worker
    adds to its own, which it keeps for the next time.
    """
    if config.getoption("tx") and not config.option.collectonly:
        done = subprocess.run([sys.executable, "-c", WARM], check=True, stdout=subprocess.PIPE, text=True)
        config.stash[KERNELS] = done.stdout.strip()
    if hasattr(config, "workerinput"):
        compiled = Path(config.workerinput["kernels"])
        own = config.rootpath / ".pytest_cache" / "d" / f"kernels-{config.workerinput['workerid']}"
        if not (own / compiled.name).is_dir():
            shutil.rmtree(own, ignore_errors=True)
            shutil.copytree(compiled, own / compiled.name)
        os.environ["NUMBA_CACHE_DIR"] = str(own)


def pytest_configure_node(node: Any) -> None:
    """Tell a worker where the compiled kernels are."""
    node.workerinput["kernels"] = node.config.stash[KERNELS]


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Return the folder of a data set by name; skip the test where the data sets are not at hand."""

    def folder(name: str) -> Path:
        if not SHARED_DATA.is_dir():
            pytest.skip("the shared data sets are not beside this repository (../shared/data)")
        assert (SHARED_DATA / name).is_dir(), f"no data set is called {name!r}: a typing error in the test?"
        return SHARED_DATA / name

    return folder


@pytest.fixture(scope="session")
def forking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audits]:
    """Audits in processes of their own."""
    from tests.dying import audits

    with audits(tmp_path_factory.mktemp("logs")) as found:
        yield found


@pytest.fixture(scope="session")
def alone(forking: Audits, tmp_path_factory: pytest.TempPathFactory) -> Trials:
    """An undisturbed audit without an index."""
    from tests.kill_trials import Trials

    return Trials.of(forking, tmp_path_factory.mktemp("alone"), False)


@pytest.fixture(scope="session")
def indexed(forking: Audits, tmp_path_factory: pytest.TempPathFactory) -> Trials:
    """An undisturbed audit with the index of an earlier run."""
    from tests.kill_trials import Trials

    return Trials.of(forking, tmp_path_factory.mktemp("indexed"), True)


@pytest.fixture(params=["alone", "indexed"])
def trials(request: pytest.FixtureRequest) -> Trials:
    """Each of the two."""
    found: Trials = request.getfixturevalue(request.param)
    return found
