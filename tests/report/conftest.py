"""A headless Chromium for the tests of the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser a module. Where there is none the tests are skipped, in CI they fail."""
    paths = [path for path in map(shutil.which, CHROMIUMS) if path]
    if not paths:
        reason = f"no browser to open the page in: none of {', '.join(CHROMIUMS)} is installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=paths[0], args=ARGUMENTS)
        yield opened
        opened.close()
