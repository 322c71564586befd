"""Texts, spans and places of passages, looked up in runs over files of every format."""

from __future__ import annotations

import csv
import gzip
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import ipc

from pipeline.errors import ArtifactError, ConfigError, InputChangedError, InputError
from pipeline.lookup import document_text, document_texts, passage_places, span_text
from pipeline.normalise import normalised
from pipeline.readers.formats import read
from pipeline.readers.rows import Columns, Piece, Rows
from tests import corpus as planted
from tests.audits import Audited, audit, audit_texts, without_dask, write_rows

ODD_NAME = "café::[1]*.jsonl"  # a glob, and a chain of URLs to fsspec


def _texts() -> list[str]:
    rng = random.Random(3)
    shared = [planted.text(rng, 40) for _ in range(3)]
    texts = [f"{planted.text(rng, 9)} {shared[i % 3]}, {planted.text(rng, 8)}" for i in range(12)]
    texts += [f"{shared[0]}; {shared[0].upper()}", "Größe 東京 ½ ﬁne\nanother line", "", "short", "la " * 60]
    return [*texts, texts[0], "  " + texts[0].upper() + "!", texts[4]]


def _write(folder: Path, texts: list[str]) -> None:
    def rows(without_text: int) -> list[dict[str, object]]:
        found: list[dict[str, object]] = [{"body": text, "name": f"n{i}"} for i, text in enumerate(texts)]
        found.insert(without_text, {"body": None, "name": "rejected"})
        return found

    folder.mkdir()
    table = pa.Table.from_pylist(rows(2))
    pq.write_table(table, folder / "a.parquet", row_group_size=4)
    with ipc.new_file(folder / "b.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=5)
    write_rows(folder / "c.jsonl", rows(0))
    (folder / "d.jsonl.gz").write_bytes(gzip.compress((folder / "c.jsonl").read_bytes()))
    write_rows(folder / ODD_NAME, rows(7))
    with (folder / "e.csv").open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows(
            [("name", "body"), ("one field",), *((i, t) for i, t in enumerate(texts))]
        )


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """A run over the same texts, each with a row without one, in six files."""
    folder = tmp_path_factory.mktemp("lookup")
    _write(folder / "in", _texts())
    with without_dask(page=False):
        return audit(folder / "in", folder / "audits", text_column="body", id_column="name", shard_bytes=3000)


def test_text_of_every_document_is_the_one_that_was_written(audited: Audited) -> None:
    texts = _texts()
    rows = [(row["doc_id"], row["uri"]) for row in audited.documents]
    assert len(rows) == 6 * len(texts)
    found = document_texts(audited.folder, [doc_id for doc_id, _ in rows])
    for uri in dict.fromkeys(uri for _, uri in rows):
        assert [found[doc_id] for doc_id, of in rows if of == uri] == texts, uri


def test_one_text_is_the_same_as_among_many(audited: Audited) -> None:
    ids = [row["doc_id"] for row in audited.documents][::7]
    many = document_texts(audited.folder, ids)
    assert list(many) == ids
    assert {doc_id: document_text(audited.folder, doc_id) for doc_id in ids} == many
    assert document_texts(audited.folder, []) == {}


def test_file_of_text_is_its_document(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_bytes("one\r\ntwo ½\n".encode())
    with without_dask(page=False):
        run = audit(tmp_path / "in", tmp_path / "audits").folder
    assert document_text(run, 0) == "one\r\ntwo ½\n"
    assert span_text(run, 0, 5, 11) == "two ½"


def test_spans_are_where_the_tables_say(audited: Audited) -> None:
    passages = {row["passage_id"]: row["text"] for row in audited.rows("passages")}
    spans = audited.rows("spans")
    assert len(spans) > len(passages) > 5
    for row in spans[::5]:
        text = span_text(audited.folder, row["doc_id"], row["byte_start"], row["byte_end"])
        whole = normalised(text)
        assert len(whole.split()) == row["tokens"]
        assert whole.startswith(normalised(passages[row["passage_id"]]))


def test_places_of_a_passage_are_as_many_as_it_occurs(audited: Audited) -> None:
    documents = {row["doc_id"]: row for row in audited.documents}
    for passage in audited.rows("passages"):
        places = passage_places(audited.folder, passage["passage_id"])
        assert len(places) == passage["occurrences"]
        assert places["doc_id"].n_unique() == passage["documents"]
        assert places.rows() == places.sort("doc_id", "token_start").rows()
        for row in places.iter_rows(named=True):
            of = documents[row["doc_id"]]
            assert all(row[name] == of[name] for name in ("uri", "row", "id", "source"))


def test_places_in_copies_have_tokens_but_no_bytes(audited: Audited) -> None:
    texts = document_texts(audited.folder, [row["doc_id"] for row in audited.documents])
    first_of: dict[int, int] = {}
    for row in audited.documents:
        first_of.setdefault(row["text_id"], row["doc_id"])
    copies = 0
    for passage in audited.rows("passages"):
        places = passage_places(audited.folder, passage["passage_id"])
        for row in places.iter_rows(named=True):
            words = normalised(texts[row["doc_id"]]).split()
            stands = " ".join(words[row["token_start"] : row["token_start"] + row["tokens"]])
            assert stands.startswith(normalised(passage["text"]))
            is_first = row["doc_id"] in first_of.values()
            assert [row["byte_start"] is not None, row["byte_end"] is not None] == [is_first] * 2
            copies += not is_first
    assert copies > 50


@pytest.mark.parametrize("doc_id", [1, 99 << 32, -1, 1 << 64, 10**30])
def test_document_that_is_not_there_is_told(audited: Audited, doc_id: int) -> None:
    known = {row["doc_id"] for row in audited.documents}
    wanted = min({*range(30)} - known) if doc_id == 1 else doc_id  # a row that was rejected
    with pytest.raises(ConfigError, match="no such document") as caught:
        document_texts(audited.folder, [0, wanted])
    assert str(wanted) in str(caught.value.got)


@pytest.mark.parametrize("passage_id", [7, -1, 1 << 64])
def test_passage_that_is_not_there_is_told(audited: Audited, passage_id: int) -> None:
    with pytest.raises(ConfigError, match="no such passage"):
        passage_places(audited.folder, passage_id)


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (0, 99, "not within"),
        (-1, 2, "not within"),
        (3, 2, "not within"),
        (1, 2, "cuts a char"),
        (0, 2, "cuts"),
    ],
)
def test_span_that_is_not_there_is_told(tmp_path: Path, start: int, end: int, words: str) -> None:
    with without_dask(page=False):
        run = audit_texts(["a½b"], tmp_path).folder
    with pytest.raises(ConfigError, match=words) as caught:
        span_text(run, 0, start, end)
    assert f"bytes {start} to {end}" in str(caught.value.got)
    assert [span_text(run, 0, *span) for span in ((0, 4), (1, 3), (2, 2))] == ["a½b", "½", ""]


