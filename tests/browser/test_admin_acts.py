"""The three acts in the Django admin, by keyboard: approve with narrowing, narrow a grant, revoke; and refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from audit.actions import Action
from audit.models import Event
from entitlements.grants.models import Grant
from governance.requests.models import AccessRequest
from tests.browser.conftest import Visitor, complaints, leave

pytestmark = pytest.mark.usefixtures("company")


def _enter(visitor: Visitor, selector: str) -> None:
    """Tab to something, press Enter there, and see that the page breaks no rule and no policy."""
    visitor.tab_to(selector)
    with visitor.page.expect_navigation():
        visitor.page.keyboard.press("Enter")
    assert visitor.violations() == []


def _untick(visitor: Visitor, tool: str) -> None:
    visitor.tab_to(f"input[type=checkbox][value='{tool}']")
    visitor.page.keyboard.press("Space")


def _say(visitor: Visitor, reason: str) -> None:
    visitor.tab_to("#reason")
    visitor.page.keyboard.type(reason)


def _looked_at(visitor: Visitor, name: str) -> None:
    """Ask axe about the page that confirms, and keep a picture of it where one is wanted."""
    assert complaints(visitor.page) == []
    if shots := os.environ.get("MANDATE_SHOTS"):
        Path(shots).mkdir(parents=True, exist_ok=True)
        for width in (1440, 390):
            visitor.page.set_viewport_size({"width": width, "height": 900})
            for scheme in ("light", "dark"):
                looks: Any = scheme
                visitor.page.emulate_media(color_scheme=looks)
                visitor.page.screenshot(path=f"{shots}/admin-{name}-{width}-{scheme}.png", full_page=True)
        visitor.page.set_viewport_size({"width": 1440, "height": 900})


def _as(visitor: Visitor, login: str) -> None:
    leave(visitor.page)
    visitor.sign_in(login)


def _refused(visitor: Visitor, login: str, row: AccessRequest | Grant, *acts: str) -> None:
    """See that a person is offered none of these acts on a row, and is refused at their addresses."""
    kind = "governance/accessrequest" if isinstance(row, AccessRequest) else "entitlements/grant"
    _as(visitor, login)
    visitor.go(f"/admin/{kind}/{row.pk}/change/")
    for act in acts:
        assert visitor.page.locator(f".object-tools a[href*='/acts/{act}/']").count() == 0
    for act in acts:
        assert visitor.go(f"/admin/{kind}/acts/{act}/?key={row.pk}") == 403
        assert "forbidden" in visitor.page.content()
    visitor.wrong.clear()  # the browser names a refused page as an error


def _approve_with_less(visitor: Visitor, request: AccessRequest) -> None:
    visitor.go("/admin/governance/accessrequest/?waiting=me")
    _enter(visitor, f"a[href*='{request.pk}/change/']")
    _enter(visitor, ".object-tools a[href*='/acts/approve/']")
    _untick(visitor, "delete_invoice")
    visitor.tab_to("select[name$=':lasts']")
    visitor.page.keyboard.press("Home")
    _say(visitor, "Without deleting.")
    _looked_at(visitor, "approve")
    _enter(visitor, ".submit-row input")
    assert "Approved" in visitor.page.locator(".messagelist").inner_text()
    kept = request.lines.filter(kept=True).values_list("tool__name", flat=True)
    assert "delete_invoice" not in kept
    event = Event.objects.filter(action=Action.APPROVAL_GIVEN).latest("at")
    assert (event.actor, event.reason) == ("person:resa", "Without deleting.")


def _narrow(visitor: Visitor, grant: Grant) -> None:
    visitor.go(f"/admin/entitlements/grant/?q={grant.pk}")
    visitor.tab_to("select[name=action]")
    visitor.page.keyboard.type("Narrow")
    visitor.tab_to(f"input.action-select[value='{grant.pk}']")
    visitor.page.keyboard.press("Space")
    visitor.page.keyboard.press("Enter")  # sends the form that the box stands in
    visitor.page.wait_for_url("**/acts/narrow/**")
    _untick(visitor, "get_invoice")
    _say(visitor, "Two lists are enough.")
    _looked_at(visitor, "narrow")
    _enter(visitor, ".submit-row input")
    assert "Narrowed" in visitor.page.locator(".messagelist").inner_text()
    assert "get_invoice" not in grant.lines.values_list("tool__name", flat=True)
    assert Event.objects.get(action=Action.GRANT_REDUCED).reason == "Two lists are enough."


def _revoke(visitor: Visitor, grant: Grant) -> None:
    visitor.go(f"/admin/entitlements/grant/{grant.pk}/change/")
    _enter(visitor, ".object-tools a[href*='/acts/revoke/']")
    _looked_at(visitor, "revoke")
    visitor.tab_to(".submit-row input")
    visitor.page.keyboard.press("Enter")
    assert visitor.page.evaluate("document.activeElement.id") == "reason", "the browser asks for it"
    visitor.page.keyboard.type("The project is over.")
    _enter(visitor, ".submit-row input")
    assert "Revoked" in visitor.page.locator(".messagelist").inner_text()
    assert visitor.page.locator(".object-tools a[href*='/acts/']").count() == 0, "nothing more can be done to it"
    grant.refresh_from_db()
    assert (grant.state, grant.end_reason) == (Grant.State.REVOKED, "The project is over.")


def test_the_three_acts_by_keyboard_each_also_refused(visitor: Visitor) -> None:
    request = AccessRequest.objects.get(agent__slug="invoice-matcher")
    grant = Grant.objects.filter(ended_at=None, lines__tool__name="get_invoice", state="active").first()
    assert grant is not None

    _refused(visitor, "ana", request, "approve", "deny")
    _as(visitor, "resa")
    _approve_with_less(visitor, request)

    _refused(visitor, "admin", grant, "narrow", "revoke")
    _as(visitor, "ana")
    _narrow(visitor, grant)
    _revoke(visitor, grant)
    assert visitor.wrong == []
