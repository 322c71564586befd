"""Whether the figures of a run are within the limits its user has set."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import GateConfig, parse
from pipeline.errors import ArtifactError, ConfigError
from pipeline.gate_names import CROSSING, METRICS, NAMES, OF_SOURCES, SHORT, WATCHED
from pipeline.gates import Verdict, check_gates, earlier_run, in_words, write_gates
from pipeline.schemas import SOURCES
from pipeline.stages.overlap import LARGEST
from tests.audits import audit, without_dask, write_rows
from tests.gated_runs import Pair, Source, finished, write_manifest

FIGURES = {
    "near_surplus_fraction": 0.3,
    "exact_surplus_fraction": 0.1,
    "passage_repeated_tokens_fraction": 0.2,
    "passages": 4.0,
    "cross_source_texts": 7.0,
    "cross_source_clusters": 7.0,
    "cross_source_passages": 7.0,
    "recall": None,
    "documents": 1234567.0,
}
HOSTILE = '\x1b[31m"red\u202e\n<script>\x00'


def _verdict(run: Path, name: str, earlier: Path | None = None, /, **limits: Any) -> Verdict:
    """The verdict on a gate; its words without name and limit, which all have."""
    (verdict,) = check_gates(run, {name: GateConfig(**limits)}, earlier)
    head, tail = f"{name}: ", f" ({verdict.limit})"
    assert verdict.words.startswith(head)
    assert verdict.words.endswith(tail)
    return replace(verdict, words=verdict.words[len(head) : -len(tail)])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose figures are FIGURES, without sources."""
    return finished(tmp_path / "tuesday", FIGURES, sequence=2)


def _with_sources(folder: Path, sources: list[Source], pairs: tuple[Pair, ...] = ()) -> Path:
    return finished(folder / "run", FIGURES, sources=sources, pairs=pairs)


def test_gates_may_have_the_name_of_any_metric(tmp_path: Path) -> None:
    rows = [{"text": "one two three", "source": source} for source in "ab"]
    with without_dask(page=False):
        found = audit(write_rows(tmp_path / "a.jsonl", rows), tmp_path / "out", source_column="source")
    assert tuple(row["name"] for row in found.rows("summary/metrics")) == METRICS
    assert {*SHORT.values(), *OF_SOURCES, *CROSSING, *WATCHED} <= set(METRICS)
    assert set(OF_SOURCES) <= {column.name for column in SOURCES.columns}


@pytest.mark.parametrize(
    ("limits", "passed"),
    [
        ({"max": 0.3}, True),
        ({"min": 0.3}, True),
        ({"min": 0.3, "max": 0.3}, True),
        ({"max": 0.29999999999999993}, False),
        ({"min": 0.30000000000000004}, False),
        ({"min": 0.1, "max": 0.2}, False),
        ({"min": 0.4, "max": 0.5}, False),
        ({"min": 0.2, "max": 0.4}, True),
    ],
)
def test_value_equal_to_the_limit_passes(run: Path, limits: dict[str, float], passed: bool) -> None:
    verdict = _verdict(run, "near_surplus_fraction", **limits)
    assert (verdict.passed, verdict.value) == (passed, 0.3)


@given(
    value=st.floats(0, 1), low=st.none() | st.floats(0, 1), high=st.none() | st.floats(0, 1), data=st.data()
)
def test_verdict_is_the_comparison(
    tmp_path_factory: pytest.TempPathFactory,
    value: float,
    low: float | None,
    high: float | None,
    data: st.DataObject,
) -> None:
    if low is None and high is None:
        high = data.draw(st.floats(0, 1))
    if low is not None and high is not None:
        low, high = sorted((low, high))
    run = finished(tmp_path_factory.mktemp("run"), {"recall": value})
    verdict = _verdict(run, "recall", min=low, max=high)
    assert verdict.passed == ((low is None or value >= low) and (high is None or value <= high))
    shown = float(verdict.words)  # is on the same side
    assert verdict.passed == ((low is None or shown >= low) and (high is None or shown <= high))


