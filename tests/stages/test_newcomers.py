"""Candidates of a corpus that grew: what its new texts change, and all else taken over."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.artifacts import END_OF_KEYS, key_ranges, table_of
from pipeline.mapped import write_mapped
from pipeline.stages.candidates import EDGES, among, propose
from pipeline.stages.newcomers import TEXT_IDS, Newcomers, find_newcomers
from pipeline.stages.sketches import PROPOSED, Survivors, attach_left, filter_right
from tests import corpus as planted
from tests.stages.steps import NEAR, Corpus, all_rows, grouped, rows_of, scanned

IDS = st.sets(st.integers(0, END_OF_KEYS - 1) | st.integers(0, 9), max_size=20)


def _pool() -> list[str]:
    rng = random.Random(11)
    words = planted.fresh(rng, 120)
    windows = [planted.window(words, start, 40) for start in range(0, 60, 2)]
    return [*windows, *(planted.text(rng, 30) for _ in range(5)), "", "one two"]


POOL = _pool()


def _ids(values: Sequence[int] | set[int]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return np.array(sorted(values), np.uint64)


@given(IDS, IDS)
def test_values_among_a_few_are_found(values: set[int], few: set[int]) -> None:
    found = among(_ids(values), _ids(few))
    assert found.tolist() == [value in few for value in sorted(values)]


@given(IDS, IDS, st.integers(1, 3))
def test_newcomers_are_the_texts_that_were_not_there(here: set[int], had: set[int], parts: int) -> None:
    with TemporaryDirectory() as folder:
        texts = write_mapped(table_of(TEXT_IDS, _ids(here)), f"{folder}/here")
        earlier = [
            write_mapped(table_of(TEXT_IDS, _ids(half)), f"{folder}/had-{i}")
            for i, half in enumerate((sorted(had)[::2], sorted(had)[1::2]))
        ]
        found = [
            find_newcomers(span, SimpleNamespace(texts=texts), f"{folder}/{i}", earlier=earlier)  # type: ignore[arg-type]
            for i, span in enumerate(key_ranges(parts))
        ]
        assert [row["text_id"] for row in all_rows([part.texts for part in found])] == sorted(here)
        assert [row["text_id"] for row in all_rows([part.new for part in found])] == sorted(here - had)
        assert sum(part.gone for part in found) == len(had - here)


def _proposed(
    corpus: Corpus, parts: int, had: Sequence[Newcomers] = (), earlier: Sequence[Survivors] = ()
) -> tuple[list[Newcomers], list[Survivors], int]:
    """The texts of a corpus and their candidates, in ranges, and how many edges had to be joined."""
    keys, work = key_ranges(parts), corpus.folder / f"parts-{parts}-{len(earlier)}"
    shared: dict[str, Any] = {"segments": corpus.segments, "permutations": NEAR.permutations}
    newcomers = [
        find_newcomers(span, texts, str(work / f"n{i}"), earlier=[part.texts for part in had])
        for i, (span, texts) in enumerate(zip(keys, grouped(corpus, keys), strict=True))
    ]
    new = [part.new for part in newcomers] if had else None
    found = [
        propose(span, str(work / f"c{i}"), segments=corpus.segments, new=new) for i, span in enumerate(keys)
    ]
    candidates = [path for path, _ in found]
    half = [
        attach_left(span, str(work / f"h{i}"), candidates=candidates, **shared) for i, span in enumerate(keys)
    ]
    kept = [
        filter_right(
            span,
            str(work / f"k{i}"),
            half_joined=half,
            floor=NEAR.floor,
            earlier=[part.proposed for part in earlier],
            **shared,
        )
        for i, span in enumerate(keys)
    ]
    return newcomers, kept, sum(n for _, n in found)


def _tables(kept: Sequence[Survivors]) -> list[list[dict[str, Any]]]:
    return [
        all_rows([getattr(part, name) for part in kept]) for name in ("proposed", "edges", "sums", "forest")
    ]


def _grown(folder: Path, first: Sequence[int], more: Sequence[int], parts: tuple[int, int]) -> int:
    """Audit the candidates of some texts, then of more; how many edges the second had to join."""
    texts = [[POOL[i] for i in rows] for rows in (first, more)]
    one = scanned(folder / "one", {"a": texts[0]}, shard_bytes=3000)
    two = scanned(folder / "two", {"0": texts[1], "a": texts[0]}, shard_bytes=3000)
    had, before, _ = _proposed(one, parts[0])
    newcomers, found, joined = _proposed(two, parts[1], had, before)
    _, expected, _ = _proposed(two, parts[1])
    assert _tables(found) == _tables(expected)
    for name in ("star_edges", "compared", "kept"):
        assert [getattr(part, name) for part in found] == [getattr(part, name) for part in expected]
    assert sum(part.gone for part in newcomers) == 0
    return joined


ROWS = st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=25)


@settings(max_examples=25)
@given(ROWS, ROWS, st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_candidates_of_a_corpus_that_grew_are_those_of_a_first_run(
    first: list[int], more: list[int], parts: tuple[int, int]
) -> None:
    with TemporaryDirectory() as folder:
        _grown(Path(folder), first, more, parts)


def test_a_text_that_was_there_changes_no_candidate(tmp_path: Path) -> None:
    assert _grown(tmp_path, range(30), [3, 4, 4, 35, 36], (2, 3)) == 0


def test_new_hubs_take_edges_back(tmp_path: Path) -> None:
    # Enough of them that some are hubs.
    one = scanned(tmp_path / "one", {"a": POOL[:30:2]})
    two = scanned(tmp_path / "two", {"a": POOL[:30]})
    had, before, _ = _proposed(one, 1)
    _, found, _ = _proposed(two, 1, had, before)
    pairs = [{(row["left"], row["right"]) for row in rows_of(kept[0].proposed)} for kept in (before, found)]
    assert pairs[0] - pairs[1]
    assert pairs[1] - pairs[0]
    assert 0 < found[0].known < found[0].compared


@pytest.mark.parametrize("times", [-1, 1])
def test_a_known_verdict_stands_until_its_last_group_is_gone(tmp_path: Path, times: int) -> None:
    # Sketches are not asked again: here they would say that two texts of one are not near.
    corpus = scanned(tmp_path, [POOL[0], POOL[1]])
    left, right = _ids({row["text_id"] for row in all_rows([f"{corpus.segments[0].path}/texts.arrow"])})
    ends = np.array([left]), np.array([right])
    one, span = np.ones(1, np.int64), (0, END_OF_KEYS)
    before = table_of(PROPOSED, *ends[::-1], one, np.zeros(1, np.bool_))
    earlier = [write_mapped(before, tmp_path / "before")]
    candidates = [write_mapped(table_of(EDGES, *ends, times * one), tmp_path / "edges")]
    shared: dict[str, Any] = {"segments": corpus.segments, "permutations": NEAR.permutations}
    half = [attach_left(span, str(tmp_path / "half"), candidates=candidates, **shared)]
    found = filter_right(
        span, str(tmp_path / "kept"), half_joined=half, floor=NEAR.floor, earlier=earlier, **shared
    )
    expected = [(int(right), int(left), 2, False)] if times > 0 else []
    assert [tuple(row.values()) for row in rows_of(found.proposed)] == expected
    assert (found.kept, found.compared, found.star_edges) == (0, len(expected), 2 * len(expected))
    assert isinstance(before, pa.Table)