# --- files that are not what they were --------------------------------------------------------


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\n")


def _edit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)


def _edit_middle(path: Path) -> None:
    # Where no fingerprint looks: the lengths of two documents change, the file's does not.
    lines = path.read_text().splitlines(keepends=True)
    lines[2], lines[3] = lines[3], lines[2]
    path.write_text("".join(lines))


def _edit_word(path: Path) -> None:
    path.write_text(path.read_text().replace(f'"{"word " * 22}"', f'"{"word " * 21}work "'))


def _move_blank(path: Path) -> None:
    # The words are the same, their places are not.
    text = path.read_text().replace(f'"{"word " * 11}"', f'"{"word " * 11}'.rstrip() + '"')
    path.write_text(text.replace(f'"{"word " * 22}"', f'"{"word " * 22} "'))


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "texts.jsonl").write_text('{"text": "a"}\n')


CHANGES: list[tuple[Callable[[Path], None], type[InputError], str]] = [
    (Path.unlink, InputError, "is gone"),
    (_make_folder, InputError, "is gone"),
    (_append, InputChangedError, "not what the run read"),
    (_edit, InputChangedError, "not what the run read"),
    (_edit_middle, InputChangedError, "not what the run read"),
    (_edit_word, InputChangedError, "not what the run read"),
    (_move_blank, InputChangedError, "not what the run read"),
]


