"""The compiled tokeniser against the rule in `pipeline.normalise`."""

from __future__ import annotations

import random
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kernels.scan import roomier
from pipeline.kernels.tokens import INVALID_UTF8, NEEDS_NFKC, TOKENISED
from pipeline.normalise import normalised, tokens
from tests.kernels.alphabets import ALPHABETS, any_script, changed_by_nfkc, combining
from tests.kernels.plain import plain_python
from tests.kernels.tokenising import TOK, kernel_tokens, run, written, wrong_ones

# Unassigned planes and private use: nothing but separators.
EMPTY_PLANES = [*range(0x40000, 0xE0000), *range(0xF0000, 0x110000)]
FULL_PLANES = [*range(0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xF0000)]


@pytest.mark.parametrize("name", [*ALPHABETS, "mixture"])
def test_tokens_equal_the_definition(name: str) -> None:
    alphabet = any_script() if name == "mixture" else ALPHABETS[name]

    @given(st.text(alphabet, max_size=60))
    def agree(text: str) -> None:
        assert kernel_tokens(text) == tokens(text)

    agree()


CONTEXTS = {
    "alone": "{}",
    "between letters": "a{}b",
    "between words": "a {} b",
    "in capitals": "A{}B",
    "after e": "e{}",
    "after e acute": "\u00e9{}",
    "after a symbol": "={}",
    "after Hangul LV": "\uac00{}",
    "after Hangul L": "\u1100{}",
    "after a Bengali vowel": "\u09c7{}",
    "after a mark that never composes": "e\u0316{}",
    "after a ligature": "\ufb01{}",
    "after a word of eight": "abcdefgh{}",
    "before acute": "{}\u0301",
    "before dot below and acute": "{}\u0323\u0301",
    "before stroke": "{}\u0338",
    "before a mark that never composes": "{}\u0316",
    "before a low class": "{}\u0334x",
    "before voiced sound mark": "{}\u3099",
    "before Hangul V": "{}\u1161",
    "before Hangul T": "{}\u11a8",
    "before Han": "{}\u6f22",
}


@pytest.mark.parametrize("frame", CONTEXTS.values(), ids=CONTEXTS.keys())
def test_every_character_is_right_in_this_place(frame: str) -> None:
    # Most of Hangul and Han behave alike: one in eleven of them, but for the place on its own.
    alike = [
        *range(0x4E80, 0x9F00),
        *range(0xAD00, 0xD700),
        *range(0x20000, 0x2F000),
        *range(0x2FB00, 0x40000),
    ]
    skip = set() if frame in ("{}", "a{}b") else {point for point in alike if point % 11}
    places = [frame.format(chr(point)) for point in FULL_PLANES if point not in skip]
    wrong, _ = wrong_ones(places)
    assert wrong == []


def test_every_other_code_point_separates() -> None:
    for first in range(0, len(EMPTY_PLANES), 1 << 12):
        points = EMPTY_PLANES[first : first + (1 << 12)]
        text = "".join(f"a{chr(point)}" for point in points)
        tok = roomier(TOK, 10 * len(points))
        assert kernel_tokens(text, tok) == ["a"] * len(points)
        assert tokens(text) == ["a"] * len(points)


def test_combining_sequences_equal_the_definition() -> None:
    generator = random.Random(15)
    marks, changed = combining(), changed_by_nfkc()
    pools = [
        marks,
        marks,
        changed,
        "aeoAEO=<\u1100\uac00\uac01\u0995\u304b\u00e9\u1e69\u1eb7",
        "\u0316\u0301\u0323\u05b0",
    ]
    sequences = [
        "".join(generator.choice(generator.choice(pools)) for _ in range(generator.randrange(1, 8)))
        for _ in range(60_000)
    ]
    wrong, composed = wrong_ones(sequences)
    assert wrong == []
    assert len(sequences) // 10 < composed < len(sequences)


