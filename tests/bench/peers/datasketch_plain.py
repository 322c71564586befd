r"""Groups near-duplicates with datasketch in a plain Python loop.

Word 5-grams, ``MinHash(num_perm=128)`` per document, ``MinHashLSH(threshold=0.7, num_perm=128)``
(14 bands of 9 rows): every document is looked up among the earlier ones, then inserted, and is put
in one group with everything the lookup returned. Matches are band matches, not verified.

One process, as the loop is written everywhere; meant for small slices. Documents without a word are
left out, since datasketch gives them all the same signature.

Usage: python datasketch_plain.py INPUT.parquet [INPUT.parquet ...] OUTPUT.parquet
"""

from __future__ import annotations

from datasketch import MinHash, MinHashLSH
from parquet_documents import (
    count_documents,
    groups_of_roots,
    peer_parser,
    read_batches,
    write_groups,
)
from word_shingles import word_shingles

PERMUTATIONS = 128
THRESHOLD = 0.7


def signature(text: str) -> MinHash:
    """Return the MinHash of the text's word 5-grams."""
    minhash = MinHash(num_perm=PERMUTATIONS)
    minhash.update_batch([shingle.encode() for shingle in set(word_shingles(text))])
    return minhash


def find_root(parents: dict[int, int], position: int) -> int:
    """Return the root of a position in a union-find, halving the path to it."""
    while parents[position] != position:
        parents[position] = parents[parents[position]]
        position = parents[position]
    return position


def main() -> None:
    """Look up and insert one document after the other, write the groups."""
    given = peer_parser(__doc__).parse_args()
    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    parents: dict[int, int] = {}
    position = 0
    for texts in read_batches(given.inputs):
        for text in texts:
            minhash = signature(text)
            if not minhash.is_empty():
                parents[position] = position
                for match in index.query(minhash):
                    parents[find_root(parents, position)] = find_root(parents, match)
                index.insert(position, minhash)
            position += 1
    roots = {each: find_root(parents, each) for each in list(parents)}
    write_groups(given.output, groups_of_roots(roots, count_documents(given.inputs)))


if __name__ == "__main__":
    main()
