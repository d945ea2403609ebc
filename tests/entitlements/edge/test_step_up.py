"""A client asks by `acr_values` for a sign-in of some strength, at both endpoints; tokens say which it was."""

# ruff: noqa: ANN401 - responses of Django's client

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from django.urls import reverse

from entitlements.authentication import MULTI_FACTOR, OWN, PASSWORD, PHISHING_RESISTANT
from entitlements.clients.models import AuthorizationCode, Client
from entitlements.edge.grant_types import exchange
from entitlements.keys import signing
from entitlements.token_families.models import TokenFamily
from tests import make, second_factor
from tests.entitlements.edge import idp_sign_ins as idp
from tests.entitlements.edge import sign_ins, worlds
from tests.entitlements.edge import test_code_flow as flow
from tests.entitlements.edge.worlds import World

PLACES = ["idp", "system"]


@pytest.fixture
def public(world: World) -> Client:
    client, _ = make.client(world.agent, "public-client", auth=Client.Auth.NONE)
    make.rewrite(client, redirect_uris=flow.BACK)
    world.alice.set_password("correct horse battery")
    world.alice.save()
    return client


def sign_in(world: World, *records: dict[str, Any]) -> None:
    world.http.force_login(world.alice)
    session = world.http.session
    session["account_authentication_methods"] = [{"at": time.time(), **record} for record in records]
    session["account_authentication_methods_user"] = str(world.alice.pk)
    session.save()


PWD, TOTP = {"method": "password"}, {"method": "mfa", "type": "totp"}
COMPANY = {"method": "socialaccount", "signed_in_at": int(time.time()), "claims": {"acr": "loa2", "amr": ["sms"]}}


def question(world: World, place: str, **changes: str) -> str:
    at_system = {"client_id": "public-client", "redirect_uri": flow.BACK}
    asked = flow.question(**changes) if place == "idp" else sign_ins.question(world, **{**at_system, **changes})
    return ("/idp/authorize" if place == "idp" else sign_ins.address(world)) + "?" + urlencode(asked)


def ask(world: World, place: str, acr_values: str, **changes: str) -> Any:
    return world.http.get(question(world, place, acr_values=acr_values, **changes))


def tokens(world: World, place: str, *, acr_values: str = "", scope: str = idp.SCOPE) -> worlds.Answer:
    """Agree, and redeem the code."""
    where = question(world, place, acr_values=acr_values, **({"scope": scope} if place == "idp" else {}))
    page = world.http.get(where)
    assert page.status_code == 200, page.get("Location")
    answer = world.http.post(where, {**flow.form(page.content.decode()), "allow": "1"})
    code = sign_ins.sent_back(answer)["code"]
    if place == "idp":
        return flow.redeem(world, code)
    return sign_ins.redeem(world, code, client_id="public-client", redirect_uri=flow.BACK)


def said(world: World, place: str, answer: worlds.Answer) -> tuple[object, object]:
    """Return `acr` and `amr` of what an answer holds."""
    assert answer.status == 200, answer.body
    if place == "idp":
        claims = idp.id_token(answer)
    else:
        claims = dict(signing.verify(answer.body["access_token"], f"as/{world.system.slug}", "at+jwt"))
    return claims.get("acr"), claims.get("amr")


@pytest.mark.parametrize("place", PLACES)
def test_tokens_say_how_the_person_signed_in_and_so_do_their_refreshed_ones(
    world: World, public: Client, place: str
) -> None:
    sign_in(world, PWD, TOTP)
    answer = tokens(world, place)
    assert said(world, place, answer) == (MULTI_FACTOR, ["pwd", "otp", "mfa"])
    family = TokenFamily.objects.get()
    assert (family.acr, family.amr) == (MULTI_FACTOR, "pwd otp mfa")
    sign_in(world, PWD)  # what the browser does later changes nothing
    token = answer.body["refresh_token"]
    if place == "idp":
        again = idp.refresh(world, token, is_public=True)
    else:
        again = sign_ins.refresh(world, token, client_id="public-client")
    assert said(world, place, again) == (MULTI_FACTOR, ["pwd", "otp", "mfa"])
    assert public.pk


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("records", "asked", "answered"),
    [
        ([PWD], "", PASSWORD),
        ([PWD, TOTP], PASSWORD, PASSWORD),
        ([PWD, TOTP], f"{PHISHING_RESISTANT} {MULTI_FACTOR}", MULTI_FACTOR),
        ([COMPANY], "loa2", "loa2"),
        ([COMPANY], "", "loa2"),
        ([COMPANY, TOTP], f"unknown loa2 {MULTI_FACTOR}", "loa2"),
    ],
)
def test_a_sign_in_that_meets_one_of_the_values_will_do(
    world: World, public: Client, place: str, records: list[dict[str, Any]], asked: str, answered: str
) -> None:
    sign_in(world, *records)
    assert said(world, place, tokens(world, place, acr_values=asked))[0] == answered
    assert public.pk


