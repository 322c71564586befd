"""Audits that take over what an earlier one compared write the bytes of those that know nothing."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ArtifactError
from pipeline.near import COMPARED, LINKS, PROPOSED, TALLIES, TEXTS, UNITS
from tests import corpus
from tests.reusing import Files, audit_given, check_same, second_night, write_files
from tests.searching import few

SHINGLES = 40
# Windows of 40 shingles: 3 words apart J is 0.86, 6 apart 0.74, 9 apart 0.63, 12 apart 0.54.
STEP = 3


@contextmanager
def patched(**limits: int) -> Iterator[None]:
    """Other values for constants wherever a module of the project has them."""
    with ExitStack() as patches:
        for module in [module for name, module in sys.modules.items() if name.startswith("pipeline.")]:
            for name, value in limits.items():
                if hasattr(module, name):
                    patches.enter_context(patch.object(module, name, value))
        yield


def family(seed: int, *places: int) -> list[str]:
    """Windows of one long text: those whose places differ by 1 or 2 are near."""
    words = corpus.fresh(random.Random(seed), 200)
    return [corpus.window(words, STEP * place, SHINGLES) for place in places]


PAIRS = [family(seed, 0, 1) for seed in range(10, 16)]
LONELY = [corpus.text(random.Random(99), 30)]
OTHERS = [text for pair in PAIRS for text in pair] + LONELY
CHAIN = family(1, 0, 1, 2, 3, 4)


def test_the_same_corpus_is_not_compared_again(tmp_path: Path) -> None:
    files = {"x/a": [*OTHERS, *CHAIN], "y/b": CHAIN[:2]}
    fresh, given = second_night(tmp_path, files, files)
    assert given.sets() == (0, 17)
    for stage, whole in (("components", "texts"), ("compare", "pairs"), ("links", "members")):
        assert given.counts[stage] == fresh.counts[stage] | {"reused": fresh.counts[stage][whole]}
    assert given.audited.metrics["texts_read_again"] == 17


def test_a_component_that_gained_a_member_is_compared_again_and_no_other(tmp_path: Path) -> None:
    fresh, given = second_night(
        tmp_path, {"x/a": [*OTHERS, *CHAIN[:3]]}, {"x/a": [*OTHERS, *CHAIN[:3]], "x/b": CHAIN[3:4]}
    )
    assert given.sets() == (4, 12)
    assert given.reused("links") == 6
    assert given.reused("compare") == 6 < fresh.counts["compare"]["pairs"]


def test_a_component_that_lost_a_member_is_compared_again(tmp_path: Path) -> None:
    _, given = second_night(tmp_path, {"x/a": [*OTHERS, *CHAIN]}, {"x/a": [*OTHERS, *CHAIN[:4]]})
    assert given.sets() == (4, 12)


def test_components_that_merge_are_compared_again(tmp_path: Path) -> None:
    halves = family(2, 0, 1, 7, 8)
    bridge = family(2, 2, 3, 4, 5, 6)
    first = {"x/a": [*OTHERS, *halves]}
    fresh, given = second_night(tmp_path, first, first | {"x/b": bridge})
    assert given.sets() == (9, 12)
    assert max(row["distinct_texts"] for row in fresh.audited.clusters) == 9
    assert max(row["distinct_texts"] for row in given.audited.clusters) == 9


def test_components_that_fall_apart_are_compared_again(tmp_path: Path) -> None:
    halves = family(2, 0, 1, 7, 8)
    second = {"x/a": [*OTHERS, *halves]}
    _, given = second_night(tmp_path, second | {"x/b": family(2, 2, 3, 4, 5, 6)}, second)
    assert given.sets() == (4, 12)


def test_another_representative_makes_links_that_are_read_again(tmp_path: Path) -> None:
    # The first of the chain is not like the last; as both become the representative in turn, all
    # links change, and some of their pairs were never compared.
    long = family(3, *range(12))
    fresh, given = second_night(tmp_path, {"x/a": OTHERS, "x/b": long}, {"x/a": OTHERS, "x/b": long[::-1]})
    assert given.sets() == (0, 24)
    links = given.counts["links"]
    assert links["members"] == fresh.counts["links"]["members"] == 6 + 11
    assert 0 < links["members"] - links["reused"] < 11
    assert 0 < links["texts"] <= 12


def test_a_copy_that_comes_first_changes_documents_and_nothing_else(tmp_path: Path) -> None:
    first = {"x/m": [*OTHERS, *CHAIN]}
    _, given = second_night(tmp_path, first, first | {"w/a": [CHAIN[0], CHAIN[0].upper(), PAIRS[0][0]]})
    assert given.sets() == (0, 17)
    assert given.reused("links") == 6 + 4


def test_files_that_are_renamed_give_their_texts_other_sources(tmp_path: Path) -> None:
    first = {"x/a": OTHERS[:7], "x/b": [*OTHERS[7:], *CHAIN]}
    second = {"z/b": OTHERS[:7], "y/a": [*OTHERS[7:], *CHAIN]}
    fresh, given = second_night(tmp_path, first, second)
    assert given.counts["sets"]["texts"] == 0
    sources = {row[name] for row in given.audited.pairs for name in ("source_a", "source_b")}
    assert sources == {"y", "z"}
    assert given.audited.pairs == fresh.audited.pairs


@pytest.mark.parametrize("block_tokens", [50, 200])
def test_an_oversized_component_is_taken_over_as_a_whole(tmp_path: Path, block_tokens: int) -> None:
    large = family(4, *range(20))
    first = {"x/a": [*OTHERS, *large]}
    with patched(BLOCK_TOKENS=block_tokens):
        fresh, given = second_night(tmp_path / "1", first, first | {"w/b": [LONELY[0] + " more", *PAIRS[0]]})
        assert given.counts["sets"]["reused"] >= 12 + 20 - 2
        assert given.counts["compare"]["pairs"] == fresh.counts["compare"]["pairs"]
        _, given = second_night(tmp_path / "2", first, {"x/a": [*OTHERS, *large[:-1]]})
        assert given.sets() == (19, 12)


def test_a_block_that_is_cut_anew_holds_the_pairs_it_held(tmp_path: Path) -> None:
    # Removing texts moves every later component to another block.
    with patched(BLOCK_TOKENS=100):
        _, given = second_night(tmp_path, {"x/a": [*OTHERS, *CHAIN]}, {"x/a": [*OTHERS[2:], *CHAIN]})
    assert given.sets() == (0, 15)


def test_texts_that_look_again_without_end_are_counted_as_in_a_full_run(tmp_path: Path) -> None:
    # Made from one template and yet none near to another; both counts are kept by component.
    rng = random.Random(5)
    template = corpus.fresh(rng, 59)
    texts = [corpus.joined(template + corpus.fresh(rng, 18)) for _ in range(30)]
    for limits, name in (
        ({"SHINGLES_A_TEXT": 1, "FEWEST_TRIES": 1}, "unsettled_texts"),
        ({"BUDGET": 100}, "texts_not_looked_at_again"),
    ):
        with patched(**limits):
            fresh, given = second_night(tmp_path / name, {"x/a": [*OTHERS, *texts]}, {"x/a": texts})
        assert given.counts["sets"]["texts"] == 0
        assert given.audited.metrics[name] == fresh.audited.metrics[name] > 0
        assert given.audited.metrics["pairs_looked_at_again"] == fresh.counts["compare"]["looked_again"]


def test_what_a_run_took_over_it_hands_on(tmp_path: Path) -> None:
    nights: list[Files] = [
        {"x/a": [*OTHERS, *CHAIN[:3]]},
        {"x/a": [*OTHERS, *CHAIN[:3]], "x/b": PAIRS[0]},
        {"x/a": [*OTHERS, *CHAIN[:3]], "x/b": CHAIN},
        {"y/a": [*OTHERS, *CHAIN[:3]], "x/b": CHAIN[::-1]},
    ]
    earlier: dict[str, list[str]] = {}
    for i, files in enumerate(nights):
        inputs = write_files(tmp_path / "in", files)
        night = audit_given(inputs, tmp_path, f"given-{i}", earlier)
        check_same(audit_given(inputs, tmp_path, f"fresh-{i}", {}), night)
        assert night.counts["sets"]["texts"] == [15, 0, 5, 0][i]
        earlier = night.kept


@pytest.mark.parametrize("missing", [UNITS, COMPARED, TALLIES])
def test_tables_without_which_nothing_is_known(tmp_path: Path, missing: str) -> None:
    inputs = write_files(tmp_path / "in", {"x/a": OTHERS})
    one = audit_given(inputs, tmp_path, "one", {})
    rest = {name: paths for name, paths in one.kept.items() if name not in (missing, PROPOSED)}
    two = audit_given(inputs, tmp_path, "two", rest)
    check_same(one, two)
    assert two.counts | {"sets": {}} == one.counts | {"sets": {}}
    assert two.sets() == one.sets()


@pytest.mark.parametrize("missing", [TEXTS, PROPOSED])
def test_tables_without_which_all_groups_propose_again(tmp_path: Path, missing: str) -> None:
    first = {"x/a": [*OTHERS, *CHAIN[:3]]}
    inputs = write_files(tmp_path / "in", first)
    one = audit_given(inputs, tmp_path, "one", {})
    assert one.reused("sketches") == 0
    inputs = write_files(tmp_path / "in", first | {"x/b": CHAIN[3:]})
    fresh = audit_given(inputs, tmp_path, "fresh", {})
    whole = audit_given(inputs, tmp_path, "whole", one.kept)
    rest = audit_given(inputs, tmp_path, "rest", {k: v for k, v in one.kept.items() if k != missing})
    for night in (whole, rest):
        check_same(fresh, night)
    assert (whole.reused("sketches") > 0, rest.reused("sketches")) == (True, 0)
    assert whole.counts["candidates"]["edges"] < rest.counts["candidates"]["edges"]


def test_a_text_that_is_gone_makes_all_groups_propose_again(tmp_path: Path) -> None:
    first: Files = {"x/a": CHAIN, "x/b": [*CHAIN[1:3], *OTHERS]}
    fresh, given_ = second_night(tmp_path, first, {"x/b": [*CHAIN[1:3], *OTHERS]})
    assert given_.counts["candidates"] == fresh.counts["candidates"]
    assert given_.reused("sketches") == 0
    # A file that is gone whose texts are all there still takes nothing with it.
    again, moved = second_night(tmp_path / "moved", first, {"z/c": [*OTHERS, *CHAIN]})
    assert (moved.counts["candidates"]["edges"], again.counts["candidates"]["edges"] > 0) == (0, True)


def test_links_that_are_not_known_are_measured(tmp_path: Path) -> None:
    inputs = write_files(tmp_path / "in", {"x/a": family(3, *range(12))})
    one = audit_given(inputs, tmp_path, "one", {})
    two = audit_given(inputs, tmp_path, "two", {k: v for k, v in one.kept.items() if k != LINKS})
    check_same(one, two)
    assert two.counts["links"]["texts"] > 0
    assert two.counts["sets"]["texts"] == 0


@pytest.mark.parametrize("name", [COMPARED, TALLIES])
def test_tables_that_are_not_whole_are_told(tmp_path: Path, name: str) -> None:
    inputs = write_files(tmp_path / "in", {"x/a": OTHERS, "x/b": CHAIN})
    with patched(BLOCK_TOKENS=100):
        one = audit_given(inputs, tmp_path, "one", {})
        assert len(one.kept[name]) > 1
        with pytest.raises(ArtifactError, match="does not fit together"):
            audit_given(inputs, tmp_path, "two", one.kept | {name: one.kept[name][1:]})


# --- any change -----------------------------------------------------------------------------------

POOL = [text for seed in (1, 2) for text in family(seed, *range(8))]
POOL += [*OTHERS[:4], "one two three", "One, two: three!", "", POOL[3].upper(), POOL[0] + " and more"]
NAMES = ["x/a", "x/b", "y/a", "y/c", "z/d"]
CORPORA = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.integers(0, len(POOL) - 1), max_size=12), min_size=1, max_size=4
)


@st.composite
def changed(draw: st.DrawFn, files: dict[str, list[int]]) -> dict[str, list[int]]:
    """A corpus after files were removed, renamed, added, and their rows removed, added or permuted."""
    names = draw(st.permutations(NAMES))
    found = {names[i]: list(rows) for i, rows in enumerate(files.values()) if draw(st.integers(0, 5))}
    for name in list(found):
        how = draw(st.sampled_from(["same", "same", "permuted", "fewer", "more"]))
        if how == "permuted":
            found[name] = draw(st.permutations(found[name]))
        elif how == "fewer":
            found[name] = found[name][draw(st.integers(0, 3)) :]
        elif how == "more":
            found[name] += draw(st.lists(st.integers(0, len(POOL) - 1), max_size=3))
    if draw(st.booleans()) or not found:
        found[names[-1]] = draw(st.lists(st.integers(0, len(POOL) - 1), max_size=4))
    return found


@few(12)
@given(st.data(), CORPORA, st.sampled_from([60, 300, 1 << 22]), st.sampled_from([2, 1 << 13]))
def test_whatever_changed_the_bytes_are_those_of_a_full_run(
    data: st.DataObject, first: dict[str, list[int]], block_tokens: int, known_a_range: int
) -> None:
    second = data.draw(changed(first))
    texts = [{name: [POOL[i] for i in rows] for name, rows in files.items()} for files in (first, second)]
    limits = {"BLOCK_TOKENS": block_tokens, "KNOWN_A_RANGE": known_a_range, "SEGMENT_ROWS": 5}
    with TemporaryDirectory() as folder, patched(**limits):
        fresh, given = second_night(Path(folder), *texts)
    for stage, whole in (("components", "texts"), ("compare", "pairs"), ("links", "members")):
        assert given.reused(stage) <= given.counts[stage][whole] == fresh.counts[stage][whole]
    if {i for rows in first.values() for i in rows} == {i for rows in second.values() for i in rows}:
        assert given.counts["sets"]["texts"] == 0
        assert given.reused("compare") == fresh.counts["compare"]["pairs"]
