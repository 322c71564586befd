"""Texts as one sequence of numbers, one a token, cut by this project's own compiled tokeniser.

Two tokens have one number if 63 bits of the XXH64 of their UTF-8 agree, which two different ones of
a million do once in 18 million corpora.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import project_path  # noqa: F401
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.kernels.buffers import text_buffers
from pipeline.kernels.hashing import xxh64
from pipeline.kernels.jit import kernel
from pipeline.kernels.scan import roomier, tokeniser
from pipeline.kernels.tokens import NEEDS_NFKC, NO_ROOM, TOKENISED, tokenise

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.uint32]

BATCH_ROWS = 1024
# What ends a call of the kernel besides the outcomes of `tokenise`, which are below 8.
FULL_TABLE, FULL_OUTPUT = 8, 9
_MULTIPLIER = 0x9E3779B97F4A7C15


class Sequence(NamedTuple):
    """All documents, one behind the other.

    numbers: the numbers of their tokens, and after each document one that nothing else has.
    starts, ends: (documents,) document i is numbers[starts[i]:ends[i]].
    """

    numbers: Numbers
    starts: Ints
    ends: Ints


@kernel
def _number(
    data: Any,
    offsets: Any,
    first: int,
    is_nfkc: bool,
    tok: Any,
    keys: Any,
    values: Any,
    known: int,
    out: Any,
    at: int,
    lengths: Any,
) -> tuple[int, int, int, int]:
    """Number the tokens of texts first, first + 1, ...; a place is left free after each text.

    keys, values: hash table, of a power of two; `known` of its slots are taken, numbered from 1.
    Returns the text it stopped before, why (TOKENISED: there is none), tokens known, places written.
    """
    mask = np.uint64(len(keys) - 1)
    for d in range(first, len(offsets) - 1):
        start, stop = offsets[d], offsets[d + 1]
        outcome, n_tokens, _ = tokenise(
            data, start, stop, is_nfkc, tok.ascii_map, tok.tables, tok.text, tok.ends, None, None
        )
        if outcome != TOKENISED:
            return d, outcome, known, at
        if at + n_tokens + 1 > len(out):
            return d, FULL_OUTPUT, known, at
        start = 0
        for t in range(n_tokens):
            # A table full of zeros is empty.
            key = np.uint64(xxh64(tok.text, start, tok.ends[t]) | np.uint64(1))
            slot = np.uint64((key * np.uint64(_MULTIPLIER)) >> np.uint64(20)) & mask
            while keys[slot] != np.uint64(0) and keys[slot] != key:
                slot = (slot + np.uint64(1)) & mask
            if keys[slot] == np.uint64(0):
                if 2 * known >= len(keys):
                    return d, FULL_TABLE, known, at
                known += 1
                keys[slot], values[slot] = key, np.uint32(known)
            out[at + t] = values[slot]
            start = tok.ends[t] + 1
        lengths[d] = n_tokens
        at += n_tokens + 1
    return len(offsets) - 1, TOKENISED, known, at


@kernel
def _moved(keys: Any, values: Any, to_keys: Any, to_values: Any) -> None:
    mask = np.uint64(len(to_keys) - 1)
    for i in range(len(keys)):
        if keys[i] != np.uint64(0):
            slot = np.uint64((keys[i] * np.uint64(_MULTIPLIER)) >> np.uint64(20)) & mask
            while to_keys[slot] != np.uint64(0):
                slot = (slot + np.uint64(1)) & mask
            to_keys[slot], to_values[slot] = keys[i], values[i]


class TokenNumbers:
    """The numbers given to tokens so far, from 1, with the scratch of the tokeniser."""

    def __init__(self, slots: int = 1 << 16) -> None:
        """Begin without a token. slots: of the first hash table, a power of two; it grows."""
        self.known = 0
        self._keys, self._values = np.zeros(slots, np.uint64), np.zeros(slots, np.uint32)
        self._tokeniser = tokeniser()

    def number(self, texts: pa.LargeBinaryArray, is_nfkc: bool = False) -> tuple[Numbers, Ints]:
        """Return the numbers of the tokens of all texts with a 0 after each text, and their counts.

        Raises ValueError for a text that is not UTF-8.
        """
        data, offsets = text_buffers(texts)
        out = np.zeros((int(offsets[-1] - offsets[0])) // 3 + len(texts), np.uint32)
        lengths = np.zeros(len(texts), np.int64)
        text = at = 0
        while True:
            text, outcome, self.known, at = _number(
                data, offsets, text, is_nfkc, self._tokeniser, self._keys, self._values, self.known, out, at,
                lengths,
            )  # fmt: skip
            if outcome == TOKENISED:
                return out[:at], lengths
            if outcome == NO_ROOM:
                self._tokeniser = roomier(self._tokeniser, int(offsets[text + 1] - offsets[text]))
            elif outcome == FULL_TABLE:
                self._grow()
            elif outcome == FULL_OUTPUT:
                out = np.concatenate([out, np.zeros(len(out) + len(self._tokeniser.ends), np.uint32)])
            elif outcome == NEEDS_NFKC:
                composed = unicodedata.normalize("NFKC", texts[text].as_py().decode()).encode()
                alone, lengths[text : text + 1] = self.number(pa.array([composed], pa.large_binary()), True)
                out = np.concatenate([out[:at], alone, np.zeros(len(out), np.uint32)])
                text, at = text + 1, at + len(alone)
            else:
                raise ValueError(f"text {text} of a batch: got bytes that are not UTF-8")

    def _grow(self) -> None:
        keys, values = np.zeros(2 * len(self._keys), np.uint64), np.zeros(2 * len(self._keys), np.uint32)
        _moved(self._keys, self._values, keys, values)
        self._keys, self._values = keys, values


def binary_batches(inputs: Iterable[Path], batch_rows: int = BATCH_ROWS) -> Iterator[pa.LargeBinaryArray]:
    """Yield the texts of all files in order, as bytes; an empty one for null."""
    for path in inputs:
        with pq.ParquetFile(path) as source:
            for batch in source.iter_batches(batch_size=batch_rows, columns=["text"]):
                yield pc.fill_null(batch.column(0), "").cast(pa.large_binary())


def read_sequence(inputs: Iterable[Path]) -> Sequence:
    """Tokenise all documents of the files, in order."""
    tokens = TokenNumbers()
    parts, counts = [np.zeros(0, np.uint32)], [np.zeros(0, np.int64)]
    for texts in binary_batches(inputs):
        numbers, lengths = tokens.number(texts)
        parts.append(numbers.copy())
        counts.append(lengths)
    flat, lengths = np.concatenate(parts), np.concatenate(counts)
    ends = np.cumsum(lengths + 1) - 1
    flat[ends] = tokens.known + 1 + np.arange(len(ends), dtype=np.uint32)
    return Sequence(flat, ends - lengths, ends)
