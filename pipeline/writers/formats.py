"""Copy a file of any format without the rows that go: the door to all writers."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.readers.opening import reading
from pipeline.writers import arrow_ipc, delimited, jsonl, parquet, text
from pipeline.writers.outputs import open_output
from pipeline.writers.verdicts import Verdicts


@dataclass(frozen=True)
class Copied:
    """What became of a file: whether it was written, its rows (those that were not audited are
    `passed`), and whether the copy is laid out exactly as the file."""

    written: bool
    rows: int
    kept: int
    dropped: int
    passed: int
    same_layout: bool = True


def write(
    uri: str, format: str, text_column: str, verdicts: Verdicts, location: str, cuts: bool = False
) -> Copied:
    """Write to a location what stays of a file; a text file may be left out.

    Args:
        cuts: whether texts are cut.

    Raises:
        InputError: the file cannot be read. InputChangedError: it is not what the run read.
        AuditError: the copy cannot be written.
    """
    written = same_layout = True
    if format == "text":
        ruling = verdicts.following(1)
        written = bool(ruling.keep[0])
    if written:
        with open_output(location) as sink, reading(uri, f"the {format} file that the run read, whole"):
            if format == "parquet":
                same_layout = parquet.write(uri, text_column, verdicts, sink)
            elif format == "arrow":
                arrow_ipc.write(uri, text_column, verdicts, sink, cuts)
            elif format == "jsonl":
                jsonl.write(uri, text_column, verdicts, sink)
            elif format == "text":
                text.write(uri, ruling.cuts.get(0), sink)
            else:
                delimited.write(uri, format, text_column, verdicts, sink)
    return Copied(written, verdicts.rows, verdicts.kept, verdicts.dropped, verdicts.passed, same_layout)
