"""Filtered copies of data sets in every format, audited again."""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import ipc

from pipeline.lookup import document_texts
from tests import corpus as planted
from tests.audits import Audited, audit, audit_texts, write_rows
from tests.kept import POLICIES, KeepList, all_here, keep
from tests.searching import few

ODD_NAMES = ('it\'s "odd"\n.jsonl', "::[1]*?.jsonl")


def _texts() -> list[str]:
    """Copies, near copies, a chain, shared passages, a predictable one, short and empty texts."""
    rng = random.Random(5)
    one, two, boilerplate = planted.fresh(rng, 80), planted.fresh(rng, 90), planted.text(rng, 56)
    windows = [planted.window(one, start, 60) for start in (0, 2, 4, 6)]
    chain = [planted.window(two, start, 40) for start in (0, 6, 12)]
    pages = [f"{planted.text(rng, 9)}. {boilerplate}! {planted.text(rng, 12)}" for _ in range(4)]
    singles = [planted.text(rng, 20) for _ in range(3)]
    copies = [singles[0], singles[0].upper(), f" {singles[0]}\n", pages[0], windows[1]]
    other = [
        "",
        " ...\n",
        "two words",
        "Two, words!",
        "la " * 50,
        "la " * 60,
        boilerplate,
        "Größe 東京 ½ ﬁne",
    ]
    texts = [*singles, *windows, *chain, *pages, *copies, *other]
    rng.shuffle(texts)
    return texts


def _write(folder: Path) -> None:
    texts = _texts()
    rows: list[dict[str, Any]] = [
        {"body": text, "name": f"n{i}", "deep": {"x": [i, None], "y": {"z": "é"}}}
        for i, text in enumerate(texts)
    ]
    rows.insert(4, {"body": None, "name": "rejected", "deep": None})
    (folder / "sub" / "text").mkdir(parents=True)
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, folder / "a.parquet", row_group_size=5, compression="zstd")
    with ipc.new_file(
        folder / "b.arrow", table.schema, options=ipc.IpcWriteOptions(compression="lz4")
    ) as file:
        file.write_table(table, max_chunksize=6)
    write_rows(folder / "sub" / "c.jsonl", rows)
    (folder / "sub" / "d.jsonl.gz").write_bytes(gzip.compress((folder / "sub" / "c.jsonl").read_bytes()))
    for name in ODD_NAMES:
        write_rows(folder / name, rows[3:9])
    with (folder / "e.csv").open("w", encoding="utf-8", newline="") as lines:
        csv.writer(lines).writerows(
            [("name", "body"), ("one field",), *((i, t) for i, t in enumerate(texts))]
        )


def _state(folder: Path) -> dict[str, tuple[bytes, int]]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """A run over the same texts in files of every format with columns."""
    folder = tmp_path_factory.mktemp("keep")
    _write(folder / "in")
    with all_here():
        yield audit(folder / "in", folder / "audits", text_column="body", id_column="name", shard_bytes=3000)


@pytest.fixture(scope="module", params=[*POLICIES, "cap:1", "cap:5"])
def filtered(audited: Audited, request: pytest.FixtureRequest) -> tuple[str, KeepList, Audited, Path]:
    """A policy, its list, the audit of what it leaves, and the folder of that."""
    policy, root = request.param, audited.folder.parents[1]
    before = _state(root / "in")
    found = keep(audited.folder, policy, root / f"out-{policy}")
    assert _state(root / "in") == before, "the audited data is never touched"
    again = audit(root / f"out-{policy}", root / "audits", policy.replace(":", "-"),
                  text_column="body", id_column="name")  # fmt: skip
    return policy, found, again, root / f"out-{policy}"


Filtered = tuple[str, KeepList, Audited, Path]


def test_no_text_is_left_twice_by_one_per_text(filtered: Filtered) -> None:
    policy, _, again, _ = filtered
    if policy == "one-per-text":
        assert again.metrics["exact_surplus_documents"] == 0
        assert again.metrics["near_surplus_documents"] > 0


def test_no_near_pair_is_left_by_one_per_cluster(filtered: Filtered) -> None:
    policy, _, again, _ = filtered
    if policy in {"one-per-cluster", "cap:1"}:
        assert not [pair for pair in again.pairs if pair["jaccard"] >= 0.7]
        assert again.metrics["near_surplus_documents"] == 0


