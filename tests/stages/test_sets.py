"""The second read: shingle sets of the texts that are wanted, and of no others."""

from __future__ import annotations

import json
import os
import random
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from pipeline.artifacts import table_of
from pipeline.errors import InputChangedError
from pipeline.mapped import write_mapped
from pipeline.normalise import shingles, tokens
from pipeline.readers import formats
from pipeline.readers.rows import Columns
from pipeline.stages import sets as stage
from pipeline.stages.components import wanted_schema
from pipeline.stages.inputs import list_files
from pipeline.stages.places import write_places
from pipeline.stages.scan import scan
from pipeline.stages.sets import SetScratch, composed_sets, read_sets, sets_schema
from tests import corpus as planted
from tests import oracles
from tests.stages.steps import (
    BY_FILE,
    NEAR,
    PARAMETERS,
    Corpus,
    all_rows,
    cut,
    doc,
    rows_of,
    scanned,
    table_at,
)

ACCENTS = "été à la plage, où l'on mange des pâtés chauds"
TEXTS: dict[str, list[str | None]] = {
    "a": ["one two three four five six", None, unicodedata.normalize("NFD", ACCENTS), "", "two words"],
    "b": ["a b a b a b a b a b", "漢字かな交じり文です", "one two three four five six"],
    "c": ["not wanted at all"],
    "d": [ACCENTS, planted.text(random.Random(1), 500)],
}


def _hashes(text: str, width: int = PARAMETERS.shingle_tokens) -> set[int]:
    return {xxhash.xxh64_intdigest(shingle.encode()) for shingle in shingles(text, width)}


def _wanted(corpus: Corpus, numbers: dict[int, int], folder: Path, parts: int = 2) -> list[str]:
    """Tables of wanted documents with the blocks they are given."""
    tables = []
    for part in range(parts):
        rows = []
        for number in sorted(numbers)[part::parts]:
            text = corpus.texts[number] or ""
            rows.append((number, oracles.text_id(text), numbers[number], 7, number % 5, len(tokens(text))))
        ids = [np.array([row[i] for row in rows], np.uint64) for i in range(4)]
        counts = [np.array([row[i] for row in rows], np.int64) for i in (4, 5)]
        sketch = pa.array(
            [bytes([row[2] % 256]) * NEAR.permutations for row in rows], pa.binary(NEAR.permutations)
        )
        table = table_of(wanted_schema(NEAR.permutations), *ids, *counts, sketch)
        tables.append(write_mapped(table, folder / f"wanted-{part}"))
    return tables


def _read(corpus: Corpus, numbers: dict[int, int], folder: Path) -> list[str]:
    wanted = _wanted(corpus, numbers, folder)
    return [
        path
        for shard in corpus.shards
        for path in read_sets(
            shard,
            str(folder / f"sets-{shard.number}"),
            places=corpus.places,
            wanted=wanted,
            parameters=corpus.parameters,
        )
    ]


ALL = {doc(0, 0): 5, doc(0, 2): 3, doc(0, 4): 5, doc(1, 0): 3, doc(1, 1): 9, doc(3, 0): 3, doc(3, 1): 0}


def _check(corpus: Corpus, paths: list[str], numbers: dict[int, int]) -> None:
    rows = all_rows(paths)
    assert sorted(row["doc_id"] for row in rows) == sorted(numbers)
    for row in rows:
        text = corpus.texts[row["doc_id"]] or ""
        values = np.frombuffer(row["shingles"], np.uint64).tolist()
        assert len(values) == len(set(values))
        assert set(values) == _hashes(text)
        assert row["text_id"] == oracles.text_id(text)
        assert (row["block"], row["copies"]) == (numbers[row["doc_id"]], row["doc_id"] % 5)
        assert (row["n_tokens"], row["root"]) == (len(tokens(text)), 7)
        assert row["sketch"] == bytes([row["block"]]) * NEAR.permutations
    for path in paths:
        blocks = [row["block"] for row in rows_of(path)]
        assert blocks == sorted(blocks)


@pytest.mark.parametrize("shard_bytes", [40, 300, 1 << 20])
def test_sets_are_those_of_the_wanted_texts(tmp_path: Path, shard_bytes: int) -> None:
    corpus = scanned(tmp_path, TEXTS, shard_bytes=shard_bytes, source=BY_FILE)
    paths = _read(corpus, ALL, tmp_path)
    _check(corpus, paths, ALL)
    assert {row["doc_id"] >> 32: row["source"] for row in all_rows(paths)} == {0: "a", 1: "b", 3: "d"}
    assert all(table_at(path).schema.equals(sets_schema(NEAR.permutations)) for path in paths)


def test_sets_are_written_whenever_enough_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "FLUSH_BYTES", 60)
    monkeypatch.setattr(stage, "read", lambda piece, columns: formats.read(piece, columns, 1))
    corpus = scanned(tmp_path, TEXTS)
    paths = _read(corpus, ALL, tmp_path)
    assert len(paths) == len(set(paths)) > 2
    _check(corpus, paths, ALL)


def test_shard_without_wanted_texts_is_not_read(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, TEXTS, shard_bytes=40)
    for name in "bcd":
        (tmp_path / "in" / f"{name}.jsonl").unlink()
    only = {doc(0, 0): 1}
    _check(corpus, _read(corpus, only, tmp_path), only)
    assert _read(corpus, {}, tmp_path) == []


