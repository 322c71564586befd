"""Scan files: what they say of every row, whatever the file is cut into."""

from __future__ import annotations

import json
import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputChangedError, InputError
from pipeline.label_hashes import name_hash
from pipeline.mapped import read_mapped
from pipeline.normalise import tokens
from pipeline.readers import formats
from pipeline.readers.rows import Columns
from pipeline.stages import scan as stage
from pipeline.stages.inputs import Shard, list_files
from pipeline.stages.places import Places
from pipeline.stages.scan import (
    BANDS,
    DOCUMENTS,
    REJECTED,
    STATUS,
    ScanParameters,
    ScanResult,
    Scratch,
    Segment,
    scan,
    scan_texts,
    sketches_of,
    texts_schema,
)
from tests import oracles
from tests.stages.steps import BY_FILE, PARAMETERS, Corpus, all_rows, columns_of, cut, doc, rows_of, scanned

LONG = "The quick brown fox jumps over the lazy dog, and then once more."
DECOMPOSED = unicodedata.normalize("NFD", "Café au lait, très chaud, s'il vous plaît")
TEXTS = [
    LONG,
    "",
    "one",
    "one two three four",
    "one two three four five",
    " \t\u2028?!… ",
    DECOMPOSED,
    unicodedata.normalize("NFC", DECOMPOSED),
    "漢字かな交じり文",
    LONG.upper(),
    LONG,
    "é" * 300,
    "\u0301",
    "x" * 199 + "😀 and the rest",
    "nul \0 inside the text is kept",
]


def _status(text: str) -> int:
    n = len(tokens(text))
    return STATUS.index("empty" if n == 0 else "short" if n < 5 else "ok")


def _documents(segments: tuple[Segment, ...]) -> list[dict[str, Any]]:
    return all_rows([f"{segment.path}/documents.arrow" for segment in segments])


def _binary(texts: Sequence[str]) -> pa.LargeBinaryArray:
    return pa.array([text.encode() for text in texts], pa.large_binary())


def _rejects(result: ScanResult) -> pa.Table:
    return read_mapped(result.rejects)


def _expected_document(row: int, text: str) -> dict[str, Any]:
    return {
        "piece": 0,
        "row": row,
        "text_id": oracles.text_id(text),
        "n_bytes": len(text.encode()),
        "n_tokens": len(tokens(text)),
        "status": _status(text),
        "id": None,
        "source": None,
        "licence": None,
        "sample": text[:200],
    }


def _expected_text(row: int, text: str, parameters: ScanParameters = PARAMETERS) -> dict[str, Any]:
    low, high = oracles.halves(oracles.normalised_hash(text))
    raw_low, raw_high = oracles.halves(oracles.raw_hash(text.encode()))
    signature = oracles.signature(text, parameters.permutations, parameters.seed, parameters.shingle_tokens)
    return {
        "text_id": low,
        "text_high": high,
        "raw_low": raw_low,
        "raw_high": raw_high,
        "source": 0,
        "licence": 0,
        "piece": 0,
        "row": row,
        "n_tokens": len(tokens(text)),
        "sketch": bytes(oracles.sketch(signature)),
    }


def _expected_bands(texts: list[str], parameters: ScanParameters = PARAMETERS) -> list[tuple[int, int]]:
    pairs = set()
    for text in texts:
        signature = oracles.signature(
            text, parameters.permutations, parameters.seed, parameters.shingle_tokens
        )
        keys = oracles.band_keys(signature, parameters.bands, parameters.rows)
        pairs |= {(key, oracles.text_id(text)) for key in keys}
    return sorted(pairs)


# --- content --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """One file with a text of every kind, scanned."""
    return scanned(tmp_path_factory.mktemp("scan"), TEXTS)


def test_documents_are_the_rows_in_their_order(corpus: Corpus) -> None:
    assert _documents(corpus.segments) == [_expected_document(row, text) for row, text in enumerate(TEXTS)]
    assert {STATUS[row["status"]] for row in _documents(corpus.segments)} == set(STATUS)


