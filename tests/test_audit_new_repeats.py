"""What new documents repeat of earlier ones, in whole audits, against the definition."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from pipeline.config import parse
from pipeline.engine import open_engine
from pipeline.new_repeats import find_new_repeats
from pipeline.progress import Progress
from pipeline.resuming import Here, Resuming
from pipeline.schemas import NEW_REPEATS
from pipeline.stages.new_repeats import KINDS
from tests import corpus
from tests.audits import Audited, audit, without_dask, write_rows, write_texts
from tests.exposure_oracle import in_pieces
from tests.new_repeats_oracle import Expected, expected, folder_of, write_repeats
from tests.searching import few

W = 10
PASSAGES: dict[str, Any] = {"passages": {"min_tokens": W}}
WITHOUT: dict[str, Any] = {"passages": {"enabled": False}}
REPEATS = "summary/new_repeats"

_RNG = random.Random(5)
BASES = [corpus.fresh(_RNG, 70) for _ in range(3)]


def _corpus(rng: random.Random) -> list[list[str]]:
    """Files of texts that share whole texts, all but a few words, passages, or nothing."""
    files: list[list[str]] = [[] for _ in range(rng.randint(2, 5))]
    known = ["", "...", "one two", "la " * 30]
    for _ in range(rng.randint(0, 24)):
        kind = rng.random()
        if kind < 0.3:
            text = corpus.disguised(rng, rng.choice(known).split())
        elif kind < 0.6:
            text = _window(rng.randrange(3), rng.choice([0, 1, 3, 5, 8, 11, 30]))
        else:
            parts = [_window(rng.randrange(3), rng.randrange(50), rng.choice([5, 12, 20])) for _ in range(2)]
            text = " ".join([*parts, *corpus.fresh(rng, rng.randint(0, 30)), "la " * rng.choice([0, 30])])
        known.append(text)
        rng.choice(files).append(text)
    return files


def _audited(files: Sequence[Sequence[str]], folder: Path, **config: Any) -> Audited:
    return audit(folder_of(files, folder / "data"), folder, **config)


@given(st.integers(0, 1 << 32), st.booleans())
@few(12)
def test_the_table_equals_plain_python(seed: int, looked_for: bool) -> None:
    rng = random.Random(seed)
    files = _corpus(rng)
    config, w = (PASSAGES, W) if looked_for else (WITHOUT, None)
    with TemporaryDirectory() as folder, without_dask(page=False):
        run = _audited(files, Path(folder), **config)
        assert run.rows(REPEATS) == []
        for _ in range(3):
            new = rng.sample(range(len(files)), rng.randint(1, len(files) - 1))
            counts = write_repeats(run, new, **config)
            found = run.rows(REPEATS)
            assert found == expected(run, files, new, w)
            kinds = Counter(row["kind"] for row in found)
            assert counts == {
                "files": len(new),
                "documents": sum(len(files[number]) for number in new),
                **{kind: kinds[kind] for kind in KINDS},
            }
            event(f"kinds {sorted(kinds)}")


@given(st.integers(0, 1 << 32), st.integers(1, 4))
@few(3)
def test_tables_in_many_parts_hold_what_they_hold_in_one(seed: int, rows: int) -> None:
    files = _corpus(random.Random(seed))
    with TemporaryDirectory() as folder, without_dask(page=False), in_pieces(rows):
        run = _audited(files, Path(folder), **PASSAGES)
        assert len(list((run.folder / "documents").iterdir())) == max(-(-sum(map(len, files)) // rows), 1)
        write_repeats(run, [1], **PASSAGES)
        assert run.rows(REPEATS) == expected(run, files, [1], W)


def _told(run: Audited, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in columns) for row in run.rows(REPEATS)]


def _window(base: int, start: int, length: int = 40) -> str:
    return " ".join(BASES[base][start : start + length])


def test_each_kind_by_hand(tmp_path: Path) -> None:
    rng = random.Random(1)
    lonely = [corpus.text(rng, 30) for _ in range(2)]
    earlier = [_window(0, 0), _window(1, 0), _window(1, 2), lonely[0], _window(0, 0).upper()]
    new = [_window(0, 0).title(), _window(1, 3), lonely[1] + " " + _window(1, 0, 20), "only here " * 9, ""]
    with without_dask(page=False):
        run = _audited([earlier, new], tmp_path, **PASSAGES)
        assert write_repeats(run, [1], **PASSAGES) == {
            "files": 1, "documents": 5, "exact": 1, "near": 1, "cluster": 0, "passage": 1,
        }  # fmt: skip
    first = 1 << 32
    assert _told(run, "doc_id", "kind", "earlier_doc_id", "earlier_row") == [
        (first, "exact", 0, 0),
        (first + 1, "near", 2, 2),
        (first + 2, "passage", 1, 1),
    ]
    # Of the words 0 to 42 of one text, passages end where a document begins (2, 3) or ends (20, 40, 42).
    columns = ("earlier_copies", "n_tokens", "repeated_tokens", "passage_tokens")
    assert _told(run, *columns) == [(2, 40, 40, None), (0, 40, 39, 29), (0, 54, 20, 17)]
    similar = corpus.window_jaccard(1, 36)
    assert _told(run, "jaccard") == [(1.0,), (pytest.approx(similar),), (None,)]


def test_an_earlier_document_counts_though_a_new_one_sorts_before_it(tmp_path: Path) -> None:
    # The first document of each of its texts is new: a moved file, say.
    kept = [_window(0, 0), _window(1, 0, 60), _window(2, 0)]
    near, part = _window(2, 1), corpus.text(random.Random(2), 20) + " " + _window(1, 5, 30)
    files = [kept, kept, [near, part]]
    with without_dask(page=False):
        run = _audited(files, tmp_path, **PASSAGES)
        write_repeats(run, [0, 2], **PASSAGES)
    assert run.rows("spans")
    assert {row["doc_id"] >> 32 for row in run.rows("spans")} == {0, 2}
    second, third = 1 << 32, 2 << 32
    assert _told(run, "doc_id", "kind", "earlier_doc_id") == [
        (0, "exact", second),
        (1, "exact", second + 1),
        (2, "exact", second + 2),
        (third, "near", second + 2),
        (third + 1, "passage", second + 1),
    ]
    assert run.rows(REPEATS) == expected(run, files, [0, 2], W)


def test_a_cluster_that_only_new_documents_lead_to_is_named(tmp_path: Path) -> None:
    # A chain: the middle is near to both ends, which are not near to each other.
    files = [[_window(0, 0)], [_window(0, 5), _window(0, 10)]]
    with without_dask(page=False):
        run = _audited(files, tmp_path, near={"threshold": 0.7, "floor": 0.7}, **WITHOUT)
        write_repeats(run, [1], **WITHOUT)
    assert _told(run, "row", "kind", "earlier_doc_id", "jaccard") == [
        (0, "near", 0, pytest.approx(corpus.window_jaccard(5, 36))),
        (1, "cluster", 0, None),
    ]


@pytest.mark.parametrize("new", [None, [], [1], [0, 1]], ids=["no earlier run", "none", "the last", "all"])
def test_a_corpus_without_documents_has_no_repeats(tmp_path: Path, new: list[int] | None) -> None:
    with without_dask(page=False):
        run = _audited([[], []], tmp_path)
        counts = write_repeats(run, new)
    assert run.rows(REPEATS) == []
    assert counts == ({} if new is None else {
        "files": len(new), "documents": 0, "exact": 0, "near": 0, "cluster": 0, "passage": 0,
    })  # fmt: skip


def test_rejected_files_and_rows_are_no_documents(tmp_path: Path) -> None:
    data, text = tmp_path / "data", _window(0, 0)
    write_texts(data / "0.jsonl", ["-", text])
    (data / "1.parquet").parent.mkdir(exist_ok=True)
    (data / "1.parquet").write_bytes(b"PAR1 and no more")
    write_rows(data / "2.jsonl", [{"text": None}, {"text": text}, {"text": None}, {"text": _window(0, 1)}])
    with without_dask(page=False):
        run = audit(data, tmp_path, on_bad_file="reject", max_rejected_fraction=1, **PASSAGES)
        counts = write_repeats(run, [1, 2], **PASSAGES)
    assert (counts["files"], counts["documents"]) == (2, 2)
    texts = {0: "-", 1: text, 2 << 32 | 1: text, 2 << 32 | 3: _window(0, 1)}
    found = run.rows(REPEATS)
    assert found == Expected(run, texts, {1, 2}, W).rows()
    assert [(row["row"], row["kind"]) for row in found] == [(1, "exact"), (3, "near")]


HOSTILE = ("<script>alert(1)</script>.jsonl", "a\u202eb'\"&.jsonl", "line\nend.jsonl", "nul%00.jsonl")


def test_uris_are_those_of_the_inputs_whatever_they_hold(tmp_path: Path) -> None:
    for name in HOSTILE:
        write_texts(tmp_path / "data" / name.replace("/", "_"), [_window(0, 0)])
    with without_dask(page=False):
        run = audit(tmp_path / "data", tmp_path)
        write_repeats(run, [1, 2, 3])
    uris = [row["uri"] for row in run.rows("inputs")]
    assert len(uris) == len(HOSTILE)
    assert _told(run, "uri", "earlier_uri") == [(uri, uris[0]) for uri in uris[1:]]


def test_bytes_do_not_depend_on_the_order_of_new_files_or_on_ranges(tmp_path: Path) -> None:
    rng = random.Random(3)
    files = [[_window(rng.randrange(3), rng.randrange(9)) for _ in range(9)] for _ in range(4)]
    path = tmp_path / "run" / NEW_REPEATS.path
    with without_dask(page=False):
        run = _audited(files, tmp_path, **PASSAGES)
        write_repeats(run, [3, 0], **PASSAGES)
        first = path.read_bytes()
        assert pq.read_metadata(path).num_rows > 9
        for module in ("pipeline.new_repeats.ROWS_A_RANGE", "pipeline.new_repeats.MOST_ROWS_A_RANGE"):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, 1)
                write_repeats(run, [0, 3], **PASSAGES)
            assert path.read_bytes() == first


def test_a_run_that_goes_on_does_no_task_again(tmp_path: Path) -> None:
    files = [[_window(0, 0), _window(1, 0, 60)], [_window(0, 0), _window(0, 1), "x y " + _window(1, 5, 30)]]
    path, config = tmp_path / "run" / NEW_REPEATS.path, parse({"inputs": ["-"], **PASSAGES})
    with without_dask(page=False):
        run = _audited(files, tmp_path, **PASSAGES)
    reused, told = [], []
    for _ in range(2):
        progress = Progress(quiet=True)
        tasks = Resuming(Here(), tmp_path, progress)
        find_new_repeats([1], config, tasks, progress, tmp_path)
        told.append((path.read_bytes(), progress.logs[-1].counts))
        reused.append(tasks.reused)
    assert told[0] == told[1]
    assert reused[0] == 0 < reused[1]
    assert not {row["kind"] for row in run.rows(REPEATS)} ^ {"exact", "near", "passage"}


def test_the_second_night_tells_what_is_new(tmp_path: Path) -> None:
    data, kept = tmp_path / "data", {"index": str(tmp_path / "index"), **PASSAGES}
    write_texts(data / "b.jsonl", [_window(0, 0)])
    with without_dask():
        first = audit(data, tmp_path, "monday", **kept)
        write_texts(data / "a.jsonl", [_window(0, 0), _window(1, 0)])
        second = audit(data, tmp_path, "tuesday", **kept)
    assert first.rows(REPEATS) == []
    assert _told(second, "doc_id", "kind", "earlier_doc_id") == [(0, "exact", 1 << 32)]
    stages = [json.loads((run.folder / "run.json").read_text())["stages"] for run in (first, second)]
    assert not [stage for stage in stages[0] if stage["stage"] == "new repeats"]
    (counts,) = (stage["counts"] for stage in stages[1] if stage["stage"] == "new repeats")
    assert (counts["files"], counts["documents"], counts["exact"]) == (1, 2, 1)
    pages = [(run.folder / "report.html").read_text() for run in (first, second)]
    assert ["New are the documents of 1 file" in page for page in pages] == [False, True]
    assert "not in the run monday" in pages[1]


def test_the_stages_run_on_dask(tmp_path: Path) -> None:
    files = [[_window(0, 0), _window(1, 0, 60)], [_window(0, 0), _window(0, 1), "x y " + _window(1, 5, 30)]]
    run = _audited(files, tmp_path, **PASSAGES)
    config, progress = parse({"inputs": ["-"], **PASSAGES}), Progress(quiet=True)
    with open_engine(config.cluster, progress, tmp_path) as engine:
        find_new_repeats([1], config, engine, progress, tmp_path)
    assert run.rows(REPEATS) == expected(run, files, [1], W)
    assert [row["kind"] for row in run.rows(REPEATS)] == ["exact", "near", "passage"]
    assert [log.stage for log in progress.logs] == ["new repeats"]
