"""A reviewer at the workbench for the first time, in a real browser; the rest of it is in `test_journeys`."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from tests.browser.conftest import PASSWORD, Visitor, complaints, let_in

pytestmark = pytest.mark.timeout(300)

WORK = "/reviews/q4/work/?view=agent"


@pytest.fixture
def review(transactional_db: None) -> None:  # noqa: ARG001 - the server reads what is committed
    from tests.browser import review_world  # noqa: PLC0415 - the product can be imported only now

    review_world.fill(PASSWORD, items=12)


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
