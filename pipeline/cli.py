"""The command line.

Heavy imports happen inside the commands (`pipeline/commands/`), so that help answers at once.
"""

from __future__ import annotations

import sys

import click

from pipeline.commands import auditing, nights, results
from pipeline.commands.command import Group


@click.group(
    cls=Group,
    commands=[
        auditing.run,
        results.show,
        results.calibrate,
        results.report,
        results.prompts,
        results.keep,
        results.schema,
        nights.check,
        nights.compare,
        nights.prune,
        nights.index,
        nights.cron,
    ],
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


if __name__ == "__main__":
    sys.exit(main())
