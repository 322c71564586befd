"""Tests of what sources share in whole audits: by hand, by plain Python, and sums that must agree."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests import corpus
from tests import overlap_oracle as oracle
from tests.audits import Audited, Row, audit, without_dask
from tests.exposure_oracle import LABELS, Document, in_pieces, written
from tests.overlap_oracle import Member, Tally
from tests.searching import few

W = 8
TABLE = "summary/source_overlap.parquet"
LARGEST = "pipeline.stages.overlap.LARGEST"
SETTINGS: dict[str, Any] = {"passages": {"min_tokens": W}, "near": {"floor": 0.4, "threshold": 0.5}}
SUMS = ("groups", "documents", "tokens")
Files = Sequence[Sequence[Sequence[str | None]]]


def overlap(audited: Audited) -> list[Row]:
    """The table."""
    return audited.rows("summary/source_overlap")


def brief(rows: list[Row], kind: str, grain: str) -> list[tuple[Any, ...]]:
    """Rows of a kind and a grain as scope, name, name of the other, groups, documents, tokens."""
    names = ("scope", "name", "other", *SUMS)
    mine = [row for row in rows if (row["kind"], row["grain"]) == (kind, grain)]
    return [tuple(row[name] for name in names) for row in mine]


# --- the definition itself ------------------------------------------------------------------------


def test_the_scopes_of_a_group_by_hand() -> None:
    members = [Member("g", "x", 10), Member("g", "x", 10), Member("g", "y", 10), Member("h", "y", 3)]
    members += [Member("i", None, 5), Member("i", None, 7), Member("j", None, 1), Member("j", "y", 1)]
    names = {"x": 20, "y": 20, None: 13}
    assert oracle.ranks(names) == {"x": 0, "y": 1, None: -1}
    assert oracle.scopes(members, oracle.ranks(names)) == {
        ("inside", 0, 0): Tally(1, 2, 20),
        ("pair", 0, 1): Tally(1, 2, 20),
        ("pair", 1, 0): Tally(1, 1, 10),
        ("across", 0, None): Tally(1, 2, 20),
        ("across", 1, None): Tally(2, 2, 11),
        ("anywhere", 0, None): Tally(1, 2, 20),
        ("anywhere", 1, None): Tally(2, 2, 11),
        ("inside", -1, -1): Tally(1, 2, 12),
        ("pair", -1, 1): Tally(1, 1, 1),
        ("pair", 1, -1): Tally(1, 1, 1),
        ("across", -1, None): Tally(1, 1, 1),
        ("anywhere", -1, None): Tally(2, 3, 13),
    }
    assert oracle.across_names(members) == 2


def test_ranks_go_by_tokens_then_by_name_by_hand() -> None:
    names = {"b": 5, "a": 5, "": 0, "é": 9, None: 99}
    assert oracle.ranks(names) == {None: -1, "é": 0, "a": 1, "b": 2, "": 3}
    assert oracle.ranks({"b": 5, "a": 5, "c": 1, "d": 0}, 2) == {None: -1, "a": 0, "b": 1, "c": 2, "d": 2}


# --- comparison with the definition ---------------------------------------------------------------


def check(audited: Audited, documents: Sequence[Document], w: int = W, largest: int = 200) -> None:
    """The table, and the figures that count what stands in two sources, equal the definition."""
    clusters = {row["doc_id"]: row["cluster_id"] for row in audited.documents}
    wanted = []
    for kind in oracle.KINDS:
        n_tokens = oracle.tokens_of_names(documents, kind)
        members = oracle.members(documents, kind, clusters, w)
        for grain in oracle.GRAINS:
            wanted += oracle.rows(kind, grain, members[grain], n_tokens, largest)
        if kind == "source":
            check_figures(audited, members)
    check_rows(overlap(audited), wanted)


def check_rows(found: Sequence[Row], wanted: Sequence[Row]) -> None:
    """Rows are equal; fractions but for how a quotient is rounded."""
    name = "tokens_fraction"
    assert [{**row, name: None} for row in found] == [{**row, name: None} for row in wanted]
    assert [row[name] for row in found] == pytest.approx([row[name] for row in wanted], rel=1e-12)


def check_figures(audited: Audited, members: Mapping[str, Sequence[Member]]) -> None:
    """The headline figures of sources."""
    for grain, counted in (("exact", "texts"), ("near", "clusters"), ("passage", "passages")):
        assert audited.metrics[f"cross_source_{counted}"] == oracle.across_names(members[grain])


def check_sums(audited: Audited, w: int, kinds: Sequence[str] = oracle.KINDS) -> None:
    """The table agrees with the other tables of its run, and with itself."""
    rows = overlap(audited)
    histogram = audited.rows("summary/histogram")
    copies = Counter[int]()
    for row in audited.documents:
        copies[row["text_id"]] += 1
    spans = audited.rows("spans")
    for kind in kinds:
        for grain in ("exact", "near"):
            anywhere = of_scope(rows, kind, grain, "anywhere")
            again = [row for row in histogram if row["grain"] == grain and row["copies_min"] > 1]
            for name in ("documents", "tokens"):
                assert sum(row[name] for row in anywhere) == sum(row[name] for row in again)
        anywhere = of_scope(rows, kind, "passage", "anywhere")
        occurrences = sum(row["occurrences"] for row in audited.rows("passages"))
        assert sum(row["documents"] for row in anywhere) == occurrences
        begins = sum(row["copies"] * (row["tokens"] - w + 1) for row in spans)
        assert sum(row["tokens"] for row in anywhere) == begins
        check_pairs(rows, kind)
    assert {row["kind"] for row in rows} <= set(kinds)
    assert all(row["groups"] > 0 for row in rows)
    sources = audited.rows("summary/sources")
    for name, of in (("documents", "documents"), ("tokens", "n_tokens")):
        whole = len(audited.documents) if name == of else sum(row[of] for row in audited.documents)
        assert sum(row[name] for row in sources) == whole


def of_scope(rows: Sequence[Row], kind: str, grain: str, scope: str) -> list[Row]:
    """The rows of a scope."""
    return [row for row in rows if (row["kind"], row["grain"], row["scope"]) == (kind, grain, scope)]


def check_pairs(rows: Sequence[Row], kind: str) -> None:
    """Two names share the same groups seen from either; all of them together share as many or more."""
    for grain in oracle.GRAINS:
        pairs = {(row["rank"], row["other_rank"]): row for row in of_scope(rows, kind, grain, "pair")}
        across = {row["rank"]: row for row in of_scope(rows, kind, grain, "across")}
        assert {rank for rank, _ in pairs} <= set(across)
        for (rank, other), row in pairs.items():
            assert rank != other
            assert pairs[other, rank]["groups"] == row["groups"]
            assert (pairs[other, rank]["name"], pairs[other, rank]["other"]) == (row["other"], row["name"])
            assert all(row[name] <= across[rank][name] for name in SUMS)
        for row in of_scope(rows, kind, grain, "inside"):
            assert (row["rank"], row["name"]) == (row["other_rank"], row["other"])


def check_anywhere(audited: Audited) -> None:
    """What is inside a source or in another too, recomputed from the documents table."""
    for grain, group, copies in (("exact", "text_id", "copies"), ("near", "cluster_id", "near_copies")):
        mine: dict[str | None, list[Row]] = {}
        for row in audited.documents:
            if row[copies] > 1:
                mine.setdefault(row["source"], []).append(row)
        found = of_scope(overlap(audited), "source", grain, "anywhere")
        assert {row["name"]: tuple(row[name] for name in SUMS) for row in found} == {
            name: (len({row[group] for row in rows}), len(rows), sum(row["n_tokens"] for row in rows))
            for name, rows in mine.items()
        }


def audited_files(files: Files, folder: Path, **config: Any) -> tuple[Audited, list[Document]]:
    """Write files of rows (text, source, licence) and audit them."""
    documents = written(files, folder)
    with without_dask():
        return audit(f"{folder}/*.jsonl", folder / "audits", **{**SETTINGS, **LABELS, **config}), documents


labels = st.sampled_from([None, "", "x", "y", "é", "Z"])
words = st.lists(st.sampled_from("abcdef"), max_size=14)


@st.composite
def corpora(draw: st.DrawFn) -> list[list[tuple[str, str | None, str | None]]]:
    """Files of a few texts, often repeated whole or in part, under many names."""
    bases = draw(st.lists(words.map(" ".join), min_size=1, max_size=4))
    joins = st.lists(st.sampled_from(bases), min_size=1, max_size=3).map(" ".join)
    text = st.one_of(st.sampled_from(bases), joins, joins.map(str.upper), st.sampled_from(["", "..", "a"]))
    return draw(st.lists(st.lists(st.tuples(text, labels, labels), max_size=12), min_size=1, max_size=3))


@given(corpora(), st.sampled_from([200, 200, 1, 2, 3]), st.sampled_from([1 << 17, 1 << 17, 3]))
@example([[("a b", "x", None), ("a b", None, "x"), ("a b", None, "y")]], 200, 2)
@example([[("", "x", "y"), ("...", "x", "y")]], 1, 1 << 17)
@few(20)
def test_every_scope_equals_plain_python(files: Files, largest: int, rows: int) -> None:
    with TemporaryDirectory() as folder, patch(LARGEST, largest), in_pieces(rows):
        audited, documents = audited_files(files, Path(folder))
        check(audited, documents, largest=largest)
        check_sums(audited, W)
        if largest == 200:
            check_anywhere(audited)


@given(corpora(), st.randoms(use_true_random=False), st.sampled_from([40, 100_000]))
@few(6)
def test_the_order_of_documents_changes_no_byte(files: Files, rng: random.Random, shard_bytes: int) -> None:
    rows = [row for file in files for row in file]
    half = rng.randint(0, len(rows))
    rng.shuffle(rows)
    with TemporaryDirectory() as folder:
        one, _ = audited_files(files, Path(folder, "one"))
        other, _ = audited_files([rows[:half], rows[half:]], Path(folder, "two"), shard_bytes=shard_bytes)
        assert one.bytes_of_files()[TABLE] == other.bytes_of_files()[TABLE]


# --- by hand --------------------------------------------------------------------------------------


def test_shared_texts_stand_inside_and_across_their_sources(tmp_path: Path) -> None:
    rows = [("a b c", "x"), ("A b c!", "x"), ("a b c", "y"), ("d e", "y"), ("d e", "y"), ("f", "z")]
    audited, documents = audited_files([rows], tmp_path)
    check(audited, documents)
    assert brief(overlap(audited), "source", "exact") == [
        ("across", "y", None, 1, 1, 3),
        ("across", "x", None, 1, 2, 6),
        ("anywhere", "y", None, 2, 3, 7),
        ("anywhere", "x", None, 1, 2, 6),
        ("inside", "y", "y", 1, 2, 4),
        ("inside", "x", "x", 1, 2, 6),
        ("pair", "y", "x", 1, 1, 3),
        ("pair", "x", "y", 1, 2, 6),
    ]
    fractions = [row["tokens_fraction"] for row in overlap(audited) if row["kind"] == "source"]
    assert fractions[:2] == pytest.approx([3 / 7, 1.0])
    assert audited.metrics["cross_source_texts"] == audited.metrics["cross_source_clusters"] == 1
    assert brief(overlap(audited), "licence", "exact")[0] == ("anywhere", None, None, 2, 5, 13)


def test_near_copies_in_two_licences_are_a_shared_cluster(tmp_path: Path) -> None:
    source = corpus.fresh(random.Random(1), 30)
    texts = [corpus.window(source, start, 9) for start in (0, 1)]
    rows = [(texts[0], None, "mit"), (texts[1], None, "gpl"), (texts[1].upper(), None, "gpl")]
    audited, documents = audited_files([rows], tmp_path, passages={"min_tokens": 20})
    check(audited, documents, 20)
    assert brief(overlap(audited), "licence", "near") == [
        ("across", "gpl", None, 1, 2, 26),
        ("across", "mit", None, 1, 1, 13),
        ("anywhere", "gpl", None, 1, 2, 26),
        ("anywhere", "mit", None, 1, 1, 13),
        ("inside", "gpl", "gpl", 1, 2, 26),
        ("pair", "gpl", "mit", 1, 2, 26),
        ("pair", "mit", "gpl", 1, 1, 13),
    ]
    assert audited.metrics["cross_source_clusters"] == 0


def test_a_shared_passage_counts_places_and_the_tokens_it_begins_at(tmp_path: Path) -> None:
    rng = random.Random(2)
    passage = corpus.joined(corpus.fresh(rng, 10))
    first = f"{passage} 1 {passage}"
    rows = [(first, "x"), (first.upper(), "x"), (first, "y"), (f"2 {passage} 3", "y")]
    audited, documents = audited_files([rows], tmp_path)
    check(audited, documents)
    # Beside it there are the passages around the 1: 7 + 1 + 7 tokens, which stand three times.
    assert brief(overlap(audited), "source", "passage") == [
        ("across", "x", None, 2, 4 + 2, 4 * 3 + 2 * 8),
        ("across", "y", None, 2, 3 + 1, 3 * 3 + 1 * 8),
        ("anywhere", "x", None, 2, 4 + 2, 4 * 3 + 2 * 8),
        ("anywhere", "y", None, 2, 3 + 1, 3 * 3 + 1 * 8),
        ("inside", "x", "x", 2, 4 + 2, 4 * 3 + 2 * 8),
        ("inside", "y", "y", 1, 3, 3 * 3),
        ("pair", "x", "y", 2, 4 + 2, 4 * 3 + 2 * 8),
        ("pair", "y", "x", 2, 3 + 1, 3 * 3 + 1 * 8),
    ]


def test_names_beyond_the_largest_are_one(tmp_path: Path) -> None:
    rows = [(f"{'a ' * (9 - i)}{i}", name) for i, name in enumerate("xyzuv")]
    rows += [("s", "z"), ("s", "u"), ("t", "v"), ("t", "x")]
    with patch(LARGEST, 2):
        audited, _ = audited_files([rows], tmp_path, passages={"enabled": False})
    exact = [row for row in overlap(audited) if row["kind"] == "source" and row["grain"] == "exact"]
    assert [(row["scope"], row["rank"], row["name"], *(row[name] for name in SUMS)) for row in exact] == [
        ("across", 0, "x", 1, 1, 1),
        ("across", 2, None, 2, 3, 3),
        ("anywhere", 0, "x", 1, 1, 1),
        ("anywhere", 2, None, 2, 3, 3),
        ("inside", 2, None, 1, 2, 2),
        ("pair", 0, "x", 1, 1, 1),
        ("pair", 2, None, 1, 1, 1),
    ]


def test_only_configured_kinds_have_rows(tmp_path: Path) -> None:
    written([[("a b", "x", "m"), ("a b", "y", "m")]], tmp_path)
    kinds: dict[str, tuple[dict[str, Any], set[str]]] = {
        "none": ({}, set()),
        "source": ({"source": {"column": "from"}}, {"source"}),
        "licence": ({"licence_column": "terms"}, {"licence"}),
        "path": ({"source": {"path": "([0-9]+).jsonl"}}, {"source"}),
    }
    for name, (config, wanted) in kinds.items():
        with without_dask():
            audited = audit(f"{tmp_path}/*.jsonl", tmp_path / "audits", name, **config)
        assert {row["kind"] for row in overlap(audited)} == wanted
        crosses = {"source": 1.0, "path": 0.0}.get(name, math.nan)
        for counted in ("texts", "clusters"):
            assert audited.metrics[f"cross_source_{counted}"] == pytest.approx(crosses, nan_ok=True)


def test_distinct_tokens_and_bytes_count_each_text_once(tmp_path: Path) -> None:
    rows = [("a b c", "x"), ("a b c", "y"), ("A b c!", "x"), ("é", "x"), ("é", None), ("d", None)]
    audited, _ = audited_files([rows], tmp_path)
    assert audited.metrics["exact_distinct_tokens"] == 3 + 1 + 1
    assert audited.metrics["raw_distinct_bytes"] == 5 + 6 + 2 + 1


# --- real data, workers and shards ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["sms-spam", "spdx-licences", "llm-eval-sets"])
def test_the_summaries_of_real_data_agree_with_each_other(
    name: str, shared_data: Callable[[str], Path], tmp_path: Path
) -> None:
    tree: dict[str, Any] = {"source": {"column": "source"}, "licence_column": "licence"}
    audited = audit(shared_data(name), tmp_path, **tree)
    check_sums(audited, 25)
    check_anywhere(audited)
    for kind in oracle.KINDS:
        n_tokens = Counter[str | None]()
        for row in audited.documents:
            n_tokens[row[kind]] += row["n_tokens"]
        members = oracle.members_in_tables(audited, kind, 25)
        for grain in oracle.GRAINS:
            wanted = oracle.rows(kind, grain, members[grain], n_tokens)
            check_rows(
                [row for row in overlap(audited) if (row["kind"], row["grain"]) == (kind, grain)], wanted
            )
        if kind == "source":
            check_figures(audited, members)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few files of texts that share much under several names."""
    rng = random.Random(3)
    folder = tmp_path_factory.mktemp("mixed") / "data"
    blocks = [corpus.fresh(rng, 12) for _ in range(4)]
    rows = []
    for i in range(45):
        parts = rng.choices(blocks, k=rng.randint(1, 3))
        text = corpus.edited(rng, [word for part in parts for word in part], rng.randint(0, 2))
        rows.append({"text": text, "from": [*"xyz", None][i % 4], "terms": "mn"[i % 2]})
    folder.mkdir()
    for i in range(3):
        table = pa.Table.from_pylist(rows[15 * i : 15 * i + 15])
        pq.write_table(table, folder / f"{i}.parquet", row_group_size=4)
    return folder


@pytest.mark.parametrize(
    ("shard_bytes", "local"),
    [(1, {"threads": 2}), (300, {"workers": 2, "threads": 1}), (1000, {"processes": True, "workers": 2})],
    ids=str,
)
def test_neither_workers_nor_shards_nor_the_order_of_inputs_change_a_byte(
    folder: Path, tmp_path: Path, shard_bytes: int, local: dict[str, object]
) -> None:
    tree = {**SETTINGS, **LABELS, "mixture": {"x": 2.5}, "model": {"parameters": 7e9}}
    with without_dask():
        whole = audit(folder, tmp_path, "whole", **tree)
    files: list[Path | str] = [*sorted(folder.iterdir(), reverse=True)]
    cut = audit(files, tmp_path, "cut", shard_bytes=shard_bytes, cluster={"local": local}, **tree)
    found, wanted = (
        {name: held for name, held in each.bytes_of_files().items() if name.endswith(".parquet")}
        for each in (cut, whole)
    )
    names = ("source_overlap", "risk", "similarity", "examples", "sources")
    assert {f"summary/{name}.parquet" for name in names} < set(wanted)
    assert len(overlap(whole)) > 50
    assert [name for name in wanted if found[name] != wanted[name]] == []
