"""Risk over REST: who reads it, by whom it is about, and who decides."""

from __future__ import annotations

import uuid

from entitlements.people.models import Role
from entitlements.risk.models import SignalResponse
from entitlements.risk.subject import RiskSubject
from tests import make
from tests.entitlements.api import client
from tests.entitlements.edge.worlds import World
from tests.entitlements.risk.test_signals import session, signal
from tests.entitlements.risk.worlds import TYPE

RISK = "/api/v1/risk"
WHY = {"reason": "I looked at it."}


def test_the_history_is_read_by_its_subject(world: World) -> None:
    resa, begun = make.security(), session(world)
    about = {
        "agent:expense-bot": RiskSubject(agent=world.agent),
        "person:alice": RiskSubject(person=world.alice),
        f"session:{begun.pk}": RiskSubject(session=begun),
    }
    for link, subject in about.items():
        made = signal(subject)
        found = client.of(resa).get(RISK, {"about": link}).json()["results"]
        assert [(row["id"], row["about"], row["state"]) for row in found] == [(str(made.pk), link, "open")]
        assert (found[0]["level"], found[0]["subject_level"], found[0]["outcome"]) == ("medium", "medium", "observed")
    assert len(client.of(resa).get(RISK, {"open": "true"}).json()["results"]) == 3
    for link in ("agent:none", "tool:x", f"session:{uuid.uuid4()}"):
        assert client.of(resa).get(RISK, {"about": link}).json()["results"] == []
    for stranger in (world.alice, world.agent.sponsor):
        assert client.of(stranger).get(RISK, {"about": "person:alice"}).status_code == 403
    assert client.of(make.person(roles=[Role.AUDITOR])).get(RISK).status_code == 200


def test_a_signal_is_confirmed_or_dismissed_with_a_reason_after_a_proof(world: World) -> None:
    resa, rita = make.security(), make.person(roles=[Role.RESPONDER])
    first, second, third = (signal(RiskSubject(agent=world.agent)) for _ in range(3))
    assert client.of(resa).post(f"{RISK}/{first.pk}/dismiss", WHY, format="json").status_code == 403
    assert client.proven(resa).post(f"{RISK}/{first.pk}/dismiss", {}, format="json").status_code == 400
    answer = client.proven(resa).post(f"{RISK}/{first.pk}/dismiss", WHY, format="json")
    assert (answer.status_code, answer.json()["state"], answer.json()["decision"]["verdict"]) == (
        200,
        "dismissed",
        "dismissed",
    )
    again = client.proven(resa).post(f"{RISK}/{first.pk}/confirm", WHY, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "risk_decided")
    assert client.proven(rita).post(f"{RISK}/{second.pk}/confirm-safe", WHY, format="json").status_code == 403
    assert client.proven(rita).post(f"{RISK}/{second.pk}/confirm", WHY, format="json").status_code == 200
    world.agent.refresh_from_db()
    assert (world.agent.status, world.agent.risk_level) == ("suspended", "high")
    assert client.proven(resa).post(f"{RISK}/{third.pk}/confirm-safe", WHY, format="json").status_code == 200
    world.agent.refresh_from_db()
    assert world.agent.risk_level == "low"
    shown = client.of(resa).get("/api/v1/agents/expense-bot").json()
    assert shown["risk_level"] == "low"


def test_two_people_agree_how_a_kind_is_answered(world: World) -> None:
    resa, rosa, where = make.security(), make.security(), "/api/v1/signal-responses"
    given = {"kind": "session_revoked", "response": "step_up", "mode": "enforce", "reason": "We are ready."}
    answer = client.proven(resa).post(where, given, format="json")
    assert (answer.status_code, answer.json()["state"]) == (201, "proposed")
    key = answer.json()["id"]
    own = client.proven(resa).post(f"{where}/{key}/confirm", format="json")
    assert (own.status_code, own.json()["code"]) == (403, "signal_response_proposed_by_own_account")
    assert client.proven(rosa).post(f"{where}/{key}/confirm", format="json").json()["state"] == "in_force"
    assert client.proven(rosa).post(where, {**given, "kind": "none"}, format="json").status_code == 400
    assert SignalResponse.objects.count() == 1
    assert client.of(world.alice).get(where).status_code == 403
    assert TYPE
