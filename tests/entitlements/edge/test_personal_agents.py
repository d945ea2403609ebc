"""A client whose people each have an agent of their own: the first consent connects, and the agent is the person's."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import agents, lifecycle, personal_agents
from entitlements.agents.models import Agent
from entitlements.clients.models import Client
from entitlements.connections import connections
from entitlements.connections.models import Connection
from entitlements.keys import signing
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from tests import make
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.sign_ins import agree, question, redeem, refresh
from tests.entitlements.edge.worlds import Answer, World


@pytest.fixture
def desk(world: World) -> Client:
    return sign_ins.personal_client(world)


def test_the_first_consent_connects_and_registers_an_agent_without_access(world: World, desk: Client) -> None:
    text = sign_ins.page(world).content.decode()
    assert "Connect Desk client?" in text
    assert "is claimed" in text
    assert "your manager gets a notice" in text

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


def refused(world: World, code: str, **changes: str | None) -> str:
    """Agree on the page, which refuses: the text that it shows. Nothing was begun, and one event says why."""
    before = Connection.objects.count(), Agent.objects.count()
    answer = sign_ins.answer(world, allow=True, **changes)
    assert (answer.status_code, answer.get("Location")) == (409, None)
    assert (Connection.objects.count(), Agent.objects.count()) == before
    (recorded,) = Event.objects.filter(action="attempt.refused")
    assert (recorded.code, recorded.actor) == (code, "person:alice")
    assert {"client:desk-client", f"system:{world.system.slug}"} <= set(recorded.links)
    return str(answer.content.decode())


def test_a_sixth_personal_agent_is_refused_in_plain_words_and_a_retired_one_counts_no_more(
    world: World, desk: Client
) -> None:
    kept = [sign_ins.connected(world, client_id=make.personal_client().client_id) for _ in range(personal_agents.MOST)]

    assert "You have five personal agents, which is the most." in refused(world, "too_many_personal_agents")

    agents.retire(kept[0], by=SYSTEM, reason="not used")
    assert sign_ins.answer(world).status_code == 302
    assert Connection.objects.filter(client=desk, ended_at=None).exists()


def test_where_no_personal_agents_are_allowed_no_person_is_connected(world: World, desk: Client) -> None:
    lifecycle.set_kind_rule("personal", allowed=False, by=SYSTEM, reason="shared ones only")
    assert "Agents of this kind may not be registered here." in refused(world, "agent_kind_not_allowed")
    assert desk.pk


def test_ending_a_connection_is_no_way_round_a_suspension(world: World, desk: Client) -> None:
    agent = sign_ins.connected(world)
    connections.end(Connection.objects.get().pk, by=world.alice.principal, reason="over")
    agents.suspend(agent, by=SYSTEM, reason="odd calls")
    assert "is not in use now" in refused(world, "personal_agent_stopped")
    assert desk.pk


def test_a_person_who_says_no_is_not_connected(world: World, desk: Client) -> None:
    answer = sign_ins.answer(world, allow=False)
    assert sign_ins.sent_back(answer)["error"] == "access_denied"
    assert not Connection.objects.exists()
    assert desk.pk


def test_an_answer_that_names_another_address_or_an_old_sign_in_connects_no_person(world: World, desk: Client) -> None:
    where = f"{sign_ins.address(world)}?{urlencode(question(world))}"
    sent = flow.form(sign_ins.page(world).content.decode()) | {"allow": "1"}
    elsewhere = world.http.post(where, {**sent, "redirect_uri": "https://elsewhere.example/"})
    assert elsewhere.status_code == 400
    old = world.http.post(f"{where}&max_age=0", sent)
    assert (old.status_code, old["Location"]) == (302, f"{where}&max_age=0")
    assert not Connection.objects.exists()
    assert desk.pk


def test_the_next_consent_takes_up_the_agent_of_before_and_a_retired_one_never(world: World, desk: Client) -> None:
    agent = sign_ins.connected(world)
    code = agree(world)["code"]
    token = redeem(world, code).body["refresh_token"]
    connections.end(Connection.objects.get().pk, by=world.alice.principal, reason="over")

    assert "Connect Desk client?" in sign_ins.page(world).content.decode()
    assert sign_ins.answer(world).status_code == 302

    assert Connection.objects.get(ended_at=None).agent == agent
    assert Event.objects.filter(action="connection.begun").latest("at").detail["agent_registered"] is False
    assert refresh(world, token).error == (400, "invalid_grant", "token_family_ended")
    agents.retire(agent, by=SYSTEM, reason="gone")
    assert not Connection.objects.filter(ended_at=None).exists()
    assert sign_ins.answer(world).status_code == 302
    assert Connection.objects.get(ended_at=None).agent != agent
    assert desk.pk


def test_a_replay_at_a_client_of_personal_agents_names_the_agent_whose_people_hear(world: World, desk: Client) -> None:
    agent = sign_ins.connected(world)
    code = agree(world)["code"]
    assert redeem(world, code).status == 200
    assert redeem(world, code).error == (400, "invalid_grant", "code_unknown")
    reused = Event.objects.get(action="token_family.reused")
    assert {f"agent:{agent.slug}", "person:alice"} <= set(reused.about)
    assert desk.pk


def test_a_client_of_personal_agents_gets_no_token_for_itself(world: World) -> None:
    jwks = worlds.key_set(world.client_key)
    world.client = make.personal_client("desk-app", auth=Client.Auth.PRIVATE_KEY_JWT, jwks=jwks)
    sign_ins.connected(world, client_id="desk-app")
    answer = world.alone()
    assert answer.error == (400, "access_denied", "agent_unknown")


def test_what_its_client_revokes_is_recorded_as_of_the_agent_and_inspected_as_over(world: World) -> None:
    jwks = worlds.key_set(world.client_key)
    world.client = make.personal_client("desk-app", auth=Client.Auth.PRIVATE_KEY_JWT, jwks=jwks)
    agent = sign_ins.connected(world, client_id="desk-app")
    token, path = world.access_token(), f"/as/{world.system.slug}"

    def ask(what: str) -> Answer:
        return world.post(f"{path}/{what}", {"token": token, **world.credentials(world.audience)})

    inspected = ask("introspect").body
    assert (inspected["active"], inspected["act"]["sub"]) == (True, agent.slug)
    assert ask("revoke").status == 200
    assert ask("introspect").body == {"active": False}
    assert Event.objects.get(action="token.revoked").actor == f"agent:{agent.slug}"


def test_introspection_ends_with_the_connection_alone(world: World) -> None:
    """Without the words of the tokens, as if only the row had changed."""
    jwks = worlds.key_set(world.client_key)
    world.client = make.personal_client("desk-app", auth=Client.Auth.PRIVATE_KEY_JWT, jwks=jwks)
    sign_ins.connected(world, client_id="desk-app")
    token = world.access_token()
    Connection.objects.update(ended_at=clock.now(), end_reason="over")
    form = {"token": token, **world.credentials(world.audience)}
    assert world.post(f"/as/{world.system.slug}/introspect", form).body == {"active": False}
