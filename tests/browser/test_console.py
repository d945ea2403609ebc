"""What script adds to every page: an approval says what it does, and a browser forgets who used it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser import world
from tests.browser.conftest import Visitor

pytestmark = pytest.mark.usefixtures("company")


def test_an_approval_of_nothing_cannot_be_given(visitor: Visitor) -> None:
    asked = world.waiting_for("sofia")
    visitor.sign_in("sofia")
    visitor.go(f"/requests/{asked.pk}/")
    approve = visitor.page.locator("button[data-rewrites]")
    expect(approve).to_be_enabled()
    for box in visitor.page.locator("form[data-approval] input[data-tool]").all():
        box.uncheck()
    expect(approve).to_be_disabled()
    assert not visitor.wrong


def test_where_a_person_was_is_forgotten_when_they_sign_out(visitor: Visitor) -> None:
    kept = "Object.keys(localStorage).filter((name) => name.startsWith('recent-')).length"
    visitor.sign_in("ana")
    visitor.go("/people/alice/")
    visitor.until(f"{kept} === 1")
    assert visitor.go("/agents/unknown/") == 404  # an error is no place to come back to
    visitor.wrong.clear()
    visitor.go("/agents/build-bot/")  # a link to itself above its timeline does not hide it
    places = "JSON.parse(localStorage[`recent-${document.body.dataset.who}`]).map((each) => each.at)"
    visitor.until(f"{places}.length === 2")
    assert visitor.page.evaluate(places) == ["/agents/build-bot/", "/people/alice/"]
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.page.get_by_label("Login").wait_for()
    assert visitor.page.evaluate(kept) == 0
    assert not visitor.wrong


def test_the_current_entry_of_the_navigation_is_in_view(visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 1440, "height": 500})
    visitor.sign_in("ana")
    visitor.go("/settings/event-streams/")
    expect(visitor.page.locator(".side [aria-current]")).to_be_in_viewport(ratio=1)
