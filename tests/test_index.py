"""What an index is used for and what for not: other parameters, other folders, other runs."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import xxhash
from click.testing import CliRunner

from pipeline import index as index_module
from pipeline import keeping
from pipeline import run as run_module
from pipeline.cli import main
from pipeline.errors import ConfigError
from pipeline.index import (
    INDEX_VERSION,
    Kept,
    last_runs,
    open_index,
    placed,
    remove_others,
    segment_folder,
    unit_folder,
    write_kept,
)
from pipeline.keeping import Earlier
from pipeline.mapped import write_mapped
from pipeline.removal import remove
from pipeline.stages.scan import ScanResult, Segment
from tests.audits import Audited, audit, without_dask, write_rows, write_texts
from tests.indexed_nights import check_bytes, counts_of
from tests.stages.steps import table_at

TEXTS = [f"one two three four five six seven eight {i // 2}" for i in range(20)]
COLUMNS: dict[str, Any] = {
    "id_column": "name",
    "source": {"column": "site"},
    "licence_column": "terms",
    "near": {"permutations": 64},
}
# For each parameter of an index another value of it, with all that is changed by that.
OTHERS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "text_column": ({"text_column": "words"}, ["text_column"]),
    "id_column": ({"id_column": None}, ["id_column"]),
    "source.column": ({"source": {"path": "(x)"}}, ["source.column"]),
    "licence_column": ({"licence_column": "site"}, ["licence_column"]),
    "near.shingle_tokens": ({"near": {"permutations": 64, "shingle_tokens": 4}}, ["near.shingle_tokens"]),
    "near.permutations": ({"near": {"permutations": 32}}, ["near.permutations", "near.bands"]),
    "near.seed": ({"near": {"permutations": 64, "seed": 2}}, ["near.seed"]),
    "near.bands": ({"near": {"permutations": 64, "bands": 9, "rows": 4}}, ["near.bands"]),
    "near.rows": ({"near": {"permutations": 64, "bands": 16, "rows": 3}}, ["near.rows"]),
    "passages.min_tokens": ({"passages": {"min_tokens": 20}}, ["passages.min_tokens"]),
    "passages.enabled": ({"passages": {"enabled": False}}, ["passages.min_tokens"]),
}
# Those that no configuration decides, by where they stand.
FIXED = {
    "index_version": (index_module, "INDEX_VERSION"),
    "format_version": (index_module, "FORMAT_VERSION"),
    "signature_scheme": (index_module, "SCHEME"),
    "unicode_version": (unicodedata, "unidata_version"),
}


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with without_dask(page=False):
        yield


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of input files with labels."""
    rows = [{"text": text, "words": text, "name": "n", "site": "s", "terms": "t"} for text in TEXTS]
    write_rows(tmp_path / "data/a.jsonl", rows)
    write_rows(tmp_path / "data/b.jsonl", rows[:3])
    return tmp_path / "data"


def run(data: Path, name: str, **config: Any) -> Audited:
    """An audit with an index beside the data."""
    folder = data.parent
    return audit(data, folder / "out", name, **{"index": str(folder / "index"), **COLUMNS, **config})


