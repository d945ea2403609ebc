"""A token says which key it is bound to and which agents are behind it, and is checked again by both."""

from __future__ import annotations

from uuid import uuid4

import pytest

from audit import clock
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.feed.models import Change
from entitlements.sessions.models import Session
from entitlements.tokens.issue_token import Claims, Outcome
from entitlements.tokens.models import IssuedToken, UsedAssertion
from tests import make, shared
from tests.entitlements.tokens import nodes
from tests.entitlements.tokens.nodes import Node

pytestmark = pytest.mark.django_db

KEY, OTHER = "k" * 43, "o" * 43

made_world, world = shared.world(nodes.node)


def chained(slug: str) -> tuple[Agent, Client]:
    """Make an agent that delegates, and its client."""
    agent = make.agent(slug)
    return agent, make.client(agent)[0]


def proven(key: str) -> Claims:
    """Prove a key, anew each time."""
    return Claims(dpop=nodes.claim(str(uuid4()), key))


def test_the_row_says_what_a_token_is_bound_to_and_what_it_carries(world: Node) -> None:
    behind, client = chained("behind")
    details = '[{"type": "mcp_tool_call", "identifier": "read"}]'
    row = world.row(chain=[behind.pk], chain_clients=[client.pk], jkt=KEY, authorization_details=details)
    assert world.mint(row=row).outcome is Outcome.ISSUED
    token = IssuedToken.objects.get(pk=row.jti)
    assert (token.chain, token.jkt) == ([behind.pk], KEY)
    assert token.authorization_details == [{"type": "mcp_tool_call", "identifier": "read"}]


def test_a_proof_is_used_once_for_each_key_and_then_nothing_is_written(world: Node) -> None:
    claims = Claims(dpop=nodes.claim("p", KEY))
    assert world.mint(row=world.row(jkt=KEY), claims=claims).outcome is Outcome.ISSUED
    answer = world.mint(row=world.row(jkt=KEY), claims=claims)
    assert (answer.outcome, answer.code, answer.sequence) == (Outcome.REPLAYED, "dpop", None)
    assert IssuedToken.objects.count() == 1
    other = Claims(dpop=nodes.claim("p", OTHER))
    assert world.mint(row=world.row(jkt=OTHER), claims=other).outcome is Outcome.ISSUED


def test_a_refusal_keeps_the_proof(world: Node) -> None:
    claims = Claims(dpop=nodes.claim("p", KEY))
    assert world.refuse(claims).outcome is Outcome.REFUSED
    assert world.mint(row=world.row(jkt=KEY), claims=claims).outcome is Outcome.REPLAYED
    assert UsedAssertion.objects.get().issuer == f"dpop:{KEY}"


def test_a_suspended_agent_anywhere_in_the_chain_stops_the_token(world: Node) -> None:
    (first, by), (second, through) = chained("first"), chained("second")
    Agent.objects.filter(pk=second.pk).update(status="suspended", status_reason="Under suspicion.")
    row = world.row(chain=[first.pk, second.pk], chain_clients=[by.pk, through.pk])
    answer = world.mint(row=row)
    assert (answer.outcome, answer.code) == (Outcome.BEHIND, "chain")


def test_a_disabled_client_of_the_chain_stops_the_token_and_each_agent_has_one(world: Node) -> None:
    behind, client = chained("behind")
    for clients in ([], [client.pk, client.pk]):
        answer = world.mint(row=world.row(chain=[behind.pk], chain_clients=clients))
        assert (answer.outcome, answer.code) == (Outcome.BEHIND, "chain")
    row = {"chain": [behind.pk], "chain_clients": [client.pk]}
    assert world.mint(row=world.row(**row)).outcome is Outcome.ISSUED
    Client.objects.filter(pk=client.pk).update(status="disabled")
    assert world.mint(row=world.row(**row)).code == "chain"


def test_the_session_of_a_chain_is_that_of_the_agent_that_began_it(world: Node) -> None:
    behind, client = chained("behind")
    row = {"chain": [behind.pk], "chain_clients": [client.pk]}
    begun = world.row(session=uuid4(), begins=world.begins(), kind="id_jag", **row)
    assert world.mint(row=begun).outcome is Outcome.ISSUED
    session = Session.objects.get()
    assert (session.agent_id, session.client_id) == (behind.pk, client.pk)
    assert world.mint(row=world.row(session=session.pk, parent=begun.jti, **row)).outcome is Outcome.ISSUED
    assert world.mint(row=world.row(session=session.pk)).code == "session"
    other, through = chained("other")
    longer = {"chain": [other.pk, behind.pk], "chain_clients": [through.pk, client.pk]}
    assert world.mint(row=world.row(session=session.pk, parent=begun.jti, **longer)).code == "parent"


def test_a_change_about_an_agent_of_the_chain_is_awaited(world: Node) -> None:
    (behind, client), basis = chained("behind"), world.basis()
    Change.objects.create(seq=basis.position + 1, kind="agent", subject="x", noted_at=clock.now(), agent_id=behind.pk)
    answer = world.mint(basis, world.row(chain=[behind.pk], chain_clients=[client.pk]))
    assert (answer.outcome, answer.code) == (Outcome.BEHIND, "feed")


def test_an_id_jag_is_redeemed_with_its_chain_and_its_key_alone(world: Node) -> None:
    behind, client = chained("behind")
    session = world.row(session=(begun := uuid4()), begins=world.begins(), kind="id_jag", jkt=KEY)
    assert world.mint(row=session).outcome is Outcome.ISSUED
    redeemed = {"session": begun, "parent": session.jti}
    for claims in (Claims(), proven(OTHER)):
        answer = world.mint(row=world.row(**redeemed, jkt=KEY), claims=claims)
        assert (answer.outcome, answer.code) == (Outcome.BEHIND, "parent")
    chain = {"jkt": KEY, "chain": [behind.pk], "chain_clients": [client.pk]}
    assert world.mint(row=world.row(**redeemed, **chain), claims=proven(KEY)).code == "session"
    assert world.mint(row=world.row(**redeemed, jkt=KEY), claims=proven(KEY)).outcome is Outcome.ISSUED


def test_the_key_of_a_token_may_be_another_than_the_one_that_is_proven(world: Node) -> None:
    row = world.row(jkt=OTHER)
    assert world.mint(row=row, claims=proven(KEY)).outcome is Outcome.ISSUED
    assert IssuedToken.objects.get(pk=row.jti).jkt == OTHER
    assert UsedAssertion.objects.get().issuer == f"dpop:{KEY}"
