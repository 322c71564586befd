"""The second look at texts: their stretches, and their windows one by one."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.kernels.minimizers import sampler
from pipeline.kernels.scan import Tokeniser, roomier, tokeniser
from pipeline.kernels.tokens import INVALID_UTF8, NEEDS_NFKC, NO_ROOM, TOKENISED
from pipeline.kernels.windows import (
    CHANGED,
    Runs,
    Stretches,
    copy_ranges,
    places,
    plan_stretches,
    read_windows,
    stretches,
)
from pipeline.normalise import token_places, tokens
from tests import oracles
from tests.kernels.plain import plain_python

W = 8
SEVERAL, SINGLE = 2, 3  # kinds of anchors whose windows are looked at one by one
TOK, SAMPLING = tokeniser(), sampler(W)
# (kind, windows) of the anchors of a text.
PLANS = st.lists(st.tuples(st.sampled_from([0, 0, 1, SEVERAL, SINGLE]), st.integers(1, 5)), max_size=25)
Plan = Sequence[tuple[int, int]]


def runs_of(plans: Sequence[Plan]) -> Runs:
    """The anchors of texts; each that is to be looked at has windows of its own."""
    flat = [each for plan in plans for each in plan]
    kind, windows = (np.array([each[i] for each in flat], np.int64) for i in (0, 1))
    looked_at = kind >= SEVERAL
    counts = np.where(looked_at, windows, 0)
    slot = np.where(looked_at, np.cumsum(counts) - counts, -1)
    return Runs(kind.astype(np.uint8), windows.astype(np.uint16), slot, looked_at)


def ends_of(parts: Sequence[Sequence[Any]]) -> Any:
    """Boundaries of parts that lie one behind the other."""
    return np.cumsum([0, *map(len, parts)])


# --- stretches ------------------------------------------------------------------------------------


def _planned(plans: Sequence[Plan], window: int, plan: Any = plan_stretches) -> list[tuple[int, ...]]:
    runs, out = runs_of(plans), stretches(sum(map(len, plans)))
    count = plan(ends_of(plans), runs, window, out)
    columns = (out.text, out.first, out.stop, out.window)
    return list(zip(*(column[:count].tolist() for column in columns), strict=True))


def _planned_slowly(plans: Sequence[Plan], window: int) -> list[tuple[int, ...]]:
    """Windows of survivors, cut where so many others stand between two of them."""
    found: list[tuple[int, ...]] = []
    before = 0
    for text, plan in enumerate(plans):
        place, end = 0, None  # where the windows of the last survivor end
        for a, (kind, windows) in enumerate(plan):
            if kind and end is not None and place - end < window:
                found[-1] = (*found[-1][:2], before + a + 1, found[-1][3])
            elif kind:
                found.append((text, before + a, before + a + 1, place))
            place += windows
            end = place if kind else end
        before += len(plan)
    return found


@given(st.lists(PLANS, max_size=5), st.integers(1, 12))
@example([[], [(0, 5)], [(1, 1)], []], 8)
def test_stretches_are_what_their_definition_says(plans: list[Plan], window: int) -> None:
    assert _planned(plans, window) == _planned_slowly(plans, window)
    with plain_python():
        assert _planned(plans, window, plan_stretches.py_func) == _planned_slowly(plans, window)


@pytest.mark.parametrize(("gap", "count"), [(7, 1), (8, 2), (9, 2)])
def test_gap_of_a_window_parts_two_stretches(gap: int, count: int) -> None:
    plan = [(0, 9), (1, 3), (0, 4), (0, gap - 4), (SINGLE, 2), (0, 30)]
    assert (
        _planned([plan], 8) == [(0, 1, 2, 9), (0, 4, 5, 12 + gap)][:count] if count == 2 else [(0, 1, 5, 9)]
    )


def test_no_text_has_no_stretch() -> None:
    assert _planned([], 8) == []


# --- windows --------------------------------------------------------------------------------------


@dataclass
class Read:
    """What was read of some texts."""

    outcomes: list[int]
    hashes: Any
    beside: Any
    runs: Runs
    stretches: Stretches
    anchors: Any


def _read(
    texts: Sequence[bytes],
    plans: Sequence[Plan],
    ids: Sequence[int],
    *,
    window: int = W,
    tok: Tokeniser = TOK,
    is_nfkc: bool = False,
    read: Any = read_windows,
) -> Read:
    runs, anchors, out = runs_of(plans), ends_of(plans), stretches(sum(map(len, plans)))
    n = plan_stretches(anchors, runs, window, out)
    out = Stretches._make(column[:n] for column in out)
    cuts = np.searchsorted(out.text, np.arange(len(texts) + 1))
    slots = int(runs.windows[runs.emits].sum())
    hashes, beside = np.zeros(slots, np.uint64), np.zeros(slots, np.uint64)
    outcomes, data = np.full(len(texts), -1), np.frombuffer(b"".join(texts), np.uint8)
    offsets, at = ends_of(texts), 0
    while True:
        at = read(
            data, offsets[:-1], offsets[1:], at, is_nfkc, np.array(ids, np.uint64), anchors, SEVERAL, runs,
            cuts, out, sampler(window), tok, places(tok), hashes, beside, outcomes,
        )  # fmt: skip
        if at == len(texts):
            return Read(outcomes.tolist(), hashes, beside, runs, out, anchors)
        assert outcomes[at] == NO_ROOM
        assert (outcomes[at + 1 :] == -1).all()
        tok = roomier(tok, len(texts[at]))


def _plan_of(
    text: str, rng: random.Random, window: int = W, kinds: Sequence[int] = (0, 0, 0, 1, SEVERAL, SINGLE)
) -> Plan:
    """Some cutting of a text's windows into anchors, which have at most half a window of them."""
    left, plan = len(tokens(text)) - window + 1, []
    while left > 0:
        windows = min(rng.choice([1, rng.randint(1, window // 2 + 1)]), left)
        plan.append((rng.choice(kinds), windows))
        left -= windows
    return plan


def _check(texts: Sequence[str], plans: Sequence[Plan], found: Read, window: int = W) -> None:
    """Compare hashes, neighbours, tokens and bytes with the tokens of the texts."""
    by_hash: dict[Any, set[int]] = {}
    by_side: dict[Any, set[int]] = {}
    a = 0
    for text, plan in zip(texts, plans, strict=True):
        words, at = tokens(text), 0
        for kind, windows in plan:
            slot = int(found.runs.slot[a])
            for i in range(windows if kind >= SEVERAL else 0):
                here = tuple(words[at + i : at + i + window])
                beside = int(found.beside[slot + i])
                by_hash.setdefault(here, set()).add(int(found.hashes[slot + i]))
                left = words[at + i - 1] if at + i else None
                right = words[at + i + window] if at + i + window < len(words) else None
                by_side.setdefault((here, "left", left), set()).add(beside >> 32)
                by_side.setdefault((here, "right", right), set()).add(beside & 0xFFFFFFFE)
                assert beside & 1 == (kind == SEVERAL)
            a, at = a + 1, at + windows
    values = [value for known in by_hash.values() for value in known]
    assert len(values) == len(set(values)) == len(by_hash)
    for side, mask in (("left", 32), ("right", 31)):
        mine = {key: known for key, known in by_side.items() if key[1] == side}
        sides = [(key[0], value) for key, known in mine.items() for value in known]
        assert len(sides) == len(set(sides)) == len(mine), mask
    for s in range(len(found.stretches.text)):
        _check_stretch(texts[found.stretches.text[s]], s, found, window)


def _check_stretch(text: str, s: int, found: Read, window: int) -> None:
    where = token_places(text)
    first = token = int(found.stretches.window[s])
    while token > 0 and where[token - 1][2] > where[token][1]:
        token -= 1
    windows = int(found.runs.windows[found.stretches.first[s] : found.stretches.stop[s]].sum())
    last = first + windows + window - 2
    part = found.stretches
    assert (part.token[s], part.begin[s], part.end[s]) == (token, where[token][1], where[last][2])
    again = tokens(text.encode()[part.begin[s] : part.end[s]].decode())
    assert again[: last - token + 1] == tokens(text)[token : last + 1]


WORDS = ["a", "b", "longerthaneight", "漢字", "½", "Ａ", "カ", "2⁄3", "n", "NUL\0x"]
TEXTS = st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)


@given(st.lists(TEXTS, max_size=5), st.randoms(use_true_random=False), st.sampled_from([8, 9, 13]))
@example(["a " * 30, "a " * 9], random.Random(1), 8)
@example(["½" * 20, "½½ " * 9], random.Random(3), 8)
def test_windows_are_what_their_definition_says(texts: list[str], rng: random.Random, window: int) -> None:
    plans = [_plan_of(text, rng, window) for text in texts]
    # A text of fewer tokens than a window has no anchors, and is never read again.
    kept = [i for i, plan in enumerate(plans) if plan]
    texts, plans = [texts[i] for i in kept], [plans[i] for i in kept]
    raw, ids = [text.encode() for text in texts], [oracles.text_id(text) for text in texts]
    found = _read(raw, plans, ids, window=window)
    assert found.outcomes == [TOKENISED] * len(texts)
    _check(texts, plans, found, window)
    with plain_python():
        again = _read(raw, plans, ids, window=window, read=read_windows.py_func)
    assert again.hashes.tolist() == found.hashes.tolist()
    assert again.beside.tolist() == found.beside.tolist()
    assert all(np.array_equal(*pair) for pair in zip(again.stretches, found.stretches, strict=True))


@pytest.mark.parametrize("window", [8, 25, 1000])
def test_windows_of_long_texts_are_what_their_definition_says(window: int) -> None:
    rng = random.Random(window)
    texts = [" ".join(rng.choices(["a", "b", "c", "½", "word"], k=2 * window + n)) for n in (0, 50, 300)]
    plans = [_plan_of(text, rng, window) for text in texts]
    ids = [oracles.text_id(text) for text in texts]
    _check(texts, plans, _read([text.encode() for text in texts], plans, ids, window=window), window)


def test_anchor_that_stands_twice_is_looked_at_where_it_emits() -> None:
    text = " ".join(random.Random(1).choices("abc", k=20))
    plans: list[Plan] = [[(SINGLE, 4), (SINGLE, 5), (0, 4)]] * 2
    runs = runs_of(plans)
    both = runs._replace(
        slot=np.tile(runs.slot[:3], 2), emits=np.array([True, False, False, False, True, False])
    )
    hashes, beside = np.zeros(9, np.uint64), np.zeros(9, np.uint64)
    raw, outcomes = text.encode(), np.zeros(2, np.int64)
    ids = np.array([oracles.text_id(text)] * 2, np.uint64)
    read_windows(
        np.frombuffer(b"x" + raw, np.uint8), np.array([1, 1]), np.array([len(raw) + 1] * 2), 0, False, ids,
        np.array([0, 3, 6]), SEVERAL, both, np.zeros(3, np.int64), stretches(0), SAMPLING, TOK, places(TOK),
        hashes, beside, outcomes,
    )  # fmt: skip
    wanted = _read([raw], plans[:1], ids[:1].tolist())
    assert hashes.tolist() == wanted.hashes.tolist()
    assert beside.tolist() == wanted.beside.tolist()


def test_text_that_is_another_is_reported() -> None:
    text = "one two three four five six seven eight nine"
    right, other = oracles.text_id(text), oracles.text_id(text + " ten")
    plans: list[Plan] = [[(SINGLE, 2)], [(SINGLE, 2)], [(SINGLE, 1), (0, 2)], [(1, 1)], [(SINGLE, 2)]]
    found = _read([text.encode()] * 5, plans, [right, other, right, right, right])
    assert found.outcomes == [TOKENISED, CHANGED, CHANGED, CHANGED, TOKENISED]
    assert found.hashes[:2].tolist() == found.hashes[-2:].tolist()


def test_text_that_has_become_short_or_bad_is_reported() -> None:
    texts = [b"", b"one two", b"one \xff two", "e\u0301 x".encode()]
    ids = [oracles.text_id(""), oracles.text_id("one two"), 0, 0]
    plans: list[Plan] = [[(SINGLE, 2)], [(1, 1)], [(0, 1), (SINGLE, 1)], [(SINGLE, 1)]]
    found = _read(texts, plans, ids)
    assert found.outcomes == [CHANGED, CHANGED, INVALID_UTF8, NEEDS_NFKC]
    assert not found.hashes.any()


def test_text_that_needs_composing_is_read_once_it_is_composed() -> None:
    text = unicodedata.normalize("NFKC", "cafe\u0301 au lait " * 6)
    plans: list[Plan] = [[(SINGLE, 4), (SEVERAL, 5), (SINGLE, 2)]]
    composed = _read([text.encode()], plans, [oracles.text_id(text)], is_nfkc=True)
    assert composed.outcomes == [TOKENISED]
    _check([text], plans, composed)


def test_reading_goes_on_from_the_text_that_found_no_room() -> None:
    texts = ["a b c d e f g h", "word " * 400, "x " * 9, "漢" * 500, "a b c d e f g h"]
    plans = [_plan_of(text, random.Random(1), W, [SINGLE]) for text in texts]
    raw, ids = [text.encode() for text in texts], [oracles.text_id(text) for text in texts]
    found = _read(raw, plans, ids, tok=tokeniser(64))
    assert found.outcomes == [TOKENISED] * 5
    _check(texts, plans, found)
    whole = _read(raw, plans, ids)
    assert found.hashes.tolist() == whole.hashes.tolist()


def test_no_text_is_read_at_once() -> None:
    assert _read([], [], []).outcomes == []


# --- bytes ----------------------------------------------------------------------------------------


@given(st.binary(max_size=30), st.data())
def test_ranges_are_copied_one_behind_the_other(data: bytes, draw: st.DataObject) -> None:
    cut = st.tuples(st.integers(0, len(data)), st.integers(0, len(data))).map(sorted)
    ranges = draw.draw(st.lists(cut, max_size=6))
    begins, ends = (np.array([each[i] for each in ranges], np.int64) for i in (0, 1))
    for copy in (copy_ranges, copy_ranges.py_func):
        out = np.full(int((ends - begins).sum()) + 3, 7, np.uint8)
        copy(np.frombuffer(data, np.uint8), begins, ends, out)
        assert out.tobytes() == b"".join(data[begin:end] for begin, end in ranges) + b"\7\7\7"
