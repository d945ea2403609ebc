"""Only ID tokens are taken as ID tokens, and no sign-in counts as newer than it is: exchange, code flow, leg 2."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone
from pytest_django.fixtures import Settings

from audit.context import SYSTEM
from audit.models import Event
from entitlements.clients.models import AuthorizationCode
from entitlements.keys import jws, signing
from entitlements.people import people
from entitlements.sessions.models import Session
from entitlements.tokens.models import IssuedToken
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import PARTNER, World

HOUR, DAY = 3600, 24 * 3600
LOGOUT: dict[str, Any] = {"http://schemas.openid.net/event/backchannel-logout": {}}


@pytest.fixture
def signed_in(world: World) -> World:
    """Let the agent's client use the code flow, and alice be signed in since an hour."""
    make.rewrite(world.client, redirect_uris=flow.BACK)
    world.alice.set_password("correct horse battery")
    world.alice.save()
    flow.sign_in(world, ago=HOUR)
    return world


def _own_id_token(world: World) -> str:
    back = flow.agree(world, client_id=world.client.client_id)
    answer = flow.redeem(world, back["code"], client_id=None, **world.credentials(world.idp))
    assert answer.status == 200, answer.body
    return str(answer.body["id_token"])


@pytest.mark.parametrize(
    ("typ", "claims"),
    [
        ("JWT", {"events": LOGOUT}),
        ("JWT", {"events": LOGOUT, "nonce": "n"}),
        ("logout+jwt", {}),
        ("secevent+jwt", {}),
        ("at+jwt", {}),
        ("oauth-id-jag+jwt", {}),
        ("JWT", {"scope": "openid mail"}),
        ("JWT", {"scp": "Mail.Read"}),
        ("JWT", {"typ": "Bearer"}),
        ("JWT", {"typ": "Logout"}),
        ("JWT", {"token_use": "access"}),
        ("JWT", {"sub": None}),
    ],
    ids=str,
)
def test_another_jwt_of_the_same_issuer_is_no_id_token(world: World, typ: str, claims: dict[str, Any]) -> None:
    before = worlds.standing()
    token = jws.sign({**_claims(world), **claims}, world.stub_key, typ)
    assert world.exchange(subject_token=token).error == (400, "invalid_grant", "token_invalid")
    assert worlds.standing() == before
    assert [event.code for event in worlds.refusals()] == ["token_invalid"]


def test_an_id_token_that_is_bound_to_a_key_is_not_taken_as_a_bearer_token(world: World) -> None:
    token = world.id_token(cnf={"jkt": "x"})
    assert world.exchange(subject_token=token).error == (400, "invalid_grant", "proof_invalid")


def test_what_providers_write_into_their_id_tokens_is_taken(world: World) -> None:
    more = {"typ": "ID", "token_use": "id", "nonce": "n", "azp": world.client.client_id, "roles": ["a"]}
    assert world.exchange(subject_token=jws.sign({**_claims(world), **more}, world.stub_key, "JWT")).status == 200


def test_an_id_token_lives_for_a_day_at_most_and_was_issued_before_now(world: World) -> None:
    now = int(time.time())
    cases: list[dict[str, Any]] = [
        {"exp": now + 10 * 365 * DAY},
        {"iat": now - DAY, "exp": now + 300},
        {"iat": now + 60},
    ]
    for times in cases:
        answer = world.exchange(subject_token=world.id_token(**times))
        assert answer.error == (400, "invalid_grant", "token_invalid"), times
    assert world.exchange(subject_token=world.id_token(iat=now - HOUR, exp=now + 12 * HOUR)).status == 200


def test_a_sign_in_that_is_too_old_is_refused_with_what_would_be_young_enough(world: World, settings: Settings) -> None:
    month = world.id_token(auth_time=int(time.time()) - 30 * DAY)
    answer = world.exchange(subject_token=month)
    assert answer.error == (400, "insufficient_user_authentication", "reauthentication_due")
    assert answer.body["max_age"] == 12 * HOUR
    assert [(event.code, event.detail["max_age"]) for event in worlds.refusals()] == [
        ("reauthentication_due", 12 * HOUR)
    ]

    settings.SIGN_IN_MAX_AGE = timedelta(minutes=15)
    assert world.exchange(subject_token=world.id_token(auth_time=int(time.time()) - 1000)).body["max_age"] == 900
    assert world.exchange(subject_token=world.id_token(auth_time=int(time.time()) - 800)).status == 200


def test_without_auth_time_the_age_of_the_token_decides_and_the_record_says_so(world: World) -> None:
    now = int(time.time())
    old = world.id_token(auth_time=None, iat=now - 13 * HOUR, exp=now + HOUR)
    answer = world.exchange(subject_token=old)
    assert answer.error == (400, "insufficient_user_authentication", "reauthentication_due")
    assert "The issuer sends no auth_time, so iat counts." in answer.body["error_description"]

    assert world.exchange(subject_token=world.id_token(auth_time=None, iat=now - 100)).status == 200
    assert world.exchange(subject_token=world.id_token(auth_time=now - 200)).status == 200
    issued = Event.objects.filter(action="token.issued").order_by("at")
    assert [event.detail["sign_in"] for event in issued] == [
        {"at": now - 100, "claim": "iat"},
        {"at": now - 200, "claim": "auth_time"},
    ]


