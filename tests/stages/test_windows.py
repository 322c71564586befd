"""The second read for passages: of the texts that hold a repeated window, and of no others."""

from __future__ import annotations

import os
import random
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import InputChangedError
from pipeline.mapped import read_mapped
from pipeline.readers import formats
from pipeline.readers.rows import Columns
from pipeline.stages import scan, sets, stretches
from pipeline.stages import windows as stage
from pipeline.stages.chosen import CHOSEN
from pipeline.stages.hashed import CHANGED, LIVE, MANY, ROWS, WINDOWS
from pipeline.stages.inputs import ShardPiece
from pipeline.stages.places import Places
from pipeline.stages.scan import ScanParameters
from pipeline.stages.stretches import STRETCHES
from pipeline.stages.survivors import SEVERAL
from pipeline.stages.windows import Chunk
from tests import corpus as planted
from tests import oracles
from tests.stages.passage_steps import (
    PASSAGE_PARAMETERS,
    Survived,
    W,
    definition,
    passaged,
    read_again,
    survived,
    wanted_texts,
)
from tests.stages.steps import Corpus, all_rows, doc, rows_of, scanned, table_at

RNG = random.Random(21)
SHARED = planted.fresh(RNG, 12)


def around(words: list[str], before: int, after: int) -> str:
    """Words in the middle of others."""
    return planted.joined([*planted.fresh(RNG, before), *words, *planted.fresh(RNG, after)])


DECOMPOSED = unicodedata.normalize("NFD", f"éa çb {around(SHARED, 9, 20)}")
COPIED = around(SHARED, 3, 30)
TEXTS: dict[str, list[str | None]] = {
    "a": [planted.text(RNG, 30), around(SHARED, 40, 40), None, COPIED],
    "b": [planted.text(RNG, 20), "", "a few words", planted.text(RNG, 9)],
    "c": [DECOMPOSED, COPIED.upper(), planted.text(RNG, 30), COPIED],
    "d": [around([*SHARED, *planted.fresh(RNG, 50), *SHARED[2:]], 20, 0)],
}
WANTED = {doc(0, 1), doc(0, 3), doc(2, 0), doc(3, 0)}


def _survived(
    folder: Path, texts: dict[str, list[str | None]] = TEXTS, shard_bytes: int = 1 << 20
) -> Survived:
    return survived(scanned(folder, texts, shard_bytes=shard_bytes, parameters=PASSAGE_PARAMETERS), 2)


def _rows(chunks: list[Chunk]) -> list[dict[str, Any]]:
    return [row for chunk in chunks for path in chunk.stretches for row in _stretches(chunk, path)]


