"""The commands as a user meets them: help, a run, messages, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pipeline.cli import main

COMMANDS = (
    "run", "show", "calibrate", "report", "prompts", "keep", "schema",
    "check", "compare", "prune", "index", "cron",
)  # fmt: skip


def _invoke(*arguments: str | Path | int) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def _corpus(folder: Path) -> Path:
    near = "one two three four five six seven eight nine ten eleven twelve"
    texts = ["the same words here and there", "The same words, here and there!", near, near + " more", ""]
    lines = [json.dumps({"id": f"d{i}", "text": text, "from": "ab"[i % 2]}) for i, text in enumerate(texts)]
    path = folder / "corpus.jsonl"
    path.write_text("\n".join([*lines, "{broken"]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("cli")
    corpus = _corpus(folder)
    result = _invoke("run", corpus, "--out", folder / "audits", "--name", "one", "--id-column", "id",
                     "--source-column", "from", "--set", "near.floor=0.4")  # fmt: skip
    return folder / "audits" / "one", result


def test_there_are_no_other_commands() -> None:
    assert set(main.commands) == set(COMMANDS)


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS), ("index", "prune")])
def test_every_help_text_ends_with_an_example(command: tuple[str, ...]) -> None:
    result = _invoke(*command, "--help")
    assert result.exit_code == 0
    last_paragraph = result.output.rstrip().rsplit("\n\n", 1)[-1]
    assert last_paragraph.startswith("Example")
    assert "dupaudit" in last_paragraph


def test_help_answers_in_less_than_a_third_of_a_second() -> None:
    # The best of several: what is promised is that nothing heavy is imported, not that no other
    # program runs beside the tests.
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "--help"]
    times = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.3


def test_a_run_prints_its_summary_and_where_the_results_are(audited: tuple[Path, Result]) -> None:
    folder, result = audited
    assert result.exit_code == 0, result.output
    assert f"Results: {folder}" in result.stdout
    assert "5 documents" in result.stdout
    assert "Rejected: 1 of 6 rows" in result.stdout
    assert "scan" in result.stderr
    assert "scan" not in result.stdout


def test_options_reach_the_configuration(audited: tuple[Path, Result]) -> None:
    config = json.loads((audited[0] / "run.json").read_text())["config"]
    assert config["id_column"] == "id"
    assert config["source"] == {"column": "from", "path": None}
    assert config["near"]["floor"] == 0.4
    assert (config["near"]["bands"], config["near"]["rows"]) == (32, 4)


def test_a_name_is_used_once(audited: tuple[Path, Result]) -> None:
    corpus = audited[0].parents[1] / "corpus.jsonl"
    again = _invoke("run", corpus, "--out", audited[0].parent, "--name", "one", "--quiet")
    assert again.exit_code == 2
    assert "there is a run one already" in again.stderr


def test_show_prints_histogram_sources_and_clusters(audited: tuple[Path, Result]) -> None:
    result = _invoke("show", audited[0])
    assert result.exit_code == 0
    for words in (
        "same bytes",
        "same words",
        "near (Jaccard 0.7+)",
        "passage (25+ tokens)",
        "Repeated passages: none.",
        ">1000",
        "source (most",
        "the same words here",
    ):
        assert words in result.stdout
    assert "largest clusters" not in _invoke("show", audited[0], "--clusters", "0").stdout


@pytest.fixture(scope="module")
def repeating(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with fifteen passages, of which the first occurs three times."""
    folder = tmp_path_factory.mktemp("repeating")
    passages = [" ".join(f"{chr(ord('a') + i)}{k}x" for k in range(25)) for i in range(15)]
    texts = [f"start{i} {passage} {'z' * i}" for i, passage in enumerate(passages * 2 + passages[:1])]
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    assert _invoke("run", path, "--out", folder / "audits", "--name", "r", "--quiet").exit_code == 0
    return folder / "audits" / "r"


@pytest.mark.parametrize(
    ("before", "behind", "listed"),
    [((), (), 0), ((), ("--passages",), 10), ((), ("--passages", 3), 3), (("--passages", 99), (), 15)],
)
def test_show_lists_as_many_passages_as_asked_for(
    repeating: Path, before: tuple[str, ...], behind: tuple[str, ...], listed: int
) -> None:
    result = _invoke("show", *before, repeating, *behind, "--clusters", 0)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if " 25 " in line and "0x " in line]
    assert len(lines) == listed
    assert [line.split()[0] for line in lines] == ["3", *["2"] * 14][:listed]


