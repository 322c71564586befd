"""Prompts exported from runs over planted corpora, against the texts themselves."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from pipeline.cli import main
from pipeline.errors import ArtifactError, ConfigError, InputChangedError, InputError
from pipeline.normalise import tokens
from pipeline.prompts import export_prompts
from tests import corpus as planted
from tests.audits import audit, write_rows, write_texts
from tests.prompt_oracle import Corpus
from tests.prompt_runs import Run, audited, corpus_with, here, of_bin
from tests.searching import few

COUNTS = (2, 3, 5, 6, 9, 25, 40, 101)


@pytest.fixture(autouse=True)
def _here() -> Iterator[None]:
    with here():
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Passages of every bin but the last; copies of documents; documents with text that occurs once."""
    rng = random.Random(5)
    texts = corpus_with(rng, COUNTS)
    texts += [planted.disguised(rng, texts[i].split()) for i in range(0, 60, 3)]
    with here():
        return audited(texts, tmp_path_factory.mktemp("prompts"))


# --- prompts of the corpus ------------------------------------------------------------------------


def test_every_prompt_occurs_as_often_as_it_says_and_goes_on_in_one_way(run: Run) -> None:
    lines = run.lines(per_bin=40)
    assert {line["bin"] for line in lines} == {"0", "1", "2-5", "6-20", "21-100", "101-1000"}
    assert len(lines) > 15


def test_bins_hold_as_many_as_are_wanted(run: Run) -> None:
    for per_bin in (1, 2):
        lines = run.lines(per_bin)
        wanted = dict.fromkeys(("1", "2-5", "6-20", "21-100", "0"), per_bin) | {"101-1000": 1}
        assert Counter(line["bin"] for line in lines) == wanted
        order = [line["bin"] for line in lines]
        assert order == sorted(order, key=["1", "2-5", "6-20", "21-100", "101-1000", "0"].index)


def test_a_bin_that_falls_short_says_how_far_and_why(run: Run, tmp_path: Path) -> None:
    summary = run.prompts(per_bin=2).summary
    assert "by repeat bin: controls: 2, 1: 2, 2-5: 2, 6-20: 2, 21-100: 2, 101-1000: 1, >1000: 0" in summary
    assert "Bin 101-1000: 1 fewer than wanted." in summary
    assert "Bin >1000: 2 fewer than wanted." in summary
    assert "Bin 21-100: " not in summary
    assert "case, punctuation and spacing may differ" in summary
    rng = random.Random(1)
    shorter = audited([*corpus_with(rng, [2, 3, 3], 99, once=0), "few words", "few words"], tmp_path)
    assert shorter.lines() == []
    assert "Bin 2-5: 3 fewer than wanted; 3 passages too short." in shorter.prompts().summary
    assert "Bin 1: 3 fewer than wanted; 8 documents too short." in shorter.prompts().summary


def test_passages_and_documents_are_used_once_while_there_are_others(tmp_path: Path) -> None:
    rng = random.Random(2)
    run = audited(corpus_with(rng, [2, 3, 4, 5], 330, once=4), tmp_path)
    lines = run.lines(per_bin=4)
    for label in ("1", "2-5"):
        assert len({(place["row"]) for line in of_bin(lines, label) for place in line["places"][:1]}) == 4
    assert len({line["passage_id"] for line in of_bin(lines, "2-5")}) == 4
    assert "that has another" not in run.prompts(per_bin=4).summary
    more = run.lines(per_bin=9)
    # Twice from each, once more from one: three fit.
    for label in ("1", "2-5"):
        rows = Counter(line["places"][0]["row"] for line in of_bin(more, label))
        assert sorted(rows.values()) == [2, 2, 2, 3]
        assert f"Bin {label}: 5 from a document that has another." in run.prompts(per_bin=9).summary
    assert {line["prompt_id"] for line in lines if line["control"] is None} < {
        line["prompt_id"] for line in more
    }


def test_a_document_with_several_passages_gives_one_while_there_are_others(tmp_path: Path) -> None:
    rng = random.Random(3)
    passages = [planted.fresh(rng, 110) for _ in range(3)]
    # The first two passages share their first document.
    texts = [[*passages[0], *planted.fresh(rng, 2), *passages[1]], passages[2], *passages]
    run = audited([planted.joined(text) for text in texts], tmp_path)
    for seed in range(5):
        lines = of_bin(run.lines(per_bin=2, seed=seed), "2-5")
        assert sorted(line["places"][0]["row"] for line in lines) == [0, 1]
    assert len(of_bin(run.lines(per_bin=3), "2-5")) == 3


