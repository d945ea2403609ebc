"""One call writes one token or one refusal, on facts that still hold, under a number that leaves no gap."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import transaction

from audit import clock
from audit.actions import Action
from audit.models import Event, Pending
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.clients.models import AuthorizationCode, Client, OAuthAccessToken
from entitlements.feed import changes
from entitlements.feed.models import Change
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.tokens import issuing
from entitlements.tokens.issuing import Answer, Claims, Outcome, OutOfOrder, Producer
from entitlements.tokens.models import IssuedToken, TokenGrant, UsedAssertion
from tests import make, shared
from tests.entitlements.tokens import nodes
from tests.entitlements.tokens.nodes import Node

pytestmark = pytest.mark.django_db

made_world, world = shared.world(nodes.node)


def recorded(node: Node) -> list[Event]:
    """Return the events of a node's producer, in their order."""
    return list(Event.objects.filter(producer=node.producer.uuid).order_by("sequence"))


def nothing_was_written(node: Node) -> bool:
    return not (
        recorded(node)
        or IssuedToken.objects.exists()
        or UsedAssertion.objects.exists()
        or Session.objects.exists()
        or Pending.objects.filter(producer=node.producer.uuid).exists()
    )


# ---------------------------------------------------------------------------------------------------------- issued


def test_a_token_its_grants_its_event_and_its_pending_row_are_written_in_one_call(world: Node) -> None:
    basis, row = world.basis(), world.row()
    answer = world.mint(basis, row)
    assert (answer.outcome, answer.sequence) == (Outcome.ISSUED, 1)
    token = IssuedToken.objects.get(pk=row.jti)
    assert (token.issued_at, token.expires_at, token.scope) == (basis.decided, row.expires, row.scope)
    assert TokenGrant.objects.get(token=token).grant_id == world.grant.pk
    (event,) = recorded(world)
    assert (event.action, event.at, event.sequence) == ("token.issued", basis.decided, 1)
    assert f"token:{row.jti}" in event.links
    assert event.parsed["producer"] == str(world.producer.uuid)
    assert event.parsed["sequence"] == 1
    assert Pending.objects.get(uuid=event.uuid).sequence == 1


def test_the_record_holds_the_canonical_bytes(world: Node) -> None:
    event = nodes.event(Action.TOKEN_ISSUED, "token:1")
    basis = world.basis()
    for number in range(1, 12):  # to a number of two digits
        row = world.row()
        parameters = issuing.mint(basis, row, event, world.producer.uuid)
        world.call(parameters)
        stored = Event.objects.get(producer=world.producer.uuid, sequence=number)
        assert stored.body == event.moved(basis.decided).body(world.producer.uuid, number)
        event = nodes.event(Action.TOKEN_ISSUED, "token:1")


def test_a_session_begins_with_its_first_token_and_is_touched_by_the_next(world: Node) -> None:
    first = world.row(session=uuid4(), begins=world.begins())
    answer = world.mint(row=first)
    assert (answer.outcome, answer.session, answer.sequence) == (Outcome.ISSUED, first.session, 2)
    assert [(event.sequence, event.action) for event in recorded(world)] == [(1, "session.begun"), (2, "token.issued")]
    session = Session.objects.get(pk=first.session)
    assert (session.agent, session.person, session.client) == (world.agent, world.person, world.client)
    assert IssuedToken.objects.get(pk=first.jti).session_id == session.pk
    basis = world.basis()
    assert world.mint(basis, world.row(session=session.pk)).sequence == 3
    assert Session.objects.get(pk=session.pk).last_used_at == basis.decided > session.last_used_at


def test_a_code_becomes_the_rows_of_an_id_token_and_is_used_once(world: Node) -> None:
    now = clock.now()
    AuthorizationCode.objects.create(
        user=world.person, application=world.client, code="d" * 64, expires=now + timedelta(minutes=1)
    )
    row = world.row(
        kind="id_token",
        drawn=(),
        opaque_sha256="e" * 64,
        opaque_expires=now + timedelta(minutes=5),
    )
    claims = Claims(code="d" * 64, used=nodes.used())
    assert world.mint(world.basis(system=None), row, claims).outcome is Outcome.ISSUED
    opaque = OAuthAccessToken.objects.get(token_checksum="e" * 64)
    assert (opaque.token, opaque.id_token.jti, opaque.user, opaque.resource) == ("", row.jti, world.person, [])
    assert not IssuedToken.objects.exists()
    assert not AuthorizationCode.objects.exists()
    again = replace(row, jti=uuid4(), opaque_sha256="f" * 64)
    assert world.mint(world.basis(system=None), again, claims).outcome is Outcome.USED
    assert OAuthAccessToken.objects.count() == 1


def test_a_code_of_another_client_is_not_taken(world: Node) -> None:
    other, _ = make.client(world.agent)
    AuthorizationCode.objects.create(user=world.person, application=other, code="d" * 64, expires=clock.now())
    assert world.refuse(Claims(code="d" * 64, used=nodes.used())).outcome is Outcome.USED
    assert AuthorizationCode.objects.exists()


