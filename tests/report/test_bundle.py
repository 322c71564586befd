"""The script that draws the plots, kept in a file."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import pytest

from pipeline.report import bundle


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A cache in a folder of its own, and a cheap script in place of the real one; each making is noted."""
    calls: list[str] = []

    def make() -> str:
        calls.append("made")
        return "let a = 1;\n"

    monkeypatch.setattr(bundle, "_made", make)
    monkeypatch.setattr(bundle, "cache_file", lambda: tmp_path / "cache" / "vega.js")
    return calls


def test_script_is_made_once(made: list[str]) -> None:
    assert [bundle.javascript() for _ in range(3)] == ["let a = 1;\n"] * 3
    assert made == ["made"]


@pytest.mark.parametrize("damage", [b"", b"// sha256 0\nlet b;", b"\xff\xfe", b"let a = 1;\n"])
def test_damaged_cache_is_made_again(made: list[str], damage: bytes) -> None:
    bundle.javascript()
    bundle.cache_file().write_bytes(damage)
    assert bundle.javascript() == "let a = 1;\n"
    assert made == ["made"] * 2


def test_cut_cache_is_made_again(made: list[str]) -> None:
    bundle.javascript()
    kept = bundle.cache_file().read_bytes()
    bundle.cache_file().write_bytes(kept[:-1])
    assert bundle.javascript() == "let a = 1;\n"
    assert bundle.cache_file().read_bytes() == kept


def test_cache_that_cannot_be_written_costs_no_page(
    made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(bundle, "cache_file", lambda: tmp_path / "file" / "vega.js")
    assert [bundle.javascript(), bundle.javascript()] == ["let a = 1;\n"] * 2
    assert made == ["made"] * 2


def test_cache_is_in_the_home_where_the_package_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert bundle.cache_file().parent == tmp_path / ".cache" / "dupaudit"


def test_real_script_fits_a_script_tag() -> None:
    script = bundle.javascript()
    assert "window.vegaEmbed" in script
    assert not {"</script", "<!--", "\r"} & {
        mark for mark in ("</script", "<!--", "\r") if mark in script.lower()
    }
    assert 500_000 < len(script) < 1_500_000
    assert version("vl-convert-python") in bundle.cache_file().name
