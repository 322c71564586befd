"""What is found in a component is a matter of that component alone."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.config import NearConfig
from pipeline.stages import second_look
from pipeline.stages.blocks import Blocks, names_of
from pipeline.stages.comparison import Comparison
from tests import corpus as planted
from tests import oracles
from tests.stages.steps import all_rows, near_duplicates


def _template(rng: random.Random, texts: int, shared: int) -> list[str]:
    """Texts made from one template, none near to another: all of them look again."""
    head = planted.fresh(rng, shared + 4)
    return [planted.joined(head + planted.fresh(rng, shared // 3)) for _ in range(texts)]


def _found(folder: Path, texts: list[str], ids: set[int]) -> list[list[dict[str, Any]]]:
    """What comparing gave, and counted, for the components of some texts."""
    verified = near_duplicates(folder, texts).verified
    assert len(verified) == 1, "all in one block"
    pairs = [row for row in all_rows([part.found for part in verified]) if row["left"] in ids]
    roots = {row["root"] for row in pairs}
    tallies = [row for row in all_rows([part.tallies for part in verified]) if row["root"] in roots]
    assert sum(row["found"] for row in tallies) == len(pairs)
    return [sorted(rows, key=lambda row: tuple(row.values())) for rows in (pairs, tallies)]


def test_a_component_is_compared_alike_whatever_shares_its_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tries come from the mean size of the sets: 7 of 40 shingles, 1 of 400, and 2 in a block of both.
    monkeypatch.setattr(second_look, "SHINGLES_A_TEXT", 400)
    monkeypatch.setattr(second_look, "FEWEST_TRIES", 1)
    rng = random.Random(3)
    small, large = _template(rng, 20, 40), _template(rng, 20, 400)
    ids = {oracles.text_id(text) for text in small}
    alone = _found(tmp_path / "alone", small, ids)
    among = _found(tmp_path / "among", [*large, *small, *_template(rng, 9, 90)], ids)
    assert alone == among
    (tally,) = alone[1]
    assert tally["looked_again"] > 0
    assert tally["unsettled"] > 0
    assert tally["left_out"] == 0


def test_the_budget_is_a_components_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_look, "BUDGET", 100)
    rng = random.Random(4)
    one, two = _template(rng, 20, 40), _template(rng, 20, 60)
    ids = {oracles.text_id(text) for text in one}
    alone = _found(tmp_path / "alone", one, ids)
    assert alone == _found(tmp_path / "both", [*two, *one], ids)
    assert alone[1][0]["left_out"] > 0


@pytest.mark.parametrize("permutations", [255, 256, 300])
def test_more_places_agree_than_a_byte_can_count(permutations: int) -> None:
    # Two texts near to each other and one that its candidates left alone, all of the same sketch.
    sketches = pa.array([bytes(permutations)] * 3, pa.binary(permutations))
    zeros, numbers = np.zeros(3, np.int64), np.arange(3)
    columns = {"text_id": numbers.astype(np.uint64), "root": zeros.astype(np.uint64), "sketch": sketches}
    rows = pa.table(columns)
    known = names_of(np.array([0, 0, 1]), np.array([1, 2, 2]), 3)
    texts = Blocks(rows, columns["text_id"], zeros + 9, (), zeros, zeros, known, zeros + 9)
    one = np.zeros(1, np.int64)
    first = Comparison(one, one + 1, one + 9, np.ones(1))
    again = second_look.second_look(texts, first, NearConfig(permutations=permutations))
    assert list(zip(again.found.left, again.found.right, strict=True)) == [(0, 2), (1, 2)]
