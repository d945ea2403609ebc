"""A signal has its level and its answer: observed until two people say otherwise; people decide about it, each once."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from audit import clock
from audit.models import Event
from entitlements.agents.models import Agent
from entitlements.decisions import facts
from entitlements.errors import Forbidden, NotFound, ReasonRequired
from entitlements.feed.models import Change
from entitlements.people.models import Person
from entitlements.risk import response_policy, risk
from entitlements.risk.models import RiskDecision, RiskSignal, SignalResponse
from entitlements.risk.rules import Kind
from entitlements.risk.subject import RiskSubject, named
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from entitlements.words import Risk
from tests import begun, make
from tests.entitlements.edge.worlds import World
from tests.entitlements.risk.worlds import ALICE, CAEP, RISC, answered, claims, told

WHY = "I looked at it."


def signal(subject: RiskSubject, kind: Kind = Kind.REFRESH_REUSE, level: Risk = Risk.MEDIUM) -> RiskSignal:
    new = risk.NewSignal(kind, level, "detector:test", "It happened.", clock.now(), str(uuid.uuid4()))
    noted = risk.note(subject, new)
    assert noted is not None
    return noted


def session(world: World) -> Session:
    world.id_jag()
    return Session.objects.get()


def refreshed(world: World) -> World:
    for row in (world.alice, world.agent):
        row.refresh_from_db()
    return world


def test_a_signal_sets_the_level_and_what_would_follow_is_only_shown(world: World) -> None:
    row = told(world, f"{RISC}credential-compromise")
    refreshed(world)
    assert (world.alice.risk_level, world.alice.sign_in_required_after, world.alice.is_active) == ("high", None, True)
    assert (row.response, row.mode, row.outcome, row.subject_level) == ("step_up", "observe", "observed", "high")
    event = Event.objects.get(action="risk.signalled")
    assert {"person:alice", f"risk:{row.pk}"} <= {*event.links}
    assert (event.detail["source"], event.detail["outcome"]) == (f"issuer:{world.issuer.issuer}", "observed")
    assert world.exchange().status == 200, "what is observed stops nothing"


def test_a_disabled_account_is_disabled_here_too(world: World) -> None:
    world.id_jag()
    row = told(world, f"{RISC}account-disabled")
    refreshed(world)
    assert (row.outcome, world.alice.is_active, world.alice.risk_level) == ("done", False, "high")
    assert Session.objects.filter(ended_at=None).count() == 0
    assert world.exchange().error[2] == "person_disabled"
    again = told(world, f"{RISC}account-disabled")
    assert again.outcome == "nothing"


def disabled(world: World, *people: Person) -> RiskSignal:
    """Let the provider say of each that their account is disabled; returns the last signal."""
    row = RiskSignal()
    for person in people:
        row = told(world, f"{RISC}account-disabled", sub_id={"format": "email", "email": person.email})
        person.refresh_from_db()
    return row


def test_one_provider_disables_few_people_an_hour_and_holds_the_agents_of_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [make.person(f"p{number}") for number in range(4)]
    last = disabled(world, *people, world.alice)
    assert [(person.is_active, person.held_by_risk) for person in people] == [(False, False)] * 3 + [(True, True)]
    assert (last.response, last.mode, last.outcome) == ("hold", "enforce", "done")
    assert world.exchange().error[2] == "approval_required", "agents for a held person are held"
    risk.confirm_compromised(last.pk, by=make.security(), reason=WHY)
    assert not refreshed(world).alice.is_active, "a person disables whom the provider could not"
    later = clock.now() + timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    disabled(world, another := make.person())
    assert not another.is_active


def test_an_agent_is_held_with_its_sponsor(world: World) -> None:
    def is_held() -> bool:
        known = facts.load(world.agent.slug, world.system.slug)
        assert known is not None
        return known.is_held

    answered("refresh_reuse", "hold")
    assert not is_held()
    signal(RiskSubject(person=world.agent.sponsor))
    assert is_held()


def test_no_signal_disables_the_last_two_administrators(world: World) -> None:
    admins = [make.person(f"admin{number}", roles=["admin"]) for number in range(3)]
    limited = make.person(roles=["admin"])
    limited.roles.update(is_limited=True)
    disabled(world, *admins)
    assert [(admin.is_active, admin.held_by_risk) for admin in admins] == [(False, False), (True, True), (True, True)]
    event = Event.objects.filter(action="risk.signalled").latest("at", "sequence")
    assert event.detail["response"] == "hold"


def test_what_got_better_is_only_noted(world: World) -> None:
    answered("device_compliance_change", "suspend")
    payload = {"previous_status": "not-compliant", "current_status": "compliant"}
    row = told(world, f"{CAEP}device-compliance-change", payload=payload)
    refreshed(world)
    assert (row.response, row.outcome, world.alice.is_active, world.alice.risk_level) == ("note", "noted", True, "low")


def test_each_answer_is_carried_out_for_each_subject(world: World) -> None:
    found = session(world)
    answered("refresh_reuse", "revoke")
    assert signal(RiskSubject(session=found)).outcome == "done"
    found.refresh_from_db()
    assert found.ended_at is not None
    assert signal(RiskSubject(session=found)).outcome == "nothing"
    now = clock.now()
    another, _ = begun.begin(world.client, world.alice, "1" * 64, auth_time=now, now=now)
    family = make.token_family(another, world.system)
    assert signal(RiskSubject(person=world.alice)).outcome == "done"
    assert TokenFamily.objects.get(pk=family.pk).ended_at is not None
    assert signal(RiskSubject(person=world.alice)).outcome == "nothing"
    assert signal(RiskSubject(agent=world.agent)).outcome == "done"
    assert refreshed(world).agent.tokens_valid_after is not None
    answered("irreversible_use", "suspend")
    assert signal(RiskSubject(agent=world.agent), Kind.IRREVERSIBLE_USE).outcome == "done"
    assert refreshed(world).agent.status == Agent.Status.SUSPENDED
    assert signal(RiskSubject(agent=world.agent), Kind.IRREVERSIBLE_USE).outcome == "nothing"


def test_a_level_is_heard_by_the_nodes_and_ends_no_session(world: World) -> None:
    found = session(world)
    before = Change.objects.count()
    signal(RiskSubject(session=found))
    signal(RiskSubject(person=world.alice))
    signal(RiskSubject(agent=world.agent))
    found.refresh_from_db()
    assert (found.risk, found.ended_at) == ("medium", None)
    noted = list(Change.objects.order_by("pk").values_list("kind", "agent_id", "person_id", "session_id")[before:])
    agent, alice = world.agent.pk, world.alice.pk
    assert noted == [("agent", agent, None, found.pk), ("person", agent, alice, None), ("agent", agent, None, None)]
    before = Change.objects.count()
    signal(RiskSubject(session=found))
    assert Change.objects.count() == before, "the same level again is no change"


def test_a_confirmed_compromise_suspends(world: World) -> None:
    resa, row = make.security(), signal(RiskSubject(agent=world.agent), level=Risk.LOW)
    risk.confirm_compromised(row.pk, by=resa, reason=WHY)
    refreshed(world)
    assert (world.agent.status, world.agent.risk_level) == (Agent.Status.SUSPENDED, "high")
    last = RiskSignal.objects.get(kind=Kind.CONFIRMED_COMPROMISE)
    assert (last.source, last.outcome, last.reason) == (str(resa.principal), "done", WHY)
    row.refresh_from_db()
    assert (row.state, row.decision.subject_level) == ("compromised", "high")
    with pytest.raises(risk.RiskDecided):
        risk.dismiss(row.pk, by=resa, reason=WHY)
    risk.confirm_safe(last.pk, by=resa, reason="It was a test of ours.")
    refreshed(world)
    assert (world.agent.risk_level, world.agent.status) == ("low", Agent.Status.SUSPENDED)
    names = ["risk.signalled", "risk.confirmed_compromised", "agent.suspended", "risk.signalled", "risk.confirmed_safe"]
    found = Event.objects.filter(links__contains=["agent:expense-bot"]).order_by("at", "sequence")
    assert [name for name in found.values_list("action", flat=True) if name in names] == names


def test_a_dismissed_signal_counts_no_more_and_others_do(world: World) -> None:
    resa = make.security()
    medium, high = signal(RiskSubject(person=world.alice)), signal(RiskSubject(person=world.alice), level=Risk.HIGH)
    risk.dismiss(high.pk, by=resa, reason=WHY)
    assert refreshed(world).alice.risk_level == "medium"
    risk.confirm_safe(medium.pk, by=resa, reason=WHY)
    assert refreshed(world).alice.risk_level == "low"


def test_nobody_calls_themselves_or_their_agent_safe(world: World) -> None:
    own, agents = signal(RiskSubject(person=world.alice)), signal(RiskSubject(agent=world.agent))
    for row, person in ((own, world.alice), (agents, world.agent.sponsor)):
        for decide in (risk.confirm_safe, risk.dismiss):
            with pytest.raises(risk.OwnRisk):
                decide(row.pk, by=person, reason=WHY)
    with pytest.raises(ReasonRequired):
        risk.dismiss(own.pk, by=make.security(), reason=" ")
    with pytest.raises(NotFound):
        risk.dismiss(uuid.uuid4(), by=make.security(), reason=WHY)
    risk.confirm_compromised(agents.pk, by=world.agent.sponsor, reason="I know it.")
    assert refreshed(world).agent.status == Agent.Status.SUSPENDED


def test_the_history_is_never_changed(world: World) -> None:
    row = signal(RiskSubject(person=world.alice))
    risk.dismiss(row.pk, by=make.security(), reason=WHY)
    for rows in (RiskSignal.objects.all(), RiskDecision.objects.all()):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            rows.update(reason="another")
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        RiskDecision.objects.filter(pk=row.pk).delete()
    with pytest.raises(IntegrityError, match="one_subject"), transaction.atomic():
        RiskSignal.objects.filter(pk=row.pk).bulk_create([RiskSignal(**_columns(row, person=None))])


def _columns(row: RiskSignal, **changes: object) -> dict[str, object]:
    names = ("kind", "level", "subject_level", "source", "reason", "at", "noted_at", "response", "mode", "outcome")
    return {**{name: getattr(row, name) for name in names}, "reference": "another", **changes}


def test_one_person_proposes_an_answer_and_another_confirms(world: World) -> None:
    resa, rosa, ana = make.security("resa"), make.security("rosa"), make.analyst("ana")
    given = {"response": "step_up", "mode": "enforce", "reason": "We are ready."}
    with pytest.raises(Forbidden):
        response_policy.propose("session_revoked", by=world.alice, **given)
    with pytest.raises(response_policy.KIND.unchanged):
        response_policy.propose("session_revoked", by=resa, **{**given, "mode": "observe"})
    row = response_policy.propose("session_revoked", by=resa, **given)
    with pytest.raises(response_policy.KIND.proposed_already):
        response_policy.propose("session_revoked", by=rosa, **{**given, "response": "revoke"})
    assert response_policy.current("session_revoked").mode == "observe", "a proposal changes nothing"
    with pytest.raises(response_policy.KIND.proposed_by_own_account):
        response_policy.KIND.confirm(row.pk, by=resa)
    with pytest.raises(Forbidden):
        response_policy.KIND.confirm(row.pk, by=ana)
    response_policy.KIND.confirm(row.pk, by=rosa)
    assert response_policy.current("session_revoked").mode == "enforce"
    with pytest.raises(response_policy.KIND.over):
        response_policy.KIND.withdraw(row.pk, by=rosa, reason="late")
    back = response_policy.propose("session_revoked", by=rosa, **{**given, "mode": "observe"})
    response_policy.KIND.withdraw(back.pk, by=resa, reason="Not now.")
    back = response_policy.propose("session_revoked", by=rosa, **{**given, "mode": "observe"})
    response_policy.KIND.confirm(back.pk, by=resa)
    states = SignalResponse.objects.order_by("proposed_at").values_list("state", flat=True)
    assert list(states) == ["replaced", "withdrawn", "in_force"], "loosening takes two as well"
    with pytest.raises(IntegrityError, match="second_person"), transaction.atomic():
        SignalResponse.objects.filter(pk=back.pk).update(confirmed_by=rosa)
    assert world.alice.pk
    assert Event.objects.filter(action="signal_response.confirmed").count() == 2


def test_a_subject_is_named_as_the_audit_log_does(world: World) -> None:
    found = session(world)
    assert named("person:alice").person == world.alice
    assert named(f"session:{found.pk}").session == found
    assert named("agent:expense-bot").agent == world.agent
    for link in ("agent:none", "person:", "session:1", "tool:a", "", f"session:{uuid.uuid4()}"):
        with pytest.raises(NotFound):
            named(link)
    assert (ALICE["sub"], claims()["sub_id"]) == ("u-alice", ALICE)
    assert Person.objects.filter(login="alice").exists()
