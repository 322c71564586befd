"""Candidate pairs: a star for every group of texts that share a band key."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.artifacts import END_OF_KEYS, key_ranges
from pipeline.normalise import normalised
from pipeline.stages import candidates as stage
from pipeline.stages.candidates import EDGES, Few, distinct_edges, propose
from tests import corpus as planted
from tests import oracles
from tests.stages.steps import PARAMETERS, Corpus, rows_of, scanned

Edge = tuple[int, int]


def _groups(corpus: Corpus) -> dict[int, set[int]]:
    """The texts that have each band key, by datasketch's signatures."""
    found = defaultdict(set)
    for text in {normalised(text) for text in corpus.texts.values() if text} - {""}:
        signature = oracles.signature(text, PARAMETERS.permutations, PARAMETERS.seed)
        for key in oracles.band_keys(signature, PARAMETERS.bands, PARAMETERS.rows):
            found[key].add(oracles.text_id(text))
    return found


def _stars(groups: dict[int, set[int]]) -> list[Edge]:
    edges = []
    for key, texts in groups.items():
        hub = min(texts, key=lambda text: oracles.mix64(text ^ key))
        edges += [(min(text, hub), max(text, hub)) for text in texts if text != hub]
    return edges


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Families of windows over three files and many shards; many texts stand in several of them."""
    rng = random.Random(3)
    texts = []
    for _ in range(6):
        words = planted.fresh(rng, 80)
        texts += [planted.window(words, start, 40) for start in range(0, 24, 3)]
    texts += [planted.text(rng, 30) for _ in range(20)] + ["short", "", "!"]
    texts += [planted.disguised(rng, text.split()) for text in texts[:20]] + texts[10:30]
    rng.shuffle(texts)
    third = len(texts) // 3
    held = {"a": texts[:third], "b": texts[third : 2 * third], "c": texts[2 * third :]}
    return scanned(tmp_path_factory.mktemp("candidates"), held, shard_bytes=3000)


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_edges_are_stars_over_the_texts_of_all_segments(corpus: Corpus, tmp_path: Path, parts: int) -> None:
    assert len(corpus.segments) > 5
    expected = _stars(_groups(corpus))
    found: list[list[Edge]] = []
    total = 0
    for i, span in enumerate(key_ranges(parts)):
        path, n = propose(span, str(tmp_path / str(i)), segments=corpus.segments)
        found.append([(row["left"], row["right"]) for row in rows_of(path)])
        total += sum(row["times"] for row in rows_of(path))
        assert n == len(found[-1])
    assert total == len(expected)
    assert {edge for edges in found for edge in edges} == set(expected)
    for edges in found:
        assert edges == sorted(set(edges))
        assert all(left < right for left, right in edges)


def test_text_that_stands_in_several_segments_is_no_candidate_of_itself(tmp_path: Path) -> None:
    text = planted.text(random.Random(1), 20)
    corpus = scanned(tmp_path, {"a": [text, text.upper()], "b": [text], "c": [text]}, shard_bytes=400)
    assert len(corpus.segments) > 2
    path, n = propose((0, END_OF_KEYS), str(tmp_path / "out"), segments=corpus.segments)
    assert (n, rows_of(path)) == (0, [])


def test_cost_of_a_large_group_is_linear(tmp_path: Path) -> None:
    # Texts that begin alike and end in a word of their own share nearly every band.
    rng, sentence = random.Random(2), "same words all over again and again here"
    texts = [f"{sentence} {' '.join(planted.fresh(rng, 1))}" for _ in range(200)]
    corpus = scanned(tmp_path, texts)
    groups = _groups(corpus)
    assert max(map(len, groups.values())) > 150
    path, n = propose((0, END_OF_KEYS), str(tmp_path / "out"), segments=corpus.segments)
    assert n <= sum(row["times"] for row in rows_of(path)) == len(_stars(groups)) <= 199 * PARAMETERS.bands
    nodes = {row[end] for row in rows_of(path) for end in ("left", "right")}
    assert nodes == {oracles.text_id(text) for text in texts}, "no member of a large group is left out"


def test_nothing_proposes_nothing(tmp_path: Path) -> None:
    path, n = propose((0, END_OF_KEYS), str(tmp_path / "out"), segments=[])
    assert (n, rows_of(path)) == (0, [])


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 5), st.integers(-2, 2)), max_size=30))
def test_equal_edges_are_merged(edges: list[tuple[int, int, int]]) -> None:
    left, right = (np.array([edge[end] for edge in edges], np.uint64) for end in (0, 1))
    one, two, times = distinct_edges(left, right, np.array([edge[2] for edge in edges], np.int64))
    sums: dict[Edge, int] = defaultdict(int)
    for first, second, count in edges:
        sums[first, second] += count
    expected = sorted((*edge, count) for edge, count in sums.items() if count)
    assert list(zip(one.tolist(), two.tolist(), times.tolist(), strict=True)) == expected
    assert one.dtype == EDGES.field("left").type.to_pandas_dtype()


UINT64 = st.integers(0, 2**64 - 1) | st.integers(0, 9) | st.integers(2**64 - 9, 2**64 - 1)


@given(st.lists(UINT64, max_size=200), st.lists(UINT64, max_size=50))
def test_places_of_values_among_a_few(values: list[int], few: list[int]) -> None:
    found = Few(np.array(few, np.uint64)).among(np.array(values, np.uint64))
    assert found.tolist() == [i for i, value in enumerate(values) if value in set(few)]


def test_values_are_found_among_many_others() -> None:
    rng = np.random.default_rng(1)
    few = rng.integers(0, 2**64, 1 << 15, np.uint64, endpoint=False)
    values = np.concatenate([few[::3], rng.integers(0, 2**64, 5000, np.uint64, endpoint=False)])
    assert Few(few).among(values).tolist() == np.flatnonzero(np.isin(values, few)).tolist()


@given(st.lists(st.tuples(st.integers(0, 4), UINT64 | st.integers(0, 3)), max_size=40), st.booleans())
def test_groups_are_of_several_texts_each_once(rows: list[tuple[int, int]], few_groups: bool) -> None:
    key, text = (np.array([row[i] for row in rows], np.uint64) for i in (0, 1))
    with pytest.MonkeyPatch.context() as patch:
        if not few_groups:
            patch.setattr(stage, "_GROUP_BITS", 1)
        found = list(zip(*(column.tolist() for column in stage._groups(key, text)), strict=True))
    members = {key: [row for row in rows if row[0] == key] for key, _ in rows}
    # A text that stands twice in a group, alone, stays: it makes no edge.
    assert found == sorted({row for group in members.values() for row in group if len(group) > 1})
