"""Tests of what changes no passage, of what a configuration says of them, of how their text is cut."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import parse
from pipeline.errors import ConfigError
from tests import corpus, oracles
from tests.audits import Audited, Row, audit, audit_texts, without_dask, write_rows
from tests.passage_tables import DOCUMENT_COLUMNS, Document, check
from tests.searching import few

W = 8
SETTINGS: dict[str, Any] = {"passages": {"min_tokens": W}, "source": {"column": "source"}}
Rows = list[dict[str, str]]

# Bounds on what a task holds, brought down to a handful, so that a small corpus passes them.
SMALL_LIMITS = {
    "ANCHORS_A_RANGE": 10,
    "MOST_ANCHORS_A_RANGE": 20,
    "WINDOWS_A_RANGE": 10,
    "MOST_WINDOWS_A_RANGE": 20,
    "TEXTS_A_RANGE": 2,
    "MOST_TEXTS_A_RANGE": 2,
    "BATCH_BYTES": 1,
    "FLUSH_BYTES": 64,
    "MOST_ANCHORS": 5,
    "SEGMENT_ROWS": 2,
}


@contextmanager
def patched(limits: dict[str, int]) -> Iterator[set[str]]:
    """Other values for constants wherever a module of the project has them; yields those there are."""
    found = set()
    with ExitStack() as patches:
        for module in [module for name, module in sys.modules.items() if name.startswith("pipeline.")]:
            for name, value in limits.items():
                if hasattr(module, name):
                    patches.enter_context(patch.object(module, name, value))
                    found.add(name)
        yield found


def mixed_texts(seed: int = 1) -> list[str]:
    """Texts that share passages: copies, disguised ones, branches, cycles, several scripts."""
    rng = random.Random(seed)
    blocks = [corpus.fresh(rng, length) for length in (8, 9, 20, 60)]
    blocks += [["a"] * 30, ["x", "y", "z"] * 9, [part for i in range(5) for part in ("no", str(i))]]
    blocks += [[*"床前明月光疑是地上霜舉頭"], [*"bcd", "cafe\u0301", "½", "ﬁ", "e", "f"]]
    texts = []
    for _ in range(40):
        parts = rng.choices(blocks, k=rng.randint(1, 3))
        parts.insert(rng.randint(0, len(parts)), corpus.fresh(rng, rng.randint(0, 6)))
        words = [word for part in parts for word in part]
        texts.append(rng.choice((corpus.joined(words), corpus.disguised(rng, words))))
    return [*texts, *texts[:9], "", "...", "a b"]


def mixed_rows() -> Rows:
    """These texts with sources."""
    return [{"text": text, "source": "xyz"[i % 3]} for i, text in enumerate(mixed_texts())]


def write_folder(folder: Path, rows: Rows) -> None:
    """Write rows as three files of two formats."""
    folder.mkdir(parents=True, exist_ok=True)
    third = len(rows) // 3
    write_rows(folder / "a.jsonl", rows[:third])
    pq.write_table(pa.Table.from_pylist(rows[third : 2 * third]), folder / "b.parquet", row_group_size=3)
    write_rows(folder / "c.jsonl", rows[2 * third :])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the mixed texts."""
    folder = tmp_path_factory.mktemp("mixed") / "data"
    write_folder(folder, mixed_rows())
    return folder


