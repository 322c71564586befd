"""What sources and licences share at each grain, against counting in plain Python."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.artifacts import END_OF_KEYS, key_ranges
from pipeline.label_hashes import name_hash
from pipeline.mapped import read_mapped, write_mapped
from pipeline.stages.overlap import (
    GROUPED,
    NONE,
    OVERLAPS,
    Overlapped,
    Ranks,
    find_overlap,
    merged,
    rank_labels,
)
from tests import overlap_oracle as oracle
from tests.overlap_oracle import Member, Tally
from tests.stages.sums import part

WINDOW = 8
LARGEST = "pipeline.stages.overlap.LARGEST"
NAMES = ["a", "b", "c", "", "é"]
Label = tuple[str | None, str | None]  # source, licence
# Documents (places of a passage) and tokens (the length of a passage) of each label of each group.
Groups = dict[int, dict[Label, tuple[int, int]]]

NAME = st.sampled_from([None, *NAMES])
COUNTS = st.tuples(st.integers(1, 3), st.integers(0, 50))
GROUPS = st.dictionaries(
    st.integers(0, 9) | st.integers(0, END_OF_KEYS - 1),
    st.dictionaries(st.tuples(NAME, NAME), COUNTS, min_size=1, max_size=4).filter(
        lambda labels: sum(documents for documents, _ in labels.values()) > 1
    ),
    max_size=6,
)


def _hash(name: str | None) -> int:
    return 0 if name is None else name_hash(name)


def _tables(grain: str, groups: Groups, folder: Path, files: int) -> list[str]:
    """The labels of groups as earlier stages write them: some of a group in this file, some in that."""
    key, schema = GROUPED[grain]
    rows = []
    for group, labels in groups.items():
        for (source, licence), (documents, tokens) in labels.items():
            row: dict[str, Any] = {
                key: group,
                "source": _hash(source),
                "licence": _hash(licence),
                "documents": documents,
            }
            rows.append(row | {"places": documents, "tokens": tokens, "doc_id": 0, "sample": None})
    tables = []
    for i in range(files):
        held = sorted(rows[i::files], key=lambda row: int(row[key] or 0))
        table = pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in held], schema)
        tables.append(write_mapped(table, folder / f"{grain}-{i}"))
    return tables


def _members(grain: str, groups: Groups, kind: str) -> list[Member]:
    found = []
    for group, labels in groups.items():
        for label, (documents, tokens) in labels.items():
            name = label[oracle.KINDS[::-1].index(kind)]
            if grain == "passage":
                found += [Member(group, name, tokens)] * documents
            else:
                found += [Member(group, name, tokens if i == 0 else 0) for i in range(documents)]
    return found


def _of_passages(groups: Groups) -> tuple[Groups, Groups]:
    """A passage is as long wherever it stands; and what the definition counts: windows, not tokens."""
    lengths = {group: next(iter(labels.values()))[1] + WINDOW for group, labels in groups.items()}
    whole = {g: {label: (n, lengths[g]) for label, (n, _) in labels.items()} for g, labels in groups.items()}
    windows = {
        g: {label: (n, lengths[g] - WINDOW + 1) for label, (n, _) in labels.items()}
        for g, labels in groups.items()
    }
    return whole, windows


def _found(parts: list[Overlapped], kind: str) -> dict[oracle.Scope, Tally]:
    rows = [row for row in merged(parts).to_dicts() if row["kind"] == kind]
    scopes = {
        (row["scope"], row["rank"], row["other_rank"]): Tally(row["groups"], row["documents"], row["tokens"])
        for row in rows
    }
    assert len(scopes) == len(rows)
    return scopes


@given(
    st.sampled_from(sorted(GROUPED)),
    GROUPS,
    st.permutations(NAMES),
    st.integers(0, len(NAMES)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
@example(
    "exact", {1: {("a", None): (2, 9)}, 2: {("a", None): (1, 5), (None, None): (1, 5)}}, NAMES, 1, (2, 2)
)
@settings(max_examples=100)
def test_overlap_is_what_its_definition_says(
    grain: str, groups: Groups, names: list[str], named: int, cut: tuple[int, int]
) -> None:
    ranks = [Ranks(kind, tuple(name_hash(name) for name in names[:named])) for kind in ("source", "licence")]
    rank_of: dict[str | None, int] = {None: NONE, **{name: min(i, named) for i, name in enumerate(names)}}
    held, counted = _of_passages(groups) if grain == "passage" else (groups, groups)
    with TemporaryDirectory() as folder:
        labels = {grain: _tables(grain, held, Path(folder), cut[0])}
        parts = [
            find_overlap(grain, span, f"{folder}/o{i}", labels=labels, ranks=ranks, window=WINDOW)
            for i, span in enumerate(key_ranges(cut[1]))
        ]
        for kind in ("source", "licence"):
            members = _members(grain, counted, kind)
            assert _found(parts, kind) == oracle.scopes(members, rank_of)
            crossing = [count for each in parts for name, count in each.crossing if name == kind]
            assert len(crossing) == cut[1]
            assert sum(crossing) == oracle.across_names(members)
        assert {each.grain for each in parts} == {grain}
        assert all(read_mapped(each.path).schema.equals(OVERLAPS) for each in parts)
        assert set(merged(parts)["grain"]) <= {grain}


@given(GROUPS, st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_sums_do_not_depend_on_the_order_of_files_and_ranges(groups: Groups, rng: random.Random) -> None:
    ranks = [Ranks("source", (name_hash("a"), name_hash("é")))]
    with TemporaryDirectory() as folder:
        tables = _tables("near", groups, Path(folder), 3)
        whole = merged([_near((0, END_OF_KEYS), f"{folder}/whole", tables, ranks)])
        turned = rng.sample(tables, 3)
        parts = [_near(span, f"{folder}/p{i}", turned, ranks) for i, span in enumerate(key_ranges(4))]
        assert merged(rng.sample(parts, 4)).equals(whole)


def _near(span: tuple[int, int], path: str, tables: list[str], ranks: list[Ranks]) -> Overlapped:
    return find_overlap("near", span, path, labels={"near": tables}, ranks=ranks, window=WINDOW)


def test_group_of_one_name_crosses_nothing_and_none_is_a_name(tmp_path: Path) -> None:
    groups: Groups = {
        1: {("a", "x"): (1, 4), ("a", "y"): (1, 4)},
        2: {("a", "x"): (1, 4), (None, "x"): (1, 4)},
        3: {("b", "x"): (2, 8)},
    }
    ranks = [Ranks(kind, (name_hash("a"), name_hash("x"))) for kind in ("source", "licence")]
    labels = {"exact": _tables("exact", groups, tmp_path, 1)}
    found = find_overlap(
        "exact", (0, END_OF_KEYS), str(tmp_path / "o"), labels=labels, ranks=ranks, window=WINDOW
    )
    assert dict(found.crossing) == {"source": 1, "licence": 1}


def test_no_group_shares_nothing(tmp_path: Path) -> None:
    ranks = [Ranks("source", ())]
    for grain in GROUPED:
        found = find_overlap(
            grain, (0, END_OF_KEYS), str(tmp_path / grain), labels={grain: []}, ranks=ranks, window=WINDOW
        )
        assert found.crossing == (("source", 0),)
        assert len(read_mapped(found.path)) == 0
    assert len(merged([])) == 0


# --- ranks ----------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, END_OF_KEYS - 1), unique=True, max_size=5), st.lists(st.integers(0, 9)))
@example([5, 3, END_OF_KEYS - 1], [5, 3, 0, 4, END_OF_KEYS - 1])
@example([], [0, 1])
def test_rank_is_the_place_of_a_hash(named: list[int], others: list[int]) -> None:
    hashes = [*named, *others]
    found = Ranks("source", tuple(named)).of(np.array(hashes, np.uint64)).tolist()
    wanted = [NONE if n == 0 else named.index(n) if n in named else len(named) for n in hashes]
    assert found == wanted


TOKENS = st.dictionaries(st.tuples(NAME, NAME), st.integers(0, 3), max_size=8)


@given(st.lists(TOKENS, max_size=3), st.integers(1, 4) | st.just(200))
def test_ranks_go_by_the_tokens_of_all_parts_then_by_name(held: list[dict[Label, int]], largest: int) -> None:
    with TemporaryDirectory() as folder:
        parts = [
            part(
                Path(folder),
                i,
                (),
                **{
                    str(n): {"source": source, "licence": licence, "tokens": tokens}
                    for n, ((source, licence), tokens) in enumerate(sums.items())
                },
            ).by_source
            for i, sums in enumerate(held)
        ]
        with patch(LARGEST, largest):
            found = rank_labels(parts, ["source", "licence"])
    assert [ranked.kind for ranked in found] == ["source", "licence"]
    for i, ranked in enumerate(found):
        tokens: Counter[str | None] = Counter()
        for sums in held:
            for label, own in sums.items():
                tokens[label[i]] += own
        ranks = [(rank, name) for name, rank in oracle.ranks(tokens, largest).items() if name is not None]
        assert ranked.hashes == tuple(name_hash(name) for rank, name in sorted(ranks) if rank < largest)


@pytest.mark.parametrize("kinds", [[], ["licence"], ["source"]])
def test_only_what_is_configured_is_ranked(tmp_path: Path, kinds: list[str]) -> None:
    sums: dict[str, Any] = {"web": {"tokens": 1, "licence": "mit"}}
    found = rank_labels([part(tmp_path, 0, (), **sums).by_source], kinds)
    hashes = {"source": (name_hash("web"),), "licence": (name_hash("mit"),)}
    assert [(ranked.kind, ranked.hashes) for ranked in found] == [(kind, hashes[kind]) for kind in kinds]