# ----------------------------------------------------------------------------------------------------------- claims


def test_an_assertion_is_used_once_and_its_second_use_is_recorded_as_refused(world: Node) -> None:
    claims = Claims(assertion=nodes.claim("a"), used=nodes.used())
    assert world.mint(claims=claims).outcome is Outcome.ISSUED
    answer = world.mint(row=world.row(session=uuid4(), begins=world.begins()), claims=claims)
    assert (answer.outcome, answer.sequence) == (Outcome.USED, 2)
    assert [(event.action, event.code) for event in recorded(world)][1] == ("token.refused", "assertion_replayed")
    assert IssuedToken.objects.count() == 1
    assert not Session.objects.exists()


def test_a_claim_is_kept_when_the_request_is_refused(world: Node) -> None:
    claims = Claims(proof=nodes.claim("p", "client:c"), assertion=nodes.claim("a"), used=nodes.used())
    assert world.refuse(claims).outcome is Outcome.REFUSED
    assert UsedAssertion.objects.count() == 2
    claim = UsedAssertion.objects.get(issuer="client:c")
    assert claims.proof is not None
    assert (claim.jti, claim.expires_at) == ("p", claims.proof.expires + issuing.MARGIN)
    assert world.mint(claims=replace(claims, proof=None)).outcome is Outcome.USED
    assert [event.code for event in recorded(world)] == ["no_grant", "assertion_replayed"]


def test_a_refusal_on_a_used_assertion_says_that_it_was_used(world: Node) -> None:
    claims = Claims(assertion=nodes.claim("a"), used=nodes.used())
    world.refuse(claims)
    assert world.refuse(claims).outcome is Outcome.USED
    assert [event.code for event in recorded(world)] == ["no_grant", "assertion_replayed"]


def test_a_client_whose_own_assertion_was_used_is_a_stranger_and_writes_nothing(world: Node) -> None:
    proof = nodes.claim("p", "client:c")
    UsedAssertion.objects.create(issuer=proof.issuer, jti=proof.jti, expires_at=proof.expires)
    claims = Claims(proof=proof, assertion=nodes.claim("a"), used=nodes.used())
    for answer in (world.mint(claims=claims), world.refuse(claims)):
        assert (answer.outcome, answer.sequence) == (Outcome.REPLAYED, None)
    assert UsedAssertion.objects.count() == 1
    assert recorded(world) == []


# ------------------------------------------------------------------------------------------------- behind and stale


@pytest.mark.parametrize("ago", [timedelta(seconds=2.5), timedelta(seconds=-1.5)])
def test_what_was_decided_long_ago_or_in_the_future_is_stale(world: Node, ago: timedelta) -> None:
    claims = Claims(assertion=nodes.claim("a"), used=nodes.used())
    answer = world.mint(world.basis(decided=clock.now() - ago), claims=claims)
    assert (answer.outcome, answer.sequence) == (Outcome.STALE, None)
    assert nothing_was_written(world)


def behind(node: Node, code: str) -> bool:
    """Tell whether a token is refused as decided on facts that have changed, and nothing is left of the call."""
    claims = Claims(proof=nodes.claim("p", "client:c"), assertion=nodes.claim("a"), used=nodes.used())
    answer = node.mint(claims=claims)
    assert (answer.outcome, answer.code, answer.sequence) == (Outcome.BEHIND, code, None)
    return not (recorded(node) or IssuedToken.objects.exists() or UsedAssertion.objects.exists())


def test_a_change_past_the_nodes_position_that_concerns_the_request_leaves_it_behind(world: Node) -> None:
    basis = world.basis()
    Change.objects.create(seq=basis.position + 1, kind="agent", subject="a", agent=world.agent, noted_at=clock.now())
    answer = world.mint(basis)
    assert (answer.outcome, answer.code) == (Outcome.BEHIND, "feed")
    assert nothing_was_written(world)
    assert world.mint().outcome is Outcome.ISSUED, "it has read anew"


def test_a_change_of_others_holds_nothing_up(world: Node) -> None:
    basis = world.basis()
    Change.objects.create(seq=basis.position + 1, kind="agent", subject="b", agent=make.agent(), noted_at=clock.now())
    assert world.mint(basis).outcome is Outcome.ISSUED


def test_a_change_that_concerns_all_leaves_everybody_behind(world: Node) -> None:
    basis = world.basis()
    Change.objects.create(seq=basis.position + 1, kind="guardrail", subject="everything", noted_at=clock.now())
    assert world.mint(basis).outcome is Outcome.BEHIND


type Spoil = Any

