"""What runs an audit every night: a crontab line, or a systemd service with its timer.

Both get a path as it is written into a file of theirs: a crontab is a shell command in which `%` is a
line end, a unit has quotes and `%` of its own. A path with a line end fits into neither.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError

PARTS = ("crontab", "service", "timer")
MOST_BYTES = 998  # of a command, says crontab(5) of Vixie's cron; it cuts the line silently
_HEADINGS = {
    "crontab": "cron: `crontab -e`, and add these lines",
    "service": "systemd: /etc/systemd/system/dupaudit.service",
    "timer": "systemd: /etc/systemd/system/dupaudit.timer",
}

_CRONTAB = """\
# An audit every night at three. To install: `crontab -e`, and add these lines.
# The summary of the last run is in dupaudit.txt, the log (JSON Lines) in dupaudit.log, both in the folder
# that the line changes to. Cron mails what the line prints: one sentence, if the audit did not end well.
# Two audits at once do no harm: one of them ends with exit code 75.
# Who gets that mail:
MAILTO={mailto}
0 3 * * * {command}
"""

_SERVICE = """\
# An audit, started by dupaudit.timer. To install, as root: put both into /etc/systemd/system, then
#   systemctl daemon-reload && systemctl enable --now dupaudit.timer
# and look at it with
#   systemctl list-timers dupaudit.timer
#   journalctl -u dupaudit
[Unit]
Description=Audit of the repetition in training data
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
# The user that may read the data and write the runs; without a name, root.
# User=dupaudit
WorkingDirectory={folder}
ExecStart={program} run --config {config}
# Another run holds the lock: not a failure.
SuccessExitStatus=75
Nice=10
"""

_TIMER = """\
# When dupaudit.service starts: every night at three, or when the machine is on again.
[Unit]
Description=Nightly audit of the repetition in training data

[Timer]
OnCalendar=*-*-* 03:00:00
Persistent=true

[Install]
WantedBy=timers.target
"""


@dataclass(frozen=True)
class Nightly:
    """An audit that is to run every night; all paths are absolute.

    Attributes:
        folder: where it runs; relative paths in the configuration begin there.
        program: the dupaudit command. config: the configuration. mailto: who gets cron's mail.
    """

    folder: Path
    program: Path
    config: Path
    mailto: str = "root"


def crontab(nightly: Nightly) -> str:
    """Lines for a crontab.

    Raises:
        ConfigError: the line is too long for cron, or a path cannot be written into it.
    """
    folder, program, config = (shlex.quote(_text(path)) for path in _paths(nightly))
    command = (
        f"cd {folder} && {program} run --config {config} > dupaudit.txt 2>> dupaudit.log"
        ' || echo "dupaudit ended with exit code $?: see dupaudit.txt and dupaudit.log in "'
        f"{folder}"
    )
    command = command.replace("%", "\\%")
    if len(command.encode()) > MOST_BYTES:
        raise ConfigError(
            "a line longer than cron reads",
            got=f"{len(command.encode()):,} bytes",
            expected=f"at most {MOST_BYTES}",
            fix="give the file or the folder a shorter path, or use --part service and --part timer",
        )
    return _CRONTAB.format(mailto=nightly.mailto, command=command)


def service(nightly: Nightly) -> str:
    """A systemd service."""
    folder, program, config = (_text(path).replace("%", "%%") for path in _paths(nightly))
    # Arguments may hold variables; in the path of the program `$` is a character, and quotes are refused.
    argument = _unit_quoted(program.replace("$", "$$"))
    runs = f"/usr/bin/env {argument}" if set(program) & set("\"'") else _unit_quoted(program)
    return _SERVICE.format(folder=folder, program=runs, config=_unit_quoted(config.replace("$", "$$")))


def timer(_: Nightly) -> str:
    """A systemd timer that starts the service."""
    return _TIMER


def schedule(nightly: Nightly, part: str | None = None) -> str:
    """One of `PARTS`, as its file would hold it; without a name all, each under a heading.

    Raises:
        ConfigError: a path cannot be written into such a file.
    """
    texts = {"crontab": crontab, "service": service, "timer": timer}
    if part is not None:
        return texts[part](nightly)
    return "\n".join(f"######## {_HEADINGS[name]}\n\n{texts[name](nightly)}" for name in PARTS)


def _paths(nightly: Nightly) -> tuple[Path, Path, Path]:
    return nightly.folder, nightly.program, nightly.config


def _text(path: Path) -> str:
    text = str(path)
    if not text.isprintable() or text != text.strip() or "\\" in text:
        raise ConfigError(
            "a path that neither a crontab nor a systemd unit can hold",
            got=repr(text),
            expected="no line ends or other controls, no backslash, no space at its end",
            fix="give the file or the folder another name",
        )
    return text


def _unit_quoted(text: str) -> str:
    escaped = text.replace('"', '\\"')
    return f'"{escaped}"' if set(text) & set(" \"';") else text
