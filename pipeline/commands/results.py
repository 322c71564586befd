"""The commands that tell what a run found."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.commands.command import Command, run_argument


@click.command(
    cls=Command,
    epilog="Examples:\n  dupaudit show audits/monday --clusters 20\n  dupaudit show audits/monday --passages",
)
@run_argument
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


@click.command(cls=Command, epilog="Example:\n  dupaudit calibrate audits/monday --sample 2000")
@run_argument
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


@click.command(cls=Command, epilog="Example:\n  dupaudit report audits/monday")
@run_argument
@click.option("--out", type=click.Path(path_type=Path), help="File to write.  [default: report.html in RUN]")
def report(run: Path | None, out: Path | None) -> None:
    """Render a RUN's page again.

    From its tables alone. RUN is the folder of a run; without it, the newest in ./audits.
    """
    from pipeline.report.page import write_page
    from pipeline.runs import newest_run

    click.echo(write_page(run or newest_run(Path("audits")), out))


@click.command(
    cls=Command,
    epilog="""Examples:
  dupaudit prompts audits/monday --per-bin 100 > prompts.jsonl
  dupaudit prompts audits/monday --held-out unseen.jsonl --tokenizer tokenizer.json --out prompts.jsonl""",
)
@run_argument
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


@click.command(
    cls=Command,
    epilog="""Examples:
  dupaudit keep audits/monday --policy cap:3
  dupaudit keep audits/monday --policy one-per-cluster --write deduplicated/""",
)
@run_argument
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


@click.command(cls=Command, epilog="Example:\n  dupaudit schema --markdown > TABLES.md")
@click.option("--markdown", "style", flag_value="markdown", help="As Markdown tables.")
@click.option("--json", "style", flag_value="json", help="As JSON.")
def schema(style: str | None) -> None:
    """Print the columns of every table.

    With their types, units and meanings.
    """
    from pipeline import describing

    show = {"markdown": describing.markdown, "json": describing.as_json, None: describing.as_text}
    click.echo(show[style]().rstrip())
