"""The command line.

Heavy imports happen inside the commands, so that help answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.errors import EXIT_GATE, AuditError, ConfigError

F = TypeVar("F", bound=Callable[..., Any])


class _Command(click.Command):
    """A command whose errors are messages and whose help ends with its example as written."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AuditError as error:
            click.echo(f"dupaudit: {error}", err=True)
            ctx.exit(error.exit_code)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_example(self.epilog, formatter)


class _Group(click.Group):
    command_class = _Command

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_example(self.epilog, formatter)


def _write_example(epilog: str | None, formatter: click.HelpFormatter) -> None:
    formatter.write_paragraph()
    for line in (epilog or "").splitlines():
        formatter.write(f"{line}\n")


def _run_argument(command: F) -> F:
    return click.argument("run", required=False, type=click.Path(path_type=Path))(command)


@click.group(
    cls=_Group,
    epilog="Example:\n  dupaudit run data/*.parquet --id-column id\n  dupaudit show",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(None, "--version", package_name="dupaudit", message="%(prog)s %(version)s")
def main() -> None:
    """Audit the repetition in training data: how often each document occurs, where, and how sure
    that is.

    Exit codes: 0 fine, 1 failure, 2 wrong usage or configuration, 3 a gate failed, 75 another run
    holds the lock.
    """


@main.command(
    epilog="""Examples:
  dupaudit run data/ --out audits/
  dupaudit run 's3://bucket/*.jsonl.zst' --text-column content --id-column id
  dupaudit run src/ --format text --source-path 'src/([^/]+)' --name monday
  dupaudit run --config configs/audit.yaml --set near.threshold=0.8""",
)
@click.argument("data", nargs=-1)
@click.option("--config", type=click.Path(path_type=Path), help="YAML file; what is given here goes over it.")
@click.option("--out", help="Folder the run's folder is made in.  [default: audits]")
@click.option("--name", help="Name of the run.  [default: the UTC time]")
@click.option("--format", "format_", help="auto, parquet, jsonl, csv, tsv, arrow or text.  [default: auto]")
@click.option("--text-column", help="Column or field that holds the text.  [default: text]")
@click.option("--id-column", help="Your own identifier, carried through.")
@click.option("--source-column", help="Where a document comes from.")
@click.option(
    "--source-path", metavar="REGEX", help="The same, from the file's path: the group in parentheses."
)
@click.option("--licence-column", help="The document's licence.")
@click.option("--threshold", type=float, help="Jaccard from which two texts are near.  [default: 0.7]")
@click.option("--workers", type=int, help="Threads (or processes) on this machine.  [default: one a core]")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any other key, such as near.floor=0.4."
)
@click.option("--quiet", is_flag=True, help="No progress, only the summary.")
@click.option("--log-json", is_flag=True, help="Progress as JSON Lines, as it is where no terminal is.")
def run(
    data: tuple[str, ...],
    config: Path | None,
    name: str | None,
    quiet: bool,
    log_json: bool,
    **options: Any,
) -> None:
    """Audit files, folders or globs of DATA.

    They may be here or at any fsspec location. Reads Parquet, JSON Lines (plain, .gz, .zst, .bz2,
    .xz), CSV, TSV, Arrow and text files. Writes Parquet tables and a page (report.html) to OUT/NAME
    and prints a summary. The data is only read.
    """
    from pipeline.config import load

    loaded = load(config, _overrides(data, **options))
    from pipeline.gates import check_run
    from pipeline.progress import Progress
    from pipeline.run import run_audit
    from pipeline.show import summary
    from pipeline.watching import watched

    progress = Progress(quiet=quiet, log_json=log_json)
    with watched(loaded, progress) as watch:
        folder = run_audit(loaded, name, progress)
        click.echo(summary(folder, clusters=5))
        click.echo(f"Results: {folder}\nPage:    {folder / 'report.html'}")
        checked = check_run(folder, None) if loaded.gates else None
        if checked is not None:
            click.echo(checked.words)
        watch.finished(folder, checked.verdicts if checked is not None else ())
        if checked is not None and not checked.passed:
            sys.exit(EXIT_GATE)


def _overrides(data: tuple[str, ...], settings: tuple[str, ...], **options: Any) -> dict[str, Any]:
    tree: dict[str, Any] = {"inputs": list(data)} if data else {}
    for setting in settings:
        _put(tree, *_setting(setting))
    names = {"format_": "format", "threshold": "near.threshold", "workers": "cluster.local.workers"}
    for option, value in options.items():
        if value is None:
            continue
        if option in ("source_column", "source_path"):
            if "source" in tree:
                raise ConfigError("--source-column and --source-path exclude each other")
            tree["source"] = {option.removeprefix("source_"): value}
        elif option == "workers":
            tree["cluster"] = {"local": {"threads": value}}
        else:
            _put(tree, names.get(option, option), value)
    return tree


