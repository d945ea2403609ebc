"""Declaring an emergency in the console, with a fresh proof of one's second factor, and reviewing it."""

from __future__ import annotations

import time

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from entitlements.grants import grants
from entitlements.people.models import Person
from governance.break_glass import break_glass
from governance.break_glass.models import BreakGlassGrant
from tests import shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)
FORM = {
    "agent": "research-bot",
    "entitlement": "clock:use",
    "tool": "now",
    "people": "alice",
    "lasts": "900",
    "reason": "The payroll stands still.",
}


def _proven(person: Person) -> Client:
    """Return a browser in which somebody showed her second factor a moment ago."""
    Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={})
    browser = visits.as_(person)
    session = browser.session
    session["account_authentication_methods"] = [{"method": "mfa", "at": time.time()}]
    session["visit_began"] = session["visit_seen"] = int(time.time())
    session.save()
    return browser


def test_it_is_declared_after_a_proof_and_reviewed_by_another_of_security(company: Company) -> None:
    assert visits.as_(company.resa).post("/break-glass/declare/", FORM).status_code == 403
    Authenticator.objects.create(user=company.resa, type=Authenticator.Type.TOTP, data={})
    asked = visits.as_(company.resa).post("/break-glass/declare/", FORM)  # a password alone is no proof of it
    assert (asked.status_code, "/login/" in asked["Location"] or "/sign-in/" in asked["Location"]) == (302, True)
    assert not BreakGlassGrant.objects.exists()
    Authenticator.objects.all().delete()
    resa, rob = _proven(company.resa), visits.as_(company.rob)
    page = visits.text(resa.get("/break-glass/declare/?agent=research-bot&entitlement=clock:use"))
    assert 'value="convert"' in page
    answer = resa.post("/break-glass/declare/", FORM)
    found = BreakGlassGrant.objects.get()
    assert answer["Location"] == f"/break-glass/{found.pk}/"
    assert [line.tool.name for line in found.grant.lines.all()] == ["now"]
    assert "without approval" in visits.text(resa.get(f"/grants/{found.grant_id}/"))
    grants.revoke(found.grant_id, by=company.resa.principal, reason="Done.")
    break_glass.open_reviews()
    assert f"/break-glass/{found.pk}/" in visits.text(rob.get("/"))
    said = {"verdict": "not_justified", "reason": "A request would have done."}
    assert resa.post(f"/break-glass/{found.pk}/", said).status_code == 403
    assert rob.post(f"/break-glass/{found.pk}/", said).status_code == 302
    found.refresh_from_db()
    assert (found.verdict, found.reviewed_by) == ("not_justified", company.rob)
    assert f"/break-glass/{found.pk}/" not in visits.text(rob.get("/"))


def test_whoever_may_not_declare_one_is_offered_nothing(company: Company) -> None:
    browser = _proven(company.mallory)
    assert "/break-glass/declare/" not in visits.text(browser.get("/break-glass/"))
    assert browser.post("/break-glass/declare/", FORM).status_code == 404