def test_text_that_needs_nfkc_is_right_after_it() -> None:
    for text in (
        "cafe\u0301",
        "\u1112\u1161\u11ab",
        "\uff76\uff9e",
        "q\u0301\u0323",
        "\u0995\u09c7\u09be",
        "\ufb01\u0323",
    ):
        assert run(text.encode()) == (NEEDS_NFKC, 0, 0)
        composed = unicodedata.normalize("NFKC", text)
        assert run(composed.encode(), is_nfkc=True) == (TOKENISED, len(tokens(text)), 0)
        assert written(len(tokens(text))) == normalised(text)


COMPOSED = {
    "English": "The quick brown fox \u2014 it\u2019s \u201cquick\u201d \u2014 jumps over 13 lazy dogs\u2026",
    "Russian": "Съешь же ещё этих мягких французских булок, да выпей чаю. Йод, ёлка.",
    "German": "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. STRAẞE",
    "French": "Voix ambiguë d’un cœur qui au zéphyr préfère les jattes de kiwis ; 1½ €",
    "Japanese": "いろはにほへと、パピプペポ。ガラスのラーメン（東京）は１２３円です",
    "Japanese, half width": "ｱｲｳｴｵ ﾗｰﾒﾝ",
    "Chinese": "天地玄黃，宇宙洪荒。日月盈昃，辰宿列張。",
    "Korean": "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.",
    "Vietnamese": "Tiếng Việt có rất nhiều dấu: ắ ằ ẳ ẵ ặ, ế ề ể ễ ệ, ố ồ ổ ỗ ộ, đ Ữ",
    "Hindi": "नमस्ते दुनिया, हिन्दी भाषा ।",
    "Hindi with nukta": "बड़ी पढ़ाई, हज़ार",
    "Bengali": "সমান মর্যাদা এবং অধিকার নিয়ে",
    "Tamil": "சகலரும் சுதந்திரமாக",
    "Burmese": "တူညီ လွတ်လပ်သော",
    "Arabic with harakat": "بِسْمِ اللَّهِ الرَّحْمَٰنِ ، آأإئ",
    "Hebrew with points": "\u05d1\u05bc\u05b0\u05e8\u05b5\u05d0\u05e9\u05c1\u05b4\u05d9\u05ea",
    "Thai": "สวัสดีชาวโลก ภาษาไทยน้ำ กำลัง",
    "Greek": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. ΟΔΟΣ",
    "emoji": "good \U0001f44d\U0001f3fd, \U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f 1\u20e3",
    "marks in order": "x\u0334\u0316\u0317\u0316 \u05d0\u05b0\u05b0",
    "compatibility": "\ufb01ne \uff21\uff22 \u2460 \u2167 \ufdfa \u33a1 \u00bd \u00aa \u2126",
}


@pytest.mark.parametrize("text", COMPOSED.values(), ids=COMPOSED.keys())
def test_text_without_decomposed_characters_is_read_at_once(text: str) -> None:
    composed = unicodedata.normalize("NFC", text)
    for repeated in (composed, composed * 3):
        assert run(repeated.encode()) == (TOKENISED, len(tokens(repeated)), 0)
        assert written(len(tokens(repeated))) == normalised(repeated)


def test_few_characters_need_nfkc_on_their_own() -> None:
    _, needing = wrong_ones([chr(point) for point in FULL_PLANES])
    assert 0 < needing < 250  # the characters that can merge with the one before them


def test_plain_python_gives_the_same_tokens() -> None:
    texts = [
        "",
        "Plain ASCII, longer than 8 bytes",
        "caf\u00e9 \u6f22\u5b57 \ufb01 \ufdfa",
        "e\u0301",
        "\U00010400\u0e19\u0e49\u0e33",
    ]
    with plain_python():
        for text in texts:
            assert kernel_tokens(text) == tokens(text)
        assert run(b"ab\xff") == (INVALID_UTF8, 0, 2)