@pytest.fixture(scope="module")
def whole(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """Its audit as it comes, compared with the definition."""
    with without_dask(page=False):
        audited = audit(folder, tmp_path_factory.mktemp("whole"), **SETTINGS)
    rows, third = mixed_rows(), len(mixed_rows()) // 3
    documents = []
    for i, row in enumerate(rows):
        file_id = min(i // third, 2)
        documents.append(Document(file_id << 32 | (i - file_id * third), row["text"], row["source"]))
    wanted = check(audited, documents, W)
    assert len(wanted.passages) > 20
    assert {row["predictable"] for row in audited.rows("passages")} == {True, False}
    return audited


def check_bytes(audited: Audited, whole: Audited, but: str = "") -> None:
    found, wanted = audited.bytes_of_files(), whole.bytes_of_files()
    assert any(name.startswith("spans/") for name in wanted)
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if name != but and found[name] != wanted[name]] == []


# --- what changes no byte -------------------------------------------------------------------------


@pytest.mark.parametrize("shard_bytes", [100, 1_000])
def test_the_size_of_shards_changes_no_byte(
    folder: Path, whole: Audited, tmp_path: Path, shard_bytes: int
) -> None:
    with without_dask(page=False):
        check_bytes(audit(folder, tmp_path, shard_bytes=shard_bytes, **SETTINGS), whole)


def test_shards_of_a_byte_change_no_byte(tmp_path: Path) -> None:
    rng = random.Random(7)
    words = corpus.fresh(rng, 10)
    texts = [corpus.joined([*words, "a"]), corpus.disguised(rng, words), corpus.joined(["b", *words]), "c"]
    write_folder(tmp_path / "data", [{"text": text, "source": "x"} for text in texts])
    with without_dask(page=False):
        one = audit(tmp_path / "data", tmp_path, "one", **SETTINGS)
        assert [row["occurrences"] for row in one.rows("spans")] == [3, 3, 3]
        check_bytes(audit(tmp_path / "data", tmp_path, "cut", shard_bytes=1, **SETTINGS), one)


@pytest.mark.parametrize(
    "local",
    [{"threads": 1}, {"threads": 4}, {"workers": 2, "threads": 1}, {"processes": True, "workers": 2}],
    ids=str,
)
def test_workers_change_no_byte(
    folder: Path, whole: Audited, tmp_path: Path, local: dict[str, object]
) -> None:
    cluster = {"local": local}
    check_bytes(audit(folder, tmp_path, cluster=cluster, shard_bytes=1_000, **SETTINGS), whole)


def test_how_the_inputs_are_named_changes_no_byte(folder: Path, whole: Audited, tmp_path: Path) -> None:
    files = sorted(folder.iterdir())
    ways: dict[str, list[Path | str]] = {
        "backwards": [*reversed(files)],
        "by-glob": [f"{folder}/*"],
        "twice": [folder, *files],
        "by-URL": [f"file://{folder}"],
    }
    for name, inputs in ways.items():
        with without_dask(page=False):
            check_bytes(audit(inputs, tmp_path, name, **SETTINGS), whole)


@given(st.integers(0, 2**32), st.sampled_from([40, 300, 100_000]))
@few(6)
def test_no_byte_depends_on_how_much_a_task_holds(seed: int, shard_bytes: int) -> None:
    rng = random.Random(seed)
    texts = mixed_texts(seed)
    rows = [{"text": text, "source": rng.choice("xyz")} for text in rng.choices(texts, k=20)]
    with TemporaryDirectory() as place, without_dask(page=False):
        write_folder(Path(place, "data"), rows)
        one = audit(Path(place, "data"), Path(place, "one"), **SETTINGS)
        with patched(SMALL_LIMITS) as found:
            cut = audit(Path(place, "data"), Path(place, "cut"), shard_bytes=shard_bytes, **SETTINGS)
        assert found == set(SMALL_LIMITS), "a bound has another name now"
        check_bytes(cut, one, but="summary/metrics.parquet")
        # Recall is a sum of floats, range by range of texts: other ranges round it otherwise.
        wanted, metrics = one.metrics, cut.metrics
        assert metrics == pytest.approx(wanted, rel=1e-12, nan_ok=True)
        exact = [name for name in wanted if not name.startswith("recall")]
        assert [str(metrics[name]) for name in exact] == [str(wanted[name]) for name in exact]


@pytest.mark.parametrize("part_rows", [1, 7])
def test_tables_in_many_parts_hold_what_they_hold_in_one(
    folder: Path, whole: Audited, tmp_path: Path, part_rows: int
) -> None:
    limits = {"PART_ROWS": part_rows, "SPANS_A_RANGE": part_rows, "MOST_SPANS_A_RANGE": part_rows}
    with without_dask(page=False), patched(limits) as found:
        assert found == set(limits), "a bound has another name now"
        cut = audit(folder, tmp_path, **SETTINGS)
    for name in ("passages", "spans"):
        assert len(list((cut.folder / name).iterdir())) > 1
        assert cut.rows(name) == whole.rows(name)


def test_the_order_of_documents_changes_no_passage_but_its_example(
    folder: Path, whole: Audited, tmp_path: Path
) -> None:
    rows = mixed_rows()
    random.Random(2).shuffle(rows)
    write_folder(tmp_path / "data", rows)
    with without_dask(page=False):
        shuffled = audit(tmp_path / "data", tmp_path, **SETTINGS)

    def content(audited: Audited) -> list[Row]:
        example = {"doc_id", "byte_start", "byte_end", "text"}
        return [{key: row[key] for key in row if key not in example} for row in audited.rows("passages")]

    assert content(shuffled) == content(whole)
    assert sorted(row["repeated_tokens"] for row in shuffled.documents) == sorted(
        row["repeated_tokens"] for row in whole.documents
    )


# --- between audits -------------------------------------------------------------------------------


def test_a_passage_has_the_same_id_in_other_audits(tmp_path: Path) -> None:
    rng = random.Random(3)
    words = corpus.fresh(rng, 20)
    found = []
    for night in range(3):
        texts = [corpus.text(rng, 30) for _ in range(night)]
        texts += [
            corpus.joined([*corpus.fresh(rng, 4), *words, *corpus.fresh(rng, night)]),
            corpus.disguised(rng, [*corpus.fresh(rng, 6), *words, *corpus.fresh(rng, night)]),
        ]
        with without_dask(page=False):
            audited = audit_texts(texts, tmp_path / str(night), passages={"min_tokens": W + night})
        [passage] = audited.rows("passages")
        found.append(passage["passage_id"])
    assert found == [oracles.text_id(corpus.joined(words))] * 3


def test_doubling_a_corpus_doubles_the_occurrences(tmp_path: Path) -> None:
    texts = mixed_texts()
    with without_dask(page=False):
        once = audit_texts(texts, tmp_path / "once", passages=SETTINGS["passages"])
        twice = audit_texts(texts * 2, tmp_path / "twice", passages=SETTINGS["passages"])
    doubled = {row["passage_id"]: row for row in twice.rows("passages")}
    assert len(once.rows("passages")) > 20
    for row in once.rows("passages"):
        more = doubled.pop(row["passage_id"])
        assert (more["occurrences"], more["documents"]) == (2 * row["occurrences"], 2 * row["documents"])
        assert [more[name] for name in ("tokens", "texts", "predictable", "text")] == [
            row[name] for name in ("tokens", "texts", "predictable", "text")
        ]
    assert {row["occurrences"] for row in doubled.values()} == {2}, "what stood once"
    for row in twice.documents:
        assert row["repeated_tokens"] == (row["n_tokens"] if row["n_tokens"] >= W else 0)
    assert {row["doc_id"] for row in twice.rows("spans")} <= set(range(len(texts)))


# --- configuration --------------------------------------------------------------------------------


def problems(tree: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse({"inputs": "data", "passages": tree})
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def test_a_window_has_8_to_1000_tokens_and_25_by_default() -> None:
    section = "passages.min_tokens"
    assert problems({"min_tokens": 7}) == [f"{section}: got 7, need greater than or equal to 8"]
    assert problems({"min_tokens": 1001}) == [f"{section}: got 1001, need less than or equal to 1000"]
    assert problems({"min_token": 8}) == [
        "passages.min_token: got an unknown key, need one of those in the example configuration"
    ]
    for tokens in (8, 1000):
        assert parse({"inputs": "data", "passages": {"min_tokens": tokens}}).passages.min_tokens == tokens
    assert parse({"inputs": "data"}).passages.min_tokens == 25
    assert parse({"inputs": "data"}).passages.enabled


def test_25_tokens_are_a_passage_by_default(tmp_path: Path) -> None:
    rng = random.Random(4)
    blocks = [corpus.fresh(rng, 24), corpus.fresh(rng, 25)]
    texts = [corpus.joined([*block, *corpus.fresh(rng, 3)]) for block in blocks for _ in range(2)]
    with without_dask(page=False):
        audited = audit_texts(texts, tmp_path)
    assert [(row["tokens"], row["text"]) for row in audited.rows("passages")] == [
        (25, corpus.joined(blocks[1]))
    ]


def test_passages_can_be_left_out(tmp_path: Path) -> None:
    text = corpus.text(random.Random(5), 60)
    path = write_rows(tmp_path / "texts.jsonl", [{"text": each} for each in (text, text, "a b")])
    with without_dask(page=False):
        audited = audit(path, tmp_path, "without", passages={"enabled": False})
        full = audit(path, tmp_path, "with")
    assert not (audited.folder / "passages").exists()
    assert not (audited.folder / "spans").exists()
    for name in DOCUMENT_COLUMNS[1:]:
        assert {row[name] for row in audited.documents} == {None}
        assert None not in {row[name] for row in full.documents}
    for row in audited.rows("summary/sources"):
        assert row["passage_repeated_documents"] is row["passage_repeated_tokens_fraction"] is None
    assert {row["passages"] for row in audited.rows("summary/histogram")} == {None}
    assert "passage" not in {row["grain"] for row in audited.rows("summary/histogram")}
    assert all(math.isnan(value) for name, value in audited.metrics.items() if "passage" in name)
    for name in ("pairs", "clusters", "rejects"):
        assert audited.rows(name) == full.rows(name)
    others = [name for name in full.documents[0] if name not in DOCUMENT_COLUMNS[1:]]
    assert [[row[name] for name in others] for row in audited.documents] == [
        [row[name] for name in others] for row in full.documents
    ]


# --- the text of a passage ------------------------------------------------------------------------


@pytest.mark.parametrize("character", ["a", "é", "東", "𐍈", "e\u0301"])
@pytest.mark.parametrize("length", [499, 500, 501, 2_500])
def test_the_text_is_cut_after_500_characters(tmp_path: Path, character: str, length: int) -> None:
    # Words of ten characters that occur nowhere else, in the width of this character.
    rng = random.Random(6)
    words = [f"{word[1:10]:0>9}{character}" for word in corpus.fresh(rng, length // 10 + 1)]
    shared = " ".join(words)[:length].rstrip()
    texts = [f"before 東, {shared} end", f"({shared}) after"]
    with without_dask(page=False):
        audited = audit_texts(texts, tmp_path, passages={"min_tokens": W})
    [passage] = audited.rows("passages")
    assert passage["text"] == shared[:500]
    assert passage["byte_end"] - passage["byte_start"] == len(shared.encode())
    assert texts[0].encode()[passage["byte_start"] : passage["byte_end"]].decode() == shared
