"""What is told of a run that nobody watches, however it ends."""

from __future__ import annotations

import errno
import io
import json
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Config, parse
from pipeline.errors import EXIT_GATE, AuditError, ConfigError, InputError, LockedError
from pipeline.progress import Progress
from pipeline.run import run_audit
from pipeline.watching import watched
from tests.audits import without_dask, write_texts
from tests.exposition import read_exposition

# Appends to a file: the message, the exit code and the run.
TELLING = (
    "import os, sys; print(repr((sys.stdin.read(), os.environ['DUPAUDIT_EXIT_CODE'],"
    " os.environ['DUPAUDIT_RUN'])), file=open(sys.argv[1], 'a'))"
)


@dataclass(frozen=True)
class Gate:
    """A verdict, as the gates give it."""

    gate: str
    passed: bool
    value: float | None = 0.5
    limit: str = "at least 0.9"
    words: str = "recall is 0.5, at least 0.9 is wanted"


@dataclass
class Night:
    """A folder with a text to audit, and what was told of the audit there."""

    folder: Path
    stream: io.StringIO
    config: Config

    @property
    def progress(self) -> Progress:
        """Progress of a run called `monday` that goes to a file."""
        return Progress(self.stream, run="monday")

    def events(self) -> list[dict[str, Any]]:
        """The log."""
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def mail(self) -> list[tuple[str, str, str]]:
        """What the command on failure was told, each time."""
        path = self.folder / "mail"
        return [eval(line) for line in path.read_text().splitlines()] if path.exists() else []

    def metrics(self) -> dict[str, float]:
        """The metrics that have one value."""
        found = read_exposition((self.folder / "m.prom").read_text())
        return {name: family.value for name, family in found.items() if len(family.samples) == 1}

    def audit(self, name: str, *gates: Gate) -> Path:
        """Audit as `dupaudit run` does."""
        progress = Progress(self.stream)
        with without_dask(page=False), watched(self.config, progress) as watch:
            folder = run_audit(self.config, name, progress)
            watch.finished(folder, gates)
            if not all(gate.passed for gate in gates):
                sys.exit(EXIT_GATE)
        return folder


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Everything that can be told is told."""
    config = {
        "inputs": str(write_texts(tmp_path / "texts.jsonl", ["a b c d e f", "A b c d e f!", "x y z"])),
        "out": str(tmp_path / "audits"),
        "metrics_file": str(tmp_path / "m.prom"),
        "on_failure": [sys.executable, "-c", TELLING, str(tmp_path / "mail")],
        "passages": {"enabled": False},
    }
    return Night(tmp_path, io.StringIO(), parse(config))


def test_a_run_that_ends_well_is_told_in_log_and_metrics(night: Night) -> None:
    folder = night.audit("monday", Gate("recall", True))
    last = night.events()[-1]
    assert [last[key] for key in ("event", "level", "run", "folder")] == [
        "run_finished",
        "info",
        "monday",
        str(folder),
    ]
    assert last["seconds"] > 0
    (gate,) = last["gates"]
    assert [gate[key] for key in ("gate", "passed", "value", "limit")] == [
        "recall",
        True,
        0.5,
        "at least 0.9",
    ]
    metrics = night.metrics()
    assert metrics["dupaudit_last_run_success"] == 1
    assert metrics["dupaudit_documents"] == 3
    assert metrics["dupaudit_gate_passed"] == 1
    assert night.mail() == []


def test_a_gate_that_fails_is_told_to_all_and_ends_with_its_exit_code(night: Night) -> None:
    with pytest.raises(SystemExit) as ended:
        night.audit("monday", Gate("documents", True, words="fine"), Gate("recall", False))
    assert ended.value.code == 3
    assert [event["event"] for event in night.events()].count("run_failed") == 0
    last = night.events()[-1]
    assert (last["event"], last["level"]) == ("run_finished", "error")
    assert night.metrics()["dupaudit_last_run_success"] == 1, "it finished; gates have a metric of their own"
    found = read_exposition((night.folder / "m.prom").read_text())["dupaudit_gate_passed"].samples
    assert {dict(labels)["gate"]: value for labels, value in found.items()} == {"documents": 1, "recall": 0}
    assert night.mail() == [
        ("1 gate failed in run monday.\nrecall is 0.5, at least 0.9 is wanted\n", "3", "monday")
    ]


def test_a_gate_of_several_verdicts_passes_if_all_do(night: Night) -> None:
    with pytest.raises(SystemExit):
        night.audit("monday", Gate("share", True), Gate("share", False), Gate("share", True))
    assert night.metrics()["dupaudit_gate_passed"] == 0


def test_a_failure_is_told_to_all_and_keeps_the_figures(night: Night) -> None:
    night.audit("monday")
    (night.folder / "texts.jsonl").unlink()
    with pytest.raises(SystemExit) as ended:
        night.audit("tuesday")
    last = night.events()[-1]
    assert (last["event"], last["level"], last["error"]) == ("run_failed", "error", "ConfigError")
    assert last["exit_code"] == ended.value.code == 2
    assert "no file to audit" in last["what"]
    metrics = night.metrics()
    assert metrics["dupaudit_last_run_success"] == 0
    assert metrics["dupaudit_documents"] == 3
    ((message, code, _),) = night.mail()
    assert message.startswith("no file to audit at")
    assert code == "2"


def _fail(night: Night, error: BaseException, progress: Progress | None = None) -> None:
    with watched(night.config, progress or night.progress):
        raise error


def test_the_parts_of_a_message_are_fields(night: Night) -> None:
    with pytest.raises(SystemExit) as ended:
        _fail(night, InputError("cannot read", where="a\nb", row=0, got="x"))
    assert ended.value.code == 1
    (event,) = night.events()
    del event["time"]
    assert event == {
        "level": "error",
        "event": "run_failed",
        "run": "monday",
        "exit_code": 1,
        "error": "InputError",
        "what": "cannot read",
        "where": "a\nb",
        "row": 0,
        "got": "x",
    }
    assert night.mail() == [("cannot read\n  where:    a\nb, row 0\n  got:      x\n", "1", "monday")]


def test_an_error_goes_on_to_where_it_is_told_in_words(night: Night) -> None:
    with pytest.raises(InputError, match="cannot read"):
        _fail(night, InputError("cannot read"), Progress(night.stream, quiet=True))
    assert night.stream.getvalue() == ""
    assert len(night.mail()) == 1


@pytest.mark.parametrize("error", [ZeroDivisionError("by \x1b zero"), SystemExit("x")])
def test_what_was_not_foreseen_is_told_and_goes_on(night: Night, error: BaseException) -> None:
    with pytest.raises(type(error)):
        _fail(night, error)
    (event,) = night.events()
    assert (event["event"], event["error"], event["exit_code"]) == ("run_failed", type(error).__name__, 1)
    ((message, code, _),) = night.mail()
    assert message.startswith(type(error).__name__)
    assert "\x1b" not in message
    assert code == "1"
    assert night.metrics()["dupaudit_last_run_success"] == 0


@pytest.fixture
def heeded() -> Iterator[None]:
    """Signals as a shell leaves them to what it runs in the foreground."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, signal.SIG_DFL),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_a_run_that_is_told_to_stop_ends_as_a_failure(
    night: Night, number: signal.Signals, heeded: None
) -> None:
    before = [signal.getsignal(each) for each in signal.Signals]
    with pytest.raises(SystemExit) as ended, watched(night.config, night.progress):
        signal.raise_signal(number)
    assert ended.value.code == 1
    (event,) = night.events()
    assert (event["event"], event["exit_code"], event["got"]) == ("run_failed", 1, number.name)
    assert event["what"] == "the run was stopped"
    ((message, code, _),) = night.mail()
    assert message.startswith("the run was stopped")
    assert "goes on where" in message
    assert code == "1"
    assert [signal.getsignal(each) for each in signal.Signals] == before


