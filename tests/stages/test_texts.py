"""Distinct texts: who is a copy of whom, and what happens when half a hash is equal."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.artifacts import END_OF_KEYS, key_ranges, table_of
from pipeline.config import MixtureConfig, ModelConfig
from pipeline.label_hashes import name_hash
from pipeline.mapped import read_mapped, write_mapped
from pipeline.mixture import MILLION, epochs_of
from pipeline.normalise import normalised, tokens
from pipeline.readers.rows import Piece
from pipeline.stages.inputs import InputFile, Shard, ShardPiece
from pipeline.stages.places import write_places
from pipeline.stages.runs import starts_of_runs
from pipeline.stages.scan import Segment, texts_schema
from pipeline.stages.texts import (
    COPIES,
    DISTINCT,
    REPEATS,
    TEXT_LABELS,
    TEXTS,
    TextsResult,
    group_texts,
    tokens_of_sources,
)
from tests import oracles
from tests.stages.steps import BY_FILE, ONCE, Corpus, all_rows, columns_of, doc, grouped, rows_of, scanned

A, B, C = "the first text of all", "a second text follows", "third"
EPOCHS = {"a": 2.5, "b": 0.0}
CORPUS: dict[str, list[str | None]] = {
    "a": [A, B, "", A.upper(), None, C],
    "b": ["", A, f" {A}!", B, "four words, no more"],
    "c": [A, "  ", "five words are not four", A.upper()],
}


def _of_repeated(corpus: Corpus) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """What is told of documents that share their text: how many they are, and how many in which file."""
    groups = defaultdict(list)
    for number, text in sorted(corpus.texts.items()):
        if text is not None and tokens(text):
            groups[normalised(text)].append(number)
    repeats, labels = [], []
    for text, members in groups.items():
        if len(members) > 1:
            counts = Counter(name_hash("abc"[number >> 32]) for number in members)
            n_tokens, text_id = len(tokens(text)), oracles.text_id(text)
            for source, n in sorted(counts.items()):
                values = members[0], text_id, source, 0, n, n * n_tokens
                labels.append(dict(zip(TEXT_LABELS.names, values, strict=True)))
            repeats += [{"doc_id": n, "copies": len(members) * (n == members[0])} for n in members]
    return sorted(repeats, key=lambda row: row["doc_id"]), sorted(labels, key=lambda row: row["doc_id"])


def _definition(corpus: Corpus) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The two tables by plain Python."""
    texts = {number: text for number, text in corpus.texts.items() if text is not None and tokens(text)}
    groups = defaultdict(list)
    for number, text in sorted(texts.items()):
        groups[normalised(text)].append(number)
    raw = Counter(texts.values())
    shown = [int(EPOCHS.get(name, 1) * MILLION) if corpus.epochs != ONCE else MILLION for name in "abc"]
    distinct, copies = [], []
    for text, members in sorted(groups.items(), key=lambda item: oracles.text_id(item[0])):
        shared = {"text_id": oracles.text_id(text), "copies": len(members), "n_tokens": len(tokens(text))}
        shared |= {"weight": sum(shown[number >> 32] for number in members)}
        distinct.append(shared | {"doc_id": members[0]})
        if len(members) > 1:
            copies += [shared | {"doc_id": n, "raw_copies": raw[texts[n]], "is_node": True} for n in members]
    return distinct, copies


@pytest.mark.parametrize("parts", [1, 3, 50])
@pytest.mark.parametrize("shard_bytes", [60, 1 << 20])
def test_texts_and_copies_equal_their_definition(tmp_path: Path, parts: int, shard_bytes: int) -> None:
    corpus = scanned(tmp_path, CORPUS, shard_bytes=shard_bytes)
    found = grouped(corpus, key_ranges(parts))
    distinct, copies = _definition(corpus)
    assert all_rows([part.texts for part in found]) == [
        {name: row[name] for name in TEXTS.names} for row in distinct
    ]
    assert all_rows([part.copies for part in found]) == [
        {name: row[name] for name in COPIES.names} for row in copies
    ]
    assert sum(part.distinct for part in found) == len(distinct) == 5
    assert sum(part.collisions for part in found) == 0


