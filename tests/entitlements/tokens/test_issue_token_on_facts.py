"""No token is written on facts that no longer hold: the feed says so, the clock, or a last look at the rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from audit import clock
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.clients.models import Client
from entitlements.feed import models
from entitlements.feed.models import Change
from entitlements.grants.models import Grant
from entitlements.people.models import Person
from entitlements.sessions.models import Session
from entitlements.tokens.issue_token import Basis, Claims, Outcome, TokenRow
from entitlements.tokens.models import IssuedToken, UsedAssertion
from tests import make, shared
from tests.entitlements.tokens import nodes
from tests.entitlements.tokens.nodes import Node

pytestmark = pytest.mark.django_db

made_world, world = shared.world(nodes.node)


@pytest.mark.parametrize("ago", [timedelta(seconds=2.5), timedelta(seconds=-1.5)])
def test_what_was_decided_long_ago_or_in_the_future_is_stale(world: Node, ago: timedelta) -> None:
    claims = Claims(assertion=nodes.claim("a"), used=nodes.used())
    answer = world.mint(world.basis(decided=clock.now() - ago), claims=claims)
    assert (answer.outcome, answer.sequence) == (Outcome.STALE, None)
    assert nodes.nothing_was_written(world)


def behind(node: Node, code: str) -> bool:
    """Tell whether a token is refused as decided on facts that have changed, and nothing is left of the call."""
    claims = Claims(proof=nodes.claim("p", "client:c"), assertion=nodes.claim("a"), used=nodes.used())
    answer = node.mint(claims=claims)
    assert (answer.outcome, answer.code, answer.sequence) == (Outcome.BEHIND, code, None)
    return not (nodes.recorded(node) or IssuedToken.objects.exists() or UsedAssertion.objects.exists())


SESSION, PARENT = uuid4(), uuid4()
SUBJECTS: dict[str, Callable[[Node], Any]] = {
    "agent_id": lambda n: n.agent.pk,
    "person_id": lambda n: n.agent.sponsor_id,
    "group_id": lambda _: 71,
    "client_id": lambda n: n.client.pk,
    "system_id": lambda n: n.grant.entitlement.system_id,
    "tool_id": lambda n: n.grant.lines.get().tool_id,
    "grant_id": lambda n: n.grant.pk,
    "trusted_issuer_id": lambda _: 72,
    "identity_link_id": lambda _: 73,
    "signing_key_id": lambda _: "k1",
    "session_id": lambda _: SESSION,
    "token_id": lambda _: PARENT,
}
OF_NO_TOKEN = {"client_session_id", "token_family_id"}
"""What no token stands on: a session with the gateway, and a family, whose row the write of its token looks at."""
ELSE: dict[type, Any] = {int: 2**40, str: "other", UUID: uuid4()}


def noted(basis: Basis, **whom: Any) -> None:  # noqa: ANN401 - keys of any type
    """Note a change just past the position that a decision stands on."""
    Change.objects.create(
        seq=basis.position + 1, kind="agent", subject="x", noted_at=clock.now(), concerns_all=not whom, **whom
    )


def on_everything(node: Node) -> Basis:
    return node.basis(groups=(70, 71), trusted_issuer=72, identity_link=73, signing_key="k1")


@pytest.mark.parametrize("subject", sorted({*models.SUBJECTS} - OF_NO_TOKEN))
def test_a_change_of_anything_that_the_decision_stood_on_leaves_it_behind(world: Node, subject: str) -> None:
    basis, row = on_everything(world), world.row(session=SESSION, parent=PARENT)
    noted(basis, **{subject: SUBJECTS[subject](world)})
    answer = world.mint(basis, row)
    assert (answer.outcome, answer.code) == (Outcome.BEHIND, "feed")
    assert nodes.nothing_was_written(world)


@pytest.mark.parametrize("subject", sorted({*models.SUBJECTS} - OF_NO_TOKEN))
def test_a_change_of_others_holds_nothing_up(world: Node, subject: str) -> None:
    basis, key = on_everything(world), SUBJECTS[subject](world)
    other = make.agent().pk if subject == "agent_id" else ELSE[type(key)]
    noted(basis, **{subject: other})
    assert world.mint(basis).outcome is Outcome.ISSUED


def test_a_change_that_concerns_all_leaves_everybody_behind_until_they_read_afresh(world: Node) -> None:
    basis = world.basis()
    noted(basis)
    assert world.mint(basis).outcome is Outcome.BEHIND
    assert nodes.nothing_was_written(world)
    assert world.mint().outcome is Outcome.ISSUED


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


def id_jag(node: Node) -> TokenRow:
    """Issue an ID-JAG, in a session that begins with it."""
    row = node.row(kind=IssuedToken.Kind.ID_JAG, session=uuid4(), begins=node.begins())
    assert node.mint(row=row).outcome is Outcome.ISSUED
    return row


def test_a_redeemed_token_that_was_revoked_issues_nothing(world: Node) -> None:
    first = id_jag(world)
    assert world.mint(row=world.row(parent=first.jti, session=first.session)).outcome is Outcome.ISSUED
    IssuedToken.objects.filter(pk=first.jti).update(revoked_at=clock.now(), revoke_reason="x")
    answer = world.mint(row=world.row(parent=first.jti, session=first.session))
    assert (answer.outcome, answer.code) == (Outcome.BEHIND, "parent")


def test_a_redeemed_token_that_is_over_issues_nothing(world: Node) -> None:
    first, long_ago = id_jag(world), clock.now() - timedelta(minutes=5)
    IssuedToken.objects.filter(pk=first.jti).update(issued_at=long_ago, expires_at=clock.now())
    answer = world.mint(row=world.row(parent=first.jti, session=first.session))
    assert (answer.outcome, answer.code) == (Outcome.BEHIND, "parent")


def test_a_token_is_redeemed_as_what_it_is_alone(world: Node) -> None:
    """By its own client, for its own person, at its own system and in its own session; and only an ID-JAG."""
    first, client = id_jag(world), make.client(world.agent)[0]
    other = world.row(session=uuid4(), begins=world.begins("b" * 64))
    assert world.mint(row=other).outcome is Outcome.ISSUED
    mine = {"parent": first.jti, "session": first.session}
    for basis, row in (
        (world.basis(client=client.pk), world.row(**mine)),
        (world.basis(system=make.system().pk), world.row(**mine)),
        (world.basis(), world.row(**mine, person=make.person().pk)),
        (world.basis(), world.row(**{**mine, "session": other.session})),
        (world.basis(), world.row(**{**mine, "session": None})),
        (world.basis(), world.row(parent=other.jti, session=other.session)),
    ):
        answer = world.mint(basis, row)
        assert (answer.outcome, answer.code) == (Outcome.BEHIND, "parent"), row
