"""Clusters are followed from run to run by their texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline import schemas
from pipeline.artifacts import write_output
from pipeline.comparing.groups import changed_clusters
from tests.audits import Row

Clusters = dict[int, int]  # cluster by text


def _followed(old: Clusters, new: Clusters, copies: Mapping[int, int], least: int) -> list[tuple[Any, ...]]:
    """What `changed_clusters` says, by dictionaries. A cluster's id is its smallest text."""
    (was, old), (now, new) = ((_sizes(of, copies), _named(of)) for of in (old, new))
    was, now = ({ids[text]: n for text, n in of.items()} for of, ids in ((was, old), (now, new)))
    shared = Counter(
        (old[text], new[text])
        for text in old.keys() & new.keys()
        if was[old[text]] >= least or now[new[text]] >= least
    )
    best_old = {a: min((-n, b) for (of, b), n in shared.items() if of == a)[1] for a, _ in shared}
    best_new = {b: min((-n, a) for (a, of), n in shared.items() if of == b)[1] for _, b in shared}
    same = {(a, b) for a, b in shared if best_old[a] == b and best_new[b] == a}
    rows: list[tuple[int, int | None, int, int]] = [
        (b, a, was[a], now[b]) for a, b in same if was[a] != now[b]
    ]
    rows += [
        (b, best_new.get(b), 0, n) for b, n in now.items() if n >= least and b not in {b for _, b in same}
    ]
    rows += [
        (a, best_old.get(a), n, 0) for a, n in was.items() if n >= least and a not in {a for a, _ in same}
    ]
    return sorted((*row, _word(*row[2:])) for row in rows)


def _named(clusters: Clusters) -> Clusters:
    smallest: Clusters = {}
    for text in sorted(clusters):
        smallest.setdefault(clusters[text], text)
    return {text: smallest[group] for text, group in clusters.items()}


def _sizes(clusters: Clusters, copies: Mapping[int, int]) -> dict[int, int]:
    sizes = Counter[int]()
    for text, group in clusters.items():
        sizes[group] += copies[text]
    return {text: sizes[group] for text, group in clusters.items()}


def _word(was: int, now: int) -> str:
    return "new" if not was else "gone" if not now else "grown" if now > was else "shrunk"


_NOTHING = {"uint64": 0, "int64": 1, "double": 0.0, "string": "", "bool": False}


def _put(table: schemas.Table, rows: list[Row], run: Path) -> None:
    """Write a table, with something in the columns that are not given."""
    whole = [{c.name: row.get(c.name, _NOTHING[c.type]) for c in table.columns} for row in rows]
    path = run / table.path.replace("*", "0")
    write_output(table, pa.Table.from_pylist(whole, table.arrow_schema()), path)


def _put_run(run: Path, clusters: Clusters, copies: Mapping[int, int]) -> None:
    named, sizes = _named(clusters), _sizes(clusters, copies)
    texts = Counter(named.values())
    documents = [
        {"text_id": text, "cluster_id": named.get(text)} for text in copies for _ in range(copies[text])
    ]
    rows = [
        {
            "cluster_id": text,
            "documents": sizes[text],
            "distinct_texts": texts[text],
            "sample": f"text {text}",
        }
        for text in sorted(set(named.values()))
    ]
    _put(schemas.DOCUMENTS, [{"doc_id": i, **row} for i, row in enumerate(documents)], run)
    _put(schemas.CLUSTERS, rows, run)


# Texts near both ends of the key space, so that ranges of keys are cut between them.
TEXTS = [0, 1, 2, 5, 1 << 62, 1 << 63, (1 << 63) + 1, (3 << 62) + 1, (1 << 64) - 2, (1 << 64) - 1]
_partition = st.dictionaries(st.sampled_from(TEXTS), st.integers(0, 3))


@given(
    _partition,
    _partition,
    st.lists(st.integers(2, 4), min_size=len(TEXTS), max_size=len(TEXTS)),
    st.sampled_from([2, 5, 8]),
    st.sampled_from([1, 3, 100]),
)
def test_clusters_are_followed_as_by_dictionaries(
    old: Clusters, new: Clusters, numbers: list[int], least: int, texts_a_pass: int
) -> None:
    copies = dict(zip(TEXTS, numbers, strict=True))
    with TemporaryDirectory() as folder:
        before, after = Path(folder, "a"), Path(folder, "b")
        _put_run(before, old, copies)
        _put_run(after, new, copies)
        found = changed_clusters(before, after, least, texts_a_pass)
    columns = found.select("cluster_id", "other_id", "documents_before", "documents_after", "what")
    key = [(row["cluster_id"], row["what"]) for row in found.iter_rows(named=True)]
    assert key == sorted(key)
    order = str  # of what may be none
    assert sorted(columns.rows(), key=order) == sorted(_followed(old, new, copies, least), key=order)
    assert [row["sample"] for row in found.iter_rows(named=True)] == [f"text {id_}" for id_, _ in key]


def _changed(folder: Path, old: Clusters, new: Clusters) -> list[tuple[Any, ...]]:
    copies = dict.fromkeys(old.keys() | new.keys(), 10)
    _put_run(folder / "a", old, copies)
    _put_run(folder / "b", new, copies)
    rows = changed_clusters(folder / "a", folder / "b", 10)
    return rows.select("what", "cluster_id", "other_id", "documents_before", "documents_after").rows()


def test_cluster_that_a_smaller_text_joins_is_the_same(tmp_path: Path) -> None:
    assert _changed(tmp_path, {5: 0, 6: 0}, {5: 0, 6: 0, 1: 0}) == [("grown", 1, 5, 20, 30)]


def test_cluster_of_clusters_continues_the_one_that_gave_most(tmp_path: Path) -> None:
    merged = _changed(tmp_path, {1: 0, 2: 0, 5: 1, 6: 1, 7: 1}, dict.fromkeys((1, 2, 5, 6, 7), 0))
    assert merged == [("gone", 1, 1, 20, 0), ("grown", 1, 5, 30, 50)]


def test_cluster_that_splits_continues_in_its_larger_part(tmp_path: Path) -> None:
    split = _changed(tmp_path, dict.fromkeys((1, 2, 5, 6, 7), 0), {1: 0, 2: 0, 5: 1, 6: 1, 7: 1})
    assert split == [("new", 1, 1, 0, 20), ("shrunk", 5, 1, 50, 30)]
