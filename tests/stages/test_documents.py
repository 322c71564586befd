"""The documents table: every row of the scan with what was found out about it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.artifacts import END_OF_KEYS, table_of
from pipeline.label_hashes import name_hash
from pipeline.mapped import write_mapped
from pipeline.mixture import MILLION
from pipeline.recall import detection
from pipeline.schemas import DOCUMENTS
from pipeline.stages.clusters import MEMBERS
from pipeline.stages.documents import FOUND, Rules, attach, write_documents
from pipeline.stages.exposures import EXPOSED
from pipeline.stages.pairs import BEST
from pipeline.stages.parts import Slice, first_doc, slices
from pipeline.stages.spans import REPEATING
from pipeline.stages.texts import COPIES
from tests.stages import definition
from tests.stages.steps import (
    NEAR,
    ONCE,
    Compared,
    Written,
    all_rows,
    doc,
    near_duplicates,
    rows_of,
    scanned,
    write_inputs,
    written,
)

# --- slices ---------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 20), max_size=12), st.integers(1, 25))
@example([], 1)
@example([0, 0], 3)
@example([5, 0, 5], 5)
def test_parts_hold_every_row_once_and_are_full_but_for_the_last(counts: list[int], part_rows: int) -> None:
    parts = list(slices(counts, part_rows))
    rows = [(piece.item, piece.first + i) for part in parts for piece in part for i in range(piece.rows)]
    assert rows == [(item, row) for item, count in enumerate(counts) for row in range(count)]
    sizes = [sum(piece.rows for piece in part) for part in parts]
    assert sizes == [part_rows] * (len(rows) // part_rows) + [len(rows) % part_rows] * bool(
        len(rows) % part_rows
    )
    assert all(piece.rows > 0 for part in parts for piece in part)


def test_parts_do_not_depend_on_where_items_end() -> None:
    for counts in ([10], [3, 7], [1] * 10, [0, 4, 6, 0]):
        assert [sum(piece.rows for piece in part) for part in slices(counts, 4)] == [4, 4, 2]


# --- the table ------------------------------------------------------------------------------------


def test_documents_are_what_their_definition_says(documented: Written) -> None:
    found = all_rows(documented.outputs)
    expected = definition.documents(documented.compared)
    assert len(found) == len(expected)
    for row, definite in zip(found, expected, strict=True):
        similarity = definite["jaccard_to_representative"]
        approximate = None if similarity is None else pytest.approx(similarity, abs=1e-12)
        assert row == definite | {"jaccard_to_representative": approximate}
    assert {row["status"] for row in found} == {"ok", "short", "empty"}
    assert any(row["chained"] for row in found)
    assert any(row["raw_copies"] < row["copies"] < row["near_copies"] for row in found)


@pytest.mark.parametrize("part_rows", [1, 7, 1000])
def test_documents_do_not_depend_on_their_parts(documented: Written, part_rows: int) -> None:
    other = written(documented.compared, part_rows)
    assert all_rows(other.outputs) == all_rows(documented.outputs)
    assert len(other.outputs) == -(-len(all_rows(other.outputs)) // part_rows)


def test_parts_carry_the_schema_and_say_their_rows(documented: Written) -> None:
    for output, result in zip(documented.outputs, documented.results, strict=True):
        assert pq.read_schema(output).equals(DOCUMENTS.arrow_schema(), check_metadata=True)
        assert result.rows == len(rows_of(output))


def test_first_document_of_a_part_is_its_smallest(documented: Written) -> None:
    corpus = documented.compared.placed.filtered.corpus
    for part, output in zip(documented.parts, documented.outputs, strict=True):
        assert first_doc(corpus.segments, part, corpus.places) == rows_of(output, ["doc_id"])[0]["doc_id"]


def test_one_document_of_a_cluster_is_kept(documented: Written) -> None:
    found = all_rows(documented.outputs)
    for cluster in {row["cluster_id"] for row in found} - {None}:
        kept = [row["doc_id"] for row in found if row["cluster_id"] == cluster and row["keep"]]
        assert kept == [min(row["doc_id"] for row in found if row["cluster_id"] == cluster)]
    assert all(row["keep"] for row in found if row["cluster_id"] is None)


def test_labels_name_the_sources_of_clusters_and_one_sample(documented: Written) -> None:
    rows = all_rows([result.labels for result in documented.results])
    found = all_rows(documented.outputs)
    counts: Counter[tuple[int, int]] = Counter()
    n_tokens: Counter[tuple[int, int]] = Counter()
    for row in found:
        if row["cluster_id"] is not None:
            key = row["cluster_id"], name_hash(row["source"])
            counts[key] += 1
            n_tokens[key] += row["n_tokens"]
    for summed, name in ((counts, "documents"), (n_tokens, "tokens")):
        of_parts: Counter[tuple[int, int]] = Counter()
        for row in rows:
            of_parts[row["cluster_id"], row["source"]] += row[name]
        assert of_parts == summed
    assert {row["licence"] for row in rows} == {0}
    texts = documented.compared.placed.filtered.corpus.texts
    samples = {(row["cluster_id"], row["sample"]) for row in rows if row["sample"] is not None}
    assert samples == {
        (row["cluster_id"], (texts[row["doc_id"]] or "")[:200])
        for row in found
        if row["cluster_id"] is not None and row["keep"]
    }
    for result in documented.results:
        keys = [row["cluster_id"] for row in rows_of(result.labels)]
        assert keys == sorted(keys)


def test_corpus_of_one_document_is_that_document(tmp_path: Path) -> None:
    found = written(near_duplicates(tmp_path, {"a": [None], "b": ["alone"], "c": []}))
    (row,) = all_rows(found.outputs)
    assert (row["doc_id"], row["uri"]) == (doc(1, 0), str(tmp_path / "in" / "b.jsonl"))
    assert (row["keep"], row["cluster_id"], row["representative"]) == (True, None, doc(1, 0))


# --- attach ---------------------------------------------------------------------------------------


def test_attached_tables_are_those_of_documents_that_repeat(audited: Compared) -> None:
    expected = [row for row in definition.documents(audited) if row["cluster_id"] is not None]
    found = all_rows([part.found for part in audited.attached])
    assert {row["doc_id"] for row in found} == {row["doc_id"] for row in expected}
    assert len(found) == len(expected) == sum(part.documents for part in audited.attached)
    for part in audited.attached:
        for path, key in (
            (part.found, "doc_id"),
            (part.totals, "cluster_id"),
            (part.similarities, "cluster_id"),
        ):
            keys = [row[key] for row in rows_of(path)]
            assert keys == sorted(keys)


def test_sizes_are_given_for_clusters_of_exact_copies_alone(audited: Compared) -> None:
    exact = [group for group in definition.groups(audited) if len(group) == 1]
    totals = all_rows([part.totals for part in audited.attached])
    assert len(totals) == len(exact) == sum(part.exact_clusters for part in audited.attached) > 0
    rows = {row["cluster_id"]: row for row in definition.clusters(audited)}
    names = ("documents", "distinct_texts", "tokens", "representative")
    for row in totals:
        assert {name: row[name] for name in names} == {name: rows[row["cluster_id"]][name] for name in names}


def test_recall_counts_texts_with_a_partner_at_their_best_similarity(audited: Compared) -> None:
    best: dict[int, float] = {}
    for row in all_rows([part.best for part in audited.verified]):
        best[row["text_id"]] = max(best.get(row["text_id"], 0.0), row["jaccard"])
    p = detection(np.array(sorted(best.values())), *NEAR.banding)
    assert sum(part.recall.found for part in audited.attached) == len(best)
    missed = sum(part.recall.missed for part in audited.attached)
    # Each is rounded, so that the sum does not depend on the ranges.
    assert missed == pytest.approx(float(np.sum((1 - p) / p)), rel=0, abs=len(best) * 2.0**-31)


def _table(schema: pa.Schema, rows: list[tuple[Any, ...]], path: Path, key: str) -> str:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(list(column), field.type) for column, field in zip(columns, schema, strict=True)]
    return write_mapped(table_of(schema, *arrays), path)


CLUSTER = (5, 2, 2, 1, 1)  # of the members below: cluster_id, documents, texts, representative, copies


def _exposed(folder: Path, *text_ids: int) -> str:
    """The first is the representative, the second three quarters like it."""
    rows = [
        (text_id, jaccard, 1.5, 1.0, 2.0, False)
        for text_id, jaccard in zip(text_ids, (1.0, 0.75), strict=True)
    ]
    return _table(EXPOSED, rows, folder / "exposed", "text_id")


def test_text_that_shares_half_a_hash_with_a_node_keeps_its_exact_counts_only(tmp_path: Path) -> None:
    # Text 7 is a node of cluster 5 and occurs once; another text with that id occurs three times.
    others = [(7, 20 + i, 3, raw, 9, 6_500_000, False) for i, raw in enumerate((3, 1, 2))]
    # Of text 9 the node occurs twice and so does the other, whose first document comes later.
    repeated = [*others, (8, 30, 2, 2, 4, 0, True), (8, 31, 2, 2, 4, 0, True)]
    repeated += [
        (9, 40, 2, 2, 4, 2 * MILLION, True),
        (9, 41, 2, 2, 4, 5 * MILLION, False),
        (9, 42, 2, 2, 4, 5 * MILLION, False),
        (9, 43, 2, 2, 4, 2 * MILLION, True),
    ]
    copies = _table(COPIES, repeated, tmp_path / "copies", "text_id")
    members = _table(MEMBERS, [(5, 1, *CLUSTER), (7, 10, *CLUSTER)], tmp_path / "members", "text_id")
    similar = _table(BEST, [(7, 0.75)], tmp_path / "similar", "text_id")
    known = [(5, 1.0, 1.5, 1.25, 1.75, True), (7, 0.75, 2.5, 2.25, 2.75, True)]
    found = attach(
        (0, END_OF_KEYS),
        copies,
        str(tmp_path / "out"),
        members=members,
        exposed=[_table(EXPOSED, known, tmp_path / "exposed", "text_id")],
        best=[similar],
        repeating=[],
        banding=(16, 4),
    )
    rows = {row["doc_id"]: tuple(row[name] for name in FOUND.names[1:7]) for row in rows_of(found.found)}
    assert rows == {
        1: (1, 1, 2, 5, 1, 1.0),
        10: (1, 1, 2, 5, 1, 0.75),
        20: (3, 3, 3, None, 20, None),
        21: (3, 1, 3, None, 20, None),
        22: (3, 2, 3, None, 20, None),
        30: (2, 2, 2, 8, 30, 1.0),
        31: (2, 2, 2, 8, 30, 1.0),
        40: (2, 2, 2, 9, 40, 1.0),
        41: (2, 2, 2, None, 41, None),
        42: (2, 2, 2, None, 41, None),
        43: (2, 2, 2, 9, 40, 1.0),
    }
    shown = {row["doc_id"]: tuple(row[name] for name in FOUND.names[-4:]) for row in rows_of(found.found)}
    assert shown == {
        1: (1.5, 1.25, 1.75, True),
        10: (2.5, 2.25, 2.75, True),
        **dict.fromkeys((20, 21, 22), (6.5, 6.5, 6.5, None)),
        **dict.fromkeys((30, 31), (0.0, 0.0, 0.0, None)),
        **dict.fromkeys((40, 43), (2.0, 2.0, 2.0, None)),
        **dict.fromkeys((41, 42), (5.0, 5.0, 5.0, None)),
    }
    assert rows_of(found.totals) == [
        {"cluster_id": 8, "documents": 2, "distinct_texts": 1, "tokens": 8, "representative": 30},
        {"cluster_id": 9, "documents": 2, "distinct_texts": 1, "tokens": 8, "representative": 40},
    ]
    assert rows_of(found.similarities) == [{"cluster_id": 5, "doc_id": 10, "jaccard": 0.75}]
    assert (found.exact_clusters, found.documents, found.recall.found) == (2, 11, 1)


def test_document_of_another_range_is_left_to_its_range(tmp_path: Path) -> None:
    copies = _table(
        COPIES, [(7, n, 2, 2, 9, MILLION, True) for n in (20, 21)], tmp_path / "copies", "text_id"
    )
    members = _table(MEMBERS, [(5, 1, *CLUSTER), (9, 10, *CLUSTER)], tmp_path / "members", "text_id")
    similar = _table(BEST, [(9, 0.75)], tmp_path / "similar", "text_id")
    shared: dict[str, Any] = {
        "members": members,
        "exposed": [_exposed(tmp_path, 5, 9)],
        "best": [similar],
        "repeating": [],
        "banding": (16, 4),
    }
    spans = ((0, 6), (6, 9), (9, END_OF_KEYS))
    found = [attach(span, copies, str(tmp_path / str(i)), **shared) for i, span in enumerate(spans)]
    assert [[row["doc_id"] for row in rows_of(part.found)] for part in found] == [[1], [20, 21], [10]]
    assert [part.recall.found for part in found] == [0, 0, 1]


def test_passages_are_told_of_every_document_with_the_text(tmp_path: Path) -> None:
    # Text 7 has two documents and shares its id with another that has two, 8 a near copy; 9 is alone.
    repeated = [
        (7, 20, 2, 2, 9, MILLION, True),
        (7, 21, 2, 1, 9, MILLION, True),
        (7, 30, 2, 2, 9, MILLION, False),
        (7, 31, 2, 1, 9, MILLION, False),
    ]
    copies = _table(COPIES, repeated, tmp_path / "copies", "text_id")
    members = _table(MEMBERS, [(5, 1, *CLUSTER), (8, 10, *CLUSTER)], tmp_path / "members", "text_id")
    similar = _table(BEST, [(8, 0.75)], tmp_path / "similar", "text_id")
    texts = [(7, 20, 4, 3), (7, 30, 5, 6), (8, 10, 6, 2), (9, 40, 7, 2), (11, 50, 1, 2)]
    repeating = [
        _table(REPEATING, part, tmp_path / str(len(part)), "text_id") for part in (texts[:3], texts[3:])
    ]
    found = attach(
        (6, 10),
        copies,
        str(tmp_path / "out"),
        members=members,
        exposed=[_exposed(tmp_path, 5, 8)],
        best=[similar],
        repeating=repeating,
        banding=(16, 4),
    )
    rows = rows_of(found.found)
    assert [row["doc_id"] for row in rows] == [10, 20, 21, 30, 31, 40]
    names = ("copies", "repeated_tokens", "passage_max_occurrences")
    assert [tuple(row[name] for name in names) for row in rows] == [
        (1, 6, 2),
        (2, 4, 3),
        (2, 4, 3),
        (2, 5, 6),
        (2, 5, 6),
        (None, 7, 2),
    ]


@pytest.mark.parametrize("looked_for", [True, False])
def test_document_without_a_passage_has_none_or_nothing_is_known_of_it(
    tmp_path: Path, looked_for: bool
) -> None:
    corpus = scanned(tmp_path, ["one two three four", "five", ""])
    rows = [(0, None, None, None, None, None, None, 3, 7, None, None, None, None)]
    result = write_documents(
        (Slice(0, 0, 3),),
        str(tmp_path / "out.parquet"),
        str(tmp_path / "d"),
        segments=corpus.segments,
        found=[_table(FOUND, rows, tmp_path / "found", "doc_id")] if looked_for else [],
        places=corpus.places,
        inputs=write_inputs(corpus, tmp_path / "inputs.parquet"),
        rules=Rules(0.7, looked_for, ONCE),
    )
    names = ("copies", "repeated_tokens", "repeated_fraction", "passage_max_occurrences")
    found = [tuple(row[name] for name in names) for row in rows_of(tmp_path / "out.parquet")]
    nothing = [(1, None, None, None)] * 3
    assert found == ([(1, 3, 0.75, 7), (1, 0, 0.0, 1), (1, 0, 0.0, 1)] if looked_for else nothing)
    grains = {
        row["copies"]: row["documents"] for row in rows_of(result.by_copies) if row["grain"] == "passage"
    }
    assert grains == ({7: 1, 1: 2} if looked_for else {})
    (source,) = rows_of(result.by_source)
    assert (source["passage_documents"], source["passage_tokens"]) == ((1, 3) if looked_for else (0, 0))


def test_slice_of_a_segment_is_written_by_itself(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, [f"text number {i}" for i in range(6)])
    write_documents(
        (Slice(0, 2, 3),),
        str(tmp_path / "out.parquet"),
        str(tmp_path / "d"),
        segments=corpus.segments,
        found=[],
        places=corpus.places,
        inputs=write_inputs(corpus, tmp_path / "inputs.parquet"),
        rules=Rules(0.7, False, ONCE),
    )
    assert [row["row"] for row in rows_of(tmp_path / "out.parquet")] == [2, 3, 4]


def test_member_at_the_threshold_is_not_chained(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, ["one", "two", "three"])
    similar = (1.0, 0.7, 0.69999)
    rows = [
        (doc, 1, 1, 3, 5, 0, jaccard, None, None, 1.0, 1.0, 1.0, False) for doc, jaccard in enumerate(similar)
    ]
    found = _table(FOUND, rows, tmp_path / "found", "doc_id")
    write_documents(
        (Slice(0, 0, 3),),
        str(tmp_path / "out.parquet"),
        str(tmp_path / "d"),
        segments=corpus.segments,
        found=[found],
        places=corpus.places,
        inputs=write_inputs(corpus, tmp_path / "inputs.parquet"),
        rules=Rules(0.7, False, ONCE),
    )
    flags = [(row["chained"], row["keep"]) for row in rows_of(tmp_path / "out.parquet")]
    assert flags == [(False, True), (False, False), (True, False)]
