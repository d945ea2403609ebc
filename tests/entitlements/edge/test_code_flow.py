"""The code flow: django-oauth-toolkit does it, and each thing that it would do too loosely is pinned here."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.conf import settings
from django.test import Client as Browser
from django.urls import get_resolver
from django.utils import timezone

from audit.context import SYSTEM
from audit.models import Event
from entitlements.agents import agents
from entitlements.clients import clients
from entitlements.clients.models import AuthorizationCode, Client, OAuthAccessToken, OAuthRefreshToken
from entitlements.keys import signing
from entitlements.people import people
from tests import make
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import Answer, World

BACK = "http://127.0.0.1:7777/back"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@pytest.fixture
def public(world: World) -> Client:
    client, _ = make.client(world.agent, "public-client", auth=Client.Auth.NONE)
    make.rewrite(client, redirect_uris=BACK)
    world.alice.set_password("correct horse battery")
    world.alice.save()
    sign_in(world)
    return client


def sign_in(world: World, *, ago: float = 0, browser: Browser | None = None) -> None:
    """Give a browser the session of alice, who proved who she is so many seconds ago."""
    browser = browser or world.http
    browser.force_login(world.alice)
    session = browser.session
    session["account_authentication_methods"] = [{"method": "password", "at": time.time() - ago}]
    session["account_authentication_methods_user"] = str(world.alice.pk)
    session.save()


def question(**changes: str | None) -> dict[str, str]:
    usual: dict[str, str | None] = {
        "response_type": "code",
        "client_id": "public-client",
        "redirect_uri": BACK,
        "scope": "openid",
        "state": "s1",
        "nonce": "n1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


def agree(world: World, *, allow: bool = True, **changes: str | None) -> dict[str, str]:
    """Answer the consent page's form and return what the client's address is sent."""
    page = world.http.get("/idp/authorize", question(**changes))
    assert page.status_code == 200, page.content
    sent = form(page.content.decode()) | ({"allow": "1"} if allow else {})
    answer = world.http.post("/idp/authorize?" + urlencode(question(**changes)), sent)
    assert answer.status_code == 302, answer.content
    assert answer["Location"].startswith(BACK)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer["Location"]).query).items()}


def form(page: str) -> dict[str, str]:
    """Return what the consent page's form holds."""
    found = dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', page))
    return {name: value for name, value in found.items() if name != "allow"}


def redeem(world: World, code: str, **changes: str | None) -> Answer:
    usual: dict[str, str | None] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": BACK,
        "code_verifier": VERIFIER,
        "client_id": "public-client",
    }
    return world.post("/idp/token", {name: value for name, value in {**usual, **changes}.items() if value is not None})


def test_a_person_signs_in_and_the_client_gets_an_id_token_of_our_key(world: World, public: Client) -> None:
    back = agree(world)
    assert (back["state"], back["iss"]) == ("s1", world.idp)

    answer = redeem(world, back["code"])

    assert answer.status == 200, answer.body
    assert answer.headers["Cache-Control"] == "no-store"
    claims = signing.verify(answer.body["id_token"], "idp", "jwt")
    assert (claims["iss"], claims["sub"], claims["aud"]) == (world.idp, "alice", public.client_id)
    assert (claims["nonce"], worlds.header(answer.body["id_token"])["alg"]) == ("n1", "ES256")
    assert claims["exp"] - claims["iat"] == 300
    issued = Event.objects.filter(action="token.issued", links__contains=[f"token:{claims['jti']}"])
    assert [event.detail["kind"] for event in issued] == ["id_token"]


def test_our_own_id_token_is_exchanged_for_an_id_jag(world: World, public: Client) -> None:
    make.rewrite(world.client, redirect_uris=BACK)
    back = agree(world, client_id=world.client.client_id)
    answer = redeem(world, back["code"], client_id=None, **world.credentials(world.idp))
    assert world.exchange(subject_token=answer.body["id_token"]).status == 200
    assert public.pk != world.client.pk


def test_nothing_that_opens_a_door_is_stored_in_clear_and_nothing_lives_for_hours(world: World, public: Client) -> None:
    code = agree(world)["code"]
    assert code not in AuthorizationCode.objects.values_list("code", flat=True)
    assert AuthorizationCode.objects.get().expires <= timezone.now() + timedelta(seconds=60)
    answer = redeem(world, code).body
    row = OAuthAccessToken.objects.get(application=public)
    assert row.token == ""
    assert row.expires <= timezone.now() + timedelta(seconds=300)
    assert answer["expires_in"] <= 300


def test_no_refresh_token_is_made(world: World, public: Client) -> None:
    assert "refresh_token" not in redeem(world, agree(world)["code"]).body
    assert not OAuthRefreshToken.objects.filter(application=public).exists()


