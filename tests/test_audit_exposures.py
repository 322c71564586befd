"""Tests of exposures in whole audits: worked out by hand, and against plain Python on random corpora."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import corpus, oracles
from tests import exposure_oracle as oracle
from tests.audits import Audited, Row, audit, without_dask
from tests.exposure_oracle import LABELS, Document
from tests.searching import few

W = 8
MOST_TEXTS = "pipeline.stages.exposures.MOST_TEXTS"
Files = Sequence[Sequence[Sequence[str | None]]]


@pytest.fixture(autouse=True)
def _here() -> Iterator[None]:
    with without_dask():
        yield


def audited_files(files: Files, folder: Path, **config: Any) -> tuple[Audited, list[Document]]:
    """Write files of rows (text, source, licence) and audit them, with passages of 8 tokens."""
    documents = oracle.written(files, folder)
    tree = {"passages": {"min_tokens": W}, **LABELS, **config}
    return audit(f"{folder}/*.jsonl", folder / "audits", **tree), documents


def columns(audited: Audited, *names: str) -> list[tuple[Any, ...]]:
    """Some columns of the documents."""
    return [tuple(row[name] for name in names) for row in audited.documents]


def exposures(audited: Audited) -> list[float]:
    """The exposures of the documents."""
    return [row["exposures"] for row in audited.documents]


# --- random corpora -------------------------------------------------------------------------------

labels = st.sampled_from([None, "", "x", "y"])
letters = st.sampled_from("abcdefgh")
pieces = st.sampled_from([1 << 17, 1 << 17, 3])
parameters = st.sampled_from([1e8, 1.3e9, 3e9, 7e9, 8e9, 2e10])
shown = st.sampled_from([0.0, 4e-7, 0.1, 1 / 3, 1.0, 2.25, 3.0, 40.0])
by_epochs = st.tuples(
    st.fixed_dictionaries({"epochs": st.dictionaries(st.sampled_from(["", "x", "y", "nowhere"]), shown)}),
    st.fixed_dictionaries(
        {}, optional={"parameters": parameters, "training_tokens": st.sampled_from([9.9e9, 2e12])}
    ),
)
weights = st.dictionaries(st.sampled_from(["", "x", "nowhere"]), st.sampled_from([0.2, 1.0, 7.0]), min_size=1)
by_weights = st.tuples(
    st.fixed_dictionaries({"weights": weights}),
    st.fixed_dictionaries(
        {"training_tokens": st.sampled_from([50.0, 1e5]), "tokens_per_word": st.sampled_from([1.0, 1.3, 2.0])}
    ),
)
nears = st.fixed_dictionaries(
    {
        "floor": st.sampled_from([0.05, 0.2, 0.4]),
        "threshold": st.sampled_from([0.4, 0.5, 0.7, 0.9]),
        "shingle_tokens": st.sampled_from([1, 2, 3, 5]),
        "bands": st.sampled_from([16, 32]),
        "rows": st.sampled_from([2, 4]),
        "seed": st.sampled_from([1, 7]),
    }
)


@st.composite
def corpora(draw: st.DrawFn) -> list[list[tuple[str, str | None, str | None]]]:
    """Files of copies, near copies, cycles and odds and ends, with sources and licences."""
    bases = draw(st.lists(st.lists(letters, min_size=6, max_size=24), min_size=1, max_size=3))
    texts = [" ".join(base) for base in bases] + ["", "...", "a", "a " * 20]
    for base in bases:
        for _ in range(draw(st.integers(0, 5))):
            words = list(base)
            for place in draw(st.lists(st.integers(0, len(base) - 1), max_size=3)):
                words[place] = draw(st.sampled_from(["x", "y", "A"]))
            cut = draw(st.integers(0, 3))
            texts.append(" ".join(words[cut:]))
    row = st.tuples(st.sampled_from(texts), labels, labels)
    return draw(st.lists(st.lists(row, max_size=12), min_size=1, max_size=3))


@given(corpora(), nears, by_epochs | by_weights, st.sampled_from([2_000, 2_000, 1, 3]), pieces)
@few(15)
def test_every_exposure_equals_plain_python(
    files: Files,
    near: dict[str, Any],
    shown: tuple[dict[str, Any], dict[str, float]],
    most_texts: int,
    rows: int,
) -> None:
    mixture, model = shown
    with TemporaryDirectory() as folder, patch(MOST_TEXTS, most_texts), oracle.in_pieces(rows):
        audited, documents = audited_files(files, Path(folder), near=near, mixture=mixture, model=model)
        facts: dict[str, Any] = {name: value for name, value in model.items() if name != "parameters"}
        epochs = oracle.epochs_by_source(documents, **mixture, **facts)
        oracle.check(audited, oracle.exposed(audited, documents, epochs, near, most_texts), model, W)


@given(corpora(), st.sampled_from([2.0, 0.5, 3.0]))
@few(6)
def test_as_many_times_the_epochs_are_as_many_times_the_exposures(files: Files, factor: float) -> None:
    with TemporaryDirectory() as folder:
        named = [[(text, source or "x", None) for text, source, _ in file] for file in files]
        epochs = {"": 0.5, "x": 2.0, "y": 1.5}
        more = {name: value * factor for name, value in epochs.items()}
        once, _ = audited_files(
            named, Path(folder), near={"floor": 0.2, "threshold": 0.4}, mixture={"epochs": epochs}
        )
        inputs, out = f"{folder}/*.jsonl", Path(folder, "more")
        tree: dict[str, Any] = {"passages": {"min_tokens": W}, "near": {"floor": 0.2, "threshold": 0.4}}
        twice = audit(inputs, out, mixture={"epochs": more}, **LABELS, **tree)
        for name in oracle.WORTH:
            wanted = [row[name] * factor for row in once.documents]
            assert [row[name] for row in twice.documents] == pytest.approx(wanted, abs=2e-6)
        assert [row["exposures"] for row in twice.rows("passages")] == [
            row["exposures"] * factor for row in once.rows("passages")
        ]


# --- by hand --------------------------------------------------------------------------------------

# Worth of a near copy: 8 of 10 shingles shared is d = 1 - (16/18)^(1/5) = 0.0232813, so
# 0.93 - 0.15 * 0.0132813 / 0.04; 7 of 11 is d = 1 - (14/18)^(1/5) = 0.0490205.
WORTH_OF_8_10 = {"exposures": 0.880195, "exposures_low": 0.823515, "exposures_high": 0.940156}
WORTH_OF_7_11 = 0.783673


def windows(*starts: int) -> list[str]:
    """Texts of nine shingles that begin at these words of a longer one."""
    words = corpus.fresh(random.Random(1), 40)
    return [corpus.window(words, start, 9) for start in starts]


def test_the_definition_has_the_worth_worked_out_by_hand() -> None:
    for name, value in WORTH_OF_8_10.items():
        assert oracle.worth(0.8, name, 5) == pytest.approx(value, abs=1e-6)
    assert oracle.worth(7 / 11, "exposures", 5) == pytest.approx(WORTH_OF_7_11, abs=1e-6)
    assert oracle.worth(1.0, "exposures", 5) == 1.0
    assert oracle.worth(0.0, "exposures", 5) == 0.0
    # Single words: half of each other's is d = 1 - 2 * (1/3) / (4/3) = 1/2.
    assert oracle.worth(1 / 3, "exposures_high", 1) == pytest.approx(0.19)


def test_a_near_copy_is_worth_a_share_of_a_copy(tmp_path: Path) -> None:
    audited, _ = audited_files([[(text,) for text in windows(0, 1)]], tmp_path)
    for name, value in WORTH_OF_8_10.items():
        assert [row[name] for row in audited.documents] == pytest.approx([1 + value] * 2, abs=1e-6)
    assert columns(audited, "risk_tier", "exposures_by_representative") == [("baseline", False)] * 2


def test_copies_and_epochs_of_a_near_copy_multiply_its_worth(tmp_path: Path) -> None:
    one, two = windows(0, 1)
    rows = [(one, "x"), (one.upper(), "y"), (two, "y"), (two, None), (one, "x")]
    audited, _ = audited_files([rows], tmp_path, mixture={"x": 2, "y": 1.5})
    of_one, of_two = 2 + 1.5 + 2, 1.5 + 1
    first = of_one + of_two * WORTH_OF_8_10["exposures"]
    second = of_two + of_one * WORTH_OF_8_10["exposures"]
    assert exposures(audited) == pytest.approx([first, first, second, second, first], abs=4e-6)
    assert columns(audited, "risk_tier") == [("elevated",)] * 5


def test_a_large_cluster_is_judged_by_its_representative(tmp_path: Path) -> None:
    files = [[(text,) for text in windows(1, 0, 2)]]
    near, far = 1 + WORTH_OF_8_10["exposures"], WORTH_OF_7_11
    for most_texts in (3, 2):
        with patch(MOST_TEXTS, most_texts):
            audited, _ = audited_files(files, tmp_path / str(most_texts))
        by_representative = most_texts == 2
        other = WORTH_OF_8_10["exposures"] if by_representative else far
        assert [row["near_copies"] for row in audited.documents] == [3] * 3
        assert exposures(audited) == pytest.approx([2 * near - 1, near + other, near + other], abs=2e-6)
        assert columns(audited, "exposures_by_representative") == [(by_representative,)] * 3
        assert audited.metrics["texts_exposed_by_representative"] == 3 * by_representative


def test_a_representative_knows_its_similarity_to_all_of_a_chain(tmp_path: Path) -> None:
    # Far ends of the chain are no candidates: their sketches say little, their comparison says it all.
    audited, _ = audited_files(
        [[(text,) for text in windows(*range(0, 12, 2))]], tmp_path, near={"threshold": 0.6}
    )
    for name in oracle.WORTH:
        shared = [oracle.worth(jaccard, name, 5) for jaccard in (7 / 11, 5 / 13, 3 / 15, 1 / 17, 0.0)]
        assert audited.documents[0][name] == pytest.approx(1 + sum(shared), abs=1e-6)
    assert columns(audited, "near_copies", "representative") == [(6, 0)] * 6


def test_a_document_alone_is_shown_as_often_as_its_text(tmp_path: Path) -> None:
    rows = [
        ("a b c", "x"),
        ("d e f", None),
        ("g h i", "z"),
        ("A b c!", "z"),
        ("", "x"),
        ("...", "z"),
        (" ", None),
    ]
    audited, _ = audited_files([rows], tmp_path, mixture={"x": 0.25, "nobody": 9})
    assert exposures(audited) == [1.25, 1.0, 1.0, 1.25, 0.25, 1.0, 1.0]
    for name in ("exposures_low", "exposures_high"):
        assert [row[name] for row in audited.documents] == exposures(audited)


def test_weights_draw_the_training_tokens_from_the_sources_that_they_name(tmp_path: Path) -> None:
    rows = [("a b c d", "x"), ("e f g h", "x"), ("i j", "y"), ("k", "z"), ("l", None), ("", "empty")]
    weights = {"x": 3, "y": 1, "nowhere": 1, "empty": 5}
    audited, _ = audited_files(
        [rows],
        tmp_path,
        mixture={"weights": weights},
        model={"training_tokens": 1000, "tokens_per_word": 1.25},
    )
    of_x, of_y = 0.3 * 1000 / (8 * 1.25), 0.1 * 1000 / (2 * 1.25)
    assert (of_x, of_y) == (30, 40)
    assert exposures(audited) == [30, 30, 40, 0, 0, 0]
    assert {row["source"]: row["epochs"] for row in audited.rows("summary/sources")} == {
        None: 0, "empty": 0, "x": 30, "y": 40, "z": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("epochs", "tier"),
    [
        (0, "baseline"), (0.5, "baseline"), (1.999999, "baseline"), (2, "low"), (5.999999, "low"),
        (6, "elevated"), (20.999999, "elevated"), (21, "high"), (101, "very high"), (1001, "very high"),
    ],
)  # fmt: skip
def test_exposures_are_rounded_down_to_the_bin(epochs: float, tier: str, tmp_path: Path) -> None:
    audited, _ = audited_files([[("a b c", "x")]], tmp_path, mixture={"x": epochs})
    assert columns(audited, "exposures", "risk_tier") == [(epochs, tier)]
    [row] = [row for row in audited.rows("summary/risk") if row["documents"]]
    assert (row["risk_tier"], row["exposures_min"]) == (tier, oracle.bin_of(epochs))


def test_a_passage_is_shown_in_all_its_places(tmp_path: Path) -> None:
    rng = random.Random(2)
    passage = corpus.joined(corpus.fresh(rng, 12))
    first = f"{passage} {corpus.joined(corpus.fresh(rng, 20))}"
    rows = [
        (first, "x"),
        (first.title(), "x"),
        (f"u {passage} v", "y"),
        (f"p {passage} q r {passage} s", None),
    ]
    model = {"parameters": 7e9, "training_tokens": 2e12}
    audited, _ = audited_files([rows], tmp_path, mixture={"x": 3, "y": 0.5}, model=model)
    by_tokens = {row["tokens"]: row for row in audited.rows("passages")}
    names = ("exposures", "risk_tier", "evidence_low", "evidence_high", "evidence_reason")
    assert [by_tokens[12][name] for name in names] == [3 + 3 + 0.5 + 1 + 1, "elevated", 0.0, 0.39, None]
    assert by_tokens[32 - 12 + W - 1]["exposures"] == 6


def test_predictable_passages_are_left_out_of_the_risk(tmp_path: Path) -> None:
    rng = random.Random(3)
    plain = corpus.joined(corpus.fresh(rng, 10))
    texts = ["go " * 30, "go " * 40, f"{plain} go", f"go {plain}"]
    audited, _ = audited_files([[(text, "x") for text in texts]], tmp_path, model={"parameters": 1e9})
    by_kind = {row["predictable"]: row for row in audited.rows("passages")}
    assert (by_kind[True]["risk_tier"], by_kind[True]["evidence_low"]) == (None, None)
    assert by_kind[True]["exposures"] == by_kind[True]["occurrences"] > 50
    assert (by_kind[False]["risk_tier"], by_kind[False]["exposures"]) == ("low", 2)
    of_passages = [row for row in audited.rows("summary/risk") if row["grain"] == "passage"]
    assert [(row["passages"], row["tokens"]) for row in of_passages] == [(0, 0), (1, 10), *[(0, 0)] * 4]
    assert (of_passages[1]["evidence_low"], of_passages[1]["evidence_high"]) == (0.0, 0.09)


def test_without_passages_only_documents_have_a_risk(tmp_path: Path) -> None:
    audited, _ = audited_files([[("a b c", "x")] * 3], tmp_path, passages={"enabled": False})
    risk = audited.rows("summary/risk")
    assert [(row["grain"], row["bin"], row["documents"], row["tokens"]) for row in risk] == [
        ("document", name, 3 * (name == "2-5"), 9 * (name == "2-5")) for name, _ in oracle.BINS.values()
    ]
    assert {row["evidence_reason"] for row in risk} - {None}, "no model is configured"
    assert {row["passages"] for row in risk} == {None}


# --- what the page shows of near copies -----------------------------------------------------------


def test_the_least_similar_text_of_a_cluster_is_named_by_its_first_document(tmp_path: Path) -> None:
    one, two, three, four = windows(2, 1, 0, 4)
    other, single = (corpus.text(random.Random(seed), 9) for seed in (5, 6))
    rows = [one, two, three, three.upper(), four, other, other.upper(), single]
    audited, _ = audited_files([[(text,) for text in rows]], tmp_path, near={"threshold": 0.6})
    # From the window at word 2 it is as far to the one at 0 as to the one at 4: the first counts.
    least = {row["representative"]: row["least_similar"] for row in audited.clusters}
    assert least == {0: 2, 5: None}


@given(corpora(), nears)
@few(8)
def test_every_pair_is_in_a_hundredth_of_similarity(files: Files, near: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        audited, _ = audited_files(files, Path(folder), near=near)
        rows = audited.rows("summary/similarity")
        first = math.floor(near["floor"] * 100)
        assert [row["jaccard_min"] for row in rows] == [i / 100 for i in range(first, 100)]
        assert [row["jaccard_max"] for row in rows] == [i / 100 for i in range(first + 1, 101)]
        for row in rows:
            most = row["jaccard_max"] if row["jaccard_max"] < 1 else 2.0
            inside = [pair for pair in audited.pairs if row["jaccard_min"] <= pair["jaccard"] < most]
            assert row["pairs"] == len(inside)
            wanted = oracles.detection_probability(row["jaccard_min"], near["bands"], near["rows"])
            assert row["detection"] == pytest.approx(wanted)
        assert sum(row["pairs"] for row in rows) == len(audited.pairs)


def test_a_similarity_is_in_the_hundredth_that_it_begins(tmp_path: Path) -> None:
    # 0.58 * 100 is 57.99999999999999 in floating point.
    words = corpus.fresh(random.Random(8), 110)
    audited, _ = audited_files([[(corpus.window(words, start, 79),) for start in (0, 21)]], tmp_path)
    assert [pair["jaccard"] for pair in audited.pairs] == [0.58]
    assert [row["jaccard_min"] for row in audited.rows("summary/similarity") if row["pairs"]] == [0.58]


def chosen_clusters(audited: Audited) -> set[int]:
    """The 12 largest clusters, and the 6 with most chained texts."""

    def size(row: Row) -> tuple[int, int, int]:
        return -row["documents"], -row["tokens"], row["cluster_id"]

    largest = sorted(audited.clusters, key=size)[:12]
    loose = [row for row in audited.clusters if row["chained"]]
    loosest = sorted(loose, key=lambda row: (-row["chained"], size(row)))[:6]
    return {row["cluster_id"] for row in [*largest, *loosest]}


def test_examples_are_of_the_largest_and_of_the_loosest_clusters(tmp_path: Path) -> None:
    rng = random.Random(7)
    texts = []
    for i in range(20):
        words = corpus.fresh(rng, 60)
        # Eight small clusters are chains of more or fewer windows, the others are copies.
        chain = [corpus.window(words, 2 * step, 9) for step in range(3 + i % 3 if i < 8 else 1)]
        texts += [*chain, *[chain[0]] * (0 if i < 8 else i)]
    rng.shuffle(texts)
    long = [f"{'é ' * 1_500}{word}" for word in ("x", "y")] * 20
    files = [[(text, "x") for text in [*texts, *long]]]
    audited, documents = audited_files(files, tmp_path, near={"threshold": 0.6})
    by_id = {document.doc_id: document for document in documents}
    n_bytes = {row["doc_id"]: row["n_bytes"] for row in audited.documents}
    wanted = []
    for row in audited.clusters:
        if row["cluster_id"] in chosen_clusters(audited):
            shown = {row["representative"]: 1.0}
            if row["least_similar"] is not None:
                shown[row["least_similar"]] = row["min_jaccard"]
            wanted += [(row["cluster_id"], doc_id, shown[doc_id]) for doc_id in sorted(shown)]
    found = audited.rows("summary/examples")
    assert [(row["cluster_id"], row["doc_id"], row["jaccard"]) for row in found] == wanted
    assert sum(row["chained"] > 0 for row in audited.clusters) == 8
    for row in found:
        assert (row["text"], row["source"]) == (by_id[row["doc_id"]].text[:2_000], "x")
        assert (row["n_bytes"], row["row"]) == (n_bytes[row["doc_id"]], row["doc_id"])
    assert max(len(row["text"]) for row in found) == 2_000


# --- real data ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sms-spam", "spdx-licences", "llm-eval-sets"])
def test_exposures_of_real_data_equal_plain_python(
    name: str, shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    rows = pq.read_table(shared_data(name), columns=["text", "source", "licence"]).to_pylist()
    mixture: dict[str, Any] = {"epochs": {"openai/human-eval": 3.0, "SMS Spam Collection v.1": 0.5}}
    audited, documents = audited_files([[list(row.values()) for row in rows]], tmp_path, mixture=mixture)
    epochs = oracle.epochs_by_source(documents, **mixture)
    wanted = oracle.exposed(audited, documents, epochs, {})
    oracle.check_documents(audited, wanted)
    oracle.check_clusters(audited, wanted)
    oracle.check_risk(audited, {})
    oracle.check_sources(audited, documents, epochs)