def test_a_partners_id_jag_lives_five_minutes_at_most_and_tells_of_no_old_sign_in(world: World) -> None:
    key, now = worlds.new_key("partner"), int(time.time())
    partner = TrustedIssuer.objects.create(
        issuer=PARTNER, purpose="id_jag", jwks=worlds.key_set(key), algorithms=["ES256"], strict_single_use=False
    )
    people.link_identity(world.alice, partner, "p-alice", by=SYSTEM)
    usual = {
        "iss": PARTNER,
        "sub": "p-alice",
        "aud": world.audience,
        "client_id": world.client.client_id,
        "jti": "j",
        "iat": now,
        "exp": now + 300,
        "resource": world.resource,
    }

    def redeem(**claims: Any) -> worlds.Answer:  # noqa: ANN401 - any JSON
        return world.redeem(jws.sign({**usual, **claims}, key, "oauth-id-jag+jwt"))

    assert redeem(exp=now + 301).error == (400, "invalid_grant", "token_invalid")
    old = redeem(auth_time=now - 13 * HOUR)
    assert old.error == (400, "insufficient_user_authentication", "reauthentication_due")
    assert old.body["max_age"] == 12 * HOUR
    assert redeem(auth_time=now - 11 * HOUR).status == 200
    assert redeem().status == 200


def test_a_later_sign_in_elsewhere_does_not_make_an_earlier_one_younger(signed_in: World) -> None:
    began = int(time.time()) - HOUR
    back = flow.agree(signed_in, client_id=signed_in.client.client_id)
    flow.sign_in(signed_in, browser=Browser())  # another browser, a moment ago, between consent and code
    signed_in.alice.refresh_from_db()
    assert signed_in.alice.last_login is not None
    assert signed_in.alice.last_login > timezone.now() - timedelta(minutes=1)

    answer = flow.redeem(signed_in, back["code"], client_id=None, **signed_in.credentials(signed_in.idp))
    id_jag = signed_in.id_jag(subject_token=answer.body["id_token"])
    access = signed_in.redeem(id_jag).body["access_token"]

    times = [worlds.peek(token)["auth_time"] for token in (answer.body["id_token"], id_jag, access)]
    assert all(abs(at - began) <= 5 for at in times), (times, began)
    assert len(set(times)) == 1
    session = Session.objects.get()
    assert session.auth_time is not None
    assert int(session.auth_time.timestamp()) == times[0]


def test_a_code_that_does_not_say_when_the_person_signed_in_gives_nothing(signed_in: World) -> None:
    back = flow.agree(signed_in, client_id=signed_in.client.client_id)
    AuthorizationCode.objects.update(auth_time=None)
    answer = flow.redeem(signed_in, back["code"], client_id=None, **signed_in.credentials(signed_in.idp))
    assert answer.error == (400, "invalid_grant", "code_refused")
    assert not IssuedToken.objects.exists()


@pytest.mark.parametrize(
    ("ago", "asked", "is_due"),
    [
        (60, {}, False),
        (HOUR, {"max_age": "7200"}, False),
        (HOUR, {"max_age": "600"}, True),
        (60, {"prompt": "login"}, True),
        (60, {"max_age": "0"}, True),
        (13 * HOUR, {}, True),
        (13 * HOUR, {"max_age": "999999"}, True),
    ],
    ids=str,
)
def test_a_client_that_needs_a_newer_sign_in_gets_one(
    signed_in: World,
    ago: float,
    asked: dict[str, str],
    is_due: bool,  # noqa: FBT001 - a parameter
) -> None:
    flow.sign_in(signed_in, ago=ago)
    page = signed_in.http.get("/idp/authorize", flow.question(client_id=signed_in.client.client_id, **asked))
    assert page.status_code == (302 if is_due else 200)
    if is_due:
        assert page["Location"].startswith("/login/again/?next=%2Fidp%2Fauthorize%3F")
        onward = page["Location"].partition("next=")[2]
        assert "max_age" not in onward
        assert "prompt" not in onward

        session = signed_in.http.session
        session["account_authentication_methods"] += [{"method": "password", "at": time.time()}]
        session.save()
        assert abs(signing.verify(_own_id_token(signed_in), "idp", "jwt")["auth_time"] - time.time()) < 5


def test_where_no_page_may_be_shown_the_client_is_answered(signed_in: World) -> None:
    flow.sign_in(signed_in, ago=13 * HOUR)
    asked = flow.question(client_id=signed_in.client.client_id, prompt="none")
    answer = signed_in.http.get("/idp/authorize", asked)
    assert answer["Location"].startswith(f"{flow.BACK}?error=consent_required")
    assert "state=s1" in answer["Location"]
    assert "iss=" in answer["Location"]
    answer = signed_in.http.get("/idp/authorize", flow.question(client_id=signed_in.client.client_id, max_age="soon"))
    assert answer["Location"].startswith(f"{flow.BACK}?error=invalid_request")


def test_a_session_that_grew_too_old_while_the_question_was_shown_gives_no_code(signed_in: World) -> None:
    page = signed_in.http.get("/idp/authorize", flow.question(client_id=signed_in.client.client_id))
    flow.sign_in(signed_in, ago=13 * HOUR)
    answer = signed_in.http.post("/idp/authorize", {**flow.form(page.content.decode()), "allow": "1"})
    assert "error=login_required" in answer["Location"]
    assert not AuthorizationCode.objects.exists()


def test_what_the_session_says_of_another_person_counts_for_nothing(signed_in: World) -> None:
    session = signed_in.http.session
    session["account_authentication_methods_user"] = "0"
    session.save()
    answer = signed_in.http.get("/idp/authorize", flow.question(client_id=signed_in.client.client_id))
    assert answer["Location"].startswith("/login/again/")


def _claims(world: World) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": worlds.STUB,
        "sub": "u-alice",
        "aud": world.client.client_id,
        "iat": now,
        "exp": now + 300,
        "auth_time": now - 60,
    }