def test_text_that_occurs_once_is_cut_out_between_passages(tmp_path: Path) -> None:
    rng = random.Random(4)
    passage, other = planted.fresh(rng, 30), planted.fresh(rng, 40)
    own = [planted.fresh(rng, n) for n in (101, 99, 130, 25)]
    texts = [[*own[0], *passage, *own[1], *other, *own[2]], [*own[3], *passage], [*other, "x"]]
    run = audited([planted.joined(text) for text in texts], tmp_path)
    lines = of_bin(run.lines(per_bin=9), "1")
    assert len(lines) == 2
    for line in lines:
        assert set(tokens(line["prefix"] + line["suffix"])) <= {*own[0], *own[2]}


def test_documents_without_passages_and_near_copies_come_first(tmp_path: Path) -> None:
    rng = random.Random(5)
    passage = planted.fresh(rng, 40)
    plain = [planted.fresh(rng, 120) for _ in range(2)]
    holding = [[*planted.fresh(rng, 120), *passage] for _ in range(20)]
    run = audited([planted.joined(text) for text in [*holding, *plain]], tmp_path)
    for seed in range(3):
        rows = [line["places"][0]["row"] for line in of_bin(run.lines(per_bin=3, seed=seed), "1")]
        assert rows[:2] in ([20, 21], [21, 20])
        assert rows[2] < 20


def test_what_foretells_itself_comes_last_and_is_marked(tmp_path: Path) -> None:
    rng = random.Random(6)
    counter = [f"line{i}" for i in range(400)]
    table = [str(i) for i in range(500, 800)]
    passage = planted.fresh(rng, 130)
    texts = [counter, counter, table, [*passage, "x"], [*passage, "y"], planted.fresh(rng, 120)]
    run = audited([planted.joined(text) for text in texts], tmp_path)
    marked = {(line["bin"], line["predictable"]) for line in run.lines(per_bin=1)}
    assert marked == {("1", False), ("2-5", False)}
    lines = run.lines(per_bin=3)
    assert [line["predictable"] for line in of_bin(lines, "1")] == [False, True, True]
    assert [line["predictable"] for line in of_bin(lines, "2-5")] == [False, True, True]
    assert "Bin 1: 1 from a document that has another; 2 predictable." in run.prompts(3).summary


def test_reading_goes_on_until_there_is_enough_that_does_not_foretell_itself(tmp_path: Path) -> None:
    rng = random.Random(7)
    counters = [planted.joined([f"k{d}x{i}" for i in range(120)]) for d in range(40)]
    run = audited([*counters, *(planted.joined(planted.fresh(rng, 120)) for _ in range(3))], tmp_path)
    for seed in range(4):
        assert not any(line["predictable"] for line in of_bin(run.lines(per_bin=3, seed=seed), "1"))


def test_passages_that_foretell_themselves_are_drawn_last(tmp_path: Path) -> None:
    rng = random.Random(7)
    texts = [planted.joined([f"k{d}x{i}" for i in range(110)]) for d in range(40)]
    texts.append(planted.joined(planted.fresh(rng, 110)))
    run = audited([*texts, *texts], tmp_path)
    for seed in range(4):
        (line,) = of_bin(run.lines(per_bin=1, seed=seed), "2-5")
        assert not line["predictable"]


def test_equal_seeds_make_equal_bytes_and_others_do_not(run: Run) -> None:
    first, again = run.prompts(per_bin=2, seed=7), run.prompts(per_bin=2, seed=7)
    assert (list(first.lines), first.summary) == (list(again.lines), again.summary)
    others = {tuple(run.prompts(per_bin=2, seed=seed).lines) for seed in (-1, 0, 1, 2**70)}
    assert len(others | {tuple(first.lines)}) == 5
    run.lines(per_bin=2, seed=-1)


def test_the_same_passages_are_drawn_whatever_the_order_of_the_files(tmp_path: Path) -> None:
    texts = corpus_with(random.Random(8), [2] * 9)
    drawn = []
    for name, each in (("a", texts), ("b", texts[::-1])):
        lines = of_bin(audited(each, tmp_path / name).lines(per_bin=3, seed=1), "2-5")
        drawn.append([(line["passage_id"], tokens(line["prefix"])) for line in lines])
    assert drawn[0] == drawn[1]