def test_short_names_are_those_of_metrics(run: Path) -> None:
    assert _verdict(run, "surplus_documents_fraction", max=0.3).value == 0.3
    assert _verdict(run, "passage_tokens_fraction", max=0.3).value == 0.2


def test_number_close_to_the_limit_is_shown_in_full(tmp_path: Path) -> None:
    run = finished(tmp_path, {"recall": 0.97996, "rejected_fraction": 0.05004})
    assert _verdict(run, "recall", min=0.98).words == "0.97996"
    assert _verdict(run, "recall", min=0.9).words == "0.98"
    assert _verdict(run, "rejected_fraction", max=0.05).words == "0.05004"


def test_figure_that_is_not_defined_fails(run: Path) -> None:
    for limits in ({"min": 0.98}, {"max": 1.0}):
        verdict = _verdict(run, "recall", **limits)
        assert (verdict.passed, verdict.value, verdict.words) == (False, None, "not defined for this run")


def test_figure_that_was_not_measured_fails(tmp_path: Path) -> None:
    run = finished(tmp_path, {"documents": 3.0}, sources=[("a", None, 5, None)])
    unlooked = "not measured: this run did not look for passages"
    verdict = _verdict(run, "passage_tokens_fraction", max=1)
    assert (verdict.passed, verdict.words) == (False, unlooked)
    verdict = _verdict(run, "passage_tokens_fraction", max=1, per_source=True)
    assert (verdict.passed, verdict.words) == (False, unlooked)
    verdict = _verdict(run, "star_edges", max=1)
    assert (verdict.passed, verdict.words) == (False, "not measured: this run has no such figure")


def test_worst_source_is_named(tmp_path: Path) -> None:
    sources: list[Source] = [("a", None, 10, 0.1), ("b", None, 10, 0.5), ("c", None, 10, 0.3)]
    run = _with_sources(tmp_path, sources)
    most = _verdict(run, "passage_tokens_fraction", max=0.2, per_source=True)
    assert (most.passed, most.value, most.words) == (
        False,
        0.5,
        "0.5 in 'b', the worst of 2 sources that fail, of 3",
    )
    least = _verdict(run, "raw_repeated_tokens_fraction", min=0.2, per_source=True)
    assert (least.passed, least.value, least.words) == (False, 0.1, "0.1 in 'a'")
    both = _verdict(run, "near_repeated_tokens_fraction", min=0.09, max=0.8, per_source=True)
    assert (both.passed, both.value, both.words) == (True, 0.1, "0.1 in 'a'")
    equal = _verdict(run, "exact_repeated_tokens_fraction", max=0.5, per_source=True)
    assert (equal.passed, equal.words) == (True, "0.5 in 'b'")


def test_share_of_a_source_is_over_its_licences(tmp_path: Path) -> None:
    # 1 of 3 tokens, 2 of 7, 0 of 10: 3 of 20 are on the limit.
    sources: list[Source] = [("a", "x", 3, 1 / 3), ("a", "y", 7, 2 / 7), ("a", None, 10, 0.0)]
    run = _with_sources(tmp_path, sources)
    verdict = _verdict(run, "passage_tokens_fraction", max=0.15, per_source=True)
    assert (verdict.passed, verdict.value) == (True, 0.15)
    assert not _verdict(run, "passage_tokens_fraction", max=0.1499, per_source=True).passed
    # As floats 1 / 49 * 49 is less than 1.
    rounded = _with_sources(tmp_path / "b", [("a", "x", 49, 1 / 49), ("a", None, 1, 0.0)])
    assert _verdict(rounded, "passage_tokens_fraction", max=1, per_source=True).value == 0.02


def test_documents_without_a_source_count_where_others_have_one(tmp_path: Path) -> None:
    run = _with_sources(tmp_path, [(None, None, 10, 0.9), ("a", None, 10, 0.1)])
    verdict = _verdict(run, "passage_tokens_fraction", max=0.2, per_source=True)
    assert (verdict.passed, verdict.words) == (False, "0.9 in documents without a source")


