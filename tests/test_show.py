"""What a finished run looks like in a terminal."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from pipeline.artifacts import write_output
from pipeline.errors import ArtifactError
from pipeline.schemas import PASSAGES
from pipeline.show import summary
from tests.audits import Audited, audit, audit_texts, without_dask, write_rows

SHARED = " ".join(f"word{i}er" for i in range(30))
TEXTS = [f"one {SHARED}", f"two {SHARED}", f"three {SHARED} end", "la " * 40, "la " * 50, "lonely", ""]
HOSTILE = '\x1b[31mred\u202e [bold]markup[/bold]\n\n\ttab\x00 <script>alert("x")</script> ' + "漢字" * 80


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """A run with a passage in three documents and a predictable one in two."""
    with without_dask():
        return audit_texts(TEXTS, tmp_path_factory.mktemp("show"))


def _row(text: str, start: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line.startswith(start))
    return re.split(r"  +", line.strip())


def _copied(audited: Audited, folder: Path) -> Path:
    return Path(shutil.copytree(audited.folder, folder / "run"))


def _passages(run: Path, rows: list[dict[str, Any]]) -> None:
    """Put other passages into a run, the numbers not given being 1."""
    schema = PASSAGES.arrow_schema()
    others = {"predictable": False, "risk_tier": "baseline", "evidence_reason": None}
    whole = [{field.name: row.get(field.name, others.get(field.name, 1)) for field in schema} for row in rows]
    shutil.rmtree(run / "passages")
    write_output(PASSAGES, pa.Table.from_pylist(whole, schema), run / "passages" / "part-00000.parquet")


def _listed(run: Path, count: int) -> list[str]:
    """Lines of the list of passages, styles left out."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", summary(run, 0, count)).splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith("occurrences")]
    return lines[heads[0] + 2 :] if heads else []


def test_passages_are_a_line_beside_the_other_grains(audited: Audited) -> None:
    metrics = audited.metrics
    share = f"{metrics['passage_repeated_tokens_fraction']:.2%}"
    row = _row(summary(audited.folder, 5), "passage (")
    assert row == ["passage (25+ tokens)", "2", "5", "-", "-", share, "42"]
    assert metrics["passages"] == 2


def test_passages_are_told_in_a_sentence(audited: Audited) -> None:
    text = " ".join(summary(audited.folder, 5).split())
    assert "Repeated passages: 2, of which 1 predictable" in text
    assert "The most frequent occurs 42 times, the longest has 30 tokens." in text


def test_histogram_has_the_passage_grain(audited: Audited) -> None:
    lines = summary(audited.folder, 0).splitlines()
    (at,) = (i for i, line in enumerate(lines) if line.startswith("occurs"))
    assert lines[at - 1].split().count("passage:") == 2
    assert lines[at].split()[-2:] == ["documents", "tokens"]
    shown = {line.split()[0]: line.split()[-2:] for line in lines[at + 2 : at + 8]}
    rows = pl.read_parquet(audited.folder / "summary" / "histogram.parquet").filter(grain="passage")
    assert shown == {
        row["bin"]: [f"{row['documents']:,}", f"{row['tokens']:,}"] for row in rows.iter_rows(named=True)
    }
    assert shown["2-5"] == ["3", "90"]


def test_run_that_did_not_look_for_passages_says_so(tmp_path: Path) -> None:
    with without_dask():
        run = audit_texts(TEXTS, tmp_path, passages={"enabled": False}).folder
    text = summary(run, 5)
    assert "Repeated passages: not looked for." in text
    assert "passage (" not in text
    assert "passage:" not in text
    assert "near:" in text
    with pytest.raises(ArtifactError, match="did not look for passages"):
        summary(run, 5, 1)


def test_run_of_a_version_without_passages_is_shown(audited: Audited, tmp_path: Path) -> None:
    run = _copied(audited, tmp_path)
    manifest = json.loads((run / "run.json").read_text())
    del manifest["config"]["passages"]
    for name in [name for name in manifest["metrics"] if "passage" in name]:
        del manifest["metrics"][name]
    (run / "run.json").write_text(json.dumps(manifest))
    histogram = run / "summary" / "histogram.parquet"
    old = pl.read_parquet(histogram).filter(pl.col("grain") != "passage").drop("passages")
    old.write_parquet(histogram)
    text = summary(run, 5)
    assert "Repeated passages: not looked for." in text
    assert "passage:" not in text


