"""More text than a data set has, made of its documents with other words.

Each copy of the data set has its letters and digits exchanged by one rule, so that what repeats
inside the set repeats in the copy in the same places, upper and lower case alike, and each text keeps
its length in bytes; but no copy repeats the set or another copy: 36 characters, ASCII only, are
turned round like a wheel, by more places for each copy.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sets import ROW_GROUP_ROWS, Bools, Documents, cut, read_documents, spread_rows

WHEEL = "0123456789abcdefghijklmnopqrstuvwxyz"
# Places between two copies: digits become letters at once, so that tables of numbers do too.
TURN = 11
MOST_COPIES = 35


def turned(places: int) -> bytes:
    """Return what each byte becomes, for `bytes.translate`."""
    table = bytearray(range(256))
    for i, character in enumerate(WHEEL):
        other = WHEEL[(i + places) % len(WHEEL)]
        table[ord(character)] = ord(other)
        if character.isalpha():
            table[ord(character.upper())] = ord(other.upper())
    return bytes(table)


def part_of_size(whole: Documents, name: str, size_bytes: int, work: Path) -> Documents:
    """Return documents with so much text: a part of the whole, or the whole with copies of other words."""
    total = int(whole.lengths.sum())
    if size_bytes <= total:
        return cut(whole, name, spread_rows(whole.lengths, size_bytes), work)
    copies = -(-size_bytes // total) - 1
    if copies > MOST_COPIES:
        raise ValueError(f"{name}: size: got {size_bytes}, need at most {MOST_COPIES + 1} times {total}")
    last = spread_rows(whole.lengths, size_bytes - copies * total)
    key = hashlib.sha256(f"{whole.digest} {size_bytes} {TURN} {ROW_GROUP_ROWS}".encode()).hexdigest()
    folder = work / "parts" / f"{name}-{key[:16]}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for copy in range(copies + 1):
            _write_copy(whole, copy, last if copy == copies else None, partial)
        partial.rename(folder)
    written = read_documents(name, folder)
    if written is None:
        raise ValueError(f"{name}: {folder} is empty")
    return written


def _write_copy(whole: Documents, copy: int, chosen: Bools | None, folder: Path) -> None:
    words, start = turned(TURN * copy), 0
    for file in whole.files:
        table = pq.read_table(file)
        if chosen is not None:
            rows = chosen[start : start + len(table)]
            start += len(table)
            table = table.filter(pa.array(rows))
        place = table.schema.get_field_index("text")
        texts = (text.as_py() for text in table.column(place))
        other = [None if text is None else text.encode().translate(words).decode() for text in texts]
        table = table.set_column(
            place, table.schema.field(place), pa.array(other, table.schema.field(place).type)
        )
        path = folder / f"copy-{copy:02d}-{file.name}"
        pq.write_table(table, path, row_group_size=ROW_GROUP_ROWS, compression="zstd")
