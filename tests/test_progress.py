"""What a running audit says, on a terminal and elsewhere."""

from __future__ import annotations

import io
import re

import pytest

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


def test_stage_is_one_plain_line_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    _run(Progress(stream))
    assert re.fullmatch(r"scan +rows 12,345  rejected 6  \d+\.\d\d s  peak [\d,]+ MB\n", stream.getvalue())


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
    assert printed.err.startswith("scan")


def test_peak_is_what_this_process_has_held() -> None:
    before = peak_bytes()
    assert before > 10 << 20
    held = bytearray(before + (64 << 20))
    held[::4096] = b"x" * len(held[::4096])
    assert peak_bytes() >= before + (60 << 20)
