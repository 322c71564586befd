"""Tests that no input row vanishes: each is a document with a status, or a reject with a reason."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from pyarrow import ipc

from pipeline.errors import AuditError, ConfigError, InputError
from tests.audits import Audited, audit, audit_texts, without_dask, write_rows

GOOD = "one two three four five six"
NASTY: dict[str, tuple[bytes | None, str]] = {
    "null": (None, "null_text"),
    "empty": (b"", "empty"),
    "whitespace": (b" \t\r\n \xc2\xa0 \xe3\x80\x80", "empty"),
    "punctuation": (b"... !? -- (;)", "empty"),
    "emoji": ("🙂👍🏽".encode(), "empty"),
    "one token": (b"one", "short"),
    "four tokens": (b"one, two, three, four", "short"),
    "four signs": ("東京都庁".encode(), "short"),
    "five tokens": (b"one two three four five", "ok"),
    "invalid UTF-8": (b"one two three \xff four five", "invalid_utf8"),
    "cut in a character": ("one two three four fü".encode()[:-1], "invalid_utf8"),
    "a surrogate as bytes": (b"one \xed\xa0\x80 two", "invalid_utf8"),
    "overlong": (b"one \xc0\xaf two three four five", "invalid_utf8"),
    "invalid after a combining mark": (b"e\xcc\x81 x \xff", "invalid_utf8"),
    "NUL": (b"one\x00two three four five", "ok"),
    "byte order mark": (b"\xef\xbb\xbfone two three four five", "ok"),
    "line ends": (b"one\ntwo\r\nthree\rfour\xe2\x80\xa8five", "ok"),
    "quotes": (b'"one" \'two\' ""three, four;\tfive', "ok"),
    "good": (GOOD.encode(), "ok"),
}
CONTENTS = [content for content, _ in NASTY.values()]
OUTCOMES = [outcome for _, outcome in NASTY.values()]


@pytest.fixture(autouse=True)
def _quick(request: pytest.FixtureRequest) -> Iterator[None]:
    # Most tests do without Dask; errors are told through it.
    if "error" in request.node.name:
        yield
        return
    with without_dask():
        yield


def outcomes(audited: Audited, path: Path) -> dict[int, str]:
    """The status or the reject's reason of every row of a file, each row seen once."""
    found = [(row["row"], row["status"]) for row in audited.documents if row["uri"] == str(path)]
    found += [(row["row"], row["reason"]) for row in audited.rejects if row["uri"] == str(path)]
    assert len(dict(found)) == len(found)
    return dict(sorted(found))


def json_string(content: bytes) -> bytes:
    """A JSON string with the very bytes, whether they are UTF-8 or not."""
    text = content.decode("utf-8", "surrogateescape")
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogateescape")


def json_lines() -> bytes:
    lines = [b'{"text": ' + (b"null" if c is None else json_string(c)) + b"}\n" for c in CONTENTS]
    return b"".join(lines)


def delimited(delimiter: str) -> bytes:
    held = io.StringIO(newline="")
    writer = csv.writer(held, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["text", "other"])
    for content in CONTENTS:
        writer.writerow([(content or b"").decode("utf-8", "surrogateescape"), "x"])
    return held.getvalue().encode("utf-8", "surrogateescape")


def parquet() -> bytes:
    held = io.BytesIO()
    pq.write_table(pa.table({"text": pa.array(CONTENTS, pa.binary())}), held, row_group_size=4)
    return held.getvalue()


def arrow() -> bytes:
    held = io.BytesIO()
    table = pa.table({"text": pa.array(CONTENTS, pa.large_binary())})
    with ipc.new_file(held, table.schema) as file:
        file.write_table(table, max_chunksize=5)
    return held.getvalue()


MAKERS: dict[str, Callable[[], bytes]] = {
    "a.jsonl": json_lines,
    "a.jsonl.gz": lambda: gzip.compress(json_lines()),
    "a.jsonl.zst": lambda: zstandard.ZstdCompressor().compress(json_lines()),
    "a.jsonl.bz2": lambda: bz2.compress(json_lines()),
    "a.ndjson.xz": lambda: lzma.compress(json_lines()),
    "a.csv": lambda: delimited(","),
    "a.tsv": lambda: delimited("\t"),
    "a.parquet": parquet,
    "a.arrow": arrow,
}


