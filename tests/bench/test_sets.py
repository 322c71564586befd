"""Tests of sets: which rows a part has, and that it is read back as it was cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sets import ROW_GROUP_ROWS, Documents, cut, first_rows, read_documents, read_texts, spread_rows


@pytest.fixture
def whole(tmp_path: Path) -> Documents:
    """Return three files of 1,000 rows: texts of 1 to 9 letters, é of two bytes each."""
    folder = tmp_path / "data"
    folder.mkdir()
    for part in range(3):
        rows = range(1000 * part, 1000 * (part + 1))
        columns = {"id": [str(row) for row in rows], "text": ["é" * (1 + row % 9) for row in rows]}
        pq.write_table(pa.table(columns), folder / f"part-{part}.parquet")
    documents = read_documents("whole", folder)
    assert documents is not None
    return documents


def test_text_is_measured_in_bytes(whole: Documents) -> None:
    assert whole.count == 3000
    assert whole.megabytes == 2 * sum(1 + row % 9 for row in range(3000)) / 1e6


def test_null_and_empty_texts_have_no_bytes(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array(["a", None, ""])}), tmp_path / "a.parquet")
    documents = read_documents("three", tmp_path)
    assert documents is not None
    assert documents.lengths.tolist() == [1, 0, 0]
    assert list(read_texts(documents.files)) == ["a", "", ""]


def test_a_folder_without_parquet_is_absent(tmp_path: Path) -> None:
    assert read_documents("none", tmp_path) is None
    assert read_documents("none", tmp_path / "missing") is None


def test_spread_rows_reach_the_target_and_no_more() -> None:
    lengths = np.arange(10_000) % 97
    chosen = spread_rows(lengths, 100_000)
    assert 100_000 <= lengths[chosen].sum() < 100_000 + 97


def test_spread_rows_come_from_everywhere_alike() -> None:
    chosen = spread_rows(np.full(10_000, 50), 100_000)
    assert chosen.sum() == 2_000
    in_tenths = chosen.reshape(10, 1_000).sum(axis=1)
    assert in_tenths.min() >= 198
    assert in_tenths.max() <= 202


def test_spread_rows_do_not_prefer_short_texts() -> None:
    lengths = np.where(np.arange(10_000) % 10 == 3, 5_000, 10)
    chosen = spread_rows(lengths, 1_000_000)
    assert (lengths[chosen] == 5_000).mean() == pytest.approx(0.1, abs=0.02)


def test_a_larger_part_holds_the_smaller() -> None:
    lengths = np.full(1_000, 10)
    smaller, larger = spread_rows(lengths, 1_000), spread_rows(lengths, 3_000)
    assert not (smaller & ~larger).any()


@pytest.mark.parametrize(("target", "rows"), [(0, 1), (1, 1), (10, 1), (11, 2), (30, 3), (1000, 3)])
def test_spread_rows_at_the_edges(target: int, rows: int) -> None:
    assert spread_rows(np.full(3, 10), target).sum() == rows


def test_first_rows_skip_empty_texts() -> None:
    assert first_rows(np.array([0, 5, 0, 2, 3]), 2).tolist() == [False, True, False, True, False]


def test_a_part_keeps_columns_order_and_files(whole: Documents, tmp_path: Path) -> None:
    chosen = spread_rows(whole.lengths, 20_000)
    part = cut(whole, "part", chosen, tmp_path)
    assert part.lengths.tolist() == whole.lengths[chosen].tolist()
    assert [file.name for file in part.files] == [file.name for file in whole.files]
    table = pq.read_table([*part.files])
    assert table.column("id").to_pylist() == [str(row) for row in np.flatnonzero(chosen)]
    metadata = pq.read_metadata(part.files[0])
    assert metadata.num_row_groups == -(-metadata.num_rows // ROW_GROUP_ROWS) > 1


def test_a_part_is_written_once(whole: Documents, tmp_path: Path) -> None:
    first = cut(whole, "part", first_rows(whole.lengths, 1), tmp_path)
    written = first.files[0].stat().st_mtime_ns
    again = cut(whole, "part", first_rows(whole.lengths, 1), tmp_path)
    assert (again.files, again.digest) == (first.files, first.digest)
    assert again.files[0].stat().st_mtime_ns == written
    assert len(first.files) == 1
    assert cut(whole, "part", first_rows(whole.lengths, 2), tmp_path).files != first.files


def test_a_part_without_rows_is_refused(whole: Documents, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no row was chosen of 3000 of whole"):
        cut(whole, "part", np.zeros(3000, bool), tmp_path)
