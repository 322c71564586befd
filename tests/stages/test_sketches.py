"""The sketch filter: what two sketches estimate, and which pairs go for it."""

from __future__ import annotations

import math
import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import xxhash
from datasketch import MinHash
from numpy.typing import NDArray

from pipeline.artifacts import KeyRange, key_ranges, table_of
from pipeline.mapped import write_mapped
from pipeline.normalise import shingles
from pipeline.sketching import estimated, least_agreeing, least_estimate
from pipeline.stages import sketches as stage
from pipeline.stages.candidates import EDGES
from pipeline.stages.sketches import Survivors, attach_left, estimates, filter_right
from tests import corpus as planted
from tests import oracles
from tests.stages.steps import PARAMETERS, Corpus, all_rows, rows_of, scanned

Edge = tuple[int, int]


def _sketch(text: str, permutations: int = PARAMETERS.permutations) -> list[int]:
    return oracles.sketch(oracles.signature(text, permutations, PARAMETERS.seed))


def _matrix(sketches: list[list[int]], permutations: int) -> NDArray[np.uint8]:
    return np.array(sketches, np.uint8).reshape(len(sketches), permutations)


def _datasketch(one: str, two: str, permutations: int) -> float:
    signatures = []
    for text in (one, two):
        sketch = MinHash(permutations, PARAMETERS.seed, scheme="affine32", hashfunc=xxhash.xxh32_intdigest)
        for shingle in shingles(text):
            sketch.update(shingle.encode())
        signatures.append(sketch)
    return float(signatures[0].jaccard(signatures[1]))


# --- estimates ------------------------------------------------------------------------------------


def _families(seed: int, n: int) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    pairs = []
    for _ in range(n):
        words = planted.fresh(rng, 84)
        pairs.append((planted.window(words, 0, 40), planted.window(words, rng.randint(0, 40), 40)))
    return pairs


@pytest.mark.parametrize("permutations", [64, 128, 256])
def test_estimate_is_that_of_datasketch_but_for_the_chance_of_one_byte(permutations: int) -> None:
    pairs = _families(permutations, 150)
    one, two = (_matrix([_sketch(pair[end], permutations) for pair in pairs], permutations) for end in (0, 1))
    found = estimates(one, two)
    reference = np.array([_datasketch(*pair, permutations) for pair in pairs])
    # Of unequal values about one in 256 agrees in its byte; more than 4 of 256 are rare.
    assert np.all(found - reference >= -1 / 255)
    assert np.all(found - reference <= 4 / permutations + 1e-9)
    assert abs(float(np.mean(found - reference))) < 0.002


def test_estimate_is_right_on_average() -> None:
    pairs = _families(9, 300)
    true = np.array([len(shingles(a) & shingles(b)) / len(shingles(a) | shingles(b)) for a, b in pairs])
    one, two = (_matrix([_sketch(pair[end]) for pair in pairs], 64) for end in (0, 1))
    errors = estimates(one, two) - true
    assert abs(float(np.mean(errors))) < 0.01
    standard = np.sqrt(true * (1 - true) / 64 + 0.001)
    assert float(np.mean(np.abs(errors) < 3 * standard)) > 0.99


def test_estimate_is_the_share_of_equal_bytes_less_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_COMPARED_AT_ONCE", 2)
    one = np.zeros((5, 8), np.uint8)
    two = np.array([[0] * n + [1] * (8 - n) for n in (8, 7, 4, 1, 0)], np.uint8)
    expected = [(n / 8 - 1 / 256) / (255 / 256) for n in (8, 7, 4, 1, 0)]
    assert estimates(one, two).tolist() == pytest.approx(expected, abs=1e-15)
    assert estimates(one, two)[0] == 1.0
    assert estimates(one[:0], two[:0]).tolist() == []


def test_estimate_of_texts_without_a_shingle_in_common_is_about_nothing() -> None:
    rng = random.Random(1)
    sketches = _matrix([_sketch(planted.text(rng, 30)) for _ in range(40)], 64)
    assert abs(float(np.mean(estimates(sketches[:20], sketches[20:])))) < 0.02


# --- the limit ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "permutations", "least"),
    [
        (0.5, 128, 0.5 - 1.5 / math.sqrt(128)),
        (0.5, 64, 0.3125),
        (0.9, 100, 0.81),
        (1.0, 128, 1.0),
        (0.1, 9, -0.2),
    ],
)
def test_limit_lies_three_standard_errors_under_the_floor(
    limit: float, permutations: int, least: float
) -> None:
    assert least_estimate(limit, permutations) == pytest.approx(least)


