"""Compares this project's audit with other tools, side by side on the same documents.

For each data set one table, one row a tool. The tools run in turns (A B C A B C ...), each time
first on next to no documents, which is the start-up, then on the documents; a figure is the median.
Speed and ratios are of the time beyond the start-up, medians again. Every tool has run before it is
first measured, and its input has been read, so all start with warm caches. Memory is the peak of
the whole process tree, see measure.py; what recall and precision mean, see score.py.

Repeated passages have tables of their own, beside suffix arrays of the same text, see passages.py; one
more tells how time and memory grow with the text, and one what an audit costs that finds an index.

Examples:
  python tests/bench/bench.py --quick
  python tests/bench/bench.py --sets python-code-part --tools dupaudit rensa --json part.json
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from figures import figures_of
from goals import goals_of
from incremental import DATA_SET as NIGHTS_DATA_SET
from incremental import measure_nights, nights_goals, nights_lines
from kept_truth import truth_of
from machine import cores, machine_facts, machine_lines
from passage_goals import passage_goals, scaling_goals
from passages import MEANING as PASSAGES_MEANING
from passages import agreement_of_trials, cost_lines, passage_figures_of, passage_table
from plan import PLANS, Extent, Plan, entries_of
from record import Record
from scaling import DATA_SET as SCALING_DATA_SET
from scaling import scaling_entries
from sets import Documents, read_documents
from table import MEANING, goal_line, note, processes_lines, table, truth_line
from tools import OURS, OURS_ONE_CORE, SUFFIX_ARRAY_TOKENS, TOOLS
from trials import Place, Trial, compare
from truth import Truth
from warm_start import measure_warm_start, warm_start_goals, warm_start_lines

REPOSITORY = Path(__file__).resolve().parents[2]
WARM_START_SET = "spdx-licences"
SCALING, NIGHTS = "scaling", "nights"
SETS = (*(plan.name for plan in PLANS), SCALING, NIGHTS, WARM_START_SET)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what was asked for, print a table as soon as it is complete."""
    given = parser().parse_args(arguments)
    given.work.mkdir(parents=True, exist_ok=True)
    place = Place(given.work, cores(), given.peers_python)
    facts = machine_facts(given.peers_python)
    record = Record(given.json, facts)
    print(machine_lines(facts))
    if given.quick:
        print("Quick: tiny parts, to see that everything runs. Its speeds, ratios and goals mean nothing.")
    for plan in PLANS:
        if plan.name in given.sets:
            (_passages if plan.passages else _table)(plan, given, place, record)
    if SCALING in given.sets:
        _scaling(given, place, record)
    if NIGHTS in given.sets:
        _nights(given, place, record)
    if WARM_START_SET in given.sets:
        _warm_start(given, place, record)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    described = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    option = described.add_argument
    data, python = REPOSITORY.parent / "shared" / "data", REPOSITORY / ".venv-peers" / "bin" / "python"
    option("--data", type=_absolute, default=data, metavar="DIR", help="folder of the data sets")
    option("--sets", nargs="+", choices=SETS, default=SETS, metavar="SET", help=", ".join(SETS))
    option("--tools", nargs="+", choices=TOOLS, default=[*TOOLS], metavar="TOOL", help=", ".join(TOOLS))
    option("--runs", type=_positive, metavar="N", help="measured runs of each tool, 3, or 1 with --quick")
    option("--quick", action="store_true", help="a few megabytes of each set, to see that everything runs")
    option("--all", action="store_true", help="slow tools on debian-docs and eltec-novels, truth of all sets")
    option("--peers-python", type=_absolute, default=python, metavar="FILE", help="the peers' interpreter")
    option("--work", type=_absolute, default=_default_work(), metavar="DIR", help="parts, truths and scratch")
    option("--json", type=_absolute, metavar="FILE", help="write all raw measurements there")
    return described


def _absolute(text: str) -> Path:
    # Tools run in other folders. Not resolved: the link to an interpreter says which environment it is of.
    return Path(text).absolute()


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text}, need a whole number from 1")
    return int(text)


def _default_work() -> Path:
    return Path(tempfile.gettempdir()) / f"dupaudit-bench-{os.getuid()}"


def _runs(given: argparse.Namespace) -> int:
    runs: int = given.runs or (1 if given.quick else 3)
    return runs


