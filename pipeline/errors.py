"""The one family of errors a user can meet, each with the exit code it ends the command with.

A message says what happened, where, what was found, what was expected and what to do next.
Everything raised on purpose derives from `AuditError`; anything else is a defect and is shown
as one.
"""

from __future__ import annotations

from typing import Any

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_GATE = 3
EXIT_LOCKED = 75  # EX_TEMPFAIL: try again later


class AuditError(Exception):
    """An audit cannot go on.

    Keyword arguments are optional parts of the message; they are kept as attributes so that
    logs can carry them as fields. Instances survive pickling, since workers raise them.
    """

    exit_code = EXIT_FAILURE

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        row: int | None = None,
        got: object = None,
        expected: object = None,
        fix: str | None = None,
    ) -> None:
        self.what, self.where, self.row, self.fix = what, where, row, fix
        self.got = None if got is None else str(got)
        self.expected = None if expected is None else str(expected)
        super().__init__(what)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.what, {k: v for k, v in self.__dict__.items() if k != "what"})

    def __str__(self) -> str:
        parts = [self.what]
        if self.where is not None:
            parts.append(f"  where:    {self.where}" + ("" if self.row is None else f", row {self.row}"))
        if self.got is not None:
            parts.append(f"  got:      {self.got}")
        if self.expected is not None:
            parts.append(f"  expected: {self.expected}")
        if self.fix is not None:
            parts.append(f"  do:       {self.fix}")
        return "\n".join(parts)


def _rebuild(cls: type[AuditError], what: str, fields: dict[str, Any]) -> AuditError:
    error = cls(what)
    error.__dict__.update(fields)
    return error


class ConfigError(AuditError):
    """The configuration or the command line asks for something that cannot be."""

    exit_code = EXIT_USAGE


class InputError(AuditError):
    """An input file cannot be read as what it is said to be."""


class InputChangedError(InputError):
    """An input file is not the file it was when the run began."""


class ArtifactError(AuditError):
    """An intermediate or final file is missing, damaged, or of another format or parameters."""


class ClusterError(AuditError):
    """The Dask cluster cannot be started or reached, or its workers cannot do the work."""


class LockedError(AuditError):
    """Another process is at work where only one may be; later there may be room."""

    exit_code = EXIT_LOCKED
