"""The tables of passages and spans, driven through their stages, against plain Python."""

from __future__ import annotations

import random
import unicodedata
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.artifacts import END_OF_KEYS
from pipeline.config import MixtureConfig, ModelConfig
from pipeline.mapped import read_mapped
from pipeline.mixture import Epochs, epochs_of
from pipeline.risk import evidence
from pipeline.schemas import BINS, PASSAGES, SPANS
from pipeline.stages.passages import OCCURRENCES, Exposing, most_covering, most_covering_of, write_passages
from pipeline.stages.spans import REPEATING, write_spans
from tests import corpus as planted
from tests import oracles
from tests.exposure_oracle import BINS as BINS_OF_EXPOSURES
from tests.exposure_oracle import bin_of, tier_of
from tests.stages.passage_steps import Passaged, definition, passaged, passages_of, spans_of
from tests.stages.steps import all_rows, doc, rows_of

NOWHERE = Exposing(Epochs(), evidence(None, None), True)


def texts() -> dict[str, list[str | None]]:
    """A repeat of every kind: planted, copied, composed of other characters, periodic, branching."""
    rng = random.Random(3)
    one, two, three = (planted.fresh(rng, 30) for _ in range(3))
    accents = " ".join(f"é{word} ½" for word in planted.fresh(rng, 12))

    def around(words: list[str], before: int, after: int) -> str:
        return planted.joined([*planted.fresh(rng, before), *words, *planted.fresh(rng, after)])

    copied = around(one, 5, 20)
    return {
        "a": [around(one, 4, 9), "", copied, None, "few words", accents, around(two[:15], 3, 3)],
        "b": [copied.upper(), around(two, 0, 4), "na " * 40, copied, unicodedata.normalize("NFD", accents)],
        "c": [around(one[10:], 2, 0), " ", f"x {unicodedata.normalize('NFKD', accents)} y", "na " * 12],
        "d": [around([*three, *planted.fresh(rng, 30), *three], 1, 1), None, around(two[4:], 5, 0)],
        "e": [planted.text(rng, 50), around([*one[:20], *two[10:]], 9, 9), "na " * 40],
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Passaged:
    """A few documents a shard."""
    return passages_of(tmp_path_factory.mktemp("passages"), texts(), shard_bytes=600)


def test_corpus_is_cut_into_many_shards_and_parts(found: Passaged) -> None:
    assert len(found.survived.corpus.shards) > 5
    assert min(len(found.chunks), len(found.cuts), len(found.span_outputs)) > 3
    assert sum(part.passages for part in found.passages) > 8


def test_passages_are_what_their_definition_says(found: Passaged) -> None:
    assert all_rows(found.outputs) == definition(found.survived.corpus).passage_rows()
    assert all(pq.read_schema(path).equals(PASSAGES.arrow_schema()) for path in found.outputs)


def test_spans_are_what_their_definition_says(found: Passaged) -> None:
    assert all_rows(found.span_outputs) == definition(found.survived.corpus).span_rows()
    assert all(pq.read_schema(path).equals(SPANS.arrow_schema()) for path in found.span_outputs)


@pytest.mark.parametrize(("shard_bytes", "parts"), [(120, 1), (250, 2), (1 << 20, 1), (1 << 20, 40)])
def test_tables_do_not_depend_on_shards_and_ranges(
    tmp_path: Path, found: Passaged, shard_bytes: int, parts: int
) -> None:
    other = passages_of(tmp_path, texts(), parts, shard_bytes=shard_bytes)
    assert all_rows(other.outputs) == all_rows(found.outputs)
    assert all_rows(other.span_outputs) == all_rows(found.span_outputs)
    assert _totals(other) == _totals(found)


def _totals(found: Passaged) -> list[list[int]]:
    by_bin = [part.by_bin for part in found.passages]
    tokens, n_bytes = ([getattr(part, name) for part in found.spans] for name in ("tokens", "bytes"))
    return [np.sum(each, axis=0).tolist() for each in (by_bin, tokens, n_bytes)]


def test_sums_are_those_of_the_histogram(found: Passaged) -> None:
    wanted = definition(found.survived.corpus).histogram_rows()
    by_bin, tokens, n_bytes = _totals(found)
    assert by_bin == [row["passages"] for row in wanted]
    assert tokens == [row["tokens"] for row in wanted[1:]]
    assert n_bytes == [row["bytes"] for row in wanted[1:]]
    assert sum(part.rows for part in found.spans) == sum(cut.count for cut in found.cuts)


def test_figures_are_those_of_the_table(found: Passaged) -> None:
    rows = all_rows(found.outputs)
    assert sum(part.passages for part in found.passages) == len(rows)
    assert sum(part.predictable for part in found.passages) == sum(row["predictable"] for row in rows) > 0
    assert max(part.most_tokens for part in found.passages) == max(row["tokens"] for row in rows)
    assert max(part.most_occurrences for part in found.passages) == max(row["occurrences"] for row in rows)
    assert sum(cut.count for cut in found.cuts) == len(all_rows(found.span_outputs))


def test_repeating_texts_are_those_with_spans(found: Passaged) -> None:
    corpus = definition(found.survived.corpus)
    wanted = {
        (
            oracles.text_id(document.text),
            document.doc_id,
            row["repeated_tokens"],
            row["passage_max_occurrences"],
        )
        for d, (document, row) in enumerate(zip(corpus.documents, corpus.document_rows(), strict=True))
        if row["repeated_tokens"] and corpus.first[d] == d
    }
    tables = [rows_of(part.texts) for part in found.spans]
    rows = [row for table in tables for row in table]
    assert {tuple(row[name] for name in REPEATING.names) for row in rows} == wanted
    assert len(rows) == len(wanted)
    for table in tables:
        assert [row["text_id"] for row in table] == sorted(row["text_id"] for row in table)


def test_occurrences_go_to_the_rows_of_the_cuts_in_order(found: Passaged) -> None:
    wanted = {row["passage_id"]: row["occurrences"] for row in all_rows(found.outputs)}
    told: dict[tuple[int, int], int] = {}
    for span, part, output in zip(found.survived.keys, found.passages, found.outputs, strict=True):
        assert read_mapped(part.occurrences).schema.equals(OCCURRENCES)
        rows = rows_of(part.occurrences)
        assert [row["row"] for row in rows] == sorted(row["row"] for row in rows)
        told |= {(row["row"] >> 40, row["row"] & (1 << 40) - 1): row["occurrences"] for row in rows}
        assert all(span[0] <= row["passage_id"] < span[1] for row in rows_of(output))
        assert len(rows_of(output)) == part.passages
    for number, cut in enumerate(found.cuts):
        passages = [row["passage_id"] for row in rows_of(cut.standing.passages)]
        assert [told.pop((number, i)) for i in range(len(passages))] == [wanted[p] for p in passages]
    assert not told


def test_passages_to_look_at_cover_most_and_predictable_ones_are_counted_apart() -> None:
    rng = random.Random(4)
    every = [(i, rng.random() < 0.4, rng.randrange(40)) for i in range(120)]
    wanted = [
        covering
        for dull, most in ((False, 25), (True, 10))
        for covering in sorted((c for c in every if c[1] == dull), key=lambda c: (-c[2], c[0]))[:most]
    ]
    ids, dull, covered = (np.array([c[i] for c in every]) for i in range(3))
    assert list(most_covering(ids.astype(np.uint64), dull, covered)) == wanted
    parts = [every[:50], every[50:51], [], every[51:]]
    columns = [
        [np.array([c[i] for c in part], kind) for i, kind in enumerate((np.uint64, bool, np.int64))]
        for part in parts
    ]
    assert list(most_covering_of(most_covering(*part) for part in columns)) == wanted


def test_first_places_are_those_of_the_passages_to_look_at(found: Passaged) -> None:
    top = [passage for passage, _, _ in most_covering_of(part.top for part in found.passages)]
    assert len(top) > 5
    rows = all_rows(found.span_outputs)
    wanted = {
        (row["passage_id"], row["doc_id"], row["token_start"])
        for passage in top
        for row in [row for row in rows if row["passage_id"] == passage][:5]
    }
    shown = [
        (row["passage_id"], row["doc_id"], row["token_start"])
        for row in all_rows([p.top for p in found.spans])
    ]
    assert len(shown) == len(set(shown))
    assert wanted <= set(shown)


def test_occurrences_are_the_copies_of_all_places(found: Passaged) -> None:
    places: Counter[int] = Counter()
    for row in all_rows(found.span_outputs):
        places[row["passage_id"]] += row["copies"]
    assert places == {row["passage_id"]: row["occurrences"] for row in all_rows(found.outputs)}


EPOCHS = {"a": 2.5, "b": 0.0, "d": 7.0}


def test_exposures_are_the_epochs_of_the_documents_of_all_places(tmp_path: Path) -> None:
    epochs = epochs_of(MixtureConfig(epochs=EPOCHS), ModelConfig(), {})
    found = passages_of(tmp_path, texts(), shard_bytes=600, epochs=epochs)
    wanted = definition(found.survived.corpus)
    exposures = {
        oracles.text_id(" ".join(words)): sum(
            EPOCHS.get(wanted.documents[d].source or "", 1.0) for d, _ in places
        )
        for words, places in wanted.passages.items()
    }
    rows = all_rows(found.outputs)
    assert {row["passage_id"]: row["exposures"] for row in rows} == exposures
    assert len({bin_of(value) for value in exposures.values()}) > 2
    risky = [row for row in rows if not row["predictable"]]
    assert {row["risk_tier"] for row in rows if row["predictable"]} == {None}
    assert all(row["risk_tier"] == tier_of(row["exposures"]) for row in risky)
    for part, name in (("exposed", None), ("exposed_tokens", "tokens")):
        sums = dict.fromkeys(BINS_OF_EXPOSURES, 0)
        for row in risky:
            sums[bin_of(row["exposures"])] += 1 if name is None else row[name]
        assert np.sum([getattr(each, part) for each in found.passages], axis=0).tolist() == list(
            sums.values()
        )


def test_evidence_is_that_of_the_bin_and_none_where_a_passage_is_predictable(
    tmp_path: Path, found: Passaged
) -> None:
    corpus = replace(found.survived.corpus, folder=tmp_path)
    known = evidence(7e9, None)
    other = passaged(replace(found.survived, corpus=corpus), model=7e9)
    names = ("evidence_low", "evidence_high", "evidence_reason")
    for row in all_rows(other.outputs):
        of_bin = known[[low for low, _ in BINS].index(bin_of(row["exposures"]))]
        wanted = (of_bin.low, of_bin.high, of_bin.reason)
        assert tuple(row[name] for name in names) == (
            (None, None, "predictable") if row["predictable"] else wanted
        )
    assert {row["evidence_high"] for row in all_rows(other.outputs)} > {None, 0.14}


def test_nothing_is_written_without_passages(tmp_path: Path) -> None:
    found = write_passages(
        (0, END_OF_KEYS), str(tmp_path / "out"), str(tmp_path / "counted"), cuts=[], exposing=NOWHERE
    )
    assert (found.by_bin, found.passages, found.predictable, found.top) == ((0,) * len(BINS), 0, 0, ())
    assert (found.most_tokens, found.most_occurrences) == (0, 0)
    assert found.exposed == found.exposed_tokens == (0,) * len(BINS)
    spans = write_spans(
        (0, END_OF_KEYS), str(tmp_path / "spans"), str(tmp_path / "texts"), **spans_of([], [found])
    )
    assert (spans.rows, spans.tokens, spans.bytes) == (0, (0,) * (len(BINS) - 1), (0,) * (len(BINS) - 1))
    assert rows_of(found.occurrences) == rows_of(spans.texts) == rows_of(spans.top) == []
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "spans").exists()