@pytest.mark.parametrize(
    ("change", "kind", "words"), CHANGES, ids=lambda value: getattr(value, "__name__", "")
)
def test_file_that_changed_is_refused(
    tmp_path: Path, change: Callable[[Path], None], kind: type[InputError], words: str
) -> None:
    texts = ["word " * n for n in (30_000, 30_000, 11, 22, 30_000, 30_000)]
    with without_dask(page=False):
        run = audit_texts(texts, tmp_path).folder
    assert document_text(run, 3) == texts[3]
    change(tmp_path / "texts.jsonl")
    with pytest.raises(kind, match=words) as caught:
        document_text(run, 3)
    assert type(caught.value) is kind
    assert caught.value.where == str(tmp_path / "texts.jsonl")
    assert caught.value.fix


def test_text_that_is_no_longer_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in" / "a.txt"
    path.parent.mkdir()
    path.write_text("word " * 40_000)
    with without_dask(page=False):
        run = audit(path.parent, tmp_path / "audits").folder
    data = bytearray(path.read_bytes())
    data[100_000] = 0xFF
    path.write_bytes(data)
    with pytest.raises(InputChangedError, match="not what the run read"):
        document_text(run, 0)


def test_file_that_lost_a_row_is_refused(tmp_path: Path) -> None:
    texts = ["word " * n for n in (30_000, 30_000, 11, 22, 30_000, 30_000)]
    with without_dask(page=False):
        run = audit_texts(texts, tmp_path).folder
    path = tmp_path / "texts.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], lines[2].replace("\n", " "), *lines[3:]]))
    with pytest.raises(InputChangedError, match="not what the run read") as caught:
        document_text(run, 5)
    assert (caught.value.got, caught.value.where, caught.value.row) == ("no text", str(path), 5)


def test_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with without_dask(page=False):
        run = audit_texts(["one", "two"], tmp_path).folder

    def read_slowly(piece: Piece, columns: Columns) -> Iterator[Rows]:
        _append(tmp_path / "texts.jsonl")
        yield from read(piece, columns)

    monkeypatch.setattr("pipeline.lookup.read", read_slowly)
    with pytest.raises(InputChangedError, match="changed while"):
        document_texts(run, [0, 1])


def test_rows_behind_the_wanted_ones_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with without_dask(page=False):
        run = audit_texts(["one"] * 10, tmp_path).folder
    batches = []

    def read_in_small_batches(piece: Piece, columns: Columns) -> Iterator[Rows]:
        for batch in read(piece, columns, 1):
            batches.append(batch.n_rows)
            yield batch

    monkeypatch.setattr("pipeline.lookup.read", read_in_small_batches)
    assert document_text(run, 4) == "one"
    assert batches == [1, 2, 3, 4, 5]


def test_file_that_changed_does_not_matter_to_documents_of_others(audited: Audited, tmp_path: Path) -> None:
    shutil.copytree(audited.folder.parents[1] / "in", tmp_path / "in")
    with without_dask(page=False):
        run = audit(tmp_path / "in", tmp_path / "audits", text_column="body").folder
    (tmp_path / "in" / "a.parquet").unlink()
    assert document_text(run, 1 << 32) == _texts()[0]
    with pytest.raises(InputError, match="is gone"):
        document_texts(run, [0, 1 << 32])


# --- runs without what is asked for -----------------------------------------------------------


def test_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    for ask in (document_text, passage_places):
        with pytest.raises(ArtifactError, match="not a finished run"):
            ask(tmp_path, 0)


def test_run_that_did_not_look_for_passages_says_so(tmp_path: Path) -> None:
    with without_dask(page=False):
        run = audit_texts(["word " * 60], tmp_path, passages={"enabled": False}).folder
    with pytest.raises(ArtifactError, match="did not look for passages"):
        passage_places(run, 0)
    manifest = json.loads((run / "run.json").read_text())
    del manifest["config"]["passages"]
    (run / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match="did not look for passages"):
        passage_places(run, 0)


@pytest.mark.parametrize("name", ["passages", "spans"])
def test_run_whose_tables_were_taken_away_says_which(tmp_path: Path, name: str) -> None:
    with without_dask(page=False):
        run = audit_texts(["word " * 60], tmp_path).folder
    passage_id = pl.read_parquet(run / "passages" / "*.parquet")["passage_id"][0]
    shutil.rmtree(run / name)
    with pytest.raises(ArtifactError, match="a folder of the run is missing") as caught:
        passage_places(run, passage_id)
    assert caught.value.where == str(run / name)
