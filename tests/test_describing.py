"""What the README and the command say of the tables is what the files say of themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pipeline.cli import main
from pipeline.comparing.tables import COMPARISONS
from pipeline.list_schemas import LISTS
from pipeline.schemas import TABLES, Table
from tests.audits import Audited, audit_texts, without_dask

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
EVERY = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """Any run: its tables may be empty."""
    with without_dask():
        return audit_texts(["one two three"], tmp_path_factory.mktemp("described"))


def _schema(*options: str) -> str:
    shown = CliRunner().invoke(main, ["schema", *options])
    assert shown.exit_code == 0
    return shown.stdout


def _told(table: Table) -> dict[str, Any]:
    (told,) = [item for item in json.loads(_schema("--json")) if item["name"] == table.name]
    return dict(told)


@EVERY
def test_the_command_says_what_the_files_say(run: Audited, table: Table) -> None:
    told = _told(table)
    schema = pq.read_schema(next(run.folder.glob(told["path"])))
    assert [(field.name, field.nullable) for field in schema] == [
        (column["name"], column["nullable"]) for column in told["columns"]
    ]
    for column in told["columns"]:
        found = {key.decode(): value.decode() for key, value in schema.field(column["name"]).metadata.items()}
        assert (found["description"], found.get("unit", "")) == (column["meaning"], column["unit"])
    assert schema.metadata[b"dupaudit.schema_version"].decode() == str(told["version"])


@EVERY
def test_the_readme_says_what_the_command_says(table: Table) -> None:
    told = _told(table)
    section = README.split(f"**`{told['path']}`**")[1].split("**`")[0]
    rows = [line.replace(r"\|", "\0") for line in section.splitlines() if line.startswith("| `")]
    assert len(rows) == len(told["columns"])
    for row, column in zip(rows, told["columns"], strict=True):
        name, _, unit, meaning = (cell.strip() for cell in row.strip("|").split("|"))
        assert (name, unit, meaning) == (
            f"`{column['name']}`",
            column["unit"],
            column["meaning"].replace("|", "\0"),
        )


def test_the_command_prints_markdown_as_in_the_readme() -> None:
    assert _schema("--markdown").strip() in README


def test_text_for_a_terminal_has_every_column_and_fits() -> None:
    shown = _schema()
    assert max(map(len, shown.splitlines())) <= 100
    for table in (*TABLES, *LISTS, *COMPARISONS):
        section = shown.split(f"{table.path}\n")[1].split("\n\n")[0]
        assert [
            line.split()[0] for line in section.splitlines() if line[4:5].strip() and line[:4] == "    "
        ] == [column.name for column in table.columns]
        words = " ".join(section.split())
        assert all(f"{' '.join(column.meaning.split())} [" in words for column in table.columns)