def test_spans_of_a_range_are_those_of_its_documents(tmp_path: Path, found: Passaged) -> None:
    given = spans_of(found.cuts, found.passages)
    every = all_rows(found.span_outputs)
    for span in ((0, doc(1, 0)), (doc(1, 0), doc(2, 1)), (doc(2, 0), doc(2, 1)), (doc(4, 2), END_OF_KEYS)):
        output = tmp_path / f"{span[0]}-{span[1]}"
        part = write_spans(span, str(output), str(tmp_path / "texts"), **given)
        wanted = [row for row in every if span[0] <= row["doc_id"] < span[1]]
        assert part.rows == len(wanted)
        assert (rows_of(output) if wanted else []) == wanted


def test_span_late_in_a_long_document_is_in_its_place(tmp_path: Path) -> None:
    block = planted.joined(planted.fresh(random.Random(1), 9))
    filler = " ".join(f"f{i}" for i in range(70_000))
    texts_of = {
        "a": [f"{block} {filler} {block}", f"x {block}"],
        "b": [f"{block} y", f"{block} {filler[:80]}"],
    }
    found = passages_of(tmp_path, texts_of, 1)
    rows = [(row["doc_id"], row["token_start"]) for row in all_rows(found.span_outputs)]
    assert rows == sorted(rows)
    assert (doc(0, 0), 70_009) in rows
    assert all_rows(found.span_outputs) == definition(found.survived.corpus).span_rows()


def test_text_of_a_passage_is_cut_at_500_characters_of_any_width(tmp_path: Path) -> None:
    # A character of four bytes is a token, wherever the cut falls within its bytes.
    wide = "".join(chr(0x20000 + i) for i in range(520))
    mixed = "".join(f"{chr(0x20000 + i)} é" for i in range(300))
    exact = "".join(chr(0x4E00 + i) for i in range(500))
    shifted = ["x" * n + "".join(chr(0x21000 + 600 * n + i) for i in range(520)) for n in (1, 2, 3)]
    every = [wide, mixed, exact, *shifted]
    texts_of = [f"{each} {end}" for each in every for end in ("one", "two")]
    found = passages_of(tmp_path, texts_of, 1)
    rows = all_rows(found.outputs)
    assert rows == definition(found.survived.corpus).passage_rows()
    assert {row["text"] for row in rows} == {each[:500] for each in every}
