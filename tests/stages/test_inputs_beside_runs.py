"""What audits write into the folder they audit is not audited by the next one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.runs import point_latest
from pipeline.stages.inputs import _written_by_audits, list_files

RUN = [
    "run.json",
    "inputs.parquet",
    "documents/part-00000.parquet",
    "summary/metrics.parquet",
    "compare/monday/metrics.parquet",
    "keep/cap-3/documents/part-00000.parquet",
    "gates.json",
]


def _fill(folder: Path, names: list[str]) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")


def _taken(folder: Path, format: str = "auto") -> list[str]:
    return [Path(file.uri).relative_to(folder).as_posix() for file in list_files([str(folder)], format).files]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a file of data."""
    _fill(tmp_path / "data", ["a.parquet"])
    return tmp_path / "data"


@pytest.mark.parametrize("format", ["auto", "parquet"])
def test_runs_are_passed_over_as_such_and_through_the_link_to_the_last(data: Path, format: str) -> None:
    for night in ("monday", "tuesday"):
        _fill(data / "audits" / night, RUN)
    point_latest(data / "audits", data / "audits" / "tuesday")
    listing = list_files([str(data)], format)
    assert [file.uri for file in listing.files] == [str(data / "a.parquet")]
    assert listing.passed_over == {"not a file": 1, "written by an audit": 2 * len(RUN)}


def test_a_link_that_is_a_file_is_no_data(data: Path) -> None:
    # Where the file system knows no links.
    _fill(data / "audits" / "monday", RUN)
    (data / "audits" / "latest").write_text("monday\n")
    assert _taken(data) == ["a.parquet"]
    assert _taken(data, "parquet") == ["a.parquet"]


@pytest.mark.parametrize("format", ["auto", "parquet"])
def test_folders_of_runs_at_work_are_hidden(data: Path, format: str) -> None:
    for name in (".work-monday-1f", ".keep-1f", ".removed-1f", ".lock-1f"):
        _fill(data / "audits" / name, ["scan-0/0.parquet", "run/documents/part-00000.parquet"])
    _fill(data / "audits" / "monday" / "keep" / ".keep-2a", ["list/documents/part-00000.parquet"])
    _fill(data / ".work-1f" / "run", RUN)  # half-way finished
    assert _taken(data, format) == ["a.parquet"]


@pytest.mark.parametrize("format", ["auto", "parquet"])
def test_an_index_is_written_by_audits(data: Path, format: str) -> None:
    _fill(data / "scan", ["index.json", "scan/1f/scan/segment.parquet", "ranges/0.parquet"])
    listing = list_files([str(data)], format)
    assert _taken(data, format) == ["a.parquet"]
    assert listing.passed_over == {"written by an audit": 3}


def test_data_that_only_looks_a_little_like_an_audit_is_data(data: Path) -> None:
    names = ["x/1.parquet", "y/inputs.parquet", "z/scan/2.parquet", "w/3.parquet", "rescan/4.parquet"]
    _fill(
        data, [*names, "x/run.json", "w/index.json", "scan/x/index.json", "rescan.json", "monday2/5.parquet"]
    )
    _fill(data / "monday", RUN)
    assert _taken(data, "parquet") == sorted(["a.parquet", "monday2/5.parquet", *names])


def test_a_folder_of_nothing_but_runs_is_no_data(tmp_path: Path) -> None:
    _fill(tmp_path / "monday", RUN)
    with pytest.raises(ConfigError, match="no file to audit"):
        list_files([str(tmp_path)], "auto")


@given(st.sets(st.sampled_from(["run.json", "inputs.parquet", "index.json", "scan/a.parquet", "b.parquet"])))
def test_what_makes_a_folder_one_of_audits_is_told_by_two_names(names: set[str]) -> None:
    ours = {"run.json", "inputs.parquet"} <= names or {"index.json", "scan/a.parquet"} <= names
    paths = [f"/d/{name}" for name in names]
    assert _written_by_audits(paths) == (("/d/",) if ours else ())
