"""Copy text files, each of which is one document: as stored, or cut, or not at all."""

from __future__ import annotations

import shutil
from typing import BinaryIO

from pipeline.readers.opening import compression_of, open_file, open_stream
from pipeline.writers.cutting import Range, check_cuts, cut_text
from pipeline.writers.outputs import compressed

BLOCK_BYTES = 1 << 20


def write(uri: str, cuts: list[Range] | None, sink: BinaryIO) -> None:
    """Write a file that stays."""
    if cuts is None:
        with open_file(uri) as file:
            shutil.copyfileobj(file, sink, BLOCK_BYTES)
        return
    with open_stream(uri) as stream, compressed(sink, compression_of(uri)) as output:
        output.write(cut_text(check_cuts(stream.read(), cuts, uri, 0), cuts))