def test_tables_in_several_parts_make_the_same_prompts(run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run.folder, copy)
    for name in ("passages", "documents", "spans"):
        (whole,) = (copy / name).glob("part-*.parquet")
        rows = pl.read_parquet(whole)
        whole.unlink()
        for i, first in enumerate(range(0, len(rows), 7)):
            rows.slice(first, 7).write_parquet(copy / name / f"part-{i:05d}.parquet")
    again = Run(copy, run.corpus)
    assert list(again.prompts(per_bin=5).lines) == list(run.prompts(per_bin=5).lines)
    assert again.prompts(per_bin=5).summary == run.prompts(per_bin=5).summary


def test_what_was_not_drawn_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.prompting.drawing.TRIES", 1)
    passages = [planted.fresh(random.Random(seed), 110) for seed in range(3)]
    # All three stand in one document first, and are as good as one.
    texts = [planted.joined(text) for text in ([word for each in passages for word in each], *passages)]
    run = audited([texts[0], *texts[1:]], tmp_path)
    assert len(of_bin(run.lines(per_bin=2), "2-5")) == 2
    monkeypatch.setattr("pipeline.prompting.cutting.MOST_BYTES", 10)
    assert run.lines(per_bin=2) == []
    summary = run.prompts(per_bin=2).summary
    assert "Bin 2-5: 2 fewer than wanted; 1 passage not looked at; 2 passages left out (longer" in summary


def test_exposures_are_those_of_the_tables(tmp_path: Path) -> None:
    rng = random.Random(9)
    rows = [{"text": text, "from": "ab"[i % 2]} for i, text in enumerate(corpus_with(rng, [2, 4]))]
    path = write_rows(tmp_path / "texts.jsonl", rows)
    folder = audit(
        path, tmp_path / "out", source={"column": "from"}, mixture={"a": 3}, id_column="from"
    ).folder
    lines = Run(folder, Corpus([row["text"] for row in rows])).lines(per_bin=9)
    passages = pl.read_parquet(folder / "passages" / "*.parquet")
    known = {str(key): value for key, value in passages.select("passage_id", "exposures").iter_rows()}
    documents = pl.read_parquet(folder / "documents" / "*.parquet")["exposures"].to_list()
    assert {line["exposures"] for line in lines} > {0, 1, 3}
    for line in lines:
        for place in line["places"]:
            assert place["id"] == "ab"[place["row"] % 2]
            assert place["uri"] == str(path)
        if line["count"] == 1:
            assert line["exposures"] == documents[line["places"][0]["row"]]
        elif line["count"]:
            assert line["exposures"] == known[line["passage_id"]]


# --- hostile text ---------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert('x')</script>", '"quoted\\" \u2028 line \u2029 ends \x85', "a\0b \x1b[31m \x9b1m",
    "\u202eright\u200f \u05d0\u05d1", "½ ﬁne ㎏ \u0e19\u0e49\u0e33 ｶﾞ", "cafe\u0301 Größe 東京都",
    "one\r\ntwo\vthree\x1c", "👩‍👩‍👧 emoji \ufeff", "\u1100\u1161 e\u0323\u0301",
]  # fmt: skip


def test_hostile_text_is_cut_and_written_like_any_other(tmp_path: Path) -> None:
    rng = random.Random(10)
    texts = []
    for i, count in enumerate((1, 2, 3, 1, 2, 6)):
        parts = [f"{rng.choice(HOSTILE)}, {planted.fresh(rng, 1)[0]}" for _ in range(60)]
        texts += [f"{i} " + "; ".join(parts)] * count
    run = audited(texts, tmp_path, passages={"min_tokens": 12})
    lines = run.lines(per_bin=20)
    assert Counter(line["count"] for line in lines).keys() == {0, 1, 2, 3, 6}
    assert len(lines) > 15
    assert '"prefix"' in "".join(run.prompts().lines)


def test_characters_of_two_words_are_never_cut_in_two(tmp_path: Path) -> None:
    # Every word shares a character with the one before it or the one behind it.
    texts = ["½" * 80, " ".join(f"½{i}" for i in range(90))]
    run = audited([*texts, *texts], tmp_path)
    lines = run.lines(per_bin=5)
    assert lines
    assert all("½" in line["prefix"] for line in lines)


def test_words_too_long_for_a_prompt_are_left_out(tmp_path: Path) -> None:
    rng = random.Random(11)
    text = planted.joined(["z" * 1_000_000, *planted.fresh(rng, 99)])
    run = audited([text, text, planted.joined(planted.fresh(rng, 150))], tmp_path)
    lines = run.lines(per_bin=1)
    assert {line["bin"] for line in lines} == {"1"}
    assert "1 passage left out (longer than 64 KiB)" in run.prompts(per_bin=1).summary


# --- what cannot be exported ----------------------------------------------------------------------


