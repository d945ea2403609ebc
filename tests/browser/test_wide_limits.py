"""Limits far above their use in a real browser: lowered by keys on their page, and beside an item of a review."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import expect

from tests import waits
from tests.browser.conftest import PASSWORD, Visitor, complaints

pytestmark = pytest.mark.timeout(300)

SHOTS = os.environ.get("MANDATE_SHOTS", "")
LONG = "of_the_booking_in_the_currency_of_the_company_that_pays"
WAYS: tuple[tuple[Literal["light", "dark"], int], ...] = (
    ("light", 1440),
    ("dark", 1440),
    ("light", 390),
    ("dark", 320),
)


@pytest.fixture
def review(transactional_db: None) -> None:  # noqa: ARG001 - the server reads what is committed
    """Make an agent of sofia's with a wide limit, one that is used, and tools that are not; she is asked about it."""
    from django.db import transaction  # noqa: PLC0415 - the product can be imported only now

    from audit import clock, log  # noqa: PLC0415
    from audit.actions import Action  # noqa: PLC0415
    from entitlements.agents.models import Agent  # noqa: PLC0415
    from entitlements.grants.models import Grant  # noqa: PLC0415
    from governance.reviews.population import campaigns  # noqa: PLC0415
    from governance.reviews.staging import launch  # noqa: PLC0415
    from tests import make  # noqa: PLC0415

    sofia, alice = (make.person(name, password=PASSWORD) for name in ("sofia", "alice"))
    ana = make.person("ana", roles=["analyst"], password=PASSWORD)
    system = make.system("erp")
    system.name = "SAP ERP"
    system.save()
    numbers = {"amount": {"type": "number"}, LONG: {"type": "number"}}
    schema = {"type": "object", "properties": numbers, "required": [*numbers]}
    names = {"pay_invoice": "Pays an invoice.", "list_invoices": "Lists invoices.", "delete_invoice": "Deletes one."}
    tools = [
        make.tool(system, name, sentence=said, definition={"name": name, "inputSchema": schema})
        for name, said in names.items()
    ]
    limits = {"pay_invoice": {"amount": {"max": 10_000}, LONG: {"max": 2_500_000}}}
    for number in range(2):
        bot = make.agent(f"payer-{number}", sponsor=sofia)
        Agent.objects.filter(pk=bot.pk).update(name=f"Invoice payer {number + 1}", purpose="Pays what was booked.")
        use = make.entitlement(system, *(tools if number == 0 else tools[:1]), limits=limits)
        grant = make.grant(bot, use, people=[alice], lasts=timedelta(days=80))
        Grant.objects.filter(pk=grant.pk).update(starts_at=clock.now() - timedelta(days=100))
        for place in range(61):
            told = {"tool": "pay_invoice", "measured": {"amount": 420 - place, LONG: 420.5}}
            with transaction.atomic():
                log.record(Action.CALL_ALLOWED, by=bot.principal, about=[f"grant:{grant.pk}"], detail=told)
    made = campaigns.make("q4", name="Fourth quarter 2026", due_at=clock.now() + timedelta(days=18), by=ana)
    launch.activate(made.pk, by=ana)


def _wrong(visitor: Visitor, name: str) -> list[str]:
    """Look at the page in every way, keep a picture where one is wanted, and return what is wrong with it."""
    found: list[str] = []
    for scheme, width in WAYS:
        visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        visitor.page.set_viewport_size({"width": width, "height": 900})
        found += [f"{width} {each}" for each in complaints(visitor.page, looks=visitor.looks)]
        across = visitor.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found += [f"{width}: scrolls {across} px to the side"] if across > 0 else []
        if SHOTS:
            visitor.page.screenshot(path=Path(SHOTS) / f"{name}-{width}-{scheme}.png", full_page=True)
    visitor.page.emulate_media(color_scheme="light")
    visitor.page.set_viewport_size({"width": 1440, "height": 900})
    return found + visitor.violations()


def test_a_wide_limit_is_lowered_on_its_page_by_keys_alone(visitor: Visitor, review: None) -> None:  # noqa: ARG001
    from entitlements.grants.models import GrantLine  # noqa: PLC0415

    page = visitor.page
    visitor.sign_in("sofia")
    visitor.go("/right-sizing/")
    page.get_by_text("Largest used in 90 days: 420 in 61 calls; limit: 10,000; proposed: 1,000.").first.wait_for()
    wrong = _wrong(visitor, "wide-limits")
    visitor.tab_to("button[value=tighten]")
    page.keyboard.press("Enter")
    page.get_by_text("No call of the last 90 days exceeded it.").wait_for()
    lowered = [line.limits for line in GrantLine.objects.filter(limits__amount__max=1_000)]
    assert lowered == [{"amount": {"max": 1_000}, LONG: {"max": 1_000}}]
    assert (wrong, visitor.wrong) == ([], [])


def test_beside_an_item_a_limit_is_lowered_by_keys_alone(visitor: Visitor, review: None) -> None:  # noqa: ARG001
    from governance.reviews.decisions.models import Draft  # noqa: PLC0415

    page, keys = visitor.page, visitor.page.keyboard
    visitor.sign_in("sofia")
    visitor.go("/reviews/q4/work/?view=agent")
    keys.press("j")
    name = page.evaluate("document.activeElement.id")
    keys.press("o")
    page.locator("aside").get_by_text("Lower the limit of").first.wait_for()
    wrong = _wrong(visitor, "beside")
    keys.press("Enter")
    visitor.tab_to("aside input[name^='lower:'][name$=':amount']")
    keys.press("Space")
    visitor.tab_to("aside [data-narrow] > details > summary")
    keys.press("Enter")
    visitor.tab_to("aside #b-why")
    keys.type("It is not used")
    visitor.tab_to("aside button.primary")
    keys.press("Enter")
    page.locator("aside [data-told]").wait_for()
    page.locator(f"#{name}").get_by_text("with tighter limits").wait_for()
    (limits,) = Draft.objects.get().limits.values()
    assert limits == {"amount": {"max": 1_000}, LONG: {"max": 2_500_000}}
    page.locator("aside").get_by_text("Your draft: 0 of 61 calls would have been denied.").wait_for()
    expect(page.locator("aside input[name$=':amount']")).to_have_count(0)
    assert (wrong, visitor.wrong) == ([], [])
    keys.press("Escape")
    page.locator(f"#{name}").focus()
    rev = Draft.objects.get().rev
    keys.press("r")
    waits.until(lambda: Draft.objects.get().verb == "revoke")
    page.locator(f"#{name}").focus()
    keys.press("z")
    waits.until(lambda: Draft.objects.get().verb == "reduce")
    assert (list(Draft.objects.get().limits.values()), Draft.objects.get().rev > rev + 1) == ([limits], True)