def content(folder: Path) -> dict[str, bytes]:
    """All files in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def parameters(data: Path) -> dict[str, Any]:
    """What the index is said to be of."""
    found: dict[str, Any] = json.loads((data.parent / "index/index.json").read_text())
    return found


def refused(data: Path, names: list[str], **config: Any) -> ConfigError:
    """The refusal of an audit, that names these parameters and no others; the index stays as it was."""
    before = content(data.parent / "index")
    with pytest.raises(ConfigError, match="the index was made with other parameters") as caught:
        run(data, "refused", **config)
    assert content(data.parent / "index") == before
    found = caught.value
    for words in (found.got or "", found.expected or ""):
        assert [word.partition(" ")[0] for word in words.split(", ")] == names
    return found


# --- other parameters -----------------------------------------------------------------------------


def test_every_parameter_is_among_those_below(data: Path) -> None:
    run(data, "first")
    assert set(parameters(data)) == (set(OTHERS) | set(FIXED)) - {"passages.enabled"}


@pytest.mark.parametrize("name", OTHERS)
def test_index_of_another_parameter_is_refused_by_its_name(data: Path, name: str) -> None:
    run(data, "first")
    was = parameters(data)
    config, names = OTHERS[name]
    found = refused(data, names, **config)
    assert found.exit_code == 2
    assert found.where == str(data.parent / "index")
    assert f"{names[0]} {json.dumps(was[names[0]])}" in (found.got or "")
    assert "index_mismatch=rebuild" in (found.fix or "")


@pytest.mark.parametrize("name", FIXED)
def test_index_of_another_version_is_refused_by_its_name(
    data: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run(data, "first")
    monkeypatch.setattr(*FIXED[name], 99)
    assert refused(data, [name]).expected == f"{name} 99"


def test_index_of_a_parameter_that_is_not_known_is_refused_by_its_name(data: Path) -> None:
    run(data, "first")
    path = data.parent / "index/index.json"
    path.write_text(json.dumps({**parameters(data), "near.hash\n": "md5"}))
    with pytest.raises(ConfigError, match=r'got:      near.hash\\n "md5"'):
        run(data, "refused")


def test_command_ends_with_2_and_names_parameter_and_folder(data: Path) -> None:
    index = data.parent / "index"
    given = ["run", str(data), "--out", str(data.parent / "out"), "--set", f"index={index}"]
    assert CliRunner().invoke(main, given).exit_code == 0
    result = CliRunner().invoke(main, [*given, "--set", "near.seed=7"])
    assert result.exit_code == 2
    for words in (str(index), "near.seed 1", "near.seed 7", "index_mismatch=rebuild"):
        assert words in result.stderr


@pytest.mark.parametrize("name", ["text_column", "source.column", "near.seed", "passages.enabled"])
def test_index_of_another_parameter_is_made_anew_if_asked(data: Path, name: str) -> None:
    first = run(data, "first")
    config, _ = OTHERS[name]
    found = run(data, "second", index_mismatch="rebuild", **config)
    check_bytes(found, run(data, "fresh", index=None, **config))
    assert counts_of(found, "scan")["bytes_read"] == counts_of(first, "scan")["bytes_read"]
    # Nothing of the old one is left, whose shards had the same names.
    again = audit(data, data.parent / "other", index=str(data.parent / "new"), **{**COLUMNS, **config})
    check_bytes(found, again)
    assert content(data.parent / "index/scan") == content(data.parent / "new/scan")
    assert len(last_runs(data.parent / "index")) == 1
    refused(data, OTHERS[name][1])


def test_rebuilding_takes_what_is_of_the_same_parameters(data: Path) -> None:
    run(data, "first")
    assert counts_of(run(data, "second", index_mismatch="rebuild"), "scan")["bytes_read"] == 0


@pytest.mark.parametrize("killed_at", range(4))
def test_index_that_was_made_anew_by_half_is_never_mixed(
    data: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    run(data, "first")
    (data.parent / "index/kept").mkdir(exist_ok=True)
    config: dict[str, Any] = {"near": {"permutations": 64, "seed": 2}}
    calls: list[object] = []

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    def removing(folder: Path) -> None:
        calls.append(folder)
        if len(calls) > killed_at:
            raise KeyboardInterrupt
        remove(folder)

    with monkeypatch.context() as patched:
        patched.setattr(index_module, "remove", removing)
        patched.setattr(run_module, "open_engine", killed)
        with pytest.raises(KeyboardInterrupt):
            run(data, "killed", index_mismatch="rebuild", **config)
    assert len(calls) == min(killed_at + 1, 3)
    if killed_at < 3:
        for others in ({}, config):
            with pytest.raises(ConfigError, match="emptied and not made anew"):
                run(data, "refused", **others)
    found = run(data, "second", index_mismatch="rebuild", **config)
    check_bytes(found, run(data, "fresh", index=None, **config))
    assert counts_of(run(data, "third", **config), "scan")["bytes_read"] == 0


def test_work_folder_of_another_version_is_begun_anew(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run_module, "find_near", killed)
        with pytest.raises(KeyboardInterrupt):
            run(data, "first", index=None)
    monkeypatch.setattr(index_module, "INDEX_VERSION", 99)
    found = run(data, "second", index=None)
    assert counts_of(found, "scan")["bytes_read"] > 0
    check_bytes(found, run(data, "fresh", index=None))


# --- folders that are something else --------------------------------------------------------------


def _with(name: str, words: str) -> Callable[[Path], object]:
    def make(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(words)

    return make


STRANGERS: dict[str, Callable[[Path], object]] = {
    "files": _with("scan/thesis.tex", "years of work"),
    "a run": lambda folder: audit(folder.parent / "data", folder.parent, "index"),
    "another program's index": _with("index.json", '{"version": 2, "shards": []}'),
    "a list": _with("index.json", "[1]"),
    "no JSON": _with("index.json", '{"index_version": 1'),
    "no text": lambda folder: (folder / "index.json").write_bytes(b"\xff"),
    "deep": _with("index.json", "[" * 100_000),
    "a folder": _with("index.json/file", ""),
}


@pytest.mark.parametrize("mismatch", ["error", "rebuild"])
@pytest.mark.parametrize("name", STRANGERS)
def test_folder_that_is_no_index_is_refused_and_not_touched(data: Path, name: str, mismatch: str) -> None:
    folder = data.parent / "index"
    if name != "a run":
        folder.mkdir()
        _with("kept/precious", "gold")(folder)
        _with("runs/precious", "gold")(folder)
    STRANGERS[name](folder)
    before = content(folder)
    with pytest.raises(ConfigError, match="the folder of the index is no index") as caught:
        run(data, "run", index_mismatch=mismatch)
    assert caught.value.exit_code == 2
    assert str(folder) in str(caught.value)
    assert content(folder) == before
    assert content(data.parent / "out") == {}


def test_empty_folder_becomes_an_index(data: Path) -> None:
    (data.parent / "index").mkdir()
    _with(".hidden", "")(data.parent / "index")
    run(data, "run")
    assert parameters(data)["index_version"] == INDEX_VERSION


def test_index_is_no_input(data: Path) -> None:
    inside: dict[str, Any] = {"index": str(data / "index"), "format": "auto"}
    first = run(data, "first", **inside)
    kept = content(data / "index")
    found = run(data, "second", **inside)
    check_bytes(found, first)
    listed = json.loads((found.folder / "run.json").read_text())
    assert listed["files"] == 2
    assert listed["passed_over"]["written by an audit"] == len(kept)


# --- what is kept beside the scan -----------------------------------------------------------------


def test_tables_of_another_threshold_are_not_used_but_the_scan_is(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(data, "first")
    kept = json.loads((data.parent / "index/kept.json").read_text().partition("\n")[2])
    generation = dict(kept["is"][1])["generation"]
    given: list[Kept] = []
    taken = keeping.earlier_of

    def spied(*args: Any) -> Earlier:
        earlier = taken(*args)
        given.append(earlier.kept)
        return earlier

    monkeypatch.setattr(run_module, "earlier_of", spied)
    found = run(data, "second", near={"permutations": 64, "threshold": 0.9})
    run(data, "third", near={"permutations": 64, "threshold": 0.9})
    run(data, "fourth")
    assert [kept.generation == "" for kept in given] == [True, False, True]
    assert generation not in {kept.generation for kept in given}
    assert counts_of(found, "scan")["bytes_read"] == 0
    check_bytes(found, run(data, "fresh", index=None, near={"permutations": 64, "threshold": 0.9}))


def test_two_sets_of_inputs_take_turns_in_one_index(tmp_path: Path) -> None:
    large = {"shard_bytes": 500}  # so that each file has shards of its own
    index = {"index": str(tmp_path / "index"), **large}
    one, two = tmp_path / "one", tmp_path / "two"
    write_texts(one / "a.jsonl", TEXTS)
    write_texts(two / "b.jsonl", TEXTS[5:])
    write_texts(two / "c.jsonl", TEXTS[:5])
    for night in range(3):
        for data in (one, two):
            found = audit(data, tmp_path / "out", f"{data.name}{night}", **index)
            check_bytes(found, audit(data, tmp_path / "fresh", f"{data.name}{night}", **large))
            assert (counts_of(found, "scan")["bytes_read"] > 0) == (night == 0)
        names = {last.run: len(last.contents) for last in last_runs(tmp_path / "index")}
        assert names == {f"one{night}": 1, f"two{night}": 2}
    # What one has scanned, the other need not, wherever it lies.
    (two / "b.jsonl").rename(one / "new name.jsonl")
    found = audit(one, tmp_path / "out", "moved", **index)
    assert counts_of(found, "scan")["bytes_read"] == 0
    check_bytes(found, audit(one, tmp_path / "fresh", "moved", **large))


def test_only_the_last_generation_of_kept_tables_stays(tmp_path: Path) -> None:
    open_index(tmp_path, {}, False)
    for generation in ("first", "second"):
        path = write_mapped(pa.table({"a": [1]}), tmp_path / f"kept/{generation}/0.arrow")
        write_kept(tmp_path, generation, {"t": [path]}, [(path, path)], {path: (1, "")}, "p")
    remove_others(tmp_path)
    assert os.listdir(tmp_path / "kept") == ["second"]


def test_segment_is_found_by_its_name(tmp_path: Path) -> None:
    folder = unit_folder(tmp_path, "ab" + "0" * 30)
    scanned = ScanResult(0, (Segment(0, "0003", 5),), (5,), "", 0)
    (segment,) = placed(scanned, 7, folder).segments
    assert segment_folder(tmp_path, segment.name) == Path(segment.path) == folder / "0003"


# --- what an index holds --------------------------------------------------------------------------

# Whoever changes what scanned shards hold has to raise INDEX_VERSION, then write both down here.
HELD = (3, "e5190a9e3b3805da")
CORPUS = [
    "The same words, twice over: one two three four five six seven eight nine ten.",
    "two",
    "",
    "x " * 40,
]


def test_scanned_shards_hold_what_this_version_of_the_index_says(tmp_path: Path) -> None:
    write_rows(tmp_path / "data/a.jsonl", [{"text": text} for text in [*CORPUS, CORPUS[0].upper()]])
    with (tmp_path / "data/a.jsonl").open("ab") as file:
        file.write(b"{}\nno JSON\n")
    write_texts(tmp_path / "data/b.jsonl", CORPUS[::-1])
    config: dict[str, Any] = {"near": {"permutations": 16}, "passages": {"min_tokens": 8}}
    audit(tmp_path / "data", tmp_path / "out", index=str(tmp_path / "index"), **config)
    hashed = xxhash.xxh3_64()
    for path in sorted((tmp_path / "index/scan").rglob("*.*")):
        hashed.update(str(path.relative_to(tmp_path)).encode())
        if path.suffix in (".parquet", ".arrow"):  # tables: bytes of files differ by version of Arrow
            table = table_at(path)
            hashed.update(repr((table.schema.to_string(), table.to_pylist())).encode())
        else:
            _, _, body = path.read_text().partition("\n")
            hashed.update(json.dumps(json.loads(body)["is"]).encode())
    assert (INDEX_VERSION, hashed.hexdigest()) == HELD
