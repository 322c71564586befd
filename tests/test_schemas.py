"""The tables of a run: declared once, carried in every file, shown in the README."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import PurePosixPath

import pyarrow as pa
import pytest

from pipeline.comparing.tables import COMPARISONS
from pipeline.describing import markdown
from pipeline.list_schemas import LISTS
from pipeline.schemas import TABLES, Column, Table

EVERY_TABLE = (*TABLES, *LISTS, *COMPARISONS)
EVERY = pytest.mark.parametrize("table", EVERY_TABLE, ids=lambda table: table.name)
# What analysts, later runs and other tools count on.
PROMISED = {
    "inputs": "file_id uri format size_bytes fingerprint rows",
    "documents": "doc_id text_id uri row id source licence n_bytes n_tokens status raw_copies copies "
    "near_copies cluster_id representative jaccard_to_representative repeated_tokens repeated_fraction "
    "passage_max_occurrences exposures exposures_low exposures_high risk_tier keep",
    "pairs": "doc_a doc_b jaccard containment_a containment_b shared_shingles source_a source_b",
    "clusters": "cluster_id documents distinct_texts sources tokens min_jaccard mean_jaccard chained "
    "representative least_similar sample",
    "passages": "passage_id tokens occurrences documents texts sources predictable exposures risk_tier "
    "evidence_low evidence_high evidence_reason doc_id byte_start byte_end text",
    "spans": "doc_id text_id copies byte_start byte_end token_start tokens passage_id occurrences",
    "rejects": "uri row reason detail",
    "histogram": "grain bin documents passages tokens bytes",
    "sources": "source licence documents distinct_texts tokens epochs exposures "
    "passage_repeated_documents passage_repeated_tokens_fraction",
    "source_overlap": "kind grain scope name other groups documents tokens tokens_fraction",
    "risk": "grain bin risk_tier documents passages tokens evidence_low evidence_high evidence_reason",
    "similarity": "jaccard_min jaccard_max pairs detection",
    "examples": "cluster_id doc_id uri row id source jaccard n_bytes text",
    "new_repeats": "doc_id uri row n_tokens kind earlier_doc_id earlier_uri earlier_row jaccard "
    "earlier_copies repeated_tokens passage_tokens passage_id",
    "metrics": "name value unit",
}
IDS = {
    "doc_id",
    "text_id",
    "file_id",
    "cluster_id",
    "doc_a",
    "doc_b",
    "representative",
    "passage_id",
    "least_similar",
    "other_id",
    "earlier_doc_id",
}


@pytest.mark.parametrize("name", PROMISED)
def test_table_has_the_columns_that_are_promised(name: str) -> None:
    (table,) = (table for table in TABLES if table.name == name)
    assert set(PROMISED[name].split()) <= {column.name for column in table.columns}


@EVERY
def test_arrow_schema_says_what_was_declared(table: Table) -> None:
    schema = table.arrow_schema()
    assert schema.names == [column.name for column in table.columns]
    assert schema.metadata == {
        b"dupaudit.table": table.name.encode(),
        b"dupaudit.schema_version": str(table.version).encode(),
        b"dupaudit.order": ",".join(table.order).encode(),
    }
    for column in table.columns:
        field = schema.field(column.name)
        assert field.nullable is column.nullable
        assert field.metadata == {b"description": column.meaning.encode(), b"unit": column.unit.encode()}


def test_types_are_those_of_arrow() -> None:
    kinds = ("uint64", "int64", "double", "string", "bool")
    columns = tuple(Column(kind, kind, "", "x") for kind in kinds)
    schema = Table("t", "t.parquet", "a row", (), columns).arrow_schema()
    assert schema.types == [pa.uint64(), pa.int64(), pa.float64(), pa.large_string(), pa.bool_()]


@EVERY
def test_columns_are_named_once_and_explained(table: Table) -> None:
    names = [column.name for column in table.columns]
    assert len(names) == len(set(names))
    assert all(column.meaning.strip() == column.meaning != "" for column in table.columns)


@EVERY
def test_order_is_of_columns_of_the_table(table: Table) -> None:
    assert table.order
    assert set(table.order) <= {column.name for column in table.columns}


@EVERY
def test_ids_are_unsigned_and_shares_have_no_unit_but_their_range(table: Table) -> None:
    for column in table.columns:
        assert (column.type == "uint64") == (column.name in IDS), column.name
        if column.name.endswith("_fraction") or "jaccard" in column.name or "containment" in column.name:
            assert (column.type, column.unit) == ("double", "0 to 1"), column.name
        if column.name.endswith("_bytes") or column.name == "bytes":
            assert (column.type, column.unit) == ("int64", "bytes"), column.name


def test_tables_lie_in_places_of_their_own() -> None:
    names, paths = [table.name for table in TABLES], [table.path for table in TABLES]
    assert len(set(names)) == len(set(paths)) == len(TABLES)
    for path in map(PurePosixPath, paths):
        assert not path.is_absolute()
        assert path.suffix == ".parquet"
        assert path.stem == "part-*" or "*" not in str(path)


def test_markdown_shows_every_column_of_every_table() -> None:
    shown = markdown()
    sections = shown.split("**`")[1:]
    assert [section.split("`**")[0] for section in sections] == [table.path for table in EVERY_TABLE]
    for table, section in zip(EVERY_TABLE, sections, strict=True):
        head, blank, names, rule, *rows = section.rstrip().splitlines()
        assert head.endswith(f"one row {table.row}, ordered by {', '.join(table.order)}.")
        assert (blank, names, rule) == ("", "| column | type | unit | meaning |", "|---|---|---|---|")
        # A bar in a meaning would end the cell, so it is escaped.
        assert rows == [
            f"| `{c.name}` | {c.type}{', may be null' * c.nullable} | {c.unit} | "
            + c.meaning.replace("|", r"\|")
            + " |"
            for c in table.columns
        ]
    assert r"file_id << 32 \| row" in shown


def test_schemas_load_nothing_but_arrow() -> None:
    code = "import json, sys, pipeline.schemas; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"polars", "numba", "dask", "distributed"} & set(json.loads(done.stdout))
