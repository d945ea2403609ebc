"""Revoking one client ends what that client has, for good, and nothing of another client of its agent."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from audit.context import SYSTEM
from audit.export import timeline
from entitlements.agents.models import Agent
from entitlements.catalog.models import System
from entitlements.clients import clients
from entitlements.feed.models import Change
from entitlements.keys import jws
from entitlements.revocation import revocation
from entitlements.revocation.models import Revocation
from entitlements.revocation.revocation import Target
from entitlements.sessions.models import Session
from entitlements.tokens import presented
from tests import make
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World


@pytest.fixture
def other(world: World) -> World:
    """The same agent, person and system by another client of the agent."""
    key = worlds.new_key("c2")
    client, _ = make.client(world.agent, "second-client", jwks=worlds.key_set(key))
    return replace(world, client=client, client_key=key)


def is_live(world: World, token: str) -> bool:
    try:
        presented.access_token(token, world.system.slug, world.resource)
    except jws.BadToken:
        return False
    return True


def revoke(world: World) -> Revocation:
    return revocation.revoke(Target("client", world.client.client_id), by=SYSTEM, reason="leaked", wait=False)


def test_the_other_client_of_the_agent_goes_on_with_its_token_assertion_and_session(world: World, other: World) -> None:
    mine, theirs, assertion = world.access_token(), other.access_token(), other.id_jag()

    revoke(world)

    assert [is_live(world, mine), is_live(other, theirs)] == [False, True]
    assert other.redeem(assertion).status == 200
    assert other.exchange().status == 200
    assert {each.client.client_id for each in Session.objects.filter(ended_at=None)} == {"second-client"}
    assert Agent.objects.get().tokens_valid_after is None


def test_the_log_and_the_change_feed_name_the_client_and_the_sessions_that_end_with_it(
    world: World, other: World
) -> None:
    world.access_token()
    other.access_token()

    revoke(world)

    ended = timeline.about(f"client:{world.client.client_id}").filter(action="session.ended").get()
    assert (ended.reason, ended.actor) == ("leaked", "system:mandate")
    named = set(Change.objects.exclude(client_id=None).values_list("client_id", "agent__slug"))
    assert named == {(world.client.pk, world.agent.slug)}


def test_what_a_client_had_stays_dead_when_it_is_enabled_again_and_a_new_sign_in_works(world: World) -> None:
    token, assertion, sign_in = world.access_token(), world.id_jag(), world.id_token()
    assert world.exchange(subject_token=sign_in).status == 200
    revoke(world)
    clients.enable(world.client, by=SYSTEM, reason="its key is new")

    assert not is_live(world, token)
    assert world.redeem(assertion).error == (400, "invalid_grant", "token_revoked")
    assert world.exchange(subject_token=sign_in).error[2] == "session_ended"
    newer = world.id_token(auth_time=int(time.time()) - 30)
    assert is_live(world, world.redeem(world.id_jag(subject_token=newer)).body["access_token"])


def test_the_token_of_a_script_stays_dead_when_the_script_is_enabled_again(world: World) -> None:
    make.system("mandate", kind=System.Kind.BUILTIN)
    script, secret = make.client(None, "script", auth="client_secret_basic", api_scopes=["mandate:read"])
    form = {"grant_type": "client_credentials", "client_id": "script", "client_secret": secret}
    token = world.post("/as/mandate/token", form).body["access_token"]
    resource = str(worlds.peek(token)["aud"])
    presented.access_token(token, "mandate", resource)

    clients.disable(script, by=SYSTEM, reason="leaked")
    clients.enable(script, by=SYSTEM, reason="its secret is new")

    with pytest.raises(presented.NotLive):
        presented.access_token(token, "mandate", resource)


def test_the_receipt_says_what_the_revocation_covered(world: World, other: World) -> None:
    world.access_token()
    other.access_token()

    assert revoke(world).covered == {"access_tokens": 1, "id_jags": 1, "sessions": 1}
