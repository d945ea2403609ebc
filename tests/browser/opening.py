"""How tests find the browser, and open an address in it."""

from __future__ import annotations

import shutil
from typing import Final

import pytest
from playwright.sync_api import Error, Page, Response

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_CHANGED: Final = "ERR_NETWORK_CHANGED"
"""Chromium gives up what it loads when a network interface of the machine comes or goes, as other tests make them."""
_TRIES: Final = 3


def program() -> str:
    """Return the path of the browser; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return found or pytest.skip(f"there is no browser: install one of {', '.join(BROWSERS)}")


def open_address(page: Page, address: str) -> Response | None:
    """Open an address, again where the machine's networks changed meanwhile. Raises what Playwright raises."""
    for _ in range(_TRIES - 1):
        try:
            return page.goto(address)
        except Error as problem:
            if _CHANGED not in problem.message:
                raise
    return page.goto(address)
