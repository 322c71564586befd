"""Passages of a corpus that an earlier run saw in part: the same bytes, and less to read."""

from __future__ import annotations

import os
import random
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import InputChangedError
from pipeline.passages import Before
from pipeline.stages import standing
from pipeline.stages.hashed import MOST_FILES
from tests import corpus as planted
from tests import nights
from tests.nights import Files, Night, night
from tests.searching import few
from tests.stages.passage_steps import W
from tests.stages.steps import rows_of
from tests.test_audit_passages_invariant import patched

RNG = random.Random(11)
WORDS = [planted.fresh(RNG, 24) for _ in range(3)]


def around(words: list[str], before: int = 9, after: int = 9) -> str:
    """Words between others that stand nowhere else."""
    return planted.joined([*planted.fresh(RNG, before), *words, *planted.fresh(RNG, after)])


# --- any corpus after any other -------------------------------------------------------------------

STYLES: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper": str.upper,
    "spaced": lambda text: text.replace(" ", "  "),
    "composes": lambda text: f"{text} e\u0301",
    "begins": lambda text: unicodedata.normalize("NFD", f"é {text}"),
}
RUN = st.tuples(st.integers(0, 2), st.integers(0, 14), st.integers(W - 1, 24))
# A text: runs of shared words, parted by a word of its own, and how it is written.
TEXT = st.tuples(st.lists(RUN, max_size=3), st.integers(0, 30), st.sampled_from(sorted(STYLES)))
FILE = st.lists(TEXT, min_size=1, max_size=4)
NIGHT = st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True)  # files, in order
Text = tuple[list[tuple[int, int, int]], int, str]


def _text(parts: list[tuple[int, int, int]], own: int, style: str) -> str:
    runs = [f"{own}o{i} {planted.joined(WORDS[which][a:b])}" for i, (which, a, b) in enumerate(parts)]
    return STYLES[style](" ".join(runs))


def _corpus(files: list[list[Text]], order: list[int]) -> Files:
    return {f"{place}": [_text(*text) for text in files[i]] for place, i in enumerate(order)}


SMALL = {"FLUSH_BYTES": 64, "WINDOWS_A_RANGE": 10, "MOST_WINDOWS_A_RANGE": 20}


@few(20)
@given(st.lists(FILE, min_size=4, max_size=4), NIGHT, NIGHT, NIGHT, st.booleans(), st.booleans())
def test_what_was_kept_of_other_corpora_changes_no_byte(
    files: list[list[Text]], one: list[int], two: list[int], three: list[int], small: bool, labelled: bool
) -> None:
    limits = {"SEGMENT_ROWS": 2} | (SMALL if small else {})
    with TemporaryDirectory() as name, patched(limits):
        folder = Path(name)
        first = night(folder / "1", _corpus(files, one), labelled=labelled)
        second = night(folder / "2", _corpus(files, two), first, labelled)
        _check(folder, _corpus(files, three), second, labelled)


@few(20)
@given(
    st.lists(FILE, min_size=4, max_size=4),
    st.lists(NIGHT, min_size=4, max_size=7),
    st.integers(1, 3),
    st.booleans(),
)
def test_chain_of_nights_changes_no_byte(
    files: list[list[Text]], orders: list[list[int]], most: int, pruned: bool
) -> None:
    # What was scanned of segments that are gone may have been removed.
    limits = {"SEGMENT_ROWS": 4, "MOST_FILES": most}
    with TemporaryDirectory() as name, patched(limits), patch.object(standing, "MOST_FILES", most):
        found: Night | None = None
        for number, order in enumerate(orders):
            before = None if found is None else found.before
            if before is not None and pruned:
                before = Before(before.tables, lambda _: Path(name) / "nowhere")
            last = number == len(orders) - 1
            corpus = _corpus(files, order)
            found = (_check if last else night)(Path(name) / str(number), corpus, before)