def test_source_comes_from_its_column(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines: list[dict[str, str | None]] = [
        {"text": "one two", "site": "x"},
        {"text": "b", "site": None},
        {"text": "c d", "site": "z"},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    parameters = replace(PARAMETERS, columns=Columns(source="site"))
    shards = cut(list_files([str(path)], "auto").files, 1 << 20, BY_FILE)
    results = [scan(shard, parameters, str(tmp_path / "scan"), False) for shard in shards]
    places = write_places(shards, [result.piece_rows for result in results], str(tmp_path / "places"))
    texts: dict[int, str | None] = {i: line["text"] for i, line in enumerate(lines)}
    corpus = Corpus(tmp_path, (), shards, tuple(results), (), places, parameters, texts)
    rows = all_rows(_read(corpus, {0: 0, 1: 1, 2: 2}, tmp_path))
    assert [row["source"] for row in rows] == ["x", None, "z"]


# --- files that changed ---------------------------------------------------------------------------


def _rewrite(path: Path, content: bytes) -> None:
    """Change a file behind the back of whoever looks at its size and its time."""
    before = path.stat()
    assert len(content) == before.st_size
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _expect_change(corpus: Corpus, folder: Path, words: str) -> None:
    with pytest.raises(InputChangedError, match=words) as caught:
        _read(corpus, ALL, folder)
    assert caught.value.where == str(folder / "in" / "a.jsonl")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"two words", b"new words"),
        (b'"two words"', b"12345678901"),
        (b'{"text": "two words"}', b" " * 21),
    ],
    ids=["another text", "no text", "no row"],
)
def test_text_that_changed_unseen_is_told(tmp_path: Path, old: bytes, new: bytes) -> None:
    corpus = scanned(tmp_path, TEXTS)
    path = tmp_path / "in" / "a.jsonl"
    content = path.read_bytes()
    assert content.count(old) == 1
    _rewrite(path, content.replace(old, new))
    _expect_change(corpus, tmp_path, "other texts than when it was scanned")


def test_row_more_before_a_wanted_text_is_told(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, TEXTS)
    path = tmp_path / "in" / "a.jsonl"
    content = path.read_bytes()
    first, rest = content.split(b"\n", 1)
    shorter = first.replace(b"one two three four five six", b"") + b'\n{"text": "a nother"}'
    _rewrite(path, shorter.ljust(len(first)) + b"\n" + rest)
    _expect_change(corpus, tmp_path, "other texts than when it was scanned")


def test_text_that_became_unreadable_is_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "a.csv"
    accents = unicodedata.normalize("NFD", ACCENTS).encode()
    path.write_bytes(b"text\n" + b'"' + accents + b'"\n')
    shards = cut(list_files([str(path)], "auto").files, 1 << 20)
    result = scan(shards[0], PARAMETERS, str(tmp_path / "scan"), False)
    places = write_places(shards, [result.piece_rows], str(tmp_path / "places"))
    corpus = Corpus(tmp_path, (), shards, (result,), (), places, PARAMETERS, {0: ACCENTS})
    _check(corpus, _read(corpus, {0: 0}, tmp_path), {0: 0})
    _rewrite(path, path.read_bytes().replace(b"chauds", b"chaud\xff"))
    with pytest.raises(InputChangedError):
        _read(corpus, {0: 0}, tmp_path)


@pytest.mark.parametrize("change", ["touched", "longer", "gone"])
def test_file_that_changed_is_told_before_it_is_read(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = scanned(tmp_path, TEXTS)
    path = tmp_path / "in" / "a.jsonl"
    if change == "touched":
        os.utime(path, (1, 1))
    elif change == "longer":
        path.write_bytes(path.read_bytes() + b"\n")
    else:
        path.unlink()

    def never(*_: Any) -> Any:
        raise AssertionError("it was read")

    monkeypatch.setattr(stage, "read", never)
    _expect_change(corpus, tmp_path, "gone" if change == "gone" else "changed while")


# --- scratch --------------------------------------------------------------------------------------


def _sets(texts: list[bytes], scratch: SetScratch, width: int = 5) -> tuple[list[set[int]], list[int]]:
    parts, ids = composed_sets(pa.array(texts, pa.large_binary()), scratch, width)
    assert all(len(part) == len(set(part.tolist())) for part in parts)
    return [set(part.tolist()) for part in parts], ids.tolist()


def test_scratch_grows_with_the_texts() -> None:
    rng = random.Random(4)
    texts = [planted.text(rng, n) for n in (3, 70_000, 1, 200, 150_000)]
    found, ids = _sets([text.encode() for text in texts], SetScratch.new())
    assert found == [_hashes(text) for text in texts]
    assert ids == [oracles.text_id(text) for text in texts]


@pytest.mark.parametrize("width", [1, 2, 7])
def test_width_of_shingles_is_a_parameter(width: int) -> None:
    text = "a b c d e f g a b c d"
    assert _sets([text.encode()], SetScratch.new(), width)[0] == [_hashes(text, width)]


def test_text_without_tokens_or_without_sense_has_no_set() -> None:
    texts = [b"", b"?!", b"\xff", "e\u0301 ".encode() + b"\xff", b"x"]
    found, ids = _sets(texts, SetScratch.new())
    assert found == [set(), set(), set(), set(), _hashes("x")]
    assert ids == [0, 0, 0, 0, oracles.text_id("x")]


def test_sets_of_one_batch_outlive_the_next() -> None:
    scratch = SetScratch.new()
    one, _ = composed_sets(pa.array([b"a b c d e f"], pa.large_binary()), scratch, 5)
    before = one[0].tolist()
    composed_sets(pa.array([b"other words than those before"], pa.large_binary()), scratch, 5)
    assert one[0].tolist() == before


def test_scratch_grows_for_a_text_with_more_tokens_than_bytes() -> None:
    # U+3316 is three bytes and six tokens.
    texts = pa.array(["\u3316" * 250_000, "a b c d e f"], pa.large_string()).cast(pa.large_binary())
    parts, _ = composed_sets(texts, SetScratch.new(), 5)
    assert [len(part) for part in parts] == [6, 2]
