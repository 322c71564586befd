"""Nights in which clocks jump: runs stay in the order they were made."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.cli import main
from pipeline.gates import check_run
from pipeline.runs import finished_runs, prune
from tests.audits import audit, without_dask, write_texts
from tests.gated_runs import finished

BACK = datetime(2026, 10, 25, 0, 59, 59, tzinfo=UTC)  # Berlin: 2:59:59 in summer, a second later 2:00:00


class _Clock(datetime):
    """A clock that shows what it is told to."""

    shown = BACK

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return cls.shown.astimezone(tz) if tz is not None else cls.shown.astimezone().replace(tzinfo=None)


@pytest.fixture(params=["Europe/Berlin", "Pacific/Kiritimati"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A time zone of this process."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def _audit(folder: Path, text: int, shown: datetime, patches: pytest.MonkeyPatch, **config: object) -> str:
    patches.setattr(_Clock, "shown", shown)
    patches.setattr("pipeline.run.datetime", _Clock)
    patches.setattr("pipeline.manifest.datetime", _Clock)
    patches.setattr(time, "time", shown.timestamp)
    data = write_texts(folder / "texts.jsonl", [f"text {text}", *["again"] * text])
    with without_dask(page=False):
        return audit(data, folder / "audits", None, passages={"enabled": False}, **config).folder.name  # type: ignore[arg-type]


@pytest.mark.usefixtures("zone")
def test_audits_keep_their_order_when_the_clock_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    for i, jump in enumerate(timedelta(seconds=jump) for jump in (0, 1, -3600, -(10**8), 10**7)):
        with monkeypatch.context() as patches:
            names.append(_audit(tmp_path, i + 1, BACK + jump, patches))
        assert os.readlink(tmp_path / "audits" / "latest") == names[-1]
    assert names[0] == "2026-10-25T00-59-59Z", "in UTC, wherever this runs"
    assert len(set(names)) == len(names)
    assert names != sorted(names), "by name they are in another order"
    found = finished_runs(tmp_path / "audits")
    assert [run.folder.name for run in found] == names
    assert [run.sequence for run in found] == [1, 2, 3, 4, 5]
    monkeypatch.chdir(tmp_path)
    compared = CliRunner().invoke(main, ["compare"])
    assert f"{names[3]} -> {names[4]}" in compared.stdout
    prune(tmp_path / "audits", 2, False)
    assert {path.name for path in (tmp_path / "audits").iterdir()} == {"latest", *names[3:]}


@pytest.mark.usefixtures("zone")
def test_a_second_run_in_the_hour_that_comes_twice_has_a_name_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patches:
        names = [_audit(tmp_path, i, BACK, patches) for i in (1, 2)]
    assert names == ["2026-10-25T00-59-59Z", "2026-10-25T00-59-59Z-2"]
    assert [run.folder.name for run in finished_runs(tmp_path / "audits")] == names


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(st.permutations(range(4)), st.permutations(range(4)))
def test_worse_than_last_looks_at_the_run_made_before_whatever_clocks_and_names_say(
    tmp_path_factory: pytest.TempPathFactory, started: list[int], names: list[int]
) -> None:
    out = tmp_path_factory.mktemp("nights")
    # Night by night a tenth more is repeated; names and times are in any order.
    runs = []
    for night in range(4):
        share = 0.1 * night
        figures = {"near_surplus_fraction": share, "exact_surplus_fraction": share}
        gate = {"worse_than_last": {"max_increase": 0.05}}
        run = finished(out / f"run{names[night]}", figures, sequence=night + 1, gates=gate)
        manifest = json.loads((run / "run.json").read_text())
        manifest["started"] = f"20{started[night]}6-10-25T02:30:00+0{night % 3}:00"
        (run / "run.json").write_text(json.dumps(manifest))
        runs.append(run)
    for night, run in enumerate(runs):
        (verdict,) = check_run(run, None).verdicts
        assert verdict.passed == (night == 0)
        assert (f"since run {runs[night - 1].name!r}" in verdict.words) == (night > 0)
