"""The page in use: by keyboard, on a phone, in the dark, on paper, without scripts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from pipeline.report.page import write_page
from tests.report import tables
from tests.report.opened import Watched, opened
from tests.report.tables import EMPTY_METRICS, Row, histogram, manifest_of, risks, similarities, write_run

LONG = "pneumonoultramicroscopicsilicovolcanoconiosis" * 3
NAMES = ["train", "test", *(f"source number {i} {LONG}" for i in range(28))]


def _rich() -> dict[str, list[Row]]:
    clusters = [
        {"cluster_id": i, "documents": 100 - i, "distinct_texts": 3, "representative": i, "chained": i % 2}
        for i in range(40)
    ]
    examples = [
        {
            "cluster_id": i,
            "doc_id": i + j * 100,
            "text": f"{LONG} same {i + j} " * (1 + i % 2 * 20),
            "n_bytes": 9999,
            "uri": LONG * 2,
        }
        for i in range(40)
        for j in (0, 1)
    ]
    passages = [
        {"passage_id": i, "occurrences": 100 - i, "tokens": 30, "exposures": i + 0.5, "text": f"{LONG} {i}",
         "risk_tier": ("low", "very high", "elevated")[i % 3], "predictable": i % 4 == 0}
        for i in range(60)
    ]  # fmt: skip
    return {
        "inputs": [{"file_id": i, "uri": f"{LONG}/{i}"} for i in range(120)],
        "rejects": [{"uri": LONG, "row": 3, "detail": LONG}],
        "clusters": clusters,
        "examples": examples,
        "passages": passages,
        "sources": tables.sources(NAMES, ("MIT", "Apache-2.0")),
        "source_overlap": [*tables.overlap(NAMES), *tables.overlap(["MIT", "Apache-2.0"], kind="licence")],
    }


MODEL = {"parameters": 1.3e9, "training_tokens": 5e9, "curve": "inserted"}


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with everything on it, and names without a place to break."""
    run = write_run(tmp_path_factory.mktemp("rich") / "run", manifest_of(model=MODEL), **_rich())
    return write_page(run, None)


@pytest.fixture(scope="module")
def page(rich: Path, browser: Browser) -> Iterator[Watched]:
    """The page with everything on it, open."""
    with opened(browser, rich) as watched:
        yield watched


def overflow(page: Page) -> list[str]:
    """Elements that stick out of the window though nothing scrolls them, and the page's excess."""
    return page.evaluate(  # type: ignore[no-any-return]
        """() => {
          for (const part of document.querySelectorAll('details')) part.open = true;
          const boxes = '.scroll, .plot, .words, .passage, pre, .hidden, .skip';
          const scrolled = element => element.closest(boxes);
          const out = [...document.querySelectorAll('body *')].filter(element =>
            element.getBoundingClientRect().right > innerWidth + 1 && !scrolled(element.parentElement));
          const excess = document.scrollingElement.scrollWidth - innerWidth;
          const told = out.map(element => element.outerHTML.slice(0, 120));
          return excess > 0 ? [...told, `${excess} px`] : told;
        }"""
    )


@pytest.mark.parametrize("width", [1280, 768, 390, 320])
def test_nothing_sticks_out(rich: Path, browser: Browser, width: int) -> None:
    with opened(browser, rich, width) as watched:
        assert overflow(watched.page) == []


def test_wide_tables_scroll_in_their_own_box(rich: Path, browser: Browser) -> None:
    with opened(browser, rich, 390) as watched:
        box = watched.page.locator('.scroll:has([data-table="sources"])')
        assert box.evaluate("box => box.scrollWidth > box.clientWidth")
        assert box.get_attribute("tabindex") == "0"
        box.focus()
        watched.page.keyboard.press("ArrowRight")
        watched.page.wait_for_function("box => box.scrollLeft > 0", arg=box.element_handle())


def test_only_boxes_that_scroll_stop_the_tab_key(rich: Path, browser: Browser) -> None:
    counts = """() => [...document.querySelectorAll('.passage, .words')].filter(box => box.clientHeight)
      .map(box => [box.scrollHeight > box.clientHeight, box.tabIndex === 0])"""
    with opened(browser, rich, 390) as watched:
        watched.page.locator("#cluster-4 summary").click()
        watched.page.wait_for_function("document.querySelector('#cluster-4 .words').tabIndex === 0")
        found = watched.page.evaluate(counts)
        assert len(found) > 10
        assert all(scrolls == stops for scrolls, stops in found)
        assert {scrolls for scrolls, _ in found} == {True, False}


# --- colours ----------------------------------------------------------------------------------

