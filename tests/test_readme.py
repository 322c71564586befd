"""The README says what the code says."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline import describing
from pipeline.cli import main
from pipeline.comparing.verdicts import GRAINS
from pipeline.config import parse
from pipeline.gate_names import METRICS, SHORT, WORSE
from pipeline.progress import Progress
from pipeline.risk import WORTH, WORTH_AT
from pipeline.run import run_audit

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_schemas() -> None:
    assert describing.markdown() in README


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
    assert set(re.findall(r"(?:bin/|`)dupaudit ([a-z]+)", README)) <= set(main.commands)


def test_every_name_of_a_gate_is_told() -> None:
    rows = re.findall(r"^\| (`.+`) \| .+ \|$", README[README.index("| figure | |") :], re.MULTILINE)
    told = [name for row in rows for name in re.findall(r"`([a-z_<>]+)`", row)]
    names = [name.replace("<grain>", grain) for name in told for grain in GRAINS if "<" in name]
    names += [name for name in told if "<" not in name and name in METRICS]
    assert sorted(names) == sorted(METRICS)
    assert all(f"`{name}`" in README for name in (*SHORT, WORSE))


PASSAGE = " ".join(f"{first}{second}" for first in "KLMNOP" for second in "rstuv")
QUERIES = re.findall(r"```(sql|python)\n(?:--|#) (\d+)\. (.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sources that share a text, near copies of it and a passage; a row that cannot be audited."""
    folder = tmp_path_factory.mktemp("readme")
    others = [" ".join(f"{name}{i}" for i in range(40)) for name in "pq"]
    rows: list[dict[str, object]] = [{"text": "a b c d e f g h", "split": "train", "terms": "mit"}] * 4
    rows.append({"text": "a b c d e f g h i", "split": "test", "terms": "gpl"})
    rows.append({"text": "A b c d e f g h!", "split": "test", "terms": "gpl"})
    rows += [{"text": f"{other} {PASSAGE}.", "split": "train", "terms": "mit"} for other in others]
    rows.append({"text": None, "split": "test", "terms": "gpl"})
    data = folder / "a.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {
        "inputs": str(data),
        "out": str(folder),
        "source_column": "split",
        "licence_column": "terms",
        "model": {"parameters": 7e9},
    }
    return run_audit(parse(config), "r", Progress(quiet=True))


def _answer(kind: str, program: str, run: Path) -> list[tuple[object, ...]]:
    program = program.replace("audits/<run>", str(run))
    if kind == "sql":
        import duckdb

        with duckdb.connect() as database:
            return database.execute(program).fetchall()
    tree = ast.parse(program)
    *before, last = tree.body
    assert isinstance(last, ast.Expr)
    scope: dict[str, object] = {}
    exec(compile(ast.Module(before, []), "README", "exec"), scope)
    answer = eval(compile(ast.Expression(last.value), "README", "eval"), scope)
    assert isinstance(answer, pl.DataFrame)
    return answer.rows()


def test_there_are_ten_questions_of_one_statement_each() -> None:
    assert [int(number) for _, number, _ in QUERIES] == list(range(1, 11))
    for kind, _, program in QUERIES:
        statements = program.count(";") if kind == "sql" else len(ast.parse(f"# {program}").body) - 1
        assert statements == 1, program


ANSWERS: dict[int, list[tuple[object, ...]]] = {
    1: [("exact", 5, 40), ("near", 6, 49), ("passage", 2, 60), ("raw", 4, 32)],
    2: [(5, "a.jsonl", 0)],
    3: [("test", 17, 1.0), ("train", 172, 32 / 172)],
    4: [("exact", 1, 1, 8 / 17), ("near", 1, 2, 1.0)],
    7: [("a.jsonl", 6, 40, 30), ("a.jsonl", 7, 40, 30)],
    8: [("null_text", 1, "a.jsonl")],
    9: [("mit", "gpl", 1, 4), ("gpl", "mit", 1, 2)],
    10: [(5, 8 * 3 + 140)],
}


@pytest.mark.parametrize(("kind", "number", "program"), QUERIES, ids=[number for _, number, _ in QUERIES])
def test_a_question_is_answered(kind: str, number: str, program: str, run: Path) -> None:
    comment = "--" if kind == "sql" else "#"
    rows = _answer(kind, f"{comment} {number}. {program}", run)
    found = [tuple(Path(v).name if isinstance(v, str) and "/" in v else v for v in row) for row in rows]
    if int(number) in ANSWERS:
        assert found == ANSWERS[int(number)]
        return
    if number == "5":
        # Five copies, and one whose only shingle more makes four of five: worth what the table says.
        worth = np.interp(1 - (2 * 0.8 / 1.8) ** 0.2, WORTH_AT, WORTH)
        assert found[0][:1] == (pytest.approx(5 + worth, abs=1e-6),)
        assert found[0][3:] == ("low", "a.jsonl", 0)
        assert len(found) == 8
    else:
        exposures, tier, low, high, reason, text = found[0]
        assert (exposures, tier, low, high, reason) == (2.0, "low", 0.0, 0.14, None)
        assert text == PASSAGE


def test_the_passage_in_its_document_is_shown(run: Path) -> None:
    (program,) = re.findall(r"```python\n(from pathlib.*?)```", README, re.DOTALL)
    tree = ast.parse("import polars as pl\n" + program.replace("audits/<run>", str(run)))
    *before, last = tree.body
    assert isinstance(last, ast.Expr)
    scope: dict[str, object] = {}
    exec(compile(ast.Module(before, []), "README", "exec"), scope)
    shown = eval(compile(ast.Expression(last.value), "README", "eval"), scope)
    assert shown == PASSAGE