def _check(folder: Path, files: Files, known: Night | Before | None, labelled: bool = True) -> Night:
    """A night with what is known, compared with one that knows nothing."""
    whole = night(folder / "whole", files, labelled=labelled)
    again = night(folder / "again", files, known, labelled)
    assert again.results == whole.results
    assert again.kept.keys() == whole.kept.keys()
    for name, tables in whole.kept.items():
        _check_kept(name, tables, again.kept[name])
    return again


def _check_kept(name: str, whole: Sequence[str], again: Sequence[str]) -> None:
    """What is kept is the same, however it was come by."""
    one, two = ([rows_of(path) for path in tables] for tables in (whole, again))
    if name.startswith("windows-"):
        assert one[0] == two[0]
        assert _windows(one[1:]) == _windows(two[1:])
        return
    assert one[:3] == two[:3]
    # Of how passages begin, what nobody needs any more may be there, too, or may not be known.
    needed = [(row["passage_id"], row["number"], row["text"]) for row in one[3]] if one[3:] else []
    told = {(row["passage_id"], row["number"], row["text"]) for table in two[3:] for row in table}
    texts = {row["number"] for row in one[0]}
    assert {row for row in needed if row[1] in texts} <= told | _not_asked(one[2], two[3:])
    assert len(two) - 3 <= standing.MOST_FILES


def _not_asked(
    passages: Sequence[Mapping[str, int]], told: Sequence[Sequence[Mapping[str, Any]]]
) -> set[Any]:
    """Beginnings in texts before which a copy of the text that was first stood: nobody asks for them."""
    known = {row["passage_id"] for table in told for row in table}
    return {
        (row["passage_id"], row["number"], text["text"])
        for row in passages
        for table in told
        for text in table
        if row["passage_id"] in known and text["passage_id"] == row["passage_id"]
    }


def _windows(tables: Sequence[Sequence[Mapping[str, int]]]) -> list[tuple[int, ...]]:
    """The windows that are looked at: hash, neighbours, row, kind, number in the row, what is known."""
    flags, rows, *files = tables
    slots = [(row["row"], row["kind"], i) for row in rows for i in range(row["windows"])]
    windows = [row for table in files for row in table]
    assert sorted(row["slot"] for row in windows) == list(range(len(slots)))
    assert len(flags) == len(slots)
    assert len(files) <= MOST_FILES
    assert all([row["window"] for row in table] == sorted(row["window"] for row in table) for table in files)
    found = [
        (row["window"], row["beside"], *slots[row["slot"]], flags[row["slot"]]["state"]) for row in windows
    ]
    return sorted(window for window in found if window[3])


# --- by hand --------------------------------------------------------------------------------------

