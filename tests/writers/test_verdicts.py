"""Verdicts on the rows of files, read from lists in several parts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.writers.cutting import Range
from pipeline.writers.verdicts import ListPart, Verdicts
from tests.keep_lists import Verdict, list_of

FILES = st.dictionaries(
    st.integers(0, 5), st.lists(st.sampled_from([True, False, None]), max_size=9), max_size=4
)


@given(files=FILES, part_rows=st.integers(1, 5), steps=st.integers(1, 4))
def test_every_row_gets_its_verdict(
    scratch: Path, files: dict[int, list[Verdict]], part_rows: int, steps: int
) -> None:
    cuts = {
        (f, r): [(r, r + 1), (r + 2, r + 9)] for f, rows in files.items() for r, k in enumerate(rows) if k
    }
    verdicts = Verdicts(list_of(scratch, files, cuts, part_rows))
    for file_id, rows in sorted(files.items()):
        verdicts.begin(file_id)
        keep: list[bool] = []
        found: dict[tuple[int, int], list[Range]] = {}
        for first in range(0, len(rows), steps):
            ruling = verdicts.following(min(steps, len(rows) - first))
            keep += ruling.keep.tolist()
            found |= {(file_id, first + row): ranges for row, ranges in ruling.cuts.items()}
        assert keep == [verdict is not False for verdict in rows]
        assert found == {place: ranges for place, ranges in cuts.items() if place[0] == file_id}
        counts = verdicts.rows, verdicts.kept, verdicts.dropped, verdicts.passed
        assert counts == (len(rows), rows.count(True), rows.count(False), rows.count(None))


def test_list_without_documents_lets_all_pass(tmp_path: Path) -> None:
    for parts in (list_of(tmp_path, {}), list[ListPart]()):
        verdicts = Verdicts(parts)
        verdicts.begin(3)
        assert verdicts.following(4).keep.tolist() == [True] * 4
        assert verdicts.passed == 4


def test_rows_of_the_last_file_that_can_be_are_found(tmp_path: Path) -> None:
    last = (1 << 32) - 1
    verdicts = Verdicts(list_of(tmp_path, {0: [True], last: [False, True]}))
    verdicts.begin(last)
    assert np.array_equal(verdicts.following(2).keep, [False, True])
