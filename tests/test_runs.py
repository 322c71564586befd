"""The order of runs, and what `latest` points at."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.cli import main
from pipeline.errors import ArtifactError, AuditError, ConfigError
from pipeline.runs import finished_runs, newest_run, next_sequence, point_latest, prune
from tests.audits import audit, audit_texts, without_dask
from tests.planted_runs import names, plant_run, plant_runs


def _order(out: Path) -> list[str]:
    return [run.folder.name for run in finished_runs(out)]


def test_runs_are_in_the_order_of_their_numbers_whatever_clocks_and_names_say(tmp_path: Path) -> None:
    plant_run(tmp_path, "a", sequence=10, started="2025-03-30T02:59:59+01:00")
    plant_run(tmp_path, "c", sequence=2, started="2099-01-01T00:00:00+00:00")  # before the clock was mended
    plant_run(tmp_path, "b", sequence=11, started="2025-03-30T03:00:00+02:00")
    assert _order(tmp_path) == ["c", "a", "b"]
    assert newest_run(tmp_path) == tmp_path / "b"
    assert next_sequence(tmp_path) == 12


def test_runs_without_a_number_come_first_by_the_instant_they_started(tmp_path: Path) -> None:
    plant_run(tmp_path, "numbered", sequence=1, started="2020-01-01T00:00:00+00:00")
    # The hour that daylight saving repeats: the later reads as the earlier.
    plant_run(tmp_path, "summer", started="2025-10-26T02:50:00+02:00")
    plant_run(tmp_path, "winter", started="2025-10-26T02:10:00+01:00")
    plant_run(tmp_path, "noon there", started="2025-10-26T12:00:00+14:00")
    plant_run(tmp_path, "no zone", started="2025-10-26T01:00:00")
    plant_run(tmp_path, "no time", started=None)
    plant_run(tmp_path, "b tie", started="1999-01-01T00:00:00Z")
    plant_run(tmp_path, "a tie", started="1999-01-01T01:00:00+01:00")
    expected = ["no time", "a tie", "b tie", "noon there", "summer", "no zone", "winter", "numbered"]
    assert _order(tmp_path) == expected


@pytest.mark.parametrize("number", [None, "7", 7.0, True, -3, 0, [7]])
def test_number_that_is_none_counts_as_none(tmp_path: Path, number: object) -> None:
    plant_run(tmp_path, "odd", sequence=number, started="2030-01-01T00:00:00Z")
    plant_run(tmp_path, "good", sequence=1)
    assert _order(tmp_path) == ["odd", "good"]
    assert next_sequence(tmp_path) == 2


@pytest.mark.parametrize("started", [5, "", "yesterday", "9999-12-31T23:59:59-14:00", [], {}])
def test_time_that_is_none_is_long_ago(tmp_path: Path, started: object) -> None:
    plant_run(tmp_path, "odd", started=started)
    plant_run(tmp_path, "good", started="1970-01-01T00:00:00Z")
    assert _order(tmp_path) == ["odd", "good"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.lists(st.tuples(st.datetimes(timezones=st.timezones()), st.booleans()), max_size=5))
def test_numbers_given_one_after_the_other_keep_the_order(
    tmp_path_factory: pytest.TempPathFactory, made: Sequence[tuple[Any, bool]]
) -> None:
    out = tmp_path_factory.mktemp("runs")
    for i, (started, backwards) in enumerate(made):
        name = f"{'a' if backwards else 'b'}{9 - i if backwards else i}"
        plant_run(out, name, 1, sequence=next_sequence(out), started=started.isoformat(), run=str(i))
    manifests = [json.loads((run.folder / "run.json").read_text()) for run in finished_runs(out)]
    assert [manifest["run"] for manifest in manifests] == [str(i) for i in range(len(made))]


def test_what_is_no_run_is_not_listed(tmp_path: Path) -> None:
    run = plant_run(tmp_path, "run", sequence=1)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(run)
    (tmp_path / "latest").symlink_to("run")
    plant_run(tmp_path, ".hidden", sequence=5)
    for name, content in [("other", '{"run": "x"}'), ("list", "[]"), ("broken", "{"), ("deep", "[" * 10**5)]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(content)
    plant_run(tmp_path, "nameless", run=None)
    (tmp_path / "folder" / "run.json").mkdir(parents=True)
    assert _order(tmp_path) == ["run"]


def test_too_few_runs_are_an_error_that_says_how_many(tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ArtifactError, match="no run here") as caught:
            newest_run(out)
        assert caught.value.where == str(out)
    plant_runs(tmp_path, 1)
    with pytest.raises(ArtifactError, match="fewer than 2 runs") as caught:
        finished_runs(tmp_path, least=2)
    assert caught.value.got == "1 run"
    assert finished_runs(tmp_path / "missing") == []
    with pytest.raises(ArtifactError, match="cannot look into"):
        finished_runs(tmp_path / "run1" / "run.json")


def test_audits_number_themselves_and_move_latest(tmp_path: Path) -> None:
    with without_dask(page=False):
        first = audit_texts(["a b"], tmp_path).folder
        out = first.parent
        assert os.readlink(out / "latest") == "run"
        plant_run(out, "of a later clock", sequence=7)
        second = audit(tmp_path / "texts.jsonl", out, "again").folder
    assert json.loads((first / "run.json").read_text())["sequence"] == 1
    assert json.loads((second / "run.json").read_text())["sequence"] == 8
    assert os.readlink(out / "latest") == "again"
    assert names(out) == ["again", "latest", "of a later clock", "run"]


def test_no_run_may_be_called_latest(tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(ConfigError, match="not a name for a run"):
        audit(tmp_path / "texts.jsonl", tmp_path / "out", "latest")
    assert not (tmp_path / "out").exists()


def test_a_failed_audit_leaves_latest_where_it_was(tmp_path: Path) -> None:
    with without_dask(page=False):
        out = audit_texts(["a b"], tmp_path).folder.parent
        (tmp_path / "texts.jsonl").write_text("{broken\n")
        with pytest.raises(AuditError):
            audit(tmp_path / "texts.jsonl", out, "again")
    assert os.readlink(out / "latest") == "run"
    assert [name for name in names(out) if not name.startswith(".work-")] == ["latest", "run"]


def test_latest_is_moved_without_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = plant_runs(tmp_path, 2)
    point_latest(tmp_path, first)
    replace, looks = os.replace, []

    def looked_at(source: str | Path, target: str | Path) -> None:
        looks.append((tmp_path / "latest").resolve())
        replace(source, target)
        looks.append((tmp_path / "latest").resolve())

    monkeypatch.setattr(os, "replace", looked_at)
    point_latest(tmp_path, second)
    assert looks == [first, second]
    assert names(tmp_path) == ["latest", "run1", "run2"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP])
def test_latest_is_a_file_where_there_are_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, "no links")

    runs = plant_runs(tmp_path, 3)
    monkeypatch.setattr(os, "symlink", refused)
    for run in runs[1::-1]:
        point_latest(tmp_path, run)
        assert (tmp_path / "latest").read_text() == f"{run.name}\n"
    prune(tmp_path, 1, False)
    assert names(tmp_path) == ["latest", "run1", "run3"]


def test_commands_follow_a_latest_that_is_a_file(tmp_path: Path) -> None:
    with without_dask(page=False):
        run = audit_texts(["one two three"], tmp_path).folder
    (run.parent / "latest").unlink()
    (run.parent / "latest").write_text("run\n")
    (run.parent / "other").write_text("run\n")
    for command in (("check",), ("show",)):
        assert CliRunner().invoke(main, [*command, str(run.parent / "latest")]).exit_code == 0
        assert "got:      a file" in CliRunner().invoke(main, [*command, str(run.parent / "other")]).stderr
    for words in ("gone", "", "../audits/\0", "\udcff"):
        (run.parent / "latest").write_text(words, errors="surrogateescape")
        result = CliRunner().invoke(main, ["compare", str(run), str(run.parent / "latest")])
        assert result.exit_code == 1
        assert "not a finished run" in result.stderr


def test_latest_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run,) = plant_runs(tmp_path, 1)
    (tmp_path / "latest").mkdir()
    with pytest.raises(AuditError, match="run1 is finished, but latest cannot be pointed at it"):
        point_latest(tmp_path, run)
    assert names(tmp_path) == ["latest", "run1"]

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "symlink", full)
    with pytest.raises(AuditError, match="full"):
        point_latest(tmp_path, run)