@pytest.mark.parametrize("shard_bytes", [300, 1 << 25])
@pytest.mark.parametrize("name", MAKERS)
def test_every_row_of_a_file_has_its_outcome(tmp_path: Path, name: str, shard_bytes: int) -> None:
    path = tmp_path / name
    path.write_bytes(MAKERS[name]())
    wanted = list(OUTCOMES)
    if name.endswith(("csv", "tsv")):
        wanted[0] = "empty"  # these formats know no null
    audited = audit(path, tmp_path / "out", shard_bytes=shard_bytes)
    assert outcomes(audited, path) == dict(enumerate(wanted))
    [file] = audited.rows("inputs")
    assert file["rows"] == audited.metrics["input_rows"] == len(wanted)
    assert [row["doc_id"] for row in audited.documents] == [row["row"] for row in audited.documents]
    assert audited.metrics["rejected_rows"] == len(audited.rejects)
    assert all(row["detail"] and "\n" not in row["detail"] for row in audited.rejects)


def test_every_text_file_is_a_document_or_a_reject(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    paths = {folder / f"{i:02}.txt": outcome for i, outcome in enumerate(OUTCOMES) if i > 0}
    for path, content in zip(paths, CONTENTS[1:], strict=True):
        path.write_bytes(content or b"")
    audited = audit(folder, tmp_path / "out")
    assert {path: outcomes(audited, path) for path in paths} == {
        path: {0: outcome} for path, outcome in paths.items()
    }


def test_lines_that_are_no_documents_are_rejected_one_by_one(tmp_path: Path) -> None:
    lines = {
        b'{"text": "one two"}': "short",
        b'{"text": "one': "malformed_json",
        b"not JSON at all": "malformed_json",
        b'["one"]': "not_an_object",
        b'"one"': "not_an_object",
        b"null": "not_an_object",
        b'{"text": 7}': "text_not_string",
        b'{"text": ["one"]}': "text_not_string",
        b'{"text": null}': "null_text",
        b'{"Text": "one"}': "null_text",
        b"{}": "null_text",
        b'{"text": "half a pair: \\ud83d"}': "invalid_utf8",
        b'{"text": "a pair: \\ud83d\\ude42"}': "short",
        b'{"text": "\xff"}': "invalid_utf8",
        b'{"text": "one"} trailing': "malformed_json",
        b'{"text": "last, without a line end"}': "ok",
    }
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    for shard_bytes in (10, 1 << 25):
        audited = audit(
            path, tmp_path / "out", str(shard_bytes), shard_bytes=shard_bytes, max_rejected_fraction=0.9
        )
        assert list(outcomes(audited, path).values()) == list(lines.values())


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\n\n{"text": "a"}\n   \n\r\n{"text": "b"}\n\n')
    audited = audit(path, tmp_path / "out")
    assert [row["row"] for row in audited.documents] == [0, 1]


def test_records_with_too_few_or_too_many_fields_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'text,other\none,x\ntwo\nthree,x,y\n"four\nfive",x\n\nsix,x\n"open,x\n')
    audited = audit(path, tmp_path / "out")
    assert list(outcomes(audited, path).values()) == [
        "short",
        "wrong_field_count",
        "wrong_field_count",
        "short",
        "short",
        "unclosed_quote",
    ]


def test_rejected_rows_do_not_shift_the_rows_behind_them(tmp_path: Path) -> None:
    texts = [None if i % 3 == 0 else f"{GOOD} {i // 6}" for i in range(60)]
    path = write_rows(tmp_path / "a.jsonl", [{"text": text, "id": f"r{i}"} for i, text in enumerate(texts)])
    for shard_bytes in (100, 1 << 25):
        audited = audit(path, tmp_path / "out", str(shard_bytes), shard_bytes=shard_bytes, id_column="id")
        assert {row["row"]: row["id"] for row in audited.documents} == {
            i: f"r{i}" for i, text in enumerate(texts) if text is not None
        }
        assert [row["row"] for row in audited.rejects] == [i for i, text in enumerate(texts) if text is None]
        for pair in audited.pairs:
            a, b = texts[pair["doc_a"]], texts[pair["doc_b"]]
            assert a is not None
            assert b is not None
            assert a != b


