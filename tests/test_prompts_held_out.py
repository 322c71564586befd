"""Controls of exported prompts: held-out text that the corpus does not hold, and spliced prompts."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.engine import open_engine
from pipeline.errors import ConfigError, InputChangedError, InputError
from pipeline.normalise import tokens
from tests import corpus as planted
from tests.audits import audit, write_rows, write_texts
from tests.prompt_oracle import Corpus, Line
from tests.prompt_runs import Run, audited, corpus_with, here, of_bin


@pytest.fixture(autouse=True)
def _here() -> Iterator[None]:
    with here():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run over a few texts, some of which occur twice."""
    with here():
        return audited(corpus_with(random.Random(1), [2, 3]), tmp_path_factory.mktemp("run"))


def texts(rng: random.Random, n: int, n_words: int = 130) -> list[str]:
    """Texts like no other."""
    return [planted.joined(planted.fresh(rng, n_words)) for _ in range(n)]


def controls(run: Run, per_bin: int, *held_out: Path, seed: int = 0) -> list[Line]:
    """The controls, checked."""
    return of_bin(run.lines(per_bin, held_out, seed=seed), "0")


def test_controls_are_held_out_text_of_any_format(run: Run, tmp_path: Path) -> None:
    rng = random.Random(2)
    each = [texts(rng, 2) for _ in range(4)]
    pq.write_table(pa.table({"text": each[0]}), tmp_path / "a.parquet")
    (tmp_path / "b.jsonl.gz").write_bytes(
        gzip.compress(write_texts(tmp_path / "b.jsonl", each[1]).read_bytes())
    )
    (tmp_path / "b.jsonl").unlink()
    (tmp_path / "more").mkdir()
    for i, text in enumerate(each[2]):
        (tmp_path / "more" / f"{i}.txt").write_text(text)
    write_texts(tmp_path / "d.jsonl", each[3])
    names = ("a.parquet", "b.jsonl.gz", "more", "d.jsonl")
    lines = controls(run, 8, *(tmp_path / name for name in names))
    assert {line["control"] for line in lines} == {"held-out"}
    for line in lines:
        assert any(line["prefix"] + line["suffix"] in text for group in each for text in group)
    assert len({line["prefix"].split()[0] for line in lines}) == 8


def test_held_out_text_that_stands_in_the_corpus_is_left_out_and_counted(run: Run, tmp_path: Path) -> None:
    rng = random.Random(3)
    in_corpus = random.Random(4).sample(list(run.corpus.texts), 3)
    # A window in disguise, at any place of an otherwise new text, is enough.
    window = tokens(in_corpus[0])[5:30]
    hidden = []
    for at in (0, 1, 40, 74, 75):
        words = planted.fresh(rng, 75)
        hidden.append(planted.disguised(rng, [*words[:at], *window, *words[at:]]))
    new = texts(rng, 3, 100)
    short_of_it = planted.joined([*planted.fresh(rng, 40), *window[:24], *planted.fresh(rng, 36)])
    path = write_texts(tmp_path / "held.jsonl", [*in_corpus, *hidden, *new, short_of_it])
    found = run.prompts(10, [path])
    lines = controls(run, 10, path)
    assert sorted(line["prefix"] + line["suffix"] for line in lines) == sorted([*new, short_of_it])
    assert "Of 12 held-out stretches 8 stand in the corpus" in found.summary
    assert "Held-out data: 12 texts, 0 of them without a stretch" in found.summary
    assert "Controls: 6 fewer than wanted." in found.summary


def test_windows_of_a_stretch_count_however_long_the_run_says_they_are(tmp_path: Path) -> None:
    rng = random.Random(5)
    words = planted.fresh(rng, 60)
    held = [
        planted.joined([*planted.fresh(rng, 70), *words[20 : 20 + n], *planted.fresh(rng, 30 - n)])
        for n in (7, 8)
    ]
    path = write_texts(tmp_path / "held.jsonl", held)
    # In the midst of a text, at its start, at its end, as the whole of it.
    for i, text in enumerate((words, words[20:], words[:28], words[20:28])):
        run = audited([planted.joined(text)], tmp_path / str(i), passages={"min_tokens": 8})
        assert [line["prefix"] + line["suffix"] for line in controls(run, 9, path)] == held[:1]


def test_every_shard_and_file_of_the_corpus_is_searched(tmp_path: Path) -> None:
    rng = random.Random(6)
    parts = [texts(rng, 5) for _ in range(3)]
    for i, part in enumerate(parts):
        write_rows(tmp_path / "in" / f"{i}.jsonl", [{"text": None}, *({"text": text} for text in part)])
    folder = audit(tmp_path / "in", tmp_path / "out", shard_bytes=2000).folder
    run = Run(folder, Corpus([]))
    held = [text for part in parts for text in part]
    path = write_texts(tmp_path / "held.jsonl", [*held, *texts(rng, 1)])
    prompts = run.prompts(16, [path])
    assert "Of 16 held-out stretches 15 stand in the corpus" in prompts.summary


