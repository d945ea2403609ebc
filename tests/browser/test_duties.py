"""The weeks after: approve in two stages, renew, take over from a leaver, help in an emergency; by keys and touch."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.live_server_helper import LiveServer

from audit.actions import Action
from audit.export import timeline
from entitlements.agents.models import Agent
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from governance.approvals.models import Approval
from governance.break_glass import break_glass
from governance.break_glass.models import BreakGlassGrant
from governance.ownership import leavers
from governance.requests.models import AccessRequest
from tests import second_factor, waits
from tests.browser.conftest import PASSWORD, leave, let_in
from tests.browser.hands import Mouse
from tests.browser.test_story import WAYS
from tests.browser.told import Record

pytestmark = pytest.mark.usefixtures("company")


def _sign_in(hands: Mouse, address: str, login: str) -> None:
    """Come home as another person; signing in by keys and by touch is the story's."""
    leave(hands.page)
    let_in(hands.page, address, login)
    hands.page.goto(f"{address}/")


def _asked(hands: Mouse, request: AccessRequest) -> None:
    """Open a request from home, where it waits."""
    hands.press(hands.page.locator(f"main a[href='/requests/{request.pk}/']").first)


def _approve_in_two_stages(hands: Mouse, address: str, record: Record) -> None:
    page, asked = hands.page, AccessRequest.objects.get(agent__slug="invoice-matcher")
    _sign_in(hands, address, "sofia")
    _asked(hands, asked)
    hands.tick(page.locator("input[value=pay_invoice]"))
    expect(page.locator("#approve")).to_contain_text("4 of 5")
    hands.press(page.locator("#approve"))
    expect(page.get_by_text("Other approvers must decide before the access is in force.")).to_be_visible()
    _sign_in(hands, address, "sam")
    _asked(hands, asked)
    hands.press(page.locator("#approve"))
    expect(page.get_by_text("The access is in force until it ends.")).to_be_visible()
    grant = Grant.objects.get(agent__slug="invoice-matcher")
    assert {line.tool.name for line in grant.lines.all()} == {
        "list_invoices",
        "get_invoice",
        "book_invoice",
        "delete_invoice",
    }
    first, _second = timeline.about(f"request:{asked.pk}").filter(action=Action.APPROVAL_GIVEN)
    assert "pay_invoice" in str(first.detail["narrowed"])
    record.says(
        ("sofia", "approval.given", f"request:{asked.pk}", ""),
        ("sam", "approval.given", f"request:{asked.pk}", ""),
        ("sam", "grant.issued", f"grant:{grant.pk}", asked.reason),
    )


def _renew(hands: Mouse, address: str, record: Record) -> None:
    page, grant = hands.page, Grant.objects.get(agent__slug="research-bot", entitlement__scope="crm:use")
    _sign_in(hands, address, "otto")
    page.goto(f"{address}/grants/{grant.pk}/")
    hands.press(page.locator("main summary", has_text="Request renewal"))
    hands.write(page.locator("main").get_by_label("Business justification"), "The pilot goes on until spring.")
    hands.press(page.locator("main form").get_by_role("button", name="Request renewal"))
    page.wait_for_url(re.compile("/requests/"))
    asked = AccessRequest.objects.get(renews=grant)
    _sign_in(hands, address, "sofia")
    _asked(hands, asked)
    hands.press(page.locator("#approve"))
    expect(page.get_by_text("Approved.", exact=False).first).to_be_visible()
    for stage in asked.approvals.filter(answer=Approval.Answer.WAITING):
        _sign_in(hands, address, stage.waiting_for.values_list("login", flat=True)[0])
        _asked(hands, asked)
        hands.press(page.locator("#approve"))
        expect(page.get_by_text("Approved.", exact=False).first).to_be_visible()
    asked.refresh_from_db()
    assert asked.state == AccessRequest.State.APPROVED
    grant.refresh_from_db()
    after = Grant.objects.get(request_id=asked.pk)
    record.says(
        ("otto", "request.submitted", f"request:{asked.pk}", "The pilot goes on until spring."),
        ("sofia", "approval.given", f"request:{asked.pk}", ""),
        ("sofia", "grant.revoked", f"grant:{grant.pk}", f"Renewed by request {asked.pk}."),
        ("sofia", "grant.issued", f"grant:{after.pk}", "The pilot goes on until spring."),
    )
    assert after.starts_at <= (grant.ended_at or grant.expires_at) < after.expires_at, "there is a gap"


