"""Sources and licences as 64-bit hashes, so that names need not travel between tasks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest


def name_hash(name: str) -> int:
    """XXH3-64 of a name, never 0."""
    return max(xxh3_64_intdigest(name.encode("utf-8", "surrogatepass")), 1)


def label_hashes(names: pa.Array) -> NDArray[np.uint64]:
    """The hash of each name (a string array), 0 where there is none."""
    coded = names.dictionary_encode()
    hashes = np.array([*map(name_hash, coded.dictionary.to_pylist()), 0], np.uint64)
    return np.asarray(hashes[coded.indices.fill_null(len(hashes) - 1).to_numpy()])
