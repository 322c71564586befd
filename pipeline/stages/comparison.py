"""Pairs of shingle sets compared exactly, as the tables that later stages read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import table_of, uint64
from pipeline.mapped import write_mapped

COMPARED = pa.schema(
    [
        ("doc_a", pa.uint64()),
        ("doc_b", pa.uint64()),
        ("jaccard", pa.float64()),
        ("containment_a", pa.float64()),
        ("containment_b", pa.float64()),
        ("shared_shingles", pa.int64()),
        ("source_a", pa.large_string()),
        ("source_b", pa.large_string()),
    ]
)
# Compared pairs of texts, by `left`; which end that is tells nothing.
SIMILAR = pa.schema([("left", pa.uint64()), ("right", pa.uint64()), ("jaccard", pa.float64())])
# The same for the next run, by the component's smallest text_id; left < right. Texts and numbers
# only: their documents may have other ids then.
FOUND = pa.schema(
    [
        *((name, pa.uint64()) for name in ("root", "left", "right")),
        *((name, pa.int64()) for name in ("shared", "left_shingles", "right_shingles")),
    ]
)


@dataclass(frozen=True)
class Texts:
    """Texts that are compared.

    Attributes:
        rows: one row each, by text_id, with doc_id, root, copies, n_tokens and source at least.
        sizes: int64, shingles of each.
    """

    rows: pa.Table
    text_id: NDArray[np.uint64]
    sizes: NDArray[np.int64]


@dataclass(frozen=True)
class Comparison:
    """Numbers of texts and what the two have in common; `shared` is -1 where the sizes alone rule
    the pair out."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    shared: NDArray[np.int64]
    jaccard: NDArray[np.float64]

    def and_also(self, other: Comparison) -> Comparison:
        """These pairs and others."""
        return Comparison(
            np.concatenate([self.left, other.left]),
            np.concatenate([self.right, other.right]),
            np.concatenate([self.shared, other.shared]),
            np.concatenate([self.jaccard, other.jaccard]),
        )

    def of(self, which: NDArray[np.int64] | NDArray[np.bool_]) -> Comparison:
        """Some of these pairs."""
        return Comparison(self.left[which], self.right[which], self.shared[which], self.jaccard[which])

    def in_order(self, texts: int) -> Comparison:
        """The same with left < right, by left, then by right; `texts` is more than any number."""
        left, right = np.minimum(self.left, self.right), np.maximum(self.left, self.right)
        order = np.argsort(left * texts + right)
        return Comparison(left[order], right[order], self.shared[order], self.jaccard[order])


def counted(
    texts: Texts, one: NDArray[np.int64], two: NDArray[np.int64], shared: NDArray[np.int64]
) -> Comparison:
    """Pairs whose shared shingles are known."""
    union = texts.sizes[one] + texts.sizes[two] - shared
    return Comparison(one, two, shared, np.where(shared < 0, 0.0, shared / union))


def recalled(rows: pa.Table, found: pa.Table) -> tuple[Texts, Comparison]:
    """Pairs that were compared before, among the texts that are here now.

    Args:
        rows: the texts, sorted by text_id. found: rows of `FOUND`, each between two of them.
    """
    text_id = uint64(rows, "text_id")
    one, two = (np.searchsorted(text_id, uint64(found, name)) for name in ("left", "right"))
    sizes = np.zeros(len(text_id), np.int64)
    sizes[one] = found.column("left_shingles").to_numpy()
    sizes[two] = found.column("right_shingles").to_numpy()
    texts = Texts(rows, text_id, sizes)
    return texts, counted(texts, one, two, found.column("shared").to_numpy())


def write_pair_rows(texts: Texts, found: Comparison, keep: NDArray[np.bool_], path: str) -> str:
    """Write some of the pairs with their documents and sources, by doc_a."""
    doc_id, sizes, n = uint64(texts.rows, "doc_id"), texts.sizes, len(texts.sizes)
    rank = np.empty(n, np.int64)
    rank[np.argsort(doc_id)] = np.arange(n)
    found = found.of(keep)
    first = rank[found.left] < rank[found.right]
    a, b = np.where(first, found.left, found.right), np.where(first, found.right, found.left)
    order = np.argsort(rank[a] * n + rank[b])
    a, b = a[order], b[order]
    shared, sources = found.shared[order], texts.rows.column("source").combine_chunks()
    table = table_of(
        COMPARED,
        doc_id[a],
        doc_id[b],
        found.jaccard[order],
        shared / sizes[a],
        shared / sizes[b],
        shared,
        sources.take(pa.array(a)),
        sources.take(pa.array(b)),
    )
    return write_mapped(table, path)


def write_similar(texts: Texts, found: Comparison, path: str) -> str:
    """Write all pairs but those that sizes ruled out, as `SIMILAR`; they must be in order."""
    found = found.of(found.shared >= 0)
    table = table_of(SIMILAR, texts.text_id[found.left], texts.text_id[found.right], found.jaccard)
    return write_mapped(table, path)


def write_found(texts: Texts, found: Comparison, path: str) -> str:
    """Write the same pairs as `FOUND`; they must be in order."""
    found = found.of(found.shared >= 0)
    root = uint64(texts.rows, "root")[found.left]
    order = np.argsort(root, kind="stable")
    left, right = found.left[order], found.right[order]
    table = table_of(
        FOUND,
        root[order],
        texts.text_id[left],
        texts.text_id[right],
        found.shared[order],
        texts.sizes[left],
        texts.sizes[right],
    )
    return write_mapped(table, path)
