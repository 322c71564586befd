"""Tests of passages of very long, very repetitive and very often copied documents: right, linear, bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests import corpus, oracles
from tests.audits import Audited

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[1]
W = 25
MIB = 1 << 20
# Measured: 350 MiB once kernels are compiled and a small corpus is audited, 460 MiB with full shards.
BASE_BYTES = 600 * MIB
# A document is never cut, so memory follows the longest one. Measured: 10 bytes a byte of it (its text
# as read, as Python has it, as normalised; where its tokens begin and end; its anchors).
BYTES_A_DOCUMENT_BYTE = 13
# Every place of a passage is a row. Measured: 290 bytes where one document has nearly all places.
BYTES_A_SPAN = 400
# Twice the input in at most three times the time: four times would be quadratic.
MOST_TIMES, START_SECONDS = 3, 2

# The process's own peak, from the kernel: what `resource` tells begins with that of its parent.
SCRIPT = """
import json, re, sys, time
from pathlib import Path
from tests.audits import audit, audit_texts, without_dask
path, out = map(Path, sys.argv[1:])
with without_dask(page=False):
    audit_texts(["a b c d e f g h i " * 9] * 3 + ["cafe\\u0301 ½ " * 30], out / "warm")
    start = time.process_time()
    audit(path, out)
