"""A reviewer at the workbench for the first time, and a review decided by keys alone, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from tests.browser.conftest import PASSWORD, Visitor, complaints, let_in

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

WORK = "/reviews/q4/work/?view=agent"


@pytest.fixture
def review(transactional_db: None) -> None:  # noqa: ARG001 - the server reads what is committed
    from tests.browser import review_world  # noqa: PLC0415 - the product can be imported only now

    review_world.fill(PASSWORD, items=12)


def _decided_before(login: str) -> None:
    """Let a reviewer have drafted a decision before, so that this is not their first review."""
    from audit import clock  # noqa: PLC0415 - the product can be imported only now
    from governance.reviews.decisions.models import Draft  # noqa: PLC0415
    from governance.reviews.items.models import ReviewItem  # noqa: PLC0415

    item = ReviewItem.objects.filter(assignments__reviewer__login=login).order_by("-number")[0]
    assignment = item.assignments.get(reviewer__login=login)
    values = {"verb": "certify", "saved_at": clock.now(), "saved_by": assignment.reviewer}
    Draft.objects.create(assignment=assignment, **values)


def test_a_first_review_begins_with_a_practice_item_that_stores_nothing(visitor: Visitor, review: None) -> None:  # noqa: ARG001
    from governance.reviews.decisions.models import Draft  # noqa: PLC0415

    page = visitor.page
    visitor.sign_in("sofia")
    visitor.go(WORK)
    expect(page.locator("[data-practice-item]")).to_be_focused()
    wrong = complaints(page, looks=visitor.looks) + visitor.violations()
    page.keyboard.press("r")
    expect(page.get_by_role("status").filter(has_text="Practice: you chose Revoke.")).to_be_visible()
    expect(page.locator("tr[data-item]").first).to_be_focused()
    assert not Draft.objects.exists()
    visitor.go(WORK)
    expect(page.get_by_text("Your first review")).to_have_count(0)  # it comes once
    expect(page.locator("tr[data-item]").first).to_be_focused()
    assert (wrong, visitor.wrong) == ([], [])


def test_the_practice_is_plain_text_without_script(browser: Browser, live_server: LiveServer, review: None) -> None:  # noqa: ARG001
    address = live_server.url.replace("127.0.0.1", "localhost")
    plain = browser.new_context(java_script_enabled=False)
    page = plain.new_page()
    let_in(page, address, "sofia")
    page.goto(address + WORK)
    expect(page.get_by_text("passes the item to another reviewer")).to_be_visible()
    expect(page.locator("[data-practice-item]")).not_to_be_visible()
    page.locator("tr[data-item]").last.get_by_role("radio", name="Keep", exact=True).check()
    page.get_by_role("button", name="Save the drafts").click()
    expect(page.get_by_text("1 draft is saved.")).to_be_visible()
    expect(page.get_by_text("Your first review")).to_have_count(0)
    plain.close()


_TIMES = """window.keyTimes = [];
new PerformanceObserver((list) => { for (const e of list.getEntries()) window.keyTimes.push([e.name, e.duration]); })
  .observe({ type: "event", durationThreshold: 16, buffered: true });"""


def test_ten_items_and_one_of_high_risk_are_decided_by_keys_alone(
    visitor: Visitor,
    transactional_db: None,  # noqa: ARG001 - the server reads what is committed
) -> None:
    """The first item has the focus, `?` and `j` work from anywhere, the next item follows each decision."""
    from governance.reviews.decisions.models import Draft  # noqa: PLC0415
    from tests.browser import review_world  # noqa: PLC0415

    review_world.fill(PASSWORD, items=24)
    _decided_before("sofia")
    page, keys = visitor.page, visitor.page.keyboard
    page.add_init_script(_TIMES)
    visitor.sign_in("sofia")
    visitor.go("/reviews/q4/work/")
    expect(page.locator("tr[data-item]").first).to_be_focused()
    assert page.locator("tr[data-item]").evaluate_all(_ON_SCREEN) >= 8
    page.get_by_role("link", name="Add to calendar").focus()
    keys.press("?")
    expect(page.locator("dialog#keys")).to_be_visible()
    keys.press("Escape")
    keys.press("j")
    expect(page.locator("tr[data-item]").first).to_be_focused()
    keys.press("o")  # it is of high risk: its details are read first
    page.locator("aside [data-evidence]").first.wait_for(state="attached")
    expect(page.locator("tr[data-item]").first.locator(".use")).to_be_visible()
    page.locator("tr[data-item]:focus:not([data-unseen])").wait_for()
    keys.press("a")
    keys.press("1")
    if page.evaluate("document.activeElement.name || ''").startswith("comment:"):
        keys.type("It closes the books.")
        keys.press("Enter")
    expect(page.locator("tr[data-item]").nth(1)).to_be_focused()
    keys.press("o")
    page.evaluate(_FOCUS_LIGHT)
    for number in range(10):
        here = page.locator("tr[data-item]:focus").get_attribute("id")
        keys.press("r" if number % 3 == 0 else "a")
        if page.evaluate("document.activeElement.matches('select')"):
            keys.press("1")
        assert page.locator("tr[data-item]:focus").get_attribute("id") != here, "the next item has the focus"
    page.locator("form[data-drafted='12']").wait_for()
    expect(page.locator("[data-progress]")).to_contain_text("12 of")
    expect(page.locator("[data-progress]")).to_contain_text("left at your pace")
    page.wait_for_timeout(300)
    times = [round(ms) for name, ms in page.evaluate("window.keyTimes") if name == "keydown"]
    print(f"\nkeys answered: slowest {max(times, default=16)} ms, {len(times)} of all took 16 ms or more")  # noqa: T201
    assert Draft.objects.exclude(verb="").count() == 12
    assert (visitor.wrong, visitor.violations()) == ([], [])


_ON_SCREEN = """(rows) => rows.filter((row) => {
  const box = row.getBoundingClientRect(), bar = document.querySelector("form > .decide:last-child");
  return box.height && box.bottom <= bar.getBoundingClientRect().top + 8;
}).length"""
_FOCUS_LIGHT = """document.querySelector("tr[data-item]:not([data-weighty], [data-unseen], [data-verb])").focus()"""
