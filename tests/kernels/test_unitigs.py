"""Cutting stretches into passages, once it is known where windows branch."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kernels.predictable import most_period
from pipeline.kernels.scan import Tokeniser, roomier, tokeniser
from pipeline.kernels.unitigs import (
    ALL_KNOWN,
    ENOUGH,
    LEFT_ALIKE,
    MORE_SPANS,
    MORE_TOKENS,
    REPEATED,
    RIGHT_ALIKE,
    Spans,
    cut,
    memory,
    spans,
)
from pipeline.kernels.unitigs import roomier as roomier_spans
from pipeline.kernels.windows import Runs, Stretches, places
from pipeline.normalise import token_places, tokens
from tests import oracles
from tests import passage_oracle as oracle
from tests.kernels.plain import plain_python

W = 8
SETTLED, SINGLE = 1, 3
TOK = tokeniser()


class Stretch(NamedTuple):
    """A part of a text: its number, its first window, and how its windows lie in anchors."""

    text: int
    window: int
    token: int
    anchors: Sequence[tuple[int, int, bool]]  # kind, windows, whether they are looked at one by one


def known_windows(documents: Sequence[Sequence[str]], w: int) -> list[list[int]]:
    """What is known of each window of each document, from all places where it stands."""
    around: dict[oracle.Words, list[tuple[str | None, str | None]]] = defaultdict(list)
    for words in documents:
        for i, window in enumerate(oracle.windows(words, w)):
            around[window].append((words[i - 1] if i else None, words[i + w] if i + w < len(words) else None))
    flags = {
        window: REPEATED * (len(beside) > 1)
        | LEFT_ALIKE * (len({left for left, _ in beside}) == 1)
        | RIGHT_ALIKE * (len({right for _, right in beside}) == 1)
        for window, beside in around.items()
    }
    return [
        [flags[window] if flags[window] & REPEATED else 0 for window in oracle.windows(words, w)]
        for words in documents
    ]


def whole(known: Sequence[Sequence[int]], rng: random.Random) -> list[Stretch]:
    """Each text as one stretch: anchors of what is settled, of what does not repeat, and of others."""
    found = []
    for text, flags in enumerate(known):
        anchors, at = [], 0
        while at < len(flags):
            count = rng.randint(1, min(5, len(flags) - at))
            held = set(flags[at : at + count])
            settled = held == {ALL_KNOWN} and rng.random() < 0.8
            nothing = held == {0} and rng.random() < 0.8
            anchors.append((SETTLED if settled else 0 if nothing else SINGLE, count, not settled | nothing))
            at += count
        found.append(Stretch(text, 0, 0, anchors))
    return found


def runs_of(
    texts: Sequence[str], known: Sequence[Sequence[int]], parts: Sequence[Stretch], w: int
) -> tuple[Runs, list[int]]:
    """The anchors of stretches, and what is known of windows by slot, which equal anchors share."""
    rows: list[tuple[int, int, int]] = []
    flags: list[int] = []
    slots: dict[Any, int] = {}
    for part in parts:
        at, words = part.window, [None, *tokens(texts[part.text]), None]
        for kind, count, looked_at in part.anchors:
            slot = slots.setdefault(tuple(words[at : at + count + w + 1]), len(flags)) if looked_at else -1
            flags += known[part.text][at : at + count] if slot == len(flags) else []
            rows.append((kind, count, slot))
            at += count
    kinds, windows, of_anchor = (np.array([row[i] for row in rows], np.int64) for i in range(3))
    return Runs(kinds.astype(np.uint8), windows.astype(np.uint16), of_anchor, np.zeros(0, np.bool_)), flags


def cut_all(
    texts: Sequence[str],
    known: Sequence[Sequence[int]],
    parts: Sequence[Stretch],
    w: int = W,
    *,
    tok: Tokeniser = TOK,
    room: int = 64,
    kernel: Any = cut,
) -> tuple[list[tuple[Any, ...]], list[int]]:
    """The spans of stretches, and what was needed on the way."""
    raw = [text.encode() for text in texts]
    begins = [token_places(texts[part.text])[part.token][1] if part.anchors else 0 for part in parts]
    held = [raw[part.text][begin:] for part, begin in zip(parts, begins, strict=True)]
    runs, flags = runs_of(texts, known, parts, w)
    ends = np.cumsum([0, *(len(part.anchors) for part in parts)])
    unused = np.zeros(0, np.int64)
    window, token = (
        np.array([getattr(part, name) for part in parts], np.int64) for name in ("window", "token")
    )
    stretches = Stretches(unused, ends[:-1], ends[1:], window, token, unused, unused)
    offsets, data = np.cumsum([0, *map(len, held)]), np.frombuffer(b"".join(held), np.uint8)
    at, filled, needed, out, place = 0, 0, list[int](), spans(room), places(tok)
    met = memory(len(flags))
    while True:
        at, filled, needs = kernel(
            data, offsets, at, w, most_period(w), runs, stretches, np.array(flags, np.uint8), tok, place, met,
            out, filled,
        )  # fmt: skip
        if needs == ENOUGH:
            assert at == len(parts)
            columns = [column[:filled].tolist() for column in out]
            return list(zip(*columns, strict=True)), needed
        needed.append(needs)
        if needs == MORE_TOKENS:
            tok = roomier(tok, len(held[at]))
            place = places(tok)
        else:
            out = roomier_spans(out, filled)


def defined(texts: Sequence[str], parts: Sequence[Stretch], w: int) -> list[tuple[Any, ...]]:
    """The spans by the definition of passages, in the order of the stretches."""
    documents = [tokens(text) for text in texts]
    found = []
    for passage, at in oracle.passages(documents, w).items():
        for d, start in at:
            found.append((d, start, passage))
    rows = []
    for s, part in enumerate(parts):
        count = sum(windows for _, windows, _ in part.anchors)
        for d, start, passage in sorted(found, key=lambda each: each[:2]):
            if d == part.text and part.window <= start < part.window + count:
                where = token_places(texts[d])
                shift = where[part.token][1]
                begin, end = where[start][1] - shift, where[start + len(passage) - 1][2] - shift
                name = oracles.text_id(" ".join(passage))
                row = s, start, len(passage), begin, end, name, oracle.predictable(passage, w)
                rows.append(row)
    return rows


WORDS = st.sampled_from(["a", "a", "b", "c", "longerthaneight", "漢", "x1", "x2"])
BLOCKS = st.lists(st.lists(WORDS, min_size=6, max_size=20), min_size=1, max_size=3)


@st.composite
def corpora(draw: st.DrawFn) -> list[str]:
    """Texts made of a few blocks."""
    blocks = draw(BLOCKS)
    part = st.one_of(
        st.sampled_from(blocks),
        st.lists(WORDS, max_size=3),
        st.builds(lambda block, i: block[i:], st.sampled_from(blocks), st.integers(0, 4)),
    )
    texts = draw(st.lists(st.lists(part, max_size=4), max_size=6))
    return [draw(st.sampled_from([" ", ", "])).join(word for held in text for word in held) for text in texts]


@given(corpora(), st.randoms(use_true_random=False))
@example(["a " * 30, "a " * 9], random.Random(1))
@example([], random.Random(1))
def test_spans_are_what_their_definition_says(texts: list[str], rng: random.Random) -> None:
    known = known_windows([tokens(text) for text in texts], W)
    parts = whole(known, rng)
    found, needed = cut_all(texts, known, parts)
    assert found == defined(texts, parts, W)
    assert set(needed) <= {MORE_SPANS}
    with plain_python():
        assert cut_all(texts, known, parts, kernel=cut.py_func)[0] == found


def test_room_is_asked_for_and_cutting_goes_on_where_it_ran_out() -> None:
    rng = random.Random(1)
    blocks = [" ".join(rng.choices("abcdef", k=30)) for _ in range(4)]
    texts = [" ".join(rng.choices(blocks, k=6)) for _ in range(20)] + ["word " * 300]
    known = known_windows([tokens(text) for text in texts], W)
    parts = whole(known, rng)
    wanted = defined(texts, parts, W)
    assert cut_all(texts, known, parts, room=len(wanted)) == (wanted, [])
    assert cut_all(texts, known, parts, room=len(wanted) - 1) == (wanted, [MORE_SPANS])
    found, needed = cut_all(texts, known, parts, room=1, tok=tokeniser(64))
    assert found == wanted
    assert (needed.count(MORE_SPANS), MORE_TOKENS in needed) == ((len(wanted) - 1).bit_length(), True)


@pytest.mark.parametrize("w", [8, 25, 1000])
def test_spans_of_long_texts_are_what_their_definition_says(w: int) -> None:
    rng = random.Random(w)
    block = " ".join(rng.choices(["a", "b", "word", "x1"], k=2 * w))
    texts = [f"{block} {'q ' * n}{block}" for n in (0, 3, w)] + ["a " * (w + 5)]
    known = known_windows([tokens(text) for text in texts], w)
    parts = whole(known, rng)
    assert cut_all(texts, known, parts, w)[0] == defined(texts, parts, w)


def test_stretch_begins_in_the_middle_of_its_text() -> None:
    rng = random.Random(2)
    shared = " ".join(f"s{i}" for i in rng.sample(range(99), 12))
    texts = [f"{'one ½ three ' * 3}{shared} end", f"two {shared} other"]
    known = known_windows([tokens(text) for text in texts], W)
    first = known[0].index(ALL_KNOWN - LEFT_ALIKE)
    anchors = [(SINGLE, 3, True), (SINGLE, len(known[0]) - first - 3, True)]
    # It may be read from a token before its first window on; ½ is two.
    parts = [Stretch(0, first, first, anchors), Stretch(0, first, first - 3, anchors)]
    found, _ = cut_all(texts, known, parts)
    assert found == defined(texts, parts, W)
    assert [row[1:3] for row in found] == [(first, 12), (first, 12)]
    assert found[1][3] - found[0][3] == len("½ three ".encode())


def test_paths_of_two_stretches_are_not_joined() -> None:
    text = " ".join(f"w{i}" for i in range(20))
    texts = [text, text]
    known = known_windows([tokens(text) for text in texts], W)
    halves = [Stretch(0, 0, 0, [(SETTLED, 6, False)]), Stretch(0, 6, 6, [(SETTLED, 7, False)])]
    found, _ = cut_all(texts, known, halves)
    assert [row[:3] for row in found] == [(0, 0, 13), (1, 6, 14)]


def test_window_that_is_alike_but_stands_once_is_in_no_passage() -> None:
    text = " ".join(f"w{i}" for i in range(12))
    flags = [[ALL_KNOWN, ALL_KNOWN, LEFT_ALIKE | RIGHT_ALIKE, ALL_KNOWN, ALL_KNOWN]]
    found, _ = cut_all([text], flags, [Stretch(0, 0, 0, [(SINGLE, 5, True)])])
    assert [row[1:3] for row in found] == [(0, 9), (3, 9)]


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        (RIGHT_ALIKE, LEFT_ALIKE, [(0, 9)]),
        (LEFT_ALIKE, RIGHT_ALIKE, [(0, 8), (1, 8)]),
        (RIGHT_ALIKE, RIGHT_ALIKE, [(0, 8), (1, 8)]),
        (LEFT_ALIKE, LEFT_ALIKE, [(0, 8), (1, 8)]),
        (0, 0, [(0, 8), (1, 8)]),
    ],
)
def test_two_windows_are_one_path_if_neither_branches_there(
    first: int, second: int, wanted: list[tuple[int, int]]
) -> None:
    text = " ".join(f"w{i}" for i in range(9))
    flags = [[REPEATED | first, REPEATED | second]]
    for anchors in ([(SINGLE, 2, True)], [(SINGLE, 1, True)] * 2):
        found, _ = cut_all([text], flags, [Stretch(0, 0, 0, anchors)])
        assert [row[1:3] for row in found] == wanted


def test_roomier_keeps_what_is_there() -> None:
    small = Spans._make(np.arange(3).astype(column.dtype) for column in spans(3))
    large = roomier_spans(small, 2)
    assert [len(column) for column in large] == [6] * 7
    assert [column[:2].tolist() for column in large] == [[0, 1]] * 6 + [[False, True]]
