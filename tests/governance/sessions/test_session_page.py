"""The page of a session: its end and the term, its sign-in, the policies, and its risk for those who see risk."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from audit import clock
from entitlements.risk import risk
from entitlements.risk.rules import Kind
from entitlements.risk.subject import RiskSubject
from entitlements.sessions.models import Session
from entitlements.words import Risk
from tests import make
from tests.entitlements.risk.worlds import answered
from tests.entitlements.session_policies import agreed
from tests.governance.console import visits

pytestmark = pytest.mark.django_db


@pytest.fixture
def session() -> Session:
    agent, now = make.agent("bot"), timezone.now()
    client, _ = make.client(agent, "bot-client", auth="client_secret_basic")
    return Session.objects.create(
        agent=agent, client=client, person=make.person("alice"), expires_at=now + timedelta(hours=9),
        sign_in_sha256="1", started_at=now, last_used_at=now, signed_in_at=now, acr="phr", amr="pop mfa",
    )  # fmt: skip


def test_it_shows_the_sign_in_and_by_which_policy_it_ends(session: Session) -> None:
    agreed.in_force("short", idle=timedelta(minutes=10))
    agreed.in_force("strong", acr=["http://example.com/gold"])
    ana = visits.as_(make.analyst("ana"))

    page = visits.text(ana.get(f"/sessions/{session.pk}/"))

    assert "by no use" in page
    assert "phr" in page
    assert "asks for a sign-in in a stronger way: http://example.com/gold" in page
    assert f"/stop/session/{session.pk}/" in page
    assert f"/sessions/{session.pk}/" in visits.text(ana.get("/sessions/"))
    Session.objects.update(ended_at=timezone.now(), end_reason="The laptop was lost.")
    over = visits.text(ana.get(f"/sessions/{session.pk}/"))
    assert "The laptop was lost." in over
    assert "End session" not in over


def test_a_hold_stands_at_session_agent_and_person_with_its_reason(session: Session) -> None:
    answered("refresh_reuse", "hold")
    assert session.person is not None
    resa = visits.as_(make.security("rob"))
    subjects = (RiskSubject(session=session), RiskSubject(agent=session.agent), RiskSubject(person=session.person))
    for number, subject in enumerate(subjects):
        said = f"Reason {number}."
        risk.note(subject, risk.NewSignal(Kind.REFRESH_REUSE, Risk.HIGH, "detector:test", said, clock.now(), said))

    page = visits.text(resa.get(f"/sessions/{session.pk}/"))

    assert all(f"Reason {number}." in page for number in range(3))
    assert page.count("calls held") == 3
    for address in ("/agents/bot/", "/people/alice/", f"/sessions/{session.pk}/"):
        assert "Calls held by a risk signal" in visits.text(resa.get(address)), address
    assert "calls held by a risk signal" in visits.text(resa.get("/sessions/?held=yes"))
    theirs = visits.text(visits.as_(session.person).get(f"/sessions/{session.pk}/"))
    assert "Reason 2." not in theirs
    assert "Risk level" not in theirs
