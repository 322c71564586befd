"""Audits that know the shingle sets, or pairs, of a changed component neither read nor compare them again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages import blocks, sets
from tests.reusing import Files, Tables, audit_given, check_same, write_files
from tests.searching import few
from tests.test_audit_near_reused import CHAIN, CORPORA, OTHERS, POOL, changed, family, patched

APART = 2500  # bytes of a shard: files of two texts or more do not share one


@contextmanager
def watched() -> Iterator[tuple[list[str], list[int]]]:
    """The names of the files that are read for sets, and the numbers of pairs of sets compared."""
    read: list[str] = []
    compared: list[int] = []
    read_again, shared = sets.read_again, blocks._shared

    def reading(item: Any, *rest: Any) -> Any:
        read.append(Path(item.file.uri).stem)
        return read_again(item, *rest)

    def comparing(texts: Any, one: Any, *rest: Any) -> Any:
        compared.append(len(one))
        return shared(texts, one, *rest)

    with patch.object(sets, "read_again", reading), patch.object(blocks, "_shared", comparing):
        yield read, compared


def nights(
    folder: Path, *corpora: Files, forget: str | None = None, shard_bytes: int = APART
) -> list[tuple[list[str], int]]:
    """Audits of one corpus after the other, each checked to be as one that knows nothing.

    Returns:
        The files that each read for sets, and how many pairs it compared.
    """
    earlier: Tables = {}
    found = []
    for i, files in enumerate(corpora):
        inputs = write_files(folder / "in", files)
        with watched() as (read, compared):
            night = audit_given(inputs, folder, f"given-{i}", earlier, shard_bytes=shard_bytes)
        found.append((sorted(set(read)), sum(compared)))
        check_same(audit_given(inputs, folder, f"fresh-{i}", {}, shard_bytes=shard_bytes), night)
        earlier = {k: v for k, v in night.kept.items() if forget is None or not k.startswith(forget)}
    return found


def test_only_the_new_member_of_a_component_is_read(tmp_path: Path) -> None:
    first = {"x/a": [*OTHERS, *CHAIN[:3]]}
    one, two = nights(tmp_path, first, first | {"x/b": CHAIN[3:4]})
    assert one[0] == ["a"]
    assert two[0] == ["b"]


def test_only_the_pairs_of_a_new_member_are_compared(tmp_path: Path) -> None:
    long = family(3, *range(8))
    first = {"x/a": long}
    one, two = nights(tmp_path, first, first | {"x/b": family(3, 8)})
    assert 0 < two[1] < 8 < one[1]


def test_links_that_were_candidates_are_compared_once(tmp_path: Path) -> None:
    inputs = write_files(tmp_path / "in", {"x/a": CHAIN})
    with watched() as (_, compared):
        night = audit_given(inputs, tmp_path, "one", {})
    assert night.counts["links"]["members"] == 4
    assert sum(compared) <= len(CHAIN) * (len(CHAIN) - 1) / 2


def test_sets_that_are_not_kept_are_read_again(tmp_path: Path) -> None:
    first = {"x/a": [*OTHERS, *CHAIN[:3]]}
    _, two = nights(tmp_path, first, first | {"x/b": CHAIN[3:4]}, forget="sets-")
    assert two[0] == ["a", "b"]


def test_links_that_are_not_kept_change_no_table(tmp_path: Path) -> None:
    long = family(3, *range(12))
    nights(tmp_path, {"x/a": long}, {"x/a": long, "x/b": family(3, 12)}, forget="near-links")


def test_a_text_whose_first_document_is_in_another_file_is_read_there(tmp_path: Path) -> None:
    first = {"x/m": [*OTHERS, *CHAIN[:4]]}
    _, two = nights(tmp_path, first, first | {"w/a": [CHAIN[0], CHAIN[4]]})
    assert two[0] == ["a"]


def test_sets_of_a_file_that_is_gone_are_left_behind(tmp_path: Path) -> None:
    files = {"x/a": [*OTHERS, *CHAIN[:2]], "x/b": CHAIN[2:]}
    one = audit_given(write_files(tmp_path / "in", files), tmp_path, "one", {}, shard_bytes=APART)
    inputs = write_files(tmp_path / "in", {"x/b": CHAIN[2:]})
    two = audit_given(inputs, tmp_path, "two", one.kept, shard_bytes=APART)
    assert len(two.shingle_sets()) == 1 < len(one.shingle_sets())


@pytest.mark.parametrize(("large_bytes", "counts"), [(1 << 20, [1, 1, 1, 1]), (1, [1, 2, 3, 4])])
def test_small_files_are_merged_when_they_are_many(
    tmp_path: Path, large_bytes: int, counts: list[int]
) -> None:
    # Texts of one shard that come to be wanted one after the other.
    first, found, earlier = family(4, 0, 10, 20, 30), list[int](), Tables()
    with patched(MOST_FILES=1, LARGE_BYTES=large_bytes):
        for i in range(4):
            inputs = write_files(tmp_path / "in", {"x/a": first, "x/b": family(4, *range(1, 10 * i + 2, 10))})
            night = audit_given(inputs, tmp_path, f"given-{i}", earlier, shard_bytes=APART)
            check_same(audit_given(inputs, tmp_path, f"fresh-{i}", {}, shard_bytes=APART), night)
            earlier = night.kept
            found.append(max(len(paths) for name, paths in earlier.items() if name.startswith("sets-")))
    assert found == counts


@few(8)
@given(st.data(), CORPORA, st.sampled_from([60, 300, 1 << 22]), st.booleans())
def test_nights_in_a_row_write_what_full_runs_write(
    data: st.DataObject, first: dict[str, list[int]], block_tokens: int, small: bool
) -> None:
    corpora = [first]
    for _ in range(2):
        corpora.append(data.draw(changed(corpora[-1])))
    texts = [{name: [POOL[i] for i in rows] for name, rows in files.items()} for files in corpora]
    forget = data.draw(st.sampled_from([None, None, "sets-", "near-links", "near-units", "near-texts"]))
    limits = {"BLOCK_TOKENS": block_tokens, "SEGMENT_ROWS": 5}
    limits |= {"MOST_FILES": 1, "FLUSH_BYTES": 700} if small else {}
    shard_bytes = APART if small else 1 << 25
    with TemporaryDirectory() as folder, patched(**limits):
        nights(Path(folder), *texts, forget=forget, shard_bytes=shard_bytes)
