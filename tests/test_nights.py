"""What a nightly audit with an index reads again and what it takes for new, case by case."""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pipeline import run as run_module
from pipeline.config import parse
from pipeline.errors import AuditError
from pipeline.index import last_runs
from pipeline.manifest import read_manifest
from pipeline.progress import Progress
from pipeline.run import run_audit
from pipeline.runs import newest_run
from tests import corpus
from tests.audits import write_texts
from tests.changing_folder import KINDS, PASSAGE, POOL, write
from tests.indexed_nights import EDGE_BYTES, SETTINGS, Nights, quick

RNG = random.Random(5)
UNLIKE = [corpus.text(RNG, 20) for _ in range(30)]  # texts of which no two share anything


@pytest.fixture
def nights(tmp_path: Path) -> Iterator[Nights]:
    """Audits of a folder that is empty so far."""
    with quick():
        yield Nights(tmp_path)


def names(nights: Nights) -> set[str]:
    """The names of the files that the last audit had not known."""
    assert nights.new is not None
    return {path.rpartition("/")[2] for path in nights.new}


def rewrite_the_middle(path: Path) -> None:
    """Other words half-way through a file, of the same size; by its time it did not change."""
    before, content = path.stat(), bytearray(path.read_bytes())
    at = content.index(b" ", len(content) // 2) + 1
    assert EDGE_BYTES < at < len(content) - EDGE_BYTES - 3
    content[at : at + 3] = b"new"
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


# --- what is read again ---------------------------------------------------------------------------


def test_nothing_is_read_when_nothing_changed(nights: Nights) -> None:
    for kind in KINDS:
        nights.files.add("web", kind, POOL)
        nights.files.add("wiki", kind, POOL[:1])
    nights.audit()
    assert nights.new is None
    assert len(nights.files_read) == 2 * len(KINDS)
    assert nights.again
    nights.audit()
    assert (nights.read, nights.again) == ([], [])
    assert names(nights) == set()


@pytest.mark.parametrize("kind", KINDS)
def test_of_large_files_only_new_and_changed_ones_are_read(nights: Nights, kind: str) -> None:
    old, changed = (nights.files.add("web", kind, texts) for texts in (UNLIKE, UNLIKE[5:]))
    nights.audit()
    nights.files.put(changed, UNLIKE[7:])
    new = nights.files.add("web", kind, UNLIKE[:20])
    moved = nights.files.rename(old, "web")
    nights.audit()
    assert nights.files_read == names(nights) == {changed.name, new.name}
    assert moved.name not in names(nights)


def test_file_of_another_source_is_read_but_not_new(nights: Nights) -> None:
    path = nights.files.add("web", "jsonl", UNLIKE)
    nights.audit()
    moved = nights.files.rename(path, "wiki")
    nights.audit()
    assert (nights.files_read, names(nights)) == ({moved.name}, set())


def test_file_that_is_read_as_another_format_is_another_file(nights: Nights) -> None:
    paths = [nights.files.add("web", "jsonl", [f"{UNLIKE[0]} {end}"]) for end in ("a", "b")]
    assert nights.audit().rows("summary/examples")[0]["text"].startswith(UNLIKE[0])
    renamed = [nights.files.rename_as(path, "txt").name for path in paths]
    examples = nights.audit().rows("summary/examples")
    assert [row["text"][:2] for row in examples] == ['{"', '{"']
    assert nights.files_read == names(nights) == set(renamed)


def test_shards_of_another_size_are_others(nights: Nights) -> None:
    nights.files.add("web", "jsonl", [*POOL, *UNLIKE])
    nights.files.add("web", "parquet", [*POOL, *UNLIKE])
    for shard_bytes, again in ((4000, True), (1000, True), (4000, False), (1000, False)):
        nights.settings["shard_bytes"] = shard_bytes
        nights.audit()
        assert bool(nights.read) == again


def test_of_small_files_few_are_read_when_one_comes(nights: Nights) -> None:
    for i in range(60):
        nights.files.add("web", "txt", [UNLIKE[i % 30], str(i)])
    nights.audit()
    new = nights.files.add("web", "txt", ["new"])
    nights.audit()
    assert new.name in nights.files_read
    assert len(nights.files_read) < 20
    assert names(nights) == {new.name}
    nights.audit()
    assert nights.read == []


def test_small_file_beside_others_has_only_itself_read(nights: Nights) -> None:
    for i in range(100, 105):
        nights.files.put(nights.files.root / f"web/{i}.txt", [str(i)])
    nights.audit()
    for new in ("999", "500", "000"):
        nights.files.put(nights.files.root / f"web/{new}.txt", [new])
        nights.audit()
        assert nights.files_read == {f"{new}.txt"}


def test_file_that_was_bad_is_read_until_it_is_whole(nights: Nights) -> None:
    path = nights.files.add("web", "jsonl.gz", UNLIKE)
    nights.files.spoil(path)
    nights.files.add("web", "jsonl", UNLIKE)
    nights.audit()
    for _ in range(2):
        assert nights.audit().metrics["rejected_files"] == 1
        assert nights.files_read == {path.name}
        assert names(nights) == set()
    nights.files.put(path, UNLIKE)
    assert nights.audit().metrics["rejected_files"] == 0
    assert names(nights) == {path.name}
    nights.audit()
    assert nights.read == []


# --- by what a change is known --------------------------------------------------------------------


@pytest.mark.parametrize("fingerprint", ["edges", "full"])
def test_file_that_its_fingerprint_covers_may_be_touched(nights: Nights, fingerprint: str) -> None:
    nights.settings["fingerprint"] = fingerprint
    path = nights.files.root / "web/a.txt"
    write(path, ["x" * 2 * EDGE_BYTES])
    assert path.stat().st_size == 2 * EDGE_BYTES
    nights.audit()
    nights.files.stamp(path)
    nights.audit()
    assert (nights.files_read, names(nights)) == (set(), set())


@pytest.mark.parametrize(("fingerprint", "again"), [("edges", True), ("full", False)])
def test_large_file_that_was_touched_is_read_again_but_for_full(
    nights: Nights, fingerprint: str, again: bool
) -> None:
    nights.settings["fingerprint"] = fingerprint
    path = nights.files.add("web", "txt", ["x" * (2 * EDGE_BYTES + 1)])
    nights.audit()
    nights.files.stamp(path)
    nights.audit()
    assert nights.files_read == names(nights) == ({path.name} if again else set())


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_change_in_the_middle_that_time_does_not_tell_is_noticed_by_full(nights: Nights, kind: str) -> None:
    nights.settings["fingerprint"] = "full"
    path = nights.files.add("web", kind, UNLIKE)
    nights.audit()
    rewrite_the_middle(path)
    nights.audit()
    assert path.name in nights.files_read
    assert names(nights) == {path.name}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_change_in_the_middle_that_time_does_not_tell_is_not_noticed_by_edges(
    nights: Nights, kind: str
) -> None:
    path = nights.files.add("web", kind, UNLIKE)
    before = nights.audit().bytes_of_files()
    rewrite_the_middle(path)
    with pytest.raises(AssertionError):  # the documented limit: one without an index is right
        nights.audit()
    assert nights.read == []
    assert nights.last is not None
    assert nights.last.bytes_of_files() == before
    nights.files.stamp(path)
    nights.audit()
    assert path.name in nights.files_read


def test_other_fingerprint_is_of_the_same_small_files_and_of_other_large_ones(nights: Nights) -> None:
    large = nights.files.add("web", "jsonl", UNLIKE)
    nights.files.add("web", "csv", UNLIKE[:1])
    nights.audit()
    nights.settings["fingerprint"] = "full"
    nights.audit()
    assert nights.files_read == names(nights) == {large.name}


# --- files that lie elsewhere ---------------------------------------------------------------------


@pytest.fixture
def store(nights: Nights) -> Iterator[Any]:
    """A file system in memory, whose folder is audited."""
    files, folder = fsspec.filesystem("memory"), f"/{uuid.uuid4().hex}"
    nights.inputs = f"memory:/{folder}/*"
    yield SimpleNamespace(write=lambda name, data: files.pipe(f"{folder}/{name}", data))
    files.rm(folder, recursive=True)


def _lines(tmp_path: Path, texts: list[str]) -> bytes:
    return write_texts(tmp_path / "lines.jsonl", texts).read_bytes()


def test_store_that_tells_no_times_has_its_files_compared_whole(
    nights: Nights, store: Any, tmp_path: Path
) -> None:
    store.write("a.jsonl", _lines(tmp_path, UNLIKE))
    store.write("b.jsonl", _lines(tmp_path, UNLIKE[10:]))
    nights.audit()
    store.write("a.jsonl", _lines(tmp_path, UNLIKE))
    nights.audit()
    assert (nights.read, names(nights)) == ([], set())
    swapped = [*UNLIKE[:14], UNLIKE[15], UNLIKE[14], *UNLIKE[16:]]
    same_edges = _lines(tmp_path, swapped)
    assert len(same_edges) == len(_lines(tmp_path, UNLIKE))
    store.write("a.jsonl", same_edges)
    nights.audit()
    assert nights.files_read == names(nights) == {"a.jsonl"}


@pytest.mark.parametrize("key", ["ETag", "mtime"])
def test_store_that_tells_a_tag_or_a_time_is_asked_for_it(
    nights: Nights, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    tags, ask, find = {"a.jsonl": "1", "b.jsonl": "1"}, MemoryFileSystem.info, MemoryFileSystem.find

    def tagged(info: dict[str, Any]) -> dict[str, Any]:
        return {**info, key: tags.get(info["name"].rpartition("/")[2])}

    def found(*args: Any, **options: Any) -> dict[str, Any]:
        return {name: tagged(info) for name, info in find(*args, **{**options, "detail": True}).items()}

    monkeypatch.setattr(MemoryFileSystem, "info", lambda *args, **options: tagged(ask(*args, **options)))
    monkeypatch.setattr(MemoryFileSystem, "find", found)
    hashed: list[object] = []
    monkeypatch.setattr("pipeline.stages.inputs._hash_of_all", hashed.append)
    for name in tags:
        store.write(name, _lines(tmp_path, UNLIKE))
    nights.audit()
    nights.audit()
    assert nights.read == []
    tags["b.jsonl"] = "2"
    nights.audit()
    assert nights.files_read == names(nights) == {"b.jsonl"}
    assert hashed == []


# --- clocks ---------------------------------------------------------------------------------------


def test_clock_that_is_set_back_hides_no_file_and_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, index = tmp_path / "out", tmp_path / "index"
    tree = {**SETTINGS, "inputs": [f"{tmp_path}/data/*"], "out": str(out), "index": str(index)}
    for number, year in enumerate((2031, 2011, 2021), 1):
        clock = SimpleNamespace(now=lambda zone, year=year: datetime(year, 1, 1, tzinfo=zone))
        monkeypatch.setattr(run_module, "datetime", clock)
        path = write_texts(tmp_path / f"data/{number}.jsonl", UNLIKE)
        os.utime(path, (datetime(year - 1, 1, 1, tzinfo=UTC).timestamp(),) * 2)
        with quick():
            run = run_audit(parse(tree), None, Progress(quiet=True))
        assert run.name.startswith(str(year))
        manifest = read_manifest(run)
        assert manifest["sequence"] == number
        assert newest_run(out) == (out / "latest").resolve() == run
        (last,) = last_runs(index)
        assert (last.run, len(last.contents)) == (run.name, number)
        (scan,) = (log for log in manifest["stages"] if log["stage"] == "scan")
        assert scan["counts"]["bytes_read"] == path.stat().st_size


# --- groups that grow, shrink, merge --------------------------------------------------------------


def test_near_groups_gain_lose_and_merge(nights: Nights) -> None:
    words = corpus.fresh(RNG, 60)
    chain = [corpus.window(words, start, 22) for start in range(0, 18, 3)]
    paths = [nights.files.add("web", "jsonl", [chain[i], *UNLIKE[:6]]) for i in (0, 1, 4, 5)]
    sizes = []
    for step in range(6):
        if step == 1:  # gains
            nights.files.add("wiki", "jsonl", [chain[2], chain[2]])
        elif step == 2:  # merges
            bridge = nights.files.add("books", "jsonl", [chain[3]])
        elif step == 3:  # loses its middle
            nights.files.remove(bridge)
        elif step == 4:  # its first member, by which it is named and represented
            nights.files.rename(paths[0], "wiki")
        elif step == 5:
            nights.files.remove(paths[1])
        found = nights.audit()
        in_groups = [row["documents"] for row in found.clusters if row["distinct_texts"] > 1]
        sizes.append(sorted(in_groups))
    assert sizes == [[2, 2], [2, 4], [7], [2, 4], [2, 4], [2]]


def test_passages_branch_anew_and_cease(nights: Nights) -> None:
    shared = corpus.fresh(RNG, PASSAGE + 4)

    def text(before: list[str], words: list[str], after: list[str]) -> str:
        return corpus.joined([*before, *words, *after])

    def passages() -> list[int]:
        return sorted(row["tokens"] for row in nights.audit().rows("passages"))

    one, two = (text(corpus.fresh(RNG, 9), shared, corpus.fresh(RNG, 9)) for _ in range(2))
    nights.files.add("web", "jsonl", [one])
    assert passages() == []
    twin = nights.files.add("web", "jsonl", [two])
    assert passages() == [PASSAGE + 4]
    inner = nights.files.add("web", "csv", [text(corpus.fresh(RNG, 3), shared[2:-1], corpus.fresh(RNG, 3))])
    # From here on a passage branches where the shorter one begins and where it ends.
    assert passages() == [PASSAGE, PASSAGE + 1, PASSAGE + 1]
    nights.files.remove(twin)
    assert passages() == [PASSAGE + 1]
    # Upper case, at the first place of all: what a passage looks like is how it stands there.
    nights.files.put(nights.files.root / "books/000.txt", [text([], shared, []).upper()])
    nights.audit()
    nights.files.remove(inner)
    assert passages() == [PASSAGE + 4]


def test_audit_that_fails_leaves_what_it_scanned_and_no_more(nights: Nights) -> None:
    nights.files.add("web", "jsonl", UNLIKE)
    nights.audit()
    bad = nights.files.add("web", "jsonl.gz", UNLIKE)
    nights.files.spoil(bad)
    new = nights.files.add("web", "jsonl", UNLIKE[:9])
    nights.settings["on_bad_file"] = "error"
    with pytest.raises(AuditError, match="cannot be read"):
        nights.audit()
    nights.files.put(bad, UNLIKE[:9])
    nights.audit()
    assert names(nights) == {bad.name, new.name}
    assert bad.name in nights.files_read
