"""Tests of what the suffix-array scripts are made of, with a plain suffix array and against brute force."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from suffix_array_bytes import read_bytes
from suffixes import array_of_numbers, repeated_places, runs_in_documents, write_runs
from token_numbers import Sequence, TokenNumbers, read_sequence
from windows import read_runs

from pipeline.normalise import tokens

WINDOW = 3
TEXTS = ["One two, three!", "", "ONE two three four", "ﬁne e\u0301 日本語", "four three two one"]


def plain_array(values: Any) -> Any:
    """Return the suffix array of bytes or numbers, by sorting."""
    values = values.tolist()
    return np.array(sorted(range(len(values)), key=lambda i: values[i:]), np.int32)


def plain_shared(values: Any, suffixes: Any) -> Any:
    """Return how much each suffix shares with the next."""
    shared = np.zeros(len(suffixes), np.int32)
    for rank in range(len(suffixes) - 1):
        one, other = values[suffixes[rank] :], values[suffixes[rank + 1] :]
        alike = [a == b for a, b in zip(one, other, strict=False)]
        shared[rank] = [*alike, False].index(False)
    return shared


def sequence(documents: list[list[int]]) -> Sequence:
    """Return documents of numbers behind each other, a number of its own after each."""
    lengths = np.array([len(document) for document in documents], np.int64)
    ends = np.cumsum(lengths + 1) - 1
    flat = [number for i, document in enumerate(documents) for number in [*document, 10**6 + i]]
    return Sequence(np.array(flat, np.uint32), ends - lengths, ends)


def runs_of(documents: list[list[int]]) -> tuple[list[tuple[int, int, int]], int]:
    """Return runs of repeated windows as the script finds them, and the number of distinct windows."""
    numbers, starts, ends = sequence(documents)
    suffixes = array_of_numbers(numbers, plain_array)
    assert suffixes.tolist() == plain_array(numbers).tolist()
    repeated, distinct = repeated_places(suffixes, plain_shared(numbers, suffixes), WINDOW)
    columns = runs_in_documents(repeated, starts, ends, WINDOW)
    return list(zip(*(column.tolist() for column in columns), strict=True)), distinct


def windows_of(documents: list[list[int]]) -> tuple[list[tuple[int, int]], int]:
    """Return document and start of every repeated window, and the number of distinct ones, by counting."""
    places = [
        (d, start, tuple(document[start : start + WINDOW]))
        for d, document in enumerate(documents)
        for start in range(len(document) - WINDOW + 1)
    ]
    counts = Counter(window for _, _, window in places)
    repeated = [(d, start) for d, start, window in places if counts[window] > 1]
    return repeated, sum(count > 1 for count in counts.values())


@given(st.lists(st.lists(st.integers(1, 3), max_size=12), min_size=1, max_size=6))
def test_repeated_windows_are_those_of_brute_force(documents: list[list[int]]) -> None:
    runs, distinct = runs_of(documents)
    expected, expected_distinct = windows_of(documents)
    assert [(d, first + i) for d, first, count in runs for i in range(count)] == expected
    assert distinct == expected_distinct


def test_neighbouring_windows_are_one_run() -> None:
    assert runs_of([[1, 2, 3, 4, 9], [8, 1, 2, 3, 4]]) == ([(0, 0, 2), (1, 1, 2)], 2)


def test_a_run_ends_with_its_document() -> None:
    assert runs_of([[1, 2, 3], [1, 2, 3], [1, 2], [3]]) == ([(0, 0, 1), (1, 0, 1)], 1)


@pytest.mark.parametrize("largest", [1, 255, 256, 70_000, 2**24, 2**32 - 1])
def test_numbers_of_any_size_are_sorted(largest: int) -> None:
    numbers = np.array([largest, 1, largest, 1, largest // 2 + 1, largest], np.uint32)
    assert array_of_numbers(numbers, plain_array).tolist() == plain_array(numbers).tolist()


def test_a_window_beyond_the_end_of_its_document_is_none() -> None:
    repeated = np.ones(9, bool)
    runs = runs_in_documents(repeated, np.array([0, 5, 6]), np.array([4, 5, 9]), WINDOW)
    assert [column.tolist() for column in runs] == [[0, 2], [0, 0], [2, 1]]


def test_an_answer_is_read_back(tmp_path: Path) -> None:
    columns = (np.array([0, 2]), np.array([5, 0]), np.array([2, 9]))
    write_runs(tmp_path / "some.parquet", columns, window=25, units=1000, distinct=7)
    some = read_runs(tmp_path / "some.parquet")
    assert (some.window, some.units, some.distinct, some.count) == (25, 1000, 7, 11)
    assert (some.document.tolist(), some.first.tolist()) == ([0, 2], [5, 0])
    none = tuple(np.zeros(0, np.int64) for _ in range(3))
    write_runs(tmp_path / "none.parquet", (none[0], none[1], none[2]), window=100, units=0)
    empty = read_runs(tmp_path / "none.parquet")
    assert (empty.count, empty.distinct, empty.repeated_fraction) == (0, None, None)


def test_numbers_of_tokens_are_equal_where_the_tokens_are(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([*TEXTS, None])}), tmp_path / "a.parquet")
    numbers, starts, ends = read_sequence([tmp_path / "a.parquet"])
    words = [tokens(text) for text in [*TEXTS, ""]]
    assert (ends - starts).tolist() == [len(of_text) for of_text in words]
    flat = [word for i, of_text in enumerate(words) for word in [*of_text, f" after {i}"]]
    pairs = set(zip(flat, numbers.tolist(), strict=True))
    assert len(pairs) == len(set(flat)) == len(set(numbers.tolist()))


def test_numbers_survive_the_growth_of_the_table() -> None:
    words = [f"w{i}" for i in range(5_000)]
    texts = pa.array([" ".join(words).encode(), " ".join(reversed(words)).encode()], pa.large_binary())
    small = TokenNumbers(slots=2)
    numbers, lengths = small.number(texts)
    assert lengths.tolist() == [5_000, 5_000]
    assert small.known == 5_000
    assert sorted(numbers[:5_000].tolist()) == list(range(1, 5_001))
    assert numbers[5_001:10_001].tolist() == numbers[:5_000][::-1].tolist()
    assert numbers[[5_000, 10_001]].tolist() == [0, 0]


def test_more_tokens_than_bytes_suggest_find_room() -> None:
    # Each of these characters is four words in NFKC.
    text = "\ufdfa " * 2_000
    numbers, lengths = TokenNumbers().number(pa.array([text.encode()], pa.large_binary()))
    assert lengths.tolist() == [len(tokens(text))]
    assert len(numbers) == lengths[0] + 1


def test_a_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(ValueError, match="text 1 of a batch"):
        TokenNumbers().number(pa.array([b"fine", b"\xff"], pa.large_binary()))


def test_bytes_of_documents_are_apart(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array(["é!", None, "b"])}), tmp_path / "a.parquet")
    flat, starts, ends = read_bytes([tmp_path / "a.parquet"])
    parts = [flat[start:end].tobytes() for start, end in zip(starts, ends, strict=True)]
    assert parts == ["é!".encode(), b"", b"b"]
    assert len(flat) == 4 + 3 * 6
    between = {flat[end : end + 6].tobytes() for end in ends}
    assert len(between) == 3
    assert all(apart.startswith(b"\xff\xff") for apart in between)
