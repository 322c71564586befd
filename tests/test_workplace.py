"""The folder a run works in is found again by the same command, and holds work of one kind only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pipeline import workplace as module
from pipeline.config import Config, parse
from pipeline.errors import AuditError, LockedError
from pipeline.locks import holder_of
from pipeline.removal import remove
from pipeline.workplace import Workplace, code_digest, settle, workplace

TOLD: list[str] = []


def _config(**keys: Any) -> Config:
    return parse({"inputs": "data", **keys})


def _folder(out: Path, **keys: Any) -> Path:
    with workplace(_config(**keys), out, "run", TOLD.append) as place:
        return place.folder


def _fill(place: Workplace) -> None:
    """Leave what a run leaves."""
    for path in (
        place.work / "done" / "001-texts" / "000000.json",
        place.work / "texts" / "0",
        place.work / "places.parquet",
        place.run / "documents" / "part.parquet",
        place.index / "scan" / "ab" / "x",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "beside",
    [
        {"cluster": {"local": {"threads": 7}}},
        {"cluster": {"address": "tcp://elsewhere:1"}},
        {"gates": {"documents": {"min": 1}}},
        {"metrics_file": "m.prom"},
        {"on_failure": ["mail"]},
        {"index_mismatch": "rebuild"},
    ],
)
def test_what_does_not_decide_the_result_leads_to_the_same_folder(
    tmp_path: Path, beside: dict[str, Any]
) -> None:
    assert _folder(tmp_path, **beside) == _folder(tmp_path)


@pytest.mark.parametrize(
    "other",
    [
        {"inputs": "other"},
        {"text_column": "body"},
        {"near": {"threshold": 0.8}},
        {"passages": {"enabled": False}},
        {"index": "index"},
        {"shard_bytes": 1 << 20},
    ],
)
def test_another_configuration_has_another_folder(tmp_path: Path, other: dict[str, Any]) -> None:
    assert _folder(tmp_path, **other) != _folder(tmp_path)


def test_another_folder_of_runs_has_another_name(tmp_path: Path) -> None:
    assert _folder(tmp_path / "a").name != _folder(tmp_path / "b").name


def test_the_folder_is_held_while_it_is_worked_in(tmp_path: Path) -> None:
    with workplace(_config(), tmp_path, "run monday", TOLD.append) as place:
        holder = holder_of(place.folder)
        assert holder is not None
        assert holder.what == "run monday"
        with (
            pytest.raises(LockedError, match="another process"),
            workplace(_config(), tmp_path, "run", TOLD.append),
        ):
            pass
    assert holder_of(place.folder) is None


@pytest.mark.parametrize("error", [AuditError("x"), ZeroDivisionError(), KeyboardInterrupt(), SystemExit(1)])
@pytest.mark.parametrize("left", ["work-ab/done/001-texts/000000.json", "index/scan/ab/x"])
def test_work_that_was_done_stays_after_a_failure(tmp_path: Path, error: BaseException, left: str) -> None:
    def fail() -> None:
        with workplace(_config(), tmp_path, "run", TOLD.append) as place:
            (place.folder / left).parent.mkdir(parents=True)
            (place.folder / left).write_text("")
            raise error

    with pytest.raises(type(error)):
        fail()
    (folder,) = tmp_path.iterdir()
    assert _files(folder) == [left]
    assert holder_of(folder) is None


def test_a_failure_before_anything_was_done_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with workplace(_config(), tmp_path, "run", TOLD.append) as place:
            place.holds("something")
            place.index.mkdir()
            (place.index / "index.json").write_text("{}")
            raise AuditError("x")

    with pytest.raises(AuditError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_another_is_left_alone(tmp_path: Path) -> None:
    with workplace(_config(), tmp_path, "run", TOLD.append) as place:
        with pytest.raises(LockedError), workplace(_config(), tmp_path, "run", TOLD.append):
            pass
        assert holder_of(place.folder) is not None


def test_the_same_work_is_gone_on_with(tmp_path: Path) -> None:
    with workplace(_config(), tmp_path, "run", TOLD.append) as place:
        place.holds("this")
        _fill(place)
        before = _files(place.folder)
        (place.work / "texts" / ".0.0123456789ab").write_text("by half")
        place.holds("this")
        assert _files(place.folder) == before


def test_other_work_is_removed_but_for_what_was_scanned(tmp_path: Path) -> None:
    with workplace(_config(), tmp_path, "run", TOLD.append) as place:
        place.holds("this")
        _fill(place)
        place.ends("monday", None)
        place.holds("that")
        holder = holder_of(place.folder)
        assert [name for name in _files(place.folder) if ".lock" not in name] == [
            "content.json",
            "index/scan/ab/x",
        ]
    assert holder is not None


def test_what_is_written_late_for_other_work_is_not_taken_for_this(tmp_path: Path) -> None:
    with workplace(_config(), tmp_path, "run", TOLD.append) as place:
        place.holds("this")
        late = place.work / "texts" / "0"
        place.holds("that")
        late.parent.mkdir(parents=True)
        late.write_text("of a worker that lives on")
        assert list(place.work.iterdir()) == []
        place.holds("and that")
        assert not late.exists()


@pytest.mark.parametrize("damage", [b"", b"0\n{}\n", b"\xff", None])
def test_work_that_nobody_says_what_it_is_is_removed(tmp_path: Path, damage: bytes | None) -> None:
    with workplace(_config(), tmp_path, "run", TOLD.append) as place:
        place.holds("this")
        _fill(place)
        content = place.folder / "content.json"
        content.unlink() if damage is None else content.write_bytes(damage)
        TOLD.clear()
        place.holds("this")
        assert not (place.work / "done").exists()
        assert (place.folder / "index" / "scan" / "ab" / "x").exists()
    assert [words.startswith(f"{content}: ") for words in TOLD] == [True] * (damage is not None)


def test_a_kill_while_other_work_is_removed_leaves_none_that_is_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    with workplace(_config(), tmp_path, "run", TOLD.append) as place:
        place.holds("this")
        _fill(place)
        with monkeypatch.context() as patches:
            patches.setattr(module, "remove", killed)
            with pytest.raises(KeyboardInterrupt):
                place.holds("that")
        assert (place.folder / "work-this" / "done").exists()
        place.holds("this")
        assert not (place.work / "done").exists()


def test_what_is_left_to_do_is_known_once_the_run_stands_under_its_name(tmp_path: Path) -> None:
    with workplace(_config(), tmp_path, "run", TOLD.append) as place:
        assert place.ended() is None
        place.ends("monday", {"tables": ("a",)})
        assert place.ended() is None
        (tmp_path / "monday").mkdir()
        assert place.ended() is None
        (tmp_path / "monday" / "run.json").write_text("{}")
        assert place.ended() == ("monday", {"tables": ("a",)})
        ending = place.folder / "ending.json"
        ending.write_bytes(ending.read_bytes()[:-9])
        TOLD.clear()
        assert place.ended() is None
        assert place.ended() is None
    assert len(TOLD) == 1
    assert TOLD[0].startswith(f"{ending}: ")


def test_a_folder_that_is_removed_takes_its_lock_with_it(tmp_path: Path) -> None:
    with workplace(_config(), tmp_path, "run", TOLD.append) as place:
        remove(place.folder)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(AuditError, match="cannot lock"),
        workplace(_config(), tmp_path / "file", "run", TOLD.append),
    ):
        pass


def test_the_digest_of_the_code_is_of_all_that_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    for name in ("a.py", "below/b.py", "below/page.html"):
        (tmp_path / name).write_text("1")
    monkeypatch.setattr(module, "__file__", str(tmp_path / "a.py"))
    digest = code_digest.__wrapped__  # whatever this process has found before
    seen = [digest()]
    (tmp_path / "below" / "cache.pyc").write_text("1")
    assert digest() == seen[0]
    for name in ("a.py", "below/b.py", "below/page.html"):
        (tmp_path / name).write_text("2")
        seen.append(digest())
    (tmp_path / "below" / "b.py").rename(tmp_path / "below" / "c.py")
    seen.append(digest())
    assert len(set(seen)) == len(seen)


def test_a_folder_is_settled_with_all_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("")
    settled: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: settled.append(os.readlink(f"/proc/self/fd/{handle}")))
    settle(tmp_path / "a")
    assert set(settled) == {str(tmp_path / name) for name in ("a", "a/b", "a/b/file")}
    settled.clear()
    settle(tmp_path, deep=False)
    assert settled == [str(tmp_path)]