@pytest.mark.parametrize("place", PLACES)
def test_who_can_meet_a_value_is_led_to_the_page_that_asks_for_more_and_back(
    world: World, public: Client, place: str
) -> None:
    secret = second_factor.given_to(world.alice)
    sign_in(world, PWD)

    answer = ask(world, place, f"{PHISHING_RESISTANT} {MULTI_FACTOR}", max_age="3600")

    where = urlsplit(answer["Location"])
    assert where.path == reverse("mfa_reauthenticate")
    onward = parse_qs(where.query)["next"][0]
    assert "acr_values" in onward
    assert "max_age" not in onward
    page = world.http.get(answer["Location"])
    form = flow.form(page.content.decode()) | {"code": second_factor.code(secret), "next": onward}
    back = world.http.post(answer["Location"], form)
    assert back["Location"] == onward
    assert world.http.get(onward).status_code == 200
    assert said(world, place, tokens(world, place, acr_values=MULTI_FACTOR)) == (MULTI_FACTOR, ["pwd", "otp", "mfa"])
    assert public.pk


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("asked", [PHISHING_RESISTANT, MULTI_FACTOR, "urn:unknown", "loa3 urn:unknown"])
def test_who_cannot_meet_any_value_is_sent_back_with_what_is_unmet(
    world: World, public: Client, place: str, asked: str
) -> None:
    sign_in(world, PWD)
    back = sign_ins.sent_back(ask(world, place, asked))
    assert (back["error"], back["state"]) == ("unmet_authentication_requirements", "s1")
    assert back["iss"] in {world.idp, world.audience}
    assert public.pk


def test_a_client_that_shows_no_page_is_answered_at_once(world: World, public: Client) -> None:
    sign_in(world, PWD)
    errors = [sign_ins.sent_back(ask(world, place, MULTI_FACTOR, prompt="none"))["error"] for place in PLACES]
    assert errors == ["consent_required", "unmet_authentication_requirements"], "at /idp each sign-in asks the person"
    second_factor.given_to(world.alice)
    assert sign_ins.sent_back(ask(world, "system", MULTI_FACTOR, prompt="none"))["error"] == "login_required"
    assert public.pk


def test_a_passkey_is_asked_for_where_only_that_will_do(world: World, public: Client) -> None:
    second_factor.given_to(world.alice)
    Authenticator.objects.create(user=world.alice, type=Authenticator.Type.WEBAUTHN, data={"name": "k"})
    sign_in(world, PWD, TOTP)
    assert urlsplit(ask(world, "idp", PHISHING_RESISTANT)["Location"]).path == reverse("mfa_reauthenticate_webauthn")
    assert ask(world, "idp", MULTI_FACTOR).status_code == 200
    assert public.pk


@pytest.mark.parametrize("place", PLACES)
def test_an_answer_is_held_against_the_values_once_more(world: World, public: Client, place: str) -> None:
    sign_in(world, PWD, TOTP)
    where = question(world, place, acr_values=MULTI_FACTOR)
    sent = {**flow.form(world.http.get(where).content.decode()), "allow": "1"}
    sign_in(world, PWD)
    assert sign_ins.sent_back(world.http.post(where, sent))["error"] == "unmet_authentication_requirements"
    assert not AuthorizationCode.objects.exists()
    assert public.pk


def test_the_strength_of_the_sign_in_travels_to_the_access_token_by_each_subject_token(world: World) -> None:
    make.rewrite(world.client, redirect_uris=flow.BACK)
    sign_in(world, PWD, TOTP)
    answer = idp.begin(world)
    for kind, token in (("refresh_token", "refresh_token"), ("id_token", "id_token")):
        form = {"subject_token_type": exchange.REFRESH_TOKEN} if kind == "refresh_token" else {}
        access = world.redeem(world.id_jag(subject_token=answer.body[token], **form)).body["access_token"]
        claims = signing.verify(access, f"as/{world.system.slug}", "at+jwt")
        assert (claims["acr"], claims["amr"]) == (MULTI_FACTOR, ["pwd", "otp", "mfa"]), kind
        shown = world.post(
            f"/as/{world.system.slug}/introspect", {"token": access, **world.credentials(world.audience)}
        )
        assert (shown.body["acr"], shown.body["amr"]) == (MULTI_FACTOR, ["pwd", "otp", "mfa"]), kind


def test_the_metadata_names_the_contexts_that_are_met_here(world: World) -> None:
    for path in ("openid-configuration/idp", f"oauth-authorization-server/as/{world.system.slug}"):
        assert world.http.get(f"/.well-known/{path}").json()["acr_values_supported"] == [*OWN]
    assert "acr_values_supported" not in world.http.get("/.well-known/oauth-authorization-server/as/mandate").json()
