"""The end of a token against what is being issued below it: whatever was not committed then is found, and ends too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from audit import clock
from audit.actions import Action
from audit.context import SYSTEM
from entitlements.clients.models import Client
from entitlements.feed import locks
from entitlements.feed.locks import Lock
from entitlements.sessions.models import Session
from entitlements.tokens import issue_token, revoke_tokens, tokens
from entitlements.tokens.issue_token import Outcome, TokenRow
from entitlements.tokens.models import IssuedToken
from entitlements.tokens.revoke_tokens import TokenRevocation
from tests import databases, make
from tests.entitlements.tokens.lanes import NUMBER, Lanes
from tests.entitlements.tokens.nodes import Node, event

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Descent:
    """An access token of the agent behind, an ID-JAG that it delegated to the node's agent by, and what redeems it."""

    named: IssuedToken
    id_jag: IssuedToken
    leaf: TokenRow

    @property
    def ended(self) -> bool:
        return IssuedToken.objects.get(pk=self.leaf.jti).revoked_at is not None


def descent(node: Node) -> Descent:
    behind = make.agent("behind")
    client, _ = make.client(behind)
    chain = {"chain": [behind.pk], "chain_clients": [client.pk]}
    session = uuid4()
    assert node.mint(row=node.row(session=session, begins=node.begins(), **chain)).outcome is Outcome.ISSUED
    now = clock.now()
    usual = {
        "system": node.grant.entitlement.system,
        "person": node.person,
        "session": Session.objects.get(pk=session),
        "issued_at": now,
        "expires_at": now + timedelta(minutes=5),
    }
    named = IssuedToken.objects.create(jti=uuid4(), kind="access_token", client=client, agent=behind, **usual)
    id_jag = IssuedToken.objects.create(
        jti=uuid4(), kind="id_jag", client=node.client, agent=node.agent, parent=named.pk, chain=[behind.pk], **usual
    )
    return Descent(named, id_jag, node.row(session=session, parent=id_jag.pk, **chain))


def mint(node: Node, made: Descent) -> Outcome:
    basis = node.basis(locks=node.locks(locks.number(Lock.TOKEN, made.id_jag.pk)))
    return node.mint(basis, made.leaf).outcome


def by_its_client(client: Client, named: UUID, *living: UUID) -> Outcome:
    """End a token as a node does, on a connection of its own."""
    ending = TokenRevocation(clock.now(), client.pk, "x", named, tuple(sorted(living)), locks.number(Lock.TOKEN, named))
    parameters = revoke_tokens.parameters(ending, event(Action.TOKEN_REVOKED), uuid4(), None)
    with psycopg.connect(databases.addresses().app, autocommit=True) as raw, psycopg.Cursor(raw) as cursor:
        row = cursor.execute(revoke_tokens.PSYCOPG, parameters).fetchone()
    assert row is not None
    return issue_token.answer(row).outcome


def as_client(made: Descent) -> Outcome:
    return by_its_client(made.named.client, made.named.pk, made.named.pk, made.id_jag.pk)


def as_person(made: Descent) -> Outcome:
    tokens.revoke(made.named.pk, by=SYSTEM, reason="x")
    return Outcome.REVOKED


@pytest.mark.parametrize("revoke", [as_client, as_person])
def test_what_is_being_redeemed_below_a_token_ends_with_it(lanes: Lanes, revoke: Callable[[Descent], Outcome]) -> None:
    made = descent(lanes.node)
    with lanes.held(NUMBER, [lanes.node.producer.uuid]):
        call = lanes.call.submit(mint, lanes.node, made)
        lanes.wait_until_blocked(lanes.call_pid, call)
        taker = lanes.taker.submit(revoke, made)
        lanes.wait_until_waited_for(lanes.call_pid, taker)
    assert (call.result(), taker.result()) == (Outcome.ISSUED, Outcome.REVOKED)
    assert made.ended


@pytest.mark.parametrize("revoke", [as_client, as_person])
def test_what_lives_below_ended_tokens_ends_with_another_revocation(
    lanes: Lanes, revoke: Callable[[Descent], Outcome]
) -> None:
    made = descent(lanes.node)
    assert mint(lanes.node, made) is Outcome.ISSUED
    IssuedToken.objects.filter(pk__in=[made.named.pk, made.id_jag.pk]).update(
        revoked_at=clock.now(), revoke_reason="of the release before"
    )
    assert by_its_client(lanes.node.client, made.named.pk, made.leaf.jti) is Outcome.BEHIND  # of another client
    if revoke is as_client:
        assert by_its_client(made.named.client, made.named.pk, made.leaf.jti) is Outcome.REVOKED
    else:
        revoke(made)
    assert made.ended