def good_file(folder: Path) -> Path:
    return write_rows(folder / "good.jsonl", [{"text": GOOD}] * 3)


def cut_parquet(path: Path) -> None:
    path.write_bytes(parquet()[:-20])


def torn_parquet(path: Path) -> None:
    content = bytearray(parquet())
    content[len(content) // 3 : len(content) // 3 + 20] = bytes(20)
    path.write_bytes(content)


def other_columns(path: Path) -> None:
    pq.write_table(pa.table({"body": ["one"], "title": ["two"]}), path)


def numbers_for_text(path: Path) -> None:
    pq.write_table(pa.table({"text": [1, 2]}), path)


BAD_FILES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "truncated": ("bad.parquet", cut_parquet, "Parquet"),
    "damaged inside": ("bad.parquet", torn_parquet, "Parquet"),
    "without a byte": ("bad.parquet", lambda path: path.write_bytes(b""), "Parquet"),
    "not what its name says": ("bad.parquet", lambda path: path.write_bytes(b"text"), "Parquet"),
    "without the column": ("bad.parquet", other_columns, "'body', 'title'"),
    "without text in the column": ("bad.parquet", numbers_for_text, "int64"),
    "truncated gzip": (
        "bad.jsonl.gz",
        lambda p: p.write_bytes(gzip.compress(json_lines())[:-30]),
        "JSON Lines",
    ),
    "truncated xz": (
        "bad.jsonl.xz",
        lambda p: p.write_bytes(lzma.compress(json_lines())[:-30]),
        "JSON Lines",
    ),
    "not gzip": ("bad.jsonl.gz", lambda path: path.write_bytes(b"{}"), "JSON Lines"),
    "truncated Arrow": ("bad.arrow", lambda path: path.write_bytes(arrow()[:-30]), "Arrow"),
    "CSV without the column": ("bad.csv", lambda path: path.write_bytes(b"body\none\n"), "'body'"),
    "CSV without a header": ("bad.csv", lambda path: path.write_bytes(b""), "header"),
    "a name that is not UTF-8": ("bad\udcff.jsonl", lambda path: path.write_bytes(b"{}"), "surrogates"),
}


def check_message(error: AuditError, *parts: str) -> None:
    """It says what, where, what was found, what was expected and what to do."""
    message = str(error)
    assert error.where
    assert error.got
    assert error.expected
    assert error.fix
    for part in (error.where, error.got, error.expected, error.fix, *parts):
        assert part in message
    message.encode()


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_file_that_cannot_be_read_ends_the_audit_with_a_clear_error(tmp_path: Path, kind: str) -> None:
    name, make, told = BAD_FILES[kind]
    folder = tmp_path / "data"
    folder.mkdir()
    good_file(folder)
    make(folder / name)
    with pytest.raises(InputError) as caught:
        audit(folder, tmp_path / "out")
    check_message(caught.value, told, ascii(name).strip("'"))
    assert list((tmp_path / "out").iterdir()) == [], "neither a run nor work files are left"


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_file_that_cannot_be_read_is_rejected_if_so_wanted(tmp_path: Path, kind: str) -> None:
    name, make, _ = BAD_FILES[kind]
    folder = tmp_path / "data"
    folder.mkdir()
    write_rows(folder / "a.jsonl", [{"text": GOOD}, {"text": None}])
    make(folder / name)
    write_rows(folder / "z.jsonl", [{"text": None}, {"text": GOOD}])
    for shard_bytes in (20, 1 << 25):
        audited = audit(
            folder, tmp_path / "out", str(shard_bytes), on_bad_file="reject", shard_bytes=shard_bytes
        )
        a, bad, z = (str(folder / each) for each in ("a.jsonl", name.replace("\udcff", "\\udcff"), "z.jsonl"))
        assert [(row["uri"], row["row"], row["reason"]) for row in audited.rejects] == [
            (a, 1, "null_text"),
            (bad, None, "unreadable_file"),
            (z, 0, "null_text"),
        ]
        assert [(row["uri"], row["row"], row["copies"]) for row in audited.documents] == [
            (a, 0, 2),
            (z, 1, 2),
        ]
        assert [(row["uri"], row["rows"]) for row in audited.rows("inputs")] == [(a, 2), (bad, None), (z, 2)]
        metrics = audited.metrics
        assert (metrics["input_rows"], metrics["rejected_rows"], metrics["rejected_files"]) == (4, 2, 1)


