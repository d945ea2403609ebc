"""A real browser on a real server: each page's console, network and policy violations are watched."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests import waits
from tests.browser.contrast import Looks
from tests.browser.opening import open_address, program

# Playwright's synchronous interface runs a loop in this thread, which Django would take for an asynchronous caller.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

RULES: Final = ("wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice")
"""What axe is asked about: the rules of WCAG 2.2 at level AA, and what is good practice besides."""
PASSWORD = "correct horse battery staple"
SHORT_LIVED: Final = "--js-flags=--no-opt --single-threaded-gc --min-semi-space-size=32"
"""A page lives for a second here: making its script fast, and sweeping behind it, takes longer than it saves."""

_WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
});
"""


_SHOWS = """(() => {
  const focused = document.activeElement, box = focused.getBoundingClientRect(), style = getComputedStyle(focused);
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height / 2, 12));
  return style.outlineStyle !== "none" && (focused.contains(top) || (top && top.contains(focused)));
})()"""


@dataclass
class Visitor:
    """Somebody at a browser, with everything that went wrong there."""

    page: Page
    address: str
    wrong: list[str] = field(default_factory=list)
    looks: Looks = field(default_factory=Looks)

    def go(self, path: str) -> int:
        """Open a page of ours; returns the status of the answer."""
        answer = open_address(self.page, self.address + path)
        return answer.status if answer else 0

    def violations(self) -> list[str]:
        """Return what the content security policy stopped on this page."""
        found: list[str] = self.page.evaluate("window.violations")
        return found

    def tab_to(self, selector: str) -> None:
        """Press Tab until the focus is on it, and see that the focus shows and nothing covers it."""
        for _ in range(120):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
                assert self.page.evaluate(_SHOWS), f"the focus on {selector} cannot be seen"
                return
        message = f"Tab never comes to {selector}"
        raise AssertionError(message)

    def until(self, expression: str) -> None:
        """Wait until an expression is true, asked from outside: our policy forbids a page to evaluate text."""
        waits.until(lambda: self.page.evaluate(expression))

    def sign_in(self, login: str) -> None:
        """Let a person in who signed in a moment ago; by the page itself: `sign_in_by_keys` and `test_story`."""
        let_in(self.page, self.address, login)

    def sign_in_by_keys(self, login: str) -> None:
        """Sign in through the page, by keyboard alone; leads home."""
        self.go("/login/")
        self.until("document.activeElement.matches('input')")
        self.page.keyboard.type(login)
        self.page.keyboard.press("Tab")
        self.page.keyboard.type(PASSWORD)
        self.page.keyboard.press("Enter")
        self.page.wait_for_url(self.address + "/")


def complaints(page: Page, rules: Sequence[str] = RULES, kind: str = "tag", *, looks: Looks | None = None) -> list[str]:
    """Return what axe says of a page as it stands, each with the first element that it says it of.

    It is put into a page once. It fetches no stylesheet anew: that is for a rule on trial, which is not among these.
    With `looks`, contrast is asked about where text looks as it did on no page before, since it takes most of the time.
    """
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE_SCRIPT)
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False, "iframes": False}
    contrast = {**options, "runOnly": {"type": "rule", "values": ["color-contrast"]}}
    said = looks.violations(page, contrast) if looks is not None else []
    if looks is None or kind == "tag":
        options |= {"runOnly": {"type": kind, "values": [*rules]}}
        options |= {"rules": {"color-contrast": {"enabled": looks is None}}} if kind == "tag" else {}
        said += page.evaluate("async (options) => (await axe.run(options)).violations", options)
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]} {each['nodes'][0].get('failureSummary', '')[:200]}"
        for each in said
    ]


def let_in(page: Page, address: str, login: str) -> None:
    """Give a browser the session of a person who signed in by password a moment ago."""
    from entitlements.people.models import Person  # noqa: PLC0415 - the product can be imported only now
    from tests.governance.console import visits  # noqa: PLC0415

    cookies = visits.as_(Person.objects.get(login=login)).cookies
    page.context.add_cookies([{"name": name, "value": each.value, "url": address} for name, each in cookies.items()])


def leave(page: Page) -> None:
    """Forget who is signed in, when no answer to the page before can bring its cookie back."""
    page.wait_for_load_state("networkidle")
    page.goto("about:blank")
    page.context.clear_cookies()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run a browser for one file of tests: its event loop would be in the way of the next file's."""
    path = program()
    with sync_playwright() as playwright:
        options: dict[str, Any] = {"args": ["--no-sandbox", "--disable-dev-shm-usage", SHORT_LIVED]}
        running = playwright.chromium.launch(executable_path=path, **options)
        yield running
        running.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB", timezone_id="Europe/Berlin")
    made.add_init_script(_WATCH)
    yield made
    made.close()


@pytest.fixture
def visitor(context: BrowserContext, live_server: LiveServer) -> Visitor:
    page = context.new_page()
    page.set_default_timeout(1000 * waits.SECONDS)
    found = Visitor(page, live_server.url.replace("127.0.0.1", "localhost"))
    page.on("pageerror", lambda error: found.wrong.append(str(error)))
    page.on("console", lambda said: found.wrong.append(said.text) if said.type == "error" else None)
    return found


@pytest.fixture
def company(transactional_db: None) -> None:  # noqa: ARG001 - the server reads what is committed
    from tests.browser import world  # noqa: PLC0415 - the product can be imported only now

    world.fill(PASSWORD)
