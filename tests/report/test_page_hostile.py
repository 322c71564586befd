"""Text of a data set is text on the page, whatever it is and wherever it comes in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from pipeline import schemas
from pipeline.report import page as report_page
from pipeline.report.page import render, write_page
from pipeline.stages.new_repeats import KINDS
from tests.report import tables
from tests.report.opened import Row, Watched, opened
from tests.report.tables import manifest_of, write_run

ATTACKS = (
    "<script>alert('x')</script>",
    "</script><script>window.hacked = 1</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(2)>',
    "' onmouseover='alert(3)' x='",
    "</td></tr></table><h1>owned</h1>",
    "<!-- ]]> --> <![CDATA[",
    "{{ 7 * 7 }} {% raw %} ${alert(4)}",
    "javascript:alert(5)",
    "nul \x00 bell \x07 escape \x1b[31m",
    "\u202eright to left\u202c \u2066isolate\u2069 \u200f",
    "line\u2028separator\u2029paragraph\x85next",
    "datum.x']; alert(6); //",
    "</style><style>body { display: none }",
    "a.b[0]\\'c",
    "Z̸̢̛͎̲͚̻a̶̧̛l̷͜g̵o " * 3,
    "ﷺ" * 40,
    "W" * 1_000_000,
    "\n" * 5000,
    "--><noscript><style>*{color:red}",
    "&lt;script&gt;&#x3c;b&amp;",
)
COUNT = len(ATTACKS)
# Two names that are alike in all that a plot shows of them.
ALIKE = (
    "a very long name of a source that goes on and on, one",
    "a very long name of a source that goes on and on, two",
)


def _hostile(table: schemas.Table, count: int = COUNT) -> list[Row]:
    # Every string of every row is an attack; ids are distinct.
    strings = [column.name for column in table.columns if column.type == "string"]
    keys = [column.name for column in table.columns if column.type == "uint64"]
    return [
        {**dict.fromkeys(keys, i), **{name: ATTACKS[(i + j) % COUNT] for j, name in enumerate(strings)}}
        for i in range(count)
    ]


def _tables() -> dict[str, list[Row]]:
    names = [*ATTACKS, *ALIKE]
    clusters = [
        {**row, "chained": 1, "representative": i} for i, row in enumerate(_hostile(schemas.CLUSTERS))
    ]
    examples = [
        {**row, "doc_id": i + 1000 * j, "text": ATTACKS[(i + j) % COUNT][:2000], "n_bytes": 1 << 20}
        for i, row in enumerate(_hostile(schemas.EXAMPLES))
        for j in (0, 1)
    ]
    passages = [
        {
            **row,
            "text": ATTACKS[i][:500],
            "risk_tier": "high",
            "evidence_reason": ATTACKS[i],
            "predictable": i % 2 == 0,
        }
        for i, row in enumerate(_hostile(schemas.PASSAGES))
    ]
    new = [
        {**row, "kind": kind} for row, kind in zip(_hostile(schemas.NEW_REPEATS), KINDS * COUNT, strict=False)
    ]
    return {
        "new_repeats": new,
        "inputs": _hostile(schemas.INPUTS),
        "rejects": _hostile(schemas.REJECTS),
        "clusters": clusters,
        "examples": examples,
        "passages": passages,
        "sources": tables.sources(names, ATTACKS[:3]),
        "source_overlap": [*tables.overlap(names), *tables.overlap(list(ATTACKS[:3]), kind="licence")],
    }


def _manifest() -> dict[str, Any]:
    manifest = manifest_of(
        inputs=list(ATTACKS[:17]),
        text_column=ATTACKS[1],
        id_column=ATTACKS[2],
        source={"column": ATTACKS[3]},
        licence_column=ATTACKS[13],
        mixture={ATTACKS[0]: 2},
        model={"parameters": 1e9},
    )
    manifest["config"]["inputs"].append("\ud800 lone")
    manifest["run"] = ATTACKS[1] + "\udcff"
    manifest["passed_over"] = {ATTACKS[5]: 3}
    manifest["packages"] = dict.fromkeys(ATTACKS[:3], ATTACKS[4])
    manifest |= {"new_files": 3, "earlier_run": ATTACKS[0]}
    manifest["stages"] = [{"stage": ATTACKS[0], "counts": {ATTACKS[1]: 3}, "seconds": 1, "peak_bytes": 2}]
    return manifest


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run that is hostile in every place."""
    manifest = _manifest()
    run = write_run(tmp_path_factory.mktemp("hostile") / "run", manifest, **_tables())
    return write_page(run, None)


@pytest.fixture(scope="module")
def page(path: Path, browser: Browser) -> Iterator[Watched]:
    """It in a browser; closing it fails on dialogs, errors, requests and words on the console."""
    with opened(browser, path) as watched:
        yield watched


def test_nothing_ran(page: Watched) -> None:
    assert page.page.evaluate("window.hacked") is None
    assert page.faults == []