def test_texts_are_those_with_tokens_in_order_of_text_id(corpus: Corpus) -> None:
    (segment,) = corpus.segments
    with_tokens = [(row, text) for row, text in enumerate(TEXTS) if tokens(text)]
    expected = [_expected_text(row, text) for row, text in with_tokens]
    found = rows_of(f"{segment.path}/texts.arrow")
    assert found == sorted(expected, key=lambda each: (each["text_id"], each["row"]))
    assert len({each["text_id"] for each in found}) < len(found), "equal texts stand in it twice"


def test_bands_are_those_of_each_distinct_text_in_order_of_key(corpus: Corpus) -> None:
    (segment,) = corpus.segments
    found = [(row["key"], row["text_id"]) for row in rows_of(f"{segment.path}/bands.arrow")]
    assert [key for key, _ in found] == sorted(key for key, _ in found)
    assert sorted(found) == _expected_bands([text for text in TEXTS if tokens(text)])


def test_files_have_the_declared_columns(corpus: Corpus) -> None:
    (segment,) = corpus.segments
    schemas = {"documents": DOCUMENTS, "texts": texts_schema(PARAMETERS.permutations), "bands": BANDS}
    for name, schema in schemas.items():
        assert read_mapped(f"{segment.path}/{name}.arrow").schema.equals(schema)
    assert read_mapped(corpus.results[0].rejects).schema.equals(REJECTED)


def test_parameters_decide_what_is_kept(tmp_path: Path) -> None:
    other = ScanParameters(Columns(), 2, 24, 7, 5, 3)
    (segment,) = scanned(tmp_path, [LONG, "a b c"], parameters=other).segments
    found = rows_of(f"{segment.path}/texts.arrow")
    expected = [_expected_text(0, LONG, other), _expected_text(1, "a b c", other)]
    assert found == sorted(expected, key=lambda each: each["text_id"])
    bands = [(row["key"], row["text_id"]) for row in rows_of(f"{segment.path}/bands.arrow")]
    assert sorted(bands) == _expected_bands([LONG, "a b c"], other)
    assert [row["status"] for row in _documents((segment,))] == [0, 0]


def test_text_larger_than_the_scratch_is_scanned(tmp_path: Path) -> None:
    large = " ".join(f"word{i}" for i in range(40_000))
    (segment,) = scanned(tmp_path, ["a b c d e f", large, "漢" * 90_000, "a b c d e f"]).segments
    found = rows_of(f"{segment.path}/documents.arrow")
    assert [row["n_tokens"] for row in found] == [6, 40_000, 90_000, 6]
    assert [row["text_id"] for row in found[:2]] == [oracles.text_id("a b c d e f"), oracles.text_id(large)]


def test_text_beyond_ascii_and_not_composed_counts_like_its_composition() -> None:
    texts = ["plain text of ascii letters", DECOMPOSED, unicodedata.normalize("NFC", DECOMPOSED)]
    found, _ = scan_texts(_binary(texts), Scratch(PARAMETERS))
    assert found.normalised[1].tolist() == found.normalised[2].tolist()
    assert found.sketches[1].tolist() == found.sketches[2].tolist()
    assert found.keys[1].tolist() == found.keys[2].tolist()
    assert found.raw[1].tolist() != found.raw[2].tolist()
    assert found.raw[1].tolist() == list(oracles.halves(oracles.raw_hash(DECOMPOSED.encode())))


# --- labels ---------------------------------------------------------------------------------------


def _scan_file(path: Path, folder: Path, parameters: ScanParameters, source: str | None = None) -> ScanResult:
    (shard,) = cut(list_files([str(path)], "auto").files, 1 << 20, source)
    return scan(shard, parameters, str(folder), False)


