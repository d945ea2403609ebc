"""Enterprise-managed authorization with ID-JAG draft -04, leg 1: rules EMA-I of docs/reference, one test an id."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from audit.context import SYSTEM
from entitlements.catalog.models import System
from entitlements.clients import aliases
from entitlements.clients.models import Client
from entitlements.edge.delegation import actor_tokens
from entitlements.edge.grant_types import exchange, jwt_bearer
from entitlements.keys import jws, signing
from entitlements.tokens.models import IssuedToken
from tests import make, shared
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World

REQUIRED = ("requested_token_type", "audience", "subject_token", "subject_token_type")


made_world, world = shared.world(worlds.world)


@pytest.mark.parametrize("name", REQUIRED)
def test_ema_i_1_each_required_parameter_is_required(world: World, name: str) -> None:
    assert world.exchange(**{name: None}).error == (400, "invalid_request", "parameter_missing")


def test_ema_i_1_a_parameter_sent_twice_is_refused(world: World) -> None:
    form = "&".join(f"{name}={value}" for name, value in world.exchange_form().items())
    for twice in ("scope=time%3Aread&scope=time%3Awrite", f"audience={world.audience}"):
        assert world.post("/idp/token", f"{form}&{twice}").error == (400, "invalid_request", "malformed_form")


def test_ema_i_1_an_actor_token_needs_its_type_and_is_never_ignored(world: World) -> None:
    assert world.exchange(actor_token="x").error[1:] == ("invalid_request", "parameter_missing")
    answer = world.exchange(actor_token="x", actor_token_type=exchange.ID_TOKEN)
    assert answer.error[1:] == ("invalid_request", "actor_token_type_not_supported")
    assert world.exchange(actor_token="x", actor_token_type=actor_tokens.JWT).error[1:] == (
        "invalid_grant",
        "actor_token_invalid",
    )
    assert world.exchange(authorization_details="[]").error[1:] == (
        "invalid_authorization_details",
        "authorization_details_invalid",
    )


def test_ema_i_2_the_audience_is_the_issuer_of_a_registered_server_to_the_byte(world: World) -> None:
    assert worlds.peek(world.id_jag())["aud"] == world.audience
    for wrong in (
        f"{world.audience}/",
        world.audience.upper(),
        world.idp,
        "https://as.example.org",
        f"{world.idp}/as/time",
    ):
        assert world.exchange(audience=wrong).error[:2] == (400, "invalid_target")


def test_ema_i_3_an_id_token_of_a_trusted_issuer_is_taken_and_other_kinds_are_refused(world: World) -> None:
    assert world.exchange().status == 200
    for kind in ("saml2", "access_token", "jwt"):
        other = f"urn:ietf:params:oauth:token-type:{kind}"
        assert world.exchange(subject_token_type=other).error[1:] == (
            "invalid_request",
            "subject_token_type_not_supported",
        )


def test_ema_i_3_an_untrusted_disabled_or_wrong_purpose_issuer_is_refused_before_its_keys_are_asked(
    world: World,
) -> None:
    stranger = world.id_token(iss="https://evil.example")
    assert world.exchange(subject_token=stranger).error == (400, "invalid_grant", "issuer_not_trusted")
    world.issuer.purpose = "id_jag"
    world.issuer.save()
    assert world.exchange().error[2] == "issuer_not_trusted"
    world.issuer.purpose, world.issuer.enabled = "identity", False
    world.issuer.save()
    assert world.exchange().error[2] == "issuer_not_trusted"


def test_ema_i_3_a_forged_expired_or_future_id_token_is_refused(world: World) -> None:
    now, forger = int(time.time()), worlds.new_key("stub")
    assert world.exchange(subject_token=world.id_token(key=forger)).error[:2] == (400, "invalid_grant")
    assert world.exchange(subject_token=world.id_token(exp=now - 1, iat=now - 300)).error[2] == "token_expired"
    assert world.exchange(subject_token=world.id_token(iat=now + 120, exp=now + 300)).error[1] == "invalid_grant"
    assert world.exchange(subject_token=world.id_token(auth_time=now + 120)).error[1] == "invalid_grant"
    assert world.exchange(subject_token=world.id_token(typ="at+jwt")).error[1] == "invalid_grant"


def test_ema_i_4_the_id_token_is_for_the_authenticated_client_alone(world: World) -> None:
    assert world.exchange(subject_token=world.id_token(aud=[world.client.client_id])).status == 200
    for wrong in ("other-client", [world.client.client_id, "other-client"], []):
        assert world.exchange(subject_token=world.id_token(aud=wrong)).error[:2] == (400, "invalid_grant")


def test_ema_i_5_an_unauthenticated_or_public_client_gets_nothing(world: World) -> None:
    assert world.exchange(client_id=world.client.client_id).error[:2] == (401, "invalid_client")
    public, _ = make.client(world.agent, "public-client", auth=Client.Auth.NONE)
    token = world.id_token(aud=public.client_id)
    assert world.exchange(client_id=public.client_id, subject_token=token).error[:2] == (401, "invalid_client")


def test_ema_i_6_only_the_registered_resource_of_the_audience_is_taken(world: World) -> None:
    other = make.system("git")
    assert world.exchange(resource="http://localhost:8001/gw/git/mcp").error[:2] == (400, "invalid_target")
    assert world.exchange(resource=f"{world.resource}/").error[:2] == (400, "invalid_target")
    assert world.exchange(audience=f"http://localhost:8000/as/{other.slug}").error[:2] == (400, "invalid_target")
    assert worlds.peek(world.id_jag(resource=None))["resource"] == world.resource


def test_ema_i_7_scopes_are_narrowed_by_policy_and_said(world: World) -> None:
    answer = world.exchange(scope="time:read time:write git:read openid")
    assert answer.body["scope"] == "time:read"
    assert worlds.peek(answer.body["access_token"])["scope"] == "time:read"


def test_ema_i_7_a_valid_person_who_is_not_entitled_is_denied_with_a_way_to_ask(world: World) -> None:
    answer = world.exchange(scope="time:write")
    assert answer.error == (400, "access_denied", "no_grant")
    assert answer.body["evaluation_id"] == str(worlds.refusals()[-1].uuid)
    assert answer.body["request_access"] == "http://localhost:8000/requests/new/?agent=expense-bot&system=time"
    assert world.exchange(scope='time:"read').error[:2] == (400, "invalid_scope")


def test_ema_i_8_the_assertion_holds_the_required_claims_and_nothing_personal(world: World) -> None:
    token = world.id_jag(subject_token=world.id_token(acr="urn:mfa", amr=["pwd", "otp"], email="alice@example.org"))
    claims, head = worlds.peek(token), worlds.header(token)
    assert (head["typ"], head["alg"]) == ("oauth-id-jag+jwt", "ES256")
    assert claims.keys() == {
        *("iss", "sub", "aud", "client_id", "jti", "exp", "iat"),
        *("resource", "scope", "auth_time", "acr", "amr", "act", "sid", "txn"),
    }
    assert (claims["iss"], claims["sub"], claims["acr"], claims["amr"]) == (
        world.idp,
        "alice",
        "urn:mfa",
        ["pwd", "otp"],
    )
    assert claims["act"] == {"sub": "expense-bot", "iss": world.idp, "sub_profile": "ai_agent"}
    assert isinstance(claims["aud"], str)
    assert signing.verify(token, "idp", "oauth-id-jag+jwt") == claims


def test_ema_i_10_the_client_is_named_as_the_other_server_knows_it(world: World) -> None:
    assert worlds.peek(world.id_jag())["client_id"] == "expense-client"
    aliases.name_at(world.client, world.system, "agent-4711", by=SYSTEM)
    assert worlds.peek(world.id_jag())["client_id"] == "agent-4711"


def test_ema_i_10_an_identifier_that_means_another_client_there_is_refused(world: World) -> None:
    other, _ = make.client(world.agent, "other-client")
    aliases.name_at(other, world.system, "expense-client", by=SYSTEM)
    assert world.exchange().error == (400, "invalid_target", "client_name_taken")


def test_ema_i_12_the_answer_has_the_members_of_the_profile_and_an_outcome_for_each_scope(world: World) -> None:
    answer = world.exchange()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    of_profile = {"issued_token_type", "access_token", "token_type", "expires_in", "scope"}
    assert answer.body.keys() == {*of_profile, "scope_outcomes"}
    assert answer.body["scope_outcomes"] == {"time:read": "granted"}
    assert (answer.body["issued_token_type"], answer.body["token_type"]) == (exchange.ID_JAG, "N_A")


def test_ema_i_13_it_lives_at_most_300_seconds_and_never_longer_than_its_grant(world: World) -> None:
    for _ in range(5):
        claims = worlds.peek(world.id_jag())
        assert 269 <= claims["exp"] - claims["iat"] <= 300
    brief = make.entitlement(world.system, scope="time:brief")
    grant = make.grant(world.agent, brief, people=[world.alice], lasts=timedelta(seconds=20))
    claims = worlds.peek(world.id_jag(scope="time:brief"))
    assert claims["exp"] <= grant.expires_at.timestamp()


def test_ema_i_14_the_identity_side_never_redeems_its_own_assertion(world: World) -> None:
    token = world.id_jag()
    form = {"grant_type": jwt_bearer.GRANT, "assertion": token, **world.credentials(world.idp)}
    assert world.post("/idp/token", form).error == (400, "invalid_grant", "issuer_redeems_not")
    assert not IssuedToken.objects.filter(kind=IssuedToken.Kind.ACCESS_TOKEN).exists()


def test_ema_i_14_each_issuer_has_a_name_and_keys_of_its_own(world: World) -> None:
    make.system("git")
    for issuer in ("idp", "as/time", "as/git"):
        signing.ensure(issuer)
    sets = [world.http.get(path).json() for path in ("/idp/jwks.json", "/as/time/jwks.json", "/as/git/jwks.json")]
    kids = [key["kid"] for keys in sets for key in keys["keys"]]
    assert len(kids) == len(set(kids)) == 3
    with pytest.raises(jws.BadToken):
        signing.verify(world.id_jag(), "as/time", "oauth-id-jag+jwt")


def test_ema_i_15_a_proof_of_possession_is_never_ignored(world: World) -> None:
    answer = world.post("/idp/token", world.exchange_form(), DPoP="x")
    assert answer.error[:2] == (400, "invalid_dpop_proof")


def test_ema_i_16_the_metadata_says_that_id_jags_are_issued(world: World) -> None:
    said = world.http.get("/.well-known/oauth-authorization-server/idp").json()
    assert said["issuer"] == world.idp
    assert said["identity_chaining_requested_token_types_supported"] == [exchange.ID_JAG]
    assert exchange.GRANT in said["grant_types_supported"]
    assert said == world.http.get("/idp/.well-known/openid-configuration").json()
    assert said == world.http.get("/.well-known/openid-configuration/idp").json()


def test_a_disabled_system_is_no_target(world: World) -> None:
    System.objects.filter(pk=world.system.pk).update(status="disabled")
    assert world.exchange().error == (400, "invalid_target", "system_disabled")
