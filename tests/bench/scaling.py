"""How time and memory of an audit grow with the text."""

from __future__ import annotations

from pathlib import Path

from plan import Extent
from sets import Documents, cut, first_rows, read_documents, spread_rows
from tools import OURS, TOOLS
from trials import Entry
from varied import part_of_size

DATA_SET = "python-code"
SIZES_BYTES = (100_000_000, 200_000_000, 444_000_000, 1_000_000_000)
QUICK_SIZES_BYTES = (500_000, 1_000_000, 2_000_000, 4_000_000)
# A quick measurement makes its largest set, too, from less text than that.
QUICK_WHOLE_BYTES = 2_000_000


def scaling_entries(data: Path, extent: Extent, work: Path) -> list[Entry] | None:
    """Return our whole audit on parts and on varied copies of the data set; None where it is absent."""
    whole = read_documents(DATA_SET, data / DATA_SET)
    if whole is None:
        return None
    few = cut(whole, f"{DATA_SET}-few", first_rows(whole.lengths, 1), work)
    if extent.quick:
        whole = cut(whole, "scaling", spread_rows(whole.lengths, QUICK_WHOLE_BYTES), work)
    return [
        Entry(TOOLS[OURS], documents, few, warm_up=True)
        for documents in _of_sizes(whole, QUICK_SIZES_BYTES if extent.quick else SIZES_BYTES, work)
    ]


def _of_sizes(whole: Documents, sizes_bytes: tuple[int, ...], work: Path) -> list[Documents]:
    return [part_of_size(whole, f"scaling-{size / 1e6:g}", size, work) for size in sizes_bytes]
