"""Characters to build texts of: one alphabet for each way in which scripts treat a tokeniser differently."""

from __future__ import annotations

import unicodedata
from functools import cache

from hypothesis import strategies as st

# First and last code points of blocks; unassigned ones are left out.
_BLOCKS = {
    "latin": [(0xC0, 0x24F), (0x300, 0x36F), (0x1E00, 0x1EFF), (0x1AB0, 0x1ACE), (0x1DC0, 0x1DFF)],
    "greek and cyrillic": [(0x370, 0x52F), (0x1F00, 0x1FFF), (0x300, 0x345), (0x2DE0, 0x2DFF)],
    "hangul": [(0x1100, 0x11FF), (0x3131, 0x318E), (0xA960, 0xA97C), (0xAC00, 0xACFF), (0xD788, 0xD7FB)],
    "hangul half width": [(0xFFA0, 0xFFDC), (0x1160, 0x1176), (0x11A7, 0x11C3), (0xAC00, 0xAC20)],
    "indic": [(0x900, 0xDFF), (0x11080, 0x110CD), (0x11130, 0x1114F), (0x11340, 0x1134D), (0x1B00, 0x1B4C)],
    "right to left": [(0x591, 0x6FF), (0x8D3, 0x8FF), (0xFB1D, 0xFBB1), (0xFDF0, 0xFDFB), (0xFE70, 0xFEFC)],
    "unspaced": [(0xE00, 0xEFF), (0x1000, 0x109F), (0x1780, 0x17F9), (0x302A, 0x30FF), (0xFF65, 0xFF9F)],
    "han": [(0x2E80, 0x2EF3), (0x3000, 0x3035), (0x4E00, 0x4E80), (0xF900, 0xFAD9), (0x2F800, 0x2FA1D)],
    "symbols": [(0x80, 0xBF), (0x2000, 0x2BFF), (0x3200, 0x33FF), (0x1F100, 0x1F251), (0x1F600, 0x1F64F)],
    "joiners and selectors": [(0x34F, 0x34F), (0x200B, 0x200F), (0xFE00, 0xFE0F), (0xE0100, 0xE0105)],
}  # fmt: skip
# In every alphabet: words, separators and letters that accents, strokes and dots compose with.
_ASCII = "aeoIS 1.=\n"


def _assigned(blocks: list[tuple[int, int]]) -> str:
    points = (chr(point) for first, last in blocks for point in range(first, last + 1))
    return "".join(character for character in points if unicodedata.category(character) not in ("Cn", "Cs"))


@cache
def changed_by_nfkc() -> str:
    """Every character that NFKC changes, but for most of Hangul and Han."""
    return "".join(
        chr(point)
        for point in range(0x30000)
        if not 0xD800 <= point < 0xE000
        if not unicodedata.is_normalized("NFKC", chr(point))
    )


@cache
def combining() -> str:
    """Every character with a combining class, and every one that composes with what precedes it."""
    found = {c for c in map(chr, range(0x30000)) if unicodedata.combining(c)}
    for point in range(0x30000):
        parts = unicodedata.decomposition(chr(point)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            found.add(chr(int(parts[1], 16)))
    return "".join(sorted(found))


ALPHABETS: dict[str, st.SearchStrategy[str]] = {
    "all of Unicode": st.characters(exclude_categories=["Cs"]),
    "ascii": st.characters(max_codepoint=0x7F),
    **{name: st.sampled_from(_ASCII + _assigned(blocks)) for name, blocks in _BLOCKS.items()},
}


def any_script() -> st.SearchStrategy[str]:
    """One character of any alphabet, or one that normalisation moves or changes."""
    return st.one_of(
        *ALPHABETS.values(),
        st.sampled_from(_ASCII),
        st.deferred(lambda: st.sampled_from(changed_by_nfkc())),
        st.deferred(lambda: st.sampled_from(combining())),
    )


def texts(max_size: int = 40) -> st.SearchStrategy[str]:
    """Texts in one alphabet, or in a mixture of all of them."""
    alphabets = [*ALPHABETS.values(), any_script()]
    return st.one_of(*(st.text(alphabet, max_size=max_size) for alphabet in alphabets))


def words(max_tokens: int = 30) -> st.SearchStrategy[str]:
    """Texts of many short words, so that sets of five words overlap and repeat."""
    word = st.one_of(
        st.sampled_from(["a", "b", "The", "cafe\u0301", "\u6f22\u5b57", "\u0e19\u0e49\u0e33"]), texts(6)
    )
    return st.lists(word, max_size=max_tokens).map(" ".join)
