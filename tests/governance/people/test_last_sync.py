"""Wherever somebody judges access of people, the page says when a directory last said who works here."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from entitlements.people_sources import sources
from governance.onboarding.models import OnboardedAgent, OnboardingBatch
from tests import make
from tests.governance.console import visits
from tests.governance.reviews import worlds

pytestmark = pytest.mark.django_db
SAID = "Okta has not sent its people yet"


def test_reviewers_approvers_and_sponsors_see_it_where_they_answer() -> None:
    company, _grant = worlds.found()
    sources.make("okta", name="Okta", subjects_of=None, by=company.ana.principal)
    item = worlds.item(worlds.campaign(company))
    sofia, ana, mona = (visits.as_(each) for each in (company.sofia, company.ana, company.mona))
    asked = make.request(
        make.entitlement(company.system, make.tool(company.system)),
        company.bot,
        by=company.otto,
        people=[company.alice],
    )
    table = b"agent,client_id,system,tools,person\nDesk,desk-1,clock,now,alice\n"
    ana.post("/onboarding/add/", {"file": SimpleUploadedFile("access.csv", table), "agent": ""})
    adoption = f"/onboarding/{OnboardingBatch.objects.get().pk}/"
    ana.post(adoption, {"act": "ask", "reason": "x", f"sponsor-{OnboardedAgent.objects.get().pk}": "mona"})
    pages = [
        (sofia, "/reviews/q4/work/"),
        (sofia, f"/reviews/q4/items/{item.pk}/"),
        (sofia, "/reviews/q4/submit/"),
        (sofia, "/requests/?waiting=me"),
        (sofia, f"/requests/{asked.pk}/"),
        (mona, adoption),
    ]
    assert SAID in visits.text(ana.get("/reviews/new/?step=scope", secure=True)), "and beside what a review would be"
    silent = [address for browser, address in pages if SAID not in visits.text(browser.get(address, secure=True))]
    assert not silent
    assert SAID not in visits.text(visits.as_(company.mallory).get("/requests/"))
