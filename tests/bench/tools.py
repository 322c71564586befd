"""The command of each tool that is compared, where its answer lies, and what to know about it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from score import Bools, read_answer
from sets import positions_of
from truth import Ints
from windows import Repeats, read_ours, read_runs

PEERS = Path(__file__).resolve().parent / "peers"
OURS = "dupaudit"
OURS_PROCESSES = "dupaudit-processes"
OURS_ONE_CORE = "dupaudit-one-core"
OURS_WITHOUT_PASSAGES = "dupaudit-no-passages"
SUFFIX_ARRAY_TOKENS = "suffix-array-tokens"
SUFFIX_ARRAY_BYTES = "suffix-array-bytes"
RUN_NAME = "run"

# The (documents,) groups or keeps of a tool, or the repeated windows it found.
Answer = Ints | Bools | Repeats


@dataclass(frozen=True)
class Job:
    """One run of a tool.

    files: Parquet files to read, in order.
    scratch: an empty folder to write to.
    cores: how many processes a peer may use.
    peers_python: the interpreter that the peers are installed for.
    """

    files: tuple[Path, ...]
    scratch: Path
    cores: int
    peers_python: Path


@dataclass(frozen=True)
class Tool:
    """A way to find duplicates.

    answer: reads what a finished run has left in its scratch folder.
    start_up_documents: how few documents its start-up is measured with.
    one_core: it cannot use more than one.
    note: what to know when its numbers are compared.
    """

    name: str
    command: Callable[[Job], list[str | Path]]
    answer: Callable[[Job], Answer]
    note: str
    start_up_documents: int = 1
    one_core: bool = False


def our_command(job: Job, *settings: str) -> list[str | Path]:
    """Return the whole audit as a user runs it, with identifiers, sources and licences."""
    command = Path(sys.executable).with_name("dupaudit")
    columns = ("--id-column", "id", "--source-column", "source", "--licence-column", "licence")
    place = ("--out", job.scratch, "--name", RUN_NAME, "--quiet")
    return [command, "run", *job.files, *columns, *place, *settings]


def our_command_in_processes(job: Job) -> list[str | Path]:
    """Return the whole audit, with a process a core instead of a thread a core."""
    return our_command(job, "--set", "cluster.local.processes=true")


def our_command_on_one_core(job: Job, *settings: str) -> list[str | Path]:
    """Return the whole audit with one worker."""
    return our_command(job, "--workers", "1", *settings)


def our_windows(job: Job) -> Repeats:
    """Return the repeated windows that our audit's passages are made of."""
    return read_ours(job.scratch / RUN_NAME, job.files)


def our_groups(job: Job) -> Ints:
    """Return the near cluster of each document as a number from 0, -1 for none."""
    table = pq.read_table(job.scratch / RUN_NAME / "documents", columns=["doc_id", "cluster_id"])
    positions = positions_of(table.column("doc_id").to_numpy(), job.files)
    clusters = table.column("cluster_id")
    clustered = clusters.is_valid().to_numpy()
    groups = np.full(sum(pq.read_metadata(file).num_rows for file in job.files), -1, np.int64)
    groups[positions[clustered]] = np.unique(clusters.drop_null().to_numpy(), return_inverse=True)[1]
    return groups


def peer_command(script: str, job: Job) -> list[str | Path]:
    """Return the command of a script in peers/."""
    answer = job.scratch / "answer.parquet"
    return [job.peers_python, PEERS / script, *job.files, answer, "--processes", str(job.cores)]


def peer_answer(job: Job) -> Ints | Bools:
    """Return what a script in peers/ has answered."""
    return read_answer(job.scratch / "answer.parquet")


def peer_windows(job: Job) -> Repeats:
    """Return the repeated windows that a script in peers/ has found."""
    return read_runs(job.scratch / "answer.parquet")


def _peer(name: str, script: str, note: str, *, start_up_documents: int = 1, one_core: bool = False) -> Tool:
    return Tool(name, partial(peer_command, script), peer_answer, note, start_up_documents, one_core)


_ALL = (
    Tool(
        OURS,
        our_command,
        our_groups,
        "the whole `dupaudit run`; every pair it reports was compared exactly, and all tables are written",
    ),
    Tool(
        OURS_PROCESSES,
        our_command_in_processes,
        our_groups,
        "the same with a process a core instead of a thread a core (`cluster.local.processes=true`)",
    ),
    _peer(
        "rensa",
        "rensa_script.py",
        "word 5-grams made by `re`, in a process a core; keeps or removes and names no partner, so it has"
        " removals but no groups; a match is estimated from sketches, not compared",
    ),
    _peer(
        "text-dedup",
        "text_dedup_minhash.py",
        "splits at every single separator, so that indented code is full of empty words; 14 bands of 9, a"
        " match in a band is not compared; documents without a word match each other",
    ),
    _peer(
        "datatrove",
        "datatrove_minhash.py",
        "every number becomes 0, diacritics go; documents under 5 words are kept without a look, equal or"
        " not; 14 bands of 8, an even chance at a similarity of 0.69, a match in a band is not compared;"
        " start-up with 10 documents",
        start_up_documents=10,
    ),
    _peer(
        "datasketch",
        "datasketch_plain.py",
        "a plain Python loop in one process; 14 bands of 9, a match in a band is not compared; on a small"
        " part of the documents, so that `times ours` is one of MB/s",
        one_core=True,
    ),
    Tool(
        OURS_ONE_CORE,
        our_command_on_one_core,
        our_windows,
        "the whole `dupaudit run --workers 1`: exact, near and passages, all tables written",
        one_core=True,
    ),
    Tool(
        OURS_WITHOUT_PASSAGES,
        lambda job: our_command_on_one_core(job, "--set", "passages.enabled=false"),
        our_groups,
        "the same without passages, so that the difference is what they cost",
        one_core=True,
    ),
    Tool(
        SUFFIX_ARRAY_TOKENS,
        partial(peer_command, "suffix_array_tokens.py"),
        peer_windows,
        "the same question, answered by libdivsufsort over the numbers of the same tokens, cut by our own"
        " tokeniser; everything in memory",
        one_core=True,
    ),
    Tool(
        SUFFIX_ARRAY_BYTES,
        partial(peer_command, "suffix_array_bytes.py"),
        peer_windows,
        "runs of 100 bytes, as deduplicate-text-datasets looks for them, by libdivsufsort over the text as it"
        " is: another question; everything in memory",
        one_core=True,
    ),
)
TOOLS = {tool.name: tool for tool in _ALL}
