"""Every way to a token of a personal agent, against what ends the connection, the agent, the person or the client."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from audit.context import SYSTEM
from entitlements.agents import agents, personal_agents
from entitlements.agents.models import Agent
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.connections import connections
from entitlements.connections.models import Connection
from entitlements.people import people
from entitlements.sessions.models import Session
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from tests import make
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge.worlds import Answer, World

WHY = "for the test"


def agent_of(world: World) -> Agent:
    return Connection.objects.filter(person=world.alice).latest("began_at").agent


def end_connection(world: World) -> None:
    connections.end(Connection.objects.get(person=world.alice).pk, by=SYSTEM, reason=WHY)


def end_row_alone(world: World) -> None:
    """End the connection and nothing that came of it, as a fault could."""
    Connection.objects.filter(person=world.alice).update(ended_at=world.alice.created_at, end_reason=WHY)


def move_to_another_agent(world: World) -> None:
    """Let the open connection name another agent, which may do the same."""
    other = make.agent("another", kind="personal")
    Connection.objects.filter(person=world.alice).update(agent=other)
    make.grant(other, world.entitlement, people=[world.alice])


SPOILERS: dict[str, Callable[[World], object]] = {
    "connection ended": end_connection,
    "connection alone": end_row_alone,
    "another agent": move_to_another_agent,
    "agent suspended": lambda world: agents.suspend(agent_of(world), by=SYSTEM, reason=WHY),
    "agent retired": lambda world: agents.retire(agent_of(world), by=SYSTEM, reason=WHY),
    "person disabled": lambda world: people.disable(world.alice, by=SYSTEM, reason=WHY),
    "client disabled": lambda world: clients.disable(world.client, by=SYSTEM, reason=WHY),
}


def code(world: World) -> Callable[[], Answer]:
    world.client = sign_ins.personal_client(world)
    sign_ins.connected(world)
    pending = sign_ins.agree(world)["code"]
    return lambda: sign_ins.redeem(world, pending)


def refresh(world: World) -> Callable[[], Answer]:
    world.client = sign_ins.personal_client(world)
    sign_ins.connected(world)
    token = str(sign_ins.signed_in(world).body["refresh_token"])
    return lambda: sign_ins.refresh(world, token)


def _through_the_company(world: World) -> None:
    """Let the client be one with a key, at which the person has an agent of their own."""
    jwks = worlds.key_set(world.client_key)
    world.client = make.personal_client("desk-app", auth=Client.Auth.PRIVATE_KEY_JWT, jwks=jwks)
    sign_ins.connected(world, client_id="desk-app")


def exchange(world: World) -> Callable[[], Answer]:
    _through_the_company(world)
    form = world.exchange_form()
    return lambda: world.post("/idp/token", form)


def redemption(world: World) -> Callable[[], Answer]:
    _through_the_company(world)
    token, credentials = world.id_jag(), world.credentials(world.audience)
    return lambda: world.redeem(token, **credentials)


PATHS = {"code": code, "refresh": refresh, "exchange": exchange, "redemption": redemption}
REFUSED = {
    "connection ended": "connection_missing",
    "connection alone": "connection_missing",
    "agent suspended": "agent_suspended",
    "agent retired": "connection_missing",  # its connection ends with it
    "person disabled": "sponsor_disabled",
    "client disabled": "client_disabled",
    ("code", "connection ended"): "code_unknown",  # codes end with the connection
    ("code", "agent retired"): "code_unknown",
    ("refresh", "another agent"): "agent_changed",
    ("refresh", "person disabled"): "token_family_ended",
    ("redemption", "another agent"): "session_unknown",
}
NOT_REFUSED = {("code", "another agent"), ("exchange", "another agent")}
"""Nothing of the agent before stands in the code or in the ID token: the token is the one of the agent now."""
CASES = [(path, spoil) for path in PATHS for spoil in SPOILERS if (path, spoil) not in NOT_REFUSED]


@pytest.mark.parametrize(("path", "spoil"), CASES, ids=[f"{path}: {spoil}" for path, spoil in CASES])
def test_what_is_in_the_way_is_refused_on_every_path_and_recorded_once(world: World, path: str, spoil: str) -> None:
    attempt = PATHS[path](world)
    SPOILERS[spoil](world)
    before = IssuedToken.objects.count(), Session.objects.count(), TokenFamily.objects.count()

    answer = attempt()

    code = REFUSED.get((path, spoil)) or REFUSED[spoil]
    assert answer.status in {400, 401}
    assert answer.body["code"] == code
    assert "access_token" not in answer.body
    assert (IssuedToken.objects.count(), Session.objects.count(), TokenFamily.objects.count()) == before
    (recorded,) = worlds.refusals()
    assert recorded.code == code
    assert f"client:{world.client.client_id}" in recorded.links


@pytest.mark.parametrize("path", PATHS)
def test_without_anything_in_the_way_each_path_issues_a_token_of_the_persons_agent(world: World, path: str) -> None:
    answer = PATHS[path](world)()

    assert answer.status == 200, answer.body
    claims = worlds.peek(answer.body["access_token"])
    assert (claims["sub"], claims["act"]["sub"]) == ("alice", agent_of(world).slug)
    assert IssuedToken.objects.get(jti=claims["jti"]).agent == agent_of(world)
    assert worlds.refusals() == []


@pytest.mark.parametrize("path", PATHS)
def test_another_persons_connection_opens_nothing(world: World, path: str) -> None:
    attempt = PATHS[path](world)
    personal_agents.connect(world.client, make.person("bob"))
    end_row_alone(world)
    assert attempt().body["code"] == "connection_missing"
