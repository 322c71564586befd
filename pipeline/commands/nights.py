"""The commands that watch over runs, one after the other."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pipeline.commands.command import Command, Group, RunFolder, run_argument
from pipeline.errors import EXIT_GATE


@click.command(cls=Command, epilog="Example:\n  dupaudit check audits/monday --config configs/audit.yaml")
@run_argument
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


@click.command(
    cls=Command,
    epilog="""Examples:
  dupaudit compare
  dupaudit compare nightly/latest
  dupaudit compare audits/monday audits/tuesday""",
)
@click.argument("runs", nargs=-1, type=RunFolder(), metavar="[[RUN_A] RUN_B]")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the tables.  [default: RUN_B/compare/RUN_A]"
)
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
    clusters and passages are new. Of one run, RUN_B, tells what changed since the run before it in
    its folder; without runs, between the last two in ./audits.
    """
    from pipeline.compare import compare_runs
    from pipeline.runs import finished_runs, run_before

    if len(runs) > 2:
        raise click.UsageError("name two runs, or one to compare it with the run before it")
    if not runs:
        before, after = (run.folder for run in finished_runs(Path("audits"), least=2)[-2:])
    else:
        before, after = runs[0] if len(runs) == 2 else run_before(runs[0]), runs[-1]
    click.echo(compare_runs(before, after, out, least))


@click.command(cls=Command, epilog="Example:\n  dupaudit prune audits/ --keep 30 --dry-run")
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


@click.group(cls=Group, epilog="Example:\n  dupaudit index prune /srv/dupaudit/index")
def index() -> None:
    """Look after an index, which keeps what was scanned and compared for the next run."""


@index.command("prune", epilog="Example:\n  dupaudit index prune /srv/dupaudit/index --dry-run")
@click.argument("index_folder", type=click.Path(path_type=Path), metavar="INDEX")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def index_prune(index_folder: Path, dry_run: bool) -> None:
    """Remove from an INDEX what no live input uses.

    That is what was scanned of files that are gone or have changed. Finished runs need nothing of
    it. Says how much space that frees. INDEX is the folder that `index` names in the configuration.
    """
    from pipeline.index_prune import prune_index

    click.echo(prune_index(index_folder, dry_run))


@click.command(
    cls=Command,
    epilog="""Examples:
  dupaudit cron --config configs/mine.yaml
  dupaudit cron --config configs/mine.yaml --part timer""",
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
