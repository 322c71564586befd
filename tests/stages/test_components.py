"""Components of the candidate graph, and the blocks they are cut into."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.artifacts import END_OF_KEYS, KeyRange, key_ranges, table_of
from pipeline.mapped import read_mapped, write_mapped
from pipeline.stages import components as stage
from pipeline.stages.components import (
    Plan,
    block_of,
    block_pairs,
    components,
    merge_forests,
    plan,
    wanted_schema,
    write_forest,
)
from pipeline.stages.texts import TEXTS, TextsResult
from tests import corpus as planted
from tests import oracles
from tests.stages.steps import NEAR, Filtered, Placed, all_rows, filtered, placed, rows_of, scanned

Edge = tuple[int, int]
LAST = END_OF_KEYS - 1
IDS = st.integers(0, LAST) | st.sampled_from([0, 1, 2, 2**61 - 1, 2**61, 2**63 - 1, 2**63, LAST - 1, LAST])
EDGES = st.lists(st.tuples(IDS, IDS).filter(lambda edge: edge[0] != edge[1]), max_size=25)


def _ends(edges: Sequence[Edge]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    left, right = (np.array([edge[end] for edge in edges], np.uint64) for end in (0, 1))
    return left, right


def _edges(path: str) -> list[Edge]:
    return [(row["left"], row["right"]) for row in rows_of(path)]


def _partition(edges: Sequence[Edge]) -> list[list[int]]:
    return sorted(sorted(component) for component in oracles.components(edges))


# --- forests --------------------------------------------------------------------------------------


@given(EDGES)
@example([])
@example([(2**63, 1), (1, 2**63), (LAST, 0)])
def test_labels_are_the_smallest_nodes_of_components(edges: list[Edge]) -> None:
    nodes, roots, joins = components(*_ends(edges))
    assert nodes.tolist() == sorted({end for edge in edges for end in edge})
    expected = {node: component[0] for component in _partition(edges) for node in component}
    assert dict(zip(nodes.tolist(), roots.tolist(), strict=True)) == expected
    forest = [edge for edge, is_needed in zip(edges, joins.tolist(), strict=True) if is_needed]
    assert _partition(forest) == _partition(edges)
    assert len(forest) == len(nodes) - len(set(expected.values()))


def test_forests_merge_into_a_forest_of_all_edges(tmp_path: Path) -> None:
    rng = random.Random(1)
    edges = [(rng.randrange(60), 60 + rng.randrange(60)) for _ in range(90)]
    parts = [edges[:30], edges[30:60], [], edges[60:]]
    paths = [write_forest(*_ends(part), str(tmp_path / str(i))) for i, part in enumerate(parts)]
    half = merge_forests(paths[:2], str(tmp_path / "half"))
    merged = _edges(merge_forests([half, *paths[2:]], str(tmp_path / "merged")))
    assert _partition(merged) == _partition(edges)
    assert len(merged) == sum(len(component) - 1 for component in _partition(edges))
    assert set(merged) <= set(edges)
    assert _edges(merge_forests([], str(tmp_path / "none"))) == []


# --- the plan -------------------------------------------------------------------------------------


def _texts(folder: Path, tokens: dict[int, int], keys: Sequence[KeyRange]) -> list[TextsResult]:
    """Tables of distinct texts by hand: how many tokens each text_id has."""
    results = []
    for i, (low, high) in enumerate(keys):
        ids = sorted(text_id for text_id in tokens if low <= text_id < high)
        n = np.array([tokens[text_id] for text_id in ids], np.int64)
        numbers, one = np.array(ids, np.uint64), np.ones_like(n)
        table = table_of(TEXTS, numbers, numbers, one, n, one)
        path = write_mapped(table, folder / f"texts-{i}")
        results.append(TextsResult(path, "", "", "", "", "", len(ids), 0))
    return results


def _plan(folder: Path, edges: Sequence[Edge], tokens: dict[int, int], parts: int = 1) -> Plan:
    keys = key_ranges(parts)
    forests = [write_forest(*_ends(edges[i::2]), str(folder / f"forest-{i}")) for i in range(2)]
    return plan(forests, _texts(folder, tokens, keys), keys, str(folder / "plan"), sums=[], earlier=[])


def _blocks(made: Plan) -> dict[int, int]:
    labels = read_mapped(made.labels)
    node, root = (labels.column(name).to_numpy() for name in ("text_id", "root"))
    return dict(zip(node.tolist(), block_of(node, root, read_mapped(made.cuts)).tolist(), strict=True))


@given(EDGES, st.integers(1, 9), st.data())
@example([(2**61 - 1, 5), (2**61, LAST), (0, 2**62 - 1)], 8, None)
def test_labels_of_the_plan_do_not_depend_on_the_ranges(
    tmp_path_factory: pytest.TempPathFactory, edges: list[Edge], parts: int, data: st.DataObject | None
) -> None:
    nodes = sorted({end for edge in edges for end in edge})
    more = data.draw(st.sets(IDS, max_size=5)) if data else {7, 2**61 + 1}
    tokens = {text_id: 1 + i % 7 for i, text_id in enumerate(sorted({*nodes, *more}))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "BLOCK_TOKENS", 10)
        plans = [_plan(tmp_path_factory.mktemp("plan"), edges, tokens, n) for n in (1, parts)]
    labels = [[(row["text_id"], row["root"]) for row in rows_of(made.labels)] for made in plans]
    roots = {node: component[0] for component in _partition(edges) for node in component}
    assert labels[0] == labels[1] == sorted(roots.items())
    assert rows_of(plans[0].cuts) == rows_of(plans[1].cuts), "weights, so texts found in other ranges"


def _random_graph(seed: int) -> tuple[list[Edge], dict[int, int]]:
    rng = random.Random(seed)
    edges: list[Edge] = []
    tokens: dict[int, int] = {}
    for _ in range(rng.randint(1, 25)):
        nodes = [rng.getrandbits(64) for _ in range(rng.choice([2, 2, 3, 5, 40]))]
        edges += [(rng.choice(nodes[: i + 1]), node) for i, node in enumerate(nodes[1:])]
        tokens |= {node: rng.randint(1, rng.choice([5, 60])) for node in nodes}
    return edges, tokens


@pytest.mark.parametrize("seed", range(20))
def test_block_holds_whole_components_or_a_part_of_one_that_is_too_large(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "BLOCK_TOKENS", 100)
    edges, tokens = _random_graph(seed)
    blocks = _blocks(_plan(tmp_path, edges, tokens))
    weight, members = Counter[int](), defaultdict(set)
    for component in _partition(edges):
        total = sum(tokens[node] for node in component)
        used = {blocks[node] for node in component}
        assert len(used) == 1 if total <= 100 else len(used) <= -(-total // 100)
        for node in component:
            weight[blocks[node]] += tokens[node]
            members[blocks[node]].add(component[0])
        if total > 100:
            assert all(members[block] == {component[0]} for block in used), (
                "a part shares its block with no other"
            )
    whole = [w for block, w in weight.items() if len(members[block]) > 1]
    assert all(w < 200 for w in whole)
    assert max(blocks.values(), default=0) < 2**32


def test_large_component_is_spread_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "BLOCK_TOKENS", 1000)
    rng = random.Random(2)
    nodes = [rng.getrandbits(64) for _ in range(4000)]
    blocks = _blocks(_plan(tmp_path, [(nodes[0], node) for node in nodes[1:]], dict.fromkeys(nodes, 2)))
    sizes = Counter(blocks.values())
    assert len(sizes) == 8
    assert max(sizes.values()) < 1.2 * 500


def test_pair_of_blocks_is_named_by_the_smaller_first() -> None:
    one, two = np.array([3, 5, 7], np.uint64), np.array([4, 2, 7], np.uint64)
    assert block_pairs(one, two).tolist() == [3 << 32 | 4, 2 << 32 | 5, 7 << 32 | 7]


# --- assignment -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Filtered:
    """Families of 2 to 30 windows of one text, in three ranges of keys."""
    rng = random.Random(8)
    texts = []
    for size in (2, 3, 30, 2, 12, 5):
        words = planted.fresh(rng, 200)
        texts += [planted.window(words, 2 * i, 40) for i in range(size)]
    rng.shuffle(texts)
    corpus = scanned(
        tmp_path_factory.mktemp("families"), {"a": texts[:30], "b": texts[20:]}, shard_bytes=9000
    )
    return filtered(corpus)


def _kept(found: Filtered) -> list[Edge]:
    return [(row["left"], row["right"]) for part in found.kept for row in rows_of(part.edges)]


@pytest.mark.parametrize("block_tokens", [1, 60, 300, 1 << 22])
def test_edge_lies_in_the_one_pair_of_blocks_that_holds_both_ends(
    families: Filtered, block_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "BLOCK_TOKENS", block_tokens)
    there: Placed = placed(families)
    wanted = all_rows([part.wanted for part in there.assigned])
    blocks = {row["text_id"]: row["block"] for row in wanted}
    assert len(blocks) == len(wanted) == sum(part.texts for part in there.assigned)
    assert set(blocks) == {end for edge in _kept(families) for end in edge}
    found = []
    for part in there.assigned:
        rows = rows_of(part.edges)
        names = [row["blocks"] for row in rows]
        assert names == sorted(names)
        assert part.block_pairs == tuple(sorted(set(names)))
        for row in rows:
            ends = sorted((blocks[row["left"]], blocks[row["right"]]))
            assert row["blocks"] == ends[0] << 32 | ends[1]
        found += [(row["left"], row["right"]) for row in rows]
    assert sorted(found) == sorted(_kept(families))
    if block_tokens == 1 << 22:
        assert set(blocks.values()) == {0}
    else:
        assert len(set(blocks.values())) > 3


def test_wanted_texts_are_those_of_the_documents_they_are_read_from(families: Filtered) -> None:
    there, texts = placed(families), families.corpus.texts
    roots = {node: component[0] for component in _partition(_kept(families)) for node in component}
    for part in there.assigned:
        assert read_mapped(part.wanted).schema.equals(wanted_schema(NEAR.permutations))
        rows = rows_of(part.wanted)
        assert [row["doc_id"] for row in rows] == sorted(row["doc_id"] for row in rows)
        for row in rows:
            text = texts[row["doc_id"]] or ""
            same = [number for number, other in texts.items() if other == text]
            assert row["text_id"] == oracles.text_id(text)
            assert (row["doc_id"], row["copies"]) == (min(same), len(same))
            assert row["n_tokens"] == len(text.split())
            assert row["root"] == roots[row["text_id"]]
            assert list(row["sketch"]) == oracles.sketch(
                oracles.signature(text, NEAR.permutations, NEAR.seed)
            )


def test_corpus_without_edges_wants_nothing(tmp_path: Path) -> None:
    there = placed(filtered(scanned(tmp_path, ["one text", "another text", "", "a third one of its own"])))
    assert all_rows([part.wanted for part in there.assigned] + [part.edges for part in there.assigned]) == []
    assert (there.sets, [part.block_pairs for part in there.assigned]) == ([], [()] * 3)