def test_labels_come_from_columns(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "name": 7, "site": "web", "terms": "MIT"},
        {"text": "b", "site": None},
        {"text": "c", "name": "x"},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    parameters = replace(PARAMETERS, columns=Columns("text", "name", "site", "terms"))
    (segment,) = _scan_file(path, tmp_path / "scan", parameters, BY_FILE).segments
    assert [(row["id"], row["source"], row["licence"]) for row in _documents((segment,))] == [
        ("7", "web", "MIT"),
        (None, None, None),
        ("x", None, None),
    ]
    texts = sorted(rows_of(f"{segment.path}/texts.arrow"), key=lambda row: row["row"])
    hashes = [(name_hash("web"), name_hash("MIT")), (0, 0), (0, 0)]
    assert [(row["source"], row["licence"]) for row in texts] == hashes


def test_source_comes_from_the_path_where_no_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a", "source": "no"}\n{"text": 5}\n{"text": "b"}\n')
    found = _documents(_scan_file(path, tmp_path / "scan", PARAMETERS, BY_FILE).segments)
    assert [row["source"] for row in found] == ["a", "a"]


# --- segments -------------------------------------------------------------------------------------


def _sorted_texts(segments: tuple[Segment, ...], schema: list[str]) -> list[tuple[Any, ...]]:
    paths = [f"{segment.path}/texts.arrow" for segment in segments]
    return sorted(tuple(row[name] for name in schema) for row in all_rows(paths))


def test_segments_split_a_shard_and_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, corpus: Corpus
) -> None:
    monkeypatch.setattr(stage, "SEGMENT_ROWS", 4)
    monkeypatch.setattr(stage, "BATCH_BYTES", 1)
    monkeypatch.setattr(stage, "read", lambda piece, columns: formats.read(piece, columns, 1))
    result = scan(corpus.shards[0], PARAMETERS, str(tmp_path), False)
    assert [segment.documents for segment in result.segments] == [4, 4, 4, 3]
    assert len({segment.path for segment in result.segments}) == 4
    assert result.piece_rows == (len(TEXTS),)
    assert _documents(result.segments) == _documents(corpus.segments)
    names = texts_schema(PARAMETERS.permutations).names
    assert _sorted_texts(result.segments, names) == _sorted_texts(corpus.segments, names)
    for segment in result.segments:
        ids = [row["text_id"] for row in rows_of(f"{segment.path}/texts.arrow")]
        keys = [row["key"] for row in rows_of(f"{segment.path}/bands.arrow")]
        assert (ids, keys) == (sorted(ids), sorted(keys))
        held = {row["text_id"] for row in _documents((segment,)) if row["status"] < 2}
        assert {row["text_id"] for row in rows_of(f"{segment.path}/bands.arrow")} == held


def test_small_files_are_scanned_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {f"{i:02d}": [f"{LONG} {i}", None, f"short {i}"] for i in range(7)}
    calls = Counter[int]()
    whole = stage.scan_texts

    def counted(texts: pa.LargeBinaryArray, scratch: Scratch) -> Any:
        calls[len(texts)] += 1
        return whole(texts, scratch)

    monkeypatch.setattr(stage, "scan_texts", counted)
    corpus = scanned(tmp_path, texts)
    assert calls == {14: 1}
    (segment,) = corpus.segments
    found = [(row["piece"], row["row"], row["text_id"]) for row in _documents((segment,))]
    expected = [
        (i, row, oracles.text_id(text))
        for i, held in enumerate(texts.values())
        for row, text in enumerate(held)
        if text
    ]
    assert found == expected
    assert columns_of(_rejects(corpus.results[0]), "piece", "row") == [(i, 1) for i in range(7)]


def test_files_do_not_depend_on_when_they_are_scanned(tmp_path: Path, corpus: Corpus) -> None:
    again = scan(corpus.shards[0], PARAMETERS, str(tmp_path), False)
    for one, two in zip(again.segments, corpus.segments, strict=True):
        for name in ("documents", "texts", "bands"):
            assert (
                Path(f"{one.path}/{name}.arrow").read_bytes() == Path(f"{two.path}/{name}.arrow").read_bytes()
            )