def test_on_a_terminal_a_stop_is_told_in_words(night: Night) -> None:
    progress = Progress(night.stream, quiet=True)
    with pytest.raises(AuditError, match="the run was stopped"):
        _fail(night, KeyboardInterrupt(), progress)


def test_the_second_signal_does_not_disturb_what_the_first_has_begun(night: Night, heeded: None) -> None:
    cleared = []

    def clearing() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)
            cleared.append(True)

    with pytest.raises(SystemExit), watched(night.config, night.progress):
        clearing()
    assert cleared == [True]
    assert [event["got"] for event in night.events()] == ["SIGTERM"]


def test_a_signal_that_is_ignored_stays_so(night: Night) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with watched(night.config, night.progress):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert night.events() == []


def test_a_thread_that_is_not_the_main_one_leaves_signals_alone(night: Night) -> None:
    def inside() -> None:
        with watched(night.config, night.progress):
            seen.append(signal.getsignal(signal.SIGTERM))

    seen: list[object] = []
    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [signal.SIG_DFL]


@pytest.mark.parametrize("code", [0, None])
def test_an_exit_without_a_failure_is_none(night: Night, code: int | None) -> None:
    with pytest.raises(SystemExit):
        _fail(night, SystemExit(code))
    assert (night.events(), night.mail()) == ([], [])
    assert not (night.folder / "m.prom").exists()


