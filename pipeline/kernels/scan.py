"""One pass over a batch of texts: hashes, token counts, band keys, sketches, anchors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.kernels.char_tables import CLASS_SHIFT, MAPPED, CharTables, char_tables
from pipeline.kernels.hashing import xxh3_128
from pipeline.kernels.jit import kernel
from pipeline.kernels.minhash import CHUNK, band_keys, permutations, sign, sketch_bytes
from pipeline.kernels.minimizers import NO_ROOM as NO_ANCHOR_ROOM
from pipeline.kernels.minimizers import Anchors, Sampler, anchors
from pipeline.kernels.tokens import HEADROOM, INVALID_UTF8, NEEDS_NFKC, NO_ROOM, tokenise

OK, SHORT, EMPTY, BAD_UTF8, DECOMPOSED = 0, 1, 2, 3, 4


class Tokeniser(NamedTuple):
    """Tables and scratch of the tokeniser; grown by `roomier` when a text does not fit.

    Attributes:
        ascii_map: uint8[128], see `tokens.tokenise`.
        tables: see `char_tables`.
        text: uint8, scratch, the normalised text.
        ends: int64, scratch, token ends.
        lanes: uint64[8], scratch of XXH3.
    """

    ascii_map: NDArray[np.uint8]
    tables: CharTables
    text: NDArray[np.uint8]
    ends: NDArray[np.int64]
    lanes: NDArray[np.uint64]


class Signer(NamedTuple):
    """Parameters and scratch of the signature.

    Attributes:
        a, b: uint32[p], the permutations.
        hashes: uint32[CHUNK], scratch.
        signature: uint32[p], scratch.
    """

    a: NDArray[np.uint32]
    b: NDArray[np.uint32]
    hashes: NDArray[np.uint32]
    signature: NDArray[np.uint32]


class Scanned(NamedTuple):
    """What `scan` finds out about n texts.

    Attributes:
        status: uint8[n], OK, SHORT (fewer tokens than a shingle), EMPTY (no token), BAD_UTF8, or
            DECOMPOSED (must go through NFKC and be scanned again).
        n_tokens: int64[n]; for BAD_UTF8 the offset of the first bad byte.
        raw: uint64[n, 2], XXH3-128 of the bytes as (low, high).
        normalised: uint64[n, 2], XXH3-128 of the normalised text.
        keys: uint64[n, bands], band keys; zero where there is no token.
        sketches: uint8[n, p], see `minhash.sketch_bytes`.
        n_anchors: int64[n], see `minimizers.anchors`.
    """

    status: NDArray[np.uint8]
    n_tokens: NDArray[np.int64]
    raw: NDArray[np.uint64]
    normalised: NDArray[np.uint64]
    keys: NDArray[np.uint64]
    sketches: NDArray[np.uint8]
    n_anchors: NDArray[np.int64]


def tokeniser(capacity: int = 1 << 16) -> Tokeniser:
    """A tokeniser whose scratch holds texts of about `capacity` bytes."""
    tables = char_tables()
    ascii_entries = tables.entry[:128]
    ascii_map = np.where((ascii_entries >> CLASS_SHIFT) & 3, ascii_entries & MAPPED, 0).astype(np.uint8)
    room = np.empty(capacity + HEADROOM, np.uint8), np.empty(capacity // 2 + HEADROOM, np.int64)
    return Tokeniser(ascii_map, tables, *room, np.zeros(8, np.uint64))


def roomier(small: Tokeniser, n_bytes: int) -> Tokeniser:
    """The same with at least twice the scratch, and enough for nearly every text of `n_bytes`."""
    capacity = max(2 * len(small.text), n_bytes + n_bytes // 2)
    ends = max(2 * len(small.ends), capacity // 4)
    return small._replace(text=np.empty(capacity, np.uint8), ends=np.empty(ends, np.int64))


def signer(num_perm: int, seed: int) -> Signer:
    """The permutations of a seed with their scratch."""
    a, b = permutations(num_perm, seed)
    return Signer(a, b, np.empty(CHUNK, np.uint32), np.empty(num_perm, np.uint32))


def scanned(n: int, bands: int, num_perm: int) -> Scanned:
    """Zeroed output for n texts."""
    return Scanned(
        np.zeros(n, np.uint8),
        np.zeros(n, np.int64),
        np.zeros((n, 2), np.uint64),
        np.zeros((n, 2), np.uint64),
        np.zeros((n, bands), np.uint64),
        np.zeros((n, num_perm), np.uint8),
        np.zeros(n, np.int64),
    )


@kernel
def scan(
    data: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    first: int,
    is_nfkc: bool,
    width: int,
    rows: int,
    tok: Tokeniser,
    signing: Signer,
    out: Scanned,
    sampling: Sampler,
    found: Anchors,
    filled: int,
) -> int:
    """Scan texts first, first + 1, ... of a batch.

    Args:
        data: uint8, the texts back to back. offsets: int64[n + 1], their boundaries.
        first: the text to begin with. is_nfkc: the texts are in NFKC already.
        width: tokens in a shingle. rows: signature values in a band.
        tok, signing, sampling: tables, parameters and scratch. out: arrays for all n texts, out.
        found: anchors, out, those of one text behind those of another, from `filled` on.

    Returns:
        n when all is done, else the text that needs more room: d for a `roomier` tokeniser, -1 - d
        for more anchors. Call again from there.

    Cost: linear. References: `pipeline.normalise`, xxhash, datasketch.
    """
    for d in range(first, len(offsets) - 1):
        start, stop = offsets[d], offsets[d + 1]
        outcome, n_tokens, bad_at = tokenise(
            data, start, stop, is_nfkc, tok.ascii_map, tok.tables, tok.text, tok.ends, None, None
        )
        if outcome == NO_ROOM:
            return d
        if outcome == INVALID_UTF8:
            out.status[d] = BAD_UTF8
            out.n_tokens[d] = bad_at
            continue
        if not is_nfkc:
            out.raw[d, 0], out.raw[d, 1] = xxh3_128(data, start, stop, tok.lanes)
        if outcome == NEEDS_NFKC:
            out.status[d] = DECOMPOSED
            continue
        out.n_tokens[d] = n_tokens
        length = tok.ends[n_tokens - 1] if n_tokens else 0
        out.normalised[d, 0], out.normalised[d, 1] = xxh3_128(tok.text, 0, length, tok.lanes)
        if n_tokens == 0:
            out.status[d] = EMPTY
            continue
        out.status[d] = OK if n_tokens >= width else SHORT
        sign(tok.text, tok.ends, n_tokens, width, signing.a, signing.b, signing.hashes, signing.signature)
        band_keys(signing.signature, rows, out.keys[d])
        sketch_bytes(signing.signature, out.sketches[d])
        if sampling.sizes[0]:
            after = anchors(tok.text, tok.ends, n_tokens, sampling, found, filled)
            if after == NO_ANCHOR_ROOM:
                return -1 - d
            out.n_anchors[d], filled = after - filled, after
    return len(offsets) - 1
