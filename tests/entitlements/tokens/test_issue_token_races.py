"""Issue against an action that takes away, in each order in which the two can meet. Each is forced, not found by luck.

`issue_token_v3` has no hook for this. It stops where the test holds what it wants next: a lock at the head or at the
end of those that it was given, the claim of its assertion, the row of its producer. A test holds that, sees in
PostgreSQL's own table of waits that the call has come so far, lets the other side run, and lets go.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import cycle, islice
from typing import Any

import pytest
from django.db import transaction

from audit.context import SYSTEM
from entitlements.agents import agents
from entitlements.catalog.models import Entitlement
from entitlements.clients import clients
from entitlements.feed import locks
from entitlements.feed.locks import Key, Lock
from entitlements.grants import grants
from entitlements.tokens.issue_token import Basis, Claims, Outcome
from entitlements.tokens.models import IssuedToken
from entitlements.trusted_issuers import trust
from entitlements.trusted_issuers.models import TrustedIssuer
from governance.operations import invariants
from tests import make, shared, waits
from tests.entitlements.tokens import nodes
from tests.entitlements.tokens.lanes import NUMBER, Lanes
from tests.entitlements.tokens.nodes import Node

pytestmark = pytest.mark.django_db(transaction=True)

GATE = locks.number(Lock.EVERYTHING, "a gate of a test")


class Order(StrEnum):
    """How the two meet."""

    DECIDED_FIRST = "it is taken away between the decision and the call"
    CALLED_FIRST = "it is taken away between the call and its locks"
    TAKER_LOCKED = "the call finds the lock held, before anything has changed"
    TAKER_CHANGED = "the call finds the lock held, after the change and before its commit"
    TAKER_WITHDREW = "the call finds the lock held, and the change is rolled back"
    CALL_LOCKED = "the taker finds the call with its locks, before it has looked"
    CALL_LOOKED = "the taker finds the call after its last look"
    CALL_WRITTEN = "the taker finds the call with its token written, before its event"


ROUNDS = shared.race_rounds(len(Order))


class _WithdrawnError(Exception):
    pass


@dataclass
class Round:
    """One meeting: what the node decided on, what guards it, and who takes it away."""

    basis: Basis
    guarded_by: Key
    take: Callable[[], object]


# ------------------------------------------------------------------------------------------------------- the takers


def revoke(node: Node) -> Round:
    scope = f"{node.grant.entitlement.system.slug}:{make._slug('race')}"
    entitlement = Entitlement.objects.create(system=node.grant.entitlement.system, scope=scope, name=scope)
    line = node.grant.entitlement.lines.get()
    type(line).objects.create(entitlement=entitlement, tool=line.tool)
    node.grant = make.grant(node.agent, entitlement, people=[node.person])
    pk = node.grant.pk
    return Round(node.basis(), (Lock.GRANT, pk), lambda: grants.revoke(pk, by=SYSTEM, reason="race"))


def suspend(node: Node) -> Round:
    node.agent.refresh_from_db()
    if node.agent.status == "suspended":
        node.agent = agents.restore(node.agent, by=SYSTEM, reason="race")
    return Round(
        node.basis(),
        (Lock.AGENT, node.agent.pk),
        lambda: agents.suspend(node.agent, by=SYSTEM, reason="race"),
    )


def rotate(node: Node) -> Round:
    by = node.agent.sponsor.principal
    return Round(
        node.basis(),
        (Lock.CLIENT, node.client.pk),
        lambda: clients.rotate_secret(node.client, by=by, reason="race"),
    )


def distrust(node: Node) -> Round:
    issuer, _ = TrustedIssuer.objects.update_or_create(
        issuer="https://idp.example",
        defaults={"purpose": "id_jag", "jwks": {"keys": [make.PUBLIC_KEY]}, "enabled": True},
    )
    key = (Lock.TRUSTED_ISSUER, issuer.pk)
    basis = node.basis(trusted_issuer=issuer.pk, locks=node.locks(locks.number(*key)))
    return Round(basis, key, lambda: trust.end(issuer, by=SYSTEM, reason="race"))


# -------------------------------------------------------------------------------------------------------- the orders


def taking(meeting: Round) -> int:
    """Take away; returns how many tokens there were when it was done, before the commit."""
    with transaction.atomic():
        meeting.take()
        return IssuedToken.objects.count()


def taken_first(lanes: Lanes, meeting: Round, order: Order) -> tuple[Outcome, int]:
    """Let the taker hold its lock when the call comes."""
    reached, go = threading.Event(), threading.Event()

    def take() -> int:
        seen = IssuedToken.objects.count()
        with suppress(_WithdrawnError), transaction.atomic():
            if order is Order.TAKER_LOCKED:
                locks.exclusive(meeting.guarded_by)
            else:
                meeting.take()
            reached.set()
            assert go.wait(waits.SECONDS)
            if order is Order.TAKER_LOCKED:
                meeting.take()
            if order is Order.TAKER_WITHDREW:
                raise _WithdrawnError
            seen = IssuedToken.objects.count()
        return seen

    taker = lanes.taker.submit(take)
    assert reached.wait(waits.SECONDS) or taker.result()
    call = lanes.call.submit(lanes.node.mint, meeting.basis)
    lanes.wait_until_blocked(lanes.call_pid, call)
    go.set()
    seen = taker.result()
    return call.result().outcome, seen + (order is Order.TAKER_WITHDREW)


def called_first(lanes: Lanes, meeting: Round, order: Order) -> tuple[Outcome, int]:
    """Stop the call at a gate, let the taker run until it waits for the call, and open the gate."""
    claim, basis = nodes.claim(make._slug("race")), meeting.basis
    gates: dict[Order, tuple[str, list[Any]]] = {
        Order.CALL_LOOKED: (
            "INSERT INTO entitlements_usedassertion (issuer, jti, expires_at) VALUES (%s, %s, %s)",
            [claim.issuer, claim.jti, claim.expires],
        ),
        Order.CALL_WRITTEN: (NUMBER, [lanes.node.producer.uuid]),
    }
    if order is Order.CALLED_FIRST:
        basis = replace(basis, locks=(GATE, *basis.locks))
    if order is Order.CALL_LOCKED:
        basis = replace(basis, locks=(*basis.locks, GATE))
    with lanes.held(*gates.get(order, ("SELECT pg_advisory_xact_lock(%s)", [GATE]))):
        call = lanes.call.submit(lanes.node.mint, basis, claims=Claims(assertion=claim, used=nodes.used()))
        lanes.wait_until_blocked(lanes.call_pid, call)
        taker = lanes.taker.submit(taking, meeting)
        if order is Order.CALLED_FIRST:
            taker.result()
        else:
            lanes.wait_until_blocked(lanes.taker_pid, taker)
    return call.result().outcome, taker.result()


def meet(lanes: Lanes, meeting: Round, order: Order) -> tuple[Outcome, int]:
    """Return what became of the call, and how many tokens the taker saw at the end of its transaction."""
    if order is Order.DECIDED_FIRST:
        seen = lanes.taker.submit(taking, meeting).result()
        return lanes.call.submit(lanes.node.mint, meeting.basis).result().outcome, seen
    if order.name.startswith("TAKER"):
        return taken_first(lanes, meeting, order)
    return called_first(lanes, meeting, order)


BEHIND = (Order.DECIDED_FIRST, Order.CALLED_FIRST, Order.TAKER_LOCKED, Order.TAKER_CHANGED)


@pytest.mark.parametrize("prepare", [revoke, suspend, rotate, distrust])
def test_no_token_appears_after_what_it_stood_on_was_taken_away(lanes: Lanes, prepare: Callable[[Node], Round]) -> None:
    lanes.node.mint()  # its producer has a row
    outcomes: list[Outcome] = []
    for order in islice(cycle(Order), ROUNDS):
        meeting = prepare(lanes.node)
        outcome, seen = meet(lanes, meeting, order)
        assert (order, outcome) == (order, Outcome.BEHIND if order in BEHIND else Outcome.ISSUED)
        assert (order, IssuedToken.objects.count()) == (order, seen), "the taker missed a token"
        outcomes.append(outcome)
    assert IssuedToken.objects.count() == 1 + outcomes.count(Outcome.ISSUED)
    assert [finding for finding in invariants.check(only={"1", "2", "4", "5"}) if finding.count] == []
