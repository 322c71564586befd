"""A page of a run, opened in a browser that is offline and watched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page

Row = dict[str, Any]


@dataclass
class Watched:
    """An open page, and all that it did which it should not do."""

    page: Page
    faults: list[str] = field(default_factory=list)

    def metric(self, name: str) -> tuple[str, str]:
        """A headline number as it is shown, and its exact value."""
        place = self.page.locator(f'[data-metric="{name}"]')
        return place.inner_text(), place.get_attribute("data-value") or ""

    def table(self, key: str) -> list[Row]:
        """Rows of a table as they are drawn: for each column the exact value, and text shown as `~key`."""
        return self.page.evaluate(  # type: ignore[no-any-return]
            """key => {
              const table = document.querySelector(`table[data-table="${key}"]`);
              const keys = [...table.tHead.rows[0].cells].map(cell => cell.dataset.column);
              return [...table.tBodies[0].rows].filter(row => !row.hidden).map(row => Object.fromEntries(
                [...row.cells].flatMap((cell, i) => [
                  [keys[i], cell.dataset.value], [`~${keys[i]}`, cell.textContent.trim()]])));
            }""",
            key,
        )

    def drawn(self) -> list[str]:
        """The keys of the plots that were drawn as SVG."""
        return self.page.evaluate(  # type: ignore[no-any-return]
            "[...document.querySelectorAll('[data-drawn]:has(svg)')].map(place => place.dataset.plot)"
        )


@contextmanager
def opened(
    browser: Browser,
    path: Path,
    width: int = 1280,
    scheme: Literal["light", "dark"] = "light",
    script: bool = True,
) -> Iterator[Watched]:
    """Open a page; fail if it asked for anything, wrote to the console or opened a dialog."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        offline=True,
        java_script_enabled=script,
    )
    page = context.new_page()
    page.set_default_timeout(15_000)
    watched = Watched(page)
    address = path.resolve().as_uri()
    page.on("console", lambda message: watched.faults.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: watched.faults.append(f"error: {error}"))
    page.on("dialog", lambda dialog: watched.faults.append(f"dialog: {dialog.message}"))
    page.on(
        "request",
        lambda request: watched.faults.append(f"request: {request.url}") if request.url != address else None,
    )
    try:
        page.goto(address)
        if script:
            page.wait_for_function(
                "[...document.querySelectorAll('[data-plot]')].every(place => 'drawn' in place.dataset)"
            )
        yield watched
        assert not watched.faults
    finally:
        context.close()
