"""How every command ends: errors as messages, examples as written.

Only `pipeline/cli.py` and this folder import click, and nothing but these imports them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from pipeline.errors import AuditError

F = TypeVar("F", bound=Callable[..., Any])


class Command(click.Command):
    """A command whose errors are messages and whose help ends with its example as written."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AuditError as error:
            click.echo(f"dupaudit: {error}", err=True)
            ctx.exit(error.exit_code)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_example(self.epilog, formatter)


class Group(click.Group):
    """A command that holds others, with the same help."""

    command_class = Command

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _write_example(self.epilog, formatter)


class RunFolder(click.Path):
    """The folder of a run, or the file that points at one where the file system knows no links."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not path.is_file():
            return path
        from pipeline.runs import pointed_at

        return pointed_at(path)


def run_argument(command: F) -> F:
    """Give a command its RUN, a folder that may be left out."""
    return click.argument("run", required=False, type=RunFolder())(command)


def _write_example(epilog: str | None, formatter: click.HelpFormatter) -> None:
    formatter.write_paragraph()
    for line in (epilog or "").splitlines():
        formatter.write(f"{line}\n")
