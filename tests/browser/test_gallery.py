"""Every page in light and dark, wide and narrow: nothing to complain about for axe, the policy, or a small screen."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from entitlements.models import Grant, Revocation
from tests.browser import world
from tests.browser.conftest import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.usefixtures("company")]

SHOTS = os.environ.get("MANDATE_SHOTS", "")
PAGES = {
    "home": "/",
    "agents": "/agents/",
    "agent": "/agents/expense-bot/",
    "agent-timeline": "/agents/expense-bot/?tab=timeline",
    "agent-tokens": "/agents/expense-bot/?tab=tokens",
    "agent-people": "/agents/research-bot/?tab=people",
    "agent-versions": "/agents/research-bot/?tab=versions",
    "systems": "/systems/",
    "system": "/systems/crm/",
    "entitlements": "/systems/erp/?tab=entitlements",
    "tool-changed": "/systems/crm/tools/export_customers/",
    "tool-hostile": "/systems/crm/tools/summarise_page/",
    "requests": "/requests/",
    "grants": "/grants/",
    "ask": "/requests/new/?agent=invoice-matcher&entitlement=crm:use",
    "stop": "/stop/agent/expense-bot/",
    "stop-everything": "/stop/everything/",
    "stops": "/stop/",
    "audit": "/audit/",
    "audit-about": "/audit/?about=agent:expense-bot",
    "search": "/search/?q=invoice",
    "connect": "/connect/?agent=expense-bot",
    "my-agents": "/my-agents/",
    "settings": "/settings/",
    "sign-in-methods": "/settings/sign-in/",
    "people": "/people/",
    "person": "/people/sofia/",
    "not-found": "/agents/nobody/",
}
STRANGERS = {"login": "/login/"}


def _look(visitor: Visitor, name: str, path: str) -> list[str]:
    """Open a page four ways and return everything that is wrong with it."""
    found: list[str] = []
    for scheme, width in (("light", 1440), ("dark", 1440), ("light", 390), ("dark", 390), ("light", 320)):
        visitor.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        visitor.page.set_viewport_size({"width": width, "height": 900 if width > 400 else 844})
        visitor.go(path)
        if width != 390:
            found += [f"{name} {scheme} {width}: {each}" for each in _complaints(visitor)]
        across = visitor.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if across > 0:
            found.append(f"{name} {width}: scrolls {across} px to the side")
        found += [f"{name} {scheme}: {each}" for each in visitor.violations()]
        if SHOTS and width != 320:
            visitor.page.screenshot(path=Path(SHOTS) / f"{name}-{width}-{scheme}.png", full_page=True)
    return found


def _complaints(visitor: Visitor) -> list[str]:
    response = Axe().run(
        visitor.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:160]} {each['nodes'][0].get('failureSummary', '')[:200]}"
        for each in response.response["violations"]
    ]


def test_every_page_is_accessible_reflows_and_keeps_the_policy(visitor: Visitor) -> None:
    wrong = [each for name, path in STRANGERS.items() for each in _look(visitor, name, path)]
    visitor.sign_in("ana")
    for name, path in PAGES.items():
        wrong += _look(visitor, name, path)
    assert wrong == []


def test_what_an_approver_sees_is_accessible_too(visitor: Visitor) -> None:
    asked = world.waiting_for("sofia")
    visitor.sign_in("sofia")
    wrong = _look(visitor, "owner-home", "/") + _look(visitor, "request", f"/requests/{asked.pk}/")
    assert wrong == []


def test_a_receipt_with_its_proof_is_accessible_too(visitor: Visitor) -> None:
    visitor.sign_in("ana")
    stop = Revocation.objects.get()
    grant = Grant.objects.filter(agent__slug="expense-bot").get()
    wrong = _look(visitor, "receipt", f"/stop/receipts/{stop.pk}/?prove")
    wrong += _look(visitor, "grant", f"/grants/{grant.pk}/?prove")
    assert wrong == []


def test_forced_colours_and_less_motion_leave_every_state_as_word_and_shape(visitor: Visitor) -> None:
    visitor.page.emulate_media(forced_colors="active", reduced_motion="reduce")
    visitor.sign_in("ana")
    states = visitor.page.locator(".status")
    assert states.count() > 3
    for state in states.all():
        assert state.locator("svg.shape").count() == 1
        assert state.inner_text().strip()
    every = "[...document.querySelectorAll('*')]"
    moving = visitor.page.evaluate(
        f"{every}.filter((e) => parseFloat(getComputedStyle(e).transitionDuration) > 0).length"
    )
    assert moving == 0


@pytest.mark.skipif(not SHOTS, reason="MANDATE_SHOTS names no folder for the pictures of the README")
def test_pictures_for_the_readme(visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 1280, "height": 860})
    asked = world.waiting_for("sofia")
    visitor.sign_in("sofia")
    visitor.go(f"/requests/{asked.pk}/")
    visitor.page.uncheck("input[value=pay_invoice]")
    visitor.page.uncheck("input[value=delete_invoice]")
    visitor.page.screenshot(path=Path(SHOTS) / "approve.png")
    visitor.page.context.clear_cookies()
    visitor.page.emulate_media(color_scheme="dark")
    visitor.sign_in("ana")
    visitor.go("/audit/?about=agent:expense-bot")
    visitor.page.screenshot(path=Path(SHOTS) / "timeline.png")
