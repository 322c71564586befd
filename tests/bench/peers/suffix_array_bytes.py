"""Finds every run of 100 bytes that occurs at least twice with a suffix array over bytes.

What google-research/deduplicate-text-datasets does, which text-dedup's suffix-array command runs,
with the library that PyPI has: the texts' bytes as they are, documents apart by two bytes that no
UTF-8 has and a number of four, libdivsufsort through pydivsufsort, a threshold of 100 bytes as in
their examples. Runs of bytes are not runs of tokens: they begin and end inside words, case and
spacing count, so only time, memory and the repeated share can be compared.

Memory is 13 bytes a byte of text: the text, and the suffix array, its inverse and the common
prefixes in 4 bytes each. Comparing neighbours byte by byte instead of Kasai's algorithm would need 5
and take 40 % longer in that step; the tool keeps 8 bytes of index a byte of text, most on disk.

Usage: python suffix_array_bytes.py INPUT.parquet [INPUT.parquet ...] OUTPUT.parquet [--processes N]
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from parquet_documents import peer_parser, read_batches
from suffixes import Ints, repeated_places, runs_in_documents, write_runs

WINDOW_BYTES = 100
APART_BYTES = 6


def read_bytes(inputs: Iterable[Path]) -> tuple[npt.NDArray[np.uint8], Ints, Ints]:
    """Return the bytes of all documents, what is between them after each, their starts and ends."""
    flat, lengths = bytearray(), list[int]()
    for batch in read_batches(inputs):
        for text in batch:
            encoded = text.encode()
            flat += encoded + b"\xff\xff" + len(lengths).to_bytes(4, "big")
            lengths.append(len(encoded))
    counts = np.array(lengths, np.int64)
    starts = np.cumsum(counts + APART_BYTES) - counts - APART_BYTES
    return np.frombuffer(flat, np.uint8), starts, starts + counts


def main() -> None:
    """Read, sort, compare neighbours, write."""
    given = peer_parser(__doc__).parse_args()
    # Read by the library when it is loaded.
    os.environ["OMP_NUM_THREADS"] = str(given.processes)
    from pydivsufsort import divsufsort, kasai

    text, starts, ends = read_bytes(given.inputs)
    suffixes = divsufsort(text)
    shared = kasai(text, suffixes)
    del text
    repeated, _ = repeated_places(suffixes, shared, WINDOW_BYTES)
    del suffixes, shared
    runs = runs_in_documents(repeated, starts, ends, WINDOW_BYTES)
    write_runs(given.output, runs, window=WINDOW_BYTES, units=int((ends - starts).sum()))


if __name__ == "__main__":
    main()
