"""What a page swaps in moves hardly anything else: on Home, in a list, at the workbench, on a request.

Shifts within half a second of an input count as wanted. So each swap comes later here, as over a slow network, where it
counts; what a person presses answers at once, and that is told apart.
"""

from __future__ import annotations

from typing import Final

import pytest
from playwright.sync_api import Route, expect

from audit import clock
from entitlements.agents.models import Agent
from governance.ownership.models import Dormancy
from tests.browser import world
from tests.browser.conftest import Visitor

pytestmark = pytest.mark.timeout(300)

LATE: Final = 700
"""How many milliseconds a swap waits: longer than the half second in which a shift counts as wanted."""
HARDLY: Final = 0.002
"""The most that a swap may move, by the measure of Layout Instability, where 0.1 is held to be good."""
WATCH: Final = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) if (!each.hadRecentInput) window.shifts.push(each.value);
}).observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture
def company(company: None) -> None:  # noqa: ARG001 - the company, and a review in it
    world.review()
    Dormancy.objects.create(agent=Agent.objects.get(slug="call-notes"), step=Dormancy.Step.ASKED, since=clock.now())


def _late(route: Route) -> None:
    route.request.frame.page.wait_for_timeout(LATE)
    route.continue_()


def _settle(visitor: Visitor) -> float:
    """Return how much has moved since the last look, once half a second has passed since the last input."""
    visitor.page.wait_for_timeout(LATE)
    moved: float = visitor.page.evaluate("window.shifts.splice(0).reduce((sum, each) => sum + each, 0)")
    return moved


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize("width", [1440, 390])
def test_what_is_swapped_in_moves_hardly_anything_else(visitor: Visitor, width: int) -> None:
    page, moved = visitor.page, {}
    page.set_viewport_size({"width": width, "height": 900})
    page.add_init_script(WATCH)
    page.route(
        lambda _url: True, lambda route: _late(route) if "hx-request" in route.request.headers else route.continue_()
    )
    visitor.sign_in("ana")
    visitor.go("/agents/")
    _settle(visitor)
    page.locator("#agents-q").fill("bot")
    page.wait_for_url("**q=bot**")
    page.locator("#agents-clear").wait_for()
    moved["list"] = _settle(visitor)
    visitor.sign_in("sofia")
    visitor.go("/")
    assert _settle(visitor) == 0, "a page that opens stays where it is"
    page.locator("main").get_by_role("button", name="Approve").first.click()
    moved["home"] = _settle(visitor)
    visitor.go(f"/requests/{world.waiting_for('sofia').pk}/")
    _settle(visitor)
    page.uncheck("input[value=pay_invoice]")
    page.uncheck("input[value=delete_invoice]")  # before the first answer is there
    expect(page.locator("#outlook")).to_contain_text("with 3 of 5 tools")
    moved["outlook"] = _settle(visitor)
    visitor.go("/reviews/q4/work/")
    _settle(visitor)
    page.locator("tr[data-item]:not([data-verb])").first.focus()
    page.keyboard.press("r")
    page.locator("tr[data-verb=revoke]").first.wait_for()
    moved["workbench"] = _settle(visitor)
    assert all(shift <= HARDLY for shift in moved.values()), moved
