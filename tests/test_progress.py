"""What a running audit says, on a terminal and elsewhere."""

from __future__ import annotations

import io
import json
import math
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.progress import Progress, StageLog, peak_bytes


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal that can move its cursor, 100 characters wide."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return Terminal()


def _run(progress: Progress, tasks: int = 3) -> None:
    with progress.stage("scan") as counts:
        with progress.bar("scan", tasks) as advance:
            for _ in range(tasks):
                advance()
        counts["rows"] = 12_345
        counts["rejected"] = 6


def _events(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_stage_is_one_json_line_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    progress = Progress(stream, run="monday")
    _run(progress)
    (event,) = _events(stream)
    assert list(event)[:4] == ["time", "level", "event", "run"]
    assert [event.pop(key) for key in ("level", "event", "run")] == ["info", "stage_finished", "monday"]
    assert event.pop("stage") == "scan"
    assert event.pop("counts") == {"rows": 12_345, "rejected": 6}
    assert event.pop("seconds") == round(progress.logs[0].seconds, 3)
    assert event.pop("peak_bytes") == progress.logs[0].peak_bytes
    time_ = datetime.fromisoformat(event.pop("time"))
    assert time_.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - time_) < timedelta(hours=1)
    assert event == {}


def test_stage_is_a_json_line_and_no_bar_on_a_terminal_if_asked_for(terminal: Terminal) -> None:
    _run(Progress(terminal, log_json=True))
    (event,) = _events(terminal)
    assert (event["event"], event["run"]) == ("stage_finished", None)


def test_stage_is_a_plain_line_on_a_terminal() -> None:
    terminal = Terminal()
    with Progress(terminal).stage("scan") as counts:
        counts |= {"rows": 12_345, "rejected": 6}
    assert re.fullmatch(r"scan +rows 12,345  rejected 6  \d+\.\d\d s  peak [\d,]+ MB\n", terminal.getvalue())


def test_a_run_that_begins_is_an_event_and_names_those_after_it() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    progress.begin("monday", files=3)
    progress.event("run_finished", "error", folder="f")
    first, second = _events(stream)
    assert (first["event"], first["level"], first["run"], first["files"]) == (
        "run_started",
        "info",
        "monday",
        3,
    )
    assert (second["event"], second["level"], second["run"]) == ("run_finished", "error", "monday")


def test_events_are_not_told_on_a_terminal_or_if_quiet(terminal: Terminal) -> None:
    elsewhere = io.StringIO()
    for progress in (Progress(terminal), Progress(elsewhere, quiet=True, log_json=True)):
        progress.begin("monday")
        assert progress.run == "monday"
    assert (terminal.getvalue(), elsewhere.getvalue()) == ("", "")


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_stays_on_its_line_and_is_ascii(text: str) -> None:
    stream = io.StringIO()
    Progress(stream).begin(text, where=text)
    assert stream.getvalue().isascii()
    assert stream.getvalue().count("\n") == 1
    (event,) = _events(stream)
    assert (event["run"], event["where"]) == (text, text)


def test_numbers_that_json_does_not_know_are_made_plain() -> None:
    stream = io.StringIO()
    whole, share = np.int64(5), np.float32(0.5)
    values = [whole, share, math.nan, math.inf, True, None, Path("a"), {1: (whole,)}]
    Progress(stream).event("e", values=values)
    (event,) = _events(stream)
    assert event["values"] == [5, 0.5, None, None, True, None, "a", {"1": [5]}]


def test_a_problem_is_told_even_if_quiet(terminal: Terminal) -> None:
    elsewhere = io.StringIO()
    Progress(terminal, quiet=True).problem("no room")
    Progress(elsewhere).problem("no room")
    assert terminal.getvalue() == "dupaudit: no room\n"
    (event,) = _events(elsewhere)
    assert (event["event"], event["level"], event["message"]) == ("problem", "error", "no room")


