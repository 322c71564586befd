"""Copy JSON Lines: the lines that stay byte for byte, blank lines, line ends and marks too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from pipeline.readers.jsonl import BLOCK_BYTES, BYTE_ORDER_MARK
from pipeline.readers.opening import Stream, compression_of, open_stream
from pipeline.writers.cutting import Range, check_cuts
from pipeline.writers.json_text import cut_string, decoded, text_place
from pipeline.writers.outputs import compressed
from pipeline.writers.verdicts import Verdicts


def write(uri: str, text_column: str, verdicts: Verdicts, sink: BinaryIO) -> None:
    """Write the lines of a file that stay, the texts that are cut without what is cut out."""
    with open_stream(uri) as stream, compressed(sink, compression_of(uri)) as output:
        for line, row, keep, cuts in verdicts.over(_judgeable(stream, output)):
            if keep:
                output.write(line if cuts is None else _cut_line(line, text_column, cuts, uri, row))


def _judgeable(stream: Stream, output: BinaryIO) -> Iterator[tuple[bytes, int, bool]]:
    """Lines with their sizes, and whether each is a row to the reader: blank lines are none."""
    for number, whole in enumerate(_lines(stream)):
        line = whole.removeprefix(BYTE_ORDER_MARK) if number == 0 else whole
        if len(line) < len(whole):
            output.write(BYTE_ORDER_MARK)
        yield line, len(line), bool(line.strip(b" \t\r\n"))


def _lines(stream: Stream) -> Iterator[bytes]:
    r"""Lines with their ends. As to the reader, only "\n" ends one."""
    unfinished: list[bytes] = []
    while block := stream.read(BLOCK_BYTES):
        *lines, rest = bytes(block).split(b"\n")
        for line in lines:
            yield b"".join((*unfinished, line, b"\n"))
            unfinished = []
        unfinished.append(rest)
    if last := b"".join(unfinished):
        yield last


def _cut_line(line: bytes, name: str, cuts: list[Range], uri: str, row: int) -> bytes:
    place = _place(line, name)
    written = b"" if place is None else line[slice(*place)]
    text = check_cuts(None if place is None else _decoded(written), cuts, uri, row)
    start, end = place or (0, 0)
    return line[:start] + cut_string(written, text, cuts) + line[end:]


def _place(line: bytes, name: str) -> Range | None:
    try:
        return text_place(line, name)
    except (ValueError, IndexError):  # no JSON any more
        return None


def _decoded(written: bytes) -> bytes | None:
    try:
        return decoded(written)
    except ValueError:
        return None