def test_a_code_works_once_for_its_client_with_its_proof(world: World, public: Client) -> None:
    code = agree(world)["code"]
    assert redeem(world, code, code_verifier="w" * 64).error[:2] == (400, "invalid_grant")
    assert redeem(world, code, code_verifier=None).error[:2] == (400, "invalid_request")
    assert redeem(world, code, redirect_uri="http://127.0.0.1:7777/other").error[:2] == (400, "invalid_grant")
    assert redeem(world, code, client_id=None, **world.credentials(world.idp)).error == (
        400,
        "invalid_grant",
        "code_unknown",
    )
    assert redeem(world, code).status == 200
    assert redeem(world, code).error == (400, "invalid_grant", "code_unknown")
    assert public.pk


@pytest.mark.parametrize("who", ["person", "agent", "sponsor", "client"])
def test_who_was_disabled_after_agreeing_gets_nothing(world: World, public: Client, who: str) -> None:
    code = agree(world)["code"]
    match who:
        case "person":
            people.disable(world.alice, by=SYSTEM, reason="left")
        case "agent":
            agents.suspend(world.agent, by=SYSTEM, reason="odd")
        case "sponsor":
            people.disable(world.agent.sponsor, by=SYSTEM, reason="left")
        case _:
            Client.objects.filter(pk=public.pk).update(status="disabled")

    answer = redeem(world, code)

    assert answer.status in {400, 401}
    assert answer.body["code"] in {"person_disabled", "agent_suspended", "sponsor_disabled", "client_disabled"}
    assert not OAuthAccessToken.objects.exists()
    assert [event.code for event in worlds.refusals()] == [answer.body["code"]]


def test_a_code_from_before_its_person_was_disabled_stays_dead_when_the_person_is_back(
    world: World, public: Client
) -> None:
    code = agree(world)["code"]
    people.disable(world.alice, by=SYSTEM, reason="left")
    people.enable(world.alice, by=SYSTEM, reason="back")
    assert redeem(world, code).error == (400, "invalid_grant", "token_revoked")
    assert public.pk


def test_a_code_from_before_its_client_was_stopped_stays_dead_when_the_client_is_back(
    world: World, public: Client
) -> None:
    code = agree(world)["code"]
    clients.disable(public, by=SYSTEM, reason="leaked")
    clients.enable(public, by=SYSTEM, reason="looked at")
    assert redeem(world, code).error == (400, "invalid_grant", "token_revoked")


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
        {"response_type": "token"},
        {"response_type": "id_token", "nonce": "n"},
        {"scope": "everything"},
        {"scope": "profile email"},
    ],
    ids=str,
)
def test_what_we_do_not_offer_is_refused_at_the_clients_address(
    world: World, public: Client, changes: dict[str, str | None]
) -> None:
    answer = world.http.get("/idp/authorize", question(**changes))
    assert answer.status_code == 302
    assert answer["Location"].startswith(f"{BACK}?")
    back = parse_qs(urlsplit(answer["Location"]).query)
    assert (back["state"], back["iss"]) == (["s1"], [world.idp])
    expected = ["invalid_scope"] if "scope" in changes else back["error"]
    assert back["error"] == expected
    assert not AuthorizationCode.objects.exists()
    assert public.pk


@pytest.mark.parametrize("scope", [None, ""])
def test_a_client_that_names_no_scope_asks_who_signs_in(world: World, public: Client, scope: str | None) -> None:
    answer = redeem(world, agree(world, scope=scope, nonce="n-0S6_WzA2Mj")["code"])
    assert (answer.status, answer.body["scope"]) == (200, "openid")
    claims = signing.verify(answer.body["id_token"], "idp", "jwt")
    assert (claims["sub"], claims["nonce"], claims["aud"]) == ("alice", "n-0S6_WzA2Mj", public.client_id)
    refused = world.http.get("/idp/authorize", question(scope=scope, prompt="none"))
    assert "error=consent_required" in refused["Location"]


@pytest.mark.parametrize("scope", ["openid profile email", "everything openid", "openid"])
def test_scopes_that_are_not_known_are_ignored_and_the_answer_says_what_was_granted(
    world: World, public: Client, scope: str
) -> None:
    code = agree(world, scope=scope)["code"]
    assert AuthorizationCode.objects.get().scope == "openid"

    answer = redeem(world, code)

    assert (answer.status, answer.body["scope"]) == (200, "openid")
    assert signing.verify(answer.body["id_token"], "idp", "jwt")["sub"] == "alice"
    assert OAuthAccessToken.objects.get(application=public).scope == "openid"
    issued = Event.objects.filter(action="token.issued").get()
    assert issued.detail["scope"] == "openid"


