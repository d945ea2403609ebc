"""How tests open an address in the browser."""

from __future__ import annotations

from typing import Final

from playwright.sync_api import Error, Page, Response

_CHANGED: Final = "ERR_NETWORK_CHANGED"
"""Chromium gives up what it loads when a network interface of the machine comes or goes, as other tests make them."""
_TRIES: Final = 3


def open_address(page: Page, address: str) -> Response | None:
    """Open an address, again where the machine's networks changed meanwhile. Raises what Playwright raises."""
    for _ in range(_TRIES - 1):
        try:
            return page.goto(address)
        except Error as problem:
            if _CHANGED not in problem.message:
                raise
    return page.goto(address)