def test_run_without_a_repeated_passage_says_so(tmp_path: Path) -> None:
    with without_dask():
        run = audit_texts([*TEXTS[3:4], "other words"], tmp_path, passages={"min_tokens": 50}).folder
    text = summary(run, 0, 5)
    assert "Repeated passages: none." in text
    assert _row(text, "passage (50+") == ["passage (50+ tokens)", "0", "0", "-", "-", "0%", "-"]
    assert "occurrences" not in text


def test_exposures_are_told_in_a_sentence(audited: Audited) -> None:
    text = " ".join(summary(audited.folder, 5).split())
    high = [row for row in audited.documents if row["exposures"] >= 21]
    most = max(row["exposures"] for row in audited.documents)
    assert f"the most exposed text about {most:.3g} times, and {len(high)} documents more" in text
    assert "In more than one source" not in text


def test_what_crosses_sources_is_told_where_sources_are_known(tmp_path: Path) -> None:
    rows = [{"text": f"one two three four five six {i % 2}", "source": "ab"[i > 1]} for i in range(4)]
    with without_dask():
        found = audit(write_rows(tmp_path / "a.jsonl", rows), tmp_path / "out", source_column="source")
    text = " ".join(summary(found.folder, 5).split())
    assert "In more than one source: 2 texts, 2 clusters, 0 passages." in text


def test_passages_are_listed_by_occurrences_times_tokens(audited: Audited, tmp_path: Path) -> None:
    run = _copied(audited, tmp_path)
    ranked = [(5, 40, 9), (100, 2, 10), (2, 50, 3), (4, 25, 4), (3, 33, 1)]  # occurrences, tokens, id
    rows = [
        {"occurrences": n, "tokens": tokens, "passage_id": number, "text": f"text{number}"}
        for n, tokens, number in sorted(ranked, key=lambda row: row[2])
    ]
    _passages(run, rows)
    assert [line.split()[0] for line in _listed(run, 9)] == ["5", "100", "2", "4", "3"]
    assert [line.split()[-1] for line in _listed(run, 3)] == ["text9", "text10", "text3"]
    assert _listed(run, 0) == []


def test_passage_is_listed_with_its_numbers(audited: Audited, tmp_path: Path) -> None:
    run = _copied(audited, tmp_path)
    numbers = {"occurrences": 8977, "documents": 6123, "texts": 512, "sources": 17, "tokens": 1025}
    _passages(run, [{**numbers, "passage_id": 1, "text": "a b", "predictable": True},
                    {"passage_id": 2, "text": "c  d"}])  # fmt: skip
    first, second = _listed(run, 2)
    assert first.split() == ["8,977", "6,123", "512", "17", "1,025", "yes", "a", "b"]
    assert second.split() == ["1", "1", "1", "1", "1", "c", "d"]


def test_hostile_passage_is_one_printable_line(audited: Audited, tmp_path: Path) -> None:
    run = _copied(audited, tmp_path)
    _passages(run, [{"passage_id": 1, "text": HOSTILE}])
    (line,) = _listed(run, 1)
    assert line.isprintable()
    assert r"\x1b[31mred\u202e [bold]markup[/bold] tab" in line
    assert line.rstrip().endswith("…")


@pytest.mark.parametrize("columns", [80, 110, 200])
def test_list_of_passages_fits_the_terminal(
    audited: Audited, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    run = _copied(audited, tmp_path)
    _passages(run, [{"passage_id": 1, "text": "漢字かな" * 100, "occurrences": 1234567, "tokens": 250}])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(shutil, "get_terminal_size", lambda _: os.terminal_size((columns, 40)))
    (line,) = _listed(run, 1)
    assert "1,234,567" in line
    assert line.rstrip().endswith("…")
    width = len(line) + sum(character in "漢字かな" for character in line)  # two cells each
    assert columns - 4 <= width <= columns
