"""The whole story at the screen, by keys alone, by touch and without script; and what keeps a person oriented."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from entitlements.grants.models import Grant
from governance.requests.models import AccessRequest
from tests import waits
from tests.browser import world
from tests.browser.conftest import PASSWORD, Visitor, leave
from tests.browser.hands import Finger, Keys, Mouse
from tests.browser.told import Record

pytestmark = pytest.mark.usefixtures("company")


WHY = "Alice asks what we promised a customer."


def _type(visitor: Visitor, text: str) -> None:
    visitor.page.keyboard.type(text)


def _press(visitor: Visitor, *keys: str) -> None:
    for key in keys:
        visitor.page.keyboard.press(key)


def _sign_in(hands: Mouse, address: str, login: str) -> None:
    page = hands.page
    leave(page)
    page.goto(f"{address}/login/")
    hands.write(page.get_by_label("Login"), login)
    hands.write(page.get_by_label("Password"), PASSWORD)
    hands.press(page.get_by_role("button", name="Sign in", exact=True))
    page.wait_for_url(f"{address}/")


def _jump(hands: Mouse, text: str, name: str, *, scripted: bool) -> None:
    """Find something by name: in the command bar, or on the page that stands in for it."""
    page = hands.page
    hands.press(page.locator("[data-command]"))
    if scripted:
        expect(page.locator("#command-q")).to_be_focused()
        page.keyboard.type(text)
        expect(page.locator("#command .found a").first).to_contain_text(name)
    else:
        page.locator("main input[name=q]").fill(text)
        page.keyboard.press("Enter")
        page.locator("main").get_by_role("link", name=name).first.click()
        return
    if isinstance(hands, Keys):
        page.keyboard.press("Enter")
    else:
        hands.press(page.locator("#command .found a").first)


def _section(hands: Mouse, name: str) -> None:
    """Go to one of the sections; on a phone the menu opens first."""
    hands.page.wait_for_load_state()  # only then has the script folded the menu
    menu = hands.page.locator("details.menu")
    if menu.locator("> summary").is_visible() and menu.get_attribute("open") is None:
        hands.press(menu.locator("> summary"))
    hands.press(menu.get_by_role("link", name=re.compile(f"^{name}")))


def _ask(hands: Mouse) -> None:
    page = hands.page
    hands.press(page.get_by_role("link", name="Request access").first)
    hands.write(page.locator("#agent"), "Payment reminders")
    hands.pick(page.locator("main").get_by_label("Entitlement", exact=True), "Knowledge base: Search what we know")
    hands.press(page.get_by_role("button", name="Continue"))
    hands.write(page.locator("#people"), "alice")
    hands.write(page.locator("main").get_by_label("Business justification"), WHY)
    hands.press(page.get_by_role("button", name=re.compile("^Request [0-9]|^Request access$")))
    expect(page.get_by_text("Requested. This page shows who must approve.")).to_be_visible()


def _narrow_and_approve(hands: Mouse) -> Grant:
    page = hands.page
    hands.press(page.get_by_role("link", name="Payment reminders requests “Search what we know”"))
    hands.tick(page.locator("input[value=convert_time]"))
    hands.pick(page.locator("main").get_by_label("For how long", exact=True), "1 hour")
    hands.press(page.locator("button[value=approve]"))
    expect(page.get_by_text("The access is in force until it ends.")).to_be_visible()
    grant = Grant.objects.get(agent__slug="dunning", entitlement__scope="wiki:use")
    assert sorted(line.tool.name for line in grant.lines.all()) == ["read_page", "search"]
    assert (grant.expires_at - grant.starts_at).total_seconds() == 3600
    return grant


def _stop_and_prove(hands: Mouse, *, scripted: bool) -> None:
    page = hands.page
    _jump(hands, "payment", "Payment reminders", scripted=scripted)
    hands.press(page.locator("main").get_by_role("link", name="Search what we know").first)
    hands.press(page.get_by_role("link", name="Revoke"))
    hands.write(page.locator("main").get_by_label("Reason", exact=True), "Alice has her answer.")
    hands.press(page.get_by_role("button", name="Revoke this access"))
    page.wait_for_url(re.compile("/stop/receipts/"))
    hands.press(page.get_by_role("button", name="Prove it"))
    expect(page.get_by_role("heading", name="Incomplete: not every node could be asked")).to_be_visible()
    expect(page.locator("#proof tbody")).to_contain_text("No gateway node was there to be asked.")
    hands.press(page.get_by_role("link", name="Timeline"))
    expect(page.locator("#list-audit-log")).to_contain_text("Alice has her answer.")
    hands.write(page.locator("main").get_by_label("About", exact=True), "agent:dunning")
    hands.press(page.get_by_role("button", name="Open timeline"))
    for told in ("requested access", "granted access", "revoked access"):
        expect(page.locator("#list-audit-log")).to_contain_text(told)


def _begin_a_review(hands: Mouse) -> None:
    page = hands.page
    _section(hands, "Access reviews")
    hands.press(page.get_by_role("link", name="New review"))
    hands.press(page.locator("main").get_by_role("link", name="Agents, by sponsor", exact=True))
    hands.write(page.locator("#system"), "Knowledge base")
    hands.press(page.get_by_role("button", name="Continue"))
    hands.write(page.locator("main").get_by_label("Name", exact=True), "What we know")
    hands.press(page.get_by_role("button", name="Create draft"))
    hands.press(page.locator("main summary", has_text="Launch"))
    hands.press(page.locator("main form").get_by_role("button", name="Launch", exact=True))
    expect(page.get_by_text("The review is launched, with")).to_be_visible()


def _review(hands: Mouse, *, scripted: bool) -> None:
    page = hands.page
    _section(hands, "Access reviews")
    hands.press(page.get_by_role("link", name="Decide 2 items"))
    for number in range(2):
        hands.keep(page.locator("tr[data-item]").nth(number))
    if scripted:
        page.locator("form[data-drafted='2']").wait_for()
    hands.press(page.get_by_role("button", name="Submit…"))
    hands.press(page.get_by_role("button", name="Keep 2 items"))
    expect(page.get_by_text("2 decisions are submitted.")).to_be_visible()


WAYS: dict[str, tuple[type[Mouse], dict[str, Any]]] = {
    "by keys alone": (Keys, {"viewport": {"width": 1440, "height": 900}}),
    "by touch on a phone": (
        Finger,
        {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
    ),
    "without script": (Mouse, {"viewport": {"width": 390, "height": 844}, "java_script_enabled": False}),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", WAYS)
def test_the_whole_story_from_asking_to_reviewing(way: str, browser: Browser, live_server: LiveServer) -> None:
    kind, options = WAYS[way]
    scripted, wrong = options.get("java_script_enabled", True), []
    context = browser.new_context(locale="en-GB", timezone_id="Europe/Berlin", **options)
    page, address = context.new_page(), live_server.url.replace("127.0.0.1", "localhost")
    page.set_default_timeout(1000 * waits.SECONDS)
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    hands, record = kind(page), Record()

    _sign_in(hands, address, "otto")
    _ask(hands)
    asked = AccessRequest.objects.get(reason=WHY)
    record.says(("otto", "request.submitted", f"request:{asked.pk}", WHY))
    _sign_in(hands, address, "sofia")
    grant = _narrow_and_approve(hands)
    record.says(
        ("sofia", "approval.given", f"request:{asked.pk}", ""), ("sofia", "grant.issued", f"grant:{grant.pk}", WHY)
    )
    _sign_in(hands, address, "ana")
    _stop_and_prove(hands, scripted=bool(scripted))
    grant.refresh_from_db()
    assert grant.state == Grant.State.REVOKED
    record.says(
        ("ana", "grant.revoked", f"grant:{grant.pk}", "Alice has her answer."),
        ("ana", "revocation.committed", f"grant:{grant.pk}", "Alice has her answer."),
        ("system:mandate", "revocation.settled", "revocation:", ""),
        ("ana", "revocation.proven", "revocation:", ""),
    )
    _begin_a_review(hands)
    review = "campaign:what-we-know"
    record.says(
        ("ana", "campaign.made", review, ""),
        ("ana", "campaign.staging", review, ""),
        ("system:mandate", "campaign.staged", review, ""),
        ("ana", "campaign.activated", review, ""),
    )
    _sign_in(hands, address, "sofia")
    _review(hands, scripted=bool(scripted))
    record.says(*(("sofia", "review.decided", f"agent:{slug}", "") for slug in ("research-bot", "stale-bot")))
    assert wrong == []
    context.close()


def test_the_first_tab_leads_past_the_navigation(visitor: Visitor) -> None:
    visitor.sign_in("ana")
    visitor.go("/agents/")
    visitor.tab_to(".skip")
    _press(visitor, "Enter")
    expect(visitor.page.locator("#main")).to_be_focused()
    _press(visitor, "Tab")
    assert visitor.page.evaluate("document.activeElement.closest('main') !== null")


def test_escape_closes_the_command_bar_and_gives_the_focus_back(visitor: Visitor) -> None:
    visitor.sign_in("ana")
    visitor.go("/")
    visitor.tab_to("[data-command]")
    _press(visitor, "Enter")
    expect(visitor.page.locator("#command-q")).to_be_focused()
    _press(visitor, "Escape")
    expect(visitor.page.locator("[data-command]")).to_be_focused()


def test_the_chosen_theme_outlives_the_page(visitor: Visitor) -> None:
    visitor.sign_in("ana")
    visitor.go("/")
    visitor.tab_to("[data-theme-form] button")
    _press(visitor, "Enter", "Enter")
    visitor.go("/agents/")
    assert visitor.page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_weighty_approvals_ask_who_you_are_and_then_go_on(visitor: Visitor, settings: Settings) -> None:
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 0
    asked = world.waiting_for("sofia")
    visitor.sign_in("sofia")
    visitor.go(f"/requests/{asked.pk}/")
    visitor.tab_to('input[value="delete_invoice"]')
    _press(visitor, "Space")
    visitor.tab_to('button[value="approve"]')
    _press(visitor, "Enter")
    visitor.page.wait_for_url(re.compile("/login/again/"))
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
    visitor.page.locator("input[name=password]").focus()
    _type(visitor, PASSWORD)
    _press(visitor, "Enter")

    expect(visitor.page.get_by_text("Other approvers must decide")).to_be_visible()
    kept = AccessRequest.objects.get(pk=asked.pk).lines.filter(kept=True)
    assert "delete_invoice" not in {line.tool.name for line in kept}


def test_single_keys_that_are_off_do_nothing_in_the_queue(visitor: Visitor) -> None:
    visitor.sign_in("sofia")
    visitor.go("/requests/?waiting=me")
    first = visitor.page.locator("[data-queue] a.main").first
    first.focus()
    _press(visitor, "j")
    expect(first).not_to_be_focused()
    visitor.page.locator("details.keys summary").click()
    visitor.page.get_by_label("Use these keys").uncheck()
    first.focus()
    _press(visitor, "j")
    expect(first).to_be_focused()
