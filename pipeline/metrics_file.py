"""The figures of the last run as a text file that node_exporter's textfile collector reads.

A figure keeps its name from `summary/metrics.parquet`, with `dupaudit_` before it; units are in its
help. One that is not defined for the run is NaN, which fires no alert by itself and is still seen.
Everything is labelled with the folder of the runs, so that several audits on one machine can each have
a file. After a failure the figures of the last finished run stay, and only what tells of the last
run changes.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.artifacts import read_output, write_text
from pipeline.errors import ArtifactError, ConfigError

FIRST_LINE = "# Written by dupaudit after each run; changes are lost."
# What a run that failed says of itself; the rest of the file is of the last that finished.
OF_LAST_RUN = ("dupaudit_last_run_timestamp_seconds", "dupaudit_last_run_success")
_HELP = {
    "dupaudit_last_run_timestamp_seconds": "When the last run ended, finished or failed.",
    "dupaudit_last_run_success": "1 if the last run finished, gates passed or not; 0 if it failed.",
    "dupaudit_last_finished_timestamp_seconds": "When the last run that finished ended.",
    "dupaudit_last_finished_duration_seconds": "How long the last run that finished took.",
    "dupaudit_gate_passed": "1 if the gate passed in the last run that finished, 0 if it failed.",
}


@dataclass(frozen=True)
class Finished:
    """What a finished run tells. `gates`: whether each passed; `seconds`: how long the run took."""

    folder: Path
    seconds: float
    gates: Mapping[str, bool] = field(default_factory=dict)


def check_place(path: Path) -> None:
    """Refuse a place that a metrics file cannot be written to, before an audit takes its hours.

    Raises:
        ConfigError: it is a folder or the file of another program, or cannot be written to.
    """
    folder = path.parent
    if path.is_dir() or not folder.is_dir():
        raise ConfigError(
            "no place for the metrics file",
            where=str(path),
            got="a folder" if path.is_dir() else f"no folder {folder}",
            expected="a file in a folder that exists",
            fix="set metrics_file to a path that node_exporter reads, such as .../dupaudit.prom",
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(
            "cannot write the metrics file",
            where=str(path),
            got=f"no right to write in {folder}",
            fix="give the user that audits that right, or set metrics_file to another path",
        )
    _lines_of(path)


def write_finished(path: Path, run: Finished, now: float | None = None) -> None:
    """Write the figures of a run that finished.

    Raises:
        ConfigError: the file is of another program. ArtifactError: a file cannot be read or written.
    """
    _lines_of(path)
    time_ = time.time() if now is None else now
    labels = {"out": str(run.folder.parent)}
    lines = [FIRST_LINE, *_of_last_run(time_, 1.0, labels)]
    lines += _family("dupaudit_last_finished_timestamp_seconds", [(labels, time_)])
    lines += _family("dupaudit_last_finished_duration_seconds", [(labels, run.seconds)])
    if run.gates:
        gates = [({**labels, "gate": gate}, float(passed)) for gate, passed in sorted(run.gates.items())]
        lines += _family("dupaudit_gate_passed", gates)
    table = read_output(run.folder / "summary" / "metrics.parquet", ["name", "value", "unit"])
    for row in table.to_pylist():
        value = math.nan if row["value"] is None else row["value"]
        lines += _family(_metric(row["name"]), [(labels, value)], f"{row['name']}, in {row['unit']}")
    _write(path, lines)


def write_failed(path: Path, out: Path, now: float | None = None) -> None:
    """Write that a run failed; the figures of the last that finished stay.

    Raises:
        ConfigError: the file is of another program. ArtifactError: it cannot be read or written.
    """
    kept = [line for line in _lines_of(path)[1:] if _named(line) not in OF_LAST_RUN]
    time_ = time.time() if now is None else now
    _write(path, [FIRST_LINE, *_of_last_run(time_, 0.0, {"out": str(out)}), *kept])


def _of_last_run(time_: float, success: float, labels: Mapping[str, str]) -> Iterator[str]:
    for name, value in zip(OF_LAST_RUN, (time_, success), strict=True):
        yield from _family(name, [(labels, value)])


def _family(
    name: str, samples: Iterable[tuple[Mapping[str, str], float]], words: str | None = None
) -> Iterator[str]:
    yield f"# HELP {name} {_escaped(_HELP[name] if words is None else words)}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        pairs = ",".join(f'{key}="{_escaped(label, quoted=True)}"' for key, label in labels.items())
        yield f"{name}{{{pairs}}} {_number(value)}"


def _metric(name: str) -> str:
    return "dupaudit_" + re.sub(r"[^a-zA-Z0-9_]", "_", name)


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(float(value))


def _escaped(words: str, quoted: bool = False) -> str:
    # A lone surrogate, as in the name of a folder that is not UTF-8, has no bytes in UTF-8.
    words = words.encode("utf-8", "backslashreplace").decode("utf-8")
    words = words.replace("\\", "\\\\").replace("\n", "\\n")
    return words.replace('"', '\\"') if quoted else words


def _named(line: str) -> str:
    # The metric that a line of ours is about.
    comment = re.match(r"# (?:HELP|TYPE) (\S+)", line)
    return comment[1] if comment else line.partition("{")[0]


def _lines_of(path: Path) -> list[str]:
    # What stands there, if it is ours; an empty file and none are nobody's.
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ArtifactError(
            "cannot read the metrics file", where=str(path), got=error, fix="set metrics_file to another path"
        ) from error
    lines = text.removesuffix("\n").split("\n")
    if text and lines[0] != FIRST_LINE:
        raise ConfigError(
            "the metrics file is of another program",
            where=str(path),
            got=repr(lines[0][:80]),
            expected=FIRST_LINE,
            fix="set metrics_file to another path, or remove that file",
        )
    return lines


def _write(path: Path, lines: Iterable[str]) -> None:
    # Renamed into place: the collector never reads half a file. It reads names that end in .prom
    # alone, which the temporary one does not.
    write_text("\n".join(lines) + "\n", path)
