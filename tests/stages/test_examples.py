"""Texts of the largest and loosest clusters: which are chosen, and that they are read as they stand."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.artifacts import write_output
from pipeline.errors import InputChangedError
from pipeline.mapped import read_mapped, write_mapped
from pipeline.readers.rows import Columns
from pipeline.schemas import CLUSTERS, EXAMPLES
from pipeline.stages import examples as stage
from pipeline.stages import sets
from pipeline.stages.examples import (
    CHOSEN,
    TEXTS,
    choose_examples,
    read_examples,
    shards_of,
    write_examples,
)
from pipeline.stages.inputs import list_files
from pipeline.stages.places import write_places
from pipeline.stages.scan import scan
from tests.stages.steps import PARAMETERS, Corpus, columns_of, cut, doc, rows_of, scanned

Row = dict[str, Any]

# --- which are chosen -----------------------------------------------------------------------------


def _clusters(rows: Sequence[Row], folder: Path, parts: int = 1) -> str:
    """The clusters table, in parts; rows: what matters of each cluster."""
    rest = {"distinct_texts": 2, "sources": 0, "mean_jaccard": 1.0, "sample": "..."}
    ordered = [rest | row for row in sorted(rows, key=lambda row: int(row["cluster_id"]))]
    size = -(-len(ordered) // parts) or 1
    for i in range(parts):
        table = pa.Table.from_pylist(ordered[size * i : size * (i + 1)], CLUSTERS.arrow_schema())
        write_output(CLUSTERS, table, folder / "clusters" / f"part-{i:05d}.parquet")
    return str(folder / "clusters")


def _cluster(cluster_id: int, documents: int, tokens: int, chained: int = 0, alike: bool = False) -> Row:
    return {
        "cluster_id": cluster_id,
        "documents": documents,
        "tokens": tokens,
        "chained": chained,
        "min_jaccard": 1.0 if alike else 0.5,
        "representative": 2 * cluster_id,
        "least_similar": None if alike else 2 * cluster_id + 1,
    }


def _defined(rows: Sequence[Row]) -> list[tuple[int, int, float]]:
    def size(row: Row) -> tuple[int, int, int]:
        return -row["documents"], -row["tokens"], row["cluster_id"]

    largest = sorted(rows, key=size)[:12]
    loosest = sorted((row for row in rows if row["chained"]), key=lambda row: (-row["chained"], *size(row)))[
        :6
    ]
    chosen = {row["cluster_id"]: row for row in [*largest, *loosest]}
    heads = [(number, row["representative"], 1.0) for number, row in chosen.items()]
    others = [(number, row["least_similar"], row["min_jaccard"]) for number, row in chosen.items()]
    return sorted(row for row in [*heads, *others] if row[1] is not None)


CLUSTER = st.builds(
    _cluster,
    st.integers(0, 2**62),
    st.integers(2, 4),
    st.integers(0, 2),
    st.sampled_from([0, 0, 1, 2, 9]),
    st.booleans(),
)


@given(st.lists(CLUSTER, unique_by=lambda row: row["cluster_id"], max_size=40), st.integers(1, 3))
@settings(max_examples=60)
def test_largest_and_loosest_clusters_are_chosen(rows: list[Row], parts: int) -> None:
    with TemporaryDirectory() as folder:
        path, doc_ids = choose_examples(_clusters(rows, Path(folder), parts), f"{folder}/chosen")
        table = read_mapped(path)
        assert table.schema.equals(CHOSEN)
        assert columns_of(table, *CHOSEN.names) == _defined(rows)
        assert list(doc_ids) == sorted(number for _, number, _ in _defined(rows))


def test_of_equal_clusters_the_first_is_chosen(tmp_path: Path) -> None:
    rows = [_cluster(number, 2, 5, alike=True) for number in range(30)]
    _, doc_ids = choose_examples(_clusters(rows, tmp_path), str(tmp_path / "chosen"))
    assert doc_ids == tuple(range(0, 24, 2))
    rows = [_cluster(number, 2, 5, chained=1) for number in range(30, 60)]
    rows += [_cluster(number, 9, 9, alike=True) for number in range(12)]
    _, doc_ids = choose_examples(_clusters(rows, tmp_path / "b"), str(tmp_path / "chosen"))
    assert doc_ids == (*range(0, 24, 2), *range(60, 72))


# --- which are read -------------------------------------------------------------------------------


def _written(corpus: Corpus, doc_ids: Sequence[int], folder: Path, earlier: Sequence[str] = ()) -> list[str]:
    return [
        read_examples(
            shard,
            str(folder / f"read-{shard.number}"),
            doc_ids=doc_ids,
            places=corpus.places,
            parameters=corpus.parameters,
            earlier=earlier,
        )
        for shard in shards_of(doc_ids, corpus.shards, corpus.places)
    ]


def _of_paths(paths: Sequence[str]) -> list[Row]:
    return sorted((row for path in paths for row in rows_of(path)), key=lambda row: int(row["doc_id"]))


def _read(corpus: Corpus, doc_ids: Sequence[int], folder: Path) -> list[Row]:
    paths = _written(corpus, doc_ids, folder)
    assert all(read_mapped(path).schema.equals(TEXTS) for path in paths)
    assert all(rows_of(path) for path in paths)
    return _of_paths(paths)


FILES: Mapping[str, Sequence[str | None]] = {
    "a": [f"text {i} in a" for i in range(9)],
    "b": [],
    "c": [None, "first in c", "", "last in c"],
    "d": ["only in d"],
}


@pytest.mark.parametrize("shard_bytes", [1, 60, 1 << 20])
def test_documents_are_read_where_they_stand(tmp_path: Path, shard_bytes: int) -> None:
    corpus = scanned(tmp_path, FILES, shard_bytes=shard_bytes)
    readable = [number for number, text in corpus.texts.items() if text is not None]
    rng = random.Random(shard_bytes)
    for doc_ids in (readable, readable[-1:], [doc(0, 0)], sorted(rng.sample(readable, 4))):
        rows = _read(corpus, doc_ids, tmp_path)
        assert [(row["doc_id"], row["text"]) for row in rows] == [(n, corpus.texts[n]) for n in doc_ids]
        for row in rows:
            assert row["uri"] == corpus.files[row["doc_id"] >> 32].uri
            assert row["n_bytes"] == len((corpus.texts[row["doc_id"]] or "").encode())
            assert (row["id"], row["source"]) == (None, None)


def test_only_shards_with_a_document_are_read(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, FILES, shard_bytes=1)
    assert len(corpus.shards) > 5
    for number in (doc(0, 0), doc(0, 8), doc(3, 0)):
        (shard,) = shards_of([number], corpus.shards, corpus.places)
        assert {piece.file_id for piece in shard.pieces} >= {number >> 32}
    assert shards_of([], corpus.shards, corpus.places) == []
    assert shards_of([doc(7, 0)], corpus.shards, corpus.places) == []


def test_other_documents_are_not_looked_at_once_all_were_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = scanned(tmp_path, {"a": ["one", "two"], "b": ["three"]})
    seen: list[str] = []

    def read_again(item: Any, parameters: Any) -> Any:
        for rows in sets.read_again(item, parameters):
            seen.append(item.file.uri)
            yield rows
            raise AssertionError("read on")

    monkeypatch.setattr(stage, "read_again", read_again)
    (row,) = _read(corpus, [doc(1, 0)], tmp_path)
    assert (row["text"], seen) == ("three", [corpus.files[1].uri])


def test_ids_and_sources_are_those_of_the_row_also_in_compressed_files(tmp_path: Path) -> None:
    rows = [{"text": f"text {i}", "n": 7 * i, "from": None if i == 2 else f"s{i}"} for i in range(5)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "in" / "b.jsonl").write_text(lines)
    parameters = replace(PARAMETERS, columns=Columns(id="n", source="from"))
    files = list_files([str(tmp_path / "in")], "auto").files
    shards = cut(files, 1 << 20)
    results = [scan(shard, parameters, str(tmp_path / "scan" / str(shard.number)), False) for shard in shards]
    places = write_places(shards, [result.piece_rows for result in results], str(tmp_path / "places"))
    corpus = Corpus(tmp_path, files, shards, (), (), places, parameters, {})
    found = _read(corpus, [doc(0, 2), doc(0, 4), doc(1, 1)], tmp_path)
    names = ("doc_id", "id", "source", "text")
    assert [tuple(row[name] for name in names) for row in found] == [
        (doc(0, 2), "14", None, "text 2"),
        (doc(0, 4), "28", "s4", "text 4"),
        (doc(1, 1), "7", "s1", "text 1"),
    ]


def _of_contents(corpus: Corpus, *contents: str) -> Corpus:
    shards = (
        replace(shard, pieces=tuple(replace(item, content=contents[item.file_id]) for item in shard.pieces))
        for shard in corpus.shards
    )
    return replace(corpus, shards=tuple(shards))


def test_what_an_earlier_run_read_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"a": ["one", "two"], "b": ["three"], "c": ["four", "five"]}
    before = _of_contents(scanned(tmp_path / "before", texts), "A", "B", "C")
    paths = _written(before, [doc(0, 0), doc(0, 1), doc(1, 0), doc(2, 1)], tmp_path / "before")
    # Another file in front of them, and one of them with other content.
    texts = {"0": ["zero"], "a": ["eins", "two"], "b": ["three"], "c": ["four", "five"]}
    now = _of_contents(scanned(tmp_path / "now", texts), "0", "D", "B", "C")
    read: list[str] = []

    def read_again(item: Any, parameters: Any) -> Any:
        read.append(item.file.uri)
        yield from sets.read_again(item, parameters)

    monkeypatch.setattr(stage, "read_again", read_again)
    asked = [doc(1, 0), doc(2, 0), doc(3, 1)]
    found = _of_paths(_written(now, asked, tmp_path / "now", earlier=paths))
    assert [(row["doc_id"], row["text"], row["uri"], row["n_bytes"]) for row in found] == [
        (doc(1, 0), "eins", now.files[1].uri, 4),
        (doc(2, 0), "three", now.files[2].uri, 5),
        (doc(3, 1), "five", now.files[3].uri, 4),
    ]
    assert read == [now.files[1].uri]


LONG = {
    "one byte": "x" * 5000,
    "four bytes": "\U00020000" * 5000,
    "a cut in a character": "é" + "\U00020000" * 5000,
    "three bytes": "ab" + "東" * 5000,
    "just as long": "é" * 2000,
    "hostile": "<script>\x00\u202e\"'" * 300,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_text_is_cut_at_2000_characters_of_any_width(tmp_path: Path, text: str) -> None:
    corpus = scanned(tmp_path, ["before", text])
    (row,) = _read(corpus, [doc(0, 1)], tmp_path)
    assert (row["text"], row["n_bytes"]) == (text[:2000], len(text.encode()))


def test_file_that_changed_since_it_was_scanned_is_an_error(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, FILES)
    with (tmp_path / "in" / "a.jsonl").open("a") as file:
        file.write('{"text": "one more"}\n')
    with pytest.raises(InputChangedError) as caught:
        _read(corpus, [doc(0, 0)], tmp_path)
    assert caught.value.where == corpus.files[0].uri
    # Of files that nothing is read of, nothing is asked.
    assert [row["text"] for row in _read(corpus, [doc(3, 0)], tmp_path)] == ["only in d"]


def test_file_that_changes_while_it_is_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = scanned(tmp_path, FILES)

    def read_again(item: Any, parameters: Any) -> Any:
        for rows in sets.read_again(item, parameters):
            with Path(item.file.uri).open("a") as file:
                file.write("\n")
            yield rows

    monkeypatch.setattr(stage, "read_again", read_again)
    with pytest.raises(InputChangedError):
        _read(corpus, [doc(0, 0)], tmp_path)


# --- the table ------------------------------------------------------------------------------------


def test_examples_are_the_chosen_documents_with_their_texts(tmp_path: Path) -> None:
    chosen = [(5, doc(1, 3), 1.0), (5, doc(2, 0), 0.25), (9, doc(0, 1), 1.0)]
    table = pa.Table.from_pylist([dict(zip(CHOSEN.names, row, strict=True)) for row in chosen], CHOSEN)
    texts: list[list[tuple[Any, ...]]] = [
        [(doc(2, 0), "/c", "i", None, 3, "far", "3"), (doc(0, 1), "/a", None, "s", 4, "here", "1")],
        [(doc(1, 3), "/b", None, None, 9, "near", "2")],
    ]
    paths = [
        write_mapped(
            pa.Table.from_pylist([dict(zip(TEXTS.names, row, strict=True)) for row in rows], TEXTS),
            tmp_path / f"texts-{i}",
        )
        for i, rows in enumerate(texts)
    ]
    path = str(tmp_path / "examples.parquet")
    assert write_examples(write_mapped(table, tmp_path / "chosen"), paths, path) == 3
    assert [tuple(row.values()) for row in rows_of(path)] == [
        (5, doc(1, 3), "/b", 3, None, None, 1.0, 9, "near"),
        (5, doc(2, 0), "/c", 0, "i", None, 0.25, 3, "far"),
        (9, doc(0, 1), "/a", 1, None, "s", 1.0, 4, "here"),
    ]
    assert pq.read_schema(path).equals(EXAMPLES.arrow_schema(), check_metadata=True)


def test_no_cluster_has_no_examples(tmp_path: Path) -> None:
    chosen, doc_ids = choose_examples(_clusters([], tmp_path), str(tmp_path / "chosen"))
    assert doc_ids == ()
    assert write_examples(chosen, [], str(tmp_path / "examples.parquet")) == 0
    schema = pq.read_schema(tmp_path / "examples.parquet")
    assert schema.equals(EXAMPLES.arrow_schema(), check_metadata=True)