def _setting(setting: str) -> tuple[str, Any]:
    import yaml

    key, equals, value = setting.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {setting}", got=setting, expected="KEY=VALUE, such as near.floor=0.4")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        return key, value


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{key}: {section} is set to a value and to a section")
    tree[last] = value


@main.command(
    epilog="Examples:\n  dupaudit show audits/monday --clusters 20\n  dupaudit show audits/monday --passages"
)
@_run_argument
@click.option("--clusters", default=10, show_default=True, help="How many of the largest clusters to list.")
@click.option(
    "--passages",
    is_flag=False,
    flag_value=10,
    default=0,
    type=click.IntRange(min=0),
    metavar="[COUNT]",
    help="List passages, those with most occurrences x tokens first: 10, or as many as COUNT says."
    " Goes behind RUN.",
)
def show(run: Path | None, clusters: int, passages: int) -> None:
    """Print a RUN's headline numbers.

    Also its repeat histogram, largest clusters and, if asked for, passages. RUN is the folder of a
    run; without it, the newest in ./audits.
    """
    from pipeline.runs import newest_run
    from pipeline.show import summary

    click.echo(summary(run or newest_run(Path("audits")), clusters, passages))


@main.command(epilog="Example:\n  dupaudit calibrate audits/monday --sample 2000")
@_run_argument
@click.option("--sample", default=1000, show_default=True, help="Distinct texts to compare with everything.")
@click.option("--seed", default=0, show_default=True, help="Another seed draws another sample.")
@click.option("--quiet", is_flag=True, help="No progress, only the result.")
def calibrate(run: Path | None, sample: int, seed: int, quiet: bool) -> None:
    """Measure a RUN's recall on a sample.

    Compares a random sample of its texts exactly with the whole corpus. Reads the audited data
    again, which must not have changed. Prints the estimate the run made of itself beside the
    measurement.
    """
    from pipeline.calibrate import calibrate as measure
    from pipeline.progress import Progress
    from pipeline.runs import newest_run

    click.echo(measure(run or newest_run(Path("audits")), sample, seed, Progress(quiet=quiet)))


@main.command(epilog="Example:\n  dupaudit report audits/monday")
@_run_argument
@click.option("--out", type=click.Path(path_type=Path), help="File to write.  [default: report.html in RUN]")
def report(run: Path | None, out: Path | None) -> None:
    """Render a RUN's page again.

    From its tables alone. RUN is the folder of a run; without it, the newest in ./audits.
    """
    from pipeline.report.page import write_page
    from pipeline.runs import newest_run

    click.echo(write_page(run or newest_run(Path("audits")), out))


@main.command(
    epilog="""Examples:
  dupaudit prompts audits/monday --per-bin 100 > prompts.jsonl
  dupaudit prompts audits/monday --held-out unseen.jsonl --tokenizer tokenizer.json --out prompts.jsonl"""
)
@_run_argument
@click.option(
    "--per-bin", default=100, show_default=True, type=click.IntRange(min=1), help="Prompts a repeat bin."
)
@click.option(
    "--held-out",
    multiple=True,
    metavar="DATA",
    help="Files, folders or globs of text that was not trained on, for controls with count 0.",
)
@click.option(
    "--tokenizer",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A `tokenizers` JSON file: count the 50 + 50 tokens in it instead of the audit's.",
)
@click.option("--seed", default=0, show_default=True, help="Another seed draws other prompts.")
@click.option("--out", type=click.Path(path_type=Path), help="File to write.  [default: standard output]")
def prompts(
    run: Path | None,
    per_bin: int,
    held_out: tuple[str, ...],
    tokenizer: Path | None,
    seed: int,
    out: Path | None,
) -> None:
    """Export prompts that test memorization.

    The result is JSON Lines. Each has a prefix of 50 tokens, the 50 that follow it everywhere in
    RUN, how often and where they stand, and its repeat bin. Reads the audited data again, which
    must not have changed.
    """
    from pipeline.prompts import export_prompts
    from pipeline.runs import newest_run

    lines = export_prompts(run or newest_run(Path("audits")), per_bin, held_out, tokenizer, seed)
    with click.open_file(str(out or "-"), "w", encoding="utf-8", atomic=out is not None) as file:
        file.writelines(lines.lines)
    click.echo(lines.summary, err=True)


