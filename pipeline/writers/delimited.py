"""Copy CSV and TSV files: the header and the records that stay byte for byte, blank lines too."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

from pipeline.errors import InputChangedError
from pipeline.readers.delimited import DELIMITERS, allow_long_fields
from pipeline.readers.opening import compression_of, open_stream
from pipeline.readers.wording import printable
from pipeline.writers.cutting import Range, check_cuts, cut_text
from pipeline.writers.outputs import compressed
from pipeline.writers.verdicts import Verdicts

BYTE_ORDER_MARK = "\ufeff"
Parsed = tuple[list[str], str]  # the fields of a record, none for a blank line, and its characters


def write(uri: str, format: str, text_column: str, verdicts: Verdicts, sink: BinaryIO) -> None:
    """Write the records of a file that stay; a text that is cut is quoted anew."""
    allow_long_fields()
    delimiter = DELIMITERS[format]
    with open_stream(uri) as stream, compressed(sink, compression_of(uri)) as output:
        lines = io.TextIOWrapper(
            cast(BinaryIO, stream), encoding="utf-8", errors="surrogateescape", newline=""
        )
        records = _records(_without_mark(lines, output), delimiter)
        place = _header(records, text_column, uri, output)
        for (fields, record), row, keep, cuts in verdicts.over(_judgeable(records)):
            if not keep:
                continue
            if cuts is None:
                output.write(_bytes(record))
            else:
                output.write(_cut_record(record, fields, delimiter, place, cuts, uri, row))


def _header(records: Iterable[Parsed], name: str, uri: str, output: BinaryIO) -> int:
    """Write what stands before the first row; the place of the text among the fields."""
    for fields, record in records:
        output.write(_bytes(record))
        if fields:
            return _place(fields, name, uri)
    return _place([], name, uri)


def _judgeable(records: Iterable[Parsed]) -> Iterator[tuple[Parsed, int, bool]]:
    for parsed in records:
        yield parsed, len(parsed[1]), bool(parsed[0])


def _without_mark(lines: Iterable[str], output: BinaryIO) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number == 0 and line.startswith(BYTE_ORDER_MARK):
            output.write(_bytes(BYTE_ORDER_MARK))
        yield line.removeprefix(BYTE_ORDER_MARK) if number == 0 else line


def _records(lines: Iterable[str], delimiter: str) -> Iterator[Parsed]:
    """Records as the reader splits them: it takes no more lines than a record has."""
    taken: list[str] = []

    def noting() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    for fields in csv.reader(noting(), delimiter=delimiter):
        yield fields, "".join(taken)
        taken.clear()


def _place(header: list[str], name: str, uri: str) -> int:
    names = [_bytes(field).decode("utf-8", "replace") for field in header]
    if name in names:
        return names.index(name)
    raise InputChangedError(
        "an input file has another header than when the run read it",
        where=printable(uri, 1000),
        expected=f"a column {printable(repr(name), 80)}",
        fix="audit again, and keep by the new run",
    )


def _cut_record(
    record: str, fields: list[str], delimiter: str, place: int, cuts: list[Range], uri: str, row: int
) -> bytes:
    text = check_cuts(_bytes(fields[place]) if place < len(fields) else None, cuts, uri, row)
    start, end = field_range(record, delimiter, place)
    left = cut_text(text, cuts).replace(b'"', b'""')
    return _bytes(record[:start]) + b'"%b"' % left + _bytes(record[end:])


def field_range(record: str, delimiter: str, place: int) -> Range:
    """Where a field stands in the characters of a record, quotes included."""
    stop = len(record.rstrip("\r\n"))
    start = 0
    for _ in range(place):
        start = _field_end(record, delimiter, start, stop) + 1
    return start, _field_end(record, delimiter, start, stop)


def _field_end(record: str, delimiter: str, start: int, stop: int) -> int:
    at = start
    if record[start : start + 1] == '"':
        at = record.index('"', start + 1) + 1
        while record[at : at + 1] == '"':  # doubled: one that is part of the field
            at = record.index('"', at + 1) + 1
    end = record.find(delimiter, at)
    return max(stop, at) if end < 0 else end


def _bytes(characters: str) -> bytes:
    return characters.encode("utf-8", "surrogateescape")
