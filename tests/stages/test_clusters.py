"""Near clusters: the components of the verified pairs at the threshold, and what is said of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.artifacts import END_OF_KEYS, key_ranges, table_of
from pipeline.mapped import write_mapped
from pipeline.schemas import CLUSTERS
from pipeline.stages.clusters import LABELS, SIMILARITIES, TOTALS, find_clusters, write_clusters
from pipeline.stages.pairs import MEMBER_EDGES, NODES, Verified
from tests import oracles
from tests.stages import definition
from tests.stages.steps import NEAR, Written, all_rows, rows_of

Edge = tuple[int, int]


def _verified(
    folder: Path, number: int, edges: list[Edge], facts: dict[int, tuple[int, int, int, int]]
) -> Verified:
    """The outcome of a comparison by hand; facts: doc_id, block, copies and tokens of each text. The
    root of a text is a hundred more than its block."""
    folder.mkdir(exist_ok=True)
    left, right = (np.array([edge[end] for edge in edges], np.uint64) for end in (0, 1))
    nodes = sorted({end for edge in edges for end in edge}, key=lambda node: facts[node][0])
    columns = [np.array(nodes, np.uint64)]
    columns += [np.array([facts[node][i] for node in nodes], np.uint64) for i in (0, 1, 1)]
    columns[2] += np.uint64(100)
    counts = [np.array([facts[node][i] for node in nodes], np.int64) for i in (2, 3)]
    return Verified(
        "",
        write_mapped(table_of(MEMBER_EDGES, left, right), folder / f"e{number}"),
        "",
        write_mapped(table_of(NODES, *columns, *counts), folder / f"n{number}"),
        "",
        "",
        "",
        "",
        *(0,) * 6,
    )


NODE_IDS = st.sampled_from([0, 1, 2, 5, 8, 13, 2**63, 2**64 - 2, 2**64 - 1])
EDGES = st.lists(st.tuples(NODE_IDS, NODE_IDS).filter(lambda e: e[0] != e[1]), max_size=10)


@given(EDGES, EDGES, st.randoms(use_true_random=False))
@example([], [], None)
@example([(1, 2)], [(2, 5), (1, 2)], None)
def test_clusters_are_components_with_their_sums(
    tmp_path_factory: pytest.TempPathFactory, one: list[Edge], two: list[Edge], rng: Any
) -> None:
    nodes = sorted({end for edge in one + two for end in edge})
    docs = list(range(10, 10 + len(nodes)))
    if rng is not None:
        rng.shuffle(docs)
    facts = {node: (doc, doc % 3, 1 + doc % 4, doc % 50) for node, doc in zip(nodes, docs, strict=True)}
    folder = tmp_path_factory.mktemp("clusters")
    found = find_clusters(
        [_verified(folder, i, e, facts) for i, e in enumerate((one, two))], str(folder / "out")
    )
    members, totals, links = [], [], []
    for component in oracles.components(one + two):
        cluster = min(component)
        head = min(component, key=lambda node: facts[node][0])
        copies = sum(facts[node][2] for node in component)
        tokens = sum(facts[node][2] * facts[node][3] for node in component)
        totals.append((cluster, copies, len(component), tokens, facts[head][0]))
        for node in component:
            members.append(
                (node, facts[node][0], cluster, copies, len(component), facts[head][0], facts[node][2])
            )
            if node != head:
                blocks = sorted((facts[node][1], facts[head][1]))
                links.append((blocks[0] << 32 | blocks[1], head, node))
    assert [tuple(row.values()) for row in rows_of(found.members)] == sorted(members)
    assert [tuple(row.values()) for row in rows_of(found.totals)] == sorted(totals)
    assert [tuple(row.values()) for row in rows_of(found.links)] == sorted(links)
    assert found.block_pairs == tuple(sorted({pair for pair, _, _ in links}))
    assert (found.count, found.linked) == (len(totals), len(links))


def test_tokens_of_a_large_cluster_are_summed_as_integers(tmp_path: Path) -> None:
    facts = {1: (10, 0, 2**53, 1), 2: (11, 0, 1, 1), 3: (12, 0, 2, 2**40 + 1)}
    found = find_clusters([_verified(tmp_path, 0, [(1, 2), (2, 3)], facts)], str(tmp_path / "out"))
    (row,) = rows_of(found.totals)
    assert (row["documents"], row["tokens"]) == (2**53 + 3, 2**53 + 1 + 2**41 + 2)


# --- the table ------------------------------------------------------------------------------------


def _write(
    documented: Written, folder: Path, parts: int
) -> tuple[list[dict[str, Any]], list[tuple[int, int]]]:
    found = documented.compared
    counts = [
        write_clusters(
            span,
            str(folder / f"part-{i}.parquet"),
            totals=[found.clusters.totals, *(part.totals for part in found.attached)],
            similarities=[part.similarities for part in found.attached],
            labels=[result.labels for result in documented.results],
            threshold=NEAR.threshold,
        )
        for i, span in enumerate(key_ranges(parts))
    ]
    paths = [folder / f"part-{i}.parquet" for i in range(parts)]
    assert [path.exists() for path in paths] == [count > 0 for count, _ in counts]
    return all_rows([str(path) for path in paths if path.exists()]), counts


@pytest.mark.parametrize("parts", [1, 4])
def test_clusters_are_what_their_definition_says(documented: Written, tmp_path: Path, parts: int) -> None:
    rows, counts = _write(documented, tmp_path, parts)
    expected = definition.clusters(documented.compared)
    for row, definite in zip(rows, expected, strict=True):
        similar = {name: pytest.approx(definite[name], abs=1e-12) for name in ("min_jaccard", "mean_jaccard")}
        assert row == definite | similar
    assert sum(count for count, _ in counts) == len(expected)
    assert sum(chained for _, chained in counts) == sum(row["chained"] > 0 for row in expected) > 0
    assert {row["distinct_texts"] for row in rows} >= {1, 2, 3}


def test_table_carries_its_schema(documented: Written, tmp_path: Path) -> None:
    _write(documented, tmp_path, 1)
    schema = pq.read_schema(tmp_path / "part-0.parquet")
    assert schema.equals(CLUSTERS.arrow_schema(), check_metadata=True)


def _hand_written(folder: Path) -> dict[str, list[str]]:
    totals = pa.Table.from_pylist(
        [
            {"cluster_id": 3, "documents": 9, "distinct_texts": 5, "tokens": 70, "representative": 11},
            {"cluster_id": 5, "documents": 2, "distinct_texts": 1, "tokens": 8, "representative": 12},
        ],
        TOTALS,
    )
    similar = [[(3, 21, 0.9), (3, 24, 0.69)], [(3, 22, 0.7), (3, 23, 0.69)]]
    labels = [
        [(3, 7, 0, 3, 20, None), (3, 8, 0, 1, 9, "text"), (5, 0, 0, 1, 4, None)],
        [(3, 7, 1, 5, 41, None), (5, 0, 0, 1, 4, "other")],
    ]
    tables = {
        "totals": [totals],
        "similarities": [
            pa.Table.from_pylist(
                [dict(zip(SIMILARITIES.names, row, strict=True)) for row in rows], SIMILARITIES
            )
            for rows in similar
        ],
        "labels": [
            pa.Table.from_pylist([dict(zip(LABELS.names, row, strict=True)) for row in rows], LABELS)
            for rows in labels
        ],
    }
    return {
        name: [write_mapped(table, folder / f"{name}{i}") for i, table in enumerate(held)]
        for name, held in tables.items()
    }


def test_facts_of_a_cluster_come_from_all_parts(tmp_path: Path) -> None:
    tables = _hand_written(tmp_path)
    path = tmp_path / "out.parquet"
    assert write_clusters((0, END_OF_KEYS), str(path), **tables, threshold=0.7) == (2, 1)
    one, two = rows_of(path)
    assert (one["sources"], one["sample"], one["min_jaccard"], one["chained"]) == (2, "text", 0.69, 2)
    assert one["mean_jaccard"] == (0.69 + 0.69 + 0.7 + 0.9 + 1.0) / 5
    assert (two["sources"], two["sample"], two["min_jaccard"]) == (0, "other", 1.0)
    assert (two["mean_jaccard"], two["chained"]) == (1.0, 0)
    # Of two texts that are equally unlike the representative, the first.
    assert (one["least_similar"], two["least_similar"]) == (23, None)


def test_order_of_the_parts_changes_no_byte(tmp_path: Path) -> None:
    tables = _hand_written(tmp_path)
    for name, order in (("there", 1), ("back", -1)):
        turned = {table: paths[::order] for table, paths in tables.items()}
        write_clusters((0, END_OF_KEYS), str(tmp_path / name), **turned, threshold=0.7)
    assert (tmp_path / "there").read_bytes() == (tmp_path / "back").read_bytes()


def test_range_without_clusters_writes_no_file(tmp_path: Path) -> None:
    tables = _hand_written(tmp_path)
    assert write_clusters((6, 9), str(tmp_path / "none"), **tables, threshold=0.7) == (0, 0)
    assert not (tmp_path / "none").exists()
