"""Distinct texts: group the documents by the hash of their normalised text.

From here on the unit of work is the distinct text, named by `text_id`, the low half of the
128-bit hash. Copies are counted by all 128 bits. Two distinct texts whose low halves agree are
expected once in about six billion texts; then the one with the smaller doc_id is the node of
the near grain, the other keeps exact counts only, and the metric `text_id_collisions` says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, table_of
from pipeline.mapped import mapped_range, read_mapped, write_mapped
from pipeline.mixture import Epochs
from pipeline.stages.places import Places
from pipeline.stages.runs import starts_of_runs
from pipeline.stages.scan import Segment

# `weight` is what training shows of all documents with the text, in millionths of an epoch.
TEXTS = pa.schema(
    [
        ("text_id", pa.uint64()),
        ("doc_id", pa.uint64()),
        ("copies", pa.int64()),
        ("n_tokens", pa.int64()),
        ("weight", pa.int64()),
    ]
)
COPIES = pa.schema(
    [
        ("text_id", pa.uint64()),
        ("doc_id", pa.uint64()),
        ("copies", pa.int64()),
        ("raw_copies", pa.int64()),
        ("n_tokens", pa.int64()),
        ("weight", pa.int64()),
        ("is_node", pa.bool_()),
    ]
)
# Documents whose text stands in others too, by doc_id: how many there are, or 0 if it is not the first.
REPEATS = pa.schema([("doc_id", pa.uint64()), ("copies", pa.int64())])
# How many documents of such a text have which source and licence (hashes, 0: none), by its first
# document.
TEXT_LABELS = pa.schema(
    [
        ("doc_id", pa.uint64()),
        ("text_id", pa.uint64()),
        ("source", pa.uint64()),
        ("licence", pa.uint64()),
        ("documents", pa.int64()),
        ("tokens", pa.int64()),
    ]
)
# How many distinct texts have which source and licence.
DISTINCT = pa.schema([("source", pa.uint64()), ("licence", pa.uint64()), ("texts", pa.int64())])
_READ = ("text_id", "text_high", "raw_low", "raw_high", "source", "licence", "piece", "row", "n_tokens")


@dataclass(frozen=True)
class TextsResult:
    """One key range of texts: `texts` has a row a distinct text, `copies` a row a document whose
    text occurs twice or more; both are sorted by text_id. `repeats` and `labels` tell of the
    latter by doc_id, `by_text` is `labels` by text_id, `by_label` counts texts by label."""

    texts: str
    copies: str
    repeats: str
    labels: str
    by_text: str
    by_label: str
    distinct: int
    collisions: int


@dataclass(frozen=True)
class _Documents:
    text_id: NDArray[np.uint64]
    text_high: NDArray[np.uint64]
    raw_low: NDArray[np.uint64]
    raw_high: NDArray[np.uint64]
    source: NDArray[np.uint64]
    licence: NDArray[np.uint64]
    doc_id: NDArray[np.uint64]
    n_tokens: NDArray[np.int64]


def _documents(segments: Sequence[Segment], places: Places, keys: KeyRange) -> _Documents:
    # In order of (text_id, doc_id): segments come in doc_id order and the sort is stable.
    columns: list[list[NDArray[np.generic]]] = [[] for _ in range(8)]
    for segment in segments:
        table = mapped_range(f"{segment.path}/texts.arrow", "text_id", keys, _READ)[1]
        *hashes, piece, row, n_tokens = (table.column(c).to_numpy() for c in _READ)
        doc_id = places.doc_ids(segment.shard, piece, row)
        for column, part in zip(columns, (*hashes, doc_id, n_tokens), strict=True):
            column.append(part)
    kinds = (np.uint64,) * 7 + (np.int64,)
    joined = [
        np.concatenate(column) if column else np.zeros(0, kind)
        for column, kind in zip(columns, kinds, strict=True)
    ]
    order = np.argsort(joined[0], kind="stable")
    return _Documents(*(column[order] for column in joined))


def _raw_copies(
    raw_low: NDArray[np.uint64], raw_high: NDArray[np.uint64], group: NDArray[np.int64]
) -> NDArray[np.int64]:
    # Documents with the same bytes lie in the same group, so the raw hash is compared inside it.
    order = np.lexsort((raw_low, raw_high, group))
    starts = starts_of_runs(group[order], raw_high[order], raw_low[order])
    sizes = np.diff(np.append(starts, len(order)))
    counts = np.empty(len(order), np.int64)
    counts[order] = np.repeat(sizes, sizes)
    return counts


def group_texts(
    keys: KeyRange, path: str, *, segments: Sequence[Segment], places: str, epochs: Epochs
) -> TextsResult:
    """Group the documents whose text_id lies in a key range.

    Args:
        keys: the range of text_id.
        path: what the written files' names begin with.
        segments: all scanned segments, in order.
        places: see `places.write_places`.
        epochs: how often training shows each source.
    """
    found = _documents(segments, Places(places), keys)
    starts = starts_of_runs(found.text_id, found.text_high)
    nodes = starts_of_runs(found.text_id)
    collisions = 0
    if len(starts) != len(nodes):
        order = np.lexsort((found.doc_id, found.text_high, found.text_id))
        found = _Documents(*(getattr(found, name)[order] for name in found.__dataclass_fields__))
        starts = starts_of_runs(found.text_id, found.text_high)
        collisions = len(starts) - len(starts_of_runs(found.text_id))
    sizes = np.diff(np.append(starts, len(found.text_id)))
    is_node = _nodes(found, starts) if collisions else np.ones(len(starts), np.bool_)
    group = np.repeat(np.arange(len(starts)), sizes)
    repeated = np.flatnonzero(sizes[group] > 1)
    weight = np.add.reduceat(epochs.of(found.source), starts) if len(starts) else sizes
    texts = table_of(
        TEXTS,
        found.text_id[starts][is_node],
        found.doc_id[starts][is_node],
        sizes[is_node],
        found.n_tokens[starts][is_node],
        weight[is_node],
    )
    copies = table_of(
        COPIES,
        found.text_id[repeated],
        found.doc_id[repeated],
        sizes[group[repeated]],
        _raw_copies(found.raw_low[repeated], found.raw_high[repeated], group[repeated]),
        found.n_tokens[repeated],
        weight[group[repeated]],
        is_node[group[repeated]],
    )
    labels = _labels(found, starts, group, repeated)
    by_doc = labels.take(pa.array(np.argsort(labels.column("doc_id").to_numpy(), kind="stable")))
    return TextsResult(
        write_mapped(texts, f"{path}-texts.arrow"),
        write_mapped(copies, f"{path}-copies.arrow"),
        _write_repeats(found, starts, sizes, repeated, f"{path}-repeats.arrow"),
        write_mapped(by_doc, f"{path}-labels.arrow"),
        write_mapped(labels, f"{path}-by-text.arrow"),
        write_mapped(_by_label(found, labels, sizes[group] == 1), f"{path}-distinct.arrow"),
        len(starts),
        collisions,
    )


def _write_repeats(
    found: _Documents,
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    repeated: NDArray[np.int64],
    path: str,
) -> str:
    copies = np.zeros(len(found.doc_id), np.int64)
    copies[starts] = sizes
    by_doc = repeated[np.argsort(found.doc_id[repeated])]
    return write_mapped(table_of(REPEATS, found.doc_id[by_doc], copies[by_doc]), path)


def _labels(
    found: _Documents, starts: NDArray[np.int64], group: NDArray[np.int64], repeated: NDArray[np.int64]
) -> pa.Table:
    # In order of the texts.
    text, source, licence = group[repeated], found.source[repeated], found.licence[repeated]
    order = np.lexsort((licence, source, text))
    text, source, licence = text[order], source[order], licence[order]
    runs = starts_of_runs(text, source, licence)
    documents = np.diff(np.append(runs, len(order)))
    first = starts[text[runs]]
    return table_of(
        TEXT_LABELS,
        found.doc_id[first],
        found.text_id[first],
        source[runs],
        licence[runs],
        documents,
        documents * found.n_tokens[first],
    )


def _by_label(found: _Documents, labels: pa.Table, single: NDArray[np.bool_]) -> pa.Table:
    pairs = {
        name: np.concatenate([labels.column(name).to_numpy(), getattr(found, name)[single]])
        for name in ("source", "licence")
    }
    counted = pl.DataFrame(pairs).group_by("source", "licence").agg(pl.len().cast(pl.Int64).alias("texts"))
    return counted.sort("source", "licence").to_arrow().cast(DISTINCT)


def _nodes(found: _Documents, starts: NDArray[np.int64]) -> NDArray[np.bool_]:
    # Of texts that share a text_id, the one that comes first in the corpus.
    order = np.lexsort((found.doc_id[starts], found.text_id[starts]))
    first = np.zeros(len(starts), np.bool_)
    first[order[starts_of_runs(found.text_id[starts][order])]] = True
    return first


def tokens_of_sources(segment: Segment, *, sources: Sequence[int]) -> dict[int, int]:
    """Tokens of some sources (hashes, ascending) in a segment."""
    table = read_mapped(f"{segment.path}/texts.arrow", ["source", "n_tokens"])
    source, n_tokens = table.column("source").to_numpy(), table.column("n_tokens").to_numpy()
    return {wanted: int(n_tokens[source == np.uint64(wanted)].sum()) for wanted in sources}
