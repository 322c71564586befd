"""Calls the tokeniser from tests: one text or many, as a caller would."""

from __future__ import annotations

import unicodedata
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.composing import composed
from pipeline.kernels.jit import kernel
from pipeline.kernels.scan import Tokeniser, tokeniser
from pipeline.kernels.tokens import NEEDS_NFKC, TOKENISED, tokenise
from pipeline.normalise import normalised

TOK = tokeniser(1 << 14)
# A token, the first byte that it is made from, and the byte after the last.
Place = tuple[str, int, int]


def as_array(data: bytes) -> Any:
    """Bytes as a read-only uint8 array, like Arrow's buffers."""
    return np.frombuffer(data, np.uint8)


def run(data: bytes, is_nfkc: bool = False, tok: Tokeniser = TOK) -> tuple[int, int, int]:
    """What the kernel returns; `tok` holds the tokens after it."""
    buffer = as_array(data)
    found = tokenise(buffer, 0, len(data), is_nfkc, tok.ascii_map, tok.tables, tok.text, tok.ends, None, None)
    return (int(found[0]), int(found[1]), int(found[2]))


def run_nfkc(text: str, tok: Tokeniser = TOK) -> tuple[int, int, int]:
    """The same as a caller uses it: what needs composing is composed and read again."""
    found = run(text.encode(), tok=tok)
    if found[0] == NEEDS_NFKC:
        found = run(unicodedata.normalize("NFKC", text).encode(), is_nfkc=True, tok=tok)
    return found


def written(n_tokens: int, tok: Tokeniser = TOK) -> str:
    """The normalised text of `n_tokens` tokens that the kernel left in `tok`."""
    return tok.text[: tok.ends[n_tokens - 1] if n_tokens else 0].tobytes().decode()


def kernel_tokens(text: str, tok: Tokeniser = TOK) -> list[str]:
    """The tokens of a text."""
    outcome, n_tokens, _ = run_nfkc(text, tok)
    assert outcome == TOKENISED
    found = written(n_tokens, tok)
    return found.split(" ") if found else []


def places(data: bytes, is_nfkc: bool = False, tok: Tokeniser = TOK) -> tuple[int, list[Place]]:
    """Outcome, and the tokens with the bytes of `data` that they are made from."""
    begins, stops = np.full(len(tok.ends), -1, np.int64), np.full(len(tok.ends), -1, np.int64)
    outcome, n, _ = tokenise(
        as_array(data), 0, len(data), is_nfkc, tok.ascii_map, tok.tables, tok.text, tok.ends, begins, stops
    )
    tokens = written(n, tok).split(" ") if n else []
    return int(outcome), list(zip(tokens, begins[:n].tolist(), stops[:n].tolist(), strict=True))


def kernel_places(text: str, tok: Tokeniser = TOK) -> list[Place]:
    """The tokens of a text with the bytes that they are made from, as a caller finds them."""
    outcome, found = places(text.encode(), tok=tok)
    if outcome == NEEDS_NFKC:
        nfkc = composed(text.encode())
        outcome, found = places(nfkc.text, True, tok)
        found = [(token, int(nfkc.first[a]), int(nfkc.last[b - 1])) for token, a, b in found]
    assert outcome == TOKENISED
    return found


@kernel
def _each(
    data: Any, offsets: Any, is_nfkc: Any, tok: Any, text: Any, boundaries: Any, outcomes: Any, bad_at: Any
) -> None:
    at = 0
    for d in range(len(offsets) - 1):
        outcomes[d], n_tokens, bad_at[d] = tokenise(
            data,
            offsets[d],
            offsets[d + 1],
            is_nfkc,
            tok.ascii_map,
            tok.tables,
            tok.text,
            tok.ends,
            None,
            None,
        )
        length = tok.ends[n_tokens - 1] if n_tokens else 0
        text[at : at + length] = tok.text[:length]
        at += length
        boundaries[d + 1] = at


def run_each(texts: list[bytes], is_nfkc: bool = False) -> tuple[Any, list[str], Any]:
    """Outcome, normalised text and place of the first bad byte of each of many short texts."""
    n = len(texts)
    offsets = np.cumsum([0, *map(len, texts)])
    text = np.zeros(64 + 12 * int(offsets[-1]), np.uint8)
    boundaries, outcomes, bad_at = np.zeros(n + 1, np.int64), np.zeros(n, np.int64), np.zeros(n, np.int64)
    _each(as_array(b"".join(texts)), offsets, is_nfkc, TOK, text, boundaries, outcomes, bad_at)
    flat = text.tobytes()
    return outcomes, [flat[a:b].decode() for a, b in pairwise(boundaries.tolist())], bad_at


def wrong_ones(texts: list[str]) -> tuple[list[str], int]:
    """The first texts that come out differently from the definition; how many needed NFKC first."""
    outcomes, found, _ = run_each([text.encode() for text in texts])
    assert set(outcomes.tolist()) <= {TOKENISED, NEEDS_NFKC}
    late = np.flatnonzero(outcomes == NEEDS_NFKC).tolist()
    composed = [unicodedata.normalize("NFKC", texts[i]).encode() for i in late]
    outcomes, again, _ = run_each(composed, is_nfkc=True)
    assert set(outcomes.tolist()) <= {TOKENISED}
    for i, text in zip(late, again, strict=True):
        found[i] = text
    wrong = [text for text, got in zip(texts, found, strict=True) if got != normalised(text)]
    return [ascii(text) for text in wrong[:20]], len(late)