def _stretches(chunk: Chunk, path: str) -> list[dict[str, Any]]:
    """A file of stretches, with the documents they are of."""
    chosen = rows_of(chunk.texts)
    return [chosen[row["chosen"]] | row for row in rows_of(path)]


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of two documents, read in batches of one."""
    monkeypatch.setattr(scan, "SEGMENT_ROWS", 2)
    monkeypatch.setattr(scan, "BATCH_BYTES", 1)
    monkeypatch.setattr(scan, "read", lambda piece, columns: formats.read(piece, columns, 1))


def _texts_of(corpus: Corpus) -> dict[int, bytes]:
    return {number: text.encode() for number, text in corpus.texts.items() if text is not None}


@pytest.mark.parametrize("shard_bytes", [150, 900, 1 << 20])
def test_texts_that_are_read_again_are_the_first_of_those_with_survivors(
    tmp_path: Path, shard_bytes: int
) -> None:
    found = _survived(tmp_path, shard_bytes=shard_bytes)
    assert wanted_texts(found.corpus) == WANTED
    chunks = read_again(found)
    rows = _rows(chunks)
    assert [row["doc_id"] for row in rows] == sorted(row["doc_id"] for row in rows)
    assert {row["doc_id"] for row in rows} == WANTED
    assert sum(chunk.n_texts for chunk in chunks) == len(WANTED)
    assert {row["doc_id"]: row["copies"] for row in rows} == {n: 3 if n == doc(0, 3) else 1 for n in WANTED}
    for row in rows:
        assert row["text_id"] == oracles.text_id(found.corpus.texts[row["doc_id"]] or "")


def test_stretch_is_the_part_of_its_text_with_the_survivors(tmp_path: Path) -> None:
    found = _survived(tmp_path)
    held, texts = _rows(read_again(found)), _texts_of(found.corpus)
    for row in held:
        assert texts[row["doc_id"]][row["begin"] :].startswith(row["text"])
    # Where the repeats are far from each other there are two, and together they are a part.
    by_doc: dict[int, list[Any]] = {}
    for row in held:
        by_doc.setdefault(row["doc_id"], []).append(row)
    assert len(by_doc[doc(3, 0)]) == 2
    for number in (doc(0, 1), doc(3, 0)):
        assert sum(len(row["text"]) for row in by_doc[number]) < len(texts[number]) - 100
    repeated = definition(found.corpus)
    for d, start in (place for places in repeated.passages.values() for place in places):
        number = repeated.documents[d].doc_id
        begin, end = repeated.bytes_at((d, start), W)
        parts = [(row["begin"], row["begin"] + len(row["text"])) for row in by_doc.get(number, [])]
        assert number not in WANTED or any(low <= begin and end <= high for low, high in parts)


def test_text_that_needs_composing_is_kept_whole(tmp_path: Path) -> None:
    rows = _rows(read_again(_survived(tmp_path)))
    (whole,) = (row for row in rows if row["doc_id"] == doc(2, 0))
    assert (whole["composes"], whole["begin"], whole["window"], whole["token"]) == (True, 0, 0, 0)
    assert whole["text"] == DECOMPOSED.encode()
    assert not any(row["composes"] for row in rows if row is not whole)


def test_texts_that_need_composing_stand_among_the_others(tmp_path: Path) -> None:
    # The passage stands at the end of one, and at the beginning of another.
    ends = [f"e\u0301 {around(SHARED, 9, 0)}", f"{around(SHARED, 0, 9)} e\u0301"]
    texts: list[str | None] = [around(SHARED, 3, 3), DECOMPOSED, around(SHARED, 3, 3), *ends, COPIED]
    found = _survived(tmp_path, {"a": texts})
    chunks = read_again(found)
    rows = _rows(chunks)
    assert [row["doc_id"] for row in rows] == [0, 1, 2, 3, 4, 5]
    assert [row["composes"] for row in rows] == [False, True, False, True, True, False]
    written = passaged(found, chunks=chunks)
    wanted = definition(found.corpus)
    assert all_rows(written.span_outputs) == wanted.span_rows()
    assert all_rows(written.outputs) == [row | {"sources": 0} for row in wanted.passage_rows()]


def test_windows_are_sorted_and_known_by_their_slot(tmp_path: Path) -> None:
    (chunk,) = read_again(_survived(tmp_path))
    (path,) = chunk.held.hashed.windows
    windows = table_at(path)
    assert windows.schema.equals(WINDOWS)
    assert all(read_mapped(path).schema.equals(STRETCHES) for path in chunk.stretches)
    hashes = windows.column("window").to_pylist()
    assert hashes == sorted(hashes)
    assert sorted(windows.column("slot").to_pylist()) == list(range(chunk.n_windows))
    assert chunk.held.slots == chunk.n_windows == chunk.new_windows
    table, rows = table_at(chunk.texts), table_at(chunk.held.hashed.rows)
    assert table.schema.equals(CHOSEN)
    assert rows.schema.equals(ROWS)
    assert sum(rows.column("windows").to_pylist()) == chunk.n_windows
    kinds = table_at(chunk.kinds).column("kind").to_pylist()
    live = dict(zip(rows.column("row").to_pylist(), rows.column("kind").to_pylist(), strict=True))
    assert live == {row: kind for row, kind in enumerate(kinds) if kind >= SEVERAL}
    states = table_at(chunk.held.states).column("state").to_pylist()
    of_slot = [
        kind
        for kind, n in zip(live.values(), rows.column("windows").to_pylist(), strict=True)
        for _ in range(n)
    ]
    assert states == [CHANGED | LIVE | MANY * (kind == SEVERAL) for kind in of_slot]
    assert (
        {row["held"] for row in rows_of(chunk.texts)}
        == {row["changed"] for row in rows_of(chunk.texts)}
        == {True}
    )


def test_pieces_without_wanted_texts_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _survived(tmp_path)
    (shard,) = found.corpus.shards
    assert len(shard.pieces) == 4
    read: list[str] = []
    whole = sets.read_again

    def counted(item: ShardPiece, parameters: ScanParameters) -> Iterator[Any]:
        read.append(Path(item.file.uri).stem)
        return whole(item, parameters)

    monkeypatch.setattr(stretches, "read_again", counted)
    (tmp_path / "in" / "b.jsonl").unlink()
    chunks = read_again(found)
    assert read == ["a", "c", "d"]
    assert {row["doc_id"] for row in _rows(chunks)} == WANTED


def test_labels_are_not_read_another_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _survived(tmp_path)
    columns = Columns(PASSAGE_PARAMETERS.columns.text, "id", "source", "licence")
    labelled = replace(found.corpus, parameters=replace(PASSAGE_PARAMETERS, columns=columns))
    asked: set[Columns] = set()
    whole = sets.read_again

    def watched(item: ShardPiece, parameters: ScanParameters) -> Iterator[Any]:
        asked.add(parameters.columns)
        return whole(item, parameters)

    monkeypatch.setattr(stretches, "read_again", watched)
    assert _rows(read_again(replace(found, corpus=labelled)))
    assert asked == {Columns(PASSAGE_PARAMETERS.columns.text)}


@pytest.mark.usefixtures("small_segments")
def test_chunk_comes_of_a_segment_wherever_batches_and_files_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _survived(tmp_path)
    segments = found.corpus.segments
    assert len(segments) > 5
    whole = _survived(tmp_path / "whole")
    expected = passaged(whole)
    for batch in (1, 2, 3, 100):
        monkeypatch.setattr(sets, "read", lambda p, c, n=batch: formats.read(p, c, n))
        chunks = read_again(found)
        held = [{row["doc_id"] for row in _stretches(chunk, chunk.stretches[0])} for chunk in chunks]
        assert [number for part in held for number in sorted(part)] == sorted(WANTED)
        assert [len(part) for part in held] == [chunk.n_texts for chunk in chunks]
        assert len(chunks) == len({n for n, s in enumerate(segments) if _ids(found, n, s) & WANTED})
        again = passaged(found, chunks=chunks)
        assert all_rows(again.outputs) == all_rows(expected.outputs)
        assert all_rows(again.span_outputs) == all_rows(expected.span_outputs)


def _ids(found: Survived, number: int, segment: scan.Segment) -> set[int]:
    table = table_at(f"{segment.path}/anchored.arrow")
    places = Places(found.corpus.places)
    columns = (table.column(name).to_numpy() for name in ("piece", "row"))
    return set(places.doc_ids(segment.shard, *columns).tolist())


def test_stretches_are_written_whenever_enough_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _survived(tmp_path)
    expected = passaged(found)
    monkeypatch.setattr(stage, "FLUSH_BYTES", 1)
    monkeypatch.setattr(sets, "read", lambda piece, columns: formats.read(piece, columns, 1))
    (chunk,) = chunks = read_again(found)
    assert len(chunk.stretches) == len(set(chunk.stretches)) == len(WANTED)
    again = passaged(found, chunks=chunks)
    assert all_rows(again.outputs) == all_rows(expected.outputs)
    assert all_rows(again.span_outputs) == all_rows(expected.span_outputs)


def test_corpus_without_repeats_is_not_read_again(tmp_path: Path) -> None:
    texts: dict[str, list[str | None]] = {
        "a": [planted.text(RNG, 30), "", None],
        "b": [planted.text(RNG, 40)],
    }
    found = _survived(tmp_path, texts)
    for name in "ab":
        (tmp_path / "in" / f"{name}.jsonl").unlink()
    assert read_again(found) == []


def test_copies_are_read_once_though_they_lie_in_different_shards(tmp_path: Path) -> None:
    texts: dict[str, list[str | None]] = {name: [planted.text(RNG, 9), COPIED] for name in "abc"}
    found = _survived(tmp_path, texts, shard_bytes=100)
    assert len(found.corpus.shards) >= 3
    rows = _rows(read_again(found))
    assert {(row["doc_id"], row["copies"]) for row in rows} == {(doc(0, 1), 3)}


# --- files that changed ---------------------------------------------------------------------------


def _rewrite(path: Path, content: bytes) -> None:
    """Change a file behind the back of whoever looks at its size and its time."""
    before = path.stat()
    assert len(content) == before.st_size
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _words_of(change: str, content: bytes) -> bytes:
    last = content.rstrip().rsplit(b"\n", 1)[1]
    new = {
        "another text": last.replace(last[12:14], b"zz", 1),
        "no row": b" " * len(last),
        "a row more": b'{"text": "a"}\n' + b'{"text": "b"}'.ljust(len(last) - 14),
        "no text": b'{"text": 12345}'.ljust(len(last)),
        "short text": b'{"text": "a b c"}'.ljust(len(last)),
        "text to compose": b'{"text": "' + "e\u0301 ".encode() * 9 + b'"}' + b" " * (len(last) - 48),
    }[change]
    return content[: content.index(last)] + new + content[content.index(last) + len(last) :]


@pytest.mark.parametrize(
    "change", ["another text", "no row", "a row more", "no text", "short text", "text to compose"]
)
@pytest.mark.parametrize("name", ["a", "d"])
def test_text_that_changed_unseen_is_told(tmp_path: Path, change: str, name: str) -> None:
    found = _survived(tmp_path, {n: TEXTS[n] if n != "d" else ["x y", *TEXTS["d"]] for n in TEXTS})
    path = tmp_path / "in" / f"{name}.jsonl"
    _rewrite(path, _words_of(change, path.read_bytes()))
    with pytest.raises(InputChangedError, match="other texts than when it was scanned") as caught:
        read_again(found)
    assert caught.value.where == str(path)


def test_text_that_is_gone_is_told_though_a_copy_of_it_stands_in_the_next_row(tmp_path: Path) -> None:
    found = _survived(tmp_path, {"a": [COPIED, COPIED, "x"]})
    path = tmp_path / "in" / "a.jsonl"
    first, rest = path.read_bytes().split(b"\n", 1)
    _rewrite(path, b'{"text": 12345}'.ljust(len(first)) + b"\n" + rest)
    with pytest.raises(InputChangedError):
        read_again(found)


def test_row_more_before_a_wanted_text_is_told(tmp_path: Path) -> None:
    found = _survived(tmp_path)
    path = tmp_path / "in" / "a.jsonl"
    first, rest = path.read_bytes().split(b"\n", 1)
    _rewrite(path, b'{"text": "a"}\n' + b'{"text": "b"}'.ljust(len(first) - 14) + b"\n" + rest)
    with pytest.raises(InputChangedError) as caught:
        read_again(found)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("change", ["touched", "longer", "gone"])
def test_file_that_changed_is_told_before_it_is_read(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _survived(tmp_path)
    path = tmp_path / "in" / "c.jsonl"
    if change == "touched":
        os.utime(path, (1, 1))
    elif change == "longer":
        path.write_bytes(path.read_bytes() + b"\n")
    else:
        path.unlink()
    whole = formats.read

    def all_but_c(piece: Any, columns: Any) -> Any:
        assert not piece.uri.endswith("c.jsonl"), "it was read"
        return whole(piece, columns)

    monkeypatch.setattr(sets, "read", all_but_c)
    with pytest.raises(InputChangedError, match="gone" if change == "gone" else "changed while") as caught:
        read_again(found)
    assert caught.value.where == str(path)
