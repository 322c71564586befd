"""Keep lists of documents tables that are made up, against a slow definition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.artifacts import key_ranges, write_output
from pipeline.errors import ConfigError
from pipeline.list_schemas import CUTS, KEEP
from pipeline.mapped import read_mapped, write_mapped
from pipeline.schemas import BINS, DOCUMENTS
from pipeline.stages.cuts import PLACES
from pipeline.stages.keep import (
    Listed,
    Policy,
    Sizes,
    all_sizes,
    count_groups,
    find_first,
    parse_policy,
    write_first,
    write_list,
)

Row = dict[str, Any]
EMPTY = -1
MIN_TOKENS = 4


def _documents(texts: Sequence[int], cluster_of: Sequence[int | None]) -> list[Row]:
    """One document a text number, which is its text_id, its length, and tells its cluster."""
    copies, rows = Counter(texts), list[Row]()
    clusters = Counter(cluster_of[text] for text in texts if text != EMPTY)
    first: dict[int, int] = {}
    for number, text in enumerate(texts):
        doc_id = (number // 7) << 32 | (number * 3)  # files of seven, with rows that were not audited
        cluster = None if text == EMPTY else cluster_of[text]
        alone = cluster is None or clusters[cluster] == 1
        rows.append(
            {
                "doc_id": doc_id, "uri": f"file{doc_id >> 32}", "row": doc_id & 0xFFFFFFFF, "id": None,
                "text_id": (1 << 64) - 1 - max(text, 0) // 2,  # two texts share each
                "n_tokens": 0 if text == EMPTY else 1 + text,
                "n_bytes": 5 * (1 + text), "status": "empty" if text == EMPTY else "ok",
                "copies": 1 if text == EMPTY else copies[text],
                "cluster_id": None if alone else 10**19 + (cluster or 0),
                "keep": alone or first.setdefault(cluster or 0, doc_id) == doc_id,
            }
        )  # fmt: skip
    return rows


def _written(rows: Sequence[Row], folder: Path, part_rows: int) -> list[str]:
    schema = DOCUMENTS.arrow_schema()
    blank = {"string": "-", "bool": False}
    whole = [
        {c.name: row.get(c.name, None if c.nullable else blank.get(c.type, 1)) for c in DOCUMENTS.columns}
        for row in rows
    ]
    return [
        write_output(DOCUMENTS, pa.Table.from_pylist(whole[at : at + part_rows], schema), folder / f"d{at}")
        for at in range(0, max(len(whole), 1), part_rows)
    ]


def _list(
    policy: Policy, parts: Sequence[str], folder: Path, ranges: int, places: Sequence[str] = ()
) -> list[Listed]:
    members = [write_first(part, f"{folder}/m{i}", policy=policy) for i, part in enumerate(parts)]
    first = [
        find_first(keys, f"{folder}/f{i}", first=members, policy=policy)
        for i, keys in enumerate(key_ranges(ranges))
    ]
    return [
        write_list(part, i, str(folder / "list"), f"{folder}/g{i}",
                   policy=policy, first=first, places=places, min_tokens=MIN_TOKENS)
        for i, part in enumerate(parts)
    ]  # fmt: skip


def _kept(rows: Sequence[Row], policy: str) -> list[bool]:
    """The definition."""
    seen = Counter[object]()
    stays = []
    for row in rows:
        if policy.startswith(("cap", "one-per-cluster")):
            group, limit = row["cluster_id"], int(policy.partition(":")[2] or 1)
        else:
            group = None if row["status"] == "empty" else (row["text_id"], row["n_tokens"])
            limit = 1
        seen[group] += 1
        short = policy == "drop-passages" and row["n_tokens"] < MIN_TOKENS
        stays.append(group is None or short or seen[group] <= limit)
    return stays


def _sizes(rows: Sequence[Row], grain: str) -> Sizes:
    names = {"near": ["cluster_id"], "exact": ["text_id", "n_tokens"]}[grain]
    alone = [row for row in rows if (row["cluster_id"] is None if grain == "near" else row["copies"] == 1)]
    groups = Counter(tuple(row[n] for n in names) for row in rows if row not in alone)
    sizes = [*groups.values(), *[1] * len(alone)]
    edges = [low for low, _ in BINS]
    by_bin = [0] * len(edges)
    for size in sizes:
        by_bin[max(i for i, low in enumerate(edges) if low <= size)] += size
    several = [size for size in sizes if size > 1]
    return Sizes(tuple(by_bin), len(several), sum(several), max(sizes, default=0))


TEXTS = st.lists(st.integers(EMPTY, 5), max_size=30)
POLICIES = st.sampled_from(["one-per-text", "one-per-cluster", "cap:1", "cap:2", "cap:3", "drop-passages"])


@given(
    texts=TEXTS,
    cluster_of=st.lists(st.none() | st.integers(0, 2), min_size=6, max_size=6),
    policy=POLICIES,
    part_rows=st.sampled_from([1, 4, 100]),
    ranges=st.integers(1, 3),
)
def test_list_is_what_the_policy_says(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[int],
    cluster_of: list[int | None],
    policy: str,
    part_rows: int,
    ranges: int,
) -> None:
    # Copies of one text are in one cluster.
    cluster_of = [100 + i if c is None and texts.count(i) > 1 else c for i, c in enumerate(cluster_of)]
    rows, folder = _documents(texts, cluster_of), tmp_path_factory.mktemp("keep")
    listed = _list(parse_policy(policy), _written(rows, folder, part_rows), folder, ranges)
    table = pa.concat_tables(pq.read_table(part.documents) for part in listed)
    assert table.schema.equals(KEEP.arrow_schema(), check_metadata=True)
    found = table.to_pylist()
    stays = _kept(rows, policy)
    assert [row["keep"] for row in found] == stays
    for name in ("doc_id", "uri", "row", "id"):
        assert [row[name] for row in found] == [row[name] for row in rows]
    kept = [row for row, keep in zip(rows, stays, strict=True) if keep]
    assert sum(part.rows for part in listed) == len(rows)
    assert [sum(getattr(part, name) for part in listed) for name in ("kept", "tokens", "bytes")] == [
        len(kept), sum(row["n_tokens"] for row in kept), sum(row["n_bytes"] for row in kept)
    ]  # fmt: skip
    counted = Counter[str]()
    for part in listed:
        counted.update(part.reasons)
    assert counted == Counter(row["reason"] for row in found)
    for grain in ("exact", "near"):
        groups = [part.groups[grain] for part in listed]
        parts = [count_groups(keys, groups=groups) for keys in key_ranges(ranges)]
        assert all_sizes(parts, sum(part.alone[grain] for part in listed)) == _sizes(kept, grain)


@pytest.mark.parametrize(
    ("policy", "reasons"),
    [
        ("one-per-text", ["first of its text", "later copy of its text", "no words", "only one of its text",
                          "first of its text", "later copy of its text"]),
        ("one-per-cluster", ["first of its cluster", "later in its cluster", "no words", "in no cluster",
                             "later in its cluster", "later in its cluster"]),
        ("cap:2", ["within the cap", "within the cap", "no words", "in no cluster", "over the cap",
                   "over the cap"]),
        ("drop-passages", ["nothing to cut", "nothing to cut", "no words", "nothing to cut", "nothing to cut",
                           "later copy of its text"]),
    ],
)  # fmt: skip
def test_list_says_why(tmp_path: Path, policy: str, reasons: list[str]) -> None:
    rows = _documents([0, 0, EMPTY, 1, 5, 5], [0, None, None, None, None, 0])
    listed = _list(parse_policy(policy), _written(rows, tmp_path, 100), tmp_path, 1)
    assert pl.read_parquet(listed[0].documents)["reason"].to_list() == reasons
    for reason in reasons:
        (column,) = (column for column in KEEP.columns if column.name == "reason")
        assert reason in column.meaning


def _places(folder: Path, rows: list[tuple[int, int, int, int, int, bool]]) -> list[str]:
    table = pa.Table.from_pylist([dict(zip(PLACES.names, row, strict=True)) for row in rows], PLACES)
    return [write_mapped(table, folder / "places")]


def test_documents_are_cut_and_those_without_a_token_left_go(tmp_path: Path) -> None:
    rows = _documents([9, 8, 7, 9], [None] * 10)  # of 10, 9, 8 and 10 tokens
    places = [
        (rows[0]["doc_id"], 0, 50, 0, 10, True),
        (rows[1]["doc_id"], 5, 20, 1, 3, False),
        (rows[1]["doc_id"], 15, 30, 3, 3, False),
        (rows[2]["doc_id"], 0, 40, 0, 8, False),
    ]
    listed = _list(
        parse_policy("drop-passages"), _written(rows, tmp_path, 2), tmp_path, 1, _places(tmp_path, places)
    )
    table = pl.concat(pl.read_parquet(part.documents) for part in listed)
    assert table.select("keep", "reason").rows() == [
        (True, "nothing to cut"),
        (True, "passages cut"),
        (False, "nothing left after the cuts"),
        (False, "later copy of its text"),
    ]
    cuts = pa.concat_tables(pq.read_table(str(part.cuts)) for part in listed)
    assert cuts.schema.equals(CUTS.arrow_schema(), check_metadata=True)
    assert cuts.to_pylist() == [{"doc_id": rows[1]["doc_id"], "byte_start": 5, "byte_end": 30}]
    assert sum(part.tokens for part in listed) == 10 + 9 - 5
    assert sum(part.bytes for part in listed) == 50 + 45 - 25


def test_other_policies_cut_nothing(tmp_path: Path) -> None:
    (part,) = _list(parse_policy("one-per-text"), _written([], tmp_path, 1), tmp_path, 1)
    assert part.cuts is None
    assert pq.read_table(part.documents).equals(KEEP.arrow_schema().empty_table())


@pytest.mark.parametrize(
    "words", ["one-per-text", "one-per-cluster", "cap:1", "cap:999999999999", "drop-passages"]
)
def test_policies_are_known_by_name(words: str) -> None:
    assert parse_policy(words).name == words
    assert parse_policy(words).folder == words.replace(":", "-")


@pytest.mark.parametrize(
    "words",
    ["", "cap", "cap:", "cap:0", "cap:-1", "cap:01", "cap:1.5", "cap: 3", "cap:x", "cap:٣", "cap:1\n",
     "Cap:1", "one-per-document", "cap:" + "9" * 19],
)  # fmt: skip
def test_other_words_are_no_policy(words: str) -> None:
    with pytest.raises(ConfigError, match="no such policy") as caught:
        parse_policy(words)
    assert caught.value.got == f"--policy {words}"
    assert "cap:K with K of 1 or more" in str(caught.value.expected)


def test_text_that_occurs_very_often_is_told_in_few_rows(tmp_path: Path) -> None:
    (part,) = _written(_documents([3] * 50, [None] * 6), tmp_path, 100)
    path = write_first(part, str(tmp_path / "m"), policy=parse_policy("one-per-text"))
    assert len(read_mapped(path)) == 1