def test_workers_of_a_cluster_find_the_same(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_texts(tmp_path / "held.jsonl", [*run.corpus.texts[:3], *texts(random.Random(14), 3)])
    expected = list(run.prompts(9, [path]).lines)
    monkeypatch.setattr("pipeline.prompting.presence.open_engine", open_engine)
    assert list(run.prompts(9, [path]).lines) == expected


def test_a_single_book_gives_as_many_controls_as_are_wanted(run: Run, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(texts(random.Random(7), 1, 2000)[0])
    lines = controls(run, 12, tmp_path / "book.txt")
    assert len(lines) == 12
    words = [word for line in lines for word in tokens(line["prefix"] + line["suffix"])]
    assert len(set(words)) == 1200


def test_each_text_gives_one_control_while_there_are_others(run: Run, tmp_path: Path) -> None:
    rng = random.Random(8)
    each = [*texts(rng, 4, 500), *texts(rng, 2, 110)]
    path = write_texts(tmp_path / "held.jsonl", [*each, each[0], each[5].upper()])
    for seed in range(3):
        lines = controls(run, 6, path, seed=seed)
        of = [next(i for i, text in enumerate(each) if line["prefix"].lower() in text) for line in lines]
        assert sorted(of) == [0, 1, 2, 3, 4, 5]
    assert len(controls(run, 50, path)) >= 18
    assert len({line["prompt_id"] for seed in range(3) for line in controls(run, 6, path, seed=seed)}) > 6


def test_controls_that_foretell_themselves_come_last(run: Run, tmp_path: Path) -> None:
    counter = planted.joined([f"row{i}" for i in range(300)])
    path = write_texts(tmp_path / "held.jsonl", [counter, *texts(random.Random(9), 2)])
    for seed in range(4):
        assert [line["predictable"] for line in controls(run, 3, path, seed=seed)] == [False, False, True]


def test_the_order_of_held_out_texts_does_not_matter(run: Run, tmp_path: Path) -> None:
    # Texts that have a stretch in common, which is used once.
    each = [f"{word} x " * n for word in ("a", "b", "c") for n in (50, 55, 60)]
    for seed in range(4):
        paths = (write_texts(tmp_path / f"{i}.jsonl", each[::i]) for i in (1, -1))
        one, other = (controls(run, 9, path, seed=seed) for path in paths)
        assert 3 <= len(one) <= 6
        assert one == other


def test_rows_without_text_and_texts_without_a_stretch_are_counted(run: Run, tmp_path: Path) -> None:
    good = texts(random.Random(10), 1)
    rows: list[dict[str, object]] = [{"text": each} for each in (None, 5, "short", "", *good)]
    path = write_rows(tmp_path / "held.jsonl", rows)
    (tmp_path / "bad.txt").write_bytes(b"\xff" * 500)
    summary = run.prompts(1, [path, tmp_path / "bad.txt"]).summary
    assert "3 texts, 2 of them without a stretch of 100 tokens; 3 rows without a usable text" in summary


def test_stretches_that_were_not_looked_at_are_told(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.prompting.held_out.TRIES", 1)
    path = write_texts(tmp_path / "held.jsonl", run.corpus.texts[:4])
    assert "2 further held-out stretches were not looked at" in run.prompts(2, [path]).summary


def test_the_text_column_is_that_of_the_run(tmp_path: Path) -> None:
    rng = random.Random(11)
    path = write_rows(tmp_path / "a.jsonl", [{"body": text} for text in texts(rng, 2)])
    run = Run(audit(path, tmp_path / "out", text_column="body").folder, Corpus([]))
    held_out = write_rows(tmp_path / "b.jsonl", [{"body": text, "text": "x"} for text in texts(rng, 2)])
    assert "controls: 2, 1: 2" in run.prompts(2, [held_out]).summary
    assert "0 of them without" in run.prompts(2, [held_out]).summary


def test_held_out_data_that_is_not_there_is_refused(run: Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no file to audit"):
        run.prompts(1, [tmp_path / "none.jsonl"])


def test_a_corpus_that_changed_where_no_prompt_is_from_is_refused(tmp_path: Path) -> None:
    rng = random.Random(12)
    folder = tmp_path / "in"
    write_texts(folder / "a.jsonl", texts(rng, 2))
    write_texts(folder / "b.jsonl", ["short"])
    run = Run(audit(folder, tmp_path / "out").folder, Corpus([]))
    held_out = write_texts(tmp_path / "held.jsonl", texts(rng, 1))
    run.prompts(1, [held_out])
    write_texts(folder / "b.jsonl", ["shirt"])
    assert list(run.prompts(1).lines)
    with pytest.raises(InputChangedError, match="not what the run read"):
        run.prompts(1, [held_out])
    (folder / "b.jsonl").unlink()
    with pytest.raises(InputError, match="is gone"):
        run.prompts(1, [held_out])


# --- without held-out data ------------------------------------------------------------------------


def test_spliced_controls_are_prefixes_with_the_suffixes_of_others(run: Run) -> None:
    lines = run.lines(per_bin=4)
    once, spliced = of_bin(lines, "1"), of_bin(lines, "0")
    assert len(spliced) == 4
    assert {line["control"] for line in spliced} == {"spliced"}
    own = {line["prefix"]: line["suffix"] for line in once}
    assert all(own[line["prefix"]] != line["suffix"] for line in spliced)
    assert "Controls are spliced" in run.prompts(4).summary
    assert "Held-out text of the same kind (--held-out) makes better ones." in run.prompts(4).summary


def test_one_prompt_alone_is_not_spliced_nor_one_that_foretells_itself(tmp_path: Path) -> None:
    rng = random.Random(13)
    counter = planted.joined([f"row{i}" for i in range(150)])
    run = audited([counter, *texts(rng, 1)], tmp_path)
    assert len(of_bin(run.lines(per_bin=3), "1")) == 2
    assert of_bin(run.lines(per_bin=3), "0") == []
    assert "Controls: 3 fewer than wanted." in run.prompts(3).summary
