"""The configuration: what it takes, what it refuses, and in which words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from pipeline.config import Config, bands_for_recall, load, parse, parse_bytes, resolved
from pipeline.errors import EXIT_USAGE, ConfigError
from tests import oracles

AUDIT = Path(__file__).resolve().parents[1] / "configs" / "audit.yaml"


def _problems(tree: Mapping[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(tree)
    head, *problems = str(caught.value).splitlines()
    assert head == f"{len(problems)} problem(s) in the configuration:"
    assert all(line.startswith("  ") for line in problems)
    return [line[2:] for line in problems]


def _near(**keys: Any) -> Config:
    return parse({"inputs": "data", "near": keys})


# --- what is refused ------------------------------------------------------------------------------

# What is written over a good configuration, the key that is named, what it says is needed.
PROBLEMS = [
    ("inputs: []", "inputs", "at least one"),
    ("inputs: 5", "inputs", "a list"),
    ("inputs: [a, 3]", "inputs.1", "string"),
    ("format: xml", "format", "'auto', 'parquet', 'jsonl', 'csv', 'tsv', 'arrow' or 'text'"),
    ("on_bad_file: skip", "on_bad_file", "'error' or 'reject'"),
    ("text_column:", "text_column", "string"),
    ("max_rejected_fraction: 2", "max_rejected_fraction", "less than or equal to 1"),
    ("max_rejected_fraction: -1", "max_rejected_fraction", "greater than or equal to 0"),
    ("shard_bytes: lots", "shard_bytes", "a size such as 64MiB"),
    ("shard_bytes: '-1'", "shard_bytes", "a size such as 64MiB"),
    ("shard_bytes: '1e3'", "shard_bytes", "a size such as 64MiB"),
    ("shard_bytes: 1TB", "shard_bytes", "a size such as 64MiB"),
    ("shard_bytes: 0", "shard_bytes", "greater than or equal to 1"),
    ("near:", "near", "a section of keys and values"),
    ("near: {threshold: 0}", "near.threshold", "greater than 0"),
    ("near: {threshold: 1.01}", "near.threshold", "less than or equal to 1"),
    ("near: {threshold: .nan}", "near.threshold", "less than or equal to 1"),
    ("near: {threshold: high}", "near.threshold", "number, unable to parse string as a number"),
    ("near: {threshold: 0.6, floor: 0.7}", "near", "floor at most threshold (0.6)"),
    ("near: {floor: 0.8}", "near", "floor at most threshold (0.7)"),
    ("near: {shingle_tokens: 0}", "near.shingle_tokens", "greater than or equal to 1"),
    ("near: {permutations: 7}", "near.permutations", "greater than or equal to 8"),
    ("near: {seed: -1}", "near.seed", "greater than or equal to 0"),
    ("near: {seed: 4294967296}", "near.seed", "less than 4294967296"),
    ("near: {bands: 3}", "near", "bands and rows together"),
    ("near: {rows: 3}", "near", "bands and rows together"),
    ("near: {bands: 43, rows: 3}", "near", "bands * rows at most permutations (128)"),
    ("near: {recall: 0.9, rows: 4}", "near", "either recall, or bands and rows"),
    ("near: {recall: 1}", "near.recall", "less than 1"),
    (
        "near: {recall: 0.999999, permutations: 8}",
        "near",
        "a recall that 8 permutations reach at threshold 0.7",
    ),
    ("index: s3://bucket/index", "index", "a folder on a file system that all workers share, not a URL"),
    ("index: x/../audits/", "index", "a folder other than out"),
    ("source: web", "source", "a section of keys and values"),
    ("source: {}", "source", "exactly one of column and path"),
    ("source: {column: a, path: (b)}", "source", "exactly one of column and path"),
    ("source: {path: data/}", "source", "a path expression with one group in parentheses, not 0"),
    ("source: {path: (a)(b)}", "source", "a path expression with one group in parentheses, not 2"),
    (
        "source: {path: (a}",
        "source",
        "a regular expression in path (missing ), unterminated subpattern at position 0)",
    ),
    ("mixture: {epochs: {wikipedia: -1}}", "mixture.epochs.wikipedia", "greater than or equal to 0"),
    ("mixture: {epochs: {wikipedia: .nan}}", "mixture.epochs.wikipedia", "less than or equal to 1000000"),
    ("mixture: {epochs: {wikipedia: 1000001}}", "mixture.epochs.wikipedia", "less than or equal to 1000000"),
    (
        "mixture: {epochs: {wikipedia: often}}",
        "mixture.epochs.wikipedia",
        "number, unable to parse string as a number",
    ),
    ("mixture: {weights: {web: -1}}", "mixture.weights.web", "greater than or equal to 0"),
    ("mixture: {weights: {web: .inf}}", "mixture.weights.web", "a finite number"),
    ("mixture: {weights: {web: 0}}", "mixture", "weights that do not all vanish"),
    ("mixture: {weights: {}}", "mixture", "weights that do not all vanish"),
    ("mixture: {epochs: {a: 2}, weights: {b: 1}}", "mixture", "either epochs or weights"),
    ("mixture: web", "mixture", "a section of keys and values"),
    ("model: large", "model", "a section of keys and values"),
    ("model: {parameters: 0}", "model.parameters", "greater than 0"),
    ("model: {parameters: .inf}", "model.parameters", "a finite number"),
    ("model: {training_tokens: -1}", "model.training_tokens", "greater than 0"),
    ("model: {training_tokens: .nan}", "model.training_tokens", "a finite number"),
    ("model: {tokens_per_word: 0}", "model.tokens_per_word", "greater than 0"),
    ("model: {tokens_per_word: 101}", "model.tokens_per_word", "less than or equal to 100"),
    ("model: {curve: pile}", "model.curve", "'pile-neo' or 'inserted'"),
    ("cluster: remote", "cluster", "a section of keys and values"),
    ("cluster: {}", "cluster", "exactly one of local, address and class"),
    ("cluster: {local: , address: tcp://a:1}", "cluster", "exactly one of local, address and class"),
    ("cluster: {address: a, class: b.C}", "cluster", "exactly one of local, address and class"),
    ("cluster: {address: a, arguments: {n: 1}}", "cluster", "arguments and workers only beside class"),
    ("cluster: {local: {}, workers: 2}", "cluster", "arguments and workers only beside class"),
    ("cluster: {local: {workers: 0}}", "cluster.local.workers", "greater than or equal to 1"),
    ("cluster: {local: {memory: much}}", "cluster.local.memory", "a size such as 64MiB"),
    ("cluster: {class: 7}", "cluster.class", "string"),
]


@pytest.mark.parametrize(("written", "key", "need"), PROBLEMS, ids=[written for written, _, _ in PROBLEMS])
def test_problem_names_the_key_what_is_there_and_what_is_needed(written: str, key: str, need: str) -> None:
    value = tree = yaml.safe_load(written)
    for part in key.split("."):
        value = value[int(part) if part.isdigit() else part]
    got = "nothing" if value is None else repr(value)
    assert _problems({"inputs": "data"} | tree) == [f"{key}: got {got}, need {need}"]


@pytest.mark.parametrize(
    ("written", "key"), [("inputz: 1", "inputz"), ("near: {treshold: 1}", "near.treshold")]
)
def test_unknown_key_is_a_problem(written: str, key: str) -> None:
    need = "got an unknown key, need one of those in the example configuration"
    assert _problems({"inputs": "data"} | yaml.safe_load(written)) == [f"{key}: {need}"]


def test_key_that_is_no_name_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1: got 1, need a name"):
        _load(tmp_path, "inputs: a\n1: 2\n")


def test_missing_inputs_are_a_problem() -> None:
    assert _problems({}) == ["inputs: got nothing, need a value"]


def test_empty_location_is_refused() -> None:
    # An unset variable on a command line must not become the current folder.
    assert _problems({"inputs": ["data", ""]}) == ["inputs.1: got '', need at least one character"]


def test_all_problems_are_reported_at_once() -> None:
    found = _problems({
        "format": "xml",
        "shard_bytes": "lots",
        "colour": "red",
        "near": {"threshold": 2, "seed": -1},
        "source": {},
        "cluster": {"local": {"threads": 0}},
    })  # fmt: skip
    assert [line.split(":")[0] for line in found] == [
        "inputs",
        "format",
        "source",
        "shard_bytes",
        "near.threshold",
        "near.seed",
        "cluster.local.threads",
        "colour",
    ]


def test_long_values_are_cut_in_problems() -> None:
    (problem,) = _problems({"inputs": "data", "format": "x" * 10_000})
    assert len(problem) < 200


def test_configuration_problems_end_the_command_as_wrong_usage() -> None:
    assert ConfigError.exit_code == EXIT_USAGE


# --- files ----------------------------------------------------------------------------------------


def _load(folder: Path, text: str | bytes, **overrides: Any) -> Config:
    path = folder / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, overrides)


def test_file_is_read(tmp_path: Path) -> None:
    config = _load(
        tmp_path, "inputs: [a, b/*.jsonl]\nshard_bytes: 64MiB\nnear: {threshold: 0.8}\ncluster: local\n"
    )
    assert config.inputs == ("a", "b/*.jsonl")
    assert config.shard_bytes == 64 << 20
    assert config.near.threshold == 0.8
    assert config.near.floor == 0.5


def test_problems_of_a_file_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"2 problem(s) in {tmp_path / 'mine.yaml'}")):
        _load(tmp_path, "inputs: []\nformat: xml\n")


@pytest.mark.parametrize(
    "text",
    ["inputs: [a", "a: b: c", "inputs: !!python/object:os.system a", "\tinputs: a", "out: 2024-13-45"],
    ids=["unclosed", "two colons", "a Python object", "a tab", "no such day"],
)
def test_what_is_not_yaml_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{tmp_path / 'mine.yaml'} is not YAML: ")):
        _load(tmp_path, text)


@pytest.mark.parametrize(("text", "kind"), [("- a\n- b\n", "list"), ("just words", "str"), ("7", "int")])
def test_yaml_that_is_no_mapping_is_refused(tmp_path: Path, text: str, kind: str) -> None:
    with pytest.raises(ConfigError, match="does not hold a configuration") as caught:
        _load(tmp_path, text)
    assert caught.value.got == kind


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n"])
def test_empty_file_leaves_the_inputs_to_be_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="inputs: got nothing"):
        _load(tmp_path, text)
    assert _load(tmp_path, text, inputs=["x"]) == parse({"inputs": ["x"]})


def test_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        _load(tmp_path, "inputs: Größe".encode("latin-1"))


# --- overrides ------------------------------------------------------------------------------------


def test_overrides_are_merged_key_by_key(tmp_path: Path) -> None:
    text = "inputs: a\nout: there\nnear: {threshold: 0.8, floor: 0.6}\ncluster: {local: {workers: 2}}\n"
    config = _load(tmp_path, text, out="here", near={"threshold": 0.9}, cluster={"local": {"threads": 3}})
    assert config.out == "here"
    assert (config.near.threshold, config.near.floor) == (0.9, 0.6)
    assert config.cluster.local is not None
    assert (config.cluster.local.workers, config.cluster.local.threads) == (2, 3)


def test_override_replaces_a_list_and_a_section_of_another_kind(tmp_path: Path) -> None:
    config = _load(
        tmp_path, "inputs: [a, b]\ncluster: local\n", inputs=["c"], cluster={"address": "tcp://a:1"}
    )
    assert config.inputs == ("c",)
    assert config.cluster.address == "tcp://a:1"


def test_overrides_alone_are_a_configuration() -> None:
    assert load(None, {"inputs": ["a"]}) == parse({"inputs": "a"})
    with pytest.raises(ConfigError, match=r"1 problem\(s\) in the command line"):
        load(None)


def test_overrides_are_left_as_they_were(tmp_path: Path) -> None:
    overrides: dict[str, Any] = {"near": {"threshold": 0.9}}
    _load(tmp_path, "inputs: a\nnear: {floor: 0.6}", **overrides)
    assert overrides == {"near": {"threshold": 0.9}}


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (5, 5),
        ("5", 5),
        ("5B", 5),
        ("1k", 1000),
        ("1 KB", 1000),
        ("64MiB", 64 << 20),
        ("64 mib", 64 << 20),
        ("1.5 GB", 1_500_000_000),
        ("0.5Gi", 1 << 29),
        (".5M", 500_000),
        ("  7  ", 7),
    ],
)
def test_sizes_have_units(written: object, size: int) -> None:
    assert parse_bytes(written) == size
    assert parse({"inputs": "a", "shard_bytes": written}).shard_bytes == size


def test_one_input_needs_no_list() -> None:
    assert parse({"inputs": "data"}) == parse({"inputs": ["data"]})


def test_configuration_is_frozen() -> None:
    config = parse({"inputs": "data"})
    for section, key in ((config, "out"), (config.near, "threshold"), (config.cluster, "address")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, key, None)


@pytest.mark.parametrize("cluster", ["local", {"local": None}, {"local": {}}])
def test_local_cluster_may_be_said_in_short(cluster: object) -> None:
    assert parse({"inputs": "a", "cluster": cluster}) == parse({"inputs": "a"})


def test_cluster_is_local_or_at_an_address_or_of_a_class() -> None:
    local = parse(
        {"inputs": "a", "cluster": {"local": {"workers": 2, "memory": "2GiB", "processes": True}}}
    ).cluster
    assert local.local is not None
    assert (local.local.workers, local.local.memory, local.local.processes) == (2, 2 << 30, True)
    remote = parse({"inputs": "a", "cluster": {"address": "tcp://10.0.0.1:8786"}}).cluster
    assert (remote.local, remote.address, remote.class_name) == (None, "tcp://10.0.0.1:8786", None)
    made = {"class": "dask_jobqueue.SLURMCluster", "arguments": {"cores": 4, "queue": "long"}, "workers": 8}
    of_class = parse({"inputs": "a", "cluster": made}).cluster
    assert of_class.class_name == "dask_jobqueue.SLURMCluster"
    assert (of_class.arguments, of_class.workers) == ({"cores": 4, "queue": "long"}, 8)


# --- banding --------------------------------------------------------------------------------------


def test_banding_is_four_rows_of_all_permutations_by_default() -> None:
    assert _near().near.banding == (32, 4)
    assert _near(permutations=64).near.banding == (16, 4)
    assert _near(permutations=11).near.banding == (2, 4)


def test_banding_may_be_given() -> None:
    assert _near(bands=14, rows=8).near.banding == (14, 8)


def test_banding_may_follow_from_a_wanted_recall() -> None:
    config = _near(recall=0.99)
    assert config.near.banding == bands_for_recall(0.99, 0.7, 128)
    assert _near(recall=0.99, threshold=0.9).near.banding[1] > config.near.banding[1]


def _best_detection(threshold: float, permutations: int, rows: int) -> float:
    return oracles.detection_probability(threshold, permutations // rows, rows)


@given(st.floats(0.01, 0.9999), st.floats(0.05, 1.0), st.integers(8, 256))
@example(0.99, 0.7, 128)
@example(0.5, 0.5, 8)
@example(0.5, 1.0, 64)
def test_banding_reaches_the_recall_with_most_rows_and_fewest_bands(
    recall: float, threshold: float, permutations: int
) -> None:
    margin = 1e-9
    reached = [
        rows
        for rows in range(1, permutations + 1)
        if _best_detection(threshold, permutations, rows) >= recall + margin
    ]
    if (
        not reached
        and max(_best_detection(threshold, permutations, rows) for rows in (1, 2, 3)) < recall - margin
    ):
        with pytest.raises(ValueError, match=f"a recall that {permutations} permutations reach at threshold"):
            bands_for_recall(recall, threshold, permutations)
        return
    bands, rows = bands_for_recall(recall, threshold, permutations)
    assert bands * rows <= permutations
    assert rows >= max(reached, default=1)
    assert oracles.detection_probability(threshold, bands, rows) >= recall - margin
    assert bands == 1 or oracles.detection_probability(threshold, bands - 1, rows) < recall + margin


def test_resolved_configuration_says_the_banding_and_every_default() -> None:
    tree = resolved(_near(recall=0.9))
    assert (tree["near"]["bands"], tree["near"]["rows"]) == bands_for_recall(0.9, 0.7, 128)
    assert set(tree) == set(Config.model_fields)
    assert tree["cluster"]["class"] is None
    assert json.loads(json.dumps(tree)) == tree


def test_resolved_configuration_without_its_banding_is_a_configuration() -> None:
    tree = resolved(parse({"inputs": ["a"], "near": {"bands": 14, "rows": 8}, "shard_bytes": "1MiB"}))
    assert parse(tree).near.banding == (14, 8)
    assert resolved(parse(tree)) == tree


# --- the files in configs/ ------------------------------------------------------------------------


def _fields(model: type[BaseModel], above: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        place = above + (field.alias or name)
        yield place
        kinds = [field.annotation, *getattr(field.annotation, "__args__", ())]
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _fields(kind, place + ".")


def _documented(text: str) -> set[str]:
    """Keys of a YAML file with the sections they stand in; `# key:` counts as one, prose does not."""
    found, above = set(), list[tuple[int, str]]()
    for line in text.splitlines():
        match = re.match(r"([ #]*)([a-z_]+):( |$)", line)
        if match is not None:
            indent = len(re.sub("# ?", "", match[1]))
            above = [(depth, key) for depth, key in above if depth < indent] + [(indent, match[2])]
            found.add(".".join(key for _, key in above))
    return found


def test_keys_are_found_in_comments_and_out() -> None:
    text = """
# How it is done: prose is no key.
inputs: data
near:
  threshold: 0.7  # from 0 to 1
  # bands: 32
# source:
#   path: "(a)"
#   # column: source
"""
    assert _documented(text) == {
        "inputs",
        "near",
        "near.threshold",
        "near.bands",
        "source",
        "source.path",
        "source.column",
    }


def test_fields_are_found_in_sections() -> None:
    found = set(_fields(Config))
    assert {"inputs", "near.threshold", "source.path", "cluster.class", "cluster.local.memory"} <= found
    assert "cluster.class_name" not in found


def test_the_example_configuration_documents_every_key_and_no_other() -> None:
    documented = _documented(AUDIT.read_text(encoding="utf-8"))
    free = {key for key in documented if key.startswith(("cluster.arguments.", "gates."))}
    assert documented - free == {name for name in _fields(Config) if not name.startswith("gates.")}