def _table(plan: Plan, given: argparse.Namespace, place: Place, record: Record) -> None:
    print(f"\n{plan.name}", flush=True)
    trials = _trials(plan, given, place)
    if not trials:
        return
    truths = _truths(trials, place.work) if plan.truth or given.all else {}
    rows = [figures_of(trial, place.cores, truths.get(trial.entry.documents)) for trial in trials]
    by_tool = {row.tool: row for row in rows}
    goals = goals_of(plan.name, by_tool)
    lines = [table(rows, by_tool.get(OURS))]
    lines += [truth_line(documents.name, truth) for documents, truth in truths.items()]
    lines += processes_lines(by_tool)
    lines += ["Goals:", *map(goal_line, goals), MEANING]
    lines += [note(trial.entry.tool) for trial in trials]
    print("\n".join(lines), flush=True)
    record.add_table(plan.name, trials, rows, goals)


def _trials(plan: Plan, given: argparse.Namespace, place: Place) -> list[Trial]:
    entries = entries_of(plan, given.data, given.tools, Extent(given.quick, given.all), place.work)
    if entries:
        return compare(plan.name, entries, _runs(given), place)
    absent = f"no Parquet files in {given.data / plan.data_set}"
    print(f"  skipped: {absent if entries is None else 'no tool to run on it'}")
    return []


def _passages(plan: Plan, given: argparse.Namespace, place: Place, record: Record) -> None:
    print(f"\n{plan.name}", flush=True)
    trials = _trials(plan, given, place)
    if not trials:
        return
    rows = [passage_figures_of(trial, place.cores) for trial in trials]
    by_tool = {row.tool: row for row in rows}
    compared = {OURS_ONE_CORE, SUFFIX_ARRAY_TOKENS} <= set(by_tool)
    goals = passage_goals(plan.name, by_tool, agreement_of_trials(trials), compared=compared)
    lines = [passage_table(rows), *cost_lines(by_tool), "Goals:", *map(goal_line, goals), PASSAGES_MEANING]
    lines += [note(trial.entry.tool) for trial in trials]
    print("\n".join(lines), flush=True)
    record.add_table(plan.name, trials, rows, goals)


def _scaling(given: argparse.Namespace, place: Place, record: Record) -> None:
    print(f"\n{SCALING}: {SCALING_DATA_SET}, above its size with copies of other words", flush=True)
    entries = scaling_entries(given.data, Extent(given.quick, given.all), place.work)
    if entries is None:
        print(f"  skipped: no Parquet files in {given.data / SCALING_DATA_SET}")
        return
    trials = compare(SCALING, entries, _runs(given), place)
    rows = [passage_figures_of(trial, place.cores) for trial in trials]
    goals = scaling_goals(rows)
    print("\n".join([passage_table(rows), "Goals:", *map(goal_line, goals)]), flush=True)
    record.add_table(SCALING, trials, rows, goals)


def _nights(given: argparse.Namespace, place: Place, record: Record) -> None:
    print(f"\n{NIGHTS}: {NIGHTS_DATA_SET} with an index, 1 % of it new", flush=True)
    nights = measure_nights(given.data, _runs(given), given.quick, place)
    if nights is None:
        print(f"  skipped: no Parquet files in {given.data / NIGHTS_DATA_SET}")
        return
    goals = nights_goals(nights)
    print("\n".join([*nights_lines(nights), "Goals:", *map(goal_line, goals)]), flush=True)
    record.add_nights(nights, goals)


def _truths(trials: Sequence[Trial], work: Path) -> dict[Documents, Truth | None]:
    # Documents are equal if they are the same object: a computed truth is found on disk.
    answered = dict.fromkeys(trial.entry.documents for trial in trials if not trial.failure)
    return {documents: truth_of(documents, work) for documents in answered}


def _warm_start(given: argparse.Namespace, place: Place, record: Record) -> None:
    print(f"\nwarm start: {WARM_START_SET}, whole process", flush=True)
    documents = read_documents(WARM_START_SET, given.data / WARM_START_SET)
    if documents is None:
        print(f"  skipped: no Parquet files in {given.data / WARM_START_SET}")
        return
    start = measure_warm_start(documents, _runs(given), place)
    goals = warm_start_goals(start)
    print("\n".join([*warm_start_lines(start), "Goals:", *map(goal_line, goals)]), flush=True)
    record.add_warm_start(start.runs, start.failure, goals)


if __name__ == "__main__":
    main()