def test_no_group_is_larger_than_the_cap(filtered: Filtered, audited: Audited) -> None:
    policy, _, again, _ = filtered
    if policy.startswith("cap:"):
        cap = int(policy[4:])
        for name in ("raw_copies", "copies", "near_copies"):
            assert max(row[name] for row in audited.documents) > cap
            assert max(row[name] for row in again.documents) == cap


def test_no_passage_is_left_twice_by_drop_passages(filtered: Filtered, audited: Audited) -> None:
    policy, _, again, _ = filtered
    if policy == "drop-passages":
        assert len(audited.rows("passages")) > 5
        assert {row["predictable"] for row in again.rows("passages")} == {True}


def test_what_stays_and_only_that_is_written(filtered: Filtered, audited: Audited) -> None:
    policy, found, again, _ = filtered
    rows = found.rows()
    assert [row["doc_id"] for row in rows] == [row["doc_id"] for row in audited.documents]
    before = document_texts(audited.folder, [row["doc_id"] for row in rows if row["keep"]])
    after = document_texts(again.folder, [row["doc_id"] for row in again.documents])
    root, copy = audited.folder.parents[1] / "in", filtered[3]
    kept = [
        (row["uri"].removeprefix(str(root)), row["id"], before[row["doc_id"]]) for row in rows if row["keep"]
    ]
    left = [(row["uri"].removeprefix(str(copy)), row["id"], after[row["doc_id"]]) for row in again.documents]
    cuts = {row["doc_id"] for row in found.rows("cuts")} if policy == "drop-passages" else set()
    if cuts:
        whole = [row["doc_id"] not in cuts for row in rows if row["keep"]]
        assert [row[:2] for row in left] == [row[:2] for row in kept]
        assert [a == b for a, b in zip(kept, left, strict=True)] == whole
    else:
        assert left == kept
    assert len(again.rejects) == len(audited.rejects), "rows that were not audited pass through"


def test_numbers_after_are_those_of_the_second_audit(filtered: Filtered) -> None:
    policy, found, again, _ = filtered
    if policy == "drop-passages":
        return
    lines = [re.split(r"  +", line) for line in found.words.splitlines()]
    numbers = {line[0]: line[1:] for line in lines if len(line) == 4}
    for label, name in {
        "documents": "documents", "tokens": "tokens", "bytes": "bytes",
        "exact copies: documents in groups of 2 or more": "exact_grouped_documents",
        "exact copies: surplus documents": "exact_surplus_documents",
        "exact copies: largest group": "exact_largest_group",
        "near copies: documents in groups of 2 or more": "near_grouped_documents",
        "near copies: surplus documents": "near_surplus_documents",
        "near copies: largest group": "near_largest_group",
    }.items():  # fmt: skip
        assert numbers[label][1] == f"{again.metrics[name]:,.0f}", label


def test_columns_stay(filtered: Filtered, audited: Audited) -> None:
    _, found, _, copy = filtered
    root = audited.folder.parents[1] / "in"
    gone = {row["id"] for row in found.rows() if not row["keep"] and row["uri"] == str(root / "a.parquet")}
    before, after = pq.read_table(root / "a.parquet"), pq.read_table(copy / "a.parquet")
    assert after.schema.equals(before.schema, check_metadata=True)
    columns = ["name", "deep"]
    expected = [row for row in before.select(columns).to_pylist() if row["name"] not in gone]
    assert after.select(columns).to_pylist() == expected
    for name in ("sub/c.jsonl", *ODD_NAMES):
        lines = [json.loads(line) for line in (copy / name).read_text(encoding="utf-8").splitlines()]
        assert all(list(line) == ["body", "name", "deep"] for line in lines)


def test_cuts_are_of_documents_that_stay(filtered: Filtered, audited: Audited) -> None:
    policy, found, _, _ = filtered
    if policy != "drop-passages":
        assert not (found.folder / "cuts").exists()
        return
    stay = {row["doc_id"] for row in found.rows() if row["reason"] == "passages cut"}
    cuts = found.rows("cuts")
    assert {row["doc_id"] for row in cuts} == stay
    texts = document_texts(audited.folder, stay)
    for row in cuts:
        assert 0 <= row["byte_start"] < row["byte_end"] <= len(texts[row["doc_id"]].encode())
        texts[row["doc_id"]].encode()[row["byte_start"] : row["byte_end"]].decode()


