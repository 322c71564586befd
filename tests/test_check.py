"""`dupaudit check`: the gates of finished audits, from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from pipeline.cli import main
from tests.audits import Audited, audit, without_dask, write_rows
from tests.gated_runs import finished

# Eight documents: a text in both sources, another twice in one.
ROWS = [
    {"text": f"{text} two three four five six seven", "source": source}
    for text, source in (*(("shared", name) for name in ("train", "test")), *([("again", "train")] * 2))
] + [{"text": " ".join(f"word{i}of{j}" for i in range(9)), "source": "train"} for j in range(4)]
GATES = {
    "surplus_documents_fraction": {"max": 0.25},
    "cross_source_texts": {"between": ["train", "test"], "max": 1},
    "exact_repeated_tokens_fraction": {"max": 1.0, "per_source": True},
    "rejected_fraction": {"max": 0.0},
    "worse_than_last": {"max_increase": 0.0},
}
FIRST = "no earlier run with the same definitions to compare with"


def _audit(folder: Path, rows: list[dict[str, str]], name: str, **config: Any) -> Audited:
    data = write_rows(folder / f"{name}.jsonl", rows)
    with without_dask(page=False):
        return audit(data, folder / "audits", name, source_column="source", **config)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two runs: the second has a document more that repeats another."""
    folder = tmp_path_factory.mktemp("nights")
    _audit(folder, ROWS, "monday", gates=GATES)
    _audit(folder, [*ROWS, ROWS[0]], "tuesday", gates=GATES)
    return folder / "audits"


def _check(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["check", *map(str, arguments)])


def _config(folder: Path, gates: dict[str, Any], **others: Any) -> Path:
    path = folder / "gates.yaml"
    path.write_text(yaml.safe_dump({"gates": gates, **others}), encoding="utf-8")
    return path


def test_run_within_its_gates_ends_with_0(nights: Path) -> None:
    result = _check(nights / "monday")
    assert result.stdout.split("\n") == [
        "Gates: all 5 passed.",
        "  passed  surplus_documents_fraction: 0.25 (at most 0.25)",
        "  passed  cross_source_texts: 1 between 'train' and 'test' (at most 1)",
        "  passed  exact_repeated_tokens_fraction: 1 in 'test' (at most 1)",
        "  passed  rejected_fraction: 0 (at most 0)",
        f"  passed  worse_than_last: {FIRST} (risen by at most 0)",
        "",
    ]
    assert (result.exit_code, result.stderr) == (0, "")


def test_run_that_misses_a_gate_ends_with_3(nights: Path) -> None:
    result = _check(nights / "tuesday")
    lines = result.stdout.split("\n")
    assert lines[:2] == [
        "Gates: 2 of 5 failed.",
        "  FAILED  surplus_documents_fraction: 0.333 (at most 0.25)",
    ]
    assert lines[5].startswith(
        "  FAILED  worse_than_last: near_surplus_fraction rose by 0.0833 (0.25 to 0.33"
    )
    assert "and exact_surplus_fraction rose by" in lines[5]
    assert lines[5].endswith("since run 'monday' (risen by at most 0)")
    assert (result.exit_code, result.stderr) == (3, "")


def test_verdicts_are_written_into_the_run(nights: Path) -> None:
    _check(nights / "tuesday")
    written = (nights / "tuesday" / "gates.json").read_bytes()
    found = json.loads(written)
    assert found["passed"] is False
    assert [(gate["gate"], gate["passed"]) for gate in found["gates"]] == list(
        zip(GATES, (False, True, True, True, False), strict=True)
    )
    assert found["gates"][0]["value"] == pytest.approx(1 / 3)
    _check(nights / "tuesday")
    assert (nights / "tuesday" / "gates.json").read_bytes() == written


def test_gates_of_a_file_go_before_those_of_the_run(nights: Path, tmp_path: Path) -> None:
    result = _check(nights / "tuesday", "--config", _config(tmp_path, {"documents": {"min": 9}}))
    assert (result.exit_code, result.stdout) == (
        0,
        "Gates: all 1 passed.\n  passed  documents: 9 (at least 9)\n",
    )
    gates = json.loads((nights / "tuesday" / "gates.json").read_bytes())["gates"]
    assert [gate["gate"] for gate in gates] == ["documents"]
    whole = _config(tmp_path, {"documents": {"min": 10}}, inputs="elsewhere/", text_column="body")
    assert _check(nights / "tuesday", "--config", whole).exit_code == 3


def test_run_without_gates_says_so(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", {})
    result = _check(run)
    assert (result.exit_code, result.stdout) == (0, "Gates: none configured.\n")
    assert json.loads((run / "gates.json").read_bytes()) == {"passed": True, "gates": []}


def test_link_to_a_run_is_checked_as_the_run(nights: Path, tmp_path: Path) -> None:
    link = tmp_path / "latest"
    link.symlink_to(nights / "tuesday")
    assert "since run 'monday'" in _check(link).stdout


def test_newest_run_is_checked_by_default(nights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(nights.parent)
    result = _check()
    assert "since run 'monday'" in result.stdout
    assert result.exit_code == 3


def test_run_of_an_earlier_version_has_no_gates(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", {})
    manifest = json.loads((run / "run.json").read_text())
    del manifest["config"]["gates"]
    (run / "run.json").write_text(json.dumps(manifest))
    assert _check(run).exit_code == 0
    (run / "run.json").write_text(json.dumps({**manifest, "config": None}))
    result = _check(run)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the manifest is damaged" in result.stderr


def test_gate_that_makes_no_sense_ends_with_2(nights: Path, tmp_path: Path) -> None:
    before = sorted((nights / "monday").iterdir())
    wrong: list[dict[str, Any]] = [{"recal": {"min": 0.9}}, {"recall": {}}, {"recall": {"least": 1}}]
    for gates in wrong:
        result = _check(nights / "monday", "--config", _config(tmp_path, gates))
        assert (result.exit_code, result.stdout) == (2, "")
        assert "problem(s) in" in result.stderr
        assert "gates" in result.stderr
    assert sorted((nights / "monday").iterdir()) == before


def test_what_is_no_run_ends_with_1(nights: Path, tmp_path: Path) -> None:
    result = _check(tmp_path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "not a finished run" in result.stderr


def test_missing_table_ends_with_1(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", {}, gates={"recall": {"min": 0.5}})
    (run / "summary" / "metrics.parquet").unlink()
    result = _check(run)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "missing or damaged" in result.stderr
    assert not (run / "gates.json").exists()


def test_process_ends_with_the_code_of_its_gates(nights: Path, tmp_path: Path) -> None:
    config = _config(tmp_path, {"cross_source_texts": {"between": ["train", "test\u202e"], "max": 0}})
    command = [sys.executable, "-m", "pipeline.cli", "check", str(nights / "monday"), "--config", str(config)]
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.returncode == 3
    assert done.stdout == (
        "Gates: 1 of 1 failed.\n  FAILED  cross_source_texts: not defined: no document has the source"
        " 'test\\u202e' (at most 0)\n"
    )
