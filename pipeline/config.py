"""The configuration of a run: one frozen tree, from one YAML file plus overrides."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pipeline.errors import ConfigError
from pipeline.gate_names import need

FORMATS = ("parquet", "jsonl", "csv", "tsv", "arrow", "text")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def parse_bytes(value: object) -> object:
    """`64MiB`, `1.5 GB` or a number, as bytes."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([kmg]i?)?b?\s*", value.lower())
    if match is None:
        raise ValueError("a size such as 64MiB")
    return int(float(match[1]) * _UNITS[match[2] or ""])


Bytes = Annotated[int, BeforeValidator(parse_bytes)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceConfig(_Section):
    """Where a document's source comes from: a column, or a regular expression over its path."""

    column: str | None = None
    path: str | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> SourceConfig:
        if (self.column is None) == (self.path is None):
            raise ValueError("exactly one of column and path")
        if self.path is not None:
            try:
                groups = re.compile(self.path).groups
            except re.error as error:
                raise ValueError(f"a regular expression in path ({error})") from None
            if groups != 1:
                raise ValueError(f"a path expression with one group in parentheses, not {groups}")
        return self


class NearConfig(_Section):
    """The near grain: what counts as near, and how candidates are found."""

    threshold: float = Field(0.7, gt=0, le=1)
    floor: float = Field(0.5, gt=0, le=1)
    shingle_tokens: int = Field(5, ge=1, le=100)
    permutations: int = Field(128, ge=8, le=1024)
    seed: int = Field(1, ge=0, lt=2**32)
    bands: int | None = Field(None, ge=1)
    rows: int | None = Field(None, ge=1)
    recall: float | None = Field(None, gt=0, lt=1)

    @model_validator(mode="after")
    def _consistent(self) -> NearConfig:
        if self.floor > self.threshold:
            raise ValueError(f"floor at most threshold ({self.threshold})")
        if self.recall is not None and (self.bands is not None or self.rows is not None):
            raise ValueError("either recall, or bands and rows")
        if (self.bands is None) != (self.rows is None):
            raise ValueError("bands and rows together")
        if self.bands is not None and self.rows is not None and self.bands * self.rows > self.permutations:
            raise ValueError(f"bands * rows at most permutations ({self.permutations})")
        if self.recall is not None:
            bands_for_recall(self.recall, self.threshold, self.permutations)
        return self

    @property
    def banding(self) -> tuple[int, int]:
        """(bands, rows): as given, else for the wanted recall, else 4 rows and all permutations."""
        if self.bands is not None and self.rows is not None:
            return self.bands, self.rows
        if self.recall is not None:
            return bands_for_recall(self.recall, self.threshold, self.permutations)
        return self.permutations // 4, 4


def bands_for_recall(recall: float, threshold: float, permutations: int) -> tuple[int, int]:
    """The banding that finds a pair at `threshold` with probability at least `recall`.

    Of all that do, the one with most rows (fewest false candidates), then fewest bands.

    Raises:
        ValueError: no banding of that many permutations reaches it.
    """
    for rows in range(permutations, 0, -1):
        hit = threshold**rows
        bands = (
            1 if hit >= recall else math.ceil(math.log1p(-recall) / math.log1p(-hit)) if hit > 1e-12 else 0
        )
        if bands and bands * rows <= permutations:
            return bands, rows
    raise ValueError(f"a recall that {permutations} permutations reach at threshold {threshold}")


class PassagesConfig(_Section):
    """The passage grain: runs of at least `min_tokens` tokens that occur twice or more."""

    enabled: bool = True
    min_tokens: int = Field(25, ge=8, le=1000)


class MixtureConfig(_Section):
    """How often training shows each source: by epochs (1 where nothing is said), or by the share of
    the training tokens that is drawn from it. `mixture: {wikipedia: 3}` is short for epochs."""

    epochs: dict[str, Annotated[float, Field(ge=0, le=1e6)]] = Field(default_factory=dict)
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        # A source may be called `epochs` or `weights`: what stands under these keys tells.
        if isinstance(value, Mapping) and not any(
            isinstance(value.get(key), Mapping) for key in ("epochs", "weights")
        ):
            return {"epochs": dict(value)}
        return value

    @model_validator(mode="after")
    def _one_of_two(self) -> MixtureConfig:
        if self.weights is not None:
            if self.epochs:
                raise ValueError("either epochs or weights")
            if not sum(self.weights.values()) > 0:
                raise ValueError("weights that do not all vanish")
        return self


class ModelConfig(_Section):
    """The model that the data is for, and which published curve to show beside the evidence."""

    parameters: float | None = Field(None, gt=0, allow_inf_nan=False)
    training_tokens: float | None = Field(None, gt=0, allow_inf_nan=False)
    tokens_per_word: float = Field(2.0, gt=0, le=100)
    curve: Literal["pile-neo", "inserted"] | None = None


class GateConfig(_Section):
    """What a figure may be: at least `min`, at most `max`, or risen by at most `max_increase`."""

    max: float | None = Field(None, allow_inf_nan=False)
    min: float | None = Field(None, allow_inf_nan=False)
    max_increase: float | None = Field(None, ge=0, allow_inf_nan=False)
    per_source: bool = False
    between: tuple[str, str] | None = None

    @model_validator(mode="after")
    def _some_limit(self) -> GateConfig:
        if self.max is None and self.min is None and self.max_increase is None:
            raise ValueError("a limit: max, min or max_increase")
        return self


class LocalConfig(_Section):
    """A cluster on this machine.

    Threads of one worker by default, one a core; with `processes`, a process a core instead.
    `memory` limits each process.
    """

    workers: int | None = Field(None, ge=1)
    threads: int | None = Field(None, ge=1)
    memory: Bytes | None = Field(None, ge=1)
    processes: bool = False


class ClusterConfig(_Section):
    """Where Dask runs: on this machine, at an address, or on a cluster made by a class."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    local: LocalConfig | None = None
    address: str | None = None
    class_name: str | None = Field(None, alias="class")
    arguments: dict[str, Any] = Field(default_factory=dict)
    workers: int | None = Field(None, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _local_by_name(cls, value: object) -> object:
        if value == "local":
            return {"local": {}}
        if isinstance(value, Mapping) and "local" in value and value["local"] is None:
            return {**value, "local": {}}
        return value

    @model_validator(mode="after")
    def _one_of_three(self) -> ClusterConfig:
        if sum(kind is not None for kind in (self.local, self.address, self.class_name)) != 1:
            raise ValueError("exactly one of local, address and class")
        if self.class_name is None and (self.arguments or self.workers is not None):
            raise ValueError("arguments and workers only beside class")
        return self


class _WrongGates(ValueError):
    # What each gate that makes no sense needs, by its name.
    def __init__(self, needs: Mapping[str, str]) -> None:
        self.needs = needs
        super().__init__("; ".join(needs.values()))


class Config(_Section):
    """Everything a run depends on."""

    inputs: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1)
    format: Literal["auto", "parquet", "jsonl", "csv", "tsv", "arrow", "text"] = "auto"
    text_column: str = "text"
    id_column: str | None = None
    source: SourceConfig | None = None
    licence_column: str | None = None
    out: str = "audits"
    shard_bytes: Bytes = Field(32 * 2**20, ge=1)
    on_bad_file: Literal["error", "reject"] = "error"
    max_rejected_fraction: float = Field(0.5, ge=0, le=1)
    index: str | None = None
    index_mismatch: Literal["error", "rebuild"] = "error"
    fingerprint: Literal["edges", "full"] = "edges"
    near: NearConfig = NearConfig()
    passages: PassagesConfig = PassagesConfig()
    mixture: MixtureConfig = MixtureConfig()
    model: ModelConfig = Field(ModelConfig(), validate_default=True)
    gates: dict[str, GateConfig] = Field(default_factory=dict)
    metrics_file: str | None = None
    on_failure: tuple[str, ...] = ()
    cluster: ClusterConfig = ClusterConfig(local=LocalConfig())

    @field_validator("gates")
    @classmethod
    def _that_make_sense(cls, value: dict[str, GateConfig]) -> dict[str, GateConfig]:
        needs = {name: need(name, gate.model_dump(exclude_defaults=True)) for name, gate in value.items()}
        wrong = {name: words for name, words in needs.items() if words is not None}
        if wrong:
            raise _WrongGates(wrong)
        return value

    @field_validator("out", "index")
    @classmethod
    def _a_folder(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and ("://" in value or not value):
            raise ValueError("a folder on a file system that all workers share, not a URL")
        if "out" in info.data and value and Path(value).resolve() == Path(info.data["out"]).resolve():
            raise ValueError("a folder other than out")
        return value

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        tree = dict(value)
        if isinstance(tree.get("inputs"), str):
            tree["inputs"] = [tree["inputs"]]
        if "source_column" in tree:
            if tree.get("source") is not None:
                raise ValueError("source or source_column, not both")
            tree["source"] = {"column": tree.pop("source_column")}
        return tree

    @property
    def labelled(self) -> bool:
        """Whether documents have sources or licences."""
        return self.source is not None or self.licence_column is not None

    # A field is checked with those before it; one that is wrong itself is not among them.
    @field_validator("mixture")
    @classmethod
    def _of_known_sources(cls, value: MixtureConfig, info: ValidationInfo) -> MixtureConfig:
        if (value.epochs or value.weights) and info.data.get("source", ...) is None:
            raise ValueError("a source or source_column besides, to know which documents are meant")
        return value

    @field_validator("model")
    @classmethod
    def _weighed_by_tokens(cls, value: ModelConfig, info: ValidationInfo) -> ModelConfig:
        mixture = info.data.get("mixture")
        if mixture is not None and mixture.weights is not None and value.training_tokens is None:
            raise ValueError("training_tokens, so that mixture.weights become epochs")
        return value


# Where pydantic speaks of its own types.
_NEEDS = {
    "invalid_key": "a name",
    "model_type": "a section of keys and values",
    "string_too_short": "at least one character",
    "too_short": "at least one",
    "tuple_type": "a list",
}


def _got(value: object) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_unset=True) or None
    return "nothing" if value is None else repr(value)[:80]


def _problem(error: Mapping[str, Any]) -> str:
    place = ".".join("class" if part == "class_name" else str(part) for part in error["loc"]) or "config"
    if error["type"] == "extra_forbidden":
        return f"{place}: got an unknown key, need one of those in the example configuration"
    if error["type"] == "missing":
        return f"{place}: got nothing, need a value"
    need = error["msg"]
    for start in ("Value error, ", "Input should be ", "a valid "):
        need = need.removeprefix(start)
    need = _NEEDS.get(error["type"], need)
    return f"{place}: got {_got(error['input'])}, need {need}"


def _problems(error: Mapping[str, Any]) -> list[str]:
    reason = error.get("ctx", {}).get("error")
    if not isinstance(reason, _WrongGates):
        return [_problem(error)]
    return [
        f"gates.{name if name.isprintable() else repr(name)}: got {_got(error['input'][name])}, need {words}"
        for name, words in reason.needs.items()
    ]


def parse(tree: Mapping[str, Any], where: str = "the configuration") -> Config:
    """A checked configuration.

    Raises:
        ConfigError: all problems at once, each as `section.key: got X, need Y`.
    """
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        problems = [words for problem in error.errors() for words in _problems(problem)]
        lines = "".join(f"\n  {words}" for words in problems)
        raise ConfigError(f"{len(problems)} problem(s) in {where}:{lines}") from None


def _merge(tree: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in overrides.items():
        below = tree.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping):
            tree[key] = _merge(dict(below), value)
        else:
            tree[key] = value
    return tree


def load(path: str | Path | None, overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration in a YAML file (none: all defaults), with overrides merged over it.

    Raises:
        ConfigError: the file cannot be read, is not a YAML mapping, or holds problems.
    """
    tree: object = {}
    where = "the command line" if path is None else str(path)
    if path is not None:
        try:
            tree = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"cannot read the configuration {path}: {error}", fix="name another file"
            ) from None
        except (yaml.YAMLError, ValueError) as error:  # a date such as 2024-13-01 is a ValueError
            raise ConfigError(f"{path} is not YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(
            f"{path} does not hold a configuration",
            got=type(tree).__name__,
            expected="keys with values, as in configs/audit.yaml",
        )
    return parse(_merge(dict(tree), overrides or {}), where)


def resolved(config: Config) -> dict[str, Any]:
    """The configuration as plain values, defaults included, as run.json keeps it."""
    tree = config.model_dump(mode="json", by_alias=True)
    tree["near"]["bands"], tree["near"]["rows"] = config.near.banding
    return tree