@pytest.mark.parametrize("sources", [[], [(None, None, 10, 0.0)], [("a", None, 0, 0.0)]])
def test_gate_per_source_fails_without_sources(tmp_path: Path, sources: list[Source]) -> None:
    verdict = _verdict(_with_sources(tmp_path, sources), "passage_tokens_fraction", max=1, per_source=True)
    assert (verdict.passed, verdict.value) == (False, None)
    assert verdict.words == "not defined: no document with tokens has a source"


def test_source_without_tokens_has_no_share(tmp_path: Path) -> None:
    run = _with_sources(tmp_path, [("a", None, 10, 0.5), ("empty", None, 0, 0.0)])
    assert _verdict(run, "passage_tokens_fraction", min=0.5, per_source=True).passed


def test_pair_of_sources_is_looked_up_in_either_order(tmp_path: Path) -> None:
    sources: list[Source] = [(name, None, 10, 0.0) for name in ("train", "test", "web")]
    pairs = (("exact", "train", "test", 3), ("near", "test", "train", 4), ("exact", "train", "web", 9))
    run = _with_sources(tmp_path, sources, pairs)
    for pair in (("train", "test"), ("test", "train")):
        verdict = _verdict(run, "cross_source_texts", between=pair, max=3)
        assert (verdict.passed, verdict.value) == (True, 3.0)
        assert verdict.words == f"3 between '{pair[0]}' and '{pair[1]}'"
        assert not _verdict(run, "cross_source_clusters", between=pair, max=3).passed
        assert _verdict(run, "cross_source_passages", between=pair, max=0).value == 0.0
    assert _verdict(run, "cross_source_texts", max=3).value == 7.0  # of all sources


def test_source_that_the_data_does_not_have_fails(tmp_path: Path) -> None:
    run = _with_sources(tmp_path, [("train", None, 10, 0.0), (None, None, 10, 0.0)])
    for pair, name in ((("train", "tset"), "tset"), (("None", "train"), "None")):
        verdict = _verdict(run, "cross_source_texts", between=pair, max=0)
        assert (verdict.passed, verdict.value) == (False, None)
        assert verdict.words == f"not defined: no document has the source '{name}'"


def test_source_whose_pairs_are_not_counted_fails(tmp_path: Path) -> None:
    # Of equal size the last by name is left out, though its licences come first.
    sources: list[Source] = [(f"s{i:03}", "x", 5, 0.0) for i in range(LARGEST + 1)]
    sources += [(f"s{i:03}", None, 5, 0.0) for i in range(LARGEST + 1)]
    sources.append((None, None, 10**6, 0.0))  # has no rank
    run = _with_sources(tmp_path, sources)
    assert _verdict(run, "cross_source_texts", between=("s000", f"s{LARGEST - 1}"), max=0).passed
    verdict = _verdict(run, "cross_source_texts", between=("s000", f"s{LARGEST}"), max=0)
    assert not verdict.passed
    assert verdict.words.startswith(f"not measured: source 's{LARGEST}' is not one of the {LARGEST} largest")


def test_pair_of_a_grain_that_was_not_looked_at_fails(tmp_path: Path) -> None:
    sources: list[Source] = [("a", None, 10, None), ("b", None, 10, None)]
    run = finished(tmp_path, {"cross_source_passages": None}, sources=sources)
    verdict = _verdict(run, "cross_source_passages", between=("a", "b"), max=0)
    assert (verdict.passed, verdict.words) == (False, "not defined for this run")