def test_shard_without_documents_has_no_segment(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, {"a": [], "b": [None]})
    (result,) = corpus.results
    assert (result.segments, result.piece_rows, result.rejected) == ((), (0, 1), 1)


def test_segment_of_empty_texts_alone_has_no_text(tmp_path: Path) -> None:
    (segment,) = scanned(tmp_path, ["", " ", "!"]).segments
    assert [row["status"] for row in _documents((segment,))] == [2, 2, 2]
    assert rows_of(f"{segment.path}/texts.arrow") == rows_of(f"{segment.path}/bands.arrow") == []


# --- rejects --------------------------------------------------------------------------------------


def test_rejects_are_numbered_by_piece_and_row(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").write_bytes(b'text,n\nfine,1\nbad \xff byte,2\nonly one field\n"good, too",3\n')
    (folder / "b.jsonl").write_bytes(
        b'{"text": "one"}\n\n{"text": 5}\nnot json\n{"text": null}\n[1]\n{"text": "e\\u0301"}\n'
    )
    (folder / "c.txt").write_bytes("cafe\u0301 ".encode() + b"\x80 tail")
    files = list_files([str(path) for path in sorted(folder.iterdir())], "auto").files
    (shard,) = cut(files, 1 << 20)
    result = scan(shard, PARAMETERS, str(tmp_path / "scan"), False)
    assert result.rejected == 7
    assert result.piece_rows == (4, 6, 1)
    found = _rejects(result)
    assert columns_of(found, "piece", "row", "reason") == [
        (0, 1, "invalid_utf8"),
        (0, 2, "wrong_field_count"),
        (1, 1, "text_not_string"),
        (1, 2, "malformed_json"),
        (1, 3, "null_text"),
        (1, 4, "not_an_object"),
        (2, 0, "invalid_utf8"),
    ]
    details = [row["detail"] for row in found.to_pylist()]
    assert details[0] == "byte 4 of the text is not UTF-8"
    assert details[6] == "byte 7 of the text is not UTF-8"
    documents = [(row["piece"], row["row"], row["sample"]) for row in _documents(result.segments)]
    assert documents == [(0, 0, "fine"), (0, 3, "good, too"), (1, 0, "one"), (1, 5, "e\u0301")]


def test_every_row_is_a_document_or_a_reject_however_the_file_is_cut(tmp_path: Path) -> None:
    texts = [None if i % 5 == 3 else f"{LONG} {i}" for i in range(20)]
    seen = []
    for shard_bytes in (30, 100, 1000, 1 << 20):
        corpus = scanned(tmp_path / str(shard_bytes), {"a": texts, "b": texts[:7]}, shard_bytes=shard_bytes)
        places = Places(corpus.places)
        found: dict[str, list[int]] = {"documents": [], "rejects": []}
        for shard, result in zip(corpus.shards, corpus.results, strict=True):
            assert sum(result.piece_rows) == sum(s.documents for s in result.segments) + result.rejected
            tables = {"documents": _documents(result.segments), "rejects": _rejects(result).to_pylist()}
            for name, table in tables.items():
                pieces, rows = (np.array([row[key] for row in table], np.int64) for key in ("piece", "row"))
                found[name] += places.doc_ids(shard.number, pieces, rows).tolist()
        assert found["documents"] == sorted(found["documents"])
        seen.append(found)
    holds = {number for number, text in corpus.texts.items() if text is not None}
    assert seen == [{"documents": sorted(holds), "rejects": sorted(set(corpus.texts) - holds)}] * 4


# --- files that are bad or change -----------------------------------------------------------------


def _bad_among_good(folder: Path) -> Shard:
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(b'{"text": "good one"}\n')
    table = pa.table({"text": ["first", "second"] * 2000})
    pq.write_table(table, folder / "b.parquet", row_group_size=1000, compression="none", use_dictionary=False)
    (folder / "c.jsonl").write_bytes(b'{"text": "good two"}\n')
    content = bytearray((folder / "b.parquet").read_bytes())
    content[20_000:22_000] = bytes(2000)
    (folder / "b.parquet").write_bytes(content)
    (shard,) = cut(list_files([str(folder)], "auto").files, 1 << 20)
    return shard


def test_file_that_turns_out_bad_ends_the_scan(tmp_path: Path) -> None:
    shard = _bad_among_good(tmp_path / "in")
    with pytest.raises(InputError, match="cannot be read to its end") as caught:
        scan(shard, PARAMETERS, str(tmp_path / "scan"), False)
    assert caught.value.where == str(tmp_path / "in" / "b.parquet")


def test_file_that_turns_out_bad_is_reported_if_bad_files_are_rejected(tmp_path: Path) -> None:
    shard = _bad_among_good(tmp_path / "in")
    result = scan(shard, PARAMETERS, str(tmp_path / "scan"), True)
    assert result.segments == ()
    assert result.problems
    for at, error in result.problems:
        assert shard.pieces[at].file.uri == error.where == str(tmp_path / "in" / "b.parquet")
    without = replace(shard, pieces=tuple(p for p in shard.pieces if not p.file.uri.endswith("b.parquet")))
    again = scan(without, PARAMETERS, str(tmp_path / "again"), True)
    assert [row["sample"] for row in _documents(again.segments)] == ["good one", "good two"]


@pytest.mark.parametrize("reject", [False, True])
def test_file_that_lacks_the_column_is_a_bad_file(tmp_path: Path, reject: bool) -> None:
    (tmp_path / "a.csv").write_bytes(b"body\nx\n")
    (shard,) = cut(list_files([str(tmp_path / "a.csv")], "auto").files, 1 << 20)
    if reject:
        ((at, error),) = scan(shard, PARAMETERS, str(tmp_path / "scan"), True).problems
        assert (at, error.where) == (0, str(tmp_path / "a.csv"))
    else:
        with pytest.raises(InputError):
            scan(shard, PARAMETERS, str(tmp_path / "scan"), False)


@pytest.mark.parametrize("reject", [False, True])
def test_file_that_changed_before_or_during_the_scan_always_ends_it(
    tmp_path: Path, reject: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "one two"}\n' * 10)
    (shard,) = cut(list_files([str(path)], "auto").files, 1 << 20)

    def while_read(piece: Any, columns: Columns) -> Any:
        yield from formats.read(piece, columns)
        os.utime(path, (5, 5))

    def never(*_: Any) -> Any:
        raise AssertionError("it was read")

    monkeypatch.setattr(stage, "read", while_read)
    with pytest.raises(InputChangedError):
        scan(shard, PARAMETERS, str(tmp_path / "scan"), reject)
    monkeypatch.setattr(stage, "read", never)
    with pytest.raises(InputChangedError):
        scan(shard, PARAMETERS, str(tmp_path / "scan"), reject)
    path.unlink()
    with pytest.raises(InputChangedError, match="gone"):
        scan(shard, PARAMETERS, str(tmp_path / "scan"), reject)


# --- sketches -------------------------------------------------------------------------------------


def test_sketches_are_found_wherever_the_text_was_scanned(tmp_path: Path) -> None:
    texts = {"a": ["one two three", LONG, ""], "b": [LONG, "four five"], "c": ["six"]}
    corpus = scanned(tmp_path, texts, shard_bytes=1)
    wanted = ["six", LONG, "one two three", LONG]
    ids = np.array([oracles.text_id(text) for text in wanted], np.uint64)
    found = sketches_of(corpus.segments, (0, 1 << 64), PARAMETERS.permutations, ids)
    assert found.tolist() == [
        oracles.sketch(oracles.signature(text, PARAMETERS.permutations, PARAMETERS.seed)) for text in wanted
    ]
    assert sketches_of(corpus.segments, (0, 1 << 64), PARAMETERS.permutations, ids[:0]).shape == (0, 64)
    assert corpus.texts[doc(1, 0)] == LONG
