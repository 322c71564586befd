"""Tests that the same input gives the same bytes, however the work is cut up or the input is named."""

from __future__ import annotations

import csv
import gzip
import json
import random
import shutil
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import ipc

from tests import corpus
from tests.audits import Audited, audit, write_rows
from tests.conftest import SHARED_DATA

SETTINGS: dict[str, Any] = {
    "id_column": "id",
    "source": {"column": "source"},
    "on_bad_file": "reject",
    "max_rejected_fraction": 1,
}
Rows = Sequence[Mapping[str, str | None]]


def mixed_rows() -> list[dict[str, str | None]]:
    """Copies, near copies, chains, short and empty texts, nulls."""
    rng = random.Random(1)
    words = corpus.fresh(rng, 120)
    texts: list[str | None] = [corpus.window(words, 3 * i, 20) for i in range(16)]
    texts += [corpus.joined(corpus.edited(rng, words[:24], 1).split()) for _ in range(8)]
    texts += ["a b", "A, b!", "a b", "", " ", "...", None, "東京", "e\u0301 x", "\u00e9 x", *texts[:6]]
    rng.shuffle(texts)
    texts += ["a B", None, "", "a b c d e f g h", "a b c d e f g h i"]  # the last file: it is cut by bytes
    return [{"id": f"r{i}", "text": text, "source": "xyz"[i % 3]} for i, text in enumerate(texts)]


def write_parquet(path: Path, rows: Rows, row_group_size: int = 2) -> None:
    pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), path, row_group_size=row_group_size)


def write_arrow(path: Path, rows: Rows) -> None:
    table = pa.Table.from_pylist([dict(row) for row in rows])
    with ipc.new_file(path, table.schema) as file:
        file.write_table(table, max_chunksize=3)


def write_csv(path: Path, rows: Rows) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["id", "text", "source"])
        writer.writeheader()
        writer.writerows(rows)


def write_gzipped(path: Path, rows: Rows) -> None:
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