seconds = time.process_time() - start
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(json.dumps([seconds, int(peak[1]) * 1024]))
"""


@dataclass(frozen=True)
class Measured:
    """An audit that ran in a process of its own."""

    audited: Audited
    cpu_seconds: float
    peak_bytes: int


def measured(texts: Iterable[str], folder: Path) -> Measured:
    """Audit texts of one file, which is deleted afterwards: some are gigabytes."""
    folder.mkdir()
    path = folder / "texts.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for text in texts:
            file.write(f'{{"text": "{text}"}}\n')
    command = [sys.executable, "-c", SCRIPT, str(path), str(folder / "out")]
    try:
        ended = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    finally:
        path.unlink()
    cpu_seconds, peak_bytes = json.loads(ended.stdout.splitlines()[-1])
    return Measured(Audited(folder / "out" / "run"), cpu_seconds, peak_bytes)


def unlike(first: int, count: int) -> list[str]:
    """Words that stand nowhere else, of about ten characters: by their numbers, which are mixed."""
    return [f"w{i * 0x9E3779B97F & 0xFFFFFFFFFF:x}" for i in range(first, first + count)]


def about_linear(half: Measured, whole: Measured) -> None:
    assert whole.cpu_seconds <= MOST_TIMES * half.cpu_seconds + START_SECONDS, (half, whole)


# --- a document of 100 MB -------------------------------------------------------------------------

STRETCHES = 1_000
OFTEN, TWICE = [f"often{i}x" for i in range(100)], [f"twice{i}y" for i in range(30)]


def long_document(words_a_stretch: int) -> str:
    """One passage at both ends, another a thousand times between words that stand nowhere else."""
    words = list(TWICE)
    for i in range(STRETCHES):
        words += [*unlike(i * words_a_stretch, words_a_stretch), *OFTEN]
    return corpus.joined([*words, "end", *TWICE])


def test_100_megabytes_in_one_document_take_time_and_memory_in_proportion(tmp_path: Path) -> None:
    runs = {}
    for name, words_a_stretch in (("half", 4_350), ("whole", 8_700)):
        text = long_document(words_a_stretch)
        runs[name] = run = measured([text], tmp_path / name)
        spans = run.audited.rows("spans")
        step = words_a_stretch + len(OFTEN)
        starts = [len(TWICE) + i * step + words_a_stretch for i in range(STRETCHES)]
        last = len(TWICE) + STRETCHES * step + 1
        assert [(row["token_start"], row["tokens"], row["occurrences"]) for row in spans] == [
            (0, 30, 2),
            *((start, 100, STRETCHES) for start in starts),
            (last, 30, 2),
        ]
        data = text.encode()
        held = {data[row["byte_start"] : row["byte_end"]].decode() for row in spans}
        assert held == {corpus.joined(OFTEN), corpus.joined(TWICE)}
        [document] = run.audited.documents
        assert (document["repeated_tokens"], document["passage_max_occurrences"]) == (100_060, STRETCHES)
        assert run.peak_bytes <= BASE_BYTES + BYTES_A_DOCUMENT_BYTE * len(data), run
    assert 95e6 < len(data) < 110e6
    about_linear(runs["half"], runs["whole"])


# --- a million equal tokens -----------------------------------------------------------------------


def repeating(words: list[str], n_tokens: int) -> str:
    return corpus.joined((words * (n_tokens // len(words) + 1))[:n_tokens])


def test_a_million_equal_tokens_are_one_passage_at_nearly_as_many_places(tmp_path: Path) -> None:
    runs = {}
    for name, n_tokens in (("half", 500_000), ("whole", 1_000_000)):
        runs[name] = run = measured([repeating(["a"], n_tokens)], tmp_path / name)
        places = n_tokens - W + 1
        [passage] = run.audited.rows("passages")
        assert passage["passage_id"] == oracles.text_id("a " * W)
        assert [passage[key] for key in ("tokens", "occurrences", "documents", "texts")] == [W, places, 1, 1]
        assert passage["predictable"]
        spans = run.audited.table("spans")
        for column, step in (("token_start", 1), ("byte_start", 2)):
            np.testing.assert_array_equal(spans.column(column).to_numpy(), step * np.arange(places))
        assert set(spans.column("occurrences").to_pylist()) == {places}
        [document] = run.audited.documents
        assert (document["repeated_tokens"], document["passage_max_occurrences"]) == (n_tokens, places)
        assert run.peak_bytes <= BASE_BYTES + BYTES_A_SPAN * places, run
    about_linear(runs["half"], runs["whole"])


@pytest.mark.parametrize("period", [2, 1_000])
def test_a_cycle_of_a_million_tokens_is_two_passages_at_most(tmp_path: Path, period: int) -> None:
    n_tokens = 1_000_000
    run = measured([repeating([f"w{i}v" for i in range(period)], n_tokens)], tmp_path / "run")
    # The cycle's first windows stand once more than the others: there the passages part.
    times, more = divmod(n_tokens - W + 1, period)
    wanted = [(period - more + W - 1, times)] + [(more + W - 1, times + 1)] * (more > 0)
    passages = run.audited.rows("passages")
    assert sorted((row["tokens"], row["occurrences"]) for row in passages) == sorted(wanted)
    assert run.audited.metrics["passage_spans"] == sum(occurrences for _, occurrences in wanted)
    [document] = run.audited.documents
    assert document["repeated_tokens"] == n_tokens
    assert document["passage_max_occurrences"] == times + (more > 0)
    assert {row["predictable"] for row in passages} == {period <= 8}


# --- ten thousand copies of a long document -------------------------------------------------------


def copies_and_one_more(words: list[str], copies: int) -> Iterator[str]:
    """Copies of a document, one of which is written otherwise, and a document with a part of it."""
    text = corpus.joined(words)
    yield text.upper()
    for _ in range(copies - 1):
        yield text
    yield corpus.joined(["before", *words[1_000:1_100], "after"])


def test_ten_thousand_copies_of_a_long_document_take_the_memory_of_few(tmp_path: Path) -> None:
    words = unlike(0, 18_000)
    assert 190_000 < len(corpus.joined(words)) < 220_000
    runs = {}
    for name, copies in (("half", 5_000), ("whole", 10_000)):
        runs[name] = run = measured(copies_and_one_more(words, copies), tmp_path / name)
        head, tail = 1_000 + W - 1, len(words) - 1_100 + W - 1
        assert [
            tuple(row[key] for key in ("doc_id", "copies", "token_start", "tokens", "occurrences"))
            for row in run.audited.rows("spans")
        ] == [
            (0, copies, 0, head, copies),
            (0, copies, 1_000, 100, copies + 1),
            (0, copies, 1_100 - W + 1, tail, copies),
            (copies, 1, 1, 100, copies + 1),
        ]
        assert sorted(
            tuple(row[key] for key in ("tokens", "occurrences", "documents", "texts"))
            for row in run.audited.rows("passages")
        ) == [
            (100, copies + 1, copies + 1, 2),
            (head, copies, copies, 1),
            (tail, copies, copies, 1),
        ]
        documents = run.audited.table("documents")
        wanted = {
            "repeated_tokens": [len(words)] * copies + [100],
            "passage_max_occurrences": [copies + 1] * (copies + 1),
        }
        for column, values in wanted.items():
            assert documents.column(column).to_pylist() == values
        metrics = run.audited.metrics
        assert metrics["passage_repeated_tokens"] == copies * len(words) + 100
        assert run.peak_bytes <= BASE_BYTES, run
    about_linear(runs["half"], runs["whole"])
    assert runs["whole"].peak_bytes <= 1.1 * runs["half"].peak_bytes + 64 * MIB, "copies are not held"