@pytest.mark.parametrize("parts", [1, 3, 50])
def test_weight_is_what_training_shows_of_all_documents_with_the_text(tmp_path: Path, parts: int) -> None:
    epochs = epochs_of(MixtureConfig(epochs=EPOCHS), ModelConfig(), {})
    corpus = scanned(tmp_path, CORPUS, shard_bytes=60, source=BY_FILE, epochs=epochs)
    found = grouped(corpus, key_ranges(parts))
    distinct, copies = _definition(corpus)
    for tables, wanted in (([p.texts for p in found], distinct), ([p.copies for p in found], copies)):
        assert [row["weight"] for row in all_rows(tables)] == [row["weight"] for row in wanted]
    # Twice in a, which is shown two and a half times, twice in b, which is not shown, twice in c.
    assert {row["weight"] for row in distinct if row["copies"] == 6} == {7 * MILLION}


@pytest.mark.parametrize("parts", [1, 3, 50])
@pytest.mark.parametrize("shard_bytes", [60, 1 << 20])
def test_repeats_and_labels_equal_their_definition(tmp_path: Path, parts: int, shard_bytes: int) -> None:
    corpus = scanned(tmp_path, CORPUS, shard_bytes=shard_bytes, source=BY_FILE)
    found = grouped(corpus, key_ranges(parts))
    repeats, labels = _of_repeated(corpus)
    assert len(repeats) == 8
    tables = [(rows_of(part.repeats), rows_of(part.labels)) for part in found]
    for i, wanted in ((0, repeats), (1, labels)):
        assert all(
            [row["doc_id"] for row in held[i]] == sorted(row["doc_id"] for row in held[i]) for held in tables
        )
        rows = [row for held in tables for row in held[i]]
        assert sorted(rows, key=lambda row: row["doc_id"]) == wanted
    by_text = all_rows([part.by_text for part in found])
    assert by_text == sorted(labels, key=lambda row: (row["text_id"], row["source"]))


@pytest.mark.parametrize("parts", [1, 3, 50])
def test_distinct_texts_are_counted_once_a_source(tmp_path: Path, parts: int) -> None:
    corpus = scanned(tmp_path, CORPUS, shard_bytes=60, source=BY_FILE)
    held: dict[int, set[str]] = defaultdict(set)
    for number, text in corpus.texts.items():
        if text is not None and tokens(text):
            held[name_hash("abc"[number >> 32])].add(normalised(text))
    counted: Counter[int] = Counter()
    for part in grouped(corpus, key_ranges(parts)):
        assert read_mapped(part.by_label).schema.equals(DISTINCT)
        for row in rows_of(part.by_label):
            assert row["licence"] == 0
            counted[row["source"]] += row["texts"]
    assert counted == {source: len(texts) for source, texts in held.items()}


def test_tokens_of_a_source_are_those_of_all_its_documents(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, CORPUS, shard_bytes=60, source=BY_FILE)
    wanted = sorted(map(name_hash, ("a", "c", "none")))
    found: Counter[int] = Counter()
    for segment in corpus.segments:
        held = tokens_of_sources(segment, sources=wanted)
        assert set(held) == set(wanted)
        found.update(held)
    for name, texts in (*CORPUS.items(), ("none", [])):
        if name != "b":
            assert found[name_hash(name)] == sum(len(tokens(text or "")) for text in texts)


def test_texts_without_a_source_have_none(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, CORPUS)
    (found,) = grouped(corpus, key_ranges(1))
    names = ("source", "licence", "documents")
    assert sorted(tuple(row[name] for name in names) for row in rows_of(found.labels)) == [
        (0, 0, 2),
        (0, 0, 6),
    ]
    assert rows_of(found.by_label) == [{"source": 0, "licence": 0, "texts": found.distinct}]
    assert len(rows_of(found.repeats)) == 8


