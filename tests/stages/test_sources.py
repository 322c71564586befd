"""What sources hold and share: sums over parts that are those over documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import MixtureConfig
from pipeline.label_hashes import name_hash
from pipeline.mapped import write_mapped
from pipeline.mixture import Epochs
from pipeline.schemas import SOURCE_OVERLAP, SOURCES
from pipeline.stages.documents import GRAINS, DocumentsResult
from pipeline.stages.overlap import OVERLAPS, Overlapped, Ranks
from pipeline.stages.sources import notes_on_mixture, sums_of_sources, write_overlap, write_sources
from pipeline.stages.summary import corpus_figures
from pipeline.stages.texts import DISTINCT, TextsResult
from tests.stages.steps import ONCE, Written, all_rows, rows_of, written
from tests.stages.sums import part


def write(
    parts: Sequence[DocumentsResult],
    path: str,
    texts: Sequence[TextsResult] = (),
    passages: bool = False,
    epochs: Epochs = ONCE,
) -> None:
    """Write the sources of some parts."""
    write_sources(sums_of_sources(parts), texts, epochs, passages, path)


def test_passages_of_a_source_are_null_where_they_were_not_looked_for(tmp_path: Path) -> None:
    mine = part(tmp_path, 0, web={"documents": 3, "tokens": 8, "passage_documents": 2, "passage_tokens": 6})
    empty = part(tmp_path, 1, none={"documents": 1})
    names = ("passage_repeated_documents", "passage_repeated_tokens_fraction")
    for wanted, values in ((True, [(0, 0.0), (2, 0.75)]), (False, [(None, None)] * 2)):
        write([mine, empty], str(tmp_path / "out"), passages=wanted)
        assert [tuple(row[name] for name in names) for row in rows_of(tmp_path / "out")] == values


def test_sources_are_those_of_the_documents(documented: Written, tmp_path: Path) -> None:
    by_source = defaultdict(list)
    for row in all_rows(documented.outputs):
        by_source[row["source"]].append(row)
    filtered = documented.compared.placed.filtered
    write(documented.results, str(tmp_path / "out"), filtered.texts)
    rows = rows_of(tmp_path / "out")
    assert [row["source"] for row in rows] == sorted(by_source) == list("abcd")
    for row in rows:
        mine = by_source[row["source"]]
        tokens = sum(each["n_tokens"] for each in mine)
        assert (row["licence"], row["documents"], row["tokens"]) == (None, len(mine), tokens)
        assert row["distinct_texts"] == len({each["text_id"] for each in mine if each["status"] != "empty"})
        exposed = sum(each["exposures"] * each["n_tokens"] for each in mine)
        assert (row["epochs"], row["exposures"]) == (1.0, pytest.approx(exposed / tokens, rel=1e-12))
        assert row["bytes"] == sum(each["n_bytes"] for each in mine)
        assert row["kept_documents"] == sum(each["keep"] for each in mine)
        for grain, column in GRAINS.items():
            again = [each for each in mine if each[column] >= 2]
            assert row[f"{grain}_repeated_documents"] == len(again)
            share = sum(each["n_tokens"] for each in again) / tokens
            assert row[f"{grain}_repeated_tokens_fraction"] == share
    assert pq.read_schema(tmp_path / "out").equals(SOURCES.arrow_schema(), check_metadata=True)


def test_sums_of_a_source_are_those_of_its_parts(tmp_path: Path) -> None:
    one = part(
        tmp_path, 0, web={"documents": 2, "tokens": 10, "raw_tokens": 1, "ok": 2}, books={"documents": 1}
    )
    two = part(tmp_path, 1, web={"documents": 3, "tokens": 30, "raw_tokens": 9, "empty": 3, "kept": 2})
    write([one, two], str(tmp_path / "out"))
    books, web = rows_of(tmp_path / "out")
    assert (web["source"], web["documents"], web["tokens"], web["kept_documents"]) == ("web", 5, 40, 2)
    assert web["raw_repeated_tokens_fraction"] == 0.25
    assert (books["documents"], books["near_repeated_tokens_fraction"]) == (1, 0.0)
    figures = corpus_figures(sums_of_sources([one, two]))
    assert (figures["documents"], figures["tokens"]) == ((6, "documents"), (40, "tokens"))
    assert (figures["ok_documents"][0], figures["short_documents"][0], figures["empty_documents"][0]) == (
        2,
        0,
        3,
    )


def test_unknown_source_comes_first_and_is_not_the_text_null(tmp_path: Path) -> None:
    mine = part(tmp_path, 0, null={"documents": 1}, none={"documents": 2, "source": None})
    write([mine], str(tmp_path / "out"))
    assert [(row["source"], row["documents"]) for row in rows_of(tmp_path / "out")] == [
        (None, 2),
        ("null", 1),
    ]


# --- epochs, exposures, distinct texts ------------------------------------------------------------


def _texts(path: Path, rows: Sequence[tuple[int, int, int]]) -> TextsResult:
    table = pa.Table.from_pylist([dict(zip(DISTINCT.names, row, strict=True)) for row in rows], DISTINCT)
    return TextsResult("", "", "", "", "", write_mapped(table, path), 0, 0)


def test_distinct_texts_of_a_label_are_those_of_all_ranges(tmp_path: Path) -> None:
    mine = part(
        tmp_path,
        0,
        web={"documents": 9},
        one={"documents": 4, "source": "web", "licence": "mit"},
        empty={"documents": 3},
        none={"documents": 2, "source": None},
    )
    web, mit = name_hash("web"), name_hash("mit")
    texts = [
        _texts(tmp_path / "t0", [(web, 0, 3), (web, mit, 1), (0, 0, 2)]),
        _texts(tmp_path / "t1", [(web, 0, 4), (0, mit, 1)]),
    ]
    write([mine], str(tmp_path / "out"), texts)
    names = ("source", "licence", "documents", "distinct_texts")
    assert [tuple(row[name] for name in names) for row in rows_of(tmp_path / "out")] == [
        (None, None, 2, 2),
        ("empty", None, 3, 0),
        ("web", None, 9, 7),
        ("web", "mit", 4, 1),
    ]


def test_epochs_of_a_source_are_those_of_the_mixture(tmp_path: Path) -> None:
    mine = part(tmp_path, 0, web={"documents": 1}, books={"documents": 1}, none={"source": None})
    epochs = Epochs((name_hash("web"),), (2_500_000,), 125_000)
    write([mine], str(tmp_path / "out"), epochs=epochs)
    shown = {row["source"]: row["epochs"] for row in rows_of(tmp_path / "out")}
    assert shown == {None: 0.125, "books": 0.125, "web": 2.5}


def test_exposures_of_a_source_are_a_mean_over_its_tokens(tmp_path: Path) -> None:
    one = part(tmp_path, 0, web={"tokens": 10, "exposed_tokens": 25.5}, empty={"documents": 2})
    two = part(tmp_path, 1, web={"tokens": 30, "exposed_tokens": 54.5})
    write([one, two], str(tmp_path / "out"))
    shown = {row["source"]: row["exposures"] for row in rows_of(tmp_path / "out")}
    assert shown == {"empty": None, "web": 2.0}


SUMS = st.fixed_dictionaries({
    "documents": st.integers(0, 9),
    "tokens": st.integers(0, 99),
    "exposed_tokens": st.floats(0, 1e6),
    "licence": st.sampled_from([None, "", "mit"]),
})  # fmt: skip
PARTS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "", "é"]), SUMS, max_size=4), max_size=5)


@given(PARTS)
def test_sums_do_not_depend_on_how_documents_are_divided(
    tmp_path_factory: pytest.TempPathFactory, held: list[dict[str, dict[str, Any]]]
) -> None:
    folder = tmp_path_factory.mktemp("sums")
    found = sums_of_sources([part(folder, i, (), **sources) for i, sources in enumerate(held)]).to_dicts()
    wanted: dict[tuple[str, str | None], dict[str, Any]] = {}
    for sources in held:
        for name, sums in sources.items():
            mine = wanted.setdefault((name, sums["licence"]), dict.fromkeys(sums, 0))
            for column in ("documents", "tokens", "exposed_tokens"):
                mine[column] = mine[column] + sums[column]
    keys = [(row["source"], row["licence"]) for row in found]
    assert keys == sorted(wanted, key=lambda key: (key[0], key[1] is not None, key[1] or ""))
    for row in found:
        mine = wanted[row["source"], row["licence"]]
        assert row["source_hash"] == name_hash(row["source"])
        assert row["licence_hash"] == (0 if row["licence"] is None else name_hash(row["licence"]))
        for column in ("documents", "tokens"):
            assert row[column] == mine[column]
        # Added in the order of the parts.
        assert row["exposed_tokens"] == mine["exposed_tokens"]


@pytest.mark.parametrize("part_rows", [1, 7, 1000])
def test_sums_are_the_same_in_parts_of_any_size(documented: Written, part_rows: int) -> None:
    found, other = (
        sums_of_sources(results).to_dicts()
        for results in (documented.results, written(documented.compared, part_rows).results)
    )
    for one, two in zip(found, other, strict=True):
        assert one == two | {"exposed_tokens": pytest.approx(two["exposed_tokens"], rel=1e-12)}


# --- what does not fit the mixture ----------------------------------------------------------------


def _notes(tmp_path: Path, **mixture: dict[str, float]) -> list[str]:
    mine = part(
        tmp_path,
        0,
        web={"documents": 1000},
        more={"source": "web", "licence": "mit", "documents": 500},
        books={"documents": 20},
        none={"source": None, "documents": 3},
    )
    write([mine], str(tmp_path / "out"))
    return notes_on_mixture(MixtureConfig.model_validate(mixture), str(tmp_path / "out"))


def test_source_that_no_document_has_is_noted(tmp_path: Path) -> None:
    assert _notes(tmp_path) == []
    assert _notes(tmp_path, epochs={"web": 2}) == []
    (note,) = _notes(tmp_path, epochs={"web": 2, "b": 1, "\x1b[31m": 2})
    assert note == "The mixture names sources that no document has: '\\x1b[31m', 'b'."
    (note,) = _notes(tmp_path, epochs={f"source {i}": 1.0 for i in range(9)} | {"x" * 999: 1})
    assert "'source 4' and 5 more." in note
    assert len(note) < 200


def test_documents_that_no_weight_names_are_counted(tmp_path: Path) -> None:
    (note,) = _notes(tmp_path, weights={"web": 1, "books": 0})
    what = "Documents of sources that mixture.weights does not name: 3. "
    assert note == what + "They count as not trained on, with 0 epochs."
    first, second = _notes(tmp_path, weights={"books": 1, "none": 1})
    assert first == "The mixture names sources that no document has: 'none'."
    assert "does not name: 1,503." in second


# --- overlap --------------------------------------------------------------------------------------


def _overlapped(path: Path, rows: Sequence[tuple[Any, ...]]) -> Overlapped:
    table = pa.Table.from_pylist([dict(zip(OVERLAPS.names, row, strict=True)) for row in rows], OVERLAPS)
    return Overlapped(write_mapped(table, path), "exact", ())


def test_overlaps_have_names_and_shares_of_tokens(tmp_path: Path) -> None:
    documents = part(
        tmp_path,
        0,
        a={"source": "web", "licence": "mit", "tokens": 60},
        b={"source": "web", "licence": None, "tokens": 40},
        c={"source": "books", "licence": "mit", "tokens": 20},
        d={"source": "small", "tokens": 3},
        e={"source": "tiny", "tokens": 2},
        f={"source": None, "licence": "gpl", "tokens": 0},
    )
    ranks = (
        Ranks("source", (name_hash("web"), name_hash("books"))),
        Ranks("licence", (name_hash("mit"), name_hash("gpl"))),
    )
    rows = [
        ("source", "exact", "inside", 0, 0, 2, 4, 20),
        ("source", "exact", "pair", 0, 1, 1, 3, 30),
        ("source", "exact", "pair", 1, 2, 1, 1, 5),
        ("source", "exact", "across", 2, None, 1, 2, 4),
        ("source", "near", "anywhere", -1, None, 1, 2, 0),
        ("licence", "exact", "pair", -1, 0, 1, 1, 9),
    ]
    more = [("source", "exact", "inside", 0, 0, 1, 2, 5), ("source", "exact", "across", 2, None, 1, 1, 1)]
    overlaps = [_overlapped(tmp_path / "o0", rows), _overlapped(tmp_path / "o1", more)]
    for i, order in enumerate(permutations(overlaps)):
        write_overlap(sums_of_sources([documents]), order, ranks, str(tmp_path / f"out{i}"))
        assert [tuple(row.values()) for row in rows_of(tmp_path / f"out{i}")] == [
            ("licence", "exact", "pair", -1, None, 0, "mit", 1, 1, 9, 9 / 45),
            ("source", "exact", "across", 2, None, None, None, 2, 3, 5, 1.0),
            ("source", "exact", "inside", 0, "web", 0, "web", 3, 6, 25, 0.25),
            ("source", "exact", "pair", 0, "web", 1, "books", 1, 3, 30, 0.3),
            ("source", "exact", "pair", 1, "books", 2, None, 1, 1, 5, 0.25),
            ("source", "near", "anywhere", -1, None, None, None, 1, 2, 0, None),
        ]
    schema = pq.read_schema(tmp_path / "out0")
    assert schema.equals(SOURCE_OVERLAP.arrow_schema(), check_metadata=True)


def test_overlap_of_nothing_is_a_table_without_rows(tmp_path: Path) -> None:
    write_overlap(sums_of_sources([]), [], (), str(tmp_path / "out"))
    assert rows_of(tmp_path / "out") == []
    assert pq.read_schema(tmp_path / "out").equals(SOURCE_OVERLAP.arrow_schema(), check_metadata=True)
