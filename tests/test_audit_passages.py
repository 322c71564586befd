"""Tests of the passages of whole audits against plain Python: random corpora, and examples by hand."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests import corpus, oracles
from tests.audits import Audited, Row, audit, audit_texts, without_dask, write_rows
from tests.kernels import alphabets
from tests.passage_tables import Document, check, of
from tests.searching import few

W = 8  # the fewest tokens that a passage may be set to
Texts = Sequence[str]


@pytest.fixture(autouse=True)
def _here() -> Iterator[None]:
    with without_dask(page=False):
        yield


def audited_and_checked(
    texts: Texts, folder: Path, w: int = W, sources: Sequence[str | None] | None = None
) -> Audited:
    """An audit of texts, compared with the definition."""
    documents = of(texts, sources)
    rows = [{"text": document.text, "from": document.source} for document in documents]
    path = write_rows(folder / "texts.jsonl", rows)
    audited = audit(path, folder / "audits", passages={"min_tokens": w}, source={"column": "from"})
    check(audited, documents, w)
    return audited


def places(audited: Audited) -> list[tuple[int, int, int, int]]:
    """Document, first token, tokens and occurrences of every span."""
    columns = ("doc_id", "token_start", "tokens", "occurrences")
    return [
        (row[columns[0]], row[columns[1]], row[columns[2]], row[columns[3]]) for row in audited.rows("spans")
    ]


def the_passage(audited: Audited) -> Row:
    """The only passage of a run."""
    [passage] = audited.rows("passages")
    return passage


# --- random corpora -------------------------------------------------------------------------------

ALPHABETS = ["a", "a b", "a b c d", "a ½ 東 cafe\u0301", "x1 x2 x3 y", "ａ ｶﾞ \u1100\u1161 b"]


def spelled(words: Sequence[str], seed: int) -> str:
    """Words as they are, without spaces where the script needs none, or in a disguise."""
    if seed > 1:
        return corpus.disguised(random.Random(seed), words)
    text = corpus.joined(words)
    return text.replace(" 東", "東").replace("東 ", "東") if seed else text


@st.composite
def corpora(draw: st.DrawFn) -> list[list[tuple[str, str | None]]]:
    """Files of texts with sources: cut out of a few blocks, periodic, copied, empty, about a window long."""
    alphabet = draw(st.sampled_from(ALPHABETS)).split()
    words = st.sampled_from(alphabet)
    block = st.sampled_from(draw(st.lists(st.lists(words, min_size=5, max_size=24), min_size=1, max_size=3)))
    part = st.one_of(
        block,
        st.builds(lambda b, i, n: b[i : i + n], block, st.integers(0, 5), st.integers(7, 12)),
        st.builds(lambda b, n: (b * n)[:40], block, st.integers(2, 5)),
        st.lists(words, max_size=3),
        st.builds(lambda n: (alphabet * 9)[:n], st.integers(W - 1, W + 1)),
    )
    document = st.lists(part, max_size=4).map(lambda parts: [word for each in parts for word in each])
    text = st.one_of(
        st.builds(spelled, document, st.integers(0, 4)), st.sampled_from(["", "...", "a b", " \u3000 "])
    )
    row = st.tuples(text, st.sampled_from([None, "", "x", "y"]))
    return draw(st.lists(st.lists(row, max_size=8), min_size=1, max_size=3))


@few(20)
@given(corpora())
@example([[("a " * 30, "x"), ("A, " * 9, "y"), ("a " * 9, None)]])
@example([[("a b c d e f g h i", None), ("x a b c d e f g h", "x")], [], [("b c d e f g h i y", "x")]])
@example([[("½ " * 8 + "a", "x")], [("b " + "½ " * 8, "x"), ("½" * 8, "y")]])
def test_every_table_equals_plain_python(files: list[list[tuple[str, str | None]]]) -> None:
    with TemporaryDirectory() as folder:
        documents = []
        for i, file in enumerate(files):
            write_rows(Path(folder, f"{i}.jsonl"), [{"text": text, "from": source} for text, source in file])
            documents += [Document(i << 32 | row, *each) for row, each in enumerate(file)]
        settings: dict[str, Any] = {"passages": {"min_tokens": W}, "source": {"column": "from"}}
        check(audit(f"{folder}/*.jsonl", Path(folder, "audits"), **settings), documents, W)


@few(20)
@given(st.lists(alphabets.texts(40), min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_every_table_is_right_in_any_script(snippets: list[str], rng: random.Random) -> None:
    texts = [" ".join(rng.choices([*snippets, "x", "y"], k=rng.randint(1, 5))) for _ in range(4)]
    texts += [" ".join(snippets), f"x {' '.join(snippets)} y"]
    with TemporaryDirectory() as folder:
        audited = audit_texts(texts, Path(folder), passages={"min_tokens": W})
        check(audited, of(texts), W)


# --- by hand --------------------------------------------------------------------------------------


def test_a_passage_may_stand_at_the_very_start_and_at_the_very_end(tmp_path: Path) -> None:
    rng = random.Random(1)
    passage = corpus.fresh(rng, 12)
    texts = [
        corpus.joined([*passage, *corpus.fresh(rng, 3)]),
        corpus.joined([*corpus.fresh(rng, 5), *passage]),
    ]
    audited = audited_and_checked(texts, tmp_path)
    assert places(audited) == [(0, 0, 12, 2), (1, 5, 12, 2)]
    first, second = audited.rows("spans")
    assert first["byte_start"] == 0
    assert second["byte_end"] == len(texts[1].encode())
    assert the_passage(audited)["text"] == corpus.joined(passage)


def test_passages_that_overlap_by_all_but_one_token_stay_two(tmp_path: Path) -> None:
    rng = random.Random(2)
    words = corpus.fresh(rng, W + 1)
    texts = [
        corpus.joined(words),
        corpus.joined([*words[:W], *corpus.fresh(rng, 2)]),
        corpus.joined([*corpus.fresh(rng, 2), *words[1:]]),
    ]
    audited = audited_and_checked(texts, tmp_path)
    assert places(audited) == [(0, 0, W, 2), (0, 1, W, 2), (1, 0, W, 2), (2, 2, W, 2)]
    assert [row["repeated_tokens"] for row in audited.documents] == [W + 1, W, W]


def test_a_passage_ends_where_its_continuations_differ(tmp_path: Path) -> None:
    rng = random.Random(3)
    p, q = corpus.fresh(rng, 20), corpus.fresh(rng, 20)
    texts = [corpus.joined([*corpus.fresh(rng, 4), *p, *rest]) for rest in (q, q, corpus.fresh(rng, 9))]
    audited = audited_and_checked(texts, tmp_path)
    of_both = [(4, 20, 3), (4 + 20 - (W - 1), 20 + W - 1, 2)]
    assert places(audited) == [(d, *each) for d in (0, 1) for each in of_both] + [(2, 4, 20, 3)]
    assert [row["repeated_tokens"] for row in audited.documents] == [40, 40, 20]
    assert [row["passage_max_occurrences"] for row in audited.documents] == [3, 3, 3]


@pytest.mark.parametrize(("shared", "count"), [(W - 1, 0), (W, 1), (W + 1, 1)])
def test_a_passage_is_as_long_as_a_window_or_longer(tmp_path: Path, shared: int, count: int) -> None:
    rng = random.Random(4)
    words = corpus.fresh(rng, shared)
    texts = [corpus.joined([*corpus.fresh(rng, 9), *words, *corpus.fresh(rng, 9)]) for _ in range(2)]
    audited = audited_and_checked(texts, tmp_path)
    assert len(audited.rows("passages")) == count
    assert places(audited) == [(0, 9, shared, 2), (1, 9, shared, 2)][: 2 * count]


def test_one_word_a_hundred_times_is_a_passage_at_76_places(tmp_path: Path) -> None:
    audited = audited_and_checked(["a " * 100], tmp_path, 25)
    passage = the_passage(audited)
    counts = [passage[name] for name in ("tokens", "occurrences", "documents", "texts", "sources")]
    assert counts == [25, 76, 1, 1, 0]
    assert passage["predictable"]
    assert places(audited) == [(0, i, 25, 76) for i in range(76)]
    [document] = audited.documents
    assert (document["repeated_tokens"], document["repeated_fraction"]) == (100, 1.0)
    assert document["passage_max_occurrences"] == 76
    assert audited.metrics["predictable_passages"] == 1


def test_a_document_that_stands_twice_is_a_passage(tmp_path: Path) -> None:
    text = corpus.text(random.Random(5), 40)
    audited = audited_and_checked([text, text], tmp_path)
    passage = the_passage(audited)
    assert passage["passage_id"] == oracles.text_id(text) == audited.documents[0]["text_id"]
    assert passage["text"] == text[:500]
    assert (passage["occurrences"], passage["documents"], passage["texts"]) == (2, 2, 1)
    [span] = audited.rows("spans")
    assert (span["doc_id"], span["copies"], span["byte_start"], span["byte_end"]) == (0, 2, 0, len(text))


def test_a_passage_planted_in_three_sources_counts_them(tmp_path: Path) -> None:
    rng = random.Random(6)
    passage = corpus.fresh(rng, 30)
    sources = ["x", "y", "z", None, "x", "w"]
    texts = [corpus.joined([*corpus.fresh(rng, 6), *passage, *corpus.fresh(rng, 6)]) for _ in sources[:-1]]
    audited = audited_and_checked([*texts, corpus.text(rng, 30)], tmp_path, sources=sources)
    found = the_passage(audited)
    assert (found["sources"], found["documents"], found["occurrences"]) == (3, 5, 5)
    by_source = {row["source"]: row for row in audited.rows("summary/sources")}
    assert {source: row["passage_repeated_documents"] for source, row in by_source.items()} == {
        None: 1,
        "w": 0,
        "x": 2,
        "y": 1,
        "z": 1,
    }
    assert by_source["x"]["passage_repeated_tokens_fraction"] == 60 / 84
    assert by_source["w"]["passage_repeated_tokens_fraction"] == 0


def test_copies_in_other_letters_count_as_places_and_are_listed_once(tmp_path: Path) -> None:
    rng = random.Random(7)
    passage, rest = corpus.fresh(rng, 15), corpus.fresh(rng, 10)
    copies = [corpus.disguised(random.Random(i), [*passage, *rest]) for i in range(3)]
    assert len(set(copies)) == 3
    texts = [corpus.joined([*corpus.fresh(rng, 4), *passage]), *copies]
    audited = audited_and_checked(texts, tmp_path, sources=["x", "x", "y", "z"])
    assert places(audited) == [(0, 4, 15, 4), (1, 0, 15, 4), (1, 15 - (W - 1), 10 + W - 1, 3)]
    assert [row["copies"] for row in audited.rows("spans")] == [1, 3, 3]
    by_length = {row["tokens"]: row for row in audited.rows("passages")}
    counts = {tokens: (row["documents"], row["texts"], row["sources"]) for tokens, row in by_length.items()}
    assert counts == {15: (4, 2, 3), 17: (3, 1, 3)}
    assert [row["repeated_tokens"] for row in audited.documents] == [15, 25, 25, 25]


@pytest.mark.parametrize(("shared", "count"), [(999, 0), (1_000, 1), (1_500, 1)])
def test_a_window_may_be_a_thousand_tokens(tmp_path: Path, shared: int, count: int) -> None:
    rng = random.Random(8)
    words = corpus.fresh(rng, shared)
    texts = [corpus.joined([*corpus.fresh(rng, 700), *words, *corpus.fresh(rng, 800)]) for _ in range(3)]
    audited = audited_and_checked(texts, tmp_path, 1_000)
    assert places(audited) == [(d, 700, shared, 3) for d in range(3 * count)]


def test_a_passage_twice_in_one_document_needs_no_other(tmp_path: Path) -> None:
    rng = random.Random(9)
    words = corpus.fresh(rng, 10)
    text = corpus.joined([*words, *corpus.fresh(rng, 1), *words, *corpus.fresh(rng, 1), *words])
    audited = audited_and_checked([text, "another"], tmp_path)
    assert places(audited) == [(0, 0, 10, 3), (0, 11, 10, 3), (0, 22, 10, 3)]
    passage = the_passage(audited)
    assert (passage["documents"], passage["texts"]) == (1, 1)


def test_a_passage_that_runs_over_the_end_of_a_document_is_none(tmp_path: Path) -> None:
    words = corpus.fresh(random.Random(10), 12)
    texts = [corpus.joined(words[:6]), corpus.joined(words[6:]), corpus.joined(words)]
    audited = audited_and_checked(texts, tmp_path)
    assert audited.rows("passages") == audited.rows("spans") == []
    assert [row["repeated_tokens"] for row in audited.documents] == [0, 0, 0]
    assert [row["passage_max_occurrences"] for row in audited.documents] == [1, 1, 1]


@pytest.mark.parametrize("texts", [[], [""], ["", "...", ""], ["a b c"], ["a b c", "a b c"]], ids=str)
def test_a_corpus_without_a_window_has_empty_tables(tmp_path: Path, texts: list[str]) -> None:
    audited = audited_and_checked(texts, tmp_path)
    assert audited.rows("passages") == audited.rows("spans") == []


REAL = {
    "chinese": "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。",
    "japanese": "人類社会のすべての構成員の固有の尊厳と平等で譲ることのできない権利",
    "thai": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "french": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués",
    "vietnamese": "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền",
    "korean": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다 인간은 천부적으로",
    "hindi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता",
    "arabic": "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق وقد وهبوا عقلاً وضميراً",
    "symbols": "The ﬁrst ½ cup, 10² m², № 5 ﬂour ① ② ③ ㎏ per ㏑ … then ¾ more",
    "russian": "Все люди рождаются свободными и равными в своём достоинстве и правах. Они наделены",
    "emoji": "one 🙂 two 👩‍👩‍👧 three 🇩🇪 four e\u0301\u20dd five\u200bsix seven ＡＢＣ eight nine ten",
}


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_passages_of_real_languages_are_cut_out_exactly(tmp_path: Path, name: str, form: str) -> None:
    written = unicodedata.normalize("NFC" if form == "NFC" else "NFD", REAL[name])
    texts = [f"(one) {REAL[name]}, other words", f"— two: \n{written}\n and more", f"{written} end"]
    audited = audited_and_checked(texts, tmp_path)
    passage = the_passage(audited)
    assert (passage["occurrences"], passage["text"]) == (3, REAL[name].rstrip("。"))
    for span, text in zip(audited.rows("spans"), (REAL[name], written, written), strict=True):
        held = texts[span["doc_id"]].encode()[span["byte_start"] : span["byte_end"]]
        assert held.decode() == text.rstrip("。")
