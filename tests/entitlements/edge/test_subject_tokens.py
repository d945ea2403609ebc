"""A refresh token of the identity side as a subject token (EMA-I-3) is checked as a refresh checks it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from audit import clock
from audit.context import SYSTEM
from audit.models import Event
from entitlements import addresses
from entitlements.agents import agents
from entitlements.clients.models import Client
from entitlements.grants import grants
from entitlements.grants.models import Grant
from entitlements.keys import signing
from entitlements.people.models import Person
from entitlements.sessions import sessions
from entitlements.sessions.models import Session
from entitlements.token_families import families, refresh_tokens
from entitlements.token_families.models import TokenFamily
from entitlements.tokens.models import IssuedToken
from tests import make
from tests.entitlements.edge import idp_sign_ins as idp
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge import worlds
from tests.entitlements.edge.idp_sign_ins import begin, exchange_refresh_token
from tests.entitlements.edge.test_idp_refresh import Move, later
from tests.entitlements.edge.worlds import Answer, World

__all__ = ["later"]


@pytest.fixture
def signed_in(world: World) -> Answer:
    """Sign alice in for long at the agent's confidential client; her agent's grant lasts for long too."""
    grants.revoke(world.grant.pk, by=SYSTEM, reason="a longer one")
    make.grant(world.agent, world.entitlement, people=[world.alice], lasts=timedelta(days=60))
    flow.sign_in(world)
    return begin(world)


def redeem(world: World, answer: Answer) -> Answer:
    assert answer.status == 200, answer.body
    return world.redeem(answer.body["access_token"], **idp.proof(world, world.audience))


def test_a_refresh_token_is_exchanged_and_not_replaced(world: World, signed_in: Answer) -> None:
    token, first = signed_in.body["refresh_token"], idp.id_token(signed_in)

    answers = [exchange_refresh_token(world, token) for _ in range(2)]

    claims = signing.verify(answers[0].body["access_token"], "idp", "oauth-id-jag+jwt")
    assert (claims["sub"], claims["aud"], claims["client_id"]) == ("alice", world.audience, world.client.client_id)
    assert claims["auth_time"] == first["auth_time"]
    assert "refresh_token" not in answers[0].body
    family = TokenFamily.objects.get()
    assert (family.generation, family.retired) == (1, [])
    access = redeem(world, answers[1])
    assert access.status == 200, access.body
    rows = IssuedToken.objects.values_list("kind", "family")
    assert sorted(rows) == [("access_token", family.pk), ("id_jag", family.pk), ("id_jag", family.pk)]
    assert Session.objects.count() == 1
    assert family.session_id == Session.objects.get().pk


def test_the_id_token_and_the_refresh_token_of_one_sign_in_share_its_session(world: World, signed_in: Answer) -> None:
    by_id_token = world.exchange(subject_token=signed_in.body["id_token"])
    by_refresh_token = exchange_refresh_token(world, signed_in.body["refresh_token"])
    sids = {worlds.peek(answer.body["access_token"])["sid"] for answer in (by_id_token, by_refresh_token)}
    assert sids == {str(Session.objects.get().pk)}


def test_a_sign_in_that_lasts_is_exchanged_for_weeks_whatever_its_session_does(
    world: World, signed_in: Answer, later: Move
) -> None:
    token = signed_in.body["refresh_token"]
    assert redeem(world, exchange_refresh_token(world, token)).status == 200
    later(timedelta(days=3))
    assert redeem(world, exchange_refresh_token(world, token)).status == 200
    fresh = idp.refresh(world, token)
    answer = world.exchange(subject_token=fresh.body["id_token"], **idp.proof(world))
    assert redeem(world, answer).status == 200
    assert Session.objects.count() == 2
    assert world.exchange(subject_token=signed_in.body["id_token"], **idp.proof(world)).error[2] == "token_expired"


def test_an_id_token_without_a_family_is_still_of_a_recent_sign_in(world: World) -> None:
    make.rewrite(world.client, redirect_uris=flow.BACK)
    flow.sign_in(world, ago=11 * 3600)
    answer = begin(world, scope="openid")
    ago = int(clock.now().timestamp()) - 13 * 3600
    old = signing.sign("idp", {**worlds.peek(answer.body["id_token"]), "auth_time": ago}, "JWT")
    assert world.exchange(subject_token=old).error[1] == "insufficient_user_authentication"


def test_each_way_to_present_what_is_no_refresh_token_here_is_refused(world: World, signed_in: Answer) -> None:
    family, before = TokenFamily.objects.get(), worlds.standing()
    other, secret = make.client(world.agent, "other", auth="client_secret_basic")
    of_system = make.token_family(idp.session(world, world.client), world.system)
    token, at_system = signed_in.body["refresh_token"], addresses.issuer_path(world.system.slug)
    unknown = (400, "invalid_grant", "refresh_token_unknown")
    theirs = exchange_refresh_token(world, token, client_id=other.client_id, client_secret=secret)
    assert theirs.error == unknown
    for presented in (
        refresh_tokens.make(of_system.pk, 1, at_system),
        refresh_tokens.make(of_system.pk, 1, addresses.IDP),
        refresh_tokens.make(family.pk, 2, addresses.IDP),
        refresh_tokens.make(family.pk, 1, at_system),
        signed_in.body["id_token"],
        "mrt1.AAAA",
    ):
        assert exchange_refresh_token(world, presented).error == unknown
    assert world.exchange(subject_token=token).error[:2] == (400, "invalid_grant"), "as an ID token"
    assert worlds.standing()[0] == before[0]
    assert len(worlds.refusals()) == 8


def test_a_public_client_exchanges_nothing(world: World, signed_in: Answer) -> None:
    make.client(world.agent, "public-client", auth=Client.Auth.NONE)
    answer = exchange_refresh_token(world, signed_in.body["refresh_token"], client_id="public-client")
    assert answer.error[:2] == (401, "invalid_client")


def test_a_retired_token_counts_for_a_moment_and_then_ends_the_sign_in(
    world: World, signed_in: Answer, later: Move
) -> None:
    """A client that was public when its token was replaced proves itself now."""
    family = TokenFamily.objects.get()
    TokenFamily.objects.update(generation=2, retired=[clock.now()])
    first = signed_in.body["refresh_token"]
    assert exchange_refresh_token(world, first).status == 200
    later(timedelta(seconds=61))
    assert exchange_refresh_token(world, first).error == (400, "invalid_grant", "refresh_token_reused")
    current = refresh_tokens.make(family.pk, 2, addresses.IDP)
    assert exchange_refresh_token(world, current).error == (400, "invalid_grant", "token_family_ended")
    assert Event.objects.filter(action="token_family.reused").count() == 1
    assert not IssuedToken.objects.filter(family=family.pk, revoked_at=None).exists()


def _end(_: World) -> None:
    families.revoke(TokenFamily.objects.get().pk, by=SYSTEM, reason="odd")


def _disable(world: World) -> None:
    Person.objects.filter(pk=world.alice.pk).update(is_active=False, disabled_at=clock.now())


def _was_disabled(world: World) -> None:
    Person.objects.filter(pk=world.alice.pk).update(sign_ins_valid_after=clock.now())


def _restore(world: World) -> None:
    agents.suspend(world.agent, by=SYSTEM, reason="odd")
    agents.restore(world.agent, by=world.agent.sponsor.principal, reason="looked at")


def _end_session(world: World) -> None:
    exchange_refresh_token(world, refresh_tokens.make(TokenFamily.objects.get().pk, 1, addresses.IDP))
    sessions.end(Session.objects.get().pk, by=SYSTEM, reason="odd")


def _no_grant(_: World) -> None:
    Grant.objects.filter(ended_at=None).update(state="suspended")


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_end, "token_family_ended"),
        (_disable, "person_disabled"),
        (_was_disabled, "token_revoked"),
        (_restore, "token_revoked"),
        (_end_session, "session_ended"),
        (_no_grant, "grant_suspended"),
    ],
)
@pytest.mark.parametrize("kind", ["refresh_token", "id_token"])
def test_what_was_taken_away_is_refused_with_one_event(
    world: World, signed_in: Answer, spoil: Callable[[World], None], code: str, kind: str
) -> None:
    spoil(world)
    if kind == "id_token":
        answer = world.exchange(subject_token=signed_in.body["id_token"])
    else:
        answer = exchange_refresh_token(world, signed_in.body["refresh_token"])
    assert answer.error[2] == code
    assert [event.code for event in worlds.refusals()] == [code]


def test_an_expired_sign_in_is_exchanged_no_more(world: World, signed_in: Answer, later: Move) -> None:
    later(timedelta(days=14))
    answer = exchange_refresh_token(world, signed_in.body["refresh_token"])
    assert answer.error == (400, "invalid_grant", "token_family_expired")


def test_the_end_of_a_sign_in_reaches_what_was_redeemed_two_steps_on(world: World, signed_in: Answer) -> None:
    answer = exchange_refresh_token(world, signed_in.body["refresh_token"])
    unused = exchange_refresh_token(world, signed_in.body["refresh_token"])
    access = redeem(world, answer).body["access_token"]
    asked = {"token": access, **world.credentials(world.audience)}
    path = f"/as/{world.system.slug}/introspect"
    assert world.post(path, asked).body["active"] is True

    families.revoke(TokenFamily.objects.get().pk, by=SYSTEM, reason="stolen")

    assert world.post(path, {**asked, **world.credentials(world.audience)}).body == {"active": False}
    assert redeem(world, unused).error[:2] == (400, "invalid_grant")
    assert not IssuedToken.objects.filter(revoked_at=None).exists()


def test_a_sign_in_for_one_resource_is_exchanged_for_no_other(world: World) -> None:
    flow.sign_in(world)
    answer = begin(world, resource=world.resource)
    assert TokenFamily.objects.get().resource == world.resource
    assert exchange_refresh_token(world, answer.body["refresh_token"]).status == 200
    elsewhere = make.system("elsewhere")
    signing.ensure(addresses.issuer_path(elsewhere.slug))
    there = {"audience": addresses.issuer(addresses.issuer_path(elsewhere.slug)), "resource": None}
    assert exchange_refresh_token(world, answer.body["refresh_token"], **there).error[1] == "invalid_target"


def test_an_id_token_of_another_kind_of_family_is_refused(world: World, signed_in: Answer) -> None:
    of_system = make.token_family(idp.session(world, world.client), world.system)
    for sid in (str(of_system.pk), "x"):
        claims = {**worlds.peek(signed_in.body["id_token"]), "sid": sid}
        forged = signing.sign("idp", claims, "JWT")
        assert world.exchange(subject_token=forged).error == (400, "invalid_grant", "token_invalid")


def test_a_subject_token_of_another_type_is_refused(world: World, signed_in: Answer) -> None:
    answer = exchange_refresh_token(
        world, signed_in.body["refresh_token"], subject_token_type="urn:ietf:params:oauth:token-type:access_token"
    )
    assert answer.error == (400, "invalid_request", "subject_token_type_not_supported")


def test_the_persons_other_name_of_now_is_in_what_follows(world: World, signed_in: Answer) -> None:
    Person.objects.filter(pk=world.alice.pk).update(login="alice2")
    answer = exchange_refresh_token(world, signed_in.body["refresh_token"])
    assert worlds.peek(answer.body["access_token"])["sub"] == "alice2"
    assert idp.id_token(idp.refresh(world, signed_in.body["refresh_token"]))["sub"] == "alice2"
