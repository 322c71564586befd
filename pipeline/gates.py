"""Gates: whether the figures of a finished run are within the limits its user has set.

A figure that is not defined, or was not looked for, fails its gate and says why: a gate that
nobody reads every day must not pass because there was nothing to see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipeline.artifacts import write_json
from pipeline.comparing.definitions import comparable
from pipeline.config import GateConfig, load, parse
from pipeline.errors import ArtifactError, ConfigError
from pipeline.figures import number
from pipeline.gate_figures import Figure, Metrics, figures_of, metric_of, metrics_of, quoted
from pipeline.gate_names import SHORT, WATCHED, WORSE, need
from pipeline.manifest import read_manifest
from pipeline.readers.wording import printable
from pipeline.runs import finished_runs


@dataclass(frozen=True)
class Verdict:
    """What became of a gate: the figure that decided it and its limit; all of it in words, too."""

    gate: str
    passed: bool
    value: float | None
    limit: str
    words: str


@dataclass(frozen=True)
class Checked:
    """The verdicts on all gates of a run."""

    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> bool:
        """Whether no gate failed."""
        return all(verdict.passed for verdict in self.verdicts)

    @property
    def words(self) -> str:
        """What is printed."""
        return in_words(self.verdicts)


@dataclass(frozen=True)
class _Judged:
    value: float | None
    passed: bool
    words: str


def check_run(run: Path, config: Path | None) -> Checked:
    """Check the gates of a finished run, its own or those of a configuration file, and write gates.json.

    Raises:
        ArtifactError: the folder is no finished run, or a table of it is missing or damaged.
        ConfigError: the file cannot be read, or a gate makes no sense.
    """
    run = run.resolve()  # a link such as `latest`
    manifest = read_manifest(run)
    # What is audited is not asked for: a file with nothing but gates is enough.
    others = {"inputs": [str(run)]}
    if config is None:
        gates = parse({**others, "gates": _own_gates(manifest, run)}, str(run / "run.json")).gates
    else:
        gates = load(config, others).gates
    verdicts = check_gates(run, gates, earlier_run(run))
    write_gates(run, verdicts)
    return Checked(verdicts)


def _own_gates(manifest: Mapping[str, Any], run: Path) -> object:
    config = manifest.get("config")
    if not isinstance(config, dict):
        raise ArtifactError(
            "the manifest is damaged", where=str(run / "run.json"), expected="config, with its keys"
        )
    return config.get("gates", {})  # runs of earlier versions have none


def earlier_run(run: Path) -> Path | None:
    """The last finished run beside this one that was made before it and measured the same way."""
    folders = [found.folder for found in finished_runs(run.parent)]
    before = folders[: folders.index(run)] if run in folders else []
    own = read_manifest(run)
    return next((folder for folder in reversed(before) if _measured_alike(folder, own, run)), None)


def _measured_alike(folder: Path, own: Mapping[str, Any], run: Path) -> bool:
    try:
        comparable(read_manifest(folder), own, run)
    except (ArtifactError, LookupError, TypeError, AttributeError):  # of other definitions, or damaged
        return False
    return True


def check_gates(run: Path, gates: Mapping[str, GateConfig], earlier: Path | None) -> tuple[Verdict, ...]:
    """The verdict on each gate, in their order.

    Args:
        run: folder of a finished run. earlier: the run before it that measured the same way.

    Raises:
        ArtifactError: a table that a gate needs is missing or damaged.
        ConfigError: a gate has an unknown name, or limits that make no sense for it.
    """
    _require_sense(gates)
    if not gates:
        return ()
    metrics = metrics_of(run)
    rising = any(gate.max_increase is not None for gate in gates.values())
    before = metrics_of(earlier) if rising and earlier is not None else None
    since = "" if earlier is None else quoted(earlier.name)
    return tuple(_verdict(name, gate, run, metrics, before, since) for name, gate in gates.items())


def _require_sense(gates: Mapping[str, GateConfig]) -> None:
    given = {name: gate.model_dump(exclude_defaults=True) for name, gate in gates.items()}
    needs = {name: need(name, limits) for name, limits in given.items()}
    problems = [
        f"  gates.{printable(name)}: got {printable(repr(given[name]))}, need {wanted}"
        for name, wanted in needs.items()
        if wanted is not None
    ]
    if problems:
        raise ConfigError(f"{len(problems)} problem(s) in the gates:\n" + "\n".join(problems))


def _verdict(
    name: str, gate: GateConfig, run: Path, metrics: Metrics, before: Metrics | None, since: str
) -> Verdict:
    judged = []
    if gate.max is not None or gate.min is not None:
        judged.append(_within(gate, figures_of(SHORT.get(name, name), gate, run, metrics)))
    if gate.max_increase is not None:
        names = _watched(metrics) if name == WORSE else (SHORT.get(name, name),)
        judged.append(_risen(names, gate.max_increase, metrics, before, since))
    limit, told = _limit(gate), "; ".join(part.words for part in judged)
    passed = all(part.passed for part in judged)
    return Verdict(name, passed, judged[0].value, limit, f"{name}: {told} ({limit})")


def _limit(gate: GateConfig) -> str:
    limits = (("at least", gate.min), ("at most", gate.max), ("risen by at most", gate.max_increase))
    return ", ".join(f"{words} {limit:,.15g}" for words, limit in limits if limit is not None)


def _within(gate: GateConfig, figures: Sequence[Figure]) -> _Judged:
    # Of several figures the one that is furthest beyond its limit, or nearest to it, decides.
    found = [(_beyond(gate, f.value), f.value, f.of) for f in figures if f.value is not None]
    if len(found) < len(figures):
        return _Judged(None, False, next(f.missing for f in figures if f.value is None))
    _, value, of = max(found, key=lambda figure: figure[0])
    failed = sum(beyond > 0 for beyond, *_ in found)
    shown = _shown(value, lambda value: _beyond(gate, value) <= 0)
    more = f", the worst of {failed:,} sources that fail, of {len(found):,}" if failed > 1 else ""
    return _Judged(value, not failed, f"{shown}{of}{more}")


def _beyond(gate: GateConfig, value: float) -> float:
    # How far beyond a limit a value is; 0 on it, negative within.
    below = () if gate.min is None else (gate.min - value,)
    above = () if gate.max is None else (value - gate.max,)
    return max(*below, *above) if below and above else (below + above)[0]


@dataclass(frozen=True)
class _Rise:
    # A figure of the earlier run and of this one.
    name: str
    then: float
    now: float

    @property
    def by(self) -> Decimal:
        # By decimals: from 0.3 to 0.31 is 0.01 and not a little more.
        return Decimal(repr(self.now)) - Decimal(repr(self.then))

    def words(self, limit: Decimal) -> str:
        size = abs(self.by)
        shown = _shown(float(size), lambda value: Decimal(repr(value)) <= limit)
        verb = "rose" if self.by > 0 else "fell"
        if not size:
            return f"{self.name} did not change ({self.now:,.6g})"
        return f"{self.name} {verb} by {shown} ({self.then:,.6g} to {self.now:,.6g})"


def _risen(names: Sequence[str], most: float, now: Metrics, before: Metrics | None, since: str) -> _Judged:
    if before is None:
        return _Judged(None, True, "no earlier run with the same definitions to compare with")
    rises, limit = [], Decimal(repr(most))
    for name in names:
        one, other = metric_of(now, name), metric_of(before, name)
        if one.value is None:
            return _Judged(None, False, f"{name}: {one.missing}")
        if other.value is None:
            return _Judged(None, False, f"{name} in run {since}: {other.missing}")
        rises.append(_Rise(name, other.value, one.value))
    worst = max(rises, key=lambda rise: rise.by)
    told = [rise for rise in rises if rise.by > limit] or [worst]
    words = " and ".join(rise.words(limit) for rise in told)
    return _Judged(float(worst.by), worst.by <= limit, f"{words} since run {since}")


def _watched(metrics: Metrics) -> tuple[str, ...]:
    # A run that does not look for passages is compared with others that do not.
    return tuple(name for name in WATCHED if "passages" in metrics or "passage" not in name)


def _shown(value: float, inside: Callable[[float], bool]) -> str:
    # Short, unless the rounded number is on the other side of the limit than the number itself.
    short = number(value)
    return short if inside(float(short.replace(",", ""))) == inside(value) else repr(value)


def write_gates(run: Path, verdicts: Sequence[Verdict]) -> None:
    """Write the verdicts on a run into its folder, as gates.json."""
    passed = all(verdict.passed for verdict in verdicts)
    gates = [asdict(verdict) for verdict in verdicts]
    write_json({"passed": passed, "gates": gates}, run / "gates.json")


def in_words(verdicts: Sequence[Verdict]) -> str:
    """What is printed of verdicts: how many failed, then a line each."""
    if not verdicts:
        return "Gates: none configured."
    failed = sum(not verdict.passed for verdict in verdicts)
    told = f"{failed:,} of {len(verdicts):,} failed" if failed else f"all {len(verdicts):,} passed"
    lines = [f"  {'passed' if verdict.passed else 'FAILED'}  {verdict.words}" for verdict in verdicts]
    return "\n".join([f"Gates: {told}.", *lines])
