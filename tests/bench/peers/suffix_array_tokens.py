"""Finds every run of 25 tokens that occurs at least twice with a suffix array over tokens.

The texts are tokenised by this project's own compiled tokeniser, so that both sides see the same
tokens; tokens become numbers, documents follow each other with a number of its own after each, and
libdivsufsort, through pydivsufsort, sorts the suffixes. Kasai's algorithm, from pydivsufsort too,
tells how much each shares with the next; where that is 25 tokens or more, the window that begins
there is repeated. Documents with the same text are all in it, as the definition has it.

Memory is at its peak in the sort: 5 bytes for each byte of a number, of which large corpora need 3,
besides 4 for the number itself. `--processes 1` keeps the library from using a second core.

Usage: python suffix_array_tokens.py INPUT.parquet [INPUT.parquet ...] OUTPUT.parquet [--processes N]
"""

from __future__ import annotations

import os

from parquet_documents import peer_parser
from suffixes import array_of_numbers, repeated_places, runs_in_documents, write_runs
from token_numbers import read_sequence

WINDOW_TOKENS = 25


def main() -> None:
    """Read, sort, compare neighbours, write."""
    given = peer_parser(__doc__).parse_args()
    # Read by the library when it is loaded.
    os.environ["OMP_NUM_THREADS"] = str(given.processes)
    from pydivsufsort import divsufsort, kasai

    numbers, starts, ends = read_sequence(given.inputs)
    suffixes = array_of_numbers(numbers, divsufsort)
    shared = kasai(numbers, suffixes)
    del numbers
    repeated, distinct = repeated_places(suffixes, shared, WINDOW_TOKENS)
    del suffixes, shared
    runs = runs_in_documents(repeated, starts, ends, WINDOW_TOKENS)
    units = int((ends - starts).sum())
    write_runs(given.output, runs, window=WINDOW_TOKENS, units=units, distinct=distinct)


if __name__ == "__main__":
    main()