@pytest.mark.parametrize("limit", [0.05, 0.3, 0.5, 0.7, 0.9, 1.0])
@pytest.mark.parametrize("permutations", [8, 64, 128, 200])
def test_limit_as_a_number_of_bytes_is_the_same_limit(limit: float, permutations: int) -> None:
    places = np.arange(permutations + 1)
    enough = estimated(places, permutations) >= least_estimate(limit, permutations) - 1e-12
    assert np.flatnonzero(enough)[0] == least_agreeing(limit, permutations)


def test_pair_at_the_floor_is_hardly_ever_lost() -> None:
    # With bytes drawn as two texts of similarity 0.5 have them.
    rng = np.random.default_rng(1)
    agree = rng.random((200_000, 128)) < 0.5 + 0.5 / 256
    lost = estimated(agree.sum(axis=1), 128) < least_estimate(0.5, 128)
    assert 0.0001 < float(np.mean(lost)) < 0.002
    agree = rng.random((200_000, 128)) < 0.7 + 0.3 / 256
    assert not np.any(estimated(agree.sum(axis=1), 128) < least_estimate(0.5, 128))


# --- the two joins --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Windows of every distance, some of them in several files; no text is in all of them."""
    rng = random.Random(5)
    words = planted.fresh(rng, 200)
    texts = [planted.window(words, start, 40) for start in range(0, 80, 3)]
    held = {"a": [*texts[:15], "", "one two"], "b": texts[10:20], "c": [*texts[5:12], *texts[20:], ""]}
    return scanned(tmp_path_factory.mktemp("sketches"), held, shard_bytes=4000)


def _filtered(
    corpus: Corpus, edges: list[Edge], keys: list[KeyRange], folder: Path, floor: float
) -> list[Survivors]:
    # Every candidate twice, in two files, as different bands propose the same pair.
    candidates = []
    for name in ("one", "two"):
        left, right = (np.array([edge[end] for edge in sorted(edges)], np.uint64) for end in (0, 1))
        candidates.append(
            write_mapped(table_of(EDGES, left, right, np.ones(len(left), np.int64)), folder / name)
        )
    half = [
        attach_left(
            span, str(folder / f"h{i}"), segments=corpus.segments, candidates=candidates, permutations=64
        )
        for i, span in enumerate(keys)
    ]
    return [
        filter_right(
            span,
            str(folder / f"k{i}"),
            segments=corpus.segments,
            half_joined=half,
            floor=floor,
            permutations=64,
        )
        for i, span in enumerate(keys)
    ]


@pytest.mark.parametrize("parts", [1, 2, 9])
@pytest.mark.parametrize("floor", [0.3, 0.5, 0.9])
def test_pair_is_kept_if_its_estimate_reaches_the_limit(
    corpus: Corpus, tmp_path: Path, parts: int, floor: float
) -> None:
    assert len(corpus.segments) > 3
    texts = {oracles.text_id(text): text for text in corpus.texts.values() if text}
    edges = list(combinations(sorted(texts), 2))
    sketches = {text_id: _sketch(text) for text_id, text in texts.items()}
    expected = set()
    for one, two in edges:
        agreeing = sum(a == b for a, b in zip(sketches[one], sketches[two], strict=True))
        if (agreeing / 64 - 1 / 256) / (1 - 1 / 256) >= floor - 3 * math.sqrt(floor * (1 - floor) / 64):
            expected.add((one, two))
    assert 0 < len(expected) < len(edges)
    keys = key_ranges(parts)
    found = _filtered(corpus, edges, keys, tmp_path, floor)
    kept = [(row["left"], row["right"]) for row in all_rows([part.edges for part in found])]
    assert sorted(kept) == sorted(expected)
    assert (sum(part.compared for part in found), sum(part.kept for part in found)) == (
        len(edges),
        len(expected),
    )
    for part, (low, high) in zip(found, keys, strict=True):
        rights = [row["right"] for row in rows_of(part.edges)]
        assert rights == sorted(rights)
        assert all(low <= right < high for right in rights)


def test_forest_joins_what_the_kept_pairs_join(corpus: Corpus, tmp_path: Path) -> None:
    texts = sorted(oracles.text_id(text) for text in corpus.texts.values() if text)
    (found,) = _filtered(corpus, list(combinations(sorted(set(texts)), 2)), key_ranges(1), tmp_path, 0.5)
    kept = [(row["left"], row["right"]) for row in rows_of(found.edges)]
    forest = [(row["left"], row["right"]) for row in rows_of(found.forest)]
    assert set(forest) <= set(kept)
    whole = oracles.components(kept)
    assert sorted(map(sorted, oracles.components(forest))) == sorted(map(sorted, whole))
    assert len(forest) == sum(len(component) - 1 for component in whole) < len(kept)


def test_no_candidate_leaves_no_pair(corpus: Corpus, tmp_path: Path) -> None:
    for found in _filtered(corpus, [], key_ranges(2), tmp_path, 0.5):
        assert (found.compared, found.kept, rows_of(found.edges), rows_of(found.forest)) == (0, 0, [], [])
