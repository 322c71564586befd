"""Links: what every member of a cluster has in common with its representative."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.mapped import write_mapped
from pipeline.stages import components as blocks
from pipeline.stages.links import measure_links
from tests import oracles
from tests.stages.definition import check_pair
from tests.stages.steps import NEAR, Corpus, all_rows, compared, placed_in_blocks, rows_of


@pytest.mark.parametrize("block_tokens", [50, 1 << 22])
def test_members_are_compared_with_their_representative_whatever_comes_out(
    families: Corpus, block_tokens: int
) -> None:
    found = compared(placed_in_blocks(families, block_tokens))
    members = {row["text_id"]: row for row in rows_of(found.clusters.members)}
    rows = all_rows(found.similarities)
    expected = {
        text_id: oracles.jaccard(
            families.texts[row["doc_id"]] or "", families.texts[row["representative"]] or ""
        )
        for text_id, row in members.items()
        if row["doc_id"] != row["representative"]
    }
    assert {row["text_id"]: row["jaccard"] for row in rows} == pytest.approx(expected, abs=1e-12)
    assert len(rows) == len(expected) == found.clusters.linked
    assert min(expected.values()) < NEAR.floor, "a chain reaches that far"
    for path in found.similarities:
        assert [row["text_id"] for row in rows_of(path)] == sorted(row["text_id"] for row in rows_of(path))
    linked = all_rows(found.linked)
    assert len(linked) == sum(similarity >= NEAR.floor for similarity in expected.values())
    for row in linked:
        check_pair(families, row)


def test_no_link_is_no_similarity(families: Corpus, tmp_path: Path) -> None:
    there = placed_in_blocks(families, 1 << 22)
    links = write_mapped(blocks.BLOCK_EDGES.empty_table(), tmp_path / "links")
    found = measure_links(0, str(tmp_path / "l"), there.sets, links=[links], near=NEAR)
    assert all_rows([found.similarity, found.pairs, found.similar]) == []