def _take_over(hands: Mouse, address: str, record: Record) -> None:
    page = hands.page
    left = list(Agent.objects.filter(owner__login="otto").order_by("pk").values_list("slug", flat=True))
    Person.objects.filter(login="otto").update(manager=Person.objects.get(login="mallory"))
    _sign_in(hands, address, "ana")
    page.goto(f"{address}/people/otto/")
    hands.press(page.locator("main").get_by_role("link", name="Disable", exact=True))
    hands.write(page.locator("main").get_by_label("Reason", exact=True), "Otto has left the company.")
    hands.write(page.locator("main").get_by_label(re.compile("Type")), "otto")
    hands.press(page.locator("main form button.danger"))
    page.wait_for_url(re.compile("/stop/receipts/"))
    assert leavers.propose_new_owners() > 0  # as the clock would within the hour
    _sign_in(hands, address, "mallory")
    hands.press(page.locator("main").get_by_role("link", name="Payment reminders").first)
    hands.press(page.get_by_role("button", name="Accept"))
    expect(page.get_by_role("button", name="Accept")).to_have_count(0)
    agent = Agent.objects.select_related("owner").get(slug="dunning")
    assert agent.owner is not None
    assert agent.owner.login == "mallory"
    record.says(
        ("ana", "person.disabled", "person:otto", "Otto has left the company."),
        ("ana", "revocation.committed", "person:otto", "Otto has left the company."),
        ("system:mandate", "revocation.settled", "revocation:", ""),
        *(("system:mandate", "agent.ownership_proposed", f"agent:{slug}", "otto has left.") for slug in left),
        ("mallory", "agent.owner_changed", "agent:dunning", "otto has left."),
    )


def _break_the_glass(hands: Mouse, address: str, record: Record) -> None:
    page, ana = hands.page, Person.objects.get(login="ana")
    secret = second_factor.given_to(ana)
    leave(page)
    page.goto(f"{address}/login/")
    hands.write(page.get_by_label("Login"), "ana")
    hands.write(page.get_by_label("Password"), PASSWORD)
    hands.press(page.get_by_role("button", name="Sign in", exact=True))
    page.locator("input[name=code]").wait_for()
    hands.write(page.locator("input[name=code]"), second_factor.code(secret))
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/")
    page.goto(f"{address}/break-glass/declare/")
    hands.write(page.locator("#agent"), "dunning")
    hands.pick(page.locator("main").get_by_label("Entitlement", exact=True), "Knowledge base: Search what we know")
    hands.press(page.get_by_role("button", name="Continue"))
    hands.tick(page.locator("input[value=search]"))
    hands.write(page.locator("#people"), "bob")
    hands.pick(page.get_by_label("For how long"), "15 minutes")
    hands.write(
        page.get_by_label("Reason for break-glass access"), "The hotline is down, and a customer waits for help."
    )
    hands.press(page.get_by_role("button", name="Give access now"))
    expect(page.get_by_text("Security and everyone concerned get a notice now.")).to_be_visible()
    given = BreakGlassGrant.objects.select_related("grant").get()
    hands.press(page.get_by_role("link", name="Revoke now"))
    hands.write(page.locator("main").get_by_label("Reason", exact=True), "The hotline is back.")
    hands.press(page.locator("main form button.danger"))
    page.wait_for_url(re.compile("/stop/receipts/"))
    assert break_glass.open_reviews() == 1  # as the clock would within the minute
    _sign_in(hands, address, "resa")
    hands.press(page.locator(f"main a[href='/break-glass/{given.pk}/']").first)
    hands.write(page.get_by_label("Finding"), "The call log bears it out.")
    hands.press(page.get_by_role("button", name="Justified", exact=True))
    expect(page.get_by_text("The person who gave the access gets a notice of your finding.")).to_be_visible()
    grant = f"grant:{given.grant_id}"
    record.says(
        ("ana", "grant.issued", grant, given.reason),
        ("ana", "break_glass.declared", f"emergency:{given.pk}", given.reason),
        ("ana", "grant.revoked", grant, "The hotline is back."),
        ("ana", "revocation.committed", grant, "The hotline is back."),
        ("system:mandate", "revocation.settled", "revocation:", ""),
        ("system:mandate", "break_glass.ended", f"emergency:{given.pk}", "The access is over."),
        ("resa", "break_glass.reviewed", f"emergency:{given.pk}", "The call log bears it out."),
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["by keys alone", "by touch on a phone"])
def test_what_follows_in_the_weeks_after(way: str, browser: Browser, live_server: LiveServer) -> None:
    kind, options = WAYS[way]
    wrong: list[str] = []
    context = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin", **options)
    page: Any = context.new_page()
    address = live_server.url.replace("127.0.0.1", "localhost")
    page.set_default_timeout(1000 * waits.SECONDS)
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    hands, record = kind(page), Record()
    _approve_in_two_stages(hands, address, record)
    _renew(hands, address, record)
    _take_over(hands, address, record)
    _break_the_glass(hands, address, record)
    assert wrong == []
    context.close()
