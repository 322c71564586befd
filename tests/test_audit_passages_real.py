"""Tests of the passages of real data sets against a suffix array of all their tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.normalise import tokens
from tests import oracles
from tests import passage_oracle as oracle
from tests.audits import Audited, audit
from tests.passage_oracle import Ints

SETS: list[tuple[str, int, int | None]] = [  # name, tokens of a window, texts (none: all)
    ("sms-spam", 8, None),
    ("sms-spam", 25, None),
    ("spdx-licences", 25, None),
    ("spdx-licences", 1_000, None),
    ("llm-eval-sets", 13, None),
    ("llm-eval-sets", 25, None),
    ("us-bills", 25, 5),
    ("python-code", 25, 600),
]
SLOW_SETS = [
    ("us-bills", 25, None),
    ("python-code", 50, 6_000),
    ("udhr", 25, None),
    ("chinese-poetry", 8, None),
]
SLICES_CHECKED = 2_000  # of spans; reading all again would take longer than the rest


@dataclass(frozen=True)
class Compared:
    """An audit of texts in one file, beside all suffixes of their tokens."""

    audited: Audited
    texts: Sequence[str]
    w: int

    @cached_property
    def words(self) -> list[list[str]]:
        """The tokens of each text."""
        return [tokens(text) for text in self.texts]

    @cached_property
    def suffixes(self) -> oracle.SuffixArray:
        """Of all tokens."""
        return oracle.suffix_array(self.words)

    @cached_property
    def paths(self) -> oracle.Paths:
        """Every place of every passage, copies of texts included."""
        return oracle.paths(self.suffixes, self.w)

    @cached_property
    def first(self) -> Ints:
        """For each text the first that is equal to it after normalisation."""
        seen: dict[str, int] = {}
        return np.array([seen.setdefault(" ".join(words), d) for d, words in enumerate(self.words)], np.int64)

    def column(self, name: str, table: str = "spans") -> Ints:
        """A column of counts."""
        return np.asarray(self.audited.table(table).column(name).to_numpy(), np.int64)

    def words_of(self, d: int, start: int, length: int) -> str:
        """A run of tokens of a document, normalised."""
        return " ".join(self.words[d][start : start + length])


def compared(folder: Path, out: Path, w: int, count: int | None) -> Compared:
    """Audit the first texts of a data set."""
    column = pq.read_table(sorted(folder.glob("*.parquet")), columns=["text"]).column("text").slice(0, count)
    path = out / "texts.parquet"
    pq.write_table(pa.table({"text": column}), path)
    audited = audit(path, out / "audits", passages={"min_tokens": w})
    return Compared(audited, column.to_pylist(), w)


def check_windows(case: Compared) -> None:
    """Windows inside spans, each as often as its text has copies, are all repeated windows of the corpus."""
    groups = case.suffixes.groups(case.w)
    counts = np.bincount(groups)
    n_windows = case.column("tokens") - case.w + 1
    assert (n_windows > 0).all()
    begin = case.suffixes.starts[case.column("doc_id")] + case.column("token_start")
    inside = np.repeat(begin - np.cumsum(n_windows) + n_windows, n_windows) + np.arange(n_windows.sum())
    found = np.bincount(groups[inside], np.repeat(case.column("copies"), n_windows), len(counts))
    wanted = np.where(counts > 1, counts, 0)
    assert wanted.any()
    assert np.count_nonzero(found < wanted) == 0, "windows that repeat were missed"
    assert np.count_nonzero(found > wanted) == 0, "windows were found more often than they stand"


def check_spans(case: Compared) -> None:
    """Spans begin and end where counts of windows say, in the first of equal texts."""
    paths, copies = case.paths, Counter(case.first.tolist())
    chosen = np.flatnonzero(case.first[paths.document] == paths.document)
    document = paths.document[chosen]
    wanted = {
        "doc_id": document,
        "token_start": paths.token_start[chosen],
        "tokens": paths.tokens[chosen],
        "occurrences": paths.occurrences[chosen],
        "copies": np.array([copies[d] for d in document.tolist()], np.int64),
    }
    for name, values in wanted.items():
        np.testing.assert_array_equal(case.column(name), values, name)


def check_slices(case: Compared) -> None:
    """Spans, some of them, hold the words of their passage."""
    spans = case.audited.table("spans")
    step = max(1, len(spans) // SLICES_CHECKED)
    for span in spans.take(pa.array(range(0, len(spans), step))).to_pylist():
        words = case.words_of(span["doc_id"], span["token_start"], span["tokens"])
        held = case.texts[span["doc_id"]].encode()[span["byte_start"] : span["byte_end"]].decode()
        assert f" {words} " in f" {' '.join(tokens(held))} "
        assert span["passage_id"] == oracles.text_id(words)


def check_passages(case: Compared) -> None:
    """Every passage stands once, named by its words, with its counts and the place where it is first."""
    paths = case.paths
    start = case.suffixes.starts[paths.document] + paths.token_start
    known = case.suffixes.groups(case.w)[start]  # a passage is known by its first window
    of_document = np.unique(np.stack([known, paths.document]), axis=1)
    documents = Counter(of_document[0].tolist())
    texts = Counter(of_document[0][case.first[of_document[1]] == of_document[1]].tolist())
    wanted = {}
    for place in np.unique(known, return_index=True)[1].tolist():
        d, at, length = (int(c[place]) for c in (paths.document, paths.token_start, paths.tokens))
        group, occurrences = int(known[place]), int(paths.occurrences[place])
        wanted[oracles.text_id(case.words_of(d, at, length))] = (
            length, occurrences, documents[group], texts[group], d,
        )  # fmt: skip
    found = {
        row["passage_id"]: tuple(
            row[name] for name in ("tokens", "occurrences", "documents", "texts", "doc_id")
        )
        for row in case.audited.rows("passages")
    }
    assert len(found) == len(case.audited.rows("passages"))
    assert found == wanted
    for row in case.audited.rows("passages"):
        held = case.texts[row["doc_id"]].encode()[row["byte_start"] : row["byte_end"]].decode()
        assert row["text"] == held[:500]


def check_documents(case: Compared) -> None:
    """Tokens in a passage, and the most frequent passage, of every document."""
    paths = case.paths
    start = case.suffixes.starts[paths.document] + paths.token_start
    edges = np.zeros(len(case.suffixes.numbers) + 1, np.int64)
    np.add.at(edges, start, 1)
    np.add.at(edges, start + paths.tokens, -1)
    repeated = np.add.reduceat((np.cumsum(edges) > 0).astype(np.int64)[:-1], case.suffixes.starts)
    most = np.ones(len(case.texts), np.int64)
    np.maximum.at(most, paths.document, paths.occurrences)
    np.testing.assert_array_equal(case.column("repeated_tokens", "documents"), repeated)
    np.testing.assert_array_equal(case.column("passage_max_occurrences", "documents"), most)
    metrics = case.audited.metrics
    assert metrics["passage_repeated_tokens"] == repeated.sum()
    assert metrics["passage_repeated_documents"] == np.count_nonzero(repeated)
    assert metrics["passage_spans"] == len(case.column("doc_id"))
    assert metrics["passage_most_occurrences"] == most.max()
    assert metrics["passage_most_tokens"] == paths.tokens.max()


@pytest.mark.parametrize(
    ("name", "w", "count"), [*SETS, *(pytest.param(*each, marks=pytest.mark.slow) for each in SLOW_SETS)]
)
def test_passages_are_exactly_those_of_a_suffix_array(
    name: str, w: int, count: int | None, shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    case = compared(shared_data(name), tmp_path, w, count)
    check_windows(case)
    check_spans(case)
    check_passages(case)
    check_documents(case)
    check_slices(case)
