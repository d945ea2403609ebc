"""Drift is answered as its detector is, and at least as a session policy in force says of the sessions it is about."""

from __future__ import annotations

from audit import clock
from entitlements.agents.models import Agent
from entitlements.drift import answers, detect, rules
from entitlements.drift.findings import Finding
from entitlements.people.models import Person
from entitlements.risk.models import RiskSignal
from entitlements.risk.rules import Kind, Mode, Policy, Response
from entitlements.risk.subject import RiskSubject
from entitlements.sessions.models import Session
from tests.entitlements.edge.worlds import World
from tests.entitlements.risk.worlds import answered
from tests.entitlements.session_policies import agreed

MOVED = rules.OF_KIND[Kind.PERSON_DRIFT]
CHANGED = rules.OF_KIND[Kind.CLIENT_DRIFT]
NETWORK = rules.OF_KIND[Kind.NETWORK_DRIFT]


def begun(world: World) -> Session:
    world.access_token()
    return Session.objects.get()


def noted(finding: Finding) -> list[tuple[str, str, str]]:
    detect.note([finding])
    return sorted(RiskSignal.objects.values_list("response", "mode", "outcome"))


def moved(world: World) -> Finding:
    return Finding(MOVED, clock.now(), "The person has another manager.", "1", person=world.alice.pk)


def test_without_a_policy_the_detector_alone_is_answered(world: World) -> None:
    begun(world)
    assert answers.of(Kind.PERSON_DRIFT, RiskSubject(person=world.alice)) == [
        (RiskSubject(person=world.alice), Policy(Response.STEP_UP, Mode.OBSERVE))
    ]


def test_a_detector_in_observe_does_nothing_whatever_a_policy_says(world: World) -> None:
    session = begun(world)
    agreed.in_force(on_drift="suspend")
    assert noted(moved(world)) == [("step_up", "observe", "observed"), ("suspend", "observe", "observed")]
    session.refresh_from_db()
    world.alice.refresh_from_db()
    assert (session.ended_at, world.alice.sign_in_required_after) == (None, None)


def test_a_policy_asks_a_moved_person_to_sign_in_again_where_the_detector_only_notes(world: World) -> None:
    begun(world)
    answered("person_drift", "note")
    assert noted(moved(world)) == [("note", "enforce", "noted")]
    agreed.in_force(on_drift="step_up")
    second = Finding(MOVED, clock.now(), "The person has another department.", "2", person=world.alice.pk)
    assert noted(second)[-1] == ("step_up", "enforce", "done")
    assert world.exchange().error[1] == "insufficient_user_authentication"


def test_a_policy_that_suspends_ends_sessions_of_a_moved_person_and_disables_no_one(world: World) -> None:
    session = begun(world)
    answered("person_drift", "note")
    agreed.in_force(on_drift="suspend")
    assert noted(moved(world)) == [("step_up", "enforce", "done"), ("suspend", "enforce", "done")]
    session.refresh_from_db()
    assert session.ended_at is not None
    assert Person.objects.get(pk=world.alice.pk).is_active
    assert world.exchange().error[1] == "insufficient_user_authentication"


def test_a_policy_about_another_kind_of_agent_system_or_risk_says_nothing(world: World) -> None:
    session = begun(world)
    answered("person_drift", "note")
    answered("client_drift", "note")
    for name, terms in {"kind": {"agent_kind": "service"}, "risk": {"risk": "high"}}.items():
        agreed.in_force(name, on_drift="suspend", **terms)
    for subject in (
        RiskSubject(person=world.alice),
        RiskSubject(agent=world.agent),
        RiskSubject(session=session),
    ):
        kind = Kind.PERSON_DRIFT if subject.person else Kind.CLIENT_DRIFT
        assert answers.of(kind, subject) == [(subject, Policy(Response.NOTE, Mode.ENFORCE))]


def test_an_agent_and_a_session_are_suspended_by_a_policy(world: World) -> None:
    session = begun(world)
    answered("network_drift", "note")
    answered("client_drift", "note")
    agreed.in_force(on_drift="suspend", agent_kind=world.agent.kind, system=world.system.slug)
    noted(Finding(NETWORK, clock.now(), "It comes from another network.", "1", session=session.pk))
    session.refresh_from_db()
    assert session.ended_at is not None
    noted(Finding(CHANGED, clock.now(), "The client has another key.", "2", agent=world.agent.pk))
    assert Agent.objects.get(pk=world.agent.pk).status == Agent.Status.SUSPENDED


def test_the_stricter_of_detector_and_policy_counts(world: World) -> None:
    begun(world)
    answered("client_drift", "revoke")
    agreed.in_force(on_drift="step_up")
    [(_, policy)] = answers.of(Kind.CLIENT_DRIFT, RiskSubject(agent=world.agent))
    assert policy == Policy(Response.REVOKE, Mode.ENFORCE)
