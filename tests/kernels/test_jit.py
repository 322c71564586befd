"""What the kernels' decorator adds to Numba: unaligned loads and a cache that notices every edit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import pipeline
from pipeline.kernels.jit import kernel, load32, load64

_SKETCH_OF_ONE = """
import numpy as np
from pipeline.kernels.minhash import sketch_bytes
sketch = np.zeros(1, np.uint8)
sketch_bytes(np.ones(1, np.uint32), sketch)
print(sketch[0])
"""


@kernel
def _load(buffer: Any, at: int) -> Any:
    return load32(buffer, at), load64(buffer, at)


def test_loads_are_little_endian_at_every_alignment() -> None:
    data = bytes(range(250, 256)) + bytes(range(40))
    for buffer in (np.frombuffer(data, np.uint8), np.array(list(data), np.uint8)):
        for at in range(len(data) - 7):
            expected = (
                int.from_bytes(data[at : at + 4], "little"),
                int.from_bytes(data[at : at + 8], "little"),
            )
            assert tuple(map(int, _load(buffer, at))) == expected
            assert (int(load32(buffer, at)), int(load64(buffer, at))) == expected


def test_loads_are_unsigned() -> None:
    buffer = np.full(16, 0xFF, np.uint8)
    assert tuple(map(int, _load(buffer, 3))) == (2**32 - 1, 2**64 - 1)


def test_edited_kernel_changes_those_that_call_it_from_other_files(tmp_path: Path) -> None:
    # fmix32 of `hashing` is compiled into sketch_bytes of `minhash`, whose own file stays as it is.
    shutil.copytree(
        Path(pipeline.__file__).parent, tmp_path / "pipeline", ignore=shutil.ignore_patterns("__pycache__")
    )
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}

    def sketch_of_one() -> int:
        command = [sys.executable, "-c", _SKETCH_OF_ONE]
        run = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return int(run.stdout)

    assert sketch_of_one() == 0x514E28B7 & 0xFF
    assert list((tmp_path / "cache").rglob("minhash.sketch_bytes*.nbc"))
    source = tmp_path / "pipeline" / "kernels" / "hashing.py"
    finish = "return np.uint32(h ^ np.uint32(h >> np.uint32(16)))"
    text = source.read_text()
    place = text.index(finish, text.index("def fmix32"))
    source.write_text(text[:place] + "return np.uint32(77)" + text[place + len(finish) :])
    assert sketch_of_one() == 77
