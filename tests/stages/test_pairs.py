"""Exact comparison: every reported pair, and every number beside it, is that of plain sets."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.artifacts import END_OF_KEYS
from pipeline.mapped import write_mapped
from pipeline.normalise import normalised, tokens
from pipeline.schemas import PAIRS
from pipeline.stages import components as blocks
from pipeline.stages import second_look
from pipeline.stages.comparison import COMPARED
from pipeline.stages.pairs import _merged, verify, write_pairs
from tests import corpus as planted
from tests import oracles
from tests.stages.definition import check_pair
from tests.stages.steps import (
    BY_FILE,
    NEAR,
    Compared,
    Corpus,
    all_rows,
    compared,
    filtered,
    near_duplicates,
    placed,
    placed_in_blocks,
    rows_of,
    scanned,
)

Pair = tuple[int, int]


def _firsts(corpus: Corpus) -> dict[str, int]:
    """The first document of every distinct text, by its normalised form."""
    found: dict[str, int] = {}
    for number, text in sorted(corpus.texts.items()):
        if text is not None:
            found.setdefault(normalised(text), number)
    return found


def _true_pairs(corpus: Corpus, floor: float) -> dict[Pair, float]:
    """By brute force: every pair of distinct texts at or above the floor, by first document."""
    firsts = _firsts(corpus)
    found = oracles.near_pairs(firsts, floor)
    return {(min(firsts[a], firsts[b]), max(firsts[a], firsts[b])): j for (a, b), j in found.items()}


def _pairs(rows: Iterable[dict[str, Any]]) -> dict[Pair, float]:
    return {(row["doc_a"], row["doc_b"]): row["jaccard"] for row in rows}


# --- the corpus with a repeat of every kind -------------------------------------------------------


def test_pairs_are_those_of_brute_force(audited: Compared) -> None:
    corpus = audited.placed.filtered.corpus
    rows = all_rows(audited.pairs)
    found, true = _pairs(rows), _true_pairs(corpus, NEAR.floor)
    assert set(found) <= set(true)
    assert {pair for pair, j in true.items() if j >= NEAR.threshold} <= set(found)
    assert min(found.values()) < NEAR.threshold
    for row in rows:
        check_pair(corpus, row)


def test_tables_of_pairs_are_in_order_of_their_first_document(audited: Compared) -> None:
    for path in audited.pairs:
        ends = [(row["doc_a"], row["doc_b"]) for row in rows_of(path)]
        assert ends == sorted(ends)


def test_counts_are_those_of_the_pairs(audited: Compared) -> None:
    for part in audited.verified:
        rows = rows_of(part.pairs)
        assert part.at_floor == len(rows)
        assert part.at_threshold == sum(row["jaccard"] >= NEAR.threshold for row in rows)
        assert part.compared >= part.at_floor >= part.at_threshold
        assert part.left_out == 0


# --- across blocks --------------------------------------------------------------------------------


@pytest.mark.parametrize("block_tokens", [50, 200, 1 << 22])
def test_candidates_are_compared_whatever_blocks_their_texts_are_in(
    families: Corpus, block_tokens: int
) -> None:
    there = placed_in_blocks(families, block_tokens)
    found = compared(there)
    numbers = {number for part in there.assigned for number in part.block_pairs}
    across = [number for number in numbers if number >> 32 != number & 0xFFFFFFFF]
    assert bool(across) == (block_tokens < 1 << 22)
    firsts = {oracles.text_id(text): number for text, number in _firsts(families).items()}
    edges = [row for part in there.filtered.kept for row in rows_of(part.edges)]
    proposed = {tuple(sorted((firsts[row["left"]], firsts[row["right"]]))) for row in edges}
    true = _true_pairs(families, NEAR.floor)
    rows = all_rows([part.pairs for part in found.verified])
    for row in rows:
        check_pair(families, row)
    pairs = _pairs(rows)
    assert len(pairs) == len(rows), "no pair is compared twice"
    assert set(pairs) >= proposed & set(true)
    assert set(pairs) <= set(true)
    assert sum(part.compared - part.looked_again for part in found.verified) == len(proposed)


@pytest.mark.parametrize("block_tokens", [50, 200])
def test_clusters_do_not_depend_on_the_blocks(families: Corpus, block_tokens: int) -> None:
    whole, parts = (compared(placed_in_blocks(families, size)) for size in (1 << 22, block_tokens))
    assert rows_of(parts.clusters.members) == rows_of(whole.clusters.members)
    assert rows_of(parts.clusters.totals) == rows_of(whole.clusters.totals)
    similarities = [
        sorted((row["text_id"], row["jaccard"]) for row in all_rows(found.similarities))
        for found in (whole, parts)
    ]
    assert similarities[0] == similarities[1] != []


def test_second_look_finds_a_partner_for_every_text_that_its_candidates_left_alone(
    families: Corpus, tmp_path: Path
) -> None:
    there = placed_in_blocks(families, 1 << 22)
    (pair,) = {number for part in there.assigned for number in part.block_pairs}
    edges = write_mapped(blocks.BLOCK_EDGES.empty_table(), tmp_path / "none")
    found = verify(pair, str(tmp_path / "again"), edges=[edges], sets=there.sets, near=NEAR)
    assert found.compared == found.looked_again > 0
    with_partner = {number for ends in _true_pairs(families, NEAR.threshold) for number in ends}
    assert {row["text_id"] for row in rows_of(found.best)} == {
        oracles.text_id(families.texts[number] or "") for number in with_partner
    }
    for row in rows_of(found.pairs):
        check_pair(families, row)


def test_texts_that_the_second_look_has_no_budget_for_are_counted(
    families: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = placed_in_blocks(families, 1 << 22)
    (pair,) = {number for part in there.assigned for number in part.block_pairs}
    none = write_mapped(blocks.BLOCK_EDGES.empty_table(), tmp_path / "none")
    monkeypatch.setattr(second_look, "BUDGET", 0)
    found = verify(pair, str(tmp_path / "again"), edges=[none], sets=there.sets, near=NEAR)
    texts = all_rows([part.wanted for part in there.assigned])
    # Nobody has a partner yet, so one text of each component counts as its largest cluster.
    left_out = len(texts) - len({row["root"] for row in texts})
    assert (found.compared, found.left_out, found.unsettled) == (0, left_out, left_out)
    whole = compared(there).verified
    assert sum(part.left_out + part.unsettled for part in whole) == 0


# --- what a comparison leaves ---------------------------------------------------------------------


def test_best_is_the_highest_similarity_at_the_threshold(families: Corpus) -> None:
    (found,) = compared(placed_in_blocks(families, 1 << 22)).verified
    best: dict[int, float] = {}
    for row in rows_of(found.pairs):
        if row["jaccard"] >= NEAR.threshold:
            for end in ("doc_a", "doc_b"):
                text_id = oracles.text_id(families.texts[row[end]] or "")
                best[text_id] = max(best.get(text_id, 0.0), row["jaccard"])
    assert [(row["text_id"], row["jaccard"]) for row in rows_of(found.best)] == sorted(best.items())
    assert {row["text_id"] for row in rows_of(found.nodes)} == set(best)
    for row in rows_of(found.nodes):
        text = families.texts[row["doc_id"]] or ""
        same = [t for t in families.texts.values() if t is not None and normalised(t) == normalised(text)]
        assert row["text_id"] == oracles.text_id(text)
        assert (row["copies"], row["n_tokens"]) == (len(same), len(tokens(text)))


def test_pair_exactly_at_the_floor_or_threshold_is_in(tmp_path: Path) -> None:
    # Windows of 40 shingles that lie 8 words apart share 32 of 48: two thirds.
    words = planted.fresh(random.Random(1), 60)
    texts = [planted.window(words, start, 40) for start in (0, 8)]
    there = placed(filtered(scanned(tmp_path, texts, source=BY_FILE)))
    edges, limit = [part.edges for part in there.assigned], 32 / 48
    outcomes = []
    for floor, threshold in ((limit, limit), (0.5, limit), (0.5, limit + 1e-12), (limit + 1e-12, 0.9)):
        near = NEAR.model_copy(update={"floor": floor, "threshold": threshold})
        found = verify(0, str(tmp_path / "v"), edges=edges, sets=there.sets, near=near)
        outcomes.append((found.compared, found.at_floor, found.at_threshold))
    assert outcomes == [(1, 1, 1), (1, 1, 1), (1, 1, 0), (1, 0, 0)]


def test_short_texts_are_compared_as_one_shingle(tmp_path: Path) -> None:
    texts = ["one two three", "one two three four", "one two three five", "one two three four five"]
    found = near_duplicates(tmp_path, [*texts, "ONE two three!"])
    assert (found.pairs, found.clusters.count) == ([], 0)


def test_every_comparison_is_kept_but_what_sizes_alone_rule_out(families: Corpus) -> None:
    texts = {oracles.text_id(text): text for text in families.texts.values() if text is not None}
    for block_tokens in (200, 1 << 22):
        there = placed_in_blocks(families, block_tokens)
        verified = compared(there).verified
        rows = all_rows([part.similar for part in verified])
        pairs = {frozenset((row["left"], row["right"])) for row in rows}
        assert len(pairs) == len(rows) <= sum(part.compared for part in verified)
        for row in rows:
            assert row["jaccard"] == pytest.approx(
                oracles.jaccard(texts[row["left"]], texts[row["right"]]), abs=1e-12
            )
        at_floor = all_rows([part.pairs for part in verified])
        assert sum(row["jaccard"] >= NEAR.floor for row in rows) == len(at_floor) < len(rows)
        for part in verified:
            assert [row["left"] for row in rows_of(part.similar)] == sorted(
                row["left"] for row in rows_of(part.similar)
            )


# --- the table of pairs ---------------------------------------------------------------------------


def _compared_table(pairs: list[tuple[int, int, float]], path: Path) -> str:
    rows = [
        {"doc_a": a, "doc_b": b, "jaccard": j, "containment_a": 1.0, "containment_b": j, "shared_shingles": 3}
        | {"source_a": None, "source_b": "x"}
        for a, b, j in sorted(pairs)
    ]
    return write_mapped(pa.Table.from_pylist(rows, COMPARED), path)


def test_pair_that_was_compared_twice_stands_once(tmp_path: Path) -> None:
    one = _compared_table([(1, 2, 0.9), (1, 9, 0.5), (3, 4, 0.6), (7, 8, 0.7)], tmp_path / "1")
    two = _compared_table([(1, 9, 0.5), (3, 4, 0.6), (2, 3, 0.69999)], tmp_path / "2")
    path = tmp_path / "out" / "part.parquet"
    found = write_pairs((0, END_OF_KEYS), str(path), pairs=[one, two], threshold=0.7)
    assert (found.rows, found.at_threshold) == (5, 2)
    rows = rows_of(path)
    assert [(row["doc_a"], row["doc_b"]) for row in rows] == [(1, 2), (1, 9), (2, 3), (3, 4), (7, 8)]
    assert pq.read_schema(path).equals(PAIRS.arrow_schema(), check_metadata=True)
    assert rows[2]["jaccard"] == 0.69999


def test_part_of_pairs_holds_those_whose_first_document_is_in_its_range(tmp_path: Path) -> None:
    table = _compared_table([(1, 9, 0.9), (5, 6, 0.8), (5, 9, 0.6), (6, 7, 0.8)], tmp_path / "1")
    counts = [
        write_pairs(span, str(tmp_path / f"out{span[0]}"), pairs=[table], threshold=0.7)
        for span in ((0, 5), (5, 6), (6, END_OF_KEYS))
    ]
    assert [(part.rows, part.at_threshold) for part in counts] == [(1, 1), (2, 1), (1, 1)]
    assert [(row["doc_a"], row["doc_b"]) for row in rows_of(tmp_path / "out5")] == [(5, 6), (5, 9)]


@pytest.mark.parametrize(
    ("jaccard", "hundredth"),
    [(0.5, 50), (0.29, 29), (0.57, 57), (0.5799999, 57), (2 / 3, 66), (0.99, 99), (0.999999, 99), (1.0, 99)],
)
def test_pair_is_counted_in_the_hundredth_that_it_reaches(
    tmp_path: Path, jaccard: float, hundredth: int
) -> None:
    table = _compared_table([(1, 2, jaccard), (3, 4, 0.0)], tmp_path / "1")
    found = write_pairs((0, END_OF_KEYS), str(tmp_path / "out"), pairs=[table, table], threshold=0.7)
    counts = {i: count for i, count in enumerate(found.by_hundredth) if count}
    assert (counts, len(found.by_hundredth)) == ({0: 1, hundredth: 1}, 100)


def test_no_pair_writes_no_file(tmp_path: Path) -> None:
    empty = _compared_table([], tmp_path / "1")
    for pairs in ([], [empty]):
        path = tmp_path / "out.parquet"
        found = write_pairs((0, END_OF_KEYS), str(path), pairs=pairs, threshold=0.7)
        assert (found.rows, found.at_threshold, found.by_hundredth) == (0, 0, (0,) * 100)
        assert not path.exists()


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5))).map(sorted), max_size=4))
@example([[(1, 2), (3, 4)], [(1, 1), (3, 4)], [(0, 9)]])
def test_runs_of_pairs_that_share_documents_are_merged_by_both_ends(
    runs: list[list[tuple[int, int]]],
) -> None:
    rows = [pair for run in runs for pair in run]
    a, b = (np.array([pair[end] for pair in rows], np.uint64) for end in (0, 1))
    assert _merged(a, b).tolist() == np.lexsort((b, a)).tolist()
