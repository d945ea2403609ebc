"""A list by keyboard: sorted, narrowed, its columns chosen, rows selected and written to a file, at every width."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from entitlements.agents.models import Agent
from tests import make
from tests.browser.conftest import PASSWORD, Visitor, complaints
from tests.governance import companies

SHOTS = os.environ.get("MANDATE_SHOTS", "")


@pytest.fixture
def company(transactional_db: None) -> companies.Company:  # noqa: ARG001 - the server reads what is committed
    made = companies.found()
    made.ana.set_password(PASSWORD)
    made.ana.save()
    kinds = ["service", "personal", "shared"]
    names = ["Payroll reconciler", "Invoice reader", "Ticket triage", "Release notes writer", "Vendor lookup"]
    Agent.objects.bulk_create(
        Agent(
            slug=f"agent-{number:03}",
            name=f"{names[number % 5]} {number}",
            purpose="Reads what came in and files it where it belongs, once an hour.",
            kind=kinds[number % 3],
            sponsor=made.sofia if number % 4 else made.sam,
            owner=made.otto if number % 7 else None,
            status="suspended" if number % 11 == 0 else "active",
            status_reason="Odd calls." if number % 11 == 0 else "",
        )
        for number in range(120)
    )
    make.grant(made.bot, made.use, people=[made.alice])
    return made


def shoot(visitor: Visitor, name: str) -> None:
    if SHOTS:
        visitor.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), caret="initial")


def asked(visitor: Visitor) -> str:
    """Return the query of the address as it stands."""
    return str(visitor.page.evaluate("location.search"))


def press(visitor: Visitor, selector: str, key: str = "Enter") -> None:
    visitor.tab_to(selector)
    visitor.page.keyboard.press(key)


@pytest.mark.usefixtures("company")
def test_a_list_is_used_by_keyboard_alone(visitor: Visitor) -> None:
    page = visitor.page
    visitor.sign_in("ana")
    visitor.go("/agents/")
    rows = page.locator("tbody tr")
    assert rows.count() == 50
    shoot(visitor, "agents-1440")

    press(visitor, "#agents-sort-agent")
    visitor.until("document.querySelector('th[aria-sort=descending]') !== null")
    assert "sort=-agent" in asked(visitor)
    visitor.until("document.activeElement.id === 'agents-sort-agent'")

    visitor.go("/agents/")
    page.evaluate("window.same = true")  # gone if the page were loaded anew
    press(visitor, "#agents-facet-state")
    shoot(visitor, "agents-facet")
    press(visitor, "#agents-state-3")
    visitor.until("location.search === '?state=suspended'")
    visitor.until("document.activeElement.id === 'agents-facet-state'")
    assert rows.count() == 11
    assert page.locator(".chips").inner_text().startswith("State: Suspended")

    page.locator("#agents-q").focus()
    page.keyboard.type("reader")
    visitor.until("location.search.includes('q=reader')")
    visitor.until("document.querySelectorAll('tbody tr').length < 11")
    assert page.evaluate("document.activeElement.value") == "reader"
    shoot(visitor, "agents-chosen")

    press(visitor, "#agents-columns")
    page.get_by_label("Short name").check()
    page.get_by_label("Kind", exact=True).uncheck()
    page.get_by_role("button", name="Show these columns").press("Enter")
    visitor.until("location.search.includes('columns=')")
    visitor.until("document.querySelector('thead').innerText.includes('Short name')")
    assert "Kind" not in page.locator("thead").inner_text()
    assert page.evaluate("window.same"), "the list was swapped in place"
    assert not visitor.violations()


@pytest.mark.usefixtures("company")
def test_a_view_is_saved_by_keyboard_after_going_back(visitor: Visitor) -> None:
    page, rows = visitor.page, visitor.page.locator("tbody tr")
    visitor.sign_in("ana")
    visitor.go("/agents/?state=suspended")
    press(visitor, "#agents-columns")
    page.get_by_label("Short name").check()
    page.get_by_role("button", name="Show these columns").press("Enter")
    visitor.until("location.search.includes('columns=')")
    with page.expect_event("load"):
        page.go_back()
    visitor.until("!location.search.includes('columns=')")
    page.wait_for_load_state()
    press(visitor, "#agents-save")
    page.get_by_label("Name of the view").fill("Stopped readers")
    page.keyboard.press("Enter")
    page.wait_for_url("**view=*")
    assert page.locator(".tabs [aria-current=page]").inner_text().strip() == "Stopped readers"
    assert rows.count() == 11
    assert not visitor.violations()


@pytest.mark.usefixtures("company")
def test_rows_are_selected_and_files_and_references_chosen_by_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    visitor.sign_in("ana")
    visitor.go("/agents/")
    press(visitor, "[data-tick-all]", "Space")
    assert "selected" in page.locator("[data-ticked]").inner_text()
    page.locator("[data-all]").focus()
    page.keyboard.press("Space")
    assert page.locator("tbody input:checked").count() == page.locator("tbody input[type=checkbox]").count()
    page.locator("tbody .tick input").first.uncheck()
    expect(page.locator("[data-all]")).not_to_be_checked()
    page.locator("[data-all]").check()
    shoot(visitor, "agents-selected")
    visitor.tab_to(".list-bulk button[formaction$='/stop/several/agent/']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/stop/several/agent/")
    assert page.locator("input[name=key]").count() > 50

    visitor.go("/agents/")
    press(visitor, "#agents-facet-sponsor")
    visitor.tab_to("#agents-sponsor")
    page.keyboard.type("sam")
    visitor.until("document.querySelectorAll('[role=option]').length === 1")
    box, option = page.locator("#agents-sponsor"), page.locator("[role=option]")
    assert box.get_attribute("aria-expanded") == "true"
    shoot(visitor, "agents-combobox")
    page.keyboard.press("ArrowDown")
    assert box.get_attribute("aria-activedescendant") == option.get_attribute("id")
    page.keyboard.press("Enter")
    visitor.until("location.search === '?sponsor=sam'")
    visitor.until("document.querySelector('.chips').innerText.includes('Sponsor: Sam')")

    press(visitor, "#agents-export")
    visitor.tab_to("a[href*='export=csv']")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 1 + Agent.objects.filter(sponsor__login="sam").count()
    assert not visitor.violations()


@pytest.mark.usefixtures("company")
def test_a_list_stands_axe_at_every_width(visitor: Visitor) -> None:
    page = visitor.page
    visitor.sign_in("ana")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 844})
        for name, query in (("full", ""), ("chosen", "?state=suspended&q=reader"), ("unknown", "?state=none")):
            visitor.go(f"/agents/{query}")
            page.locator("#agents-facet-kind").click()
            shoot(visitor, f"agents-{name}-{width}")
            wrong = complaints(page)
            assert not wrong, (width, query, wrong)
            across = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert across <= 0, (width, query)