def test_another_run_at_work_is_a_warning_and_no_failure(night: Night) -> None:
    with pytest.raises(SystemExit) as ended:
        _fail(night, LockedError("another run is at work"))
    assert ended.value.code == 75
    (event,) = night.events()
    assert (event["event"], event["level"], event["exit_code"]) == ("run_failed", "warning", 75)
    assert night.mail() == []
    assert not (night.folder / "m.prom").exists()


def test_a_command_that_fails_does_not_change_the_exit_code(night: Night) -> None:
    night.config = night.config.model_copy(
        update={"on_failure": (sys.executable, "-c", "raise SystemExit(9)")}
    )
    with pytest.raises(SystemExit) as ended:
        _fail(night, InputError("cannot read"))
    assert ended.value.code == 1
    failed, problem = night.events()
    assert failed["event"] == "run_failed"
    assert problem["event"] == "problem"
    assert problem["message"].endswith("ended with exit code 9")


def test_a_log_that_cannot_be_written_does_not_keep_the_command_from_being_run(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    progress = night.progress
    monkeypatch.setattr(progress.stream, "write", full, raising=False)
    with pytest.raises(SystemExit) as ended:
        _fail(night, InputError("cannot read"), progress)
    assert ended.value.code == 1
    assert [code for _, code, _ in night.mail()] == ["1"]
    assert night.metrics()["dupaudit_last_run_success"] == 0


def test_a_defect_in_telling_hides_neither_the_rest_nor_the_exit_code(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.watching.write_failed", lambda *_: 1 / 0)
    with pytest.raises(SystemExit) as ended:
        _fail(night, InputError("cannot read"))
    assert ended.value.code == 1
    assert [event["event"] for event in night.events()] == ["run_failed", "problem"]
    assert "ZeroDivisionError" in night.events()[1]["message"]
    assert len(night.mail()) == 1


def test_a_place_without_room_for_metrics_ends_the_run_before_it_begins(night: Night) -> None:
    (night.folder / "m.prom").write_text("node_load1 0.5\n")
    with pytest.raises(SystemExit) as ended:
        night.audit("monday")
    assert ended.value.code == 2
    first, second = night.events()
    assert (first["event"], first["what"]) == ("run_failed", "the metrics file is of another program")
    assert second["event"] == "problem"
    assert (night.folder / "m.prom").read_text() == "node_load1 0.5\n"
    assert len(night.mail()) == 1
    assert not (night.folder / "audits").exists()


def test_metrics_that_cannot_be_written_at_the_end_are_a_failure(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise ConfigError("no room")

    monkeypatch.setattr("pipeline.watching.write_finished", full)
    with pytest.raises(SystemExit) as ended:
        night.audit("monday")
    assert ended.value.code == 2
    assert [event["event"] for event in night.events()][-2:] == ["run_finished", "run_failed"]
    assert (night.folder / "audits" / "monday" / "run.json").exists()
    assert len(night.mail()) == 1


def test_nothing_is_told_that_was_not_asked_for(night: Night) -> None:
    night.config = night.config.model_copy(update={"on_failure": (), "metrics_file": None})
    with pytest.raises(SystemExit):
        _fail(night, InputError("cannot read"))
    assert len(night.events()) == 1
    assert {path.name for path in night.folder.iterdir()} == {"texts.jsonl"}
