"""Anchors as the scan collects them: in the order of the texts, and in segments of bounded size."""

from __future__ import annotations

import random
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import xxhash

from pipeline.kernels.minimizers import Anchors
from pipeline.normalise import tokens
from pipeline.readers import formats
from pipeline.stages import scan as stage
from pipeline.stages.scan import Scratch, scan_texts
from tests import corpus as planted
from tests.stages.passage_steps import PASSAGE_PARAMETERS, W, definition, passages_of
from tests.stages.steps import BY_FILE, PARAMETERS, all_rows, rows_of, scanned, table_at

RNG = random.Random(31)
WORDS = planted.fresh(RNG, 40)
ACCENTS = unicodedata.normalize("NFD", " ".join(f"é{word}" for word in WORDS[:20]))
TEXTS = [
    "",
    planted.joined(WORDS),
    ACCENTS,
    "a few",
    "\u0301" + ACCENTS,
    planted.joined(WORDS[3:20]),
    "e\u0301 x",
]


def _scan(
    texts: list[str], parameters: stage.ScanParameters = PASSAGE_PARAMETERS
) -> tuple[Anchors, list[int]]:
    found, anchors = scan_texts(
        pa.array([text.encode() for text in texts], pa.large_binary()), Scratch(parameters)
    )
    return anchors, found.n_anchors.tolist()


def _listed(anchors: Anchors) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in anchors), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_anchors_stand_in_the_order_of_the_texts_composed_or_not(seed: int) -> None:
    texts = random.Random(seed).choices(TEXTS, k=12)
    together, counts = _scan(texts)
    alone = [_scan([text]) for text in texts]
    assert counts == [count for _, (count,) in alone]
    assert _listed(together) == [row for anchors, _ in alone for row in _listed(anchors)]
    windows = [max(len(tokens(unicodedata.normalize("NFKC", text))) - W + 1, 0) for text in texts]
    ends = np.cumsum([0, *counts])
    assert [together.windows[ends[i] : ends[i + 1]].sum() for i in range(len(texts))] == windows


def test_composed_text_has_the_anchors_of_its_composition() -> None:
    assert _listed(_scan([ACCENTS])[0]) == _listed(_scan([unicodedata.normalize("NFC", ACCENTS)])[0])


def test_bad_text_among_others_has_no_anchors() -> None:
    texts = pa.array(
        [TEXTS[1].encode(), b"\xff", ACCENTS.encode() + b"\xff", TEXTS[5].encode()], pa.large_binary()
    )
    found, anchors = scan_texts(texts, Scratch(PASSAGE_PARAMETERS))
    assert found.n_anchors[1:3].tolist() == [0, 0]
    assert _listed(anchors) == _listed(_scan([TEXTS[1], TEXTS[5]])[0])


def test_room_for_anchors_grows() -> None:
    rng = random.Random(1)
    texts = [" ".join(rng.choices("abcdefgh", k=n)) for n in (90_000, 5, 200_000, 70)]
    together, counts = _scan(texts)
    assert sum(counts) > 1 << 16
    assert _listed(together) == [row for text in texts for row in _listed(_scan([text])[0])]


def test_no_anchors_are_kept_where_none_are_wanted(tmp_path: Path) -> None:
    anchors, counts = _scan(TEXTS, PARAMETERS)
    assert (_listed(anchors), counts) == ([], [0] * len(TEXTS))
    (segment,) = scanned(tmp_path, TEXTS).segments
    assert segment.anchors == 0
    assert not list(Path(segment.path).glob("anchor*"))


def test_segment_says_how_many_anchors_it_holds(tmp_path: Path) -> None:
    (segment,) = scanned(tmp_path, TEXTS, parameters=PASSAGE_PARAMETERS).segments
    assert segment.anchors == len(rows_of(f"{segment.path}/anchors.arrow")) > 0
    held = table_at(f"{segment.path}/anchored.arrow")
    assert held.column("row").to_pylist() == [1, 2, 4, 5], "texts of at least a window"


def test_segment_without_anchors_has_empty_files(tmp_path: Path) -> None:
    (segment,) = scanned(tmp_path, ["", "a few words"], parameters=PASSAGE_PARAMETERS).segments
    assert segment.anchors == 0
    assert rows_of(f"{segment.path}/anchors.arrow") == rows_of(f"{segment.path}/anchored.arrow") == []


def test_segment_is_written_whenever_enough_anchors_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {name: [*TEXTS, planted.joined([*WORDS[10:], name])] for name in "abc"}
    whole = passages_of(tmp_path / "whole", texts)
    assert len(whole.survived.corpus.segments) == 1
    monkeypatch.setattr(stage, "MOST_ANCHORS", 10)
    monkeypatch.setattr(stage, "BATCH_BYTES", 1)
    monkeypatch.setattr(stage, "read", lambda piece, columns: formats.read(piece, columns, 1))
    found = passages_of(tmp_path / "cut", texts)
    corpus = found.survived.corpus
    assert len(corpus.segments) > 4
    # Documents are held until there are ten anchors, and no longer.
    for segment in corpus.segments[:-1]:
        held = table_at(f"{segment.path}/anchored.arrow").column("anchors").to_pylist()
        assert sum(map(len, held[:-1])) // 4 < 10
    assert sum(segment.documents for segment in corpus.segments) == 24
    assert all_rows(found.outputs) == all_rows(whole.outputs) == definition(corpus).passage_rows()
    assert all_rows(found.span_outputs) == all_rows(whole.span_outputs)


# --- labels ----------------------------------------------------------------------------------------


def test_texts_have_the_source_of_their_document(tmp_path: Path) -> None:
    corpus = scanned(tmp_path, {"a": ["one", ""], "b": ["two", "one"]}, source=BY_FILE)
    for segment in corpus.segments:
        for row in rows_of(f"{segment.path}/texts.arrow"):
            assert row["source"] == xxhash.xxh3_64_intdigest("ab"[row["piece"]].encode())
