"""Delegation at the token endpoints: who may act for whom, what an ID-JAG then says, and that it only narrows."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from audit import clock
from audit.models import Event
from entitlements.agents import agents
from entitlements.clients.models import Client
from entitlements.delegation import permissions
from entitlements.delegation.models import DelegationPermission
from entitlements.edge.grant_types import exchange
from entitlements.sessions.models import Session
from entitlements.tokens import tokens
from entitlements.tokens.models import IssuedToken
from tests import make, shared
from tests.entitlements.delegation import chains
from tests.entitlements.delegation.chains import Company, Member, acting
from tests.entitlements.edge import worlds

pytestmark = pytest.mark.django_db


made_world, world = shared.world(chains.company)


@pytest.fixture
def front(world: Company) -> Member:
    return world.members[0]


@pytest.fixture
def back(world: Company) -> Member:
    return world.members[1]


def test_the_id_jag_is_for_the_actor_alone_and_names_the_chain(world: Company, front: Member) -> None:
    answer = chains.delegate(world, front)

    assert answer.status == 200, answer.body
    claims = worlds.peek(str(answer.body["access_token"]))
    inner = {"sub": "expense-bot", "iss": world.idp, "sub_profile": "ai_agent", "client_id": "expense-client"}
    assert claims["act"] == {"sub": "front", "iss": world.idp, "sub_profile": "ai_agent", "act": inner}
    assert (claims["sub"], claims["client_id"], claims["scope"]) == ("alice", "front-client", "time:read")
    id_jag = str(answer.body["access_token"])
    assert world.redeem(id_jag).error[1:] == ("invalid_grant", "client_mismatch")
    token = worlds.peek(front.access_token(id_jag))
    assert (token["sub"], token["client_id"], token["act"]) == ("alice", "front-client", claims["act"])


def test_the_session_is_that_of_the_sign_in_and_the_event_names_every_agent(world: Company, front: Member) -> None:
    plain = worlds.peek(world.id_jag(subject_token=(token := world.id_token())))
    claims = worlds.peek(str(chains.delegate(world, front, subject_token=token).body["access_token"]))

    assert claims["sid"] == plain["sid"]
    assert Session.objects.get().agent == world.agent
    event = Event.objects.filter(action="token.issued").latest("at")
    assert {"agent:front", "agent:expense-bot", "client:expense-client"} <= set(event.links)
    row = IssuedToken.objects.get(pk=claims["jti"])
    assert (row.agent, row.client, row.chain) == (front.agent, front.client, [world.agent.pk])
    assert {grant.grant for grant in row.draws_on.all()} == {front.grant, world.grant}
    assert (event.detail["chain"], event.detail["chain_clients"]) == (["expense-bot"], ["expense-client"])


def test_a_session_begins_with_the_delegation_for_the_agent_that_the_person_signed_in_at(
    world: Company, front: Member
) -> None:
    assert chains.delegate(world, front).status == 200
    session = Session.objects.get()
    assert (session.agent, session.client) == (world.agent, world.client)


def test_deeper_in_a_chain_an_access_token_is_delegated_on_and_ends_no_later(
    world: Company, front: Member, back: Member
) -> None:
    held = chains.chain(world, [front, back])

    first, last = (worlds.peek(token) for token in held)
    names = []
    act = last["act"]
    while act:
        names.append(act["sub"])
        act = act.get("act")
    assert names == ["back", "front", "expense-bot"]
    assert last["exp"] <= first["exp"]
    assert (last["sid"], last["sub"]) == (first["sid"], "alice")
    tokens_of = {row.agent: row for row in IssuedToken.objects.all()}
    assert tokens_of[back.agent].chain == [front.agent.pk, world.agent.pk]
    assert len({row.trace for row in IssuedToken.objects.all()}) == 1


def test_no_actor_that_is_not_permitted_acts_and_nothing_is_written(world: Company, back: Member) -> None:
    before = worlds.standing()
    answer = chains.delegate(world, back)

    assert answer.error == (400, "invalid_grant", "delegation_not_permitted")
    assert "expense-bot" in answer.body["reasons"][0]
    assert worlds.standing() == before
    assert len(worlds.refusals()) == 1


def test_what_one_agent_of_the_chain_lacks_the_token_lacks(world: Company, front: Member) -> None:
    write = make.entitlement(world.system, scope="time:write")
    make.grant(front.agent, write, people=[world.alice])
    answer = chains.delegate(world, front, scope="time:read time:write")
    assert answer.body["scope"] == "time:read"

    make.grant(world.agent, write, people=[world.alice])
    assert chains.delegate(world, front, scope="time:read time:write").body["scope"] == "time:read time:write"


def test_nothing_in_common_is_access_denied_and_names_the_agent(world: Company, front: Member) -> None:
    world.grant.ended_at = clock.now()
    type(world.grant).objects.filter(pk=world.grant.pk).update(
        state="revoked", ended_at=clock.now(), end_reason="Over."
    )
    answer = chains.delegate(world, front)

    assert answer.error == (400, "access_denied", "no_grant")
    assert answer.body["reasons"][0].startswith("expense-bot: ")


def test_an_access_token_is_delegated_on_within_its_own_scopes(world: Company, front: Member, back: Member) -> None:
    write = make.entitlement(world.system, scope="time:write")
    for agent in (world.agent, front.agent, back.agent):
        make.grant(agent, write, people=[world.alice])
    narrow = front.access_token(str(chains.delegate(world, front, scope="time:read").body["access_token"]))

    answer = front.exchange(narrow, back, scope="time:read time:write")

    assert answer.body["scope"] == "time:read"
    assert front.exchange(narrow, back, scope="time:write").error[1:] == ("access_denied", "no_grant")


def test_what_no_actor_token_goes_with_is_not_exchanged(world: Company, front: Member) -> None:
    held = chains.chain(world, [front])[0]
    answer = front.exchange(held, front, actor_token=None, actor_token_type=None)
    assert answer.error[1:] == ("invalid_request", "subject_token_type_not_supported")


def test_an_access_token_of_another_client_is_no_subject_token(world: Company, front: Member, back: Member) -> None:
    chains.permit(back.agent, front.agent)
    held = chains.chain(world, [front])[0]
    assert back.exchange(held, front).error[1:] == ("invalid_grant", "audience_mismatch")


def test_ones_own_actor_token_changes_nothing(world: Company) -> None:
    own = Member(world, world.agent, world.client, world.client_key, world.grant)
    claims = worlds.peek(str(chains.delegate(world, own).body["access_token"]))
    assert claims["act"]["sub"] == "expense-bot"
    assert "act" not in claims["act"]


def test_an_agent_stands_in_a_chain_once(world: Company, front: Member, back: Member) -> None:
    chains.permit(back.agent, front.agent)
    chains.permit(back.agent, world.agent)
    held = chains.chain(world, [front, back])[1]

    assert back.exchange(held, front).error[1:] == ("invalid_request", "delegation_cycle")


def test_an_actor_token_is_used_once(world: Company, front: Member) -> None:
    token = acting(front.actor_token(world.client.client_id))
    assert world.exchange(**token).status == 200
    assert world.exchange(**token).error[:2] == (400, "invalid_grant")


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://elsewhere.example"},
        {"aud": ["http://localhost:8000/idp"]},
        {"client_id": "another-client"},
        {"client_id": None},
        {"iss": "another-client"},
        {"sub": "unknown-client", "iss": "unknown-client"},
        {"jti": None},
        {"iat": -120, "exp": -60},
        {"exp": 3600},
        {"iat": 600, "exp": 700},
    ],
    ids=str,
)
def test_an_actor_token_that_says_something_else_is_refused(
    world: Company, front: Member, claims: dict[str, Any]
) -> None:
    now = int(time.time())
    written = {name: now + value if name in {"iat", "exp"} else value for name, value in claims.items()}
    answer = world.exchange(**acting(front.actor_token(world.client.client_id, **written)))
    assert answer.error == (400, "invalid_grant", "actor_token_invalid")


def test_a_client_assertion_is_no_actor_token_and_an_actor_token_no_client_assertion(
    world: Company, front: Member
) -> None:
    assertion = front.actor_token(world.client.client_id, typ="JWT")
    assert world.exchange(**acting(assertion)).error[2] == "actor_token_invalid"
    handed_over = front.actor_token(world.client.client_id)
    posing = {**world.credentials(world.idp), "client_assertion": handed_over}
    assert world.exchange(**posing).error[:2] == (401, "invalid_client")


def test_an_actor_token_is_signed_with_a_registered_key(world: Company, front: Member) -> None:
    forged = front.actor_token(world.client.client_id, key=worlds.new_key("front"))
    assert world.exchange(**acting(forged)).error[2] == "actor_token_invalid"
    Client.objects.filter(pk=front.client.pk).update(status="disabled")
    assert chains.delegate(world, front).error[2] == "actor_token_invalid"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"actor_token_type": None}, "parameter_missing"),
        ({"actor_token": None}, "parameter_missing"),
        ({"actor_token_type": exchange.ACCESS_TOKEN}, "actor_token_type_not_supported"),
    ],
)
def test_an_actor_token_comes_with_its_type(
    world: Company, front: Member, form: dict[str, str | None], code: str
) -> None:
    assert chains.delegate(world, front, **form).error == (400, "invalid_request", code)


@pytest.mark.parametrize(
    ("may_act", "status"),
    [
        ({"sub": "front-client"}, 200),
        ({"sub": "front"}, 200),
        ({"sub": "back-client"}, 400),
        ({"sub": "front-client", "iss": "https://elsewhere.example"}, 400),
        ({"sub": "front-client", "email": "front@example.com"}, 400),
        ({}, 400),
        ("front-client", 400),
    ],
)
def test_a_subject_token_that_names_who_may_act_is_heard(
    world: Company, front: Member, may_act: object, status: int
) -> None:
    answer = chains.delegate(world, front, subject_token=world.id_token(may_act=may_act))
    assert answer.status == status
    if status != 200:
        assert answer.error[1:] == ("invalid_grant", "actor_not_permitted")


def _suspend(world: Company) -> None:
    agents.suspend(world.agent, by=world.agent.sponsor.principal, reason="Stopped.")


def _withdraw(world: Company) -> None:
    permission = DelegationPermission.objects.get(agent=world.agent, actor=world.members[0].agent)
    permissions.withdraw(permission, by=world.agent.sponsor.principal, reason="Over.")


def _disable_client(world: Company) -> None:
    Client.objects.filter(pk=world.client.pk).update(status="disabled")


@pytest.mark.parametrize("stop", [_suspend, _withdraw, _disable_client])
def test_what_ends_behind_ends_the_redemption_and_the_introspection(
    world: Company, front: Member, back: Member, stop: object
) -> None:
    assert callable(stop)
    id_jag = str(chains.delegate(world, front).body["access_token"])
    held = chains.chain(world, [front, back])
    path = f"/as/{world.system.slug}/introspect"

    def is_active() -> bool:
        answer = world.post(path, {"token": held[1], **back.credentials(world.audience)})
        return bool(answer.body["active"])

    assert is_active()
    stop(world)
    assert not is_active()
    assert front.redeem(id_jag).status == 400
    assert front.exchange(held[0], back).status == 400


def test_the_end_of_a_token_ends_what_was_delegated_by_it(world: Company, front: Member, back: Member) -> None:
    held = chains.chain(world, [front, back])
    answer = world.post(f"/as/{world.system.slug}/revoke", {"token": held[0], **front.credentials(world.audience)})

    assert answer.status == 200
    last = IssuedToken.objects.get(pk=worlds.peek(held[1])["jti"])
    assert last.revoked_at is not None


def test_the_end_of_a_token_by_a_person_ends_it_too(world: Company, front: Member, back: Member) -> None:
    held = chains.chain(world, [front, back])
    tokens.revoke(worlds.peek(held[0])["jti"], by=world.alice.principal, reason="Not mine.")
    assert not IssuedToken.objects.filter(revoked_at=None, jti=worlds.peek(held[1])["jti"]).exists()


def test_no_token_of_a_chain_outlives_what_was_delegated(world: Company, front: Member, back: Member) -> None:
    world.system.token_seconds = 60
    world.system.save()
    held = chains.chain(world, [front])[0]
    world.system.token_seconds = 300
    world.system.save()

    id_jag = str(front.exchange(held, back).body["access_token"])
    later = back.access_token(id_jag)

    assert worlds.peek(id_jag)["exp"] <= worlds.peek(held)["exp"]
    assert worlds.peek(later)["exp"] <= worlds.peek(held)["exp"]
    assert timedelta(seconds=worlds.peek(later)["exp"] - time.time()) <= timedelta(seconds=60)
