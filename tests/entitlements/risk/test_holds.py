"""A hold of a signal: nothing new is opened until the signal counts no more; the session itself lives on."""

from __future__ import annotations

import pytest

from audit import clock
from entitlements.catalog.models import Tool
from entitlements.decisions import facts, policy
from entitlements.decisions.snapshot import Call
from entitlements.decisions.verdicts import Effect, Verdict
from entitlements.feed.models import Change
from entitlements.risk import risk
from entitlements.risk.models import RiskSignal
from entitlements.risk.rules import Kind
from entitlements.risk.subject import RiskSubject
from entitlements.sessions.models import Session
from entitlements.words import Risk
from tests import make
from tests.entitlements.edge import sign_ins
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.worlds import World
from tests.entitlements.risk.test_signals import WHY, signal
from tests.entitlements.risk.worlds import CAEP, answered, told

HELD = (400, "access_denied", "approval_required")
SUBJECTS = ["person", "agent", "session"]


@pytest.fixture(autouse=True)
def enforced(world: World) -> None:
    answered("refresh_reuse", "hold")
    answered("risk_level_change", "hold")
    assert world.alice.pk


def subject_of(world: World, name: str) -> RiskSubject:
    if name == "session":
        return RiskSubject(session=Session.objects.get())
    return RiskSubject(person=world.alice) if name == "person" else RiskSubject(agent=world.agent)


def tool() -> str:
    return Tool.objects.get().name


def decided(world: World, **more: str) -> Verdict:
    session = str(Session.objects.get().pk)
    call = Call("expense-bot", world.client.client_id, "alice", "time", tool(), {}, session=session, **more)  # type: ignore[arg-type]
    known = facts.load("expense-bot", "time", [("alice", True)], session=session)
    assert known is not None
    return policy.decide(call, known, clock.now().timestamp())


@pytest.mark.parametrize("name", SUBJECTS)
def test_it_holds_exchange_redemption_introspection_and_call_until_it_is_dismissed(world: World, name: str) -> None:
    old = world.id_token()
    jag = world.id_jag(subject_token=old)
    access_token = str(world.redeem(world.id_jag(subject_token=old)).body["access_token"])
    assert decided(world).allowed
    row = signal(subject_of(world, name), level=Risk.LOW)
    assert (row.outcome, row.subject_level) == ("done", "low")
    assert Session.objects.get().ended_at is None, "it lives on"

    assert world.exchange(subject_token=old).error == HELD
    assert world.redeem(jag).error == HELD
    form = {"token": access_token, **world.credentials(world.audience)}
    assert world.post(f"/as/{world.system.slug}/introspect", form).body["active"] is False
    held = decided(world)
    assert (held.effect, held.code) == (Effect.HOLD, "approval_required")
    assert "calls cannot wait" in held.reasons[0].sentence
    assert held.remedy is not None
    assert (held.remedy.next, held.remedy.tool) == ("request", tool())
    assert decided(world, approval="of-this-call").allowed

    risk.dismiss(row.pk, by=make.security(), reason=WHY)
    assert decided(world).allowed
    assert world.exchange(subject_token=old).status == 200


def test_a_refresh_is_refused_and_goes_on_once_the_signal_is_confirmed_safe(world: World) -> None:
    world.client = sign_ins.public_client(world)
    flow.sign_in(world, ago=60)
    token = str(sign_ins.signed_in(world).body["refresh_token"])
    row = signal(RiskSubject(person=world.alice))
    assert sign_ins.refresh(world, token).error[2] == "approval_required"
    risk.confirm_safe(row.pk, by=make.security(), reason=WHY)
    assert sign_ins.refresh(world, token).status == 200, "the family lives on"


def test_it_ends_when_the_reported_level_falls_and_no_other_signal_holds(world: World) -> None:
    world.id_jag()
    event = f"{CAEP}risk-level-change"
    rise, fall = (
        {"principal": "USER", "current_level": now, "previous_level": before}
        for now, before in (("HIGH", "LOW"), ("LOW", "HIGH"))
    )
    told(world, event, payload=rise)
    other = signal(RiskSubject(person=world.alice), level=Risk.LOW)
    assert decided(world).effect is Effect.HOLD
    told(world, event, payload=fall)
    world.alice.refresh_from_db()
    assert (world.alice.risk_level, world.alice.held_by_risk) == ("low", True), "the other signal holds still"
    risk.dismiss(other.pk, by=make.security(), reason=WHY)
    assert decided(world).allowed


def test_the_nodes_hear_of_it_where_the_level_stays(world: World) -> None:
    world.id_jag()
    session, row = Session.objects.get(), signal(RiskSubject(agent=world.agent), Kind.DEFINITION_DRIFT, Risk.MEDIUM)
    before = Change.objects.count()
    held = signal(RiskSubject(agent=world.agent))
    assert (row.subject_level, held.subject_level, row.outcome) == ("medium", "medium", "observed")
    assert Change.objects.count() == before + 1
    signal(RiskSubject(session=session), level=Risk.LOW)
    last = Change.objects.latest("pk")
    assert (last.kind, last.agent_id, last.session_id) == ("agent", world.agent.pk, session.pk)


def test_what_is_observed_holds_nothing(world: World) -> None:
    answered("irreversible_use", "hold", "observe")
    world.id_jag()
    row = signal(RiskSubject(agent=world.agent), Kind.IRREVERSIBLE_USE)
    assert (row.response, row.outcome) == ("hold", RiskSignal.Outcome.OBSERVED)
    assert decided(world).allowed
