"""Components that an earlier run compared: not read, not compared, and yet with their documents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from pipeline.artifacts import END_OF_KEYS
from pipeline.readers.rows import Columns
from pipeline.stages.components import NO_BLOCK
from pipeline.stages.inputs import list_files
from pipeline.stages.known import NAMED, read_named
from pipeline.stages.known_sets import ShardTexts, find_sets
from pipeline.stages.places import write_places
from pipeline.stages.scan import scan
from tests.audits import write_rows
from tests.stages.steps import (
    BY_FILE,
    PARAMETERS,
    Corpus,
    Placed,
    all_rows,
    cut,
    filtered,
    placed,
    rows_of,
)

FACTS = ("doc_id", "text_id", "root", "copies", "n_tokens", "source")


def _again(corpus: Corpus) -> tuple[Placed, Placed]:
    """A corpus placed, and once more by a run that is given the units of the first."""
    found = filtered(corpus)
    first = placed(found)
    with patch("pipeline.stages.components.KNOWN_A_RANGE", 3):
        return first, placed(found, [first.plan.units], "again")


def _named(corpus: Corpus, there: Placed, folder: Path) -> list[str]:
    found = []
    for shard in corpus.shards:
        segments = tuple(segment for segment in corpus.segments if segment.shard == shard.number)
        asked = ShardTexts(shard, segments, (), str(folder / f"known-{shard.number}"))
        found.append(
            find_sets(
                [asked],
                asked.path,
                places=corpus.places,
                wanted=[],
                known=[part.known for part in there.assigned],
                parameters=corpus.parameters,
            )
        )
    assert [(part.sets, part.read) for part in found] == [((), 0)] * len(found)
    return [path for part in found for path in part.named]


def _facts(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(tuple(row[name] for name in FACTS) for row in rows)


def test_known_texts_have_what_a_second_read_would_give_them(families: Corpus, tmp_path: Path) -> None:
    first, again = _again(families)
    assert again.sets == []
    assert all_rows([part.wanted for part in again.assigned] + [part.edges for part in again.assigned]) == []
    named = _named(families, again, tmp_path)
    assert _facts(all_rows(named)) == _facts(all_rows(first.sets)) != []
    for path in named:
        roots = [row["root"] for row in rows_of(path)]
        assert roots == sorted(roots) != []
    texts = sum(part.texts for part in first.assigned)
    assert sum(part.known_texts for part in again.assigned) == texts


@pytest.mark.parametrize("column", [True, False])
def test_sources_are_those_of_a_second_read(tmp_path: Path, column: bool) -> None:
    words = [f"w{i}" for i in range(60)]
    texts = [" ".join(words[i : i + 40]) for i in (0, 1, 3, 3)]
    for name, sources in (("a", ["x", None]), ("b", ["", "\u202e<script>"])):
        rows = ({"text": texts.pop(), "site": source} for source in sources)
        write_rows(tmp_path / "in" / f"{name}.jsonl", rows)
    parameters = replace(PARAMETERS, columns=Columns(source="site" if column else None))
    files = list_files([str(tmp_path / "in")], "jsonl").files
    shards = cut(files, 1 << 20, BY_FILE)
    results = tuple(scan(shard, parameters, str(tmp_path / "scan"), False) for shard in shards)
    places = write_places(shards, [result.piece_rows for result in results], str(tmp_path / "places"))
    segments = tuple(segment for result in results for segment in result.segments)
    corpus = Corpus(tmp_path, files, shards, results, segments, places, parameters, {})
    first, again = _again(corpus)
    found = _facts(all_rows(_named(corpus, again, tmp_path)))
    assert found == _facts(all_rows(first.sets))
    assert {row[-1] for row in found} == ({"x", "", "\u202e<script>"} if column else {"a", "b"})


def test_ranges_of_roots_hold_every_known_text_once(families: Corpus, tmp_path: Path) -> None:
    _, again = _again(families)
    named = _named(families, again, tmp_path)
    spans = again.plan.known
    assert len(spans) > 2
    assert (spans[0][0], spans[-1][1]) == (0, END_OF_KEYS)
    assert [span[0] for span in spans[1:]] == [span[1] for span in spans[:-1]]
    tables = [read_named(named, span) for span in spans]
    assert all(len(table) for table in tables)
    rows = [row for table in tables for row in table.to_pylist()]
    assert _facts(rows) == _facts(all_rows(named))
    assert {row["block"] for row in rows} == {NO_BLOCK}
    for table in tables:
        ids = table.column("text_id").to_pylist()
        assert ids == sorted(ids)
        assert set(table.column_names) == {*NAMED.names, "block"}


def test_nothing_is_known_of_a_first_run(families: Corpus, tmp_path: Path) -> None:
    first = placed(filtered(families))
    assert first.plan.known == ()
    assert sum(part.known_texts for part in first.assigned) == 0
    assert _named(families, first, tmp_path) == []
