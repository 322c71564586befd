"""Windows of a segment: what is left of them when one file is made of several."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.artifacts import table_of
from pipeline.mapped import read_mapped, write_mapped
from pipeline.stages.chosen import Looked
from pipeline.stages.hashed import LIVE, WINDOWS, Hashed, write_hashed
from pipeline.stages.survivors import NONE, SEVERAL, SINGLE


def _looked(*kinds: int) -> Looked:
    n = len(kinds)
    return Looked(np.arange(n, dtype=np.uint32), np.array(kinds, np.uint8), np.ones(n, np.uint16), n)


def test_windows_that_are_dropped_tell_what_they_touched_if_they_were_looked_at(tmp_path: Path) -> None:
    hashes = np.array([10, 20, 30], np.uint64)
    table = table_of(WINDOWS, hashes, hashes + np.uint64(1), np.arange(3, dtype=np.uint32))
    earlier = Hashed("", (write_mapped(table, tmp_path / "0.arrow"),))
    before, now = _looked(SEVERAL, SINGLE, NONE), _looked(NONE, SINGLE, NONE)
    nothing, flags = np.zeros(0, np.uint64), np.array([7, 5, 3], np.uint8)
    held, looked = write_hashed(earlier, now, before, flags, (nothing, nothing), str(tmp_path / "1"))
    assert read_mapped(held.left).to_pylist() == [{"window": 10}]
    (path,) = held.hashed.windows
    assert read_mapped(path).to_pylist() == [{"window": 20, "beside": 21, "slot": 0}]
    assert read_mapped(held.states).column("state").to_pylist() == [5 | LIVE]
    assert (looked.row.tolist(), looked.kind.tolist(), held.slots) == ([1], [SINGLE], 1)
