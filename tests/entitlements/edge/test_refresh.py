"""A sign-in is refreshed: rights are decided anew, each token is used once, and a thief ends it for both."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements.clients import clients
from entitlements.clients.models import Client
from entitlements.feed.models import Change
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.keys import signing
from entitlements.people import people
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.token_families import refresh_tokens
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from tests import edge, make
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge.sign_ins import refresh, signed_in
from tests.entitlements.edge.worlds import World

Move = Callable[[timedelta], None]


@pytest.fixture
def desk(world: World) -> Client:
    client = sign_ins.public_client(world)
    grants.revoke(world.grant.pk, by=SYSTEM, reason="a longer one")
    make.grant(world.agent, world.entitlement, people=[world.alice], lasts=timedelta(days=60))
    return client


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Move:
    """Move the clock on, from now, each time."""
    real, moved = clock.now, timedelta(0)

    def move(by: timedelta) -> None:
        nonlocal moved
        moved += by
        monkeypatch.setattr(clock, "now", lambda: real() + moved)

    return move


def token(world: World) -> str:
    return str(signed_in(world).body["refresh_token"])


def refreshed(world: World, presented: str, **changes: str | None) -> str:
    answer = refresh(world, presented, **changes)
    assert answer.status == 200, answer.body
    return str(answer.body["refresh_token"])


def test_each_refresh_gives_an_access_token_and_the_next_refresh_token(world: World, desk: Client, later: Move) -> None:
    first = token(world)
    later(timedelta(minutes=5))

    answer = refresh(world, first)

    assert answer.status == 200, answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.body["refresh_token"] != first
    assert (answer.body["scope"], answer.body["resource"]) == (world.entitlement.scope, world.resource)
    assert answer.body["expires_in"] <= 300
    claims = signing.verify(answer.body["access_token"], f"as/{world.system.slug}", "at+jwt")
    assert (claims["sub"], claims["act"]["sub"], claims["aud"]) == ("alice", world.agent.slug, world.resource)
    family = TokenFamily.objects.get()
    assert (family.generation, len(family.retired)) == (2, 1)
    assert IssuedToken.objects.get(jti=claims["jti"]).family == family.pk
    issued = Event.objects.filter(action="token.issued").order_by("-at")[0]
    assert (issued.detail["flow"], f"token_family:{family.pk}" in issued.links) == ("refresh_token", True)
    assert desk.pk


def test_a_sign_in_says_where_its_client_last_came_from_until_it_ends(world: World, desk: Client) -> None:
    first = token(world)
    assert TokenFamily.objects.get().last_used_from == "127.0.0.1"
    world.http.defaults["REMOTE_ADDR"] = "2001:db8::7"
    refreshed(world, first)
    assert TokenFamily.objects.get().last_used_from == "2001:db8::7"
    world.http.defaults["REMOTE_ADDR"] = "/run/" + "s" * 100
    refreshed(world, first)
    assert TokenFamily.objects.get().last_used_from == "/run/" + "s" * 59
    clients.disable(desk, by=SYSTEM, reason="x")
    assert TokenFamily.objects.get().last_used_from == ""


def test_for_a_moment_a_used_token_gets_its_successor_again_and_then_ends_the_sign_in(
    world: World, desk: Client, later: Move
) -> None:
    first = token(world)
    second = refreshed(world, first)
    later(timedelta(seconds=55))
    assert refreshed(world, first) == second
    assert TokenFamily.objects.get().generation == 2
    issued = Event.objects.filter(action="token.issued").order_by("at")
    assert [event.detail.get("use") for event in issued] == [None, "current", "again"]
    later(timedelta(seconds=10))

    assert refresh(world, first).error == (400, "invalid_grant", "refresh_token_reused")

    assert refresh(world, second).error == (400, "invalid_grant", "token_family_ended")
    family = TokenFamily.objects.get()
    assert family.end_reason
    assert not IssuedToken.objects.filter(family=family.pk, revoked_at=None).exists()
    reused = Event.objects.get(action="token_family.reused")
    assert {f"token_family:{family.pk}", "person:alice", f"agent:{world.agent.slug}"} <= set(reused.links)
    assert [event.code for event in worlds.refusals()] == ["refresh_token_reused", "token_family_ended"]
    change = Change.objects.order_by("-pk")[0]
    assert (change.token_family_id, change.agent_id, change.concerns_all) == (family.pk, world.agent.pk, False)
    assert desk.pk


def test_a_generation_far_behind_ends_the_sign_in_too(world: World, desk: Client, later: Move) -> None:
    first = current = token(world)
    for _ in range(3):
        later(timedelta(minutes=4))
        current = refreshed(world, current)
    assert refresh(world, first).error == (400, "invalid_grant", "refresh_token_reused")
    assert refresh(world, current).error == (400, "invalid_grant", "token_family_ended")
    assert desk.pk


@pytest.mark.parametrize("used", ["code", "refresh_token"])
def test_no_sign_in_is_ended_for_a_client_that_a_node_only_remembers(
    world: World, desk: Client, later: Move, monkeypatch: pytest.MonkeyPatch, used: str
) -> None:
    """The node has not heard yet that the client was disabled; a second look tells it."""
    code = sign_ins.agree(world)["code"]
    first = str(sign_ins.redeem(world, code).body["refresh_token"])
    refreshed(world, first)
    later(timedelta(minutes=2))

    def fresh(_: edge.Reads) -> edge.Reads:
        Client.objects.filter(pk=desk.pk).update(status="disabled")
        return edge.Reads(is_fresh=True)

    async def rows(self: edge.Reads, statement: str, values: Any = ()) -> Any:  # noqa: ANN401 - as its own
        self.is_from_memory |= not self.is_fresh
        return await real(self, statement, values)

    real = edge.Reads.rows
    monkeypatch.setattr(edge.Reads, "rows", rows)
    monkeypatch.setattr(edge.Reads, "fresh", fresh)
    answer = refresh(world, first) if used == "refresh_token" else sign_ins.redeem(world, code)
    assert answer.error == (401, "invalid_client", "client_disabled")
    assert not Event.objects.filter(action="token_family.reused").exists()


@override_settings(REFRESH_REUSE_WINDOW=timedelta(0))
def test_the_window_is_a_setting(world: World, desk: Client, later: Move) -> None:
    first = token(world)
    refreshed(world, first)
    later(timedelta(seconds=1))
    assert refresh(world, first).error == (400, "invalid_grant", "refresh_token_reused")
    assert desk.pk


def test_a_client_that_proves_itself_keeps_its_token_for_thirty_days(world: World, desk: Client, later: Move) -> None:
    make.rewrite(world.client, redirect_uris=sign_ins.BACK)
    mine = {"client_id": None}
    code = sign_ins.agree(world, client_id=world.client.client_id)["code"]
    first = sign_ins.redeem(world, code, **mine, **world.credentials(world.audience)).body["refresh_token"]
    for _ in range(3):
        later(timedelta(days=9))
        answer = refresh(world, first, **mine, **world.credentials(world.audience, iat=_now(), exp=_now() + 60))
        assert (answer.status, answer.body.get("refresh_token")) == (200, first), answer.body
    later(timedelta(days=4))
    answer = refresh(world, first, **mine, **world.credentials(world.audience, iat=_now(), exp=_now() + 60))
    assert answer.error == (400, "invalid_grant", "token_family_expired")
    assert desk.pk


def _now() -> int:
    return int(clock.now().timestamp())


def test_fourteen_days_without_use_end_a_sign_in(world: World, desk: Client, later: Move) -> None:
    make.rewrite(world.client, redirect_uris=sign_ins.BACK)
    code = sign_ins.agree(world, client_id=world.client.client_id)["code"]
    first = sign_ins.redeem(world, code, client_id=None, **world.credentials(world.audience)).body["refresh_token"]
    later(timedelta(days=14))
    proof = world.credentials(world.audience, iat=_now(), exp=_now() + 60)
    assert refresh(world, first, client_id=None, **proof).error == (400, "invalid_grant", "token_family_expired")
    assert desk.pk


def test_a_public_client_is_signed_in_for_twelve_hours_and_its_sessions_hours_end_nothing(
    world: World, desk: Client, later: Move
) -> None:
    current = token(world)
    for _ in range(5):
        later(timedelta(hours=2))
        current = refreshed(world, current)
    assert Session.objects.count() == 6
    later(timedelta(hours=2))
    assert refresh(world, current).error == (400, "invalid_grant", "token_family_expired")
    assert desk.pk


def test_two_systems_go_on_in_one_session_after_an_idle_hour(world: World, desk: Client, later: Move) -> None:
    one, two = token(world), token(world)
    later(timedelta(hours=2))
    refreshed(world, one)
    refreshed(world, two)
    assert Session.objects.count() == 2
    assert len(set(TokenFamily.objects.values_list("session", flat=True))) == 1
    assert desk.pk


def test_a_session_that_a_person_ends_has_no_successor(world: World, desk: Client, later: Move) -> None:
    current = token(world)
    sessions.end(Session.objects.get().pk, by=SYSTEM, reason="odd")
    later(timedelta(hours=2))
    assert refresh(world, current).error == (400, "invalid_grant", "session_ended")
    assert Session.objects.count() == 1
    assert desk.pk


def test_a_refresh_carries_what_is_held_now_within_what_was_agreed_to(world: World, desk: Client) -> None:
    more = make.entitlement(world.system, scope="time:more")
    narrow, wide = signed_in(world, scope="time:read").body["refresh_token"], token(world)
    make.grant(world.agent, more, people=[world.alice], lasts=timedelta(days=60))
    assert refresh(world, narrow).body["scope"] == "time:read"
    assert set(refresh(world, wide).body["scope"].split()) == {"time:more", "time:read"}
    assert refresh(world, wide, scope="time:more").body["scope"] == "time:more"
    assert refresh(world, narrow, scope="time:more").error[:2] == (400, "access_denied")
    assert desk.pk


def test_a_refresh_token_is_its_own_clients_at_its_own_system(world: World, desk: Client) -> None:
    other = sign_ins.public_client(world, "other-client")
    elsewhere = make.system("elsewhere")
    current = token(world)
    assert refresh(world, current, client_id=other.client_id).error == (400, "invalid_grant", "refresh_token_unknown")
    form = {"grant_type": "refresh_token", "client_id": desk.client_id}
    as_of_there = refresh_tokens.make(TokenFamily.objects.get().pk, 1, f"as/{elsewhere.slug}")
    for token_there in (current, as_of_there):
        answer = world.post(f"/as/{elsewhere.slug}/token", {**form, "refresh_token": token_there})
        assert answer.error == (400, "invalid_grant", "refresh_token_unknown")
    assert refresh(world, current, resource="https://elsewhere.example").error[1] == "invalid_target"
    assert refresh(world, "mrt1.AAAA").error == (400, "invalid_grant", "refresh_token_unknown")
    assert refresh(world, current, grant_type="password").error[0] in {400, 401}
    assert TokenFamily.objects.get().generation == 1


@pytest.mark.parametrize("who", ["person", "client"])
def test_who_was_disabled_and_is_back_signs_in_again(world: World, desk: Client, who: str) -> None:
    current = token(world)
    if who == "person":
        people.disable(world.alice, by=SYSTEM, reason="left")
        people.enable(world.alice, by=SYSTEM, reason="back")
    else:
        clients.disable(desk, by=SYSTEM, reason="leaked")
        clients.enable(desk, by=world.agent.sponsor.principal, reason="looked at")
    assert refresh(world, current).error == (400, "invalid_grant", "token_family_ended")
    assert Event.objects.filter(action="token_family.revoked").count() == 1
    assert [event.code for event in worlds.refusals()] == ["token_family_ended"]
    TokenFamily.objects.update(ended_at=None)
    Session.objects.update(ended_at=None)
    assert refresh(world, current).error == (400, "invalid_grant", "token_revoked"), "by what counts since then as well"


def test_a_client_revokes_its_refresh_token_and_all_that_came_of_it(world: World, desk: Client) -> None:
    other = sign_ins.public_client(world, "other-client")
    current = token(world)
    theirs = {"token": current, "client_id": other.client_id}
    assert world.post(f"/as/{world.system.slug}/revoke", theirs).status == 200
    assert TokenFamily.objects.get().ended_at is None

    for _ in range(2):
        answer = world.post(f"/as/{world.system.slug}/revoke", {"token": current, "client_id": desk.client_id})
        assert (answer.status, answer.response.content) == (200, b"")

    family = TokenFamily.objects.get()
    assert family.ended_at is not None
    assert not IssuedToken.objects.filter(family=family.pk, revoked_at=None).exists()
    assert Event.objects.filter(action="token_family.revoked").count() == 1
    assert refresh(world, current).error == (400, "invalid_grant", "token_family_ended")


def test_a_public_client_revokes_an_access_token_of_its_own(world: World, desk: Client) -> None:
    answer = signed_in(world).body
    form = {"token": answer["access_token"], "client_id": desk.client_id}
    assert world.post(f"/as/{world.system.slug}/revoke", form).status == 200
    assert IssuedToken.objects.get().revoked_at is not None
    assert refresh(world, answer["refresh_token"]).status == 200


def test_introspection_says_what_a_refresh_token_is_worth_to_its_own_client(
    world: World, desk: Client, later: Move
) -> None:
    make.rewrite(world.client, redirect_uris=sign_ins.BACK)
    code = sign_ins.agree(world, client_id=world.client.client_id)["code"]
    answer = sign_ins.redeem(world, code, client_id=None, **world.credentials(world.audience))
    mine, theirs = answer.body["refresh_token"], token(world)

    def ask(asked: str) -> dict[str, object]:
        proof = world.credentials(world.audience, iat=_now(), exp=_now() + 60)
        return world.post(f"/as/{world.system.slug}/introspect", {"token": asked, **proof}).body

    said = ask(mine)
    assert (said["active"], said["sub"], said["client_id"]) == (True, "alice", world.client.client_id)
    assert (said["scope"], said["token_type"]) == (world.entitlement.scope, "refresh_token")
    assert ask(theirs) == {"active": False}
    assert ask("mrt1.AAAA") == {"active": False}
    held = Grant.objects.filter(ended_at=None)
    held.update(state="suspended")
    assert ask(mine) == {"active": False}
    held.update(state="active")
    later(timedelta(days=14))
    assert ask(mine) == {"active": False}
    assert desk.pk
