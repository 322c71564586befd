"""Pairs that an earlier run compared, brought to the blocks in which their texts are compared now.

A component that changed has most of its pairs still. They are found by its smallest text_id: where
that changed, too, or where components merged, pairs are compared again, which changes no result.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.artifacts import table_of, uint64
from pipeline.mapped import read_mapped, write_mapped
from pipeline.stages.components import block_of, block_pairs

ROUTED = pa.schema([*((name, pa.uint64()) for name in ("blocks", "left", "right")), ("shared", pa.int64())])
_READ = ("root", "left", "right", "shared")


def route(found: Sequence[str], path: str, *, cuts: str, changed: str) -> str:
    """Write the pairs of changed components by pair of blocks.

    Args:
        found: tables of `FOUND`. cuts, changed: see `components.Plan`.
    """
    table = pa.concat_tables(read_mapped(part, _READ) for part in found)
    roots = uint64(read_mapped(changed), "root")
    root = uint64(table, "root")
    at = np.minimum(np.searchsorted(roots, root), len(roots) - 1)
    table = table.filter(pa.array(roots[at] == root))
    root, left, right = (uint64(table, name) for name in ("root", "left", "right"))
    places = read_mapped(cuts)
    blocks = block_pairs(block_of(left, root, places), block_of(right, root, places))
    order = np.argsort(blocks, kind="stable")
    columns = blocks, left, right, table.column("shared").to_numpy()
    return write_mapped(table_of(ROUTED, *(column[order] for column in columns)), path)
