"""`dupaudit keep` as a user meets it: where lists go, what is printed, what is refused."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pipeline import keep as keeping
from pipeline.artifacts import write_output
from pipeline.cli import main
from pipeline.errors import ArtifactError, AuditError, ConfigError, InputChangedError, InputError
from pipeline.list_schemas import CUTS, KEEP
from pipeline.locks import holder_of
from pipeline.risk import SENTENCES
from pipeline.schemas import DOCUMENTS, PASSAGES, SPANS, Table
from tests.audits import Audited, audit, audit_texts, write_texts
from tests.kept import POLICIES, all_here, keep

SHARED = " ".join(f"word{i}er" for i in range(30))
NEAR = " ".join(f"near{i}" for i in range(40))
TEXTS = [
    f"one {SHARED}", f"two {SHARED} end", f"ONE {SHARED}!", NEAR, f"{NEAR} more", "lonely", "", "lonely", "  "
]  # fmt: skip


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with all_here():
        yield


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    with all_here():
        return audit_texts(TEXTS, tmp_path_factory.mktemp("keep"))


@pytest.fixture
def run(audited: Audited, tmp_path: Path) -> Path:
    """A copy of a run that has no list yet."""
    return Path(shutil.copytree(audited.folder, tmp_path / "run", ignore=shutil.ignore_patterns("keep")))


KEPT = {
    "one-per-text": [1, 1, 0, 1, 1, 1, 1, 0, 1],
    "one-per-cluster": [1, 0, 0, 1, 0, 1, 1, 0, 1],
    "cap:2": [1, 1, 0, 1, 1, 1, 1, 1, 1],
    "drop-passages": [1, 1, 0, 1, 1, 1, 1, 1, 1],
}


@pytest.mark.parametrize("policy", POLICIES)
def test_list_says_of_every_document_whether_it_stays(run: Path, policy: str) -> None:
    found = keep(run, policy)
    assert [row["keep"] for row in found.rows()] == [bool(stays) for stays in KEPT[policy]]
    assert [row["doc_id"] for row in found.rows()] == list(range(len(TEXTS)))
    assert found.folder == run / "keep" / policy.replace(":", "-")
    (path,) = (found.folder / "documents").iterdir()
    assert pq.read_schema(path).equals(KEEP.arrow_schema(), check_metadata=True)
    assert (found.folder / "cuts").is_dir() == (policy == "drop-passages")
    if policy == "drop-passages":
        (path,) = (found.folder / "cuts").iterdir()
        assert pq.read_schema(path).equals(CUTS.arrow_schema(), check_metadata=True)
        assert [row["doc_id"] for row in found.rows("cuts")] == [1]  # the other is a counter
    assert [path.name for path in (run / "keep").iterdir()] == [found.folder.name]


def test_list_has_a_manifest(run: Path) -> None:
    found = keep(run, "cap:2")
    assert json.loads((found.folder / "keep.json").read_text()) == {
        "run": "run",
        "policy": "cap:2",
        "table_versions": {"keep": 1, "cuts": 1},
        "documents": 9,
        "kept": 8,
        "reasons": {"no words": 2, "over the cap": 1, "within the cap": 6},
    }


def test_words_say_what_changes_and_where_the_list_is(run: Path) -> None:
    words = keep(run, "one-per-text").words
    lines = [re.split(r"  +", line.strip()) for line in words.splitlines()]
    assert ["documents", "9", "7", "-22.22%"] in lines
    assert ["exact copies: surplus documents", "2", "0", "-100.00%"] in lines
    assert ["exact copies: largest group", "2", "1", "-50.00%"] in lines
    assert ["near copies: documents in groups of 2 or more", "7", "4", "-42.86%"] in lines
    assert ["2-5", "4", "0", "7", "4"] in lines
    assert ["later copy of its text", "2"] in lines
    assert " ".join(SENTENCES["keep"].split()) in " ".join(words.split())
    assert "an audit of the result is the proof" in words
    assert f"Keep list: {run}/keep/one-per-text (7 of 9 documents stay)" in words
    assert "Written" not in words
    assert "before the cuts" not in words
    assert "before the cuts" in keep(run, "drop-passages").words


def test_list_goes_where_it_is_told_to(run: Path, tmp_path: Path) -> None:
    found = keep(run, "one-per-text", out=tmp_path / "deep" / "list")
    assert len(found.rows()) == len(TEXTS)
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["list"]
    assert not (run / "keep").exists()


def test_earlier_list_of_the_same_policy_is_replaced(run: Path, tmp_path: Path) -> None:
    for place in (None, tmp_path / "list"):
        first = keep(run, "one-per-text", out=place)
        data = first.bytes_of_files()
        (first.folder / "documents" / "part-00001.parquet").write_text("left over")
        assert keep(run, "one-per-text", out=place).bytes_of_files() == data
    (tmp_path / "empty").mkdir()
    assert keep(run, "one-per-text", out=tmp_path / "empty").bytes_of_files() == data


def _foreign(folder: Path, run: Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")


def _other_policy(folder: Path, run: Path) -> None:
    keep(run, "cap:3", out=folder)


def _with_more(folder: Path, run: Path) -> None:
    keep(run, "cap:2", out=folder)
    (folder / "notes\x1b.txt").write_text("mine")


def _broken_manifest(folder: Path, run: Path) -> None:
    folder.mkdir()
    (folder / "keep.json").write_text("[]")


def _file(folder: Path, run: Path) -> None:
    folder.write_text("mine")


@pytest.mark.parametrize(
    ("make", "got"),
    [
        (_foreign, "'thesis.txt'"),
        (_other_policy, "a list of the policy cap:3"),
        (_with_more, r"'notes\x1b.txt'"),
        (_broken_manifest, "a list of the policy None"),
        (_file, "'list'"),
    ],
)
def test_folder_of_something_else_is_never_replaced(
    run: Path, tmp_path: Path, make: Callable[[Path, Path], None], got: str
) -> None:
    make(tmp_path / "list", run)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="keep list is taken") as caught:
        keep(run, "cap:2", out=tmp_path / "list")
    assert caught.value.where == str(tmp_path / "list")
    assert got.replace("\\\\", "\\") in str(caught.value.got).replace("\\\\", "\\")
    assert "--out" in str(caught.value.fix)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("policy", ["cap:0", "one-per-doc"])
def test_unknown_policy_is_wrong_usage(run: Path, policy: str) -> None:
    done = CliRunner().invoke(main, ["keep", str(run), "--policy", policy])
    assert done.exit_code == 2
    assert f"--policy {policy}" in done.output
    assert "drop-passages" in done.output


def test_command_prints_the_words(run: Path) -> None:
    done = CliRunner().invoke(main, ["keep", str(run), "--policy", "cap:2", "--quiet"])
    assert done.exit_code == 0
    assert "Keep by cap:2, run run" in done.stdout
    assert "Keep list: " in done.stdout


def test_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not a finished run"):
        keep(tmp_path, "cap:2")


def test_run_without_passages_cannot_drop_them(tmp_path: Path) -> None:
    run = audit_texts(TEXTS, tmp_path, passages={"enabled": False}).folder
    with pytest.raises(ArtifactError, match="did not look for passages"):
        keep(run, "drop-passages")
    assert keep(run, "one-per-text").rows()


@pytest.mark.parametrize("table", ["documents", "spans", "passages"])
def test_run_whose_tables_were_taken_away_says_which(run: Path, table: str) -> None:
    shutil.rmtree(run / table)
    with pytest.raises(ArtifactError, match="a folder of the run is missing") as caught:
        keep(run, "drop-passages")
    assert caught.value.where == str(run / table)
    assert not (run / "keep").exists()


def test_place_that_cannot_be_written_to_is_told(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(AuditError, match="cannot write the keep list") as caught:
        keep(run, "cap:2", out=tmp_path / "file" / "list")
    assert caught.value.where == str(tmp_path / "file" / "list")


def _in_parts(run: Path, spec: Table, rows: int, folder: Path) -> None:
    """Cut the one part of a table into several."""
    (path,) = (run / spec.name).iterdir()
    table = pq.read_table(path)
    for i, first in enumerate(range(0, len(table), rows)):
        write_output(spec, table.slice(first, rows), folder / spec.name / f"part-{i:05d}.parquet")


def test_list_in_many_parts_is_the_same_list(tmp_path: Path) -> None:
    whole = audit(write_texts(tmp_path / "texts.jsonl", TEXTS * 3), tmp_path / "audits", "whole").folder
    cut = Path(shutil.copytree(whole, tmp_path / "audits" / "cut"))
    for spec in (DOCUMENTS, SPANS, PASSAGES):
        shutil.rmtree(cut / spec.name)
        _in_parts(whole, spec, 4 if spec is DOCUMENTS else 1, cut)
    for policy in POLICIES:
        one, many = (keep(run, policy, tmp_path / run.name / policy) for run in (whole, cut))
        assert len(list((many.folder / "documents").iterdir())) == 7
        assert many.rows() == one.rows()
        assert many.words.splitlines()[3:20] == one.words.splitlines()[3:20]
        if policy == "drop-passages":
            assert many.rows("cuts") == one.rows("cuts")
        copies = [(tmp_path / name / policy / "texts.jsonl").read_bytes() for name in ("whole", "cut")]
        assert copies[0] == copies[1]


def test_run_without_documents_has_an_empty_list(tmp_path: Path) -> None:
    for name, lines in {"none": "", "rejected": '{"text": 7}\n'}.items():
        (tmp_path / f"{name}.jsonl").write_text(lines)
        run = audit(tmp_path / f"{name}.jsonl", tmp_path / "audits", name, max_rejected_fraction=1).folder
        for policy in POLICIES:
            found = keep(run, policy, tmp_path / name / policy)
            assert found.rows() == []
            assert (tmp_path / name / policy / f"{name}.jsonl").read_text() == lines
    assert "Rows that could not be audited, written as they are: 1" in found.words


# --- writing the data -------------------------------------------------------------------------


def test_words_say_what_was_written(run: Path, tmp_path: Path) -> None:
    words = keep(run, "one-per-text", tmp_path / "out").words
    assert f"Written: 1 file with 7 documents to {tmp_path}/out\n" in words
    assert "could not be audited" not in words
    assert "left out" not in words


def test_files_that_were_rejected_are_named(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for i in range(7):
        (tmp_path / "in" / f"bad{i}\x1b.parquet").write_bytes(b"PAR1 nonsense")
    pq.write_table(pa.table({"text": ["a", "a", None]}), tmp_path / "in" / "good.parquet")
    run = audit(tmp_path / "in", tmp_path / "audits", on_bad_file="reject", max_rejected_fraction=1).folder
    words = keep(run, "one-per-text", tmp_path / "out").words
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.parquet"]
    (line,) = (line for line in words.splitlines() if "not written" in line)
    assert r"bad0\x1b.parquet" in line
    assert r"bad4\x1b.parquet and 2 more" in line
    assert "Rows that could not be audited, written as they are: 1\n" in words


def _state(folder: Path) -> dict[str, Any]:
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("where", ["in", "in/new", "taken"])
def test_place_for_the_data_is_checked_before_anything_is_done(tmp_path: Path, where: str) -> None:
    write_texts(tmp_path / "in" / "a.jsonl", TEXTS)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine").write_text("x")
    run = audit(tmp_path / "in", tmp_path / "audits").folder
    before = _state(tmp_path)
    with pytest.raises(ConfigError, match=r"audited data|is taken") as caught:
        keep(run, "cap:2", tmp_path / where)
    assert caught.value.where == f"--write {tmp_path}/{where}"
    assert _state(tmp_path) == before


def test_list_is_not_written_among_the_audited_data(tmp_path: Path) -> None:
    write_texts(tmp_path / "in" / "a.jsonl", TEXTS)
    run = audit(tmp_path / "in", tmp_path / "in" / "audits").folder
    with pytest.raises(ConfigError, match="among the audited data") as caught:
        keep(run, "cap:2", out=tmp_path / "in" / "list")
    assert caught.value.where == f"--out {tmp_path}/in/list"
    assert keep(run, "cap:2").rows()
    again = audit(tmp_path / "in", tmp_path / "audits")
    assert again.metrics["input_files"] == 1, "a list in a run is no data"


def _grow(path: Path) -> None:
    with path.open("a") as file:
        file.write("\n")


@pytest.mark.parametrize(("change", "kind"), [(_grow, InputChangedError), (Path.unlink, InputError)])
def test_nothing_is_left_where_the_data_is_not_what_the_run_read(
    tmp_path: Path, change: Callable[[Path], None], kind: type[InputError]
) -> None:
    for name in ("a", "b"):
        write_texts(tmp_path / "in" / f"{name}.jsonl", [name, *TEXTS])
    run = audit(tmp_path / "in", tmp_path / "audits").folder
    change(tmp_path / "in" / "b.jsonl")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(kind) as caught:
        keep(run, "cap:2", tmp_path / "out")
    assert type(caught.value) is kind
    assert sorted(tmp_path.rglob("*")) == before


def test_work_folder_is_locked_until_all_is_in_its_place(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def looked(*arguments: Any) -> None:
        (work,) = (run / "keep").glob(".keep-*")
        holder = holder_of(work)
        assert holder is not None
        seen.append((holder.alive, holder.what))
        put_in_place(*arguments)

    put_in_place = keeping._put_in_place
    monkeypatch.setattr("pipeline.keep._put_in_place", looked)
    keep(run, "cap:2", write=tmp_path / "copy")
    assert seen == [(True, f"keep list cap:2 of run {run.name}")]
    assert [path.name for path in (run / "keep").iterdir()] == ["cap-2"]
    assert not list((run / "keep" / "cap-2").glob(".*"))


def test_data_elsewhere_is_written_elsewhere(tmp_path: Path) -> None:
    fs = fsspec.filesystem("memory")
    lines = b"".join(json.dumps({"text": text}).encode() + b"\n" for text in TEXTS)
    fs.pipe({"/keep-in/one/a.jsonl": lines, "/keep-in/two/b.jsonl": lines})
    try:
        run = audit("memory://keep-in", tmp_path / "audits").folder
        words = keep(run, "one-per-text", "memory://keep-out").words
        assert fs.cat("/keep-out/one/a.jsonl") == b"".join(
            line for line, stays in zip(lines.splitlines(True), KEPT["one-per-text"], strict=True) if stays
        )
        assert fs.cat("/keep-out/two/b.jsonl").count(b"\n") == 2  # the two without a word
        assert "Written: 2 files with 9 documents to memory:///keep-out" in words
        fs.pipe("/keep-in/two/b.jsonl", lines + b"\n")
        with pytest.raises(InputChangedError):
            keep(run, "one-per-text", "memory://keep-out2")
        assert not fs.exists("/keep-out2")
        with pytest.raises(ConfigError, match="among the audited data"):
            keep(run, "one-per-text", "memory://keep-in/new")
    finally:
        for folder in ("/keep-in", "/keep-out"):
            fs.rm(folder, recursive=True)


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8 are for Linux's file systems")
def test_file_whose_name_is_not_utf8_is_named_as_not_written(tmp_path: Path) -> None:
    # Arrow opens no such file, so it was rejected; other odd names are kept.
    names = ['line\nend\'s "quote".jsonl', "looks\\udce9.jsonl", "latin\udce9.jsonl"]
    for i, name in enumerate(names):
        write_texts(tmp_path / "in" / name, ["same", f"of {i}"])
    run = audit(tmp_path / "in", tmp_path / "audits", on_bad_file="reject").folder
    found = keep(run, "one-per-text", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names[:2])
    assert [row["keep"] for row in found.rows()] == [True, True, False, True]
    (line,) = (line for line in found.words.splitlines() if "not written" in line)
    assert line.endswith(r"latin\udce9.jsonl")
