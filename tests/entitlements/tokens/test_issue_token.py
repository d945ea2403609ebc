"""One call writes one token or one refusal, on facts that still hold, under a number that leaves no gap."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import transaction

from audit import clock, redaction
from audit.actions import Action
from audit.models import Event, Pending
from entitlements.clients.models import AuthorizationCode, OAuthAccessToken
from entitlements.sessions.models import Session
from entitlements.tokens import issue_token
from entitlements.tokens.issue_token import Answer, Claims, Outcome, OutOfOrder, Producer
from entitlements.tokens.models import IssuedToken, TokenGrant, UsedAssertion
from tests import make, shared
from tests.entitlements.tokens import nodes
from tests.entitlements.tokens.nodes import Node

pytestmark = pytest.mark.django_db

made_world, world = shared.world(nodes.node)


# ---------------------------------------------------------------------------------------------------------- issued


def test_a_token_its_grants_its_event_and_its_pending_row_are_written_in_one_call(world: Node) -> None:
    basis, row = world.basis(), world.row()
    answer = world.mint(basis, row)
    assert (answer.outcome, answer.sequence) == (Outcome.ISSUED, 1)
    token = IssuedToken.objects.get(pk=row.jti)
    assert (token.issued_at, token.expires_at, token.scope) == (basis.decided, row.expires, row.scope)
    assert TokenGrant.objects.get(token=token).grant_id == world.grant.pk
    (event,) = nodes.recorded(world)
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
        parameters = issue_token.mint(basis, row, event, world.producer.uuid)
        world.call(parameters)
        stored = Event.objects.get(producer=world.producer.uuid, sequence=number)
        moved = replace(event, fields={**event.fields, "at": redaction.moment(basis.decided)})
        assert stored.body == moved.body(world.producer.uuid, number)
        event = nodes.event(Action.TOKEN_ISSUED, "token:1")


def test_a_session_begins_with_its_first_token_and_is_touched_by_the_next(world: Node) -> None:
    began = uuid4()
    first = world.row(session=began, begins=world.begins())
    answer = world.mint(row=first)
    assert (answer.outcome, answer.session, answer.sequence) == (Outcome.ISSUED, began, 2)
    numbered = [(event.sequence, event.action) for event in nodes.recorded(world)]
    assert numbered == [(1, "session.begun"), (2, "token.issued")]
    session = Session.objects.get(pk=began)
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


@pytest.mark.parametrize(
    "otherwise",
    [
        {},
        {"scope": "", "session": None},
        {"scope": "", "kind": "id_jag"},
        {"scope": "", "person": None},
    ],
    ids=["with a scope", "in no session", "an ID-JAG", "for no person"],
)
def test_a_token_that_draws_on_no_grant_is_written_for_nothing_but_a_request(
    world: Node, otherwise: dict[str, Any]
) -> None:
    row = replace(world.row(session=uuid4(), begins=world.begins(), drawn=()), **otherwise)
    row = row if row.session else replace(row, begins=None)
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="draws on a grant"), transaction.atomic():
        world.mint(row=row)
    assert nodes.nothing_was_written(world)


def test_a_token_of_a_session_may_draw_on_no_grant_where_it_carries_no_scope(world: Node) -> None:
    row = world.row(session=uuid4(), begins=world.begins(), drawn=(), scope="")
    assert world.mint(row=row).outcome is Outcome.ISSUED
    assert (IssuedToken.objects.get(pk=row.jti).scope, TokenGrant.objects.count()) == ("", 0)


# ----------------------------------------------------------------------------------------------------------- claims


def test_an_assertion_is_used_once_and_its_second_use_is_recorded_as_refused(world: Node) -> None:
    claims = Claims(assertion=nodes.claim("a"), used=nodes.used())
    assert world.mint(claims=claims).outcome is Outcome.ISSUED
    answer = world.mint(row=world.row(session=uuid4(), begins=world.begins()), claims=claims)
    assert (answer.outcome, answer.sequence) == (Outcome.USED, 2)
    assert [(event.action, event.code) for event in nodes.recorded(world)][1] == ("token.refused", "assertion_replayed")
    assert IssuedToken.objects.count() == 1
    assert not Session.objects.exists()


def test_a_claim_is_kept_when_the_request_is_refused(world: Node) -> None:
    claims = Claims(proof=nodes.claim("p", "client:c"), assertion=nodes.claim("a"), used=nodes.used())
    assert world.refuse(claims).outcome is Outcome.REFUSED
    assert UsedAssertion.objects.count() == 2
    claim = UsedAssertion.objects.get(issuer="client:c")
    assert claims.proof is not None
    assert (claim.jti, claim.expires_at) == ("p", claims.proof.expires + issue_token.MARGIN)
    assert world.mint(claims=replace(claims, proof=None)).outcome is Outcome.USED
    assert [event.code for event in nodes.recorded(world)] == ["no_grant", "assertion_replayed"]


def test_a_refusal_on_a_used_assertion_says_that_it_was_used(world: Node) -> None:
    claims = Claims(assertion=nodes.claim("a"), used=nodes.used())
    world.refuse(claims)
    assert world.refuse(claims).outcome is Outcome.USED
    assert [event.code for event in nodes.recorded(world)] == ["no_grant", "assertion_replayed"]


def test_a_client_whose_own_assertion_was_used_is_a_stranger_and_writes_nothing(world: Node) -> None:
    proof = nodes.claim("p", "client:c")
    UsedAssertion.objects.create(issuer=proof.issuer, jti=proof.jti, expires_at=proof.expires)
    claims = Claims(proof=proof, assertion=nodes.claim("a"), used=nodes.used())
    for answer in (world.mint(claims=claims), world.refuse(claims)):
        assert (answer.outcome, answer.sequence) == (Outcome.REPLAYED, None)
    assert UsedAssertion.objects.count() == 1
    assert nodes.recorded(world) == []


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
    assert [event.sequence for event in nodes.recorded(world)] == [1, 2, 3, 4, 5]
    assert [event.action for event in nodes.recorded(world)] == [
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
    node.call(issue_token.refuse(node.producer.end(2), node.producer.uuid))
    (marker,) = nodes.recorded(node)
    assert (marker.action, marker.outcome, marker.sequence) == ("producer.ended", "unknown", 1)
    assert marker.detail == {"producer": str(lost), "committed": 1, "attempted": 3}


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_number_that_was_not_due_is_seen(number: int) -> None:
    producer = Producer(committed=2)
    with pytest.raises(OutOfOrder):
        producer.take(Answer(Outcome.REFUSED, "", None, number, None), 1)
    assert producer.committed == 2


def test_an_assertion_that_was_used_before_leaves_the_record_and_the_proof_to_its_caller(world: Node) -> None:
    assertion = nodes.claim("a")
    world.mint(claims=Claims(assertion=assertion))
    answer = world.mint(claims=Claims(proof=nodes.claim("p", "client:c"), assertion=assertion))
    assert (answer.outcome, answer.sequence) == (Outcome.USED, None)
    assert len(nodes.recorded(world)) == 1
    assert list(UsedAssertion.objects.values_list("jti", flat=True)) == ["a"]
    assert world.refuse(Claims(proof=nodes.claim("p", "client:c"))).outcome is Outcome.REFUSED


@pytest.mark.parametrize("which", ["event", "used", "begun"])
def test_an_event_of_another_kind_is_not_recorded(world: Node, which: str) -> None:
    wrong = nodes.event(Action.GRANT_ISSUED)
    parameters = issue_token.mint(world.basis(), world.row(), nodes.event(Action.TOKEN_ISSUED), world.producer.uuid)
    head = {"event": 39, "used": 43, "begun": 47}[which]
    parameters[head], parameters[head + 1] = wrong.halves(world.producer.uuid, wrong.at)
    with pytest.raises(psycopg.errors.InvalidParameterValue), transaction.atomic():
        world.call(parameters)
    parameters[0] = "grant.issued"
    with pytest.raises(psycopg.errors.InvalidParameterValue), transaction.atomic():
        world.call(parameters)
