"""Prompts cut in the tokens of a tokenizer, made on the spot."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ConfigError
from pipeline.normalise import tokens
from tests import corpus as planted
from tests.audits import write_texts
from tests.prompt_oracle import Line
from tests.prompt_runs import Run, audited, here, of_bin

tokenizers = pytest.importorskip("tokenizers", reason="the package tokenizers is not installed")
SYLLABLES = ["ba", "ko", "ri", "tu", "ne", "lis", "mor", "dan"]


@pytest.fixture(autouse=True)
def _here() -> Iterator[None]:
    with here():
        yield


def spoken(rng: random.Random, n: int) -> list[str]:
    """Words of a few syllables, of which a tokenizer knows parts."""
    return ["".join(rng.choices(SYLLABLES, k=rng.choice((3, 4, 4)))) for _ in range(n)]


def text_corpus(seed: int) -> list[str]:
    """Passages that occur 1 to 7 times in documents of such words."""
    rng = random.Random(seed)
    texts = []
    for count in (1, 1, 1, 2, 2, 3, 7):
        passage = spoken(rng, 180)
        texts += [planted.disguised(rng, [*spoken(rng, 3), *passage, *spoken(rng, 3)]) for _ in range(count)]
    return texts


def byte_level(path: Path, texts: Sequence[str], **options: Any) -> Path:
    """A byte-level BPE tokenizer trained on texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, **options)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(path))
    return path


def check_ids(path: Path, lines: Sequence[Line]) -> None:
    """The ids are 50 and 50, and are those of the text."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    assert lines
    for line in lines:
        assert line["tokenizer"] == path.name
        assert [len(line[name]) for name in ("prefix_ids", "suffix_ids")] == [50, 50]
        for name in ("prefix", "suffix"):
            assert tokenizer.decode(line[f"{name}_ids"], skip_special_tokens=False) == line[name]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose windows of 10 words are fewer than 50 tokens."""
    with here():
        return audited(text_corpus(1), tmp_path_factory.mktemp("run"), passages={"min_tokens": 10})


@pytest.fixture(scope="module")
def bpe(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of the run's texts."""
    return byte_level(tmp_path_factory.mktemp("bpe") / "tiny.json", run.corpus.texts)


def test_prompts_are_cut_in_the_tokenizers_tokens(run: Run, bpe: Path) -> None:
    lines = run.lines(per_bin=3, tokenizer=bpe)
    assert [len(of_bin(lines, label)) for label in ("1", "2-5", "6-20", "0")] == [3] * 4
    check_ids(bpe, lines)
    assert any(len(tokens(line["prefix"])) != 50 for line in lines)
    assert "50 + 50 tokens (tiny.json)" in run.prompts(tokenizer=bpe).summary


def test_what_the_file_says_of_lengths_and_special_tokens_does_not_count(
    run: Run, bpe: Path, tmp_path: Path
) -> None:
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer.from_file(str(bpe))
    tokenizer.enable_truncation(20)
    tokenizer.enable_padding(length=5000)
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))]
    )
    (tmp_path / "other").mkdir()
    path = tmp_path / "other" / bpe.name
    tokenizer.save(str(path))
    assert list(run.prompts(tokenizer=path).lines) == list(run.prompts(tokenizer=bpe).lines)


@pytest.mark.parametrize("trim", [True, False])
def test_characters_of_several_tokens_are_not_cut_in_two(tmp_path: Path, trim: bool) -> None:
    rng = random.Random(3)
    word = ["né", "東京", "½", "\u0e19\u0e49\u0e33", "e\u0301", "👩‍👩‍👧", "ﬁ", "\u2028"]
    texts = [" ".join(rng.choice(word) + rng.choice("ab") for _ in range(150)) for _ in range(4)]
    run = audited([*texts, *texts[:2]], tmp_path, passages={"min_tokens": 8})
    path = byte_level(tmp_path / "t.json", ["a b"], trim_offsets=trim)
    lines = run.lines(per_bin=5, tokenizer=path)
    assert {line["bin"] for line in lines} == {"0", "1", "2-5"}
    assert all(len(line["prefix_ids"]) == len(line["suffix_ids"]) == 50 for line in lines)