def test_stage_is_a_bar_with_done_total_and_time_left_on_a_terminal(terminal: Terminal) -> None:
    _run(Progress(terminal))
    shown = terminal.getvalue()
    assert "\x1b[" in shown
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert re.search(r"scan +[━╸╺ ]+ *3/3 +\d+:\d\d:\d\d", plain)
    assert plain.rstrip().endswith("MB"), "the line of the finished stage stays"


def test_bar_begins_at_nothing_done(terminal: Terminal) -> None:
    progress = Progress(terminal)
    with progress.bar("sets", 40):
        pass
    assert "0/40" in terminal.getvalue()
    assert progress.logs == []


def test_no_bar_is_drawn_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with Progress(stream).bar("scan", 2) as advance:
        advance()
    assert stream.getvalue() == ""


def test_quiet_prints_nothing_and_keeps_the_logs(terminal: Terminal) -> None:
    progress = Progress(terminal, quiet=True)
    _run(progress)
    assert terminal.getvalue() == ""
    (log,) = progress.logs
    assert (log.stage, log.counts) == ("scan", {"rows": 12_345, "rejected": 6})


def test_stages_are_logged_in_their_order() -> None:
    progress = Progress(io.StringIO())
    for name in ("inputs", "scan", "texts"):
        with progress.stage(name):
            pass
    assert [log.stage for log in progress.logs] == ["inputs", "scan", "texts"]
    assert all(log.seconds >= 0 for log in progress.logs)
    assert len(str(progress.stream.getvalue()).splitlines()) == 3  # type: ignore[attr-defined]


def test_failed_stage_is_not_logged() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    with pytest.raises(ZeroDivisionError), progress.stage("scan"), progress.bar("scan", 1):
        raise ZeroDivisionError
    assert (progress.logs, stream.getvalue()) == ([], "")


def test_line_of_a_stage_without_counts_is_still_readable() -> None:
    assert StageLog("links", {}, 1.234, 5_600_000).line() == "links         1.23 s  peak 6 MB"


def test_progress_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress().stage("scan"):
        pass
    printed = capsys.readouterr()
    assert printed.out == ""
    assert json.loads(printed.err)["stage"] == "scan"


def test_peak_is_what_this_process_has_held() -> None:
    before = peak_bytes()
    assert before > 10 << 20
    held = bytearray(before + (64 << 20))
    held[::4096] = b"x" * len(held[::4096])
    assert peak_bytes() >= before + (60 << 20)


def test_parts_keep_logs_of_their_own_and_tell_in_one_place() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    progress.begin("tonight")
    parts = [progress.part(), progress.part()]
    for part, name in zip(parts, ("links", "windows"), strict=True):
        with part.stage(name):
            pass
    assert progress.logs == []
    assert [[log.stage for log in part.logs] for part in parts] == [["links"], ["windows"]]
    told = [(event["event"], event["run"]) for event in _events(stream)]
    assert told == [("run_started", "tonight")] + [("stage_finished", "tonight")] * 2


def test_lines_of_two_parts_at_once_are_whole() -> None:
    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            time.sleep(0.0005)
            return super().write(text)

    stream = Slow()
    progress = Progress(stream)

    def tell(part: Progress) -> None:
        for i in range(50):
            part.event("told", number=i)

    threads = [threading.Thread(target=tell, args=(progress.part(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(event["number"] for event in _events(stream)) == sorted([*range(50)] * 2)


def test_bars_of_two_stages_at_once_are_in_one_display(terminal: Terminal) -> None:
    progress = Progress(terminal)
    one, other = progress.part(), progress.part()
    with one.stage("windows"), one.bar("windows", 5):
        with other.stage("sets"), other.bar("sets", 3) as advance:
            for _ in range(3):
                advance()
        time.sleep(0.3)  # until the display was drawn without the other
        both = terminal.getvalue()
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", both)
    assert re.search(r"windows +[━╸╺ ]+ *0/5", plain)
    assert re.search(r"^sets +.*peak [\d,]+ MB$", plain, re.MULTILINE), "a whole line above the bars"
    assert not re.search(r"sets.*3/3", plain.rsplit("windows", 1)[1])
    assert "windows" in terminal.getvalue().rstrip().rsplit("\n", 1)[-1]
