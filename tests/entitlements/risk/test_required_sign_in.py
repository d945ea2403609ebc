"""After a signal that asks for it, no older sign-in counts: at exchange, redemption, refresh, consent and call."""

from __future__ import annotations

import time

import pytest

from audit import clock
from entitlements.decisions import facts, policy
from entitlements.decisions.snapshot import Call
from entitlements.risk.rules import Kind
from entitlements.risk.subject import RiskSubject
from entitlements.sessions.models import Session
from entitlements.words import Risk
from tests.entitlements.edge import sign_ins
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.worlds import World
from tests.entitlements.risk.test_signals import signal
from tests.entitlements.risk.worlds import answered, told

DUE = (400, "insufficient_user_authentication", "reauthentication_due")
SUBJECTS = ["person", "agent"]


@pytest.fixture(autouse=True)
def enforced(world: World) -> None:
    answered("session_revoked", "step_up")
    answered("refresh_reuse", "step_up")
    assert world.alice.pk


def ask_again(world: World, subject: str) -> None:
    row = {"person": RiskSubject(person=world.alice), "agent": RiskSubject(agent=world.agent)}[subject]
    assert signal(row).outcome == "done"


def newer() -> int:
    return int(time.time()) + 2


@pytest.mark.parametrize("subject", SUBJECTS)
def test_an_older_sign_in_is_exchanged_no_more_and_a_newer_one_is(world: World, subject: str) -> None:
    old = world.id_token()
    jag = world.id_jag(subject_token=old)
    ask_again(world, subject)
    answer = world.exchange(subject_token=old)
    assert answer.error == DUE
    assert 0 <= answer.body["max_age"] < 60
    assert world.exchange(subject_token=world.id_token(auth_time=int(time.time()) - 120)).error == DUE, (
        "another session"
    )
    assert world.redeem(jag).error == DUE
    assert world.exchange(subject_token=world.id_token(auth_time=newer())).status == 200


def test_a_signal_from_before_the_sign_in_asks_for_nothing(world: World) -> None:
    row = told(world, payload={"event_timestamp": int(time.time()) - 3600})
    world.alice.refresh_from_db()
    assert (row.outcome, world.alice.sign_in_required_after is not None) == ("done", True)
    assert world.exchange().status == 200
    again = told(world, payload={"event_timestamp": int(time.time()) - 7200})
    assert again.outcome == "nothing", "the newer moment stays"


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_refresh_is_refused_and_the_page_asks_the_person_to_sign_in(world: World, subject: str) -> None:
    world.client = sign_ins.public_client(world)
    flow.sign_in(world, ago=60)
    token = str(sign_ins.signed_in(world).body["refresh_token"])
    code = sign_ins.agree(world)["code"]
    ask_again(world, subject)
    world.alice.refresh_from_db()
    assert sign_ins.refresh(world, token).error == (400, "invalid_grant", "reauthentication_due")
    assert sign_ins.redeem(world, code).error == (400, "invalid_grant", "reauthentication_due")
    page = sign_ins.page(world)
    assert page.status_code == 302
    assert "reauthenticate" in page["Location"] or "login" in page["Location"]
    silent = sign_ins.page(world, prompt="none")
    assert sign_ins.sent_back(silent)["error"] == "login_required"
    flow.sign_in(world, ago=-2)
    assert sign_ins.signed_in(world).status == 200


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_call_in_an_older_session_is_challenged(world: World, subject: str) -> None:
    jag = world.id_jag()
    session = str(Session.objects.get().pk)
    call = Call("expense-bot", world.client.client_id, "alice", "time", "now", {}, session=session)
    ask_again(world, subject)
    known = facts.load("expense-bot", "time", [("alice", True)], session=session)
    assert known is not None
    assert policy.decide(call, known, clock.now().timestamp()).code == "reauthentication_due"
    assert jag


def test_the_level_of_a_session_is_the_highest_that_it_stands_on(world: World) -> None:
    world.id_jag()
    session = Session.objects.get()

    def level() -> Risk:
        known = facts.load("expense-bot", "time", session=str(session.pk))
        assert known is not None
        return known.sessions[str(session.pk)].risk

    assert level() is Risk.LOW
    signal(RiskSubject(agent=world.agent), Kind.DEFINITION_DRIFT)
    assert level() is Risk.MEDIUM
    signal(RiskSubject(person=world.alice), Kind.DEFINITION_DRIFT, Risk.HIGH)
    assert level() is Risk.HIGH
    session.refresh_from_db()
    assert session.risk == "low", "its own history says nothing of it"