def test_hostile_names_are_printable_lines(tmp_path: Path) -> None:
    run = _with_sources(tmp_path / "a", [(HOSTILE, None, 10, 0.5), ("a" * 10**6, None, 10, 0.1)])
    gates = {
        "passage_tokens_fraction": GateConfig(max=0.1, per_source=True),
        "cross_source_texts": GateConfig(max=0, between=(HOSTILE, "a" * 10**6)),
        "cross_source_clusters": GateConfig(max=0, between=("\ud800", HOSTILE)),
        "worse_than_last": GateConfig(max_increase=0),
    }
    verdicts = check_gates(run, gates, finished(tmp_path / HOSTILE.replace("\x00", "/")[:9], FIGURES))
    lines = in_words(verdicts).split("\n")
    assert len(lines) == 5
    assert all(line.isprintable() and len(line) < 300 for line in lines)
    write_gates(run, verdicts)
    assert len(json.loads((run / "gates.json").read_text(encoding="utf-8"))["gates"]) == 4


@pytest.mark.parametrize("table", ["metrics", "sources", "source_overlap"])
def test_missing_or_damaged_table_is_an_error_that_names_it(tmp_path: Path, table: str) -> None:
    sources: list[Source] = [("a", None, 1, 0.0), ("b", None, 1, 0.0)]
    run = _with_sources(tmp_path, sources)
    path = run / "summary" / f"{table}.parquet"
    for damage in (path.unlink, lambda: path.write_bytes(b"PAR1")):
        damage()
        with pytest.raises(ArtifactError, match=f"(?s)missing or damaged.*{table}.parquet"):
            _verdict(run, "cross_source_texts", between=("a", "b"), max=0)


def test_table_of_an_earlier_version_is_an_error(tmp_path: Path) -> None:
    run = _with_sources(tmp_path, [("a", None, 1, 0.0)])
    pq.write_table(pa.table({"source": ["a"], "tokens": [1]}), run / "summary" / "sources.parquet")
    with pytest.raises(ArtifactError, match=r"(?s)another version.*no column near_repeated_tokens_fraction"):
        _verdict(run, "near_repeated_tokens_fraction", max=1, per_source=True)


def test_rise_equal_to_the_limit_passes(tmp_path: Path, run: Path) -> None:
    # As floats 0.3 - 0.29 is more than 0.01.
    before = finished(tmp_path / "monday", {**FIGURES, "near_surplus_fraction": 0.29})
    verdict = _verdict(run, "worse_than_last", before, max_increase=0.01)
    assert (verdict.passed, verdict.value) == (True, 0.01)
    assert verdict.words == "near_surplus_fraction rose by 0.01 (0.29 to 0.3) since run 'monday'"
    assert not _verdict(run, "worse_than_last", before, max_increase=0.00999).passed


@pytest.mark.parametrize("worse", WATCHED)
def test_any_figure_that_got_worse_fails(tmp_path: Path, run: Path, worse: str) -> None:
    before = finished(tmp_path / "monday", {**FIGURES, worse: round((FIGURES[worse] or 0) - 0.05, 2)})
    verdict = _verdict(run, "worse_than_last", before, max_increase=0.01)
    assert (verdict.passed, verdict.value) == (False, 0.05)
    assert verdict.words.startswith(f"{worse} rose by 0.05 (")


def test_all_figures_that_got_worse_are_told(tmp_path: Path, run: Path) -> None:
    before = finished(tmp_path / "monday", dict.fromkeys(FIGURES, 0.0))
    verdict = _verdict(run, "worse_than_last", before, max_increase=0.15)
    told = "near_surplus_fraction rose by 0.3 (0 to 0.3) and passage_repeated_tokens_fraction rose by 0.2"
    assert (verdict.passed, verdict.value) == (False, 0.3)
    assert verdict.words == f"{told} (0 to 0.2) since run 'monday'"


def test_figures_that_fell_or_stayed_pass(tmp_path: Path, run: Path) -> None:
    better = finished(tmp_path / "monday", dict.fromkeys(FIGURES, 0.5))
    verdict = _verdict(run, "worse_than_last", better, max_increase=0)
    words = "near_surplus_fraction fell by 0.2 (0.5 to 0.3) since run 'monday'"
    assert (verdict.passed, verdict.value, verdict.words) == (True, -0.2, words)
    words = "near_surplus_fraction did not change (0.3) since run 'tuesday'"
    assert _verdict(run, "worse_than_last", run, max_increase=0).words == words


