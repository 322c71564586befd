"""Figures of two runs side by side, against dictionaries of their tables."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest

from pipeline import schemas
from pipeline.artifacts import write_output
from pipeline.comparing.verdicts import SHARES_WORSE_IF_MORE, WORSE_IF_LESS, WORSE_IF_MORE
from tests.audits import Audited, audit_texts, without_dask
from tests.comparing.planted import BEFORE, HOSTILE, audit_sources, compared, copied, edit


def test_clusters_that_changed_are_listed_with_their_sizes(
    pair: tuple[Audited, Audited], tmp_path: Path
) -> None:
    rows = compared(pair, tmp_path)["clusters"]
    sizes = {
        (row["what"], row["sample"].split("0")[0][:6], row["documents_before"], row["documents_after"])
        for row in rows
    }
    assert sizes == {
        ("grown", "grow", 6, 9),
        ("shrunk", "shrink", 5, 3),
        ("gone", "gone", 4, 0),
        ("new", HOSTILE[:6], 0, 7),
    }
    assert all(row["change"] == row["documents_after"] - row["documents_before"] for row in rows)


def test_small_clusters_are_left_out_unless_the_other_run_has_them_large(
    pair: tuple[Audited, Audited], tmp_path: Path
) -> None:
    found = {least: compared(pair, tmp_path, least) for least in (5, 6, 7, 10)}
    whats = {least: sorted(row["what"] for row in tables["clusters"]) for least, tables in found.items()}
    assert whats == {5: ["grown", "new", "shrunk"], 6: ["grown", "new"], 7: ["grown", "new"], 10: []}
    assert [sorted({row["what"] for row in tables["passages"]}) for tables in found.values()] == [
        ["grown", "new", "shrunk"],
        ["grown", "new"],
        ["grown", "new"],
        [],
    ]


@pytest.mark.parametrize("least", [2, 5, 7])
def test_passages_are_those_of_two_dictionaries(
    pair: tuple[Audited, Audited], tmp_path: Path, least: int
) -> None:
    old, new = ({row["passage_id"]: row for row in run.rows("passages")} for run in pair)
    expected = []
    for passage_id in sorted(old.keys() | new.keys()):
        was, now = (of.get(passage_id, {"occurrences": 0})["occurrences"] for of in (old, new))
        if max(was, now) >= least and was != now:
            known = new.get(passage_id) or old[passage_id]
            what = "new" if not was else "gone" if not now else "grown" if now > was else "shrunk"
            text = known["text"][:200]
            facts = passage_id, what, was, now, now - was, known["tokens"], known["predictable"], text
            expected.append(facts)
    assert len(expected) >= (4 if least == 2 else 2)
    assert [tuple(row.values()) for row in compared(pair, tmp_path, least)["passages"]] == expected


def test_headline_figures_are_those_of_two_dictionaries(
    pair: tuple[Audited, Audited], tmp_path: Path
) -> None:
    rows = compared(pair, tmp_path)["metrics"]
    old, new = (run.metrics for run in pair)
    assert [row["name"] for row in rows] == sorted(old.keys() | new.keys())
    for row in rows:
        was, now = old[row["name"]], new[row["name"]]
        assert (row["before"], row["after"]) == (was, now) or math.isnan(was + now)
        assert row["change"] == (None if math.isnan(now - was) else now - was)
    verdicts = {row["name"]: row["verdict"] for row in rows}
    assert verdicts["near_surplus_documents"] == "worse"  # 12 -> 16
    assert verdicts["exact_surplus_documents"] == "better"  # 3 -> 0
    assert verdicts["documents"] == verdicts["bytes"] == "neutral"
    assert verdicts["rejected_rows"] == "same"


def test_sources_are_those_of_two_dictionaries(pair: tuple[Audited, Audited], tmp_path: Path) -> None:
    old, new = ({(row["source"], row["licence"]): row for row in run.rows("summary/sources")} for run in pair)
    counts = {column.name for column in schemas.SOURCES.columns if column.type == "int64"}
    expected = {}
    for key in old.keys() | new.keys():
        for figure in [column.name for column in schemas.SOURCES.columns][2:]:
            absent = 0 if figure in counts else None
            was, now = (of[key][figure] if key in of else absent for of in (old, new))
            if was != now:
                expected[*key, figure] = was, now, None if was is None or now is None else now - was
    rows = compared(pair, tmp_path)["sources"]
    found = {
        (row["source"], row["licence"], row["figure"]): (row["before"], row["after"], row["change"])
        for row in rows
    }
    assert found == expected
    assert len(rows) == len(found)
    assert {source for source, _, _ in found} == {"a", "b", HOSTILE}
    verdicts = {(row["source"], row["figure"]): row["verdict"] for row in rows}
    assert verdicts["a", "near_repeated_documents"] == "neutral", "two fewer, as it has documents"
    assert verdicts["b", "near_repeated_documents"] == "better"
    assert verdicts["b", "kept_documents"] == "neutral"
    assert verdicts[HOSTILE, "near_repeated_documents"] == "worse"
    assert verdicts[HOSTILE, "documents"] == verdicts[HOSTILE, "exposures"] == "neutral"


def test_bins_are_those_of_two_dictionaries(pair: tuple[Audited, Audited], tmp_path: Path) -> None:
    expected: dict[tuple[str, int, str], list[float]] = defaultdict(list)
    for run in pair:
        for row in run.rows("summary/histogram"):
            for figure in ("documents", "groups", "surplus_documents", "passages", "tokens", "bytes"):
                if row[figure] is not None:
                    expected[row["grain"], row["copies_min"], figure].append(row[figure])
        for row in run.rows("summary/risk"):
            for figure in ("documents", "passages", "tokens"):
                if row[figure] is not None:
                    expected[f"{row['grain']} exposures", row["exposures_min"], figure].append(row[figure])
    rows = compared(pair, tmp_path)["histogram"]
    found = {(row["grain"], row["copies_min"], row["figure"]): [row["before"], row["after"]] for row in rows}
    assert found == expected
    assert list(found) == sorted(expected)
    verdicts = {(row["grain"], row["bin"], row["figure"]): row["verdict"] for row in rows}
    assert verdicts["near", "6-20", "documents"] == "worse"  # 6 -> 16
    assert verdicts["near", "2-5", "documents"] == "better"  # 9 -> 3
    assert verdicts["raw", "1", "documents"] == "neutral"
    assert verdicts["raw", ">1000", "documents"] == "same"


def test_what_sources_share_is_that_of_two_dictionaries(
    pair: tuple[Audited, Audited], tmp_path: Path
) -> None:
    key, figures = ("kind", "grain", "scope", "name", "other"), ("groups", "documents", "tokens")
    old, new = (
        {tuple(row[name] for name in key): row for row in run.rows("summary/source_overlap")} for run in pair
    )
    nothing = dict.fromkeys([*figures, "tokens_fraction"], 0)
    expected = {
        (*place, figure): (was, now, now - was)
        for place in old.keys() | new.keys()
        for figure in nothing
        if (was := old.get(place, nothing)[figure]) != (now := new.get(place, nothing)[figure])
    }
    rows = compared(pair, tmp_path)["source_overlap"]
    facts = ("before", "after", "change")
    found = {(*(row[k] for k in key), row["figure"]): tuple(row[f] for f in facts) for row in rows}
    assert found == expected
    assert len(rows) == len(found) > 50
    verdicts = {tuple(row[name] for name in (*key[1:], "figure")): row["verdict"] for row in rows}
    assert verdicts["near", "pair", "a", "b", "groups"] == "worse"
    assert verdicts["near", "pair", "b", "a", "tokens_fraction"] == "worse"
    assert verdicts["exact", "inside", "b", "b", "documents"] == "better"


def test_what_is_beyond_the_largest_sources_is_left_out(
    pair: tuple[Audited, Audited], tmp_path: Path
) -> None:
    before = Audited(copied(pair[0], tmp_path / "before"))
    path = before.folder / schemas.SOURCE_OVERLAP.path
    rows = pl.read_parquet(path)
    together = rows.filter(name="b", scope="inside").with_columns(
        name=pl.lit(None, pl.String), rank=pl.lit(200, pl.Int64), other_rank=pl.lit(200, pl.Int64)
    )
    write_output(schemas.SOURCE_OVERLAP, pl.concat([rows, together]).sort(ORDER).to_arrow(), path)
    found = compared((before, pair[1]), tmp_path / "out")["source_overlap"]
    assert None not in {row["name"] for row in found}
    # Of what has no row it is not known any more whether that is because it shares nothing.
    (gone,) = (
        row
        for row in found
        if (row["grain"], row["scope"], row["name"]) == ("exact", "inside", "b")
        and row["figure"] == "documents"
    )
    assert (gone["before"], gone["after"], gone["verdict"]) == (4, None, "neutral")


ORDER = list(schemas.SOURCE_OVERLAP.order)


def test_similarities_are_those_of_two_dictionaries(pair: tuple[Audited, Audited], tmp_path: Path) -> None:
    old, new = ({row["jaccard_min"]: row["pairs"] for row in run.rows("summary/similarity")} for run in pair)
    rows = compared(pair, tmp_path)["similarity"]
    assert [row["jaccard_min"] for row in rows] == sorted(old) == sorted(new)
    assert {row["jaccard_min"]: (row["before"], row["after"]) for row in rows} == {
        at: (old[at], new[at]) for at in old
    }
    assert any(row["change"] for row in rows)
    assert all(row["change"] == row["after"] - row["before"] for row in rows)


def test_a_corpus_twice_as_large_and_alike_is_neither_better_nor_worse(tmp_path: Path) -> None:
    # The same again in other words: every count doubles, every share stays.
    again = {name: [text.replace("e", "z") for text in texts] for name, texts in BEFORE.items()}
    both = {name: [*texts, *again[name]] for name, texts in BEFORE.items()}
    runs = audit_sources(tmp_path, "a", BEFORE), audit_sources(tmp_path, "b", both)
    tables = compared(runs, tmp_path / "out")
    verdicts = {row["name"]: (row["verdict"], row["change"]) for row in tables["metrics"]}
    assert verdicts["near_surplus_documents"] == ("neutral", 12)
    assert verdicts["near_surplus_fraction"] == ("same", 0)
    # Of more texts more is known.
    judged = {name: word for name, (word, _) in verdicts.items() if word in ("better", "worse")}
    assert judged == {"recall_low": "better"}
    for name in ("sources", "source_overlap", "histogram"):
        assert {row["verdict"] for row in tables[name]} <= {"same", "neutral"}


def test_sources_without_a_name_are_compared(tmp_path: Path) -> None:
    runs = [
        audit_sources(tmp_path, name, {None: [f"word {i}" for i in range(n)], "x": ["other"]})
        for name, n in (("a", 2), ("b", 5))
    ]
    rows = compared((runs[0], runs[1]), tmp_path / "out")["sources"]
    documents = [row for row in rows if row["figure"] == "documents"]
    assert [(row["source"], row["before"], row["after"]) for row in documents] == [(None, 2, 5)]


def test_figures_that_are_not_defined_are_neither_better_nor_worse(
    pair: tuple[Audited, Audited], tmp_path: Path
) -> None:
    with without_dask(page=False):
        empty = audit_texts([""], tmp_path)
    edit(empty.folder, "config.source", {"column": "source", "path": None})
    rows = {row["name"]: row for row in compared((empty, pair[1]), tmp_path / "out")["metrics"]}
    assert rows["recall"]["before"] is None
    assert (rows["recall"]["change"], rows["recall"]["verdict"]) == (None, "neutral")
    assert rows["near_surplus_documents"]["verdict"] == "worse"


@pytest.mark.parametrize(
    ("name", "was", "now", "verdict"),
    [
        ("recall", 0.9, 0.8, "worse"),
        ("recall", 0.8, 0.9, "better"),
        ("near_surplus_fraction", 0.1, 0.2, "worse"),
        ("rejected_rows", 5, 2, "better"),
        ("max_exposures", 2, 2.5, "worse"),
        ("cross_source_texts", 0, 1, "worse"),
        ("near_surplus_documents", 12, 13, "worse"),
        ("near_surplus_documents", 12, 11, "better"),
        ("documents", 10, 5, "neutral"),
        ("tokens", 10, 10, "same"),
        ("recall", None, None, "same"),
    ],
)
def test_verdict_knows_which_way_is_worse(
    pair: tuple[Audited, Audited],
    tmp_path: Path,
    name: str,
    was: float | None,
    now: float | None,
    verdict: str,
) -> None:
    runs = []
    for folder, value in (("a", was), ("b", now)):
        run = copied(pair[0], tmp_path / folder)
        _put_metric(run, name, value)
        runs.append(Audited(run))
    rows = {row["name"]: row["verdict"] for row in compared((runs[0], runs[1]), tmp_path / "out")["metrics"]}
    assert rows.pop(name) == verdict
    assert set(rows.values()) == {"same"}


def _put_metric(run: Path, name: str, value: float | None) -> None:
    path = run / "summary" / "metrics.parquet"
    chosen = pl.when(pl.col("name") == name).then(pl.lit(value, pl.Float64)).otherwise(pl.col("value"))
    write_output(schemas.METRICS, pl.read_parquet(path).with_columns(value=chosen).to_arrow(), path)


def test_figures_with_a_direction_are_figures_of_a_run(pair: tuple[Audited, Audited]) -> None:
    names = [*WORSE_IF_MORE, *SHARES_WORSE_IF_MORE, *WORSE_IF_LESS]
    assert {*names, *WORSE_IF_MORE.values()} <= pair[0].metrics.keys()
    assert len(names) == len(set(names))
