"""Enterprise-managed authorization with ID-JAG draft -04, leg 1 for a vendor's own server: one test an id of EMA-I."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from django.db import connection

from audit.context import SYSTEM
from audit.models import Event
from entitlements.catalog.models import EntitlementTool
from entitlements.edge.grant_types import exchange, jwt_bearer
from entitlements.people import sign_ins
from entitlements.people.models import Person
from entitlements.vendors import vendors
from tests import make, shared
from tests.entitlements.edge import idp_sign_ins
from tests.entitlements.edge import test_code_flow as code_flow
from tests.entitlements.edge import worlds as edge_worlds
from tests.entitlements.vendors import worlds
from tests.entitlements.vendors.worlds import VendorWorld
from tests.protocols import test_ema_identity_side as identity_side

made_world, world = shared.world(worlds.vendor_world)
_ID = re.compile(r"test_ema_i_(\d+)_")


def test_each_rule_of_the_identity_side_has_a_test_here_or_beside() -> None:
    names = [*vars(identity_side), *globals()]
    assert {int(found[1]) for name in names if (found := _ID.match(name))} >= {*range(1, 19), 20}


def test_ema_i_1_audience_and_both_types_are_required(world: VendorWorld) -> None:
    for name in identity_side.REQUIRED:
        assert world.exchange(**{name: None}).error == (400, "invalid_request", "parameter_missing")


def test_ema_i_2_the_audience_is_the_vendors_issuer_and_so_is_aud(world: VendorWorld) -> None:
    assert world.claims()["aud"] == worlds.ISSUER
    for wrong in (
        worlds.ISSUER.rstrip("/"),
        worlds.RESOURCE,
        "maps",
        "urn:mandate:maps",
        "http://localhost:8000/as/maps",
    ):
        assert world.exchange(audience=wrong).error[:2] == (400, "invalid_target")


def test_ema_i_3_a_refresh_token_of_ours_is_a_subject_token(world: VendorWorld) -> None:
    code_flow.sign_in(world.edge)
    signed_in = idp_sign_ins.begin(world.edge).body
    claims = world.claims(subject_token=str(signed_in["refresh_token"]), subject_token_type=exchange.REFRESH_TOKEN)
    assert claims["sub"] == world.claims()["sub"]
    assert "token_family" not in claims


def test_ema_i_6_only_a_registered_pair_of_audience_and_resource_is_taken(world: VendorWorld) -> None:
    other = make.vendor("other")
    pairs = {(worlds.ISSUER, worlds.RESOURCE): 200, (worlds.ISSUER, worlds.SECOND): 200}
    pairs |= {(worlds.ISSUER, "https://other.example/mcp"): 400, (other.vendor.issuer, worlds.RESOURCE): 400}
    for (audience, resource), status in pairs.items():
        answer = world.exchange(audience=audience, resource=resource)
        assert answer.status == status, (audience, resource)
        assert status == 200 or answer.body["error"] == "invalid_target"


def test_ema_i_7_the_answer_says_the_scopes_that_were_left(world: VendorWorld) -> None:
    answer = world.exchange(scope="maps:read maps:write time:read openid")
    assert answer.body["scope"] == edge_worlds.peek(str(answer.body["access_token"]))["scope"] == "maps:read"
    denied = world.exchange(scope="time:read")
    assert denied.error == (400, "access_denied", "no_grant")
    assert denied.body["request_access"].endswith("/requests/new/?agent=expense-bot&system=maps")


def test_ema_i_8_required_claims_stand_there_and_nothing_personal(world: VendorWorld) -> None:
    Person.objects.filter(login="alice").update(email="alice@example.org", name="Alice Example")
    token = world.id_jag(subject_token=world.edge.id_token(email="alice@example.org", name="Alice", tid="t-1"))
    claims, head = edge_worlds.peek(token), edge_worlds.header(token)
    assert (head["typ"], head["alg"]) == ("oauth-id-jag+jwt", "ES256")
    assert claims.keys() >= {"iss", "sub", "aud", "client_id", "jti", "exp", "iat", "resource"}
    assert "alice" not in str(claims).lower()


def test_ema_i_9_the_subject_is_the_one_of_this_vendor(world: VendorWorld) -> None:
    other = make.vendor("other", client_ids={world.edge.client.client_id: "x"})
    make.grant(world.edge.agent, make.entitlement(other, scope="other:read"), people=[world.edge.alice])
    first = world.claims()
    second = world.claims(audience=other.vendor.issuer, resource=other.vendor.resources[0])
    assert first["sub"] == world.claims()["sub"] != second["sub"]
    assert first["act"]["sub"] != second["act"]["sub"]
    vendors.name_person(other, person=world.edge.alice, subject="00u-7", by=SYSTEM)
    vendors.edit(other, subjects="stored", reason="agreed", by=SYSTEM)
    assert world.claims(audience=other.vendor.issuer, resource=other.vendor.resources[0])["sub"] == "00u-7"


def test_ema_i_10_the_client_is_named_as_the_vendor_knows_it(world: VendorWorld) -> None:
    assert world.claims()["client_id"] == worlds.NAME_THERE
    unnamed, _ = make.client(world.edge.agent, "other-client", jwks=world.edge.client.jwks)
    world.edge.client = unnamed
    assert world.exchange().error == (400, "invalid_target", "client_not_named")


def test_ema_i_11_a_tenant_is_never_emitted(world: VendorWorld) -> None:
    claims = world.claims(subject_token=world.edge.id_token(tenant="t-1", tid="t-1", aud_tenant="t-2"))
    assert not claims.keys() & {"tenant", "aud_tenant", "tid"}


def test_ema_i_12_the_answer_has_the_members_of_the_profile(world: VendorWorld) -> None:
    answer = world.exchange()
    assert answer.headers["Cache-Control"] == "no-store"
    of_profile = {"issued_token_type", "access_token", "token_type", "expires_in", "scope"}
    assert answer.body.keys() == {*of_profile, "scope_outcomes"}
    assert (answer.body["issued_token_type"], answer.body["token_type"]) == (exchange.ID_JAG, "N_A")


def test_ema_i_13_it_lives_at_most_300_seconds(world: VendorWorld) -> None:
    for _ in range(5):
        claims = world.claims()
        assert 269 <= claims["exp"] - claims["iat"] <= 300


def test_ema_i_14_we_issue_no_access_token_for_it(world: VendorWorld) -> None:
    form = {"grant_type": jwt_bearer.GRANT, "assertion": world.id_jag()}
    at_idp = world.edge.post("/idp/token", {**form, **world.edge.credentials(world.edge.idp)})
    assert at_idp.error == (400, "invalid_grant", "issuer_redeems_not")
    at_system = world.edge.post("/as/maps/token", {**form, **world.edge.credentials("http://localhost:8000/as/maps")})
    assert at_system.status == 404
    elsewhere = world.edge.redeem(world.id_jag())
    assert elsewhere.error[1] == "invalid_grant"


def test_ema_i_16_the_metadata_names_no_vendor(world: VendorWorld) -> None:
    metadata = world.edge.http.get("/.well-known/oauth-authorization-server/idp").json()
    assert metadata["identity_chaining_requested_token_types_supported"] == [exchange.ID_JAG]
    assert "vendor" not in str(metadata)


def test_ema_i_17_too_old_a_sign_in_is_answered_with_how_old_it_may_be(world: VendorWorld) -> None:
    old = int(time.time() - sign_ins.max_age()) - 60
    answer = world.exchange(subject_token=world.edge.id_token(auth_time=old))
    assert (answer.status, answer.body["error"]) == (400, "insufficient_user_authentication")
    assert answer.body["max_age"] == int(sign_ins.max_age())


def test_ema_i_18_a_scope_that_gained_a_tool_is_not_issued_on_an_older_grant(world: VendorWorld) -> None:
    assert world.exchange().status == 200
    EntitlementTool.objects.create(entitlement=world.entitlement, tool=make.tool(world.vendor, "wipe", risk="high"))
    assert world.exchange().error == (400, "access_denied", "grant_narrower_than_scope")


def stored_texts() -> Iterator[str]:
    """Yield every row of every table, as text."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{table}" t')  # noqa: S608 - a table of ours
            yield from (text for (text,) in cursor.fetchall())


def test_ema_i_20_no_assertion_is_kept_or_stands_in_an_address_and_tls_is_required(
    world: VendorWorld, caplog: pytest.LogCaptureFixture
) -> None:
    token = world.id_jag()
    signature = token.rpartition(".")[2]
    assert not any(signature in text for text in stored_texts())
    assert signature not in caplog.text
    assert Event.objects.filter(action="token.issued").exists()
    in_address = world.edge.http.get("/idp/token", dict(world.edge.exchange_form(audience=worlds.ISSUER)))
    assert in_address.status_code == 405
    for insecure in ("http://as.vendor.example", "http://localhost:9"):
        with pytest.raises(vendors.VendorMalformed):
            make.vendor("insecure", issuer=insecure)
