"""What every reader yields: a batch of rows with their texts, their labels and what was refused."""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True)
class Columns:
    """Names of the columns (or JSON fields) a run reads. None: not wanted."""

    text: str = "text"
    id: str | None = None
    source: str | None = None
    licence: str | None = None

    @property
    def labels(self) -> tuple[str | None, str | None, str | None]:
        """The label columns in the order of `Rows`: id, source, licence."""
        return self.id, self.source, self.licence


@dataclass(frozen=True)
class Piece:
    """A part of one file that is read on its own.

    `start` and `stop` count in the format's own unit: row groups (Parquet), record batches
    (Arrow IPC files), bytes (plain JSON Lines: the lines that *begin* in the range). A format
    that cannot be entered in the middle has the one piece (0, 1). A file without any row has
    the one piece (0, 0) where its format counts.

    `size_bytes` is about how much the piece holds: decoded bytes for Parquet, stored bytes for
    everything else. The pieces of a stored file add up to the file's size.
    """

    uri: str
    format: str
    start: int
    stop: int
    size_bytes: int


@dataclass(frozen=True)
class Reject:
    """One input row that cannot be audited. `row` counts from 0 within the piece.

    `reason` is one of: null_text, text_not_string, malformed_json, not_an_object, invalid_utf8
    (JSON Lines), wrong_field_count, unclosed_quote (CSV, TSV). `detail` is printable, at most
    200 characters long and on one line.
    """

    row: int
    reason: str
    detail: str


@dataclass(frozen=True)
class Rows:
    """A batch of rows of one piece, in input order.

    A reader yields at least one `Rows` a piece, an empty one where the piece has no rows; the
    `n_rows` of the last one is the number of rows of the piece.

    Attributes:
        rows: int64 array, piece-local row numbers of the texts, strictly increasing.
        texts: large_binary array without nulls, the texts as they are stored (UTF-8 unchecked).
            It may be a slice, so its offset may be other than 0.
        ids, sources, licences: large_string arrays of the same length (may hold nulls), or None
            where the column is not wanted.
        rejects: rows of this batch that hold no usable text.
        n_rows: rows of the piece seen so far, this batch included, rejects included.
    """

    rows: pa.Int64Array
    texts: pa.LargeBinaryArray
    ids: pa.LargeStringArray | None
    sources: pa.LargeStringArray | None
    licences: pa.LargeStringArray | None
    rejects: tuple[Reject, ...] = field(default=())
    n_rows: int = 0


# What a row costs beside its text and labels when a batch is measured against its limit: row
# number, offsets and, in the row-wise readers, Python objects. Without it a batch of empty
# texts, or of rejects only, would never be full.
ROW_COST_BYTES = 64
