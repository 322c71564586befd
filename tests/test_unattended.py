"""`dupaudit run` where nobody watches: the log, the metrics and the exit code of a real process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.audits import write_texts
from tests.exposition import read_exposition

RUN = [sys.executable, "-c", "from pipeline.cli import main; main()", "run"]


@pytest.mark.parametrize(("most", "code"), [(1, 0), (0.1, 3)])
def test_a_night_is_told_in_log_metrics_mail_and_exit_code(most: float, code: int, tmp_path: Path) -> None:
    data = write_texts(tmp_path / "a.jsonl", ["a b c d e f"] * 3 + ["x y z"])
    mail = [sys.executable, "-c", "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"]
    config = {
        "inputs": str(data),
        "out": str(tmp_path / "audits"),
        "passages": {"enabled": False},
        "metrics_file": str(tmp_path / "m.prom"),
        "on_failure": [*mail, str(tmp_path / "mail")],
        "gates": {"exact_surplus_fraction": {"max": most}},
    }
    (tmp_path / "a.yaml").write_text(json.dumps(config))
    done = subprocess.run(
        [*RUN, "--config", str(tmp_path / "a.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["run_started", "run_finished"]
    assert {event["event"] for event in events[1:-1]} == {"stage_finished"}
    (run,) = {event["run"] for event in events}
    assert (tmp_path / "audits" / run / "run.json").exists()
    (gate,) = events[-1]["gates"]
    assert (gate["gate"], gate["passed"]) == ("exact_surplus_fraction", code == 0)
    metrics = read_exposition((tmp_path / "m.prom").read_text())
    assert metrics["dupaudit_gate_passed"].value == (code == 0)
    assert metrics["dupaudit_exact_surplus_fraction"].value == 0.5
    assert (tmp_path / "mail").exists() == (code == 3)
    assert f"Results: {tmp_path / 'audits' / run}" in done.stdout


def test_a_failure_is_one_event_and_nothing_else(tmp_path: Path) -> None:
    done = subprocess.run(
        [*RUN, str(tmp_path / "none"), "--log-json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    event = json.loads(done.stderr)
    assert (event["event"], event["error"]) == ("run_failed", "ConfigError")
    assert event["what"].startswith("no file to audit at ")
