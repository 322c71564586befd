"""How numbers are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import figures


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"), (0, "0%"), (1, "100%"), (0.5, "50.00%"), (0.9999, "99.99%"), (0.99999, "99.99%"),
        (0.999999999, "99.99%"), (0.00001, "<0.01%"), (0.0001, "0.01%"), (0.12345, "12.35%"),
    ],
)  # fmt: skip
def test_percent(value: float | None, shown: str) -> None:
    assert figures.percent(value) == shown


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_only_all_reads_as_all_and_nothing_as_nothing(value: float) -> None:
    assert figures.percent(value) not in {"0%", "0.00%", "100%", "100.00%"}
    assert figures.similarity(value) not in {"1", "1.000"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (0, "0"),
        (1234567, "1,234,567"),
        (1.5, "1.5"),
        (120.5, "120"),
        (5.999, "6"),
        (1e12, "1,000,000,000,000"),
    ],
)
def test_number(value: float | None, shown: str) -> None:
    assert figures.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (999, "999 bytes"), (1500, "1.5 kB"), (2.5e9, "2.5 GB"), (3.25e15, "3,250.0 TB")],
)
def test_size(value: float | None, shown: str) -> None:
    assert figures.size(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (1.3e9, "1.3 billion"),
        (3e11, "300 billion"),
        (125e6, "125 million"),
        (1e13, "10 trillion"),
        (7, "7"),
    ],
)
def test_large(value: float | None, shown: str) -> None:
    assert figures.large(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0.04, "0.0 s"), (59.9, "59.9 s"), (61, "1 min 1 s"), (7260, "2 h 1 min")],
)
def test_seconds(value: float | None, shown: str) -> None:
    assert figures.seconds(value) == shown


def test_noun_follows_its_number() -> None:
    assert figures.count(1, "document") == "1 document"
    assert figures.count(2000, "document") == "2,000 documents"
    assert figures.count(2, "cluster holds", "clusters hold") == "2 clusters hold"
