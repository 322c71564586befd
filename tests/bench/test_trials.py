"""Tests of trials, of answers and of the plan: who runs when, and what is left of a failure."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from figures import figures_of
from goals import goals_of
from kept_truth import load, save
from machine import machine_facts, machine_lines, processor_model, requirement_names
from plan import PLANS, Extent, entries_of
from record import Record
from score import Bools
from sets import Documents, cut, first_rows, read_documents
from tools import PEERS, TOOLS, Job, Tool, our_groups
from trials import Entry, Place, compare
from truth import Ints, find_pairs

WORDS = " ".join(f"w{i}" for i in range(30))
NOTE_RUN = "import sys; open('{log}', 'a').write('{name}' + sys.argv[1] + ' '); {last}"


@pytest.fixture
def documents(tmp_path: Path) -> Documents:
    """Return three documents, of which two are near."""
    folder = tmp_path / "data" / "debian-docs"
    folder.mkdir(parents=True)
    texts = [WORDS, "something else", f"{WORDS} more"]
    pq.write_table(pa.table({"text": texts}), folder / "part-0.parquet")
    read = read_documents("three", folder)
    assert read is not None
    return read


def pretender(name: str, log: Path, last: str = "") -> Tool:
    """Return a tool that notes each of its runs and how many documents it got, and keeps them all."""

    def command(job: Job) -> list[str | Path]:
        rows = sum(pq.read_metadata(file).num_rows for file in job.files)
        return [sys.executable, "-c", NOTE_RUN.format(log=log, name=name, last=last), str(rows)]

    def answer(job: Job) -> Ints | Bools:
        return np.ones(sum(pq.read_metadata(file).num_rows for file in job.files), bool)

    return Tool(name, command, answer, "pretends")


def place(tmp_path: Path) -> Place:
    """Return a place with two cores and no peers."""
    return Place(tmp_path, 2, tmp_path / "no" / "python")


def test_tools_take_turns_after_runs_that_are_not_measured(documents: Documents, tmp_path: Path) -> None:
    log = tmp_path / "log"
    few = cut(documents, "few", first_rows(documents.lengths, 1), tmp_path)
    entries = [
        Entry(pretender("a", log), documents, few, warm_up=True),
        Entry(pretender("b", log), documents, few),
    ]
    trials = compare("turns", entries, 2, place(tmp_path))
    assert log.read_text().split() == ["a1", "a3", "b1", *["a1", "a3", "b1", "b3"] * 2]
    assert [(len(trial.start_ups), len(trial.runs)) for trial in trials] == [(2, 2), (2, 2)]
    assert all(isinstance(trial.answer, np.ndarray) and len(trial.answer) == 3 for trial in trials)
    assert not list(tmp_path.glob("run-*"))


def test_a_failure_leaves_the_others_alone(documents: Documents, tmp_path: Path) -> None:
    log = tmp_path / "log"
    failing = Entry(pretender("a", log, "sys.exit('out of luck')"), documents, documents)
    fine = Entry(pretender("b", log), documents, documents)
    trials = compare("failure", [failing, fine], 1, place(tmp_path))
    rows = [figures_of(trial, 2, find_pairs([WORDS, "x", f"{WORDS} more"])) for trial in trials]
    assert [row.failure for row in rows] == ["failed with exit code 1: out of luck", ""]
    assert log.read_text().split() == ["a3", "b3", "b3", "b3"]
    assert rows[1].groups is None
    assert rows[1].removals is not None
    assert (rows[1].removals.recall, rows[1].removals.true_removable) == (0, 1)
    written = tmp_path / "record.json"
    Record(written, {"cores": 2}).add_table("failure", trials, rows, goals_of("failure", {}))
    recorded = json.loads(written.read_text())["tables"][0]
    assert [len(row["runs"]) for row in recorded["rows"]] == [0, 1]


def test_a_peer_that_is_not_installed_is_a_failure(documents: Documents, tmp_path: Path) -> None:
    (trial,) = compare("absent", [Entry(TOOLS["rensa"], documents, documents)], 1, place(tmp_path))
    assert trial.failure == f"not installed: there is no {tmp_path / 'no' / 'python'}"


def test_our_clusters_become_groups_by_position(tmp_path: Path) -> None:
    files = tuple(tmp_path / name for name in ("a.parquet", "b.parquet"))
    for file in files:
        pq.write_table(pa.table({"text": ["x", "y"]}), file)
    (tmp_path / "run" / "documents").mkdir(parents=True)
    second = 1 << 32
    table = pa.table(
        {
            "doc_id": pa.array([0, 1, second + 1], pa.uint64()),
            "cluster_id": pa.array([2**64 - 1, None, 2**64 - 1], pa.uint64()),
        }
    )
    pq.write_table(table, tmp_path / "run" / "documents" / "part-00000.parquet")
    assert our_groups(Job(files, tmp_path, 2, tmp_path)).tolist() == [0, -1, -1, 0]


def test_a_truth_is_read_back_as_it_was(tmp_path: Path) -> None:
    truth = find_pairs([WORDS, "x", f"{WORDS} more", ""])
    save(truth, tmp_path / "truth.npz")
    again = load(tmp_path / "truth.npz")
    assert (again.threshold, again.removable, again.removable_in_order) == (0.7, 1, 1)
    assert again.text_of_document.tolist() == truth.text_of_document.tolist()
    assert again.jaccard.tolist() == truth.jaccard.tolist()


def test_plans_name_tools_that_exist() -> None:
    assert {tool for plan in PLANS for tool in (*plan.tools, *plan.more)} == set(TOOLS)
    job = Job((), Path(), 2, Path())
    scripts = [TOOLS[name].command(job)[1] for name in ("rensa", "text-dedup", "datatrove", "datasketch")]
    assert all(Path(script).is_file() and Path(script).parent == PEERS for script in scripts)


@pytest.mark.usefixtures("documents")
def test_entries_are_what_was_asked_for(tmp_path: Path) -> None:
    plan = next(plan for plan in PLANS if plan.name == "debian-docs")
    data, some = tmp_path / "data", Extent(quick=False, all_tools=False)
    default = entries_of(plan, data, TOOLS, some, tmp_path)
    assert default is not None
    assert [(entry.tool.name, entry.documents.count, entry.few.count) for entry in default] == [
        ("dupaudit", 3, 1),
        ("rensa", 3, 1),
    ]
    every = entries_of(plan, data, ["rensa", "datatrove"], Extent(True, all_tools=True), tmp_path)
    assert every is not None
    assert [(entry.tool.name, entry.few.count) for entry in every] == [("rensa", 1), ("datatrove", 3)]
    assert entries_of(plan, tmp_path, TOOLS, some, tmp_path) is None


def test_the_machine_is_stated(tmp_path: Path) -> None:
    assert processor_model("processor\t: 0\nmodel name\t: Fast 3000\n\nmodel name\t: Slow") == "Fast 3000"
    assert requirement_names("# why\na==1.0\n\nb-c==2  # because\n") == ["a", "b-c"]
    lines = machine_lines(machine_facts(tmp_path / "python")).splitlines()
    assert "cores" in lines[0]
    assert "numba" in lines[1]
    assert lines[2] == "peers: not installed"
