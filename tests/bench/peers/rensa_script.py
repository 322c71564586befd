r"""Removes near-duplicates with rensa, as its README shows.

``RMinHashDeduplicator(threshold=0.7, num_perm=128, use_lsh=True, num_bands=32)`` over word 5-grams.
Writes ``kept``: the deduplicator answers, in input order, whether a document is new, and names no
partner. It compares sketches, so a match is an estimate, not a comparison of the texts.

rensa takes tokens, not text. Making 5-grams is Python and takes over nine tenths of the time, which
rensa's own threads cannot change; so batches of documents are shingled and sketched in
``--processes`` processes (2), and the sketches, 512 bytes each, are compared in the first one.
``--processes 1`` is the plain loop of the README.

Documents without a word have equal sketches: rensa calls the second one a duplicate of the first.

Usage: python rensa_script.py INPUT.parquet [INPUT.parquet ...] OUTPUT.parquet [--processes N]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from multiprocessing import Pool
from pathlib import Path

from parquet_documents import peer_parser, read_batches, write_kept
from rensa import RMinHash, RMinHashDeduplicator
from word_shingles import word_shingles

PERMUTATIONS = 128
SEED = 42
BANDS = 32
THRESHOLD = 0.7


def sketch(texts: list[str]) -> list[RMinHash]:
    """Return one sketch a text."""
    shingles = [word_shingles(text) for text in texts]
    sketches: list[RMinHash] = RMinHash.from_token_sets(shingles, PERMUTATIONS, SEED)
    return sketches


def sketch_batches(inputs: Iterable[Path], processes: int) -> Iterator[list[RMinHash]]:
    """Yield the sketches of all documents in order, a batch at a time."""
    batches = read_batches(inputs, batch_rows=64)
    if processes == 1:
        yield from map(sketch, batches)
        return
    with Pool(processes) as pool:
        yield from pool.imap(sketch, batches)


def main() -> None:
    """Read, deduplicate, write."""
    given = peer_parser(__doc__).parse_args()
    deduplicator = RMinHashDeduplicator(
        threshold=THRESHOLD, num_perm=PERMUTATIONS, use_lsh=True, num_bands=BANDS, seed=SEED
    )
    kept: list[bool] = []
    for sketches in sketch_batches(given.inputs, given.processes):
        kept += deduplicator.add_pairs((str(len(kept) + i), each) for i, each in enumerate(sketches))
    write_kept(given.output, kept)


if __name__ == "__main__":
    main()
