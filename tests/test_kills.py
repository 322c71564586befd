"""A run that is killed at any moment is finished by the same command, with the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.audits import write_rows
from tests.dying import KILLED, Ended, differing, left_in, told
from tests.kill_trials import Trials

NOTHING_NEW = ["files: summary/new_repeats.parquet", "rest: earlier_run", "rest: new_files"]
ORDINARY = 6  # points with an index and as many without
POINTS_OF_A_STAGE = 3


def _points(ended: Ended, *kinds: str) -> list[int]:
    """The points of some kinds that are not about clearing away the work of the finished run."""
    last = max(i for i, point in enumerate(ended.points) if point == ("", "os.symlink"))
    return [i for i, (_, what) in enumerate(ended.points[: last + 3]) if not kinds or what in kinds]


def test_every_stage_is_under_way_at_some_point(trials: Trials) -> None:
    told_stages = set(trials.wanted["counts"])
    assert trials.undisturbed.stages == told_stages
    assert len(told_stages) > 20
    assert len(trials.undisturbed.points) > 500


@pytest.mark.parametrize("which", range(ORDINARY))
def test_a_killed_run_is_finished_by_the_same_command(trials: Trials, which: int) -> None:
    points = _points(trials.undisturbed)
    point = points[len(points) * which // ORDINARY + which]
    trials.resumes(trials.killed(point, torn=which % 2 == 0))


def test_a_run_killed_at_its_last_rename_is_there_or_not(trials: Trials) -> None:
    renames = _points(trials.undisturbed, "os.rename")[-3:]
    whole = []
    for point in renames:
        died = trials.killed(point)
        whole.append((trials.run / "run.json").exists())
        assert trials.run.exists() == whole[-1]
        trials.resumes(died)
    assert True in whole
    assert False in whole


def test_a_run_killed_while_it_clears_away_is_a_finished_run(trials: Trials) -> None:
    for point in (len(trials.undisturbed.points) - 100, len(trials.undisturbed.points) - 1):
        trials.killed(point)
        trials.is_whole()


def test_a_resume_that_is_killed_is_resumed(trials: Trials) -> None:
    first = trials.killed(len(_points(trials.undisturbed)) // 3)
    second = trials.audits.run(trials.config, dies_at=len(first.points) // 2)
    third = trials.audits.run(trials.config, dies_at=len(first.points))
    assert (second.code, third.code) == (KILLED, KILLED)
    trials.resumes(first, second, third)


def test_a_resume_does_no_task_again_that_was_done(trials: Trials) -> None:
    """Killed twice: in its last task, and when the run is about to be finished."""
    trials.killed(trials.undisturbed.last_task)
    probe = trials.audits.run(trials.config)
    died = trials.killed(trials.undisturbed.last_task)
    records = _records(trials)
    assert len(records) > 40
    resumed = trials.audits.run(trials.config, dies_at=probe.points.index(("", "os.symlink")))
    assert resumed.code == KILLED
    assert records.items() <= _records(trials).items()
    assert len(_records(trials)) == len(records) + 1 == _recorded(trials.undisturbed)
    trials.resumes(died, resumed)


def _recorded(ended: Ended) -> int:
    return sum(count for (_, function), count in ended.done.items() if function == "recorded")


def _records(trials: Trials) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in trials.work.glob("*/done/*/*.json")}


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_inputs_that_changed_meanwhile_are_audited_as_they_are(
    trials: Trials, share: float, tmp_path: Path
) -> None:
    points = _points(trials.undisturbed)
    trials.killed(points[int(len(points) * share)])
    inputs = trials.folder / "in"
    (inputs / "1.jsonl").unlink()
    (inputs / "2.jsonl").rename(inputs / "0 first.jsonl")
    write_rows(inputs / "new.jsonl", [{"text": "one text that is new", "from": "b"}] * 3)
    elsewhere = {"out": str(tmp_path / "out")}
    if trials.indexed:
        elsewhere["index"] = str(shutil.copytree(trials.folder / "index before", tmp_path / "index"))
    fresh = trials.audits.run(trials.config | elsewhere, "fresh")
    resumed = trials.audits.run(trials.config)
    assert (fresh.code, resumed.code) == (0, 0)
    assert resumed.damaged == ()
    assert told(trials.run)["files"] == told(tmp_path / "out" / "fresh")["files"]
    assert left_in(trials.out) == []
    # What was scanned is not read again; a shard of a file that is gone is another.
    assert resumed.work["scan"] < fresh.work["scan"] or trials.indexed


def test_another_name_goes_on_with_the_same_work(trials: Trials) -> None:
    died = trials.killed(trials.undisturbed.last_task)
    resumed = trials.audits.run(trials.config, "renamed")
    assert resumed.code == 0
    assert sum(resumed.work.values()) == 1
    assert sum(died.work.values()) == sum(trials.undisturbed.work.values()) - 1
    assert told(trials.out / "renamed") == trials.wanted
    assert left_in(trials.out) == []


def test_the_next_run_ends_what_a_killed_one_had_left_to_do(trials: Trials) -> None:
    """Killed between the run's own name and `latest`: another run of the same work folder follows."""
    trials.killed(_points(trials.undisturbed, "os.symlink")[-1])
    assert (trials.run / "run.json").exists()
    following = trials.audits.run(trials.config, "next")
    assert following.code == 0
    assert following.damaged == ()
    trials.is_wanted()
    found = [each for each in differing(told(trials.out / "next"), trials.wanted) if "counts: " not in each]
    assert found == (NOTHING_NEW if trials.indexed else [])
    assert (trials.out / "latest").readlink().name == "next"
    assert left_in(trials.out) == []


def _slow_points(ended: Ended) -> list[int]:
    """Some points of every stage, and all that decide whether a run or an index has changed."""
    found = set(_points(ended)[-25:])
    for stage in ended.stages | {""}:
        own = [i for i in _points(ended) if ended.points[i][0] == stage]
        found |= {own[len(own) * i // POINTS_OF_A_STAGE] for i in range(POINTS_OF_A_STAGE)} | {own[-1]}
    return sorted(found)


@pytest.mark.slow
def test_a_kill_at_any_stage_costs_nothing_but_time(trials: Trials) -> None:
    points = _slow_points(trials.undisturbed)
    assert {trials.undisturbed.points[i][0] for i in points} >= trials.undisturbed.stages
    assert len(points) >= 50
    for n, point in enumerate(points):
        died = trials.killed(point, torn=n % 2 == 0)
        if n % 3 == 0:
            again = trials.audits.run(trials.config, dies_at=(n * 37) % 300)
            if again.code == KILLED:
                trials.resumes(died, again)
                continue
        trials.resumes(died)
