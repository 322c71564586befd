"""The file for node_exporter: what it holds after a run, and after a failure."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.artifacts import write_output
from pipeline.errors import ArtifactError, ConfigError
from pipeline.metrics_file import FIRST_LINE, Finished, check_place, write_failed, write_finished
from pipeline.schemas import METRICS
from tests.exposition import Family, Labels, read_exposition

FIGURES: dict[str, tuple[float | None, str]] = {
    "documents": (5e12, "documents"),
    "near_surplus_fraction": (0.1 + 0.2, "0 to 1"),
    "recall": (None, "0 to 1"),
}


def _run(folder: Path, figures: dict[str, tuple[float | None, str]] | None = None) -> Path:
    figures = FIGURES if figures is None else figures
    names = sorted(figures)
    columns = {
        "name": pa.array(names, pa.large_string()),
        "value": pa.array([figures[name][0] for name in names], pa.float64()),
        "unit": pa.array([figures[name][1] for name in names], pa.large_string()),
    }
    write_output(METRICS, pa.table(columns), folder / "summary" / "metrics.parquet")
    return folder


def _read(path: Path) -> dict[str, Family]:
    return read_exposition(path.read_bytes().decode())


def _labels(**labels: str) -> Labels:
    return frozenset(labels.items())


def test_every_figure_of_a_run_is_a_gauge_with_its_unit_in_words(tmp_path: Path) -> None:
    run, path = _run(tmp_path / "audits" / "monday"), tmp_path / "dupaudit.prom"
    write_finished(path, Finished(run, 12.5), now=1_700_000_000.25)
    found, out = _read(path), _labels(out=str(tmp_path / "audits"))
    assert found["dupaudit_documents"] == Family("documents, in documents", "gauge", {out: 5e12})
    assert found["dupaudit_near_surplus_fraction"].value == 0.1 + 0.2, "to the last bit"
    assert found["dupaudit_near_surplus_fraction"].help == "near_surplus_fraction, in 0 to 1"
    assert math.isnan(found["dupaudit_recall"].value), "not defined, and still seen"
    assert found["dupaudit_last_run_success"].value == 1
    assert found["dupaudit_last_run_timestamp_seconds"].value == 1_700_000_000.25
    assert found["dupaudit_last_finished_timestamp_seconds"].value == 1_700_000_000.25
    assert found["dupaudit_last_finished_duration_seconds"].value == 12.5
    assert {labels for family in found.values() for labels in family.samples} == {out}
    assert all(family.help and family.type == "gauge" for family in found.values())


def test_each_gate_is_told_by_its_label(tmp_path: Path) -> None:
    run, path = _run(tmp_path / "audits" / "monday"), tmp_path / "dupaudit.prom"
    write_finished(path, Finished(run, 1, {"recall": True, 'a"b\\n\n': False}))
    out = str(tmp_path / "audits")
    assert _read(path)["dupaudit_gate_passed"].samples == {
        _labels(out=out, gate="recall"): 1,
        _labels(out=out, gate='a"b\\n\n'): 0,
    }


def test_without_gates_there_is_no_such_metric(tmp_path: Path) -> None:
    write_finished(tmp_path / "m.prom", Finished(_run(tmp_path / "a" / "r"), 1))
    assert "dupaudit_gate_passed" not in _read(tmp_path / "m.prom")


@given(gates=st.dictionaries(st.text(), st.booleans(), min_size=1), seconds=st.floats(0))
def test_any_name_of_a_gate_and_any_number_can_be_read_again(
    gates: dict[str, bool], seconds: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    write_finished(folder / "m.prom", Finished(_run(folder / "r"), seconds, gates))
    found = _read(folder / "m.prom")
    samples = found["dupaudit_gate_passed"].samples
    assert {dict(labels)["gate"]: bool(value) for labels, value in samples.items()} == gates
    assert found["dupaudit_last_finished_duration_seconds"].value == seconds


def test_a_folder_whose_name_is_not_utf8_is_still_told(tmp_path: Path) -> None:
    write_failed(tmp_path / "m.prom", tmp_path / os.fsdecode(b"caf\xe9"))
    (labels,) = _read(tmp_path / "m.prom")["dupaudit_last_run_success"].samples
    assert dict(labels)["out"].endswith("caf\\udce9")


def test_after_a_failure_only_what_tells_of_the_last_run_changes(tmp_path: Path) -> None:
    run, path = _run(tmp_path / "audits" / "monday"), tmp_path / "dupaudit.prom"
    write_finished(path, Finished(run, 12.5, {"recall": True}), now=100)
    before = _read(path)
    write_failed(path, run.parent, now=200)
    after = _read(path)
    assert after["dupaudit_last_run_success"].value == 0
    assert after["dupaudit_last_run_timestamp_seconds"].value == 200
    changed = {"dupaudit_last_run_success", "dupaudit_last_run_timestamp_seconds"}
    assert str({k: v for k, v in after.items() if k not in changed}) == str(
        {k: v for k, v in before.items() if k not in changed}
    )
    write_failed(path, run.parent, now=200)
    assert str(_read(path)) == str(after), "a second failure repeats nothing"
    write_finished(path, Finished(run, 12.5, {"recall": True}), now=100)
    assert str(_read(path)) == str(before), "and a run that finishes mends it"


def test_a_first_run_that_fails_says_so(tmp_path: Path) -> None:
    write_failed(tmp_path / "m.prom", tmp_path, now=7)
    found = _read(tmp_path / "m.prom")
    assert {name: family.value for name, family in found.items()} == {
        "dupaudit_last_run_success": 0,
        "dupaudit_last_run_timestamp_seconds": 7,
    }


@pytest.mark.parametrize("content", ["node_load1 0.5\n", "\n", " " + FIRST_LINE + "\n", "\udcff\x00"])
def test_the_file_of_another_program_is_left_alone(content: str, tmp_path: Path) -> None:
    path, run = tmp_path / "m.prom", _run(tmp_path / "a" / "r")
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="of another program"):
        check_place(path)
    with pytest.raises(ConfigError, match="of another program"):
        write_finished(path, Finished(run, 1))
    with pytest.raises(ConfigError, match="of another program"):
        write_failed(path, tmp_path)
    assert path.read_bytes() == before


def test_an_empty_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "m.prom").touch()
    check_place(tmp_path / "m.prom")
    write_failed(tmp_path / "m.prom", tmp_path)
    assert "dupaudit_last_run_success" in _read(tmp_path / "m.prom")


def test_a_place_that_cannot_be_written_to_is_refused_before_the_audit(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no place for the metrics file") as missing:
        check_place(tmp_path / "no" / "m.prom")
    assert missing.value.got == f"no folder {tmp_path / 'no'}"
    with pytest.raises(ConfigError, match="no place for the metrics file") as folder:
        check_place(tmp_path)
    assert folder.value.got == "a folder"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_the_right_to_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root has every right
    with pytest.raises(ConfigError, match="cannot write the metrics file"):
        check_place(tmp_path / "m.prom")


def test_a_run_without_its_figures_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "m.prom"
    write_finished(path, Finished(_run(tmp_path / "a" / "r"), 1))
    before = path.read_bytes()
    with pytest.raises(ArtifactError, match="missing or damaged"):
        write_finished(path, Finished(tmp_path / "a" / "none", 1))
    assert path.read_bytes() == before


def test_the_file_is_renamed_into_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "m.prom", []
    rename = os.replace

    def replace(source: Path, target: Path) -> None:
        seen.append((Path(source).suffix, read_exposition(Path(source).read_text()) != {}, Path(target)))
        rename(source, target)

    monkeypatch.setattr(os, "replace", replace)
    write_failed(path, tmp_path)
    ((suffix, whole, target),) = seen
    assert suffix != ".prom", "the collector must not read it before"
    assert (whole, target) == (True, path)
    assert [each.name for each in tmp_path.iterdir()] == ["m.prom"]


@pytest.mark.parametrize(
    "text",
    [
        "a 1",
        "# TYPE a gauge\na one\n",
        '# TYPE a gauge\na{b="c\\d"} 1\n',
        "# TYPE a gauge\na 1\na 1\n",
        "# TYPE a gauge\na-b 1\n",
        "# TYPE a gauge\na 1\n# HELP a late\n",
    ],
)
def test_the_reader_of_these_tests_is_strict(text: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        read_exposition(text)
