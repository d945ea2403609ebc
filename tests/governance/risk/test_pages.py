"""The pages of risk signals: a list, a decision with a reason, and how each kind is answered."""

from __future__ import annotations

import pytest

from audit import clock
from entitlements.agents.models import Agent
from entitlements.risk import risk
from entitlements.risk.models import RiskSignal, SignalResponse
from entitlements.risk.rules import Kind
from entitlements.risk.subject import RiskSubject
from entitlements.words import Risk
from tests import make
from tests.governance.console import visits

pytestmark = pytest.mark.django_db
LIST, RESPONSES = "/risk-signals/", "/settings/signal-responses/"


def signal(subject: RiskSubject, reference: str = "one") -> RiskSignal:
    new = risk.NewSignal(Kind.REFRESH_REUSE, Risk.MEDIUM, "detector:test", "It was used again.", clock.now(), reference)
    noted = risk.note(subject, new)
    assert noted is not None
    return noted


def test_a_signal_is_listed_shown_and_decided() -> None:
    resa, agent, alice = make.security("resa"), make.agent("bot"), make.person("alice")
    first, _ = signal(RiskSubject(agent=agent)), signal(RiskSubject(person=alice), "two")
    page = visits.text(visits.as_(resa).get(LIST))
    assert page.count("It was used again.") == 2
    assert "Observed: nothing was done" in page
    assert visits.text(visits.as_(resa).get(f"{LIST}?agent=bot")).count("It was used again.") == 1
    assert "Medium" in visits.text(visits.as_(resa).get("/agents/bot/"))
    assert "Medium" in visits.text(visits.as_(resa).get("/people/alice/"))
    assert "Risk level" not in visits.text(visits.as_(alice).get("/people/alice/"))
    shown = visits.text(visits.as_(resa).get(f"{LIST}{first.pk}/"))
    assert 'value="confirm"' in shown
    answer = visits.as_(resa).post(f"{LIST}{first.pk}/", {"verb": "confirm", "reason": "It is stolen."})
    assert answer.status_code == 302
    agent.refresh_from_db()
    assert agent.status == Agent.Status.SUSPENDED
    shown = visits.text(visits.as_(resa).get(f"{LIST}{first.pk}/"))
    assert 'value="confirm"' not in shown
    assert "It is stolen." in shown


def test_two_people_agree_on_a_response_in_the_console() -> None:
    resa, rosa = make.security("resa"), make.security("rosa")
    form = {"kind": "session_revoked", "response": "step_up", "mode": "enforce", "reason": "We watched it."}
    assert visits.as_(resa).post(f"{RESPONSES}propose/", {**form, "mode": "observe"}).status_code == 409
    assert visits.as_(resa).post(f"{RESPONSES}propose/", form).status_code == 302
    row = SignalResponse.objects.get()
    assert 'value="confirm"' not in visits.text(visits.as_(resa).get(RESPONSES))
    page = visits.text(visits.as_(rosa).get(RESPONSES))
    assert 'value="confirm"' in page
    assert "We watched it." in page
    visits.as_(rosa).post(f"{RESPONSES}{row.pk}/", {"verb": "confirm"})
    row.refresh_from_db()
    assert row.state == "in_force"
    assert "Resa, Rosa" in visits.text(visits.as_(resa).get(RESPONSES))
