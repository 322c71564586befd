"""Tests of varied: copies that repeat inside as the set does, and do not repeat each other."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sets import Documents, read_documents, read_texts
from varied import MOST_COPIES, TURN, WHEEL, part_of_size, turned

from pipeline.normalise import tokens

TEXTS = ["Def DEF def_1(x9): é 日本", "", "0 0 0 1.5 zulu", "Def other(x9)" * 7]


@pytest.fixture
def whole(tmp_path: Path) -> Documents:
    """Return two files of 101 rows, one of them null."""
    folder = tmp_path / "data"
    folder.mkdir()
    for part in range(2):
        texts = [*(f"{TEXTS[i % 4]} {i}" for i in range(part * 100, part * 100 + 100)), None]
        pq.write_table(
            pa.table({"id": [str(i) for i in range(101)], "text": texts}), folder / f"part-{part}.parquet"
        )
    documents = read_documents("whole", folder)
    assert documents is not None
    return documents


@pytest.mark.parametrize("copy", range(MOST_COPIES + 1))
def test_words_are_exchanged_one_for_one(copy: int) -> None:
    words = turned(TURN * copy)
    characters = WHEEL.encode()
    assert sorted(characters.translate(words)) == sorted(characters)
    assert characters.upper().translate(words).lower() == characters.translate(words)
    others = bytes(set(range(256)) - set(characters + characters.upper()))
    assert others.translate(words) == others
    assert (characters.translate(words) == characters) == (copy == 0)


def test_tokens_repeat_where_they_did() -> None:
    text = " ".join(TEXTS)
    other = text.encode().translate(turned(TURN)).decode()
    assert len(other.encode()) == len(text.encode())
    pairs = set(zip(tokens(text), tokens(other), strict=True))
    assert len(pairs) == len(set(tokens(text))) == len(set(tokens(other)))
    assert set(tokens(text)) & set(tokens(other)) == {"é", "日", "本"}


def test_a_smaller_size_is_a_part(whole: Documents, tmp_path: Path) -> None:
    part = part_of_size(whole, "part", 2_000, tmp_path)
    assert 2_000 <= part.lengths.sum() < 2_000 + whole.lengths.max()
    assert set(read_texts(part.files)) <= set(read_texts(whole.files))


def test_a_larger_size_is_the_whole_and_copies(whole: Documents, tmp_path: Path) -> None:
    total = int(whole.lengths.sum())
    large = part_of_size(whole, "large", 5 * total // 2, tmp_path)
    assert 5 * total // 2 <= large.lengths.sum() < 5 * total // 2 + whole.lengths.max()
    texts = list(read_texts(large.files))
    assert texts[:202] == list(read_texts(whole.files))
    expected = [text.encode().translate(turned(TURN)).decode() for text in texts[:202]]
    assert texts[202:404] == expected
    assert not ({*texts[:202]} & {*texts[202:404]}) - {""}
    assert [file.name for file in large.files][:4] == [
        f"copy-{copy:02d}-part-{part}.parquet" for copy in (0, 1) for part in (0, 1)
    ]
    table = pq.read_table(large.files[0])
    assert table.schema.field("text").type == pa.string()
    assert table.column("text").null_count == 1


def test_copies_are_written_once(whole: Documents, tmp_path: Path) -> None:
    total = int(whole.lengths.sum())
    first = part_of_size(whole, "large", 2 * total, tmp_path)
    written = first.files[0].stat().st_mtime_ns
    again = part_of_size(whole, "large", 2 * total, tmp_path)
    assert (again.digest, again.files[0].stat().st_mtime_ns) == (first.digest, written)


def test_more_copies_than_there_are_turns_are_refused(whole: Documents, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="need at most 36 times"):
        part_of_size(whole, "huge", 37 * int(whole.lengths.sum()), tmp_path)