SHARED, OTHER, THIRD = WORDS
OLD: dict[str, list[str | None]] = {
    "b": [around(SHARED), around(OTHER), None, around([]), around(SHARED[4:])],
    "c": [around(SHARED), around(THIRD), f"e\u0301 {around(OTHER)}"],
    "d": [around(THIRD[:6]), "few words", around([])],
}


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The night before."""
    return night(tmp_path_factory.mktemp("old"), OLD)


def _read(found: Night) -> tuple[int, int]:
    """How many texts were read to hash windows, and how many then to cut them."""
    return found.counts("windows")["read"], found.counts("unitigs")["read"]


def test_first_night_reads_each_text_with_a_survivor_once(old: Night) -> None:
    texts = old.counts("windows")["texts"]
    assert _read(old) == (texts, 0)
    assert old.counts("windows")["hashed"] == old.counts("windows")["windows"] > 0
    assert old.counts("unitigs")["reused"] == 0
    assert old.read == ("b", "c", "d")


def test_tables_are_kept_by_the_name_of_their_segment(old: Night) -> None:
    names = {segment.name for segment in old.corpus.segments}
    assert len(names) == 3
    assert old.kept.keys() == {f"{grain}-{name}" for name in names for grain in ("windows", "cut")}
    assert all(Path(path).is_file() for tables in old.kept.values() for path in tables)


def test_corpus_that_did_not_change_is_not_read(tmp_path: Path, old: Night) -> None:
    again = _check(tmp_path, OLD, old)
    assert (again.read, _read(again)) == ((), (0, 0))
    assert again.counts("windows")["hashed"] == 0
    assert again.counts("unitigs")["reused"] == again.counts("windows")["texts"] > 0
    assert again.results["files"] == old.results["files"]


def test_figures_do_not_tell_what_was_reused(tmp_path: Path, old: Night) -> None:
    again = night(tmp_path, OLD, old)
    assert again.passages.figures == old.passages.figures
    assert again.passages.figures["passage_texts_read_again"][0] == old.counts("windows")["read"]


def test_what_is_kept_of_a_night_that_read_nothing_serves_the_next(tmp_path: Path, old: Night) -> None:
    again = night(tmp_path / "1", OLD, old)
    third = _check(tmp_path, OLD, again)
    assert _read(third) == (0, 0)


def test_renamed_files_are_not_read(tmp_path: Path, old: Night) -> None:
    # The order of the documents is another one, and other texts are the first of their copies.
    renamed = {"a": OLD["d"], "e": OLD["b"], "f": OLD["c"]}
    again = _check(tmp_path, renamed, old)
    assert again.read == ()
    assert [row["doc_id"] for row in again.rows("spans")] != [row["doc_id"] for row in old.rows("spans")]


def test_file_that_repeats_nothing_is_all_that_is_read(tmp_path: Path, old: Night) -> None:
    again = _check(tmp_path, {"a": [around([]), around([*THIRD[20:], "x", *THIRD[20:]])], **OLD}, old)
    assert set(again.read) <= {"a"}
    assert again.rows("passages")[0]["doc_id"] >> 32 == 1


def _gaining(new: str) -> dict[str, list[str | None]]:
    return {**OLD, "e": [new]}


@pytest.mark.parametrize("style", sorted(STYLES))
def test_text_that_gains_a_partner_is_read_and_no_other(tmp_path: Path, old: Night, style: str) -> None:
    # THIRD stood once: now all of it is a passage.
    again = _check(tmp_path, _gaining(STYLES[style](around(THIRD))), old)
    assert set(again.read) == {"c", "e"}
    assert sum(_read(again)) == 2
    assert len(again.rows("passages")) > len(old.rows("passages"))


def test_passage_that_comes_to_branch_is_cut_where_it_does(tmp_path: Path, old: Night) -> None:
    again = _check(tmp_path, _gaining(around(SHARED[8:20])), old)
    assert sum(_read(again)) == 4
    assert set(again.read) == {"b", "c", "e"}
    lengths = [{row["tokens"] for row in found.rows("passages")} for found in (old, again)]
    assert 20 in lengths[0]
    assert 20 not in lengths[1]


def test_repeat_that_is_no_more_is_gone(tmp_path: Path, old: Night) -> None:
    again = _check(tmp_path, {name: OLD[name] for name in "bd"}, old)
    # Of two texts one lost the partner of its first words, and is read; the other is as it was.
    assert len(again.rows("spans")) == 2
    assert sum(_read(again)) == 1
    assert again.counts("unitigs")["reused"] == 1


def test_text_that_repeats_all_the_same_gains_and_loses_what_is_settled(tmp_path: Path) -> None:
    # The windows of OTHER are known by their anchors alone: none of them is looked at one by one.
    files: dict[str, list[str | None]] = {
        "b": [around([*SHARED, *planted.fresh(RNG, 30), *OTHER])],
        "c": [around(SHARED)],
    }
    more: dict[str, list[str | None]] = {**files, "d": [around(OTHER)]}
    first = night(tmp_path / "1", files)
    second = _check(tmp_path / "2", more, first)
    third = _check(tmp_path / "3", files, second)
    assert [len(found.rows("passages")) for found in (first, second, third)] == [1, 2, 1]


@pytest.mark.parametrize("seed", range(8))
def test_windows_that_come_to_repeat_among_grams_that_did_are_cut(tmp_path: Path, seed: int) -> None:
    # All grams stand in other contexts, too, so that just what is known of windows changes.
    words = planted.fresh(random.Random(seed), 20)
    pieces: list[str | None] = [around(words[i : i + W - 1]) for i in range(14)]
    files: dict[str, list[str | None]] = {"b": [around(words), around(words[:12])], "c": pieces}
    first = night(tmp_path / "1", files)
    again = _check(tmp_path / "2", {**files, "d": [around(words[: 13 + seed % 3])]}, first)
    assert {row["tokens"] for row in first.rows("passages")} == {12}
    assert {row["tokens"] for row in again.rows("passages")} > {12}
    _check(tmp_path / "3", files, again)


def test_example_is_how_the_passage_begins_in_what_is_its_first_place_now(tmp_path: Path) -> None:
    plain = around(SHARED)
    files: dict[str, list[str | None]] = {
        "a": [plain],
        "b": [plain.upper(), around(SHARED).replace(" ", "  "), around(OTHER)],
        "c": [around(SHARED), around(OTHER)],
    }
    first = night(tmp_path / "1", files)
    # In b the first place is the second text: the first is a copy of what stands in a.
    assert _shown(first) == planted.joined(SHARED)
    second = _check(tmp_path / "2", {name: files[name] for name in "bc"}, first)
    assert _shown(second) == planted.joined(SHARED).upper()
    assert second.read == ("b",)
    third = _check(tmp_path / "3", files, second)
    assert _shown(third) == planted.joined(SHARED)
    assert third.read == ("a",)
    fourth = _check(tmp_path / "4", {"a": [around(SHARED).title()], **{n: files[n] for n in "bc"}}, third)
    assert _shown(fourth) == planted.joined(SHARED).title()


def _shown(found: Night) -> str:
    (row,) = (row for row in found.rows("passages") if row["text"].lower().split() == SHARED)
    assert isinstance(row["text"], str)
    return row["text"]


def test_copies_are_those_of_the_night(tmp_path: Path) -> None:
    text = around(SHARED)
    files: dict[str, list[str | None]] = {"b": [text, around(SHARED)], "c": [text.upper(), around(SHARED)]}
    first = night(tmp_path / "1", files)
    again = _check(tmp_path / "2", {**files, "d": [text.title(), text]}, first)
    assert again.read == ()
    copies = [{row["copies"] for row in found.rows("spans")} for found in (first, again)]
    assert copies == [{1, 2}, {1, 4}]


def test_text_that_becomes_the_first_of_its_copies_is_cut(tmp_path: Path) -> None:
    # Texts of one window: all that is known of them is alike, so only their numbers tell them apart.
    one, two = planted.joined(SHARED[:W]), planted.joined(OTHER[:W])
    first = night(tmp_path / "1", {"a": [one], "b": [one, two], "c": [two]})
    assert [row["doc_id"] >> 32 for row in first.rows("spans")] == [0, 1]
    again = _check(tmp_path / "2", {"b": [one, two], "c": [two], "d": [one]}, first)
    assert [row["doc_id"] for row in again.rows("spans")] == [0, 1]
    assert again.read == ("b",)


def _rewritten(place: str, night_folder: Path) -> Path:
    """Change one word of the text that is read in a stage, behind the back of whoever looks at times."""
    name, row = ("c", 1) if place == "windows" else ("b", 4)
    path = night_folder / "in" / f"{name}.jsonl"
    before, lines = path.stat(), path.read_bytes().split(b"\n")
    lines[row] = lines[row].replace(b': "w', b': "v')
    path.write_bytes(b"\n".join(lines))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return path


@pytest.mark.parametrize("place", ["windows", "unitigs"])
def test_old_file_that_changed_unseen_is_told(tmp_path: Path, old: Night, place: str) -> None:
    files = _gaining(around(THIRD) if place == "windows" else around(SHARED[8:20]))
    found = night(tmp_path / "whole", files, old)
    assert _read(found)[place == "unitigs"] > 0
    changed: list[Path] = []
    with pytest.raises(InputChangedError, match="other texts than when it was scanned") as caught:
        night(
            tmp_path / "again",
            files,
            old,
            meanwhile=lambda folder: changed.append(_rewritten(place, folder)),
        )
    assert [caught.value.where] == list(map(str, changed))


def _hashed(found: Night) -> dict[str, Sequence[str]]:
    return {name: tables[3:] for name, tables in found.kept.items() if name.startswith("windows-")}


def test_windows_that_were_hashed_stay_in_their_files(tmp_path: Path, old: Night) -> None:
    again = _check(tmp_path, _gaining(around(SHARED[8:20])), old)
    before, after = _hashed(old), _hashed(again)
    assert all(after[name][: len(paths)] == paths for name, paths in before.items())
    assert again.counts("windows")["hashed"] < again.counts("windows")["windows"]


PARTS: dict[str, list[str | None]] = {
    "b": [around(SHARED[:16]), around(SHARED[4:])],
    "c": [around(THIRD), around(OTHER), around(SHARED)],
    "d": [around(THIRD[1:]), around(OTHER[1:])],
}


def test_file_is_written_anew_when_most_of_it_is_not_looked_at_any_more(tmp_path: Path) -> None:
    first = night(tmp_path / "1", PARTS)
    # Those of SHARED stand behind the others, and get other slots.
    second = _check(tmp_path / "2", {name: PARTS[name] for name in "bc"}, first)
    before, after = _hashed(first), _hashed(second)
    (name,) = (name for name in after if before[name] != after[name])
    sizes = [sum(len(rows_of(path)) for path in paths) for paths in (before[name], after[name])]
    assert 0 < 2 * sizes[1] < sizes[0]
    assert second.read == ()
    _check(tmp_path / "3", PARTS, second)


def test_row_that_is_looked_at_again_is_not_hashed_again(tmp_path: Path) -> None:
    first = night(tmp_path / "1", PARTS)
    second = _check(tmp_path / "2", {**PARTS, "d": PARTS["d"][:1]}, first)
    third = _check(tmp_path / "3", PARTS, second)
    assert second.counts("windows")["windows"] < third.counts("windows")["windows"]
    (new,) = (name for name in third.kept.keys() - second.kept.keys() if name.startswith("windows-"))
    assert third.counts("windows")["hashed"] == len(rows_of(third.kept[new][1])) > 0


def test_files_of_many_nights_become_one(tmp_path: Path) -> None:
    # Every night another run of words comes to stand twice.
    words = [planted.fresh(RNG, 16) for _ in range(4)]
    files: dict[str, list[str | None]] = {"a": [around([*run, *planted.fresh(RNG, 20)]) for run in words]}
    before, counts = None, list[int]()
    for number, run in enumerate(words):
        files[f"e{number}"] = [around(run)]
        with patched({"MOST_FILES": 2}):
            before = found = night(tmp_path / str(number), files, before)
        counts.append(max(map(len, _hashed(found).values())))
    assert counts == [1, 2, 1, 2]
    _check(tmp_path / "last", files, before)


def test_segment_of_which_a_table_is_lost_is_looked_at_as_if_it_was_new(tmp_path: Path, old: Night) -> None:
    lost = min(name for name in old.kept if name.startswith("cut"))
    part = {name: tables for name, tables in old.kept.items() if name != lost}
    again = _check(tmp_path, OLD, Before(part, old.before.folder_of))
    assert 0 < again.counts("windows")["read"] < old.counts("windows")["read"]


def test_segments_without_a_name_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nights, "named", tuple)
    assert night(tmp_path, OLD).kept == {}
