"""Whatever of earlier work is damaged is named and made anew; the result is the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dying import KILLED, Ended
from tests.kill_trials import Trials

Damage = Callable[[Path], object]


def _flip(at: float) -> Damage:
    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int((len(content) - 1) * at)] ^= 16
        path.write_bytes(content)

    return damage


DAMAGES: dict[str, Damage] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "empty": lambda path: path.write_bytes(b""),
    "gone": Path.unlink,
    "flipped": _flip(0.5),
    "flipped at the beginning": _flip(0),
    "flipped near the end": _flip(0.97),  # of a Parquet file: in its footer
}
# What comes of the comparison with the last run of the same inputs, of which the index tells.
FROM_LAST_RUN = ("files: summary/new_repeats.parquet", "rest: earlier_run", "rest: new_files")
MANIFESTS = ("unit.json", "kept.json")
SHARES = 4  # of the kinds of files in an index: an ordinary test does one kind of damage to one of them


def _kind(path: Path) -> str:
    """A file's path without what is different in each: keys and numbers."""
    return re.sub(r"[0-9a-f]{8,}|\d+", "N", re.sub(r"\b[0-9a-f]{2}/", "", path.as_posix()))


def _one_of_each_kind(folder: Path) -> list[Path]:
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return list({_kind(path): path for path in files if ".lock" not in path.parts}.values())


def _is_named(ended: Ended, path: Path) -> bool:
    return any(words.startswith(f"{path}: ") for words in ended.damaged)


def _index_kinds(trials: Trials) -> list[Path]:
    trials.begin()
    return [path for path in _one_of_each_kind(trials.index) if path.name != "index.json"]


def _check_index(trials: Trials, path: Path, name: str) -> None:
    trials.begin()
    DAMAGES[name](trials.index / path)
    ended = trials.audits.run(trials.config)
    assert ended.code == 0, (path, name, ended.error)
    is_record = path.suffix == ".json"
    # Where the record itself is gone nobody knows that there was anything.
    assert _is_named(ended, trials.index / path) == (not is_record or name != "gone"), (path, ended.damaged)
    assert len(ended.damaged) <= 1
    trials.is_whole("counts: ", *(FROM_LAST_RUN if path.parts[0] == "runs" else ()))
    again = trials.audits.run(trials.config, "again")
    assert (again.code, again.damaged) == (0, ()), (path, name)
    assert again.work["scan"] == 0, "it has been mended"


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_in_an_index_is_named_and_made_anew(indexed: Trials, name: str) -> None:
    kinds = _index_kinds(indexed)
    assert {path.name for path in kinds} >= {*MANIFESTS, "rejects.arrow", "anchors.arrow"}
    assert any(path.parts[0] == "runs" for path in kinds)
    for path in kinds[list(DAMAGES).index(name) % SHARES :: SHARES]:
        _check_index(indexed, path, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGES)
def test_anything_damaged_in_an_index_is_named_and_made_anew(indexed: Trials, name: str) -> None:
    for path in _index_kinds(indexed):
        _check_index(indexed, path, name)


@pytest.mark.parametrize("name", DAMAGES)
def test_an_index_that_does_not_say_what_it_is_of_is_refused_or_made_anew_as_asked(
    indexed: Trials, name: str
) -> None:
    indexed.begin()
    damage = _flip(0.4) if name.startswith("flipped") else DAMAGES[name]  # in words, not between them
    damage(indexed.index / "index.json")
    refused = indexed.audits.run(indexed.config)
    assert refused.code == 2
    assert str(indexed.index) in refused.error[1]
    assert not indexed.run.exists()
    ended = indexed.audits.run(indexed.config | {"index_mismatch": "rebuild"})
    assert ended.code == 0, ended.error
    assert ended.work["scan"] > indexed.undisturbed.work["scan"]
    indexed.is_whole("counts: ", *FROM_LAST_RUN)


def _killed_at_the_end(trials: Trials) -> None:
    assert trials.killed(trials.undisturbed.last_task).code == KILLED


def _check_work(trials: Trials, path: Path, name: str) -> None:
    _killed_at_the_end(trials)
    damaged = trials.work / path
    DAMAGES[name](damaged)
    ended = trials.audits.run(trials.config)
    assert ended.code == 0, (path, name, ended.error)
    # What the run itself writes anew without being asked needs no word.
    rewritten = path.name in ("places.parquet", "inputs.parquet", "index.json")
    is_record = path.suffix == ".json"
    if rewritten or (is_record and name == "gone"):
        assert ended.damaged == ()
    else:
        assert _is_named(ended, damaged), (path, name, ended.damaged)
        assert len(ended.damaged) == 1
    trials.is_whole()


def _work_kinds(trials: Trials) -> list[Path]:
    _killed_at_the_end(trials)
    return _one_of_each_kind(trials.work)


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_in_the_work_of_a_killed_run_is_named_and_made_anew(alone: Trials, name: str) -> None:
    kinds = _work_kinds(alone)
    assert {path.parts[i] for path in kinds for i in range(min(2, len(path.parts)))} >= {
        "done",
        "run",
        "texts",
        "index",
        "content.json",
    }
    assert len(kinds) > 50
    numbered = list(DAMAGES).index(name)
    for path in {Path("content.json"), *kinds[numbered :: len(kinds) // 4]}:
        _check_work(alone, path, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGES)
def test_anything_damaged_in_the_work_of_a_killed_run_is_named_and_made_anew(
    alone: Trials, name: str
) -> None:
    for path in _work_kinds(alone):
        _check_work(alone, path, name)
