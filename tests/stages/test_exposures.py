"""Exposures of texts in near clusters, against their definition, however texts are divided."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.artifacts import key_ranges, uint64
from pipeline.mapped import read_mapped, write_mapped
from pipeline.stages.clusters import MEMBERS
from pipeline.stages.comparison import SIMILAR
from pipeline.stages.exposures import EXPOSED, LINKS, expose, gather, nodes_schema
from pipeline.stages.pairs import BEST
from pipeline.stages.scan import Segment, texts_schema
from pipeline.stages.texts import TEXTS, TextsResult
from tests import oracles
from tests.exposure_oracle import WORTH, worth
from tests.stages.steps import all_rows, rows_of

PERMUTATIONS, MILLION = 16, 1_000_000
MOST = "pipeline.stages.exposures.MOST_TEXTS"
Pair = frozenset[int]


class Text(NamedTuple):
    """A text of a cluster; jaccard: to the representative, which has 1."""

    text_id: int
    weight: int
    jaccard: float
    sketch: bytes


class Near(NamedTuple):
    """Clusters, the representative of each first, and compared pairs of texts of any of them."""

    clusters: list[list[Text]]
    alone: list[int]
    similar: dict[tuple[int, int], float]


IDS = st.integers(0, 40) | st.integers(0, 2**64 - 1)
JACCARDS = st.sampled_from([0.0, 0.25, 0.5, 0.7, 0.999, 1.0]) | st.floats(0, 1)


@st.composite
def near(draw: st.DrawFn) -> Near:
    """Clusters of two to six texts, and texts of none; pairs inside a cluster and between two."""
    sizes = draw(st.lists(st.integers(2, 6), max_size=4))
    ids = draw(st.lists(IDS, unique=True, min_size=sum(sizes), max_size=sum(sizes) + 3))
    generator = random.Random(draw(st.integers(0, 2**32)))
    texts = [
        Text(
            text_id,
            draw(st.integers(0, 5 * MILLION)),
            draw(JACCARDS),
            bytes(generator.choices(b"xyz", k=PERMUTATIONS)),
        )
        for text_id in ids
    ]
    clusters, at = [], 0
    for size in sizes:
        head, *rest = texts[at : at + size]
        clusters.append([head._replace(jaccard=1.0), *rest])
        at += size
    every = [(one, two) for one in ids for two in ids if one != two]
    pairs = draw(st.lists(st.sampled_from(every), max_size=12)) if every else []
    once = {frozenset(pair): pair for pair in pairs}.values()
    heads = {
        frozenset((held[0].text_id, text.text_id)): text.jaccard for held in clusters for text in held[1:]
    }
    similar = {pair: heads.get(frozenset(pair), draw(JACCARDS)) for pair in once}
    return Near(clusters, ids[at:], similar)


def _defined(held: Near, most: int) -> dict[int, tuple[float, ...]]:
    """Exposures, their lowest and their highest, and whether they go by the representative."""
    found = {}
    for cluster in held.clusters:
        for text in cluster:
            total = [0.0, 0.0, 0.0]
            for other in cluster:
                for i, column in enumerate(WORTH):
                    share = (
                        1.0
                        if other == text
                        else worth(_similarity(held, cluster, text, other, most), column, 5)
                    )
                    total[i] += other.weight * share / MILLION
            found[text.text_id] = (*total, len(cluster) > most)
    return found


def _similarity(held: Near, cluster: list[Text], one: Text, two: Text, most: int) -> float:
    if len(cluster) > most:
        return min(one.jaccard, two.jaccard)
    for head, other in ((one, two), (two, one)):
        if head == cluster[0]:
            return other.jaccard
    for pair in ((one.text_id, two.text_id), (two.text_id, one.text_id)):
        if pair in held.similar:
            return held.similar[pair]
    equal = sum(a == b for a, b in zip(one.sketch, two.sketch, strict=True))
    return oracles.estimated(equal, PERMUTATIONS)


def _table(schema: pa.Schema, rows: list[tuple[Any, ...]], path: Path, key: str) -> str:
    ordered = sorted(rows, key=lambda row: row[schema.names.index(key)])
    table = pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in ordered], schema)
    return write_mapped(table, path)


class Tables(NamedTuple):
    """The same as the files that the stage reads, each divided into some."""

    members: str
    similarities: list[str]
    similar: list[str]
    segments: list[Segment]
    texts: str


def _written(held: Near, folder: Path, files: int) -> Tables:
    texts = [text for cluster in held.clusters for text in cluster]
    doc_ids = {text.text_id: i for i, text in enumerate(texts)}
    members, similarities, links = [], [], []
    for cluster in held.clusters:
        known = (
            min(text.text_id for text in cluster),
            len(cluster),
            len(cluster),
            doc_ids[cluster[0].text_id],
            1,
        )
        members += [(text.text_id, doc_ids[text.text_id], *known) for text in cluster]
        similarities += [(text.text_id, text.jaccard) for text in cluster[1:]]
        links += [(cluster[0].text_id, text.text_id, text.jaccard) for text in cluster[1:]]
    similar = [*((*pair, jaccard) for pair, jaccard in held.similar.items()), *links]
    rest = [Text(text_id, 9 * MILLION, 1.0, bytes(PERMUTATIONS)) for text_id in held.alone]
    known_texts = [(each.text_id, 0, 1, 1, each.weight) for each in [*texts, *rest]]
    sketches = [(each.text_id, *(0,) * 8, each.sketch) for each in [*texts, *rest]]
    for number in range(files):
        path = folder / f"segment-{number}" / "texts.arrow"
        _table(texts_schema(PERMUTATIONS), sketches[number::files], path, "text_id")

    def cut(schema: pa.Schema, rows: list[tuple[Any, ...]], name: str, key: str) -> list[str]:
        return [_table(schema, rows[i::files], folder / f"{name}-{i}", key) for i in range(files)]

    return Tables(
        _table(MEMBERS, members, folder / "members", "text_id"),
        cut(BEST, similarities, "similarities", "text_id"),
        cut(SIMILAR, similar, "similar", "left"),
        [Segment(number, str(folder / f"segment-{number}"), 0) for number in range(files)],
        _table(TEXTS, known_texts, folder / "texts", "text_id"),
    )


def _exposed(tables: Tables, folder: Path, parts: tuple[int, int], most: int = 2000) -> list[str]:
    """The stage, in some ranges of texts and some of clusters."""
    texts = TextsResult(tables.texts, "", "", "", "", "", 0, 0)
    shared: dict[str, Any] = {"segments": tables.segments, "permutations": PERMUTATIONS}
    shared |= {"members": tables.members, "similarities": tables.similarities, "similar": tables.similar}
    with patch(MOST, most):
        gathered = [
            gather(span, texts, str(folder / f"g{parts[0]}-{i}"), **shared)
            for i, span in enumerate(key_ranges(parts[0]))
        ]
    for part in gathered:
        nodes, links = read_mapped(part.nodes), read_mapped(part.links)
        assert nodes.schema.names[:4] == nodes_schema(PERMUTATIONS).names[:4]
        assert links.schema.equals(LINKS)
        assert part.texts == len(nodes)
        for table in (nodes, links):
            assert uint64(table, "key").tolist() == sorted(uint64(table, "key").tolist())
    found = [
        expose(
            span,
            str(folder / f"e{parts}-{i}"),
            gathered=gathered,
            permutations=PERMUTATIONS,
            shingle_tokens=5,
        )
        for i, span in enumerate(key_ranges(parts[1]))
    ]
    for path, by_representative in found:
        assert read_mapped(path).schema.equals(EXPOSED)
        rows = rows_of(path)
        assert [row["text_id"] for row in rows] == sorted(row["text_id"] for row in rows)
        assert by_representative == sum(row["exposures_by_representative"] for row in rows)
    return [path for path, _ in found]


def _by_text(paths: list[str]) -> dict[int, tuple[Any, ...]]:
    rows = [tuple(row.values()) for row in all_rows(paths)]
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row[1:] for row in rows}


@given(
    near(), st.integers(1, 3), st.sampled_from([1, 3, 2000]), st.tuples(st.integers(1, 4), st.integers(1, 4))
)
@settings(max_examples=60)
def test_exposures_are_what_their_definition_says(
    held: Near, files: int, most: int, parts: tuple[int, int]
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        found = _by_text(_exposed(_written(held, folder, files), folder, parts, most))
    wanted = _defined(held, most)
    assert set(found) == set(wanted)
    for cluster in held.clusters:
        for text in cluster:
            jaccard, *exposures, by_representative = found[text.text_id]
            *defined, large = wanted[text.text_id]
            assert (jaccard, by_representative) == (text.jaccard, large)
            assert exposures == pytest.approx(defined, abs=0.6e-6, rel=0)
            assert exposures == [round(value, 6) for value in exposures]


@given(near(), st.integers(2, 3), st.sampled_from([3, 2000]), st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_no_bit_depends_on_ranges_and_the_order_of_files(
    held: Near, files: int, most: int, rng: random.Random
) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        tables = _written(held, folder, files)
        turned = tables._replace(
            similarities=rng.sample(tables.similarities, files),
            similar=rng.sample(tables.similar, files),
            segments=rng.sample(tables.segments, files),
        )
        whole = _by_text(_exposed(tables, folder, (1, 1), most))
        assert _by_text(_exposed(turned, folder, (3, 4), most)) == whole


def _cluster(*jaccards: float, first: int = 10) -> list[Text]:
    return [
        Text(first + i, MILLION, jaccard, bytes([i % 256]) * PERMUTATIONS)
        for i, jaccard in enumerate((1.0, *jaccards))
    ]


def _of(tmp_path: Path, held: Near, most: int = 2000) -> dict[int, tuple[Any, ...]]:
    return _by_text(_exposed(_written(held, tmp_path, 1), tmp_path, (1, 1), most))


def test_link_between_two_clusters_is_left_out(tmp_path: Path) -> None:
    # Of pairs under the threshold, too, it is known how alike they are.
    clusters = [_cluster(0.9, first=10), _cluster(0.9, first=20)]
    without = _of(tmp_path / "a", Near(clusters, [30], {}))
    similar = {(10, 20): 1.0, (21, 11): 1.0, (10, 30): 1.0, (30, 21): 1.0}
    assert _of(tmp_path / "b", Near(clusters, [30], similar)) == without
    assert set(without) == {10, 11, 20, 21}


def test_texts_nobody_compared_count_by_their_sketches(tmp_path: Path) -> None:
    # No byte of the sketches agrees, so that the estimate is below 0 and counts as 0. With the
    # representative every text was compared.
    found = _of(tmp_path / "a", Near([_cluster(1.0, 1.0)], [], {}))
    assert {text_id: row[1] for text_id, row in found.items()} == {10: 3.0, 11: 2.0, 12: 2.0}
    found = _of(tmp_path / "b", Near([_cluster(1.0, 1.0)], [], {(12, 11): 1.0}))
    assert {text_id: row[1] for text_id, row in found.items()} == {10: 3.0, 11: 3.0, 12: 3.0}


def test_as_many_equal_places_as_chance_gives_count_as_none(tmp_path: Path) -> None:
    # Of 16 places one agrees by chance once in 16 pairs, two once in 550.
    for equal, exposures in ((1, 2.0), (2, 2.0 + worth((2 / 16 - 1 / 256) / (1 - 1 / 256), "exposures", 5))):
        head, one, two = _cluster(1.0, 1.0)
        two = two._replace(sketch=one.sketch[:equal] + bytes([9]) * (PERMUTATIONS - equal))
        found = _of(tmp_path / str(equal), Near([[head, one, two]], [], {}))
        assert found[11][1] == found[12][1] == pytest.approx(exposures, abs=1e-6)


def test_large_cluster_goes_by_its_representative_by_hand(tmp_path: Path) -> None:
    held = Near([_cluster(0.9, 0.5)], [], {(11, 12): 1.0})
    found = _of(tmp_path, held, most=2)
    high, low = worth(0.9, "exposures", 5), worth(0.5, "exposures", 5)
    assert {text_id: row[1] for text_id, row in found.items()} == pytest.approx(
        {10: 1 + high + low, 11: 1 + high + low, 12: 1 + 2 * low}, abs=1e-6
    )
    assert all(row[-1] for row in found.values())
    assert not any(row[-1] for row in _of(tmp_path / "small", held, most=3).values())


def test_weights_of_a_large_cluster_add_up_without_rounding(tmp_path: Path) -> None:
    # Exact copies of the representative in all but name: everyone has everyone's weight.
    cluster = [text._replace(weight=10**12) for text in _cluster(*[1.0] * 2500)]
    found = _of(tmp_path, Near([cluster], [], {}))
    assert {row[1:] for row in found.values()} == {(2.501e9, 2.501e9, 2.501e9, True)}


def test_no_cluster_has_no_exposures(tmp_path: Path) -> None:
    paths = _exposed(_written(Near([], [7], {}), tmp_path, 1), tmp_path, (2, 2))
    assert all_rows(paths) == []
    assert np.array([len(rows_of(path)) for path in paths]).tolist() == [0, 0]
