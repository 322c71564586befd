"""What prune removes and leaves, and the space it says that frees."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from pipeline import locks, removal
from pipeline.cli import main
from pipeline.errors import ArtifactError, AuditError, ConfigError
from pipeline.locks import Holder, holder_of, locked
from pipeline.removal import Space
from pipeline.runs import finished_runs, prune
from tests.audits import audit_texts, without_dask
from tests.planted_runs import aged, disk, names, plant_run, plant_runs


def test_prune_removes_the_oldest_beyond_keep_and_says_what_that_frees(tmp_path: Path) -> None:
    runs = plant_runs(tmp_path, 5)
    goes = [disk(run) for run in runs[:3]]
    words = prune(tmp_path, 2, False).splitlines()
    assert names(tmp_path) == ["run4", "run5"]
    assert words[0] == f"Removed 3 of 5 runs in {tmp_path}:"
    shown = [f"{size / 1000:.1f} kB" for size in goes]
    assert words[1:4] == [f"  run{i + 1}, started 2025-01-02 03:04 UTC: {shown[i]}" for i in range(3)]
    assert words[4:] == [f"Freed {sum(goes) / 1000:.1f} kB on disk."]


def test_dry_run_says_the_same_and_removes_nothing(tmp_path: Path) -> None:
    plant_runs(tmp_path, 4)
    plant_run(tmp_path, ".keep-dead-1")
    aged(tmp_path / ".keep-dead-1", 25)
    before = sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    would = prune(tmp_path, 1, True)
    assert sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")) == before
    assert would.startswith("Would remove 3 of 4 runs and 1 leftover in ")
    does = prune(tmp_path, 1, False)
    assert would.replace("Would remove", "Removed").replace("That would free", "Freed") == does
    assert names(tmp_path) == ["run4"]


def test_nothing_to_prune_is_said(tmp_path: Path) -> None:
    assert prune(tmp_path, 30, False) == f"Removed 0 of 0 runs in {tmp_path}."
    plant_runs(tmp_path, 2)
    assert prune(tmp_path, 2, True) == f"Would remove 0 of 2 runs in {tmp_path}."


@pytest.mark.parametrize("link", ["run1", "./run1", "absolute"])
def test_what_latest_points_at_stays(tmp_path: Path, link: str) -> None:
    runs = plant_runs(tmp_path, 4)
    (tmp_path / "latest").symlink_to(runs[0] if link == "absolute" else link)
    assert "Removed 2 of 4 runs" in prune(tmp_path, 1, False)
    assert names(tmp_path) == ["latest", "run1", "run4"]


def test_latest_that_points_elsewhere_keeps_nothing_here(tmp_path: Path) -> None:
    plant_runs(tmp_path / "out", 2)
    plant_runs(tmp_path / "other", 1)
    (tmp_path / "out" / "latest").symlink_to(tmp_path / "other" / "run1")
    prune(tmp_path / "out", 1, False)
    assert names(tmp_path / "out") == ["latest", "run2"]
    assert names(tmp_path / "other") == ["run1"]


def test_what_is_not_of_runs_is_not_touched(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", plant_run(tmp_path, "elsewhere", sequence=1)
    plant_runs(out, 2)
    (out / "run1" / "link").symlink_to(elsewhere)
    (out / "link").symlink_to(elsewhere)
    (out / ".work-link").symlink_to(elsewhere)
    (out / ".work-file").write_text("mine")
    (out / "foreign").mkdir()
    (out / "foreign" / "data").write_text("mine")
    (out / "of another tool").mkdir()
    (out / "of another tool" / "run.json").write_text('{"id": 1}')
    plant_run(out, ".hidden", sequence=0)
    for path in out.iterdir():
        aged(path, 1000)
    others = [".hidden", ".work-file", ".work-link", "foreign", "link", "of another tool"]
    prune(out, 1, False)
    assert names(out) == [*others, "run2"]
    assert names(elsewhere) == ["documents", "run.json"]
    assert names(out / ".hidden") == ["documents", "run.json"]


def test_a_hostile_name_is_removed_and_shown_on_one_line(tmp_path: Path) -> None:
    plant_run(tmp_path, "new\nline \x1b[31m\u202e<script>", sequence=1)
    plant_run(tmp_path, "kept", sequence=2)
    words = prune(tmp_path, 1, False).splitlines()
    assert words[1].startswith(r"  new\nline \x1b[31m\u202e<script>, started")
    assert all(line.isprintable() for line in words)
    assert names(tmp_path) == ["kept"]


def test_name_that_is_no_unicode_is_removed(tmp_path: Path) -> None:
    plant_run(tmp_path, os.fsdecode(b"a\xff"), sequence=1, run="a")
    plant_run(tmp_path, "kept", sequence=2)
    assert r"a\udcff" in prune(tmp_path, 1, False)
    assert names(tmp_path) == ["kept"]


def test_read_only_runs_are_removed_and_links_in_them_not_followed(tmp_path: Path) -> None:
    run, outside = plant_runs(tmp_path, 2)[0], tmp_path / "outside"
    outside.mkdir(mode=0o500)
    (run / "documents" / "link").symlink_to(outside)
    (run / "documents" / "part-00000.parquet").chmod(0o400)
    (run / "documents").chmod(0o500)
    run.chmod(0o500)
    prune(tmp_path, 1, False)
    assert names(tmp_path) == ["outside", "run2"]
    assert outside.stat().st_mode & 0o777 == 0o500


def test_space_counts_files_of_several_names_with_the_last(tmp_path: Path) -> None:
    first, second, kept = (plant_run(tmp_path, name, 1) for name in ("first", "second", "kept"))
    (first / "shared").write_bytes(os.urandom(100_000))
    os.link(first / "shared", second / "shared")
    os.link(first / "shared", second / "again")
    (first / "stays").write_bytes(os.urandom(100_000))
    os.link(first / "stays", kept / "stays")
    space, twice = Space(), disk(first) - disk(first / "shared") - disk(first / "stays")
    assert space.of(first) == twice
    assert space.of(second) == disk(second) - disk(second / "again")
    assert Space().of(tmp_path) == disk(tmp_path) - 2 * disk(first / "shared") - disk(first / "stays")


def test_leftovers_of_dead_runs_go_and_those_that_may_be_alive_stay(tmp_path: Path) -> None:
    for name, hours in (("work", 7 * 24), ("keep", 24), ("lock", 24), ("latest", 24)):
        aged(plant_run(tmp_path, f".{name}-old"), hours + 1)
        aged(plant_run(tmp_path, f".{name}-young"), hours - 1)
    touched = aged(plant_run(tmp_path, ".work-touched"), 1000)
    os.utime(touched / "documents" / "part-00000.parquet")
    assert prune(tmp_path, 1, False).startswith("Removed 0 of 0 runs and 4 leftovers in ")
    young = [".keep-young", ".latest-young", ".lock-young", ".work-touched", ".work-young"]
    assert names(tmp_path) == young


def test_work_of_a_process_that_runs_stays_however_old(tmp_path: Path) -> None:
    work = plant_run(tmp_path, ".work-mine")
    with locked(work, "run"):
        aged(work, 1000)
        prune(tmp_path, 1, False)
        assert names(tmp_path) == [".work-mine"]


def _killed_in(folder: Path) -> None:
    code = (
        "import os, signal, sys, pathlib\nfrom pipeline.locks import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), 'run'): os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == -9
    assert (folder / ".lock").is_dir()


def test_what_a_killed_process_left_goes_at_once(tmp_path: Path) -> None:
    _killed_in(plant_run(tmp_path, ".keep-killed"))
    words = prune(tmp_path, 1, False)
    assert "  .keep-killed, left by a dead process: " in words
    assert names(tmp_path) == []


def test_work_of_a_killed_run_stays_a_week_for_the_same_command_to_go_on_with(tmp_path: Path) -> None:
    work = plant_run(tmp_path, ".work-killed")
    _killed_in(work)
    for hours in (0, 7 * 24 - 1):
        aged(work, hours)
        prune(tmp_path, 1, False)
        assert names(tmp_path) == [".work-killed"]
    aged(work, 7 * 24 + 1)
    assert "  .work-killed, left by a dead process: " in prune(tmp_path, 1, False)
    assert names(tmp_path) == []


@pytest.mark.parametrize("alive", [True, False])
def test_old_work_of_another_host_stays_while_its_lock_is_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alive: bool
) -> None:
    # As after a jump of this host's clock: everything looks old.
    work = plant_run(tmp_path, ".work-far")
    (work / ".lock").mkdir()
    file = work / ".lock" / "token"
    file.write_text(json.dumps(asdict(Holder("run", "far.example", 1, "boot", "1", "2025-01-01T00:00:00"))))
    aged(work, 1000)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if alive and sum(pauses) == 30:
            os.utime(file, (1, 1))

    monkeypatch.setattr(locks, "time", SimpleNamespace(monotonic=lambda: sum(pauses), sleep=pause))
    prune(tmp_path, 1, False)
    assert names(tmp_path) == ([".work-far"] if alive else [])
    assert sum(pauses) == (30 if alive else 60)


def test_audit_holds_the_lock_of_its_work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def looked(*_: object) -> None:
        out = tmp_path / "audits"
        (work,) = (path for path in out.iterdir() if path.name.startswith(".work-"))
        aged(work, 1000)
        prune(out, 1, False)
        seen.append(work.exists())
        raise ConfigError("enough seen")

    monkeypatch.setattr("pipeline.run._Audit.run", looked)
    with without_dask(), pytest.raises(ConfigError, match="enough seen"):
        audit_texts(["a"], tmp_path)
    assert seen == [True]
    assert all(holder_of(path) is None for path in (tmp_path / "audits").iterdir())


def test_a_run_in_which_a_keep_list_is_made_stays(tmp_path: Path) -> None:
    busy, gone, _ = plant_runs(tmp_path, 3)
    for run in (busy, gone):
        aged(plant_run(run / "keep", ".keep-1"), 25)
    with locked(busy / "keep" / ".keep-1", "keep list"):
        words = prune(tmp_path, 1, False).splitlines()
    assert words[0].startswith("Removed 1 of 3 runs in ")
    assert words[0].endswith(":")
    assert words[1].startswith("  run1, started ")
    assert words[1].endswith(": stays, for a keep list is being made in it")
    assert names(tmp_path) == ["run1", "run3"]
    aged(busy / "keep" / ".keep-1", 25)
    assert prune(tmp_path, 1, False).startswith("Removed 1 of 2 runs in ")


def test_leftovers_of_keep_lists_in_a_run_that_stays_go(tmp_path: Path) -> None:
    gone, stays = plant_runs(tmp_path, 2)
    for run in (gone, stays):
        aged(plant_run(run / "keep", ".keep-dead"), 25)
        plant_run(run / "keep", "cap-3")
    words = prune(tmp_path, 1, False)
    assert words.count("left by a dead process") == 1
    assert "  run2/keep/.keep-dead, left by a dead process" in words
    assert names(stays / "keep") == ["cap-3"]


def test_a_kill_half_way_leaves_no_half_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_runs(tmp_path, 3)

    def killed(folder: Path) -> None:
        (folder / "run.json").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patches:
        patches.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            prune(tmp_path, 1, False)
    assert [name.startswith(".removed-") for name in names(tmp_path)] == [True, False, False]
    assert [run.folder.name for run in finished_runs(tmp_path)] == ["run2", "run3"]
    assert prune(tmp_path, 2, False).startswith("Removed 0 of 2 runs and 1 leftover")
    assert names(tmp_path) == ["run2", "run3"]


def test_what_another_removes_meanwhile_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = plant_runs(tmp_path, 1)[0]
    rmtree, calls = shutil.rmtree, []

    def overtaken(folder: Path) -> None:
        calls.append(folder)
        if len(calls) == 1:
            raise FileNotFoundError("a file that was there")
        rmtree(folder)

    monkeypatch.setattr(shutil, "rmtree", overtaken)
    removal.remove(run)
    removal.remove(run)
    assert len(calls) == 2
    assert names(tmp_path) == []


def test_run_that_cannot_be_removed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_runs(tmp_path, 2)

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(AuditError, match="cannot remove a folder") as caught:
        prune(tmp_path, 1, False)
    assert caught.value.where == str(tmp_path / "run1")
    assert names(tmp_path) == ["run1", "run2"]


@pytest.mark.parametrize("keep", [0, -1])
def test_prune_never_removes_all(tmp_path: Path, keep: int) -> None:
    plant_runs(tmp_path, 2)
    with pytest.raises(ConfigError, match="keeps at least one"):
        prune(tmp_path, keep, False)
    assert names(tmp_path) == ["run1", "run2"]


def test_prune_of_no_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(ArtifactError, match="cannot look into a folder of runs") as caught:
            prune(path, 1, False)
        assert caught.value.where == str(path)


def test_command_prunes_the_folder_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_runs(tmp_path / "audits", 3)
    monkeypatch.chdir(tmp_path)
    would = CliRunner().invoke(main, ["prune", "--keep", "2", "--dry-run"])
    assert would.exit_code == 0
    assert would.stdout.startswith("Would remove 1 of 3 runs in audits:\n  run1, started")
    assert CliRunner().invoke(main, ["prune"]).stdout == "Removed 0 of 3 runs in audits.\n"
    assert CliRunner().invoke(main, ["prune", "audits", "--keep", "1"]).exit_code == 0
    assert names(tmp_path / "audits") == ["run3"]
    assert CliRunner().invoke(main, ["prune", "--keep", "0"]).exit_code == 2
    missing = CliRunner().invoke(main, ["prune", "nowhere"])
    assert missing.exit_code == 1
    assert "where:    nowhere" in missing.stderr