@main.command(
    epilog="""Examples:
  dupaudit keep audits/monday --policy cap:3
  dupaudit keep audits/monday --policy one-per-cluster --write deduplicated/"""
)
@_run_argument
@click.option("--policy", required=True, help="one-per-cluster, one-per-text, cap:K or drop-passages.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the keep list.  [default: RUN/keep/POLICY]"
)
@click.option(
    "--write", metavar="OUT", help="Also write the data set, less what is not kept, to this folder."
)
@click.option("--quiet", is_flag=True, help="No progress, only the result.")
def keep(run: Path | None, policy: str, out: Path | None, write: str | None, quiet: bool) -> None:
    """List what to keep of a RUN's data.

    Prints the numbers before and after. The list is Parquet: doc_id, uri, row, id, keep, reason.
    With --write the kept rows are written in the format and with the columns they came in. The
    audited data is only read.
    """
    from pipeline.keep import write_keep
    from pipeline.progress import Progress
    from pipeline.runs import newest_run

    click.echo(write_keep(run or newest_run(Path("audits")), policy, out, write, Progress(quiet=quiet)))


@main.command(epilog="Example:\n  dupaudit check audits/monday --config configs/audit.yaml")
@_run_argument
@click.option("--config", type=click.Path(path_type=Path), help="Take its gates, not those of the run.")
def check(run: Path | None, config: Path | None) -> None:
    """Check the gates of a RUN.

    Prints each gate's verdict, writes them to gates.json in RUN, and ends with exit code 3 if one
    failed. RUN is the folder of a run; without it, the newest in ./audits.
    """
    from pipeline.gates import check_run
    from pipeline.runs import newest_run

    verdicts = check_run(run or newest_run(Path("audits")), config)
    click.echo(verdicts.words)
    sys.exit(0 if verdicts.passed else EXIT_GATE)


@main.command(epilog="Examples:\n  dupaudit compare\n  dupaudit compare audits/monday audits/tuesday")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path), metavar="[RUN_A RUN_B]")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the tables.  [default: in RUN_B]")
@click.option(
    "--least",
    default=10,
    show_default=True,
    type=click.IntRange(min=2),
    help="Clusters and passages that occur so often are compared one by one.",
)
def compare(runs: tuple[Path, ...], out: Path | None, least: int) -> None:
    """Compare two runs.

    Tells what got better or worse from RUN_A to RUN_B, by figure, source and repeat bin, and which
    clusters and passages are new. Without runs, the last two in ./audits.
    """
    from pipeline.compare import compare_runs
    from pipeline.runs import finished_runs

    if len(runs) not in (0, 2):
        raise click.UsageError("name two runs, or none for the last two in ./audits")
    before, after = runs or [run.folder for run in finished_runs(Path("audits"), least=2)[-2:]]
    click.echo(compare_runs(before, after, out, least))


@main.command(epilog="Example:\n  dupaudit prune audits/ --keep 30 --dry-run")
@click.argument("out", default="audits", type=click.Path(path_type=Path))
@click.option(
    "--keep", default=30, show_default=True, type=click.IntRange(min=1), help="Newest runs to keep."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def prune(out: Path, keep: int, dry_run: bool) -> None:
    """Remove old runs.

    The newest stay, and so does what `latest` points at. Says how much space that frees.
    """
    from pipeline.runs import prune as remove

    click.echo(remove(out, keep, dry_run))


@main.command(
    epilog="""Examples:
  dupaudit cron --config configs/mine.yaml
  dupaudit cron --config configs/mine.yaml --part timer"""
)
@click.option("--config", required=True, type=click.Path(path_type=Path), help="What to audit.")
@click.option("--part", type=click.Choice(["crontab", "service", "timer"]), help="Print only this one.")
def cron(config: Path, part: str | None) -> None:
    """Print what audits every night.

    A crontab line, and a systemd service with its timer, either ready to install. The audit will run
    in the folder this is called in, with the dupaudit that is called.
    """
    from pipeline.config import load
    from pipeline.cron import Nightly, schedule

    load(config)
    program = Path(sys.executable).absolute().parent / "dupaudit"
    click.echo(schedule(Nightly(Path.cwd(), program, config.absolute()), part), nl=False)


@main.command(epilog="Example:\n  dupaudit schema --markdown > TABLES.md")
@click.option("--markdown", "style", flag_value="markdown", help="As Markdown tables.")
@click.option("--json", "style", flag_value="json", help="As JSON.")
def schema(style: str | None) -> None:
    """Print the columns of every table.

    With their types, units and meanings.
    """
    from pipeline import describing

    show = {"markdown": describing.markdown, "json": describing.as_json, None: describing.as_text}
    click.echo(show[style]().rstrip())


if __name__ == "__main__":
    sys.exit(main())
