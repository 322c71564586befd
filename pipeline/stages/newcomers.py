"""Texts that an earlier run had not, and whether it had any that are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.artifacts import KeyRange, table_of, uint64
from pipeline.mapped import mapped_range, mapped_ranges, write_mapped
from pipeline.stages.texts import TextsResult

TEXT_IDS = pa.schema([("text_id", pa.uint64())])


@dataclass(frozen=True)
class Newcomers:
    """Of a key range: `texts` all of its text_ids, for the next run; `new` those that the earlier run
    had not; how many of its texts are gone. The tables are of `TEXT_IDS`, sorted."""

    texts: str
    new: str
    gone: int


def find_newcomers(keys: KeyRange, texts: TextsResult, path: str, *, earlier: Sequence[str]) -> Newcomers:
    """Compare the texts of a key range with those that an earlier run had (tables of `TEXT_IDS`)."""
    here = uint64(mapped_range(texts.texts, "text_id", keys, ("text_id",))[1], "text_id")
    had = np.sort(uint64(mapped_ranges(earlier, "text_id", keys, TEXT_IDS), "text_id"))
    new = np.setdiff1d(here, had, assume_unique=True)
    return Newcomers(
        write_mapped(table_of(TEXT_IDS, here), f"{path}-texts.arrow"),
        write_mapped(table_of(TEXT_IDS, new), f"{path}-new.arrow"),
        len(had) - (len(here) - len(new)),
    )
