"""How documents are cut into the parts of output tables."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.artifacts import END_OF_KEYS
from pipeline.stages.parts import Slice, doc_ranges, first_doc
from tests.stages.steps import Corpus, doc, scanned

TEXTS: dict[str, list[str | None]] = {
    "a": ["one", None, "", "two", "three"],
    "b": [None, None],
    "c": ["four", "five", None, "six"],
}


@pytest.fixture(scope="module", params=[12, 40, 1 << 20], ids="{} bytes a shard".format)
def corpus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Files with rejected rows among others."""
    return scanned(tmp_path_factory.mktemp("parts"), TEXTS, shard_bytes=request.param)


@pytest.mark.parametrize("rows", [1, 2, 3, 6, 7, 8, 100])
def test_each_range_holds_so_many_documents_and_all_hold_every_id(corpus: Corpus, rows: int) -> None:
    ranges = doc_ranges(corpus.segments, rows, corpus.places)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == END_OF_KEYS
    assert all(one[1] == two[0] for one, two in pairwise(ranges))
    documents = [number for number, text in sorted(corpus.texts.items()) if text is not None]
    held = [[number for number in documents if low <= number < high] for low, high in ranges]
    assert held == [documents[i : i + rows] for i in range(0, len(documents), rows)]
    assert [low for low, _ in ranges[1:]] == [part[0] for part in held[1:]]


def test_first_document_of_a_part_is_that_of_its_first_slice(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, TEXTS, shard_bytes=1 << 20)
    starts = [doc(0, 0), doc(0, 2), doc(0, 3), doc(0, 4), doc(2, 0), doc(2, 1), doc(2, 3)]
    for row, number in enumerate(starts):
        assert first_doc(corpus.segments, (Slice(0, row, 1), Slice(0, 0, 1)), corpus.places) == number


def test_no_document_is_in_the_range_of_all(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, [None])
    assert doc_ranges([], 5, corpus.places) == [(0, END_OF_KEYS)]
