"""Holds the rules of the repository as a whole: what lies where, and what no file may say."""

from __future__ import annotations

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOP_LEVEL = {"pipeline", "tests", "configs", "Makefile", "pyproject.toml", "README.md", "CHANGELOG.md"}
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))

# Written in pieces, so that this file does not hold what it looks for.
NOTE_TO_SELF = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")
PLACES = {
    "a path of one machine": re.compile(r"(?<![\w.])/" + r"(work|home|root|Users|tmp/[a-z]|opt)/"),
    "a package index": re.compile(r"https?://[\w.:@-]*(pypi|pythonhosted|anaconda|registry)|/" + "simple/"),
    "an option that names an index": re.compile("--(extra-)?" + r"index-url|--find-" + "links"),
}


@cache
def _files() -> dict[str, str]:
    """Return the text of every file that git tracks or would track, by name."""
    command = "git -c safe.directory=* ls-files -z --cached --others --exclude-standard"
    try:
        listed = subprocess.run(command.split(), cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("not a git repository, so there is no list of the project's files")
    names = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    assert "pyproject.toml" in names, "git lists the files of another folder"
    return {name: (ROOT / name).read_bytes().decode("utf-8", "replace") for name in names}


def _lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:90]}"
        for name, text in _files().items()
        for number, line in enumerate(text.split("\n"), 1)
        if pattern.search(line)
    ]


def test_the_top_level_holds_only_what_belongs_there() -> None:
    top = {name.split("/")[0] for name in _files()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


@pytest.mark.parametrize("what", PLACES)
def test_no_file_names_a_machine_or_a_package_index(what: str) -> None:
    assert not _lines_with(PLACES[what])


def test_no_file_leaves_a_note_to_self() -> None:
    assert not _lines_with(NOTE_TO_SELF)


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    lines = (ROOT / "configs" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)

    def plain(requirement: str) -> str:
        """Return the name in a requirement, as package indexes compare names."""
        return re.sub(r"[-_.]+", "-", re.split(r"[=<>\[; ]", requirement)[0]).lower()

    assert {plain(each) for each in wanted} <= {plain(pin) for pin in pins}


def test_there_is_a_default_config() -> None:
    assert ROOT / "configs" / "audit.yaml" in CONFIGS


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_loads(path: Path) -> None:
    from pipeline.config import Config, load

    assert isinstance(load(path), Config)
