"""Hashes of sources and licences."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline import label_hashes as module
from pipeline.label_hashes import label_hashes, name_hash


@given(st.lists(st.none() | st.text(max_size=5) | st.sampled_from(["web", "books", ""])))
@example([None, None])
@example([])
def test_label_is_hashed_and_none_is_zero(names: list[str | None]) -> None:
    found = label_hashes(pa.array(names, pa.large_string()))
    assert found.dtype == np.uint64
    assert found.tolist() == [0 if n is None else xxhash.xxh3_64_intdigest(n.encode()) for n in names]


def test_slice_of_labels_is_hashed_as_its_copy() -> None:
    names = pa.array(["web", None, "", "web", "books"], pa.large_string())
    empty, web = name_hash(""), name_hash("web")
    assert label_hashes(names.slice(1, 3)).tolist() == [0, empty, web]
    assert label_hashes(pa.nulls(2, pa.large_string())).tolist() == [0, 0]


def test_labels_of_any_string_type_have_the_same_hashes() -> None:
    names = ["é", None, "\x00", "é"]
    wanted = label_hashes(pa.array(names, pa.large_string())).tolist()
    for kind in (pa.string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())):
        assert label_hashes(pa.array(names).cast(kind)).tolist() == wanted


def test_hash_of_a_name_is_never_that_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "xxh3_64_intdigest", lambda data: 0)
    assert name_hash("web") == 1
    assert label_hashes(pa.array(["web", None], pa.large_string())).tolist() == [1, 0]


def test_name_with_half_a_character_has_a_hash() -> None:
    # From YAML a source may hold what no UTF-8 can.
    assert name_hash("\ud800") == xxhash.xxh3_64_intdigest(b"\xed\xa0\x80")