def test_first_run_passes_and_says_so(run: Path) -> None:
    verdict = _verdict(run, "worse_than_last", max_increase=0)
    assert (verdict.passed, verdict.value) == (True, None)
    assert verdict.words == "no earlier run with the same definitions to compare with"


def test_rise_of_what_is_not_defined_fails(tmp_path: Path, run: Path) -> None:
    empty = finished(tmp_path / "empty", {**FIGURES, "exact_surplus_fraction": None})
    for now, before, which in ((empty, run, ""), (run, empty, " in run 'empty'")):
        verdict = _verdict(now, "worse_than_last", before, max_increase=1)
        words = f"exact_surplus_fraction{which}: not defined for this run"
        assert (verdict.passed, verdict.value, verdict.words) == (False, None, words)


def test_runs_that_do_not_look_for_passages_are_compared_without_them(tmp_path: Path) -> None:
    figures = {"near_surplus_fraction": 0.1, "exact_surplus_fraction": 0.1}
    one, other = (finished(tmp_path / name, figures) for name in "ab")
    assert _verdict(one, "worse_than_last", other, max_increase=0).passed


def test_any_metric_may_be_held_to_a_rise(tmp_path: Path, run: Path) -> None:
    before = finished(tmp_path / "monday", {**FIGURES, "documents": 1234500.0})
    verdict = _verdict(run, "documents", before, max=2e6, max_increase=66)
    assert (verdict.passed, verdict.limit) == (False, "at most 2,000,000, risen by at most 66")
    rose = "documents rose by 67 (1.2345e+06 to 1.23457e+06) since run 'monday'"
    assert verdict.words == f"1,234,567; {rose}"
    assert _verdict(run, "documents", before, max=2e6, max_increase=67).passed
    assert not _verdict(run, "documents", before, max=1e6, max_increase=67).passed


def test_earlier_run_is_the_last_before_with_the_same_definitions(tmp_path: Path) -> None:
    write_manifest(tmp_path / "z", 1)
    write_manifest(tmp_path / "b", 2)
    write_manifest(tmp_path / "near", 3, near={"threshold": 0.8})
    write_manifest(tmp_path / "passages", 4, passages={"min_tokens": 30})
    write_manifest(tmp_path / "now", 5, gates={"recall": {"min": 0.9}})
    write_manifest(tmp_path / "later", 6)
    (tmp_path / "latest").symlink_to("now")
    assert earlier_run(tmp_path / "now") == tmp_path / "b"
    assert earlier_run(tmp_path / "later") == tmp_path / "now"
    assert earlier_run(tmp_path / "b") == tmp_path / "z"
    assert earlier_run(tmp_path / "z") is None
    assert earlier_run(tmp_path / "near") is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("unicode_version", "1.0.0"),
        ("signature_scheme", None),
        ("table_versions", {}),
        ("table_versions", "damaged"),
        ("config", "damaged"),
        ("config", {}),
        ("format_version", 1),
    ],
)
def test_run_of_another_version_or_damaged_is_not_compared(tmp_path: Path, key: str, value: object) -> None:
    write_manifest(tmp_path / "a", 1)
    write_manifest(tmp_path / "now", 2)
    manifest = json.loads((tmp_path / "a" / "run.json").read_text())
    (tmp_path / "a" / "run.json").write_text(json.dumps({**manifest, key: value}))
    assert earlier_run(tmp_path / "now") is None
    (tmp_path / "a" / "run.json").write_text(json.dumps(manifest))
    assert earlier_run(tmp_path / "now") == tmp_path / "a"


