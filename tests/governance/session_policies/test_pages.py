"""The page of session policies: proposed in a form, confirmed by another who sees whom it would ask."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from entitlements.people.models import Role
from entitlements.session_policies.models import SessionPolicy
from entitlements.sessions.models import Session
from tests import make
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
PAGE = "/settings/session-policies/"
FORM = {
    "name": "high",
    "agent_kind": "",
    "system": "time",
    "risk": "",
    "idle": "10",
    "absolute": "8",
    "max_age": "1.5",
    "acr": "phr",
    "amr": "pop mfa",
    "reason": "Risk has changed.",
}


def test_a_policy_is_proposed_in_the_form_and_confirmed_by_another_who_sees_whom_it_asks() -> None:
    ana, ada, alice = make.analyst("ana"), make.person("ada", roles=[Role.ADMIN]), make.person("alice")
    agent, system = make.agent("bot"), make.system("time")
    client, _ = make.client(agent, "bot-client", auth="client_secret_basic")
    make.grant(agent, make.entitlement(system), people=[alice])
    now = timezone.now()
    Session.objects.create(
        agent=agent, client=client, person=alice, started_at=now, last_used_at=now, expires_at=now + timedelta(hours=1)
    )
    answer = visits.as_(ana).post(f"{PAGE}propose/", FORM)
    assert answer.status_code == 302, visits.text(answer)
    row = SessionPolicy.objects.get()
    assert (row.idle_seconds, row.absolute_seconds, row.max_age_seconds, row.amr) == (600, 28_800, 5400, ["pop", "mfa"])

    page = visits.text(visits.as_(ana).get(PAGE))
    assert 'value="confirm"' not in page
    assert 'value="withdraw"' in page
    page = visits.text(visits.as_(ada).get(PAGE))
    for words in ("1 person", "open sessions: 1", "Alice", "10 min", "90 min", "the system time", "Built in"):
        assert words in page, words
    assert visits.as_(ada).post(f"{PAGE}{row.pk}/", {"verb": "confirm"}).headers["Location"] == PAGE
    assert "Proposed by Ana, confirmed by Ada." in visits.text(visits.as_(ana).get(PAGE))

    page = visits.text(visits.as_(ana).get(f"{PAGE}propose/?of=high"))
    assert 'value="pop mfa"' in page
    assert visits.as_(ana).post(f"{PAGE}propose/", {**FORM, "max_age": ""}).status_code == 302
    assert "<del>90 min</del> <ins>none</ins>" in visits.text(visits.as_(ada).get(PAGE))
    visits.as_(ada).post(f"{PAGE}{row.pk}/", {"verb": "end", "reason": "over"})
    row.refresh_from_db()
    assert row.state == "ended"


def test_what_is_wrong_stands_at_its_field() -> None:
    ana = make.analyst("ana")
    make.system("time")
    page = visits.text(visits.as_(ana).post(f"{PAGE}propose/", {**FORM, "idle": "4"}))
    assert "greater than or equal to 5" in page
    page = visits.text(visits.as_(ana).post(f"{PAGE}propose/", {**FORM, "idle": "60", "absolute": "0.5"}))
    assert "no less than it may be idle" in page
    assert not SessionPolicy.objects.exists()