WRITERS: dict[str, Callable[[Path, Rows], object]] = {
    "a.parquet": write_parquet,
    "b.arrow": write_arrow,
    "c.csv": write_csv,
    "d.jsonl.gz": write_gzipped,
    "e.jsonl": write_rows,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files of five formats, a damaged one among them."""
    folder = tmp_path_factory.mktemp("mixed")
    rows = mixed_rows()
    bounds = [0, 12, 20, 30, len(rows) - 5, len(rows)]
    for (name, write), first, stop in zip(WRITERS.items(), bounds, bounds[1:], strict=False):
        write(folder / name, rows[first:stop])
    with (folder / "e.jsonl").open("ab") as file:
        file.write(b'{"text": \n{"text": "a b \xff"}\n[]\n\n')
    (folder / "bad.parquet").write_bytes((folder / "a.parquet").read_bytes()[:-9])
    return folder


@pytest.fixture(scope="module")
def wanted(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of an audit of that folder as it comes."""
    audited = audit(folder, tmp_path_factory.mktemp("wanted"), **SETTINGS)
    assert len(audited.documents) > 30
    assert len(audited.rejects) == 6
    assert len(audited.pairs) > 10
    assert {row["distinct_texts"] > 1 for row in audited.clusters} == {True, False}
    return audited.bytes_of_files()


def check(audited: Audited, wanted: dict[str, bytes]) -> None:
    found = audited.bytes_of_files()
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []


def test_a_second_run_writes_the_same_bytes(folder: Path, wanted: dict[str, bytes], tmp_path: Path) -> None:
    check(audit(folder, tmp_path, **SETTINGS), wanted)


@pytest.mark.parametrize(
    "local",
    [
        {"threads": 1},
        {"threads": 2},
        {"threads": 4},
        {"workers": 2, "threads": 1},
        {"workers": 4, "threads": 1},
    ],
    ids=str,
)
def test_workers_and_threads_change_no_byte(
    folder: Path, wanted: dict[str, bytes], tmp_path: Path, local: dict[str, object]
) -> None:
    cluster = {"local": local}
    check(audit(folder, tmp_path, cluster=cluster, shard_bytes=100, **SETTINGS), wanted)


def test_processes_change_no_byte(folder: Path, wanted: dict[str, bytes], tmp_path: Path) -> None:
    cluster = {"local": {"processes": True, "workers": 2}}
    check(audit(folder, tmp_path, cluster=cluster, shard_bytes=1000, **SETTINGS), wanted)


@pytest.mark.parametrize("shard_bytes", [1, 37, 1000])
def test_the_size_of_shards_changes_no_byte(
    folder: Path, wanted: dict[str, bytes], tmp_path: Path, shard_bytes: int
) -> None:
    check(audit(folder, tmp_path, shard_bytes=shard_bytes, **SETTINGS), wanted)


def test_how_the_inputs_are_named_changes_no_byte(
    folder: Path, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    files = sorted(folder.iterdir())
    ways: dict[str, list[Path | str]] = {
        "backwards": [*reversed(files)],
        "by-glob": [f"{folder}/*"],
        "twice": [folder, f"{folder}/*.jsonl", *files],
        "by-URL": [f"file://{folder}"],
        "by-globs-out-of-order": [f"{folder}/[b-z]*", f"{folder}/a*"],
    }
    for name, inputs in ways.items():
        check(audit(inputs, tmp_path, name, **SETTINGS), wanted)


def test_the_current_folder_changes_no_byte(
    folder: Path, wanted: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    check(audit(".", tmp_path, **SETTINGS), wanted)
    monkeypatch.chdir(folder.parent)
    check(audit(f"{folder.name}/*", tmp_path, "by-relative-glob", **SETTINGS), wanted)


@pytest.mark.parametrize("damage", ["short", "torn"])
def test_the_reason_for_a_rejected_file_does_not_depend_on_shards(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write_rows(folder / "a.jsonl", [{"text": "a b c"}] * 5)
    rows = [{"text": corpus.text(random.Random(i), 40)} for i in range(30)]
    write_parquet(folder / "b.parquet", rows, row_group_size=5)
    content = bytearray((folder / "b.parquet").read_bytes())
    if damage == "short":
        content[-5:] = b""
    else:
        for i in range(6):
            at = len(content) * (i + 1) // 8
            content[at : at + 40] = bytes(40)
    (folder / "b.parquet").write_bytes(content)
    whole = audit(folder, tmp_path / "out", "whole", on_bad_file="reject")
    assert [row["reason"] for row in whole.rejects] == ["unreadable_file"]
    for shard_bytes in (1, 3000):
        cut = audit(folder, tmp_path / "out", str(shard_bytes), on_bad_file="reject", shard_bytes=shard_bytes)
        check(cut, whole.bytes_of_files())


def test_the_format_of_a_file_changes_no_finding(tmp_path: Path) -> None:
    rows = [row for row in mixed_rows() if row["text"] is not None]
    found = []
    for name, write in WRITERS.items():
        path = tmp_path / name
        write(path, rows)
        audited = audit(path, tmp_path / "out", name, id_column="id", source={"column": "source"})
        assert {row.pop("uri") for row in audited.documents} == {str(path)}
        found.append((audited.documents, audited.pairs, audited.clusters, audited.rows("summary/histogram")))
    assert all(each == found[0] for each in found)


def real_files(folder: Path) -> None:
    """Licence texts as Parquet and JSON Lines, or the standard library's sources where those are not."""
    folder.mkdir()
    if SHARED_DATA.is_dir():
        rows = pq.read_table(SHARED_DATA / "spdx-licences").to_pylist()
        write_parquet(folder / "a.parquet", rows[:300], row_group_size=50)
        write_rows(folder / "b.jsonl", rows[300:600])
        write_parquet(folder / "c.parquet", rows[600:], row_group_size=50)
        return
    for path in sorted(Path(sysconfig.get_path("stdlib"), "email").glob("*.py")):
        shutil.copy(path, folder)
        shutil.copy(path, folder / f"copy_of_{path.name}")


def test_real_texts_give_the_same_bytes_whatever_the_workers_and_shards(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    real_files(folder)
    whole = audit(folder, tmp_path, "whole")
    assert len(whole.clusters) > 10
    for threads, shard_bytes in ((1, 300_000), (4, 20_000)):
        cluster = {"local": {"threads": threads}}
        cut = audit(f"{folder}/*", tmp_path, str(threads), cluster=cluster, shard_bytes=shard_bytes)
        check(cut, whole.bytes_of_files())


@pytest.mark.slow
def test_real_texts_give_the_same_bytes_from_processes(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    real_files(folder)
    whole = audit(folder, tmp_path, "whole")
    for workers in (1, 2, 4):
        cluster = {"local": {"processes": True, "workers": workers}}
        cut = audit(folder, tmp_path, str(workers), cluster=cluster, shard_bytes=100_000)
        check(cut, whole.bytes_of_files())
