"""What is printed to audit every night: it can be installed, whatever the paths are called."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.cron import MOST_BYTES, PARTS, Nightly, crontab, schedule, service, timer
from pipeline.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
FILES = {"crontab": "crontab", "service": "dupaudit.service", "timer": "dupaudit.timer"}
SRV = Path("/srv/dupaudit")
EXAMPLE = Nightly(SRV, SRV / ".venv" / "bin" / "dupaudit", SRV / "configs" / "mine.yaml")
NAMES = ["plain", "with space", "50%", "it's", 'a "b"', "$HOME $(x) `x`", "a;b&c", "été", "#x", "%i %n"]


def _installed(folder: Path, program: str) -> Nightly:
    """A folder with a `dupaudit` that runs these lines of shell."""
    path = folder / "bin" / "dupaudit"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{program}\n")
    path.chmod(0o755)
    return Nightly(folder, path, folder / "mine.yaml")


def _command(text: str) -> str:
    """The command of the one entry in a crontab, as cron hands it to the shell."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    settings = [line for line in lines if re.match(r"\w+=", line)]
    (entry,) = [line for line in lines if line not in settings]
    assert [line.partition("=")[0] for line in settings] == ["MAILTO"]
    minute, hour, day, month, weekday, command = entry.split(maxsplit=5)
    assert (int(minute) in range(60), int(hour) in range(24)) == (True, True)
    assert (day, month, weekday) == ("*", "*", "*")
    assert not re.search(r"(?<!\\)%", command), "cron reads it as a line end"
    return command.replace("\\%", "%")


