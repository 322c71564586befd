"""The README says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from pipeline import schemas
from pipeline.config import parse
from pipeline.progress import Progress
from pipeline.run import run_audit

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_schemas() -> None:
    assert schemas.markdown() in README


@pytest.mark.parametrize("name", re.findall(r"\]\(((?!http)[^)]+)\)", README))
def test_links_lead_somewhere(name: str) -> None:
    assert (ROOT / name).exists()


@pytest.mark.parametrize("name", re.findall(r"^  (\S+\.py|\w+/)", README, re.MULTILINE))
def test_the_map_names_files_that_exist(name: str) -> None:
    assert (ROOT / "pipeline" / name).exists()


def test_the_commands_are_targets_and_subcommands() -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = {one or two for one, two in re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", README, re.MULTILINE)}
    assert {"audit", "test"} <= named - {""} <= set(targets)
    cli = (ROOT / "pipeline" / "cli.py").read_text()
    for command in set(re.findall(r"(?:bin/|`)dupaudit ([a-z]+)", README)):
        assert f"def {command}(" in cli


def test_the_queries_run(tmp_path: Path) -> None:
    import duckdb

    data = tmp_path / "a.csv"
    passage = " ".join(f"W{i}" for i in range(30))
    others = [" ".join(f"{name}{i}" for i in range(40)) for name in "pq"]
    rows = ["text,s", *["a b c d e f g h,x"] * 3, "a b c d e f g h i,y"]
    data.write_text("\n".join([*rows, *(f"{other} {passage}.,x" for other in others)]))
    config = {"inputs": str(data), "out": str(tmp_path), "source": {"column": "s"}}
    run = run_audit(parse(config), "r", Progress(quiet=True))
    sql = re.search(r"```sql\n(.*?)```", README, re.DOTALL)
    pairs, passages = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert sql is not None
    with duckdb.connect() as database:
        found = database.execute(sql[1].replace("audits/<run>", str(run))).fetchall()
    assert [(copies, row) for copies, _, row in found] == [(3, 0)]
    scope: dict[str, object] = {}
    table = _last_value(pairs.replace("audits/<run>", str(run)), scope)
    assert isinstance(table, pl.DataFrame)
    assert table.rows() == [("x", "y", 1)]
    assert _last_value(passages.replace("audits/<run>", str(run)), scope) == passage


def _last_value(program: str, scope: dict[str, object]) -> object:
    *lines, last = program.strip().splitlines()
    exec("\n".join(lines), scope)
    return eval(last, scope)
