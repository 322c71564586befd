r"""Groups near-duplicates with text-dedup's MinHash command.

Runs the entry point behind ``python -m text_dedup.minhash`` with ``--ngram 5 --num_perm 128
--threshold 0.7`` on local Parquet: 0.4.0 is configured on its command line alone. It derives 14
bands of 9 rows from these. The entry point runs in this process, so that the tool is imported once;
groups are read from its union-find, which is what ``--debug`` would dump. Its de-duplicated data
set is written and thrown away.

As the tool has it: text is split at every single character that is not ``\w``, so two separators in
a row make an empty word, of which indented code has many; groups are components of unverified band
matches. ``--min_length 1`` keeps documents under 5 words, which the default of 5 removes from the
data set altogether, and makes such a document one shingle; documents without a word match each
other. Words are hashed with SHA-1, its default; ``--hash-func xxh3`` asks for its faster hash.

Loading and hashing use ``--processes`` processes (2); filling the band tables and clustering are
one. A null text stops the tool. So does a data set without rows: then it is only imported, and the
result is empty; take its start-up time from an input of one document.

Usage: python text_dedup_minhash.py INPUT.parquet [INPUT.parquet ...] OUTPUT.parquet [--processes N]
"""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from parquet_documents import (
    count_documents,
    groups_of_roots,
    link_numbered,
    peer_parser,
    write_groups,
)

NGRAM_WORDS = 5
PERMUTATIONS = 128
THRESHOLD = 0.7


def command_line(scratch: Path, inputs: list[Path], processes: int, hash_func: str) -> list[str]:
    """Return the arguments of text-dedup's command for these inputs, linked into `scratch`."""
    linked = scratch / "input"
    linked.mkdir()
    link_numbered(inputs, linked)
    options = {
        "--path": "parquet",
        "--data_files": str(linked / "*.parquet"),
        "--split": "train",
        "--cache_dir": str(scratch / "cache"),
        "--output": str(scratch / "output"),
        "--column": "text",
        "--ngram": str(NGRAM_WORDS),
        "--min_length": "1",
        "--num_perm": str(PERMUTATIONS),
        "--threshold": str(THRESHOLD),
        "--hash_func": hash_func,
        "--num_proc": str(processes),
    }
    return [word for option in options.items() for word in option]


def roots_of_documents(inputs: list[Path], processes: int, hash_func: str) -> dict[int, int]:
    """Run text-dedup; return the root of each document that matched another one in a band."""
    # Read by the data-set library when it is imported: nothing may be looked up in the network.
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1")
    from text_dedup import minhash

    if count_documents(inputs) == 0:
        return {}
    with TemporaryDirectory(prefix="text-dedup-") as scratch:
        minhash.main(command_line(Path(scratch), inputs, processes, hash_func), standalone_mode=False)
    return {position: minhash.uf.find(position) for position in list(minhash.uf.parent)}


def main() -> None:
    """Run the tool over the inputs, write the groups."""
    parser = peer_parser(__doc__)
    parser.add_argument("--hash-func", choices=("sha1", "xxh3"), default="sha1")
    given = parser.parse_args()
    roots = roots_of_documents(given.inputs, given.processes, given.hash_func)
    write_groups(given.output, groups_of_roots(roots, count_documents(given.inputs)))


if __name__ == "__main__":
    main()
