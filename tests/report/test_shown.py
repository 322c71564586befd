"""Text of a data set on the page."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from pipeline.report import shown


def test_what_hides_or_reorders_is_written_out() -> None:
    assert shown.text("a\x00b\u202ec\x1b[31m\ufeff\u200b") == r"a\x00b\u202ec\x1b[31m\ufeff\u200b"
    assert shown.text("\ud800") == r"\ud800"


def test_lines_joiners_and_wide_spaces_stay() -> None:
    words = "one\n\ttwo\u00a0\u3000می\u200cخواهم 👩\u200d🚀"
    assert shown.text(words) == words
    assert shown.text("a\r\nb\rc") == "a\nb\\rc"


def test_a_text_is_cut() -> None:
    assert shown.text("x" * 2001) == "x" * 2000 + "…"
    assert shown.text("x" * 2000) == "x" * 2000


def test_a_name_is_one_line_of_sixty_characters() -> None:
    assert shown.name("a\nb") == r"a\nb"
    assert len(shown.name("n" * 1_000_000)) == 60
    assert shown.name(None) == "-"


def test_a_path_keeps_its_end() -> None:
    assert shown.path("data/a.jsonl") == "data/a.jsonl"
    long = shown.path("/very" * 100 + "/part-00017.parquet")
    assert len(long) == 60
    assert long.startswith("…")
    assert long.endswith("/part-00017.parquet")


@given(st.text())
def test_no_control_or_direction_mark_is_left(words: str) -> None:
    for made in (shown.text(words), shown.name(words), shown.path(words)):
        left = {c for c in made if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
        assert left <= {"\n", "\t", "\u200c", "\u200d"}


@given(st.text())
def test_a_path_is_never_longer_than_its_limit(words: str) -> None:
    assert len(shown.path(words)) <= 60