def test_page_is_whole(page: Watched) -> None:
    document = page.page
    assert document.locator("h1").count() == 1
    assert document.locator("script").count() == 3
    assert document.locator("style").count() == 1
    assert document.locator("h2").count() == 11
    assert document.locator("img, svg[onload], [onerror], [onmouseover], iframe").count() == 0
    assert document.locator("footer").inner_text().startswith("Made by dupaudit")
    assert document.locator("main > section").count() == 11


def test_attacks_are_shown_as_text(page: Watched) -> None:
    names = {row["~source"] for row in page.table("sources")}
    assert {
        "<script>alert('x')</script>",
        "<img src=x onerror=alert(1)>",
        "&lt;script&gt;&#x3c;b&amp;",
    } <= names
    assert r"nul \x00 bell \x07 escape \x1b[31m" in names
    assert r"\u202eright to left\u202c \u2066isolate\u2069 \u200f" in names
    assert r"line\u2028separator\u2029paragraph\x85next" in names
    assert "W" * 57 + "..." in names
    assert page.page.title().startswith("Repetition audit: </script><script>window.hacked")


def test_paths_of_new_repeats_are_shown_as_text(page: Watched) -> None:
    assert "not in the run <script>alert('x')</script>" in page.page.locator("#new > p").first.inner_text()
    rows = page.table("new-repeats")
    assert len(rows) == 20
    assert "<script>alert('x')</script>, row 1" in {row["~uri"] for row in rows}
    assert any(row["~earlier_uri"].endswith(r"\x1b[31m, row 1") for row in rows)


def test_attacks_are_shown_where_texts_are(page: Watched) -> None:
    shown = page.page.locator(".words").all_text_contents()
    whole = "\n".join(shown)
    for attack in ATTACKS[:9]:
        assert attack in whole
    assert max(map(len, shown)) < 2100
    passages = "\n".join(page.page.locator(".passage").all_text_contents())
    assert ATTACKS[1] in passages
    assert r"\x1b[31m" in passages


def test_configuration_is_shown_as_text(page: Watched) -> None:
    text = page.page.locator('[data-code="config"]').text_content() or ""
    assert "text_column: </script><script>window.hacked = 1</script>" in text
    assert page.page.locator('[data-code="config"] *').count() == 0


def test_names_in_plots_are_text_and_do_not_merge(page: Watched) -> None:
    labels = page.page.locator('[data-plot="overlap-source"] svg text').all_text_contents()
    assert "1. <script>alert('x')</script>"[:25] in "\n".join(labels)
    assert len([label for label in labels if "a very long name" in label]) == 4  # two names, two axes
    assert len({label for label in labels if label[0].isdigit()}) == 23


def test_tooltip_shows_names_as_text(page: Watched) -> None:
    cell = page.page.locator('[data-plot="overlap-source"] .mark-rect path').first
    cell.scroll_into_view_if_needed()
    cell.hover()
    tip = page.page.locator("#vg-tooltip-element.visible")
    tip.wait_for()
    assert "<script>alert('x')</script>" in tip.inner_text()
    assert tip.locator("script, img").count() == 0


def test_nothing_is_drawn_over_its_neighbours(page: Watched) -> None:
    # Piled-up accents and giant ligatures stay inside their own box.
    for box in (".words", ".passage", ".scroll"):
        styles = page.page.locator(box).evaluate_all("all => all.map(one => getComputedStyle(one).overflowX)")
        assert set(styles) == {"auto"}


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_sticks_out(path: Path, browser: Browser, width: int) -> None:
    with opened(browser, path, width) as watched:
        excess = watched.page.evaluate(
            """() => {
              for (const part of document.querySelectorAll('details')) part.open = true;
              return document.scrollingElement.scrollWidth - innerWidth;
            }"""
        )
        assert excess <= 0


def test_page_has_no_control_characters(path: Path) -> None:
    data = path.read_bytes()
    text = data.decode("utf-8").split("<script", 1)[0]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", text)
    assert len(data) < 5_000_000


def test_data_in_scripts_is_escaped(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    data = text.split('id="plots">', 1)[1].split("</script>", 1)[0]
    assert not {"<", ">", "&", "\u2028", "\u2029"} & set(data)
    specs = json.loads(data)
    assert any("<script>" in row["of"] for row in specs["overlap-source"]["data"]["values"])


def test_script_that_is_not_ours_does_not_run(path: Path, browser: Browser, tmp_path: Path) -> None:
    # The second line of defence: were a text to get into the page unescaped, the policy would stop it.
    text = path.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(
        text.replace(
            "<footer>", "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'><footer>"
        )
    )
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(broken.as_uri())
    assert page.locator("footer").count() == 1
    assert page.evaluate("window.hacked") is None
    context.close()


@pytest.mark.parametrize("value", ["</script>", "<!--", "\u2028", "&amp;"])
def test_json_cannot_end_its_script(value: str) -> None:
    written = report_page._json({"a": value})
    assert json.loads(written) == {"a": value}
    assert not {"<", ">", "&", "\u2028"} & set(written)


def test_run_named_by_its_folder_only(tmp_path: Path) -> None:
    manifest = manifest_of()
    del manifest["run"]
    run = write_run(tmp_path / "<b>bold", manifest)
    assert "&lt;b&gt;bold" in render(run, manifest)
