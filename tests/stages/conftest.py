"""A corpus with a repeat of every kind, taken through all stages up to the documents."""

from __future__ import annotations

import random
import unicodedata

import pytest

from tests import corpus as planted
from tests.stages.steps import BY_FILE, Compared, Corpus, Written, near_duplicates, scanned, written

# Windows of 40 shingles: 6 words apart they share 34 of 46, 12 apart 28 of 52, 10 apart 30 of 50.
CHAIN = (0, 6, 12)


def _texts() -> dict[str, list[str | None]]:
    rng = random.Random(11)
    one, two, three, four = (planted.fresh(rng, 80) for _ in range(4))
    chain = [planted.window(one, start, 40) for start in CHAIN]
    copied, near_copied = planted.window(two, 0, 40), planted.window(two, 3, 40)
    below = [planted.window(three, start, 40) for start in (0, 10)]
    accents = " ".join(f"é{word}" for word in four[:50])
    singles = [planted.text(rng, 20) for _ in range(12)]
    return {
        "a": [*singles[:3], chain[0], copied, "", "one two", below[0], None, accents, copied],
        "b": [copied, *singles[3:6], chain[2], "One, two!", " ", unicodedata.normalize("NFD", accents)],
        "c": [chain[1], copied.upper(), near_copied, *singles[6:9], below[1], "lonely words", None],
        "d": [*singles[9:], near_copied.title() + ".", chain[2], accents + " and a few more words here"],
    }


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """Four files, one shard each or more, whose sources are their names."""
    folder = tmp_path_factory.mktemp("audited")
    return near_duplicates(folder, _texts(), shard_bytes=3000, source=BY_FILE)


@pytest.fixture(scope="session")
def documented(audited: Compared) -> Written:
    """The same with its documents table, in parts of five rows."""
    return written(audited)


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Families of windows that reach from equal to hardly alike, with copies, over four files."""
    rng = random.Random(21)
    texts = []
    for size in (2, 3, 14, 2, 9):
        words = planted.fresh(rng, 120)
        texts += [planted.window(words, 3 * i, 40) for i in range(size)]
    texts += [planted.disguised(rng, text.split()) for text in texts[::4]]
    texts += [planted.text(rng, 25) for _ in range(5)] + ["short one", "Short one!", ""]
    rng.shuffle(texts)
    held = {name: texts[i::4] for i, name in enumerate("abcd")}
    return scanned(tmp_path_factory.mktemp("families"), held, shard_bytes=4000, source=BY_FILE)