SENSELESS = [
    ("recal", {"min": 0.9}, "recall"),
    (HOSTILE, {"min": 0.9}, "the name of a metric"),
    ("worse_than_last", {"max": 0.1}, "max_increase and nothing else"),
    ("worse_than_last", {"max": 0.1, "max_increase": 0.1}, "max_increase and nothing else"),
    ("surplus_documents_fraction", {"max": 1, "per_source": True}, "per_source only with raw_repeated"),
    ("recall", {"min": 0, "between": ("a", "b")}, "between only with cross_source_texts, "),
    ("cross_source_texts", {"max": 0, "between": ("a", "a")}, "two different sources in between"),
    ("cross_source_texts", {"max_increase": 0}, "max or min: between runs"),
    ("max_exposures", {"max_increase": 0}, "max or min: between runs"),
    ("passage_tokens_fraction", {"max_increase": 0, "per_source": True}, "max_increase without per_source"),
    ("recall", {"min": 0.9, "max": 0.8}, r"min at most max \(0.8\)"),
]


@pytest.mark.parametrize(("name", "limits", "need"), SENSELESS)
def test_gate_that_makes_no_sense_is_an_error(
    run: Path, name: str, limits: dict[str, Any], need: str
) -> None:
    with pytest.raises(ConfigError, match=need) as caught:
        _verdict(run, name, **limits)
    first, line = str(caught.value).split("\n")
    assert first == "1 problem(s) in the gates:"
    assert line.isprintable()


def test_all_senseless_gates_are_told_at_once(run: Path) -> None:
    gates = {name: GateConfig(max=1) for name in ("recal", "recall", "worse_than_last")}
    with pytest.raises(ConfigError, match=r"(?s)2 problem.*gates\.recal: .*gates\.worse_than_last: got"):
        check_gates(run, gates, None)


def test_every_name_is_known(run: Path) -> None:
    for name in NAMES:
        limits = {"max_increase": 0.0} if name == "worse_than_last" else {"max": 0.0}
        assert _verdict(run, name, **limits).gate == name


def test_verdicts_are_printed_in_their_order(run: Path) -> None:
    gates = {
        "recall": GateConfig(min=0.98),
        "documents": GateConfig(min=10, max=2_000_000),
        "surplus_documents_fraction": GateConfig(max=0.05),
    }
    assert in_words(check_gates(run, gates, None)).split("\n") == [
        "Gates: 2 of 3 failed.",
        "  FAILED  recall: not defined for this run (at least 0.98)",
        "  passed  documents: 1,234,567 (at least 10, at most 2,000,000)",
        "  FAILED  surplus_documents_fraction: 0.3 (at most 0.05)",
    ]
    assert in_words(check_gates(run, {"documents": gates["documents"]}, None)).startswith(
        "Gates: all 1 passed.\n  passed  "
    )
    assert in_words(check_gates(run, {}, None)) == "Gates: none configured."


def test_gates_are_written_with_their_figures(run: Path) -> None:
    gates = {"recall": GateConfig(min=0.98), "documents": GateConfig(min=10)}
    write_gates(run, check_gates(run, gates, None))
    written = (run / "gates.json").read_bytes()
    assert json.loads(written) == {
        "passed": False,
        "gates": [
            {
                "gate": "recall",
                "passed": False,
                "value": None,
                "limit": "at least 0.98",
                "words": "recall: not defined for this run (at least 0.98)",
            },
            {
                "gate": "documents",
                "passed": True,
                "value": 1234567.0,
                "limit": "at least 10",
                "words": "documents: 1,234,567 (at least 10)",
            },
        ],
    }
    write_gates(run, check_gates(run, gates, None))
    assert (run / "gates.json").read_bytes() == written
    write_gates(run, ())
    assert json.loads((run / "gates.json").read_bytes()) == {"passed": True, "gates": []}


def test_gates_of_the_example_are_known(run: Path) -> None:
    written = {
        "surplus_documents_fraction": {"max": 0.05},
        "passage_tokens_fraction": {"max": 0.10, "per_source": True},
        "cross_source_texts": {"between": ["train", "test"], "max": 0},
        "recall": {"min": 0.98},
        "rejected_fraction": {"max": 0.001},
        "worse_than_last": {"max_increase": 0.01},
    }
    gates = parse({"inputs": "data", "gates": written}).gates
    assert [verdict.gate for verdict in check_gates(run, gates, None)] == list(written)