def test_text_files_are_copied_or_left_out(tmp_path: Path) -> None:
    texts, folder = _texts(), tmp_path / "in"
    for i, text in enumerate(texts):
        path = folder / f"d{i % 3}" / f"{i:02d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    with all_here():
        run = audit(folder, tmp_path / "audits")
        found = keep(run.folder, "one-per-text", tmp_path / "out")
        again = audit(tmp_path / "out", tmp_path / "audits", "again")
    assert again.metrics["exact_surplus_documents"] == 0
    kept = {Path(row["uri"]).relative_to(folder): row["keep"] for row in found.rows()}
    left = {path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.txt")}
    assert left == {path for path, keep in kept.items() if keep}
    assert all((tmp_path / "out" / path).read_bytes() == (folder / path).read_bytes() for path in left)
    assert f"Text files left out: {list(kept.values()).count(False)}\n" in found.words


def test_list_and_data_are_the_same_bytes_whatever_the_workers(tmp_path: Path) -> None:
    _write(tmp_path / "in")
    found = []
    for threads in (1, 3):
        cluster: dict[str, Any] = {"local": {"threads": threads}}
        run = audit(
            tmp_path / "in",
            tmp_path / f"audits{threads}",
            text_column="body",
            shard_bytes=1000,
            cluster=cluster,
        )
        out = tmp_path / f"out{threads}"
        made = keep(run.folder, "drop-passages", out)
        data = {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}
        found.append((made.bytes_of_files(), data))
    assert found[0] == found[1]
    assert len(found[0][1]) == 7


@given(
    texts=st.lists(st.lists(st.integers(0, 13), max_size=7), max_size=9),
    policy=st.sampled_from([*POLICIES, "cap:1", "cap:3"]),
)
@few(10)
def test_small_corpora_keep_what_the_policy_promises(
    tmp_path_factory: pytest.TempPathFactory, texts: list[list[int]], policy: str
) -> None:
    folder = tmp_path_factory.mktemp("small")
    rng = random.Random(1)
    blocks = [planted.text(rng, 2) for _ in range(10)] + ["short", "one two", "", "Zzz zzz zzz zzz"]
    documents = [" ".join(blocks[i] for i in text) for text in texts]
    with all_here():
        run = audit_texts(documents, folder, passages={"min_tokens": 8})
        found = keep(run.folder, policy, folder / "out")
        again = audit(folder / "out" / "texts.jsonl", folder / "audits", "again", passages={"min_tokens": 8})
    rows = found.rows()
    assert [row["doc_id"] for row in rows] == [row["doc_id"] for row in run.documents]
    assert len(again.documents) == sum(row["keep"] for row in rows)
    copies = max((row["copies"] for row in again.documents), default=1)
    near = max((row["near_copies"] for row in again.documents), default=1)
    if policy == "one-per-text":
        assert copies == 1
    elif policy != "drop-passages":
        cap = int(policy[4:] or 1) if policy.startswith("cap") else 1
        assert near <= cap
        assert copies <= cap
    else:
        _check_cuts(run, found)


def _check_cuts(run: Audited, found: KeepList) -> None:
    """The bytes that are cut, by the tables of the run and one by one."""
    passages = {row["passage_id"]: row for row in run.rows("passages")}
    places = run.rows("spans")
    often = [row["passage_id"] for row in places]
    later, first = set[tuple[int, int]](), set[tuple[int, int]]()
    for row in places:
        passage = passages[row["passage_id"]]
        if passage["predictable"] or often.count(row["passage_id"]) == 1:
            continue
        is_first = (row["doc_id"], row["byte_start"]) == (passage["doc_id"], passage["byte_start"])
        (first if is_first else later).update(
            (row["doc_id"], at) for at in range(row["byte_start"], row["byte_end"])
        )
    kept = {row["doc_id"] for row in found.rows() if row["keep"]}
    cut = {
        (row["doc_id"], at) for row in found.rows("cuts") for at in range(row["byte_start"], row["byte_end"])
    }
    assert cut == {place for place in later - first if place[0] in kept}
    texts = document_texts(run.folder, [row["doc_id"] for row in run.documents])
    for row in found.rows():
        if row["reason"] == "nothing left after the cuts":
            text = texts[row["doc_id"]].encode()
            left = bytes(b for at, b in enumerate(text) if (row["doc_id"], at) not in later - first)
            assert not left.split()
