"""Filtered copies of input files, checked to be the files that the run read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.errors import InputChangedError
from pipeline.lookup import same_file
from pipeline.readers.wording import printable
from pipeline.stages.inputs import check_unchanged
from pipeline.writers.formats import Copied, write
from pipeline.writers.verdicts import ListPart, Verdicts

FILES_A_TASK = 256


@dataclass(frozen=True)
class ToCopy:
    """A file of the inputs table, and where its copy goes."""

    file_id: int
    uri: str
    format: str
    size_bytes: int
    fingerprint: str
    rows: int
    location: str


def tasks(files: Iterable[ToCopy], task_bytes: int) -> Iterator[tuple[ToCopy, ...]]:
    """Consecutive files of about `task_bytes` together, at least one each."""
    held, size = list[ToCopy](), 0
    for file in files:
        if held and (size + file.size_bytes > task_bytes or len(held) == FILES_A_TASK):
            yield tuple(held)
            held, size = [], 0
        held.append(file)
        size += file.size_bytes
    if held:
        yield tuple(held)


def copy_files(
    files: Sequence[ToCopy], *, parts: Sequence[ListPart], text_column: str, cuts: bool
) -> list[Copied]:
    """Write what stays of some files, in order of their ids.

    Args:
        parts: of the keep list. cuts: whether it cuts texts.

    Raises:
        InputError: a file is gone. InputChangedError: it is not what the run read.
    """
    verdicts = Verdicts(parts)
    return [_copied(file, verdicts, text_column, cuts) for file in files]


def _copied(file: ToCopy, verdicts: Verdicts, text_column: str, cuts: bool) -> Copied:
    facts = {"uri": file.uri, "format": file.format, "fingerprint": file.fingerprint}
    source = same_file(facts)
    verdicts.begin(file.file_id)
    copied = write(source.uri, source.format, text_column, verdicts, file.location, cuts)
    check_unchanged(source)
    if copied.rows != file.rows:
        # A fingerprint covers no more than a file's size and ends.
        raise InputChangedError(
            "an input file is not what the run read",
            where=printable(file.uri, 1000),
            got=f"{copied.rows} rows",
            expected=f"{file.rows} rows",
            fix="audit again, and keep by the new run",
        )
    return copied