@pytest.mark.parametrize("name", NAMES)
def test_the_crontab_line_runs_the_audit_whatever_the_folder_is_called(name: str, tmp_path: Path) -> None:
    nightly = _installed(tmp_path / name, 'pwd; printf "%s\\n" "$@"; echo progress >&2')
    for _ in range(2):
        done = subprocess.run(
            ["/bin/sh", "-c", _command(crontab(nightly))], capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == ("", ""), "cron would mail it"
    ran = [str(nightly.folder), "run", "--config", str(nightly.config)]
    assert (nightly.folder / "dupaudit.txt").read_text().splitlines() == ran, "the last run only"
    assert (nightly.folder / "dupaudit.log").read_text() == "progress\nprogress\n", "all runs"


@pytest.mark.parametrize("name", ["plain", "it's 50%"])
def test_the_crontab_line_prints_a_sentence_when_the_audit_fails(name: str, tmp_path: Path) -> None:
    nightly = _installed(tmp_path / name, "exit 3")
    done = subprocess.run(
        ["/bin/sh", "-c", _command(crontab(nightly))], capture_output=True, text=True, check=False
    )
    assert (
        done.stdout
        == f"dupaudit ended with exit code 3: see dupaudit.txt and dupaudit.log in {nightly.folder}\n"
    )


def test_a_line_too_long_for_cron_is_refused_and_systemd_has_it(tmp_path: Path) -> None:
    def nightly(size: int) -> Nightly:
        return Nightly(SRV, SRV / "dupaudit", Path("/" + "é" * size))

    spare = MOST_BYTES - len(_line(crontab(nightly(0))).encode())
    assert len(_line(crontab(nightly(spare // 2 - 4))).encode()) > MOST_BYTES - 10
    with pytest.raises(ConfigError, match="longer than cron reads"):
        crontab(nightly(spare // 2 + 1))
    with pytest.raises(ConfigError, match="longer than cron reads"):
        schedule(nightly(spare // 2 + 1))
    assert "é" * 500 in schedule(nightly(500), "service")


def _line(text: str) -> str:
    return text.splitlines()[-1].removeprefix("0 3 * * * ")


def _unit(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=True, comment_prefixes=("#",), delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


@pytest.mark.parametrize("name", NAMES)
def test_the_service_names_the_same_paths(name: str, tmp_path: Path) -> None:
    nightly = Nightly(tmp_path / name, tmp_path / name / "bin" / "dupaudit", tmp_path / name / "mine.yaml")
    unit = _unit(service(nightly))["Service"]
    assert unit["WorkingDirectory"].replace("%%", "%") == str(nightly.folder)
    words = [word.replace("%%", "%") for word in shlex.split(unit["ExecStart"])]
    through_env = words[0] == "/usr/bin/env"  # where systemd would refuse the name itself
    assert through_env == bool({"'", '"'} & set(name))
    program, *arguments = words[through_env:]
    assert program == str(nightly.program)
    assert not any("$" in word.replace("$$", "") for word in arguments), "systemd reads a variable"
    assert [word.replace("$$", "$") for word in arguments] == ["run", "--config", str(nightly.config)]
    assert unit["SuccessExitStatus"] == "75"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_nothing_wrong_with_the_units(name: str, tmp_path: Path) -> None:
    nightly = _installed(tmp_path / name, "exit 0")
    units = tmp_path / "units"
    units.mkdir()
    (units / "dupaudit.service").write_text(service(nightly))
    (units / "dupaudit.timer").write_text(timer(nightly))
    files = [str(units / "dupaudit.service"), str(units / "dupaudit.timer")]
    command = ["systemd-analyze", "verify", "--man=no", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if "dupaudit" in line]
    assert (done.returncode, told) == (0, [])
    (units / "dupaudit.service").write_text(service(nightly).replace("ExecStart=", "ExecStart=missing/"))
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0, "it looks at the unit"


def test_the_timer_starts_at_three_and_after_a_night_without_power() -> None:
    unit = _unit(timer(EXAMPLE))
    assert dict(unit["Timer"]) == {"OnCalendar": "*-*-* 03:00:00", "Persistent": "true"}
    assert unit["Install"]["WantedBy"] == "timers.target"


@pytest.mark.parametrize("part", PARTS)
def test_the_examples_are_what_is_printed(part: str) -> None:
    assert (ROOT / "configs" / FILES[part]).read_text(encoding="utf-8") == schedule(EXAMPLE, part)


def test_all_parts_are_printed_one_after_the_other() -> None:
    everything = schedule(EXAMPLE)
    places = [everything.index(schedule(EXAMPLE, part)) for part in PARTS]
    assert places == sorted(places)
    assert len(re.findall("^########", everything, re.MULTILINE)) == len(PARTS)


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a ", "a\\b", "\udcff"])
def test_a_path_that_fits_into_neither_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="neither a crontab nor a systemd unit"):
        schedule(Nightly(SRV, SRV / "dupaudit", SRV / name))


def test_the_command_prints_absolute_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my audit.yaml").write_text("inputs: data\n")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["cron", "--config", "my audit.yaml", "--part", "crontab"])
    assert result.exit_code == 0, result.output
    _, change, folder, _, program, _, _, config, *_ = shlex.split("x " + _command(result.stdout))
    assert (change, folder, config) == ("cd", str(tmp_path), str(tmp_path / "my audit.yaml"))
    assert os.path.isabs(program)
    assert program.endswith("/bin/dupaudit")


def test_the_command_refuses_a_configuration_that_would_fail_at_night(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("input: data\n")
    result = CliRunner().invoke(main, ["cron", "--config", str(tmp_path / "a.yaml")])
    assert result.exit_code == 2
    assert "input: got an unknown key" in result.stderr
    assert not result.stdout


def test_make_prints_what_the_command_prints(tmp_path: Path) -> None:
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    command = [make, "--dry-run", "--what-if=x", "cron", "CONFIG=configs/my audit.yaml", "ARGS=--part timer"]
    # As if the environment were there: what is asked is which command make would run.
    # Not as part of the make that may be running these tests.
    alone = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        [*command, f"VENV={tmp_path}"], cwd=ROOT, capture_output=True, text=True, check=True, env=alone
    )
    line = done.stdout.splitlines()[-1]
    want = [f"{tmp_path}/bin/dupaudit", "cron", "--config", "configs/my audit.yaml", "--part", "timer"]
    assert shlex.split(line) == want