def test_raw_copies_and_copies_are_told_apart(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, CORPUS)
    rows = all_rows([part.copies for part in grouped(corpus, key_ranges(1))])
    counts = {row["doc_id"]: (row["copies"], row["raw_copies"]) for row in rows}
    assert counts == {
        doc(0, 0): (6, 3),
        doc(1, 1): (6, 3),
        doc(2, 0): (6, 3),
        doc(0, 3): (6, 2),
        doc(2, 3): (6, 2),
        doc(1, 2): (6, 1),
        doc(0, 1): (2, 2),
        doc(1, 3): (2, 2),
    }


@pytest.mark.parametrize("count", [1, 2, 10, 1000])
def test_text_planted_so_often_is_counted_so_often(tmp_path: Path, count: int) -> None:
    planted = [A] * count + [f"text {i} is the only one of its kind" for i in range(50)]
    random.Random(count).shuffle(planted)
    corpus = scanned(tmp_path, {"a": planted[:30], "b": planted[30:]}, shard_bytes=4000)
    found = grouped(corpus, key_ranges(2))
    copies = {row["text_id"]: row["copies"] for row in all_rows([part.texts for part in found])}
    assert copies.pop(oracles.text_id(A)) == count
    assert list(copies.values()) == [1] * 50
    assert [row["raw_copies"] for row in all_rows([part.copies for part in found])] == [count] * count * (
        count > 1
    )


def test_corpus_without_texts_has_empty_tables(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, ["", "?", None])
    (found,) = grouped(corpus, key_ranges(1))
    assert (found.distinct, found.collisions, all_rows([found.texts, found.copies])) == (0, 0, [])
    nothing = group_texts(
        (0, END_OF_KEYS), str(tmp_path / "none"), segments=[], places=corpus.places, epochs=ONCE
    )
    assert all_rows([nothing.texts, nothing.copies]) == []


# --- half a hash in common ------------------------------------------------------------------------

PERMUTATIONS = 8


def _segment(folder: Path, number: int, rows: list[tuple[int, int, int]]) -> Segment:
    """Write the texts of a segment by hand: (row, text_id, text_high), and the raw hash the same."""
    rows = sorted(rows, key=lambda row: row[1])
    row, low, high = (np.array(column, np.uint64) for column in zip(*rows, strict=True))
    sketch = pa.array([bytes(PERMUTATIONS)] * len(rows), pa.binary(PERMUTATIONS))
    places = np.zeros(len(rows), np.int64), row.astype(np.int64)
    n_tokens = (high % np.uint64(100)).astype(np.int64)
    labels = row % np.uint64(3), row % np.uint64(2)  # 0: none
    table = table_of(texts_schema(PERMUTATIONS), low, high, low, high, *labels, *places, n_tokens, sketch)
    write_mapped(table, folder / str(number) / "texts.arrow")
    return Segment(number, str(folder / str(number)), len(rows))


def _group(folder: Path, rows: list[list[tuple[int, int, int]]]) -> TextsResult:
    segments = [_segment(folder, number, held) for number, held in enumerate(rows)]
    file = InputFile("/a", "jsonl", 1, "")
    shards = [Shard(i, (ShardPiece(i, file, Piece("/a", "jsonl", 0, 1, 1), None),)) for i in range(len(rows))]
    places = write_places(shards, [(100,)] * len(rows), str(folder / "places"))
    return group_texts((0, END_OF_KEYS), str(folder / "out"), segments=segments, places=places, epochs=ONCE)


