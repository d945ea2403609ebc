"""Sessions at the screen: found by whom they are for, and ended together; and a review of ticked rows."""

from __future__ import annotations

from datetime import timedelta

import pytest

from audit import clock
from entitlements.sessions.models import Session
from tests import make, shared
from tests.governance import companies
from tests.governance.companies import Company
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


made_world, company = shared.world(companies.found)


def opened(company: Company, login: str) -> Session:
    """Begin a session of the agent for a person."""
    client, _secret = make.client(company.bot, f"desk-{login}")
    now = clock.now()
    times = {"started_at": now, "last_used_at": now, "expires_at": now + timedelta(hours=1)}
    return Session.objects.create(
        agent=company.bot, client=client, person=company.named(login), sign_in_sha256="0" * 64, **times
    )


def test_sessions_are_listed_for_those_who_see_them_and_ended_together(company: Company) -> None:
    of_alice, of_bob = opened(company, "alice"), opened(company, "bob")
    ana = visits.as_(company.ana)
    assert "desk-bob" in visits.text(ana.get("/sessions/"))
    assert "desk-bob" not in visits.text(ana.get("/sessions/?person=alice"))
    assert "desk-bob" not in visits.text(visits.as_(company.mallory).get("/sessions/"))
    form = {"key": [str(of_alice.pk), str(of_bob.pk)]}
    looked = visits.text(ana.post("/stop/several/session/", form))
    assert "End these sessions?" in looked
    assert Session.objects.filter(ended_at=None).count() == 2
    ana.post("/stop/several/session/", {**form, "act": "end", "reason": "The laptop is lost."})
    assert set(Session.objects.values_list("end_reason", flat=True)) == {"The laptop is lost."}
    assert "desk-bob" not in visits.text(ana.get("/sessions/?state=open"))
    assert "The laptop is lost." in visits.text(ana.get("/sessions/?state=ended"))


def test_ticked_agents_and_grants_lead_to_a_new_review_of_their_agents(company: Company) -> None:
    grant = make.grant(company.bot, company.use, people=[company.alice])
    other = make.agent("other-bot")
    ana = visits.as_(company.ana)
    answer = ana.post("/blast-radius/agent/review/", {"key": ["research-bot", "other-bot", "nothing"]})
    assert answer.headers["Location"] == "/reviews/new/?agent=other-bot&agent=research-bot"
    answer = ana.post("/blast-radius/grant/review/", {"key": [str(grant.pk)]})
    assert answer.headers["Location"] == "/reviews/new/?agent=research-bot"
    assert ana.post("/blast-radius/grant/review/", {"key": ["x"]}).status_code == 400
    assert ana.post("/blast-radius/system/review/", {"key": ["x"]}).status_code == 400
    sponsor = visits.as_(company.sofia).post("/blast-radius/agent/review/", {"key": [other.slug]})
    assert sponsor.status_code == 403
