"""A client whose people have agents of their own, at the identity side: the person's agent is the sign-in's."""

from __future__ import annotations

import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import agents
from entitlements.clients.models import Client
from entitlements.connections import connections
from entitlements.connections.models import Connection
from entitlements.feed.models import Change
from entitlements.keys import signing
from entitlements.token_families import families
from entitlements.token_families.models import TokenFamily
from tests import make
from tests.entitlements.edge import idp_sign_ins as idp
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.worlds import World


@pytest.fixture
def desk(world: World) -> World:
    """Let the client be one that proves itself and serves many people, at which alice's browser is signed in."""
    keys = worlds.key_set(world.client_key)
    auth = Client.Auth.PRIVATE_KEY_JWT
    world.client = make.personal_client("desk-client", auth=auth, jwks=keys, redirect_uris=[flow.BACK])
    flow.sign_in(world)
    return world


def begin(world: World) -> str:
    back = flow.agree(world, scope=idp.SCOPE, client_id=world.client.client_id)
    answer = flow.redeem(world, back["code"], client_id=None, **idp.proof(world))
    assert answer.status == 200, answer.body
    return str(answer.body["refresh_token"])


def test_the_persons_agent_acts_from_the_code_to_the_access_token(desk: World) -> None:
    agent = sign_ins.connected(desk)
    token = begin(desk)
    assert TokenFamily.objects.get().agent == agent
    assert Event.objects.get(action="token.issued").actor == f"agent:{agent.slug}"
    assert idp.refresh(desk, token).status == 200
    id_jag = idp.exchange_refresh_token(desk, token).body["access_token"]
    access = desk.redeem(id_jag).body["access_token"]
    claims = signing.verify(access, f"as/{desk.system.slug}", "at+jwt")
    assert (claims["sub"], claims["act"]["sub"]) == ("alice", agent.slug)
    shown = desk.post("/idp/introspect", {"token": token, **idp.proof(desk)})
    assert shown.body["active"] is True
    agents.suspend(agent, by=SYSTEM, reason="odd")
    assert idp.refresh(desk, token).error[2] == "agent_suspended"
    assert desk.post("/idp/introspect", {"token": token, **idp.proof(desk)}).body == {"active": False}


def test_a_sign_in_from_before_the_connection_goes_on_with_its_agent_and_its_end_reaches_that(desk: World) -> None:
    token = begin(desk)
    assert TokenFamily.objects.get().agent is None
    assert idp.refresh(desk, token).status == 200
    assert idp.exchange_refresh_token(desk, token).error == (400, "invalid_grant", "connection_missing")
    agent = sign_ins.connected(desk)
    assert idp.exchange_refresh_token(desk, token).status == 200
    families.revoke(TokenFamily.objects.get().pk, by=SYSTEM, reason="stolen")
    assert Change.objects.order_by("-pk")[0].agent_id == agent.pk


@pytest.mark.parametrize("kind", ["refresh", "exchange"])
def test_a_sign_in_is_with_one_agent(desk: World, kind: str) -> None:
    sign_ins.connected(desk)
    token = begin(desk)
    TokenFamily.objects.update(agent=desk.agent)
    ask = idp.refresh if kind == "refresh" else idp.exchange_refresh_token
    assert ask(desk, token).error == (400, "invalid_grant", "agent_changed")
    assert [event.code for event in worlds.refusals()] == ["agent_changed"]


def test_the_end_of_a_connection_ends_what_was_begun_at_the_identity_side(desk: World) -> None:
    sign_ins.connected(desk)
    token = begin(desk)
    connections.end(Connection.objects.get().pk, by=desk.alice.principal, reason="over")
    assert idp.refresh(desk, token).status == 400
    assert idp.exchange_refresh_token(desk, token).status == 400
