"""The places that a run keeps to be looked at: the first of the passages that cover most tokens."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl
import pytest

from tests.audits import audit, without_dask, write_texts

LISTED, PREDICTABLE_LISTED, PLACES_LISTED = 4, 2, 3


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run with more passages and places than are kept, in several key ranges and two files."""
    for name, value in (
        ("passages.LISTED", LISTED),
        ("passages.PREDICTABLE_LISTED", PREDICTABLE_LISTED),
        ("spans.PLACES_LISTED", PLACES_LISTED),
    ):
        monkeypatch.setattr(f"pipeline.stages.{name}", value)
    monkeypatch.setattr("pipeline.passages.SPANS_A_RANGE", 9)
    rng = random.Random(4)
    words = [f"{a}{b}{c}" for a in "abcdefgh" for b in "klmnopqr" for c in "stuv"]
    shared = [" ".join(rng.sample(words, rng.randint(25, 60))) for _ in range(12)]
    shared += [" ".join([word] * 40) for word in ("la", "le", "lu")]
    texts = [
        " ".join([" ".join(rng.sample(words, 9)), *rng.sample(shared, 4), " ".join(rng.sample(words, 9))])
        for _ in range(30)
    ]
    for i in range(2):
        write_texts(tmp_path / f"{i}.jsonl", [*texts[i::2], texts[0], texts[1]])
    with without_dask(page=False):
        return audit([tmp_path / "0.jsonl", tmp_path / "1.jsonl"], tmp_path / "out").folder


def test_places_are_the_first_of_the_passages_that_cover_most(run: Path) -> None:
    passages = pl.read_parquet(run / "passages" / "*.parquet")
    spans = pl.read_parquet(run / "spans" / "*.parquet")
    inputs = dict(pl.read_parquet(run / "inputs.parquet").select("file_id", "uri").iter_rows())
    ranked = sorted(
        passages.iter_rows(named=True),
        key=lambda row: (-row["occurrences"] * row["tokens"], row["passage_id"]),
    )
    expected = []
    for predictable, count in ((False, LISTED), (True, PREDICTABLE_LISTED)):
        chosen = [row for row in ranked if row["predictable"] is predictable]
        assert len(chosen) > count
        for passage in chosen[:count]:
            places = spans.filter(pl.col("passage_id") == passage["passage_id"]).sort("doc_id", "token_start")
            assert len(places) > PLACES_LISTED
            for row in places.head(PLACES_LISTED).iter_rows(named=True):
                names = ("passage_id", "doc_id", "copies", "token_start", "byte_start", "byte_end")
                place = {"uri": inputs[row["doc_id"] >> 32], "row": row["doc_id"] & 0xFFFFFFFF}
                expected.append({name: row[name] for name in names} | place)
    found = pl.read_parquet(run / "summary" / "places.parquet")
    assert max(row["copies"] for row in expected) > 1
    assert sorted(found.iter_rows(named=True), key=repr) == sorted(
        ({name: row[name] for name in found.columns} for row in expected), key=repr
    )
    assert found.equals(found.sort("passage_id", "doc_id", "token_start"))
