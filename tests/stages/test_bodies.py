"""Texts kept beside what was scanned of them, and read one by one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ArtifactError
from pipeline.readers import formats
from pipeline.stages import bodies, scan
from pipeline.stages.bodies import BODIES, bodies_of, read_bodies, read_shard
from pipeline.stages.places import Places
from tests import corpus as planted
from tests import oracles
from tests.stages.passage_steps import PASSAGE_PARAMETERS, passaged, survived
from tests.stages.steps import BY_FILE, Corpus, all_rows, doc, scanned, table_at
from tests.stages.test_passages import texts

KEEPING = replace(PASSAGE_PARAMETERS, keep_texts=True)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    """A corpus with a repeat of every kind, its texts kept in row groups of one or two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies, "_GROUP_BYTES", 400)
        folder = tmp_path_factory.mktemp("bodies")
        yield scanned(folder, texts(), parameters=KEEPING, source=BY_FILE, shard_bytes=2000)


def _firsts(corpus: Corpus, segment: Any) -> dict[int, str]:
    """The documents of a segment whose texts are kept: of those with a token the first of each."""
    places, table = Places(corpus.places), table_at(f"{segment.path}/documents.arrow")
    columns = (table.column(name).to_numpy() for name in ("piece", "row"))
    found: dict[int, str] = {}
    for number in places.doc_ids(segment.shard, *columns).tolist():
        text = corpus.texts[number] or ""
        if oracles.text_id(text) not in map(oracles.text_id, found.values()) and text.strip():
            found[number] = text
    return found


def test_first_of_equal_texts_of_a_segment_is_kept(kept: Corpus) -> None:
    assert len(kept.segments) > 2
    for segment in kept.segments:
        path = bodies_of(segment.path)
        wanted = _firsts(kept, segment)
        table = table_at(path)
        assert table.schema.equals(BODIES)
        assert table.column("text").to_pylist() == [text.encode() for text in wanted.values()]
        assert set(table.column("source").to_pylist()) <= set("abcde")
        places = table.column("place").to_pylist()
        assert places == sorted(set(places))


@given(st.data())
def test_texts_are_read_in_any_number_from_any_groups(kept: Corpus, data: st.DataObject) -> None:
    segment = data.draw(st.sampled_from(kept.segments))
    firsts = _firsts(kept, segment)
    wanted = sorted(data.draw(st.sets(st.sampled_from(sorted(firsts)))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies, "_READ_BYTES", data.draw(st.sampled_from([1, 700, 1 << 20])))
        parts = list(
            read_bodies(
                bodies_of(segment.path), segment.shard, Places(kept.places), np.array(wanted, np.uint64)
            )
        )
    assert [i for at, _ in parts for i in at.tolist()] == list(range(len(wanted)))
    read = [text for _, table in parts for text in table.column("text").to_pylist()]
    assert read == [firsts[number].encode() for number in wanted]


def test_texts_of_a_shard_are_read_from_the_files_of_its_segments(tmp_path: Path) -> None:
    rng = random.Random(6)
    every = [planted.text(rng, 12) for _ in range(5)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "SEGMENT_ROWS", 3)
        patch.setattr(scan, "BATCH_BYTES", 1)
        patch.setattr(scan, "read", lambda piece, columns: formats.read(piece, columns, 1))
        corpus = scanned(
            tmp_path, {"a": [every[0], every[1], None, every[0]], "b": every}, parameters=KEEPING
        )
    assert len(corpus.segments) > 2
    paths = [bodies_of(segment.path) for segment in corpus.segments]
    kept = [table_at(path).column("text").to_pylist() for path in paths]
    assert all(len(of_segment) == len(set(of_segment)) for of_segment in kept)
    # Of copies in several segments each has one, in its first document there.
    for wanted in ([0, 1], [1, doc(1, 4)], [doc(1, 2)], [], [0, doc(1, 0), doc(1, 2), doc(1, 3), doc(1, 4)]):
        parts = list(read_shard(paths, 0, Places(corpus.places), np.array(wanted, np.uint64)))
        read = [text for _, table in parts for text in table.column("text").to_pylist()]
        assert read == [(corpus.texts[number] or "").encode() for number in wanted]
        assert [i for at, _ in parts for i in at.tolist()] == list(range(len(wanted)))
    for wanted in ([2], [0, doc(1, 99)], [doc(7, 0)]):
        with pytest.raises(ArtifactError, match="not those of its scans"):
            list(read_shard(paths, 0, Places(corpus.places), np.array(wanted, np.uint64)))


@pytest.mark.parametrize("missing", [[doc(0, 1)], [doc(0, 0), doc(0, 3)], [doc(0, 999)]])
def test_text_that_was_not_kept_is_told(kept: Corpus, missing: list[int]) -> None:
    segment = kept.segments[0]
    assert not set(missing) <= _firsts(kept, segment).keys()
    with pytest.raises(ArtifactError, match="not those of its scans"):
        list(
            read_bodies(
                bodies_of(segment.path), segment.shard, Places(kept.places), np.array(missing, np.uint64)
            )
        )


def test_passages_of_kept_texts_are_those_of_the_files_which_nobody_reads(
    tmp_path: Path, kept: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = scanned(
        tmp_path / "plain", texts(), parameters=PASSAGE_PARAMETERS, source=BY_FILE, shard_bytes=2000
    )
    wanted = passaged(survived(plain))

    def refused(*_: object) -> None:
        raise AssertionError("a file was read")

    monkeypatch.setattr("pipeline.stages.stretches.read_again", refused)
    found = passaged(survived(replace(kept, folder=tmp_path / "kept")))
    assert all_rows(found.outputs) == all_rows(wanted.outputs)
    assert all_rows(found.span_outputs) == all_rows(wanted.span_outputs)


def test_large_text_between_small_ones_is_a_group_of_its_own(tmp_path: Path) -> None:
    rng = random.Random(2)
    large = planted.text(rng, 60_000)
    corpus = scanned(tmp_path, {"a": [planted.text(rng, 9), large, planted.text(rng, 9)]}, parameters=KEEPING)
    (segment,) = corpus.segments
    ((_, table),) = read_bodies(
        bodies_of(segment.path), segment.shard, Places(corpus.places), np.array([1], np.uint64)
    )
    assert table.column("text").to_pylist() == [large.encode()]


def test_nothing_is_kept_unless_asked_for(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, ["a b c"], parameters=PASSAGE_PARAMETERS)
    assert [bodies_of(segment.path) for segment in corpus.segments] == [""]
