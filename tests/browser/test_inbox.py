"""The inbox, when one is mailed, and what was mailed: in every light and width, by keyboard, with hostile names."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visitor
from tests.browser.test_gallery import look_at

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("company")]


@pytest.fixture(autouse=True)
def _told(company: None) -> None:  # noqa: ARG001 - the company is there
    """Tell sofia two things, one by mail that was given up."""
    from django.db import transaction  # noqa: PLC0415 - the product can be imported only now

    from audit import clock  # noqa: PLC0415
    from entitlements.people.models import Person  # noqa: PLC0415
    from governance.notices import queue  # noqa: PLC0415
    from governance.notices.models import Delivery, Kind  # noqa: PLC0415

    sofia, now = Person.objects.get(login="sofia"), clock.now()
    said: dict[str, Any] = {"about": "agent:expense-bot", "url": "/agents/expense-bot/"}
    with transaction.atomic():
        hostile = "<img src=x onerror=alert(1)> " + "w" * 120 + " was stopped."
        queue.queue(Kind.AGENT_STOPPED, [sofia], sentence=hostile, dedupe="1", urgent=True, **said)
        queue.queue(Kind.GRANT_ENDING, [sofia], sentence="Access ends.", dedupe="2", **said)
    Delivery.objects.create(
        channel="urgent", dedupe="x", person=sofia, state="dead", next_at=now, made_at=now, answer="550 no such user"
    )


def test_notices_are_read_and_marked_by_keyboard_and_quiet_hours_kept(visitor: Visitor) -> None:
    visitor.sign_in("sofia")
    assert look_at(visitor, "inbox", "/inbox/") + look_at(visitor, "notice-settings", "/settings/notices/") == []
    visitor.page.set_viewport_size({"width": 1440, "height": 900})
    visitor.go("/inbox/?show=unread")
    visitor.tab_to('form[action^="/inbox/"][action$="/read/"] button.small')
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/inbox/?show=unread")
    expect(visitor.page.locator("main .needs li")).to_have_count(1)

    visitor.go("/settings/notices/")
    visitor.page.select_option("select[name=quiet_from]", "22")
    visitor.page.get_by_role("button", name="Save").click()
    expect(visitor.page.locator("main .wrong")).to_contain_text("bad_hours")
    visitor.page.select_option("select[name=quiet_until]", "6")
    visitor.page.get_by_role("button", name="Save").click()
    expect(visitor.page.locator("main")).to_contain_text("Saved.")
    assert [each for each in visitor.wrong if "status of 422" not in each] + visitor.violations() == []


def test_an_administrator_looks_at_what_was_not_taken(visitor: Visitor) -> None:
    visitor.sign_in("admin")
    assert look_at(visitor, "deliveries", "/settings/deliveries/") == []
