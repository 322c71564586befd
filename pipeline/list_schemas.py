"""The tables of the lists that `dupaudit keep` writes into a run."""

from __future__ import annotations

from pipeline.schemas import Column, Table

KEEP = Table(
    "keep",
    "keep/<policy>/documents/part-*.parquet",
    "a document, in a list that `dupaudit keep` writes",
    ("doc_id",),
    (
        Column("doc_id", "uint64", "", "the document"),
        Column("uri", "string", "", "the file it came from"),
        Column("row", "int64", "", "row in that file, from 0, rejected rows counted"),
        Column("id", "string", "", "the user's own identifier, if configured", True),
        Column("keep", "bool", "", "whether it stays"),
        Column("reason", "string", "", "why; of every policy: no words; one-per-text: only one of its text, first of its text, later copy of its text; one-per-cluster: in no cluster, first of its cluster, later in its cluster; cap:K: in no cluster, within the cap, over the cap; drop-passages: nothing to cut, passages cut, nothing left after the cuts, later copy of its text"),
    ),
)  # fmt: skip

CUTS = Table(
    "cuts",
    "keep/<policy>/cuts/part-*.parquet",
    "a stretch of bytes that drop-passages cuts out of a document that stays",
    ("doc_id", "byte_start"),
    (
        Column("doc_id", "uint64", "", "the document"),
        Column("byte_start", "int64", "bytes", "first byte that goes, of the original text as UTF-8"),
        Column("byte_end", "int64", "bytes", "the byte after the last that goes"),
    ),
)  # fmt: skip

LISTS = (KEEP, CUTS)