SPOILT: dict[str, tuple[str, Spoil]] = {
    "client disabled": ("client", lambda n: Client.objects.filter(pk=n.client.pk).update(status="disabled")),
    "system disabled": ("system", lambda _: System.objects.update(status="disabled")),
    "agent suspended": ("agent", lambda _: Agent.objects.update(status="suspended", status_reason="x")),
    "sponsor disabled": ("agent", lambda n: _disable(n.agent.sponsor_id)),
    "person disabled": ("person", lambda n: _disable(n.person.pk)),
    "grant suspended": ("grant", lambda _: Grant.objects.update(state="suspended")),
    "grant.issued": (
        "grant",
        lambda _: Grant.objects.update(state="revoked", ended_at=clock.now(), end_reason="x"),
    ),
    "grant ends before the token": (
        "grant",
        lambda _: Grant.objects.update(expires_at=clock.now() + timedelta(seconds=30)),
    ),
    "grant of another agent": ("grant", lambda _: Grant.objects.update(agent=make.agent())),
}


def _disable(pk: int) -> None:
    Person.objects.filter(pk=pk).update(is_active=False, disabled_at=clock.now())


@pytest.mark.parametrize("name", SPOILT)
def test_a_row_that_changed_without_a_note_is_met_by_the_last_look(world: Node, name: str) -> None:
    code, spoil = SPOILT[name]
    spoil(world)
    assert behind(world, code)


@pytest.mark.parametrize(
    "ended",
    [{"ended_at": clock.now(), "end_reason": "x"}, {"expires_at": clock.now()}],
    ids=["ended", "out of time"],
)
def test_a_session_that_ended_issues_nothing(world: Node, ended: dict[str, Any]) -> None:
    first = world.row(session=uuid4(), begins=world.begins())
    world.mint(row=first)
    Session.objects.update(**ended)
    answer = world.mint(row=world.row(session=first.session))
    assert (answer.outcome, answer.code) == (Outcome.BEHIND, "session")
    again = world.mint(row=world.row(session=uuid4(), begins=world.begins()))
    assert (again.outcome, again.code, again.session) == (Outcome.BEHIND, "sign_in", first.session)


def test_a_redeemed_token_that_was_revoked_issues_nothing(world: Node) -> None:
    first = world.row(kind=IssuedToken.Kind.ID_JAG)
    world.mint(row=first)
    assert world.mint(row=world.row(parent=first.jti)).outcome is Outcome.ISSUED
    IssuedToken.objects.filter(pk=first.jti).update(revoked_at=clock.now(), revoke_reason="x")
    answer = world.mint(row=world.row(parent=first.jti))
    assert (answer.outcome, answer.code) == (Outcome.BEHIND, "parent")


# ---------------------------------------------------------------------------------------------------------- numbers


def test_numbers_are_dense_whatever_becomes_of_the_calls(world: Node) -> None:
    claims = Claims(assertion=nodes.claim("a"), used=nodes.used())
    world.mint(claims=claims)
    world.mint(world.basis(decided=clock.now() - timedelta(seconds=9)))
    world.mint(claims=claims)
    world.refuse()
    with pytest.raises(psycopg.errors.UniqueViolation), transaction.atomic():
        world.mint(row=world.row(jti=IssuedToken.objects.get().pk))
    world.mint(row=world.row(session=uuid4(), begins=world.begins()))
    assert [event.sequence for event in recorded(world)] == [1, 2, 3, 4, 5]
    assert [event.action for event in recorded(world)] == [
        "token.issued",
        "token.refused",
        "token.refused",
        "session.begun",
        "token.issued",
    ]


def test_a_lost_producer_is_ended_by_a_marker_of_the_next() -> None:
    node = nodes.node()
    node.mint()
    lost = node.producer.uuid
    node.call(issuing.refuse(node.producer.end(2), node.producer.uuid))
    (marker,) = recorded(node)
    assert (marker.action, marker.outcome, marker.sequence) == ("producer.ended", "unknown", 1)
    assert marker.detail == {"producer": str(lost), "committed": 1, "attempted": 3}


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_number_that_was_not_due_is_seen(number: int) -> None:
    producer = Producer(committed=2)
    with pytest.raises(OutOfOrder):
        producer.take(Answer(Outcome.REFUSED, "", None, number, None), 1)
    assert producer.committed == 2


@pytest.mark.parametrize("which", ["event", "used", "begun"])
def test_an_event_of_another_kind_is_not_recorded(world: Node, which: str) -> None:
    wrong = nodes.event(Action.GRANT_ISSUED)
    parameters = issuing.mint(world.basis(), world.row(), nodes.event(Action.TOKEN_ISSUED), world.producer.uuid)
    head = {"event": -10, "used": -6, "begun": -2}[which]
    parameters[head], parameters[head + 1] = wrong.halves(world.producer.uuid)
    with pytest.raises(psycopg.errors.InvalidParameterValue), transaction.atomic():
        world.call(parameters)
    parameters[0] = "grant.issued"
    with pytest.raises(psycopg.errors.InvalidParameterValue), transaction.atomic():
        world.call(parameters)


def test_the_position_of_the_feed_is_what_a_decision_stands_on(world: Node) -> None:
    assert world.basis().position == changes.position(None)