def test_show_of_passages_says_why_there_are_none(tmp_path: Path) -> None:
    path, out = _corpus(tmp_path), tmp_path / "audits"
    off = ("--set", "passages.enabled=false")
    assert _invoke("run", path, "--out", out, "--name", "r", "--quiet", *off).exit_code == 0
    result = _invoke("show", out / "r", "--passages")
    assert result.exit_code == 1
    assert "the run did not look for passages" in result.stderr
    assert "passages.enabled: true" in result.stderr
    assert not result.stdout


def test_calibrate_prints_estimate_and_measurement(audited: tuple[Path, Result]) -> None:
    result = _invoke("calibrate", audited[0], "--sample", "10")
    assert result.exit_code == 0, result.output
    assert "Measured on 3 random texts, 2 of them with a near partner: 100.00%" in result.stdout
    written = json.loads((audited[0] / "calibration.json").read_text())
    assert (written["sample"], written["with_partner"], written["recall"]) == (3, 2, 1.0)


def test_calibrate_refuses_other_data(audited: tuple[Path, Result], tmp_path: Path) -> None:
    corpus = _corpus(tmp_path)
    assert _invoke("run", corpus, "--out", tmp_path / "audits", "--name", "r", "--quiet").exit_code == 0
    corpus.write_text(corpus.read_text() + "\n{}\n")
    result = _invoke("calibrate", tmp_path / "audits" / "r", "--quiet")
    assert result.exit_code == 1
    assert str(corpus) in result.stderr
    assert "not what the run read" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (("run",), 2, "inputs: got nothing"),
        (("run", "no-such-file"), 2, "no file to audit at no-such-file"),
        (("run", "x", "--config", "no.yaml"), 2, "cannot read the configuration no.yaml"),
        (("run", "x", "--set", "floor"), 2, "expected: KEY=VALUE"),
        (("run", "x", "--set", "near=1", "--set", "near.floor=1"), 2, "near.floor: near is set to a value"),
        (("run", "x", "--set", "near.flor=1"), 2, "near.flor: got an unknown key"),
        (("run", "x", "--threshold", "7"), 2, "near.threshold: got 7.0"),
        (("run", "x", "--source-column", "a", "--source-path", "(b)"), 2, "exclude each other"),
        (("run", "x", "--source-path", "b"), 2, "one group in parentheses"),
        (("run", "x", "--nonsense"), 2, "No such option"),
        (("show", "no-such-run"), 1, "not a finished run"),
        (("show",), 1, "no run here"),
        (("show", "--passages", "no-such-run"), 2, "Invalid value for '--passages'"),
        (("show", "no-such-run", "--passages"), 1, "not a finished run"),
        (("calibrate", "no-such-run"), 1, "not a finished run"),
        (("run", "x", "--set", "mixture.web=2"), 2, "a source or source_column besides"),
        (("run", "x", "--set", "model.parameters=0"), 2, "model.parameters: got 0, need greater than 0"),
        (("report", "no-such-run"), 1, "not a finished run"),
        (("report",), 1, "no run here"),
        (("prompts", "no-such-run"), 1, "not a finished run"),
        (("prompts", "no-such-run", "--per-bin", "0"), 2, "Invalid value for '--per-bin'"),
        (("keep", "no-such-run"), 2, "Missing option '--policy'"),
        (("keep", "no-such-run", "--policy", "cap:3"), 1, "not a finished run"),
        (("schema", "--yaml"), 2, "No such option"),
    ],
)
def test_a_mistake_gets_a_message_and_an_exit_code(
    arguments: tuple[str, ...], exit_code: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _invoke(*arguments)
    assert result.exit_code == exit_code
    assert words in result.stderr
    assert "Traceback" not in result.output


def test_a_failed_run_leaves_nothing_behind(tmp_path: Path) -> None:
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 and then nothing")
    result = _invoke("run", bad, "--out", tmp_path / "audits", "--quiet")
    assert result.exit_code == 1
    assert str(bad) in result.stderr
    assert os.listdir(tmp_path / "audits") == []


def test_hostile_text_does_not_reach_the_terminal_raw(tmp_path: Path) -> None:
    text = "\x1b[31mred \u202e right to left [bold]markup[/bold] " + "word " * 20
    path = tmp_path / "a.jsonl"
    path.write_text(
        json.dumps({"text": text, "s": "\x1b]0;title\x07"}) + "\n" + json.dumps({"text": text, "s": "x"})
    )
    result = _invoke("run", path, "--out", tmp_path / "o", "--source-column", "s", "--quiet")
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "[bold]markup[/bold]" in result.stdout
