"""The whole story at the screen, by keyboard alone: narrow and approve, stop, read the receipt, prove it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from entitlements.models import Agent, Grant
from governance.models import AccessRequest
from tests.browser import world
from tests.browser.conftest import PASSWORD, Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.usefixtures("company")]


def _type(visitor: Visitor, text: str) -> None:
    visitor.page.keyboard.type(text)


def _press(visitor: Visitor, *keys: str) -> None:
    for key in keys:
        visitor.page.keyboard.press(key)


def test_narrowing_and_approving_by_keyboard_gives_exactly_what_was_ticked(visitor: Visitor) -> None:
    asked = world.waiting_for("sofia")
    visitor.sign_in("sofia")
    visitor.tab_to(f'a[href="/requests/{asked.pk}/"]')
    _press(visitor, "Enter")
    button = visitor.page.get_by_role("button", name="Approve")
    expect(button).to_have_text("Approve 5 of 5 tools for 30 days")
    for tool in ("pay_invoice", "delete_invoice"):
        visitor.tab_to(f'input[value="{tool}"]')
        _press(visitor, "Space")
    expect(button).to_have_text("Approve 3 of 5 tools for 30 days")
    visitor.tab_to("select[name=lasts]")
    _press(visitor, "ArrowUp")
    expect(button).to_have_text("Approve 3 of 5 tools for 7 days")
    visitor.tab_to('button[value="approve"]')
    _press(visitor, "Enter")
    expect(visitor.page.get_by_text("The access is in force until it ends.")).to_be_visible()

    made = AccessRequest.objects.get(pk=asked.pk).grant_id
    assert made
    grant = Grant.objects.get(pk=made)
    assert sorted(line.tool.name for line in grant.lines.all()) == ["book_invoice", "get_invoice", "list_invoices"]
    assert (grant.expires_at - grant.starts_at).days == 7
    assert (visitor.wrong, visitor.violations()) == ([], [])


def test_stopping_by_keyboard_ends_with_a_receipt_that_proves_itself(visitor: Visitor) -> None:
    visitor.sign_in("ana")
    _press(visitor, "Control+k")
    _type(visitor, "expense")
    expect(visitor.page.locator("#command .found a").first).to_contain_text("Expense helper")
    _press(visitor, "Enter")
    visitor.page.wait_for_url("**/agents/expense-bot/")
    visitor.tab_to('a[href="/stop/agent/expense-bot/"]')
    _press(visitor, "Enter")
    expect(visitor.page.locator("textarea[name=reason]")).to_be_focused()
    _type(visitor, "Reads more than it should.")
    visitor.tab_to("button.danger")
    _press(visitor, "Enter")
    visitor.page.wait_for_url(re.compile("/stop/receipts/"))
    visitor.tab_to('a[href="?prove"]')
    _press(visitor, "Enter")

    expect(visitor.page.get_by_role("heading", name="It holds: every call is refused")).to_be_visible()
    assert visitor.page.locator("#proof code", has_text="agent_suspended").count() == 5
    assert Agent.objects.get(slug="expense-bot").status == Agent.Status.SUSPENDED
    assert (visitor.wrong, visitor.violations()) == ([], [])


def test_escape_closes_the_command_bar_and_gives_the_focus_back(visitor: Visitor) -> None:
    visitor.sign_in("ana")
    visitor.tab_to("[data-command]")
    _press(visitor, "Enter")
    expect(visitor.page.locator("#command-q")).to_be_focused()
    _press(visitor, "Escape")
    expect(visitor.page.locator("[data-command]")).to_be_focused()


def test_the_chosen_theme_outlives_the_page(visitor: Visitor) -> None:
    visitor.sign_in("ana")
    visitor.tab_to("[data-theme-form] button")
    _press(visitor, "Enter", "Enter")
    visitor.go("/agents/")
    assert visitor.page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_without_script_the_story_works_just_the_same(browser: Browser, live_server: LiveServer) -> None:
    asked = world.waiting_for("sofia")
    address = live_server.url.replace("127.0.0.1", "localhost")
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{address}/login/?next=/requests/{asked.pk}/")
    page.fill("input[name=login]", "sofia")
    page.fill("input[name=password]", PASSWORD)
    page.click("text=Sign in >> nth=-1")
    page.uncheck("input[value=pay_invoice]")
    page.uncheck("input[value=delete_invoice]")
    page.click("text=Approve what is ticked")

    assert page.get_by_text("The access is in force until it ends.").is_visible()
    page.goto(f"{address}/search/?q=invoice")
    assert page.get_by_role("link", name="Invoice matcher").is_visible()
    context.close()


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

    expect(visitor.page.get_by_text("Others must still answer")).to_be_visible()
    kept = AccessRequest.objects.get(pk=asked.pk).lines.filter(kept=True)
    assert "delete_invoice" not in {line.tool.name for line in kept}
