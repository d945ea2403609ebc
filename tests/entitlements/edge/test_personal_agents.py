"""A client whose people each have an agent of their own: the first consent connects, and the agent is the person's."""

from __future__ import annotations

import pytest

from audit.models import Event
from entitlements.clients.models import Client
from entitlements.connections.models import Connection
from entitlements.keys import signing
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from tests import make
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge.sign_ins import agree, redeem, refresh
from tests.entitlements.edge.worlds import World


@pytest.fixture
def desk(world: World) -> Client:
    return sign_ins.personal_client(world)


def test_the_first_consent_connects_and_registers_an_agent_without_access(world: World, desk: Client) -> None:
    text = sign_ins.page(world).content.decode()
    assert "Connect Desk client?" in text
    assert "is claimed" in text
    assert "your manager is told" in text

    answer = sign_ins.answer(world)

    assert answer.status_code == 302
    assert answer["Location"].startswith(sign_ins.address(world))
    connection = Connection.objects.get()
    agent = connection.agent
    assert (connection.client, connection.person, connection.ended_at) == (desk, world.alice, None)
    assert (agent.kind, agent.sponsor, agent.owner, agent.status) == ("personal", world.alice, None, "active")
    assert "alice" not in agent.slug + agent.name + agent.purpose
    begun = Event.objects.get(action="connection.begun")
    assert begun.actor == "person:alice"
    links = {f"connection:{connection.pk}", f"agent:{agent.slug}", "person:alice", "client:desk-client"}
    assert links <= set(begun.links)
    assert begun.detail == {"agent_registered": True, "name_is_claimed": True}
    text = sign_ins.page(world).content.decode()
    assert "has no access to" in text
    assert 'name="allow"' in text


def test_the_token_is_of_the_persons_agent_and_so_is_each_refresh(world: World, desk: Client) -> None:
    agent = sign_ins.connected(world)
    answer = redeem(world, agree(world)["code"])
    assert answer.status == 200, answer.body
    again = refresh(world, answer.body["refresh_token"])
    assert again.status == 200, again.body

    for each in (answer, again):
        claims = signing.verify(each.body["access_token"], f"as/{world.system.slug}", "at+jwt")
        assert (claims["sub"], claims["act"]["sub"]) == ("alice", agent.slug)
        token = IssuedToken.objects.get(jti=claims["jti"])
        assert (token.client, token.agent, token.person) == (desk, agent, world.alice)
        issued = Event.objects.get(action="token.issued", links__contains=[f"token:{token.jti}"])
        assert issued.actor == f"agent:{agent.slug}"
        assert issued.detail["name_is_claimed"] is True
    assert TokenFamily.objects.get().agent == agent


def test_two_people_at_one_client_have_an_agent_each(world: World, desk: Client) -> None:
    bob = make.person("bob")
    agent, other = sign_ins.connected(world), sign_ins.connected(world, bob)
    assert agent != other
    assert {each.agent for each in Connection.objects.filter(client=desk)} == {agent, other}
    answer = redeem(world, agree(world)["code"])
    assert worlds.peek(answer.body["access_token"])["act"]["sub"] == agent.slug