CONTRASTS = """() => {
  const spot = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const known = new Map();
  const parse = colour => {
    if (!known.has(colour)) {
      spot.clearRect(0, 0, 1, 1); spot.fillStyle = colour; spot.fillRect(0, 0, 1, 1);
      known.set(colour, [...spot.getImageData(0, 0, 1, 1).data]);
    }
    return known.get(colour);
  };
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
    .map(c => c <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
  const behind = element => {
    for (let up = element; up; up = up.parentElement) {
      const colour = parse(getComputedStyle(up).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const words = 'h1, h2, h3, p, a, dt, dd, th button, td, summary, figcaption, mark, input, li, pre';
  const texts = [...document.querySelectorAll(words)];
  const svg = [...document.querySelectorAll('.plot svg text')];
  const ratio = (front, back) => {
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
    return (a + .05) / (b + .05);
  };
  return [
    ...texts.map(e => [ratio(parse(getComputedStyle(e).color), behind(e)), e.outerHTML.slice(0, 80)]),
    ...svg.map(e => [ratio(parse(getComputedStyle(e).fill), behind(e)), e.outerHTML.slice(0, 80)]),
  ];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(rich: Path, browser: Browser, scheme: Literal["light", "dark"]) -> None:
    with opened(browser, rich, scheme=scheme) as watched:
        found = watched.page.evaluate(CONTRASTS)
        assert len(found) > 500
        assert sum("<text" in text for _, text in found) > 50
        assert [text for ratio, text in found if ratio < 4.5] == []


def _background(page: Page) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")  # type: ignore[no-any-return]


def _axis(page: Page) -> str:
    first = ".plot svg .mark-text text"
    return page.evaluate(f"getComputedStyle(document.querySelector('{first}')).fill")  # type: ignore[no-any-return]


def test_plots_follow_the_theme_while_the_page_is_open(rich: Path, browser: Browser) -> None:
    with opened(browser, rich) as watched:
        light = _background(watched.page), _axis(watched.page)
        watched.page.emulate_media(color_scheme="dark")
        dark = _background(watched.page), _axis(watched.page)
        assert light[0] != dark[0]
        assert light[1] != dark[1]


def test_paper_is_white_even_in_the_dark(rich: Path, browser: Browser) -> None:
    with opened(browser, rich, scheme="dark") as watched:
        watched.page.emulate_media(media="print", color_scheme="dark")
        assert _background(watched.page) == "rgb(255, 255, 255)"
        assert _axis(watched.page) == "rgb(68, 68, 68)"
        assert not watched.page.locator("nav").is_visible()
        assert not watched.page.locator(".filter").first.is_visible()


def test_nothing_sticks_out_of_the_paper(rich: Path, browser: Browser) -> None:
    # A4 less margins of 12 mm, in CSS pixels.
    with opened(browser, rich, 703) as watched:
        watched.page.emulate_media(media="print")
        watched.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert watched.page.evaluate("document.scrollingElement.scrollWidth") <= 703


def test_printed_page_is_whole(rich: Path, browser: Browser) -> None:
    with opened(browser, rich) as watched:
        closed = watched.page.locator("details:not([open])").count()
        assert closed > 5
        pdf = watched.page.pdf(format="A4")
        assert pdf.startswith(b"%PDF")
        assert watched.page.locator("details:not([open])").count() == closed  # folded again afterwards
        watched.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert watched.page.locator("details:not([open])").count() == 0


# --- tables -----------------------------------------------------------------------------------


def _focus(page: Page, table: str, column: str) -> None:
    page.locator(f'table[data-table="{table}"] th[data-column="{column}"] button').focus()


def test_table_sorts_by_keyboard(page: Watched) -> None:
    before = [row["tokens"] for row in page.table("sources")]
    _focus(page.page, "sources", "documents")
    page.page.keyboard.press("Enter")
    down = [int(row["documents"]) for row in page.table("sources")]
    header = page.page.locator('table[data-table="sources"] th[data-column="documents"]')
    assert header.get_attribute("aria-sort") == "descending"
    assert down == sorted(down, reverse=True)
    page.page.keyboard.press("Space")
    assert header.get_attribute("aria-sort") == "ascending"
    assert [int(row["documents"]) for row in page.table("sources")] == down[::-1]
    _focus(page.page, "sources", "tokens")
    page.page.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") is None
    assert [row["tokens"] for row in page.table("sources")] == before


def test_headers_are_reached_with_tab(page: Watched) -> None:
    _focus(page.page, "sources", "documents")
    page.page.keyboard.press("Tab")
    reached = page.page.evaluate("document.activeElement.closest('th').dataset.column")
    assert reached == "tokens"


def test_words_sort_from_their_first_letter(page: Watched) -> None:
    _focus(page.page, "sources", "source")
    page.page.keyboard.press("Enter")
    names = [row["source"] for row in page.table("sources")]
    assert names[-2:] == ["test", "train"]
    page.page.keyboard.press("Enter")
    assert [row["source"] for row in page.table("sources")][:2] == ["train", "test"]


def test_tiers_sort_by_severity_and_numbers_by_size(page: Watched) -> None:
    _focus(page.page, "passages", "risk_tier")
    page.page.keyboard.press("Enter")
    tiers = [row["risk_tier"] for row in page.table("passages")]
    assert list(dict.fromkeys(tiers)) == ["low", "elevated", "very high"]
    _focus(page.page, "passages", "exposures")
    page.page.keyboard.press("Enter")
    exposures = [float(row["exposures"]) for row in page.table("passages")]
    assert exposures == sorted(exposures, reverse=True)


def test_what_is_not_known_sorts_last_both_ways(page: Watched) -> None:
    for _ in range(2):
        _focus(page.page, "histogram", "passages")
        page.page.locator('[data-table="histogram"] th[data-column="passages"] button').dispatch_event(
            "click"
        )
        values = [row["passages"] for row in page.table("histogram")]
        assert values[:6].count("") == 0
        assert values[6:] == [""] * 18


def test_table_filters_by_keyboard(page: Watched) -> None:
    box = page.page.get_by_label("Filter Sources", exact=True)
    box.focus()
    page.page.keyboard.type("NUMBER 27 ")
    assert [row["source"][:16] for row in page.table("sources")] == ["source number 27"]
    assert "1 of 30 rows" in page.page.locator(".filter:has(+ .scroll [data-table='sources'])").inner_text()
    page.page.keyboard.press("Control+A")
    page.page.keyboard.press("Delete")
    assert len(page.table("sources")) == 30


def test_links_lead_to_every_section(page: Watched) -> None:
    links = page.page.locator("nav a").evaluate_all(
        "all => all.map(one => one.getAttribute('href').slice(1))"
    )
    sections = page.page.locator("main section").evaluate_all("all => all.map(one => one.id)")
    assert links == sections
    assert sections == [
        "verdict", "numbers", "repeats", "similarity", "risk",
        "sources", "clusters", "passages", "loose", "facts",
    ]  # fmt: skip


# --- without scripts, without anything --------------------------------------------------------


def test_page_without_scripts_has_every_number(rich: Path, browser: Browser) -> None:
    with opened(browser, rich, script=False) as watched:
        assert watched.page.locator("th button").count() == 0
        assert watched.page.locator("h2").count() == 10
        assert "Drawn with JavaScript" in watched.page.locator(".plot").first.inner_text()
        assert watched.page.locator('table[data-table="histogram"] tbody tr').count() == 24
        assert overflow_without_script(watched.page) <= 0


def overflow_without_script(page: Page) -> int:
    size = page.locator("body").bounding_box()
    assert size is not None
    return round(size["width"]) - 1280


def test_only_what_was_read_is_loaded(rich: Path) -> None:
    text = rich.read_text(encoding="utf-8")
    head = text.split("<script", 1)[0]
    assert "default-src 'none'" in head
    assert not re.search(r"\b(?:src|href)=\"(?!#)", head)
    assert not re.search(r"url\(|@import", head)


@pytest.mark.parametrize("case", ["nothing", "no passages", "no sources", "nothing repeated"])
def test_page_of_a_bare_run(tmp_path: Path, browser: Browser, case: str) -> None:
    zeros, once = (0,) * 6, (1000, 0, 0, 0, 0, 0)
    manifests = {
        "nothing": manifest_of(EMPTY_METRICS),
        "no passages": manifest_of(passages={"enabled": False}),
        "no sources": manifest_of({"cross_source_clusters": None}),
        "nothing repeated": manifest_of({"near_surplus_documents": 0, "passages": 0, "recall": None}),
    }
    given: dict[str, dict[str, list[Row]]] = {
        "nothing": {"histogram": histogram(zeros), "risk": risks(zeros), "similarity": similarities(0)},
        "nothing repeated": {
            "histogram": histogram(once),
            "risk": risks(once),
            "similarity": similarities(0),
        },
    }
    run = write_run(tmp_path, manifests[case], **given.get(case, {}))
    with opened(browser, write_page(run, None), 390) as watched:
        assert watched.page.locator("h2").count() == 10
        assert overflow(watched.page) == []
        text = watched.page.locator("main").inner_text()
        for odd in ("None", "nan", "Undefined", "undefined"):
            assert odd not in text
        expected = {
            "nothing": "There was no document to audit.",
            "no passages": "Repeated passages were not looked for",
            "no sources": "Neither source nor licence is configured",
            "nothing repeated": "No two documents are copies or near copies",
        }
        assert expected[case] in text


def test_fine_tuning_set_shows_membership(page: Watched) -> None:
    assert [row["auc"] for row in page.table("membership")] == ["0.59", "0.66", "0.71", "0.81", "0.91"]