def test_a_tokenizer_of_words_that_drops_spaces_leaves_them_in_the_text(run: Run, tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "w.json"))
    lines = run.lines(per_bin=3, tokenizer=tmp_path / "w.json")
    assert {line["bin"] for line in lines} == {"0", "1", "2-5", "6-20"}
    for line in lines:
        assert line["prefix"] == line["prefix"].strip()
        assert not line["suffix"][-1].isspace()
    assert any(line["suffix"][0].isspace() for line in lines)


def test_a_prefix_holds_a_window_of_whole_words_or_is_left_out(tmp_path: Path) -> None:
    texts = text_corpus(4)
    run = audited(texts, tmp_path, passages={"min_tokens": 25})
    path = byte_level(tmp_path / "bytes.json", ["a"])  # one token a byte: 50 of them are no 25 words
    prompts = run.prompts(per_bin=2, tokenizer=path)
    assert list(prompts.lines) == []
    why = "left out (no prefix with as many whole words as the shortest passage)"
    assert f"3 documents {why}" in prompts.summary
    assert f"3 passages {why}" in prompts.summary


def test_passages_shorter_than_a_stretch_of_words_are_tried_the_longest_first(tmp_path: Path) -> None:
    rng = random.Random(5)
    passages = [spoken(rng, n) for n in (12, 60, 90, 30, 75)]
    texts = [planted.joined([*spoken(rng, 2), *each, *spoken(rng, 2)]) for each in passages for _ in range(2)]
    run = audited(texts, tmp_path, passages={"min_tokens": 8})
    path = byte_level(tmp_path / "t.json", texts)
    longest = of_bin(run.lines(per_bin=1, tokenizer=path), "2-5")
    assert set(tokens(longest[0]["prefix"])[1:-1]) <= set(passages[2])
    every = run.lines(per_bin=5, tokenizer=path)
    assert 1 < len({line["passage_id"] for line in of_bin(every, "2-5")}) < 5
    assert "(fewer than 100 tokens in a row)" in run.prompts(5, tokenizer=path).summary


def test_spliced_suffixes_within_one_word_are_not_used(tmp_path: Path) -> None:
    rng = random.Random(6)
    # Behind the first ten words nothing but one word: which suffix follows cannot be told by words.
    texts = [planted.joined([*spoken(rng, 10), "z" * 300]) for _ in range(2)]
    run = audited(texts, tmp_path, passages={"min_tokens": 8})
    lines = run.lines(per_bin=2, tokenizer=byte_level(tmp_path / "t.json", texts))
    assert {line["bin"] for line in lines} <= {"1"}


def test_held_out_text_is_cut_in_the_same_tokens(run: Run, bpe: Path, tmp_path: Path) -> None:
    held = [*text_corpus(2)[:3], run.corpus.texts[0]]
    path = write_texts(tmp_path / "held.jsonl", held)
    lines = run.lines(per_bin=5, held_out=[path], tokenizer=bpe)
    controls = of_bin(lines, "0")
    assert len(controls) == 5
    check_ids(bpe, controls)
    assert not any(line["prefix"] in held[3] for line in controls)


def test_equal_seeds_make_equal_bytes_in_tokens_too(run: Run, bpe: Path) -> None:
    drawn = {tuple(run.prompts(2, tokenizer=bpe, seed=seed).lines) for seed in (1, 2, 1)}
    assert len(drawn) == 2


@pytest.mark.parametrize("content", [None, b"", b"no json", b"{}", b'{"model": {"type": "?"}}', b"\xff"])
def test_a_file_that_is_no_tokenizer_is_refused(run: Run, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "t.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot read a tokenizer") as caught:
        run.prompts(tokenizer=path)
    assert caught.value.where == str(path)


def test_a_missing_package_says_how_to_install_it(
    run: Run, bpe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ConfigError, match="needs the package tokenizers") as caught:
        run.prompts(tokenizer=bpe)
    assert "pip install 'dupaudit[tokenizers]'" in str(caught.value.fix)
    run.prompts()
