"""A sign-in at the identity side lasts with `offline_access`, by the rules of a sign-in at a system."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses
from entitlements.agents import agents
from entitlements.clients import clients
from entitlements.clients.models import Client, OAuthAccessToken
from entitlements.feed.models import Change
from entitlements.people import people
from entitlements.people.models import Person
from entitlements.token_families import families, refresh_tokens
from entitlements.token_families.models import TokenFamily
from tests import make
from tests.entitlements.edge import idp_sign_ins as idp
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge import worlds
from tests.entitlements.edge.idp_sign_ins import begin, refresh
from tests.entitlements.edge.worlds import World

Move = Callable[[timedelta], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Move:
    """Move the clock on, from now, each time."""
    real, moved = clock.now, timedelta(0)

    def move(by: timedelta) -> None:
        nonlocal moved
        moved += by
        monkeypatch.setattr(clock, "now", lambda: real() + moved)

    return move


@pytest.fixture
def public(world: World) -> Client:
    client, _ = make.client(world.agent, "public-client", auth=Client.Auth.NONE)
    make.rewrite(client, redirect_uris=flow.BACK)
    flow.sign_in(world)
    return client


def test_without_offline_access_nothing_lasts(world: World, public: Client) -> None:
    answer = begin(world, is_public=True, scope="openid")
    assert (answer.status, "refresh_token" in answer.body, "sid" in idp.id_token(answer)) == (200, False, False)
    assert not TokenFamily.objects.exists()
    back = world.http.get("/idp/authorize", flow.question(scope="offline_access"))
    assert "error=invalid_scope" in back["Location"], "without openid there is no ID token to refresh"
    assert public.pk


def test_a_refresh_gives_an_id_token_of_the_same_sign_in_without_its_nonce(
    world: World, public: Client, later: Move
) -> None:
    answer = begin(world, is_public=True)
    first, family = idp.id_token(answer), TokenFamily.objects.get()
    assert (first["nonce"], first["sid"], answer.body["scope"]) == ("n1", str(family.pk), "openid offline_access")
    assert (family.client, family.agent, family.system, family.session) == (public, world.agent, None, None)
    assert (family.resource, family.acr, family.amr) == ("", first["acr"], "pwd")
    later(timedelta(minutes=10))

    again = refresh(world, answer.body["refresh_token"], is_public=True)

    claims = idp.id_token(again)
    assert again.headers["Cache-Control"] == "no-store"
    assert "nonce" not in claims
    kept = ("iss", "sub", "aud", "auth_time", "acr", "amr", "sid")
    assert {name: claims[name] for name in kept} == {name: first[name] for name in kept}
    assert claims["iat"] - first["iat"] >= 600
    assert claims["at_hash"] != first["at_hash"]
    assert again.body["refresh_token"] != answer.body["refresh_token"]
    family.refresh_from_db()
    assert (family.generation, len(family.retired)) == (2, 1)
    issued = Event.objects.filter(action="token.issued").order_by("-at")[0]
    assert (issued.detail["flow"], issued.detail["use"]) == ("refresh_token", "current")
    assert {f"token_family:{family.pk}", "person:alice", f"agent:{world.agent.slug}"} <= set(issued.links)
    assert set(OAuthAccessToken.objects.values_list("family", flat=True)) == {family.pk}


def test_the_scope_of_a_refresh_is_a_part_of_what_was_agreed_to(world: World, public: Client) -> None:
    token = begin(world, is_public=True).body["refresh_token"]
    for scope in ("openid profile", "offline_access", "time:read"):
        assert refresh(world, token, is_public=True, scope=scope).error == (400, "invalid_scope", "scope_missing")
    answer = refresh(world, token, is_public=True, scope="openid")
    assert answer.body["scope"] == "openid"
    assert refresh(world, answer.body["refresh_token"], is_public=True).body["scope"] == "openid offline_access"
    assert public.pk


def test_for_a_moment_a_used_token_gets_its_successor_again_and_then_ends_the_sign_in(
    world: World, public: Client, later: Move
) -> None:
    first = begin(world, is_public=True).body["refresh_token"]
    second = refresh(world, first, is_public=True).body["refresh_token"]
    later(timedelta(seconds=55))
    assert refresh(world, first, is_public=True).body["refresh_token"] == second
    later(timedelta(seconds=10))

    assert refresh(world, first, is_public=True).error == (400, "invalid_grant", "refresh_token_reused")

    assert refresh(world, second, is_public=True).error == (400, "invalid_grant", "token_family_ended")
    family = TokenFamily.objects.get()
    reused = Event.objects.get(action="token_family.reused")
    assert {f"token_family:{family.pk}", "person:alice", f"agent:{world.agent.slug}"} <= set(reused.links)
    assert [event.code for event in worlds.refusals()] == ["refresh_token_reused", "token_family_ended"]
    assert not OAuthAccessToken.objects.filter(expires__gt=clock.now()).exists()
    change = Change.objects.order_by("-pk")[0]
    assert (change.token_family_id, change.agent_id, change.concerns_all) == (family.pk, world.agent.pk, False)
    assert public.pk


def test_a_client_that_proves_itself_keeps_its_token_and_a_public_one_is_signed_in_for_twelve_hours(
    world: World, public: Client, later: Move
) -> None:
    proven = begin(world).body["refresh_token"]
    current = begin(world, is_public=True).body["refresh_token"]
    later(timedelta(hours=11))
    current = refresh(world, current, is_public=True).body["refresh_token"]
    later(timedelta(hours=1))
    assert refresh(world, current, is_public=True).error == (400, "invalid_grant", "token_family_expired")
    for _ in range(2):
        later(timedelta(days=13))
        assert refresh(world, proven).body["refresh_token"] == proven
    later(timedelta(days=4))
    assert refresh(world, proven).error == (400, "invalid_grant", "token_family_expired"), "after thirty days"
    assert public.pk


def test_a_code_that_is_used_again_ends_what_came_of_it(world: World, public: Client) -> None:
    code = flow.agree(world, scope=idp.SCOPE)["code"]
    token = flow.redeem(world, code).body["refresh_token"]
    other, _ = make.client(world.agent, "other", auth=Client.Auth.NONE)
    assert flow.redeem(world, code, client_id=other.client_id).error == (400, "invalid_grant", "code_unknown")
    assert TokenFamily.objects.get().ended_at is None, "another client learns nothing and ends nothing"

    assert flow.redeem(world, code).error == (400, "invalid_grant", "code_unknown")

    assert refresh(world, token, is_public=True).error == (400, "invalid_grant", "token_family_ended")
    assert Event.objects.filter(action="token_family.reused").count() == 1
    assert public.pk


def test_a_refresh_token_is_its_own_clients_at_the_identity_side(world: World, public: Client) -> None:
    token, family = begin(world, is_public=True).body["refresh_token"], TokenFamily.objects.get()
    unknown = (400, "invalid_grant", "refresh_token_unknown")
    assert refresh(world, token).error == unknown, "another client"
    at_system = {"grant_type": "refresh_token", "client_id": public.client_id}
    for presented in (token, refresh_tokens.make(family.pk, 1, addresses.issuer_path(world.system.slug))):
        assert world.post(f"/as/{world.system.slug}/token", {**at_system, "refresh_token": presented}).error == unknown
    of_system = make.token_family(idp.session(world, public), world.system)
    for path in (addresses.issuer_path(world.system.slug), addresses.IDP):
        presented = refresh_tokens.make(of_system.pk, 1, path)
        assert refresh(world, presented, is_public=True).error == unknown, path
    assert refresh(world, refresh_tokens.make(family.pk, 2, addresses.IDP), is_public=True).error == unknown
    assert refresh(world, "mrt1.AAAA", is_public=True).error == unknown
    assert refresh(world, token, is_public=True).status == 200


def _by_api(_: World, family: TokenFamily) -> None:
    families.revoke(family.pk, by=SYSTEM, reason="odd")


def _by_client(world: World, family: TokenFamily) -> None:
    token = refresh_tokens.make(family.pk, 1, addresses.IDP)
    assert world.post("/idp/revoke", {"token": token, **world.credentials(world.idp)}).status == 200
    assert family.ended_at is None, "by another client"
    for _ in range(2):
        assert world.post("/idp/revoke", {"token": token, "client_id": "public-client"}).status == 200


def _by_person(world: World, _: TokenFamily) -> None:
    people.disable(world.alice, by=SYSTEM, reason="left")


@pytest.mark.parametrize("end", [_by_api, _by_client, _by_person])
def test_a_sign_in_is_ended_with_one_event(
    world: World, public: Client, end: Callable[[World, TokenFamily], None]
) -> None:
    token = begin(world, is_public=True).body["refresh_token"]
    family = TokenFamily.objects.get()

    end(world, family)

    family.refresh_from_db()
    assert family.end_reason
    event = Event.objects.get(action="token_family.revoked")
    assert {f"token_family:{family.pk}", "person:alice"} <= set(event.links)
    assert refresh(world, token, is_public=True).error == (400, "invalid_grant", "token_family_ended")
    assert public.pk


@pytest.mark.parametrize(
    ("stop", "code"),
    [
        ("client", "client_disabled"),
        ("agent", "agent_suspended"),
        ("sponsor", "sponsor_disabled"),
    ],
)
def test_who_is_stopped_is_refused_with_one_event(world: World, public: Client, stop: str, code: str) -> None:
    token = begin(world, is_public=True).body["refresh_token"]
    if stop == "client":
        clients.disable(public, by=SYSTEM, reason="leaked")
    elif stop == "agent":
        agents.suspend(world.agent, by=SYSTEM, reason="odd")
    else:
        people.disable(world.agent.sponsor, by=SYSTEM, reason="left")
    assert refresh(world, token, is_public=True).error[2] == code
    assert [event.code for event in worlds.refusals()] == [code]


def test_a_person_who_was_disabled_without_the_end_of_the_family_is_refused_too(world: World, public: Client) -> None:
    token = begin(world, is_public=True).body["refresh_token"]
    Person.objects.filter(pk=world.alice.pk).update(is_active=False, disabled_at=clock.now())
    assert refresh(world, token, is_public=True).error[2] == "person_disabled"
    Person.objects.filter(pk=world.alice.pk).update(is_active=True, disabled_at=None, sign_ins_valid_after=clock.now())
    assert refresh(world, token, is_public=True).error == (400, "invalid_grant", "token_revoked")
    assert public.pk


def test_a_client_without_an_agent_is_signed_in_for_long_too(world: World, public: Client) -> None:
    Client.objects.filter(pk=public.pk).update(agent=None)
    token = begin(world, is_public=True).body["refresh_token"]
    family = TokenFamily.objects.get()
    assert family.agent is None
    assert refresh(world, token, is_public=True).status == 200
    families.revoke(family.pk, by=SYSTEM, reason="odd")
    assert f"client:{public.client_id}" in Event.objects.get(action="token_family.revoked").links


def test_introspection_says_what_a_refresh_token_is_worth_to_its_own_client(
    world: World, public: Client, later: Move
) -> None:
    mine, theirs = begin(world).body["refresh_token"], begin(world, is_public=True).body["refresh_token"]

    def ask(token: str) -> dict[str, object]:
        return world.post("/idp/introspect", {"token": token, **idp.proof(world)}).body

    shown = ask(mine)
    assert (shown["active"], shown["sub"], shown["iss"]) == (True, "alice", world.idp)
    assert (shown["scope"], shown["token_type"]) == ("openid offline_access", "refresh_token")
    for other in (theirs, "mrt1.AAAA", refresh_tokens.make(TokenFamily.objects.get(client=world.client).pk, 2, "idp")):
        assert ask(other) == {"active": False}
    agents.suspend(world.agent, by=SYSTEM, reason="odd")
    assert ask(mine) == {"active": False}
    agents.restore(world.agent, by=world.agent.sponsor.principal, reason="looked at")
    assert ask(mine) == {"active": False}, "nothing from before the stop counts"
    mine = begin(world).body["refresh_token"]
    assert ask(mine)["active"] is True
    later(timedelta(days=14))
    assert ask(mine) == {"active": False}
    assert public.pk


def test_the_question_says_that_the_client_stays_signed_in_and_for_how_long(world: World, public: Client) -> None:
    ask = {"client_id": world.client.client_id, "scope": idp.SCOPE}
    make.rewrite(world.client, redirect_uris=flow.BACK)
    assert "for 30 days at most" in world.http.get("/idp/authorize", flow.question(**ask)).content.decode()
    page = world.http.get("/idp/authorize", flow.question(scope=idp.SCOPE)).content.decode()
    assert "stays signed in for 12 hours at most" in page
    assert "stays signed in" not in world.http.get("/idp/authorize", flow.question()).content.decode()
    assert public.pk


def test_the_metadata_says_that_a_sign_in_may_last(world: World) -> None:
    described = world.http.get("/.well-known/openid-configuration/idp").json()
    assert "refresh_token" in described["grant_types_supported"]
    assert described["scopes_supported"] == ["openid", "offline_access"]


def test_the_sign_in_of_an_old_browser_session_is_as_old_as_it_is(world: World, public: Client) -> None:
    flow.sign_in(world, ago=3600)
    first = begin(world, is_public=True)
    again = idp.id_token(refresh(world, first.body["refresh_token"], is_public=True))
    assert abs(time.time() - 3600 - again["auth_time"]) < 60
    assert public.pk