def test_a_corpus_of_unreadable_files_only_is_empty_but_for_its_rejects(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        cut_parquet(tmp_path / name)
    audited = audit(f"{tmp_path}/*.parquet", tmp_path / "out", on_bad_file="reject")
    assert [row["reason"] for row in audited.rejects] == ["unreadable_file"] * 2
    assert audited.documents == []


def test_too_many_rejects_end_the_audit_with_the_first_of_them_named(tmp_path: Path) -> None:
    texts = [GOOD] * 6 + [None] * 4
    path = write_rows(tmp_path / "a.jsonl", [{"text": text} for text in texts])
    assert len(audit(path, tmp_path / "out", "at-the-limit", max_rejected_fraction=0.4).rejects) == 4
    with pytest.raises(InputError) as caught:
        audit(path, tmp_path / "out", "above", max_rejected_fraction=0.39)
    check_message(caught.value, str(path), "row 6", "null_text", "4 of 10", "max_rejected_fraction")
    left = sorted(run.name for run in (tmp_path / "out").iterdir())
    assert [name for name in left if not name.startswith(".work-")] == ["at-the-limit", "latest"]


def test_a_text_column_that_no_line_has_is_an_error_that_names_the_setting(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [{"body": GOOD}] * 3)
    with pytest.raises(InputError) as caught:
        audit(path, tmp_path / "out")
    check_message(caught.value, str(path), "row 0", "3 of 3", "text_column")


@pytest.mark.parametrize("setting", ["id_column", "licence_column"])
def test_a_label_column_that_is_not_there_is_an_error_that_names_the_setting(
    tmp_path: Path, setting: str
) -> None:
    pq.write_table(pa.table({"text": [GOOD]}), tmp_path / "a.parquet")
    with pytest.raises(InputError) as caught:
        audit(tmp_path / "a.parquet", tmp_path / "out", **{setting: "absent"})
    check_message(caught.value, "a.parquet", "'absent'", "'text'", setting)


def test_inputs_that_name_no_file_are_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for inputs in ("absent.jsonl", "empty", "*.parquet"):
        with pytest.raises(ConfigError, match="no file to audit") as caught:
            audit(tmp_path / inputs, tmp_path / "out")
        assert inputs in str(caught.value)
        assert caught.value.exit_code == 2


def test_a_finished_run_is_never_written_over(tmp_path: Path) -> None:
    first = audit_texts([GOOD], tmp_path).bytes_of_files()
    with pytest.raises(ConfigError, match="there is a run"):
        audit_texts([GOOD, "other"], tmp_path)
    assert Audited(tmp_path / "audits" / "run").bytes_of_files() == first


def test_an_output_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    path = good_file(tmp_path)
    with pytest.raises(AuditError) as caught:
        audit(path, path / "out")
    assert str(path) in str(caught.value)
    assert caught.value.fix


def test_counts_of_a_mixed_corpus_add_up(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name, make in MAKERS.items():
        (folder / name).write_bytes(make())
    audited = audit(folder, tmp_path / "out", shard_bytes=100)
    rows = Counter(row["uri"] for row in audited.documents) + Counter(row["uri"] for row in audited.rejects)
    assert rows == {row["uri"]: row["rows"] for row in audited.rows("inputs")}
    assert sum(rows.values()) == len(MAKERS) * len(CONTENTS) == audited.metrics["input_rows"]
    good = [row for row in audited.documents if row["status"] != "empty"]
    assert {row["copies"] % len(MAKERS) for row in good} == {0}, "each file holds each text"