def test_texts_with_half_a_hash_in_common_are_counted_apart(tmp_path: Path) -> None:
    # Three texts (highs 300, 201 and 102) share the text_id 7; in the corpus 201 comes first.
    found = _group(
        tmp_path,
        [
            [(3, 5, 55), (4, 7, 201), (6, 7, 300), (8, 7, 201)],
            [(0, 7, 300), (1, 7, 102), (2, 9, 99), (5, 7, 201), (7, 9, 99)],
        ],
    )
    assert (found.distinct, found.collisions) == (5, 2)
    assert all_rows([found.texts]) == [
        {"text_id": 5, "doc_id": doc(0, 3), "copies": 1, "n_tokens": 55, "weight": MILLION},
        {"text_id": 7, "doc_id": doc(0, 4), "copies": 3, "n_tokens": 1, "weight": 3 * MILLION},
        {"text_id": 9, "doc_id": doc(1, 2), "copies": 2, "n_tokens": 99, "weight": 2 * MILLION},
    ]
    copies = [
        (row["text_id"], row["doc_id"], row["copies"], row["is_node"]) for row in all_rows([found.copies])
    ]
    assert [row[0] for row in copies] == sorted(row[0] for row in copies)
    assert sorted(copies) == [
        (7, doc(0, 4), 3, True),
        (7, doc(0, 6), 2, False),
        (7, doc(0, 8), 3, True),
        (7, doc(1, 0), 2, False),
        (7, doc(1, 5), 3, True),
        (9, doc(1, 2), 2, True),
        (9, doc(1, 7), 2, True),
    ]
    assert {row["n_tokens"] for row in all_rows([found.copies]) if not row["is_node"]} == {0}
    assert all(row["raw_copies"] == row["copies"] for row in all_rows([found.copies]))
    assert all(row["weight"] == row["copies"] * MILLION for row in all_rows([found.copies]))


def test_texts_with_half_a_hash_in_common_have_repeats_and_labels_of_their_own(tmp_path: Path) -> None:
    # The source is the number of the row modulo three, the licence modulo two, and none where that is zero.
    rows = [[(3, 7, 300), (4, 7, 201), (5, 7, 300), (7, 7, 300), (8, 7, 201)], [(1, 7, 201), (3, 7, 102)]]
    found = _group(tmp_path, rows)
    assert columns_of(read_mapped(found.repeats), *REPEATS.names) == [
        (doc(0, 3), 3),
        (doc(0, 4), 3),
        (doc(0, 5), 0),
        (doc(0, 7), 0),
        (doc(0, 8), 0),
        (doc(1, 1), 0),
    ]
    names = ("doc_id", "text_id", "source", "licence", "documents", "tokens")
    # Of the text with 300 there are three documents, of 0 tokens each; of the one with 201 three, of 1.
    wanted = [
        (doc(0, 3), 7, 0, 1, 1, 0),
        (doc(0, 3), 7, 1, 1, 1, 0),
        (doc(0, 3), 7, 2, 1, 1, 0),
        (doc(0, 4), 7, 1, 0, 1, 1),
        (doc(0, 4), 7, 1, 1, 1, 1),
        (doc(0, 4), 7, 2, 0, 1, 1),
    ]
    assert columns_of(read_mapped(found.labels), *names) == wanted
    assert sorted(columns_of(read_mapped(found.by_text), *names)) == wanted
    assert columns_of(read_mapped(found.by_label), *DISTINCT.names) == [
        (0, 1, 2),
        (1, 0, 1),
        (1, 1, 2),
        (2, 0, 1),
        (2, 1, 1),
    ]


def test_first_document_decides_which_text_is_the_node(tmp_path: Path) -> None:
    for order in ([(0, 7, 1), (1, 7, 2)], [(0, 7, 2), (1, 7, 1)]):
        found = _group(tmp_path / str(order[0][2]), [order])
        (node,) = all_rows([found.texts])
        assert (node["doc_id"], node["n_tokens"], node["copies"]) == (0, order[0][2], 1)
        assert (found.collisions, all_rows([found.copies])) == (1, [])


def test_collision_at_the_ends_of_the_keys_is_a_collision(tmp_path: Path) -> None:
    last = END_OF_KEYS - 1
    found = _group(tmp_path, [[(0, 0, 1), (1, 0, 2), (2, last, 1), (3, last, 2), (4, last, 2)]])
    assert (found.distinct, found.collisions) == (4, 2)
    assert [(row["text_id"], row["copies"]) for row in all_rows([found.texts])] == [(0, 1), (last, 1)]
    assert [row["is_node"] for row in all_rows([found.copies])] == [False, False]


def test_runs_begin_where_any_column_changes() -> None:
    one, two = np.array([1, 1, 1, 2, 2, 2]), np.array([5, 5, 6, 6, 6, 7])
    assert starts_of_runs(one, two).tolist() == [0, 2, 3, 5]
    assert starts_of_runs(one).tolist() == [0, 3]
    assert starts_of_runs(one[:0]).tolist() == []
