"""Passages that stand in new documents and in earlier ones.

A passage's places are told of the first document of each text. If that document is new, its text may
still be an earlier one's, so it counts as earlier, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from pipeline.artifacts import KeyRange, frame, output_ranges, read_output
from pipeline.mapped import mapped_ranges
from pipeline.stages.new_documents import NEW, Sieve, Written, is_new, written

# A place in a text that only new documents have; or the first earlier document that holds the passage.
PLACED = pa.schema(
    [
        ("passage_id", pa.uint64()),
        ("earlier", pa.uint64()),
        ("doc_id", pa.uint64()),
        ("token_start", pa.int64()),
        ("tokens", pa.int64()),
    ]
)
# A place, in the first document of a new text, of a passage that an earlier document holds.
SHARED = pa.schema(
    [
        ("doc_id", pa.uint64()),
        ("token_start", pa.int64()),
        ("tokens", pa.int64()),
        ("passage_id", pa.uint64()),
        ("earlier", pa.uint64()),
    ]
)
_PASSAGES = pa.schema([("passage_id", pa.uint64()), ("predictable", pa.bool_())])
_READ = ("doc_id", "token_start", "tokens", "passage_id")


def with_earlier(
    rows: pl.DataFrame, doc: str, docs: KeyRange, new: Sequence[str], new_files: Sequence[int]
) -> pl.DataFrame:
    """Rows that name texts by their first documents, with the first earlier document of each.

    Args:
        doc: the column of first documents; docs: a range that holds them all.
        new: tables of `NEW` by text.

    Returns:
        The rows with `earlier`, null where a text is new.
    """
    known = frame(mapped_ranges(new, "first_doc", docs, NEW, ["first_earlier"])).unique()
    joined = rows.join(known, left_on=doc, right_on="first_doc", how="left")
    of_new = pl.Series(is_new(joined[doc].to_numpy(), new_files))
    earlier = pl.when(of_new).then("first_earlier").otherwise(doc)
    return joined.with_columns(earlier.alias("earlier")).drop("first_earlier")


def place_passages(
    part: str, path: str, *, new: Sequence[str], new_files: Sequence[int], sieve: str
) -> Written:
    """Of one part of the spans, those of passages that new documents may hold, by passage."""
    rows = frame(read_output(part, _READ))
    rows = rows.filter(Sieve(sieve).holds(rows["passage_id"]))
    docs = (int(rows["doc_id"][0]), int(rows["doc_id"][-1]) + 1) if len(rows) else (0, 0)
    known = with_earlier(rows, "doc_id", docs, new, new_files)
    fresh = known.filter(pl.col("earlier").is_null())
    earlier = known.drop_nulls("earlier").group_by("passage_id").agg(pl.min("earlier"))
    return written(pl.concat([fresh.select(PLACED.names), earlier], how="diagonal"), PLACED, path)


def share_passages(keys: KeyRange, path: str, *, placed: Sequence[str], passages: Sequence[str]) -> Written:
    """Places, in new texts, of the passages of a key range that earlier documents hold.

    Predictable passages are left out.

    Args:
        placed: see `place_passages`. passages: the parts of the passages table.
    """
    rows = frame(mapped_ranges(placed, "passage_id", keys, PLACED))
    telling = frame(output_ranges(passages, "passage_id", keys, _PASSAGES)).filter(~pl.col("predictable"))
    rows = rows.join(telling, "passage_id", "semi").with_columns(pl.min("earlier").over("passage_id"))
    return written(rows.drop_nulls(["doc_id", "earlier"]), SHARED, path)


def described(shared: pl.DataFrame) -> pl.DataFrame:
    """What the places of `SHARED` make of each document.

    Returns:
        doc_id; passage_id, passage_tokens and passage_earlier of its longest passage (the one with the
        first earlier document, if several are as long); passage_repeated: tokens in any, counted once.
    """
    end = pl.col("token_start") + pl.col("tokens")
    rows = shared.sort("doc_id", "token_start", "tokens").with_columns(end=end)
    before = pl.col("end").cum_max().shift(1, fill_value=0).over("doc_id")
    fresh = (pl.col("end") - pl.max_horizontal("token_start", before)).clip(0)
    repeated = rows.with_columns(fresh=fresh).group_by("doc_id").agg(passage_repeated=pl.sum("fresh"))
    longest = rows.sort(
        "doc_id", "tokens", "earlier", "passage_id", descending=[False, True, False, False]
    ).unique("doc_id", keep="first", maintain_order=True)
    names = {"tokens": "passage_tokens", "earlier": "passage_earlier"}
    return longest.rename(names).drop("token_start", "end").join(repeated, "doc_id")