@pytest.mark.parametrize("texts", [[], ["", "..."], ["short"] * 3], ids=["no row", "no word", "few words"])
def test_a_run_without_stretches_gives_no_prompt(tmp_path: Path, texts: list[str]) -> None:
    run = audited(texts, tmp_path)
    held_out = write_texts(tmp_path / "held.jsonl", texts)
    for prompts in (run.prompts(), run.prompts(held_out=[held_out])):
        assert list(prompts.lines) == []
        assert "controls: 0, 1: 0, 2-5: 0, 6-20: 0" in prompts.summary
        assert "Bin 21-100: 3 fewer than wanted." in prompts.summary


def test_what_is_no_run_with_passages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not a finished run"):
        export_prompts(tmp_path, 1, [], None, 0)
    without = audited(["a b c"], tmp_path / "a", passages={"enabled": False})
    with pytest.raises(ArtifactError, match="did not look for passages"):
        without.prompts()
    longer = audited(["a b c"], tmp_path / "b", passages={"min_tokens": 51})
    with pytest.raises(ArtifactError, match="longer than a prefix") as caught:
        longer.prompts()
    assert (caught.value.got, caught.value.expected) == ("passages.min_tokens 51", "at most 50")
    audited(["a b c"], tmp_path / "c", passages={"min_tokens": 50}).prompts()
    with pytest.raises(ConfigError, match="a bin needs a prompt"):
        longer.prompts(per_bin=0)


def test_files_that_changed_are_refused(tmp_path: Path) -> None:
    texts = corpus_with(random.Random(12), [2])
    run = audited(texts, tmp_path)
    path = tmp_path / "texts.jsonl"
    path.write_text(path.read_text().replace("w", "v"), encoding="utf-8")
    with pytest.raises(InputChangedError, match="not what the run read"):
        run.prompts()
    path.unlink()
    with pytest.raises(InputError, match="is gone"):
        run.prompts()


def test_nothing_is_left_behind_in_the_run(run: Run, tmp_path: Path) -> None:
    before = sorted(path for path in run.folder.rglob("*"))
    run.prompts(held_out=[write_texts(tmp_path / "held.jsonl", [run.corpus.texts[0]])])
    assert sorted(path for path in run.folder.rglob("*")) == before


def test_the_command_writes_lines_to_its_output_and_the_summary_beside_it(run: Run, tmp_path: Path) -> None:
    arguments = ["prompts", str(run.folder), "--per-bin", "1", "--seed", "3"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    expected = run.prompts(per_bin=1, seed=3)
    assert result.stdout == "".join(expected.lines)
    assert result.stderr.strip() == expected.summary
    assert CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "p.jsonl")]).stdout == ""
    assert (tmp_path / "p.jsonl").read_text() == result.stdout


# --- any corpus -----------------------------------------------------------------------------------


@st.composite
def corpora(draw: st.DrawFn) -> list[str]:
    """Texts made of a few blocks of words, whole or in part, of cycles, of counters, in any spelling."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    alphabet = draw(st.sampled_from(["", "a b", "a ½ 東 cafe\u0301 \u0e33 ﬁ", "x1 x2 7 08"])).split()

    def block(n: int) -> list[str]:
        mixed = [*alphabet, *planted.fresh(rng, 1 + n // 4)]
        return [rng.choice(mixed) for _ in range(n)] if alphabet else planted.fresh(rng, n)

    blocks = [block(rng.randint(20, 160)) for _ in range(draw(st.integers(1, 3)))]
    blocks.append([f"n{i}" for i in range(rng.randint(1, 140))])
    texts = []
    for _ in range(draw(st.integers(1, 9))):
        words = [w for _ in range(rng.randint(0, 3)) for w in rng.choice(blocks)[rng.choice((0, 0, 0, 9)) :]]
        words += planted.fresh(rng, rng.choice((0, 1, 110)))
        texts.append(planted.disguised(rng, words) if words and rng.random() < 0.5 else " ".join(words))
    return texts


@few(12)
@given(corpora(), st.integers(1, 6), st.integers(), st.sampled_from([8, 25, 50]))
def test_prompts_of_any_corpus_are_what_they_say(
    texts: list[str], per_bin: int, seed: int, window: int
) -> None:
    with TemporaryDirectory() as folder:
        run = audited(texts, Path(folder), passages={"min_tokens": window})
        lines = run.lines(per_bin, seed=seed)
        assert max(Counter(line["bin"] for line in lines).values(), default=0) <= per_bin
        held_out = [write_texts(Path(folder, "held", "a.jsonl"), texts[::2])]
        assert not [line for line in run.lines(per_bin, held_out, seed=seed) if line["control"]]
