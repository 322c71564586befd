"""Tests that the tables of a run, empty ones included, open where analysts open them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.schemas import TABLES, Table
from tests.audits import TELLING_TIMES, Audited, audit, audit_texts, without_dask, write_rows, write_texts

EMPTY: dict[str, Sequence[str]] = {
    "no row": [],
    "empty texts only": ["", " ", "...", ""],
    "one document": ["one two three four five six"],
    "one short document": ["one"],
    "documents unlike each other": ["one two three four five six", "seven eight nine ten eleven"],
}
FULL = [f"one two three four five six seven eight nine ten {'x ' * (i % 4)}" for i in range(10)] + [
    "",
    "a",
    "a",
]


@pytest.fixture(scope="module", params=["full", *EMPTY])
def audited(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """A run with something in every table, or with hardly anything."""
    folder = tmp_path_factory.mktemp("audited")
    with without_dask():
        if request.param != "full":
            return audit_texts(EMPTY[request.param], folder)
        rows = [{"text": text, "from": "x", "terms": "y", "n": i} for i, text in enumerate(FULL)]
        path = write_rows(folder / "a.jsonl", [*rows, {"text": None}])
        labels: dict[str, Any] = {"id_column": "n", "source": {"column": "from"}, "licence_column": "terms"}
        return audit(path, folder / "audits", **labels)


def row_counts(audited: Audited) -> dict[str, int]:
    """Rows of each table as plain Parquet says."""
    return {
        table.name: sum(pq.read_metadata(path).num_rows for path in audited.folder.glob(table.path))
        for table in TABLES
    }


def test_the_tables_are_there(audited: Audited) -> None:
    for table in TABLES:
        assert list(audited.folder.glob(table.path)), table.path
    files = {path for table in TABLES for path in audited.folder.glob(table.path)}
    assert set(audited.folder.rglob("*.*")) == {*files, *(audited.folder / name for name in TELLING_TIMES)}


def test_duckdb_opens_every_table(audited: Audited) -> None:
    counts = row_counts(audited)
    with duckdb.connect() as database:
        for table in TABLES:
            found = database.sql(f"from '{audited.folder / table.path}'")
            assert found.columns == [column.name for column in table.columns]
            assert len(found.fetchall()) == counts[table.name]
        joined = database.sql(
            f"""
            select count(*) from '{audited.folder}/documents/*.parquet' d
            left join '{audited.folder}/clusters/*.parquet' c using (cluster_id)
            left join '{audited.folder}/pairs/*.parquet' p on p.doc_a = d.doc_id and p.doc_b = d.doc_id
            """
        )
        assert joined.fetchall() == [(counts["documents"],)]


def test_polars_opens_every_table(audited: Audited) -> None:
    counts = row_counts(audited)
    for table in TABLES:
        found = pl.read_parquet(audited.folder / table.path)
        assert found.columns == [column.name for column in table.columns]
        assert found.height == counts[table.name]
        assert found.equals(found.sort(table.order, nulls_last=False))


def test_pandas_opens_every_table(audited: Audited) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    counts = row_counts(audited)
    for table in TABLES:
        path = audited.folder / table.path
        found = pandas.read_parquet(path.parent if "*" in table.path else path)
        assert list(found.columns) == [column.name for column in table.columns]
        assert len(found) == counts[table.name]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_file_says_what_it_holds(audited: Audited, table: Table) -> None:
    for path in audited.folder.glob(table.path):
        schema = pq.read_schema(path)
        assert schema.metadata[b"dupaudit.table"] == table.name.encode()
        assert schema.metadata[b"dupaudit.schema_version"] == str(table.version).encode()
        assert schema.metadata[b"dupaudit.order"] == ",".join(table.order).encode()
        assert schema.names == [column.name for column in table.columns]
        for column in table.columns:
            field = schema.field(column.name)
            assert field.metadata[b"description"] == column.meaning.encode()
            assert field.metadata.get(b"unit", b"") == column.unit.encode()
            assert field.nullable == column.nullable


def test_the_manifest_tells_the_same_figures(audited: Audited) -> None:
    manifest = json.loads((audited.folder / "run.json").read_text(encoding="utf-8"))
    figures = {row["name"]: row["value"] for row in audited.rows("summary/metrics")}
    assert manifest["metrics"] == pytest.approx(figures)
    assert manifest["config"]["near"]["bands"] * manifest["config"]["near"]["rows"] <= 128


@pytest.mark.parametrize("name", EMPTY)
def test_a_corpus_without_repeats_says_so(name: str, tmp_path: Path) -> None:
    texts = EMPTY[name]
    audited = audit_texts(texts, tmp_path)
    metrics = audited.metrics
    assert (audited.pairs, audited.clusters, audited.rejects) == ([], [], [])
    assert (audited.rows("passages"), audited.rows("spans")) == ([], [])
    assert metrics["passages"] == metrics["passage_spans"] == metrics["passage_repeated_tokens"] == 0
    assert metrics["documents"] == metrics["input_rows"] == len(audited.documents) == len(texts)
    assert all(row["keep"] and row["copies"] == row["near_copies"] == 1 for row in audited.documents)
    for grain in ("raw", "exact", "near"):
        assert metrics[f"{grain}_distinct"] == len(texts)
        assert metrics[f"{grain}_groups"] == metrics[f"{grain}_surplus_documents"] == 0
    assert len(audited.rows("summary/histogram")) == 24
    assert len(audited.rows("summary/sources")) == min(len(texts), 1)
    assert len(audited.rows("inputs")) == 1


def test_files_without_a_row_are_inputs_with_no_rows(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(b"")
    (folder / "b.csv").write_bytes(b"text\n")
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), folder / "c.parquet")
    empty = audit(folder, tmp_path / "out", "empty")
    assert [row["rows"] for row in empty.rows("inputs")] == [0, 0, 0]
    assert empty.documents == []
    write_texts(folder / "b.jsonl", ["one", "one"])
    for shard_bytes in (1, 1 << 20):
        audited = audit(folder, tmp_path / "out", str(shard_bytes), shard_bytes=shard_bytes)
        assert [row["rows"] for row in audited.rows("inputs")] == [0, 0, 2, 0]
        assert [row["doc_id"] for row in audited.documents] == [2 << 32, 2 << 32 | 1]
