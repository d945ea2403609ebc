"""Enterprise-managed authorization with ID-JAG draft -04, leg 2: rules EMA-R of docs/reference, one test an id."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from audit.context import SYSTEM
from audit.models import Event
from entitlements.clients import aliases
from entitlements.edge import metadata
from entitlements.edge.grant_types import jwt_bearer
from entitlements.keys import jws, signing
from entitlements.people import people
from entitlements.tokens.models import IssuedToken
from entitlements.trusted_issuers.models import TrustedIssuer
from tests import make, shared
from tests.entitlements.edge import worlds
from tests.entitlements.edge.worlds import World

PARTNER_KEY = worlds.new_key("partner")


made_world, world = shared.world(worlds.world)


@pytest.fixture
def partner(world: World) -> TrustedIssuer:
    issuer = TrustedIssuer.objects.create(
        issuer=worlds.PARTNER, purpose="id_jag", jwks=worlds.key_set(PARTNER_KEY), algorithms=["ES256"]
    )
    people.link_identity(world.alice, issuer, "p-7", by=SYSTEM)
    return issuer


def assertion(world: World, *, key: jws.Key = PARTNER_KEY, typ: str = "oauth-id-jag+jwt", **claims: Any) -> str:  # noqa: ANN401
    now = int(time.time())
    usual = {"iss": worlds.PARTNER, "sub": "p-7", "aud": world.audience, "client_id": world.client.client_id}
    more = {"jti": str(uuid.uuid4()), "iat": now, "exp": now + 300, "resource": world.resource, "scope": "time:read"}
    return jws.sign({k: v for k, v in {**usual, **more, **claims}.items() if v is not None}, key, typ)


def test_ema_r_1_typ_is_exactly_that_of_an_id_jag(world: World, partner: TrustedIssuer) -> None:
    assert world.redeem(assertion(world)).status == 200
    for typ in ("JWT", "at+jwt", "oauth-id-jag", "id-jag+jwt"):
        assert world.redeem(assertion(world, typ=typ)).error[:2] == (400, "invalid_grant")
    assert partner.enabled


def test_the_actors_of_another_issuer_stand_in_the_event(world: World, partner: TrustedIssuer) -> None:
    act = {"sub": "planner", "act": {"sub": "assistant"}}
    answer = world.redeem(assertion(world, act=act))
    assert worlds.peek(answer.body["access_token"])["act"]["sub"] == "expense-bot"
    event = Event.objects.get(action="token.issued")
    assert event.detail["actors"] == ["planner", "assistant"]
    assert partner.enabled


def test_ema_r_2_an_issuer_outside_the_list_is_refused_before_a_key_is_fetched(world: World) -> None:
    answer = world.redeem(assertion(world, iss="https://evil.example"))  # sockets are closed: a fetch would fail loudly
    assert answer.error == (400, "invalid_grant", "issuer_not_trusted")


def test_ema_r_2_the_key_and_its_algorithm_come_from_the_issuer(world: World, partner: TrustedIssuer) -> None:
    assert world.redeem(assertion(world, key=worlds.new_key("partner"))).error[1] == "invalid_grant"
    assert world.redeem(assertion(world, key=worlds.new_key("unknown"))).error[1] == "invalid_grant"
    partner.algorithms = ["RS256"]
    partner.save()
    assert world.redeem(assertion(world)).error[1] == "invalid_grant"


def test_ema_r_3_the_audience_is_this_server_alone(world: World, partner: TrustedIssuer) -> None:
    assert world.redeem(assertion(world, aud=[world.audience])).status == 200
    for wrong in ([world.audience, "https://x.example"], [], f"{world.audience}/", world.resource, None):
        assert world.redeem(assertion(world, aud=wrong)).error[:2] == (400, "invalid_grant")
    assert partner.enabled


def test_ema_r_3_an_assertion_for_another_system_is_refused(world: World) -> None:
    make.system("git")
    form = {"grant_type": jwt_bearer.GRANT, "assertion": world.id_jag()}
    credentials = world.credentials("http://localhost:8000/as/git")
    assert world.post("/as/git/token", {**form, **credentials}).error == (400, "invalid_grant", "audience_mismatch")


def test_ema_r_4_only_the_client_that_it_names_redeems_it(world: World, partner: TrustedIssuer) -> None:
    assert world.redeem(assertion(world, client_id="somebody-else")).error == (400, "invalid_grant", "client_mismatch")
    other, secret = make.client(world.agent, "other-client", auth="client_secret_basic")
    stolen = {"client_id": other.client_id, "client_secret": secret}
    assert world.redeem(world.id_jag(), **stolen).error == (400, "invalid_grant", "client_mismatch")
    assert partner.enabled


def test_ema_r_4_the_client_is_matched_by_its_name_at_this_server(world: World) -> None:
    aliases.name_at(world.client, world.system, "agent-4711", by=SYSTEM)
    token = world.redeem(world.id_jag()).body["access_token"]
    assert worlds.peek(token)["client_id"] == "expense-client"
    there = {"iss": "agent-4711", "sub": "agent-4711"}
    assert world.redeem(world.id_jag(), **world.credentials(world.audience, **there)).status == 200


def test_ema_r_4_a_foreign_name_is_matched_by_the_map_of_its_issuer_alone(world: World, partner: TrustedIssuer) -> None:
    TrustedIssuer.objects.filter(pk=partner.pk).update(clients={"0oa1": world.client.client_id})
    assert world.redeem(assertion(world, client_id="0oa1")).status == 200
    mismatch = (400, "invalid_grant", "client_mismatch")
    for named in (world.client.client_id, "0oa2", None):
        assert world.redeem(assertion(world, client_id=named)).error == mismatch
    other, secret = make.client(world.agent, "other-client", auth="client_secret_basic")
    stolen = {"client_id": other.client_id, "client_secret": secret}
    assert world.redeem(assertion(world, client_id="0oa1"), **stolen).error == mismatch


@pytest.mark.parametrize("case", ["expired", "future", "endless", "no exp", "no iat"])
def test_ema_r_5_times_are_required_and_checked(world: World, partner: TrustedIssuer, case: str) -> None:
    now = int(time.time())
    cases: dict[str, dict[str, Any]] = {
        "expired": {"iat": now - 400, "exp": now - 1},
        "future": {"iat": now + 120, "exp": now + 300},
        "endless": {"exp": now + 10**6},
        "no exp": {"exp": None},
        "no iat": {"iat": None},
    }
    assert world.redeem(assertion(world, **cases[case])).error[:2] == (400, "invalid_grant")
    assert partner.enabled


def test_ema_r_6_an_assertion_is_redeemed_once(world: World) -> None:
    token = world.id_jag()
    assert world.redeem(token).status == 200
    assert world.redeem(token).error == (400, "invalid_grant", "assertion_replayed")
    assert IssuedToken.objects.filter(kind="access_token").count() == 1


def test_ema_r_6_single_use_counts_by_issuer_and_can_be_loosened_for_one(world: World, partner: TrustedIssuer) -> None:
    token = assertion(world)
    assert world.redeem(token).status == 200
    assert world.redeem(token).error[2] == "assertion_replayed"
    partner.strict_single_use = False
    partner.save()
    again = assertion(world)
    assert [world.redeem(again).status for _ in range(2)] == [200, 200]
    partner.enabled = False
    partner.save()
    assert world.redeem(again).error[2] == "issuer_not_trusted"


def test_ema_r_7_the_token_is_for_the_registered_resource_of_the_assertion(
    world: World, partner: TrustedIssuer
) -> None:
    assert worlds.peek(world.access_token())["aud"] == world.resource
    elsewhere = "http://localhost:8001/gw/git/mcp"
    assert world.redeem(world.id_jag(), resource=elsewhere).error[:2] == (400, "invalid_target")
    assert world.redeem(assertion(world, resource=elsewhere)).error[:2] == (400, "invalid_target")
    assert world.redeem(assertion(world, resource=None)).error == (400, "invalid_grant", "resource_missing")
    assert world.redeem(assertion(world, resource=[world.resource])).error[1] == "invalid_grant"
    assert partner.enabled


def test_ema_r_8_scopes_are_what_is_asked_within_the_assertion_within_the_policy(world: World) -> None:
    make.grant(world.agent, make.entitlement(world.system, scope="time:write"), people=[world.alice])
    assert world.redeem(world.id_jag()).body["scope"] == "time:read time:write"
    assert world.redeem(world.id_jag(scope="time:read"), scope="time:read time:write").body["scope"] == "time:read"
    answer = world.redeem(world.id_jag(scope="time:read"), scope="time:write")
    assert answer.error == (400, "invalid_scope", "scope_missing")


def test_ema_r_8_a_foreign_assertion_without_scopes_allows_what_is_held(world: World, partner: TrustedIssuer) -> None:
    assert world.redeem(assertion(world, scope=None)).body["scope"] == "time:read"
    assert world.redeem(assertion(world, scope="time:write")).error[1] == "access_denied"
    assert partner.enabled


def test_ema_r_9_the_answer_names_resource_and_scope_and_is_not_stored(world: World) -> None:
    answer = world.redeem(world.id_jag())
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.body.keys() == {"access_token", "token_type", "expires_in", "scope", "resource", "scope_outcomes"}
    assert (answer.body["token_type"], answer.body["resource"]) == ("Bearer", world.resource)
    assert answer.body["expires_in"] <= world.system.token_seconds


def test_ema_r_9_the_access_token_says_who_acts_for_whom(world: World) -> None:
    token = world.access_token()
    claims = signing.verify(token, "as/time", "at+jwt")
    assert worlds.header(token)["typ"] == "at+jwt"
    assert (claims["sub"], claims["client_id"], claims["scope"]) == ("alice", "expense-client", "time:read")
    assert claims["act"] == {"sub": "expense-bot", "iss": world.idp, "sub_profile": "ai_agent"}
    row = IssuedToken.objects.get(pk=claims["jti"])
    assert str(row.session_id) == claims["sid"]


def test_ema_r_10_no_refresh_token_is_issued(world: World) -> None:
    assert "refresh_token" not in world.redeem(world.id_jag()).body


def test_ema_r_11_a_bound_assertion_is_not_taken_as_a_bearer_one(world: World, partner: TrustedIssuer) -> None:
    answer = world.redeem(assertion(world, cnf={"jkt": "x" * 43}))
    assert answer.error == (400, "invalid_grant", "proof_invalid")
    assert partner.enabled


def test_ema_r_13_the_metadata_says_the_profile_and_not_whom_it_trusts(world: World, partner: TrustedIssuer) -> None:
    answer = world.http.get("/.well-known/oauth-authorization-server/as/time")
    said = answer.json()
    assert said["issuer"] == world.audience
    assert said["authorization_grant_profiles_supported"] == [metadata.GRANT_PROFILE]
    assert jwt_bearer.GRANT in said["grant_types_supported"]
    assert partner.issuer not in answer.content.decode()
    assert said["response_types_supported"] == ["code"], "people sign in here"
    assert not any(value == [] for value in said.values())
    assert world.http.get("/.well-known/oauth-authorization-server/as/nowhere").status_code == 404


def test_ema_r_14_a_saml_subject_establishes_neither_trust_nor_a_person(world: World, partner: TrustedIssuer) -> None:
    people.link_identity(world.alice, world.issuer, "alice@saml", by=SYSTEM)
    named = {"format": "saml-nameid", "issuer": world.issuer.issuer, "nameid": "alice@saml"}
    answer = world.redeem(assertion(world, sub="unknown", sub_id=named))
    assert answer.error == (400, "invalid_grant", "person_unknown")
    elsewhere = world.redeem(assertion(world, iss="https://evil.example", sub_id=named))
    assert elsewhere.error == (400, "invalid_grant", "issuer_not_trusted")
    token = world.redeem(assertion(world, sub_id={**named, "issuer": "https://evil.example"})).body["access_token"]
    assert worlds.peek(token)["sub"] == "alice", "the subject of the trusted issuer decides alone"
    assert partner.enabled


def test_ema_r_15_the_tenant_of_a_multi_tenant_issuer_is_part_of_the_subject(
    world: World, partner: TrustedIssuer
) -> None:
    invalid = (400, "invalid_grant", "token_invalid")
    assert world.redeem(assertion(world, tenant="t-1")).error == invalid, "its issuer was trusted without tenants"
    TrustedIssuer.objects.filter(pk=partner.pk).update(tenant_claim="tenant", tenants=["t-1", "t-2"])
    people.link_identity(world.alice, partner, "t-1 p-7", by=SYSTEM)
    assert world.redeem(assertion(world, tenant="t-1")).status == 200
    assert world.redeem(assertion(world, tenant="t-2")).error[2] == "person_unknown"
    for tenant in (None, "t-3", "", ["t-1"]):
        assert world.redeem(assertion(world, tenant=tenant)).error == invalid


def test_ema_r_15_a_person_is_known_by_issuer_and_subject_never_by_one_of_them(
    world: World, partner: TrustedIssuer
) -> None:
    assert world.redeem(assertion(world, sub="u-alice")).error == (400, "invalid_grant", "person_unknown")
    assert world.redeem(assertion(world, sub="x", email="alice@example.org")).error[2] == "person_unknown"
    assert world.redeem(assertion(world, sub="alice")).error[2] == "person_unknown"
    assert worlds.peek(world.redeem(assertion(world)).body["access_token"])["sub"] == "alice"
    assert partner.enabled


def test_ema_r_16_the_type_decides_before_anything_is_verified(world: World) -> None:
    answer = world.redeem(world.id_token())  # a real token, of another type
    assert answer.error == (400, "invalid_grant", "token_invalid")
    assert "typ" in answer.body["error_description"]


def test_ema_r_17_a_client_that_is_named_by_its_document_redeems_with_its_own_key(
    world: World, partner: TrustedIssuer
) -> None:
    address, key = "https://desk.example/client.json", worlds.new_key("desk")
    made, _ = make.client(world.agent, address, jwks=worlds.key_set(key))
    mine = world.credentials(world.audience, key=key, iss=address, sub=address)
    assert world.redeem(assertion(world, client_id=made.client_id), **mine).status == 200
    stranger = "https://stranger.example/client.json"  # sockets are closed: a fetch would fail loudly
    theirs = world.credentials(world.audience, key=key, iss=stranger, sub=stranger)
    assert world.redeem(assertion(world, client_id=stranger), **theirs).error[:2] == (401, "invalid_client")
    assert partner.enabled
