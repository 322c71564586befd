"""The command that audits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from pipeline.commands.command import Command
from pipeline.errors import EXIT_GATE, ConfigError


@click.command(
    cls=Command,
    epilog="""Examples:
  dupaudit run data/ --out audits/
  dupaudit run 's3://bucket/*.jsonl.zst' --text-column content --id-column id
  dupaudit run src/ --format text --source-path 'src/([^/]+)' --name monday
  dupaudit run --config configs/audit.yaml --set near.threshold=0.8
  dupaudit run data/ --index index/""",
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
@click.option("--index", help="Folder that keeps what was scanned and compared for the next run.")
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