def test_an_answer_to_the_question_grants_no_scope_that_its_form_was_made_to_hold(world: World, public: Client) -> None:
    sent = {**form(world.http.get("/idp/authorize", question()).content.decode()), "allow": "1"}
    answer = world.http.post("/idp/authorize", {**sent, "scope": "openid everything"})
    assert answer.status_code == 302
    assert AuthorizationCode.objects.get(application=public).scope == "openid"

    for broken in ({"scope": "everything"}, {"scope": ""}):
        answer = world.http.post("/idp/authorize", {**sent, **broken})
        is_answered = answer.status_code == 400 or "error=invalid_scope" in answer["Location"]
        assert is_answered, broken  # and never the same question again
    assert AuthorizationCode.objects.count() == 1


def test_an_unknown_client_or_address_is_never_sent_anybody(world: World, public: Client) -> None:
    answers = [
        world.http.get("/idp/authorize", question(**changes))
        for changes in ({"redirect_uri": "https://evil.example/"}, {"client_id": "no-client"})
    ]
    Client.objects.filter(pk=public.pk).update(status="disabled")
    answers.append(world.http.get("/idp/authorize", question()))
    assert [(each.status_code, "Location" in each.headers) for each in answers] == [(400, False)] * 3


def test_a_parameter_sent_twice_is_refused(world: World, public: Client) -> None:
    answer = world.http.get("/idp/authorize?" + urlencode(question()) + "&scope=openid")
    assert answer.status_code == 400
    assert public.pk


def test_saying_no_tells_the_client_so(world: World, public: Client) -> None:
    back = agree(world, allow=False)
    assert (back["error"], back["iss"]) == ("access_denied", world.idp)
    assert public.pk


def test_a_stranger_must_sign_in_first_and_the_pages_are_locked_down(world: World, public: Client) -> None:
    page = world.http.get("/idp/authorize", question())
    assert "form-action 'self' http://127.0.0.1:7777" in page["Content-Security-Policy"]
    world.http.logout()
    answer = world.http.get("/idp/authorize", question())
    assert answer.status_code == 302
    assert answer["Location"].startswith(settings.LOGIN_URL)
    assert public.pk


def test_the_toolkits_own_addresses_are_not_there(world: World) -> None:
    modules = {getattr(view, "__module__", "") for view in _views(get_resolver())}
    assert modules
    assert not {module for module in modules if module.startswith("oauth2_provider")}
    for path in ("/o/token/", "/o/introspect/", "/oauth/token", "/idp/device_authorization"):
        assert world.http.post(path).status_code in {403, 404}


def test_the_gates_of_the_toolkit_are_shut() -> None:
    given = settings.OAUTH2_PROVIDER
    gates = [name for name in given if name.startswith("COMPLIANT_BCP_RFC9700")]
    assert len(gates) >= 9
    assert all(given[name] for name in gates)
    assert given["ACCESS_TOKEN_EXPIRE_SECONDS"] <= 300
    assert given["DEFAULT_SCOPES"] == []


def test_the_access_token_of_the_flow_is_inspected_by_its_client_alone(world: World, public: Client) -> None:
    make.rewrite(world.client, redirect_uris=BACK)
    back = agree(world, client_id=world.client.client_id)
    token = redeem(world, back["code"], client_id=None, **world.credentials(world.idp)).body["access_token"]
    other, secret = make.client(world.agent, "other", auth="client_secret_basic")

    mine = world.post("/idp/introspect", {"token": token, **world.credentials(world.idp)})
    theirs = world.post("/idp/introspect", {"token": token, "client_id": other.client_id, "client_secret": secret})

    assert (mine.body["active"], mine.body["sub"]) == (True, "alice")
    assert theirs.body == {"active": False}
    people.disable(world.alice, by=SYSTEM, reason="left")
    assert world.post("/idp/introspect", {"token": token, **world.credentials(world.idp)}).body == {"active": False}
    assert public.pk


def test_a_revoked_access_token_of_the_flow_is_inactive(world: World, public: Client) -> None:
    token = redeem(world, agree(world)["code"]).body["access_token"]
    answer = world.post("/idp/revoke", {"token": token, "client_id": public.client_id})
    assert answer.status == 200
    assert OAuthAccessToken.objects.get().expires <= timezone.now()


def _views(resolver: Any) -> Iterator[Any]:  # noqa: ANN401 - a resolver or a pattern
    for pattern in getattr(resolver, "url_patterns", []):
        if hasattr(pattern, "url_patterns"):
            yield from _views(pattern)
        else:
            yield getattr(pattern.callback, "view_class", pattern.callback)
